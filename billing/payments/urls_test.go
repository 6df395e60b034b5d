package payments_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/internal/testkit"
)

// S3-50, S3-51, S0-18, W-01: what is not yours does not exist, whoever you are.
func TestForeignIDs(t *testing.T) {
	t.Parallel()
	w, neighbour := billingtest.New(t), billingtest.New(t)
	theirInvoice := neighbour.OpenInvoice("10.00")
	theirs := neighbour.Submit(theirInvoice.ID)
	otherInvoice := w.OpenInvoice("10.00", func(in *invoices.CreateInput) { in.Account = w.Other.ID.String() })
	made, err := w.Payments.SubmitManual(w.OtherMember.Ctx, w.Claim(otherInvoice.ID))
	if err != nil {
		t.Fatal(err)
	}
	digest := strings.Repeat("ab", 32)
	routes := []struct {
		method, path string
		body         any
		staff        bool
	}{
		{"GET", "/payments/%s/", nil, false},
		{"GET", "/payments/%s/status/", nil, false},
		{"GET", "/payments/%s/events/", nil, false},
		{"PATCH", "/payments/%s/", body("notes", "x"), false},
		{"DELETE", "/payments/%s/", nil, false},
		{"POST", "/payments/%s/cancel/", "", false},
		{"POST", "/payments/%s/approve/", body("digest", digest), true},
		{"POST", "/payments/%s/reject/", body("digest", digest, "reason", "no"), true},
		{"POST", "/payments/%s/resume/", "", true},
		{"POST", "/payments/%s/capture/", body(), true},
		{"POST", "/payments/%s/release/", "", true},
		{"POST", "/payments/%s/complete/", "", true},
		{"POST", "/payments/%s/refund/", body("reason", "other"), true},
		{"GET", "/payments/%s/refunds/", nil, true},
		{"GET", "/payment-anomalies/%s/", nil, true},
		{"POST", "/payment-anomalies/%s/resolve/", body("note", "x"), true},
		{"GET", "/refunds/%s/", nil, true},
		{"POST", "/refunds/%s/approve/", body("digest", digest), true},
		{"POST", "/refunds/%s/reject/", body("digest", digest, "reason", "no"), true},
		{"POST", "/refunds/%s/cancel/", "", true},
		{"POST", "/refunds/%s/complete/", body("payout_reference", "x"), true},
		{"POST", "/refunds/%s/reverse/", body("reason", "x"), true},
		{"GET", "/transactions/%s/", nil, false},
		{"GET", "/invoices/%s/payments/", nil, false},
	}
	covered := map[string]bool{}
	w.As(w.Owner)
	w.As(w.Member) // sign in first: that is audited too
	before, theirsBefore := w.Snapshot(), neighbour.Snapshot()
	for _, r := range routes {
		covered[r.method+" /billing"+strings.Replace(r.path, "%s", "{id}", 1)] = true
		call := func(p *billingtest.Person, id string) testkit.Answer {
			c, path := w.As(p).With("Idempotency-Key", "sweep"), base+fmt.Sprintf(r.path, id)
			switch r.method {
			case "GET":
				return c.Get(path)
			case "PATCH":
				return c.Patch(path, r.body)
			case "DELETE":
				return c.Delete(path)
			default:
				return c.Post(path, r.body)
			}
		}
		for _, p := range []*billingtest.Person{w.Owner, w.Member} {
			if r.staff && p == w.Member {
				continue
			}
			unknown := call(p, uuid.NewString())
			unknown.Expect(http.StatusNotFound)
			want := anonymous(unknown)
			ids := []string{theirs.ID.String(), theirInvoice.ID.String(), "1", "%00", "%ff%fe", "..%2f1", strings.Repeat("9", 300)}
			if p == w.Member {
				ids = append(ids, made.ID, otherInvoice.ID.String())
			}
			for _, id := range ids {
				got := call(p, id)
				got.Expect(http.StatusNotFound)
				equal(t, r.method+" "+r.path+" as "+p.Role+" of "+id, anonymous(got), want)
			}
		}
	}
	unchanged(t, w, before)
	unchanged(t, neighbour, theirsBefore)

	t.Run("no route with an id was left out", func(t *testing.T) {
		for _, route := range w.Payments.App().URLs {
			if name := route.Method + " " + route.Path; strings.Contains(route.Path, "{id}") && !covered[name] {
				t.Errorf("%s is not in the sweep", name)
			}
		}
	})
	t.Run("filters find nothing, and bodies name nothing", func(t *testing.T) {
		c := w.As(w.Owner)
		for _, query := range []string{"invoice=" + theirInvoice.ID.String(), "account=" + neighbour.Account.ID.String(),
			"search=" + theirs.ID.String(), "search=" + url.QueryEscape(theirs.Reference)} {
			equal(t, query, listed(c.Get(list+"?"+query)), []string{})
			equal(t, "count "+query, c.Get(list+"count/?"+query).Int("data.count"), int64(0)) // S0-18
		}
		inv := w.OpenInvoice("10.00")
		submit(w, w.Owner, claim(w, theirInvoice.ID)).Refused(http.StatusNotFound, "invoice_not_found")
		submit(w, w.Owner, claim(w, inv.ID, "retry_of", theirs.ID.String())).Refused(http.StatusBadRequest, "invalid_retry")
		a := c.Post(list+"bulk_approve/", body("items", []any{body("id", theirs.ID.String(), "digest", digest)})).Expect(http.StatusOK)
		equal(t, "bulk", a.Text("data.results.0.code"), "not_found")
		c.Post(list+"bulk_approve/", body("items", []any{body("id", "1", "digest", digest)})).Refused(http.StatusBadRequest, "validation_failed")
		unchanged(t, neighbour, theirsBefore)
	})
}

// anonymous is an answer's body without what is different in each answer.
func anonymous(a testkit.Answer) map[string]any {
	delete(a.Body, "request_id")
	return a.Body
}

func TestRoles(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := w.Submit(w.OpenInvoice("10.00").ID)
	before := w.Snapshot()
	decision := body("digest", w.Digest(p.ID), "reason", "x")
	for _, c := range []struct {
		who    *billingtest.Person
		path   string
		body   any
		status int
		code   string
	}{
		{w.Viewer, "cancel/", "", 403, "permission_denied"},
		{w.Viewer, "approve/", body("digest", "x"), 403, "permission_denied"},
		{w.Viewer, "reject/", decision, 403, "permission_denied"},
		{w.Finance, "resume/", "", 403, "permission_denied"},
		{w.Member, "approve/", body("digest", "x"), 403, "permission_denied"},
		{w.Member, "reject/", decision, 403, "permission_denied"},
		{w.Member, "resume/", "", 403, "permission_denied"},
	} {
		w.As(c.who).Post(one(p.ID, c.path), c.body).Refused(c.status, c.code)
	}
	w.Anonymous().Get(list).Refused(http.StatusUnauthorized, "authentication_required")
	w.As(w.Member).Post(list+"bulk_approve/", body("items", []any{})).Expect(http.StatusForbidden)
	w.As(w.Approver).Put(one(p.ID, ""), body()).Refused(http.StatusMethodNotAllowed, "method_not_allowed")
	tokens := w.Snapshot() // signing in writes to the audit log
	for _, table := range []string{"payments", "decisions", "events", "invoices"} {
		equal(t, table, tokens[table], before[table])
	}
}
