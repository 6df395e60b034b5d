package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"countersign/internal/errs"
	"countersign/internal/testkit"
	"countersign/internal/web"
)

// TestBadQuery sends to every list, and to every other call with filters, what could be wrong with each parameter that
// the route declares.
func TestBadQuery(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	j := judge{codes: listedCodes(t)}
	owner := e.As(e.Owner)
	for _, route := range e.project.routes() {
		if route.Method != http.MethodGet {
			continue
		}
		path := apiPrefix + route.Path
		if strings.Contains(path, "{id}") {
			path = strings.ReplaceAll(path, "{id}", e.id(t, route.Path, e.First))
		}
		path += "?"
		if strings.HasPrefix(route.Path, "/billing/credits/") {
			path += "account=" + e.First.Account + "&"
		}
		get := func(query string) testkit.Answer { return owner.Get(path + query) }
		t.Run(route.Path, func(t *testing.T) {
			t.Parallel()
			// of a call that declares no parameters only those that are given twice or cannot be stored are its business
			j.refused(t, "a parameter twice", get("nonsense=1&nonsense=1"), "nonsense")
			j.refused(t, "a parameter that is no text", get("nonsense=%ff"), "")
			j.refused(t, "a parameter that cannot be read", get("nonsense=%zz"), "")
			spec := route.List
			if spec == nil {
				spec = route.Query
			}
			if spec == nil {
				return
			}
			j.refused(t, "an unknown parameter", get("nonsense=1"), "nonsense")
			j.refused(t, "an unknown parameter without a value", get("nonsense"), "nonsense")
			j.refused(t, "an unknown parameter with a long name", get(strings.Repeat("n", 5000)+"=1"), "")
			var names []string
			for _, f := range spec.Filters {
				names = append(names, f.Name)
				j.filter(t, f, get, route.List != nil)
			}
			if route.List == nil {
				j.refused(t, "a page of what is no list", get("page=1"), "page")
			} else {
				names = append(names, "page", "page_size", "cursor", "ordering")
				j.pages(t, get)
			}
			for _, name := range names {
				if name == "account" && strings.HasSuffix(path, "&") { // it is there once already
					continue
				}
				j.refused(t, name+" twice", get(name+"=&"+name+"="), name)
				j.refused(t, name+" with a NUL", get(name+"=a%00b"), "")
				j.refused(t, name+" with bytes that are no text", get(name+"=%c3%28"), "")
				j.refused(t, name+" that is huge", get(name+"="+strings.Repeat("7", 20_000)), name)
				j.refused(t, name+" as an array of PHP", get(name+"[]=1"), name+"[]")
			}
		})
	}
}

// filter sends a filter values of other types. Which of them it takes says the filter itself, and the answer must be the
// same: a value that is not understood must not show everything.
func (j judge) filter(t *testing.T, f web.Filter, get func(string) testkit.Answer, list bool) {
	t.Helper()
	if got := get(f.Name + "="); list && f.Name != "account" && got.Status != http.StatusOK {
		t.Errorf("%s without a value filters: %d %s", f.Name, got.Status, got.Raw)
	}
	for _, value := range []string{"nonsense", "-1", "0", "1e400", "NaN", "true", "null", "{}", "' OR 1=1 --", "%", "_", `\`, "*", "0000-01-01", "10000-01-01", "2026-02-30", "2026-06-30T23:59:60Z",
		"2026-01-01T00:00:00+24:00", "00000000-0000-0000-0000-000000000000", "{0b5bdb3e-6a53-4a5e-9d2c-3c1c2f5b1f10}", "0B5BDB3E6A534A5E9D2C3C1C2F5B1F10", "ＵＳＤ", "\u202e", "🧾"} {
		what := f.Name + "=" + value
		got := get(f.Name + "=" + url.QueryEscape(value))
		_, err := f.Parse(value)
		switch {
		case err != nil && errs.As(err) == nil:
			t.Errorf("%s: the filter's error is nothing to show: %v", what, err)
		case err != nil:
			j.refused(t, what, got, f.Name)
		case got.Status >= 400: // it names nothing that there is
			j.refused(t, what, got, "")
		}
	}
}

func (j judge) pages(t *testing.T, get func(string) testkit.Answer) {
	t.Helper()
	for name, values := range map[string][]string{
		"page":      {"", "0", "-1", "1.5", "1e1", "+1", "0x1", "x", "9223372036854775808", " 1", "10001", "１"},
		"page_size": {"", "0", "-1", "1.5", "101", "all", "+5", "1e2"},
		"ordering":  {"", "-", "--created_at", "password_hash", "created_at;DROP TABLE payments", "created_at,id", "CREATED_AT", "-created_at desc"},
		"cursor":    {"x", "e30", "bnVsbA", "W10", "eyJ0IjoiMDAwMC0wMS0wMVQwMDowMDowMFoiLCJpIjoiMDE5YjAwMDAtMDAwMC03MDAwLTgwMDAtMDAwMDAwMDAwMDAwIn0", "....", "019b0000-0000-7000-8000-000000000000.99999999"},
	} {
		for _, value := range values {
			j.refused(t, name+"="+value, get(name+"="+url.QueryEscape(value)), name)
		}
	}
	j.refused(t, "a page behind the last that is counted", get("page=401&page_size=25"), "page")
}
