package web_test

import (
	"errors"
	"testing"
	"time"

	"countersign/internal/errs"
	"countersign/internal/web"
)

func TestParseInstant(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-01-31":                       "2026-01-31T00:00:00.000000Z",
		"2026-01-31T13:45:00Z":             "2026-01-31T13:45:00.000000Z",
		"2026-01-31T13:45:00.123456789Z":   "2026-01-31T13:45:00.123456Z",
		"2026-01-31T13:45:00+05:30":        "2026-01-31T08:15:00.000000Z",
		"2026-01-31T00:00:00+14:00":        "2026-01-30T10:00:00.000000Z",
		"1900-01-01T00:00:00Z":             "1900-01-01T00:00:00.000000Z",
		"9999-12-31T23:59:59.999999Z":      "9999-12-31T23:59:59.999999Z",
		"2024-02-29T12:00:00-12:00":        "2024-03-01T00:00:00.000000Z",
		"2026-01-31T13:45:00.000000-00:00": "2026-01-31T13:45:00.000000Z",
	} {
		if got, err := web.ParseInstant(text); err != nil || web.Time(got) != want {
			t.Errorf("%s is %s, %v; want %s", text, web.Time(got), err, want)
		}
	}
	for _, text := range []string{"", " ", "now", "yesterday", "2026-02-29", "2026-13-01", "0000-01-01", "0001-01-01", "1899-12-31", "10000-01-01", "+10000-01-01", "-0001-01-01",
		"2026-1-1", "20260101", "2026-01-01T25:00:00Z", "2026-01-01T24:00:00Z", "2026-06-30T23:59:60Z", "2026-01-01T00:00:00", "2026-01-01T00:00Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+14:01",
		"2026-01-01T00:00:00+0530", "2026-01-01T00:00:00 05:30", "2026-01-01T1:00:00Z", "2026-01-01T00:00:00,5Z", "2026-01-01t00:00:00z", "2026-01-01 00:00:00Z", "1767225600",
		"9999-12-31T23:59:59-01:00", "1900-01-01T00:00:00+01:00", "0000-01-01T00:00:00Z", "2026-01-01\x00", "infinity"} {
		if got, err := web.ParseInstant(text); !errors.Is(err, web.ErrNotATime) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
}

func TestParseDate(t *testing.T) {
	t.Parallel()
	if got, err := web.ParseDate("2024-02-29"); err != nil || !got.Equal(time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, text := range []string{"", "2026-02-29", "0000-01-01", "1899-12-31", "10000-01-01", "2026-01-01T00:00:00Z", "01.02.2026", "2026-1-1"} {
		if got, err := web.ParseDate(text); !errors.Is(err, web.ErrNotADate) {
			t.Errorf("%q is %v, %v", text, got, err)
		}
	}
}

func TestValidate_dates(t *testing.T) {
	t.Parallel()
	type request struct {
		Day string `json:"day" validate:"omitempty,datetime=2006-01-02"`
	}
	for text, want := range map[string]*errs.Error{"2026-01-31": nil, "": nil, "0000-01-31": web.ErrNotADate, "9999-12-31": nil, "2026-01-32": web.ErrNotADate} {
		if err := web.Validate(request{text}); !problem(err, "day", want) {
			t.Errorf("%q: got %v, want %v", text, err, want)
		}
	}
}

// FuzzParseInstant: what is read can be stored and is read again from how it is shown.
func FuzzParseInstant(f *testing.F) {
	for _, seed := range []string{"2026-01-31", "2026-01-31T13:45:00+05:30", "0000-01-01", "9999-12-31T23:59:59-14:00", "2026-06-30T23:59:60Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := web.ParseInstant(text)
		if err != nil {
			if !errors.Is(err, web.ErrNotATime) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := web.ParseInstant(web.Time(got))
		if err != nil || !again.Equal(got) || got.Year() < 1900 || got.Year() > 9999 || got.Nanosecond()%1000 != 0 {
			t.Fatalf("%q is %v and then %v, %v", text, got, again, err)
		}
	})
}
