package subscriptions

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"countersign/tenancy"
)

func day(text string) time.Time {
	d, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return d
}

func TestMonths(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		starts      string
		n           int
		first, last string
	}{
		{"2026-11-24", 1, "2026-11-24", "2026-12-23"},
		{"2026-11-24", 2, "2026-12-24", "2027-01-23"},
		{"2026-01-31", 1, "2026-01-31", "2026-02-27"},
		{"2026-01-31", 2, "2026-02-28", "2026-03-30"},
		{"2026-01-31", 3, "2026-03-31", "2026-04-29"},
		{"2028-01-31", 2, "2028-02-29", "2028-03-30"},
		{"2028-02-29", 13, "2029-02-28", "2029-03-28"},
		{"2028-02-29", 49, "2032-02-29", "2032-03-28"},
		{"2026-01-01", 12, "2026-12-01", "2026-12-31"},
	} {
		s := &Subscription{StartsOn: day(tt.starts)}
		if first, last := s.month(tt.n); !first.Equal(day(tt.first)) || !last.Equal(day(tt.last)) {
			t.Errorf("month %d from %s is %s to %s, want %s to %s", tt.n, tt.starts, first.Format(time.DateOnly), last.Format(time.DateOnly), tt.first, tt.last)
		}
	}
}

// TestMonthsFollowOneAnother: whenever a subscription begins, no day of it is left out and none is in two months.
func TestMonthsFollowOneAnother(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s := &Subscription{StartsOn: day("2024-01-01").AddDate(0, 0, rapid.IntRange(0, 3000).Draw(rt, "day"))}
		n := rapid.IntRange(1, 600).Draw(rt, "month")
		first, last := s.month(n)
		next, _ := s.month(n + 1)
		if days := last.Sub(first)/(24*time.Hour) + 1; days < 28 || days > 31 || !next.Equal(last.AddDate(0, 0, 1)) {
			rt.Fatalf("month %d is %s to %s, %d days, and the next begins on %s", n, first, last, days, next)
		}
	})
}

// TestDueAt: a month is due as its first day begins where the tenant is, also where clocks were changed.
func TestDueAt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ zone, starts, want string }{
		{"Asia/Dhaka", "2026-01-29", "2026-03-28T18:00:00Z"},
		{"America/New_York", "2026-01-29", "2026-03-29T04:00:00Z"},
		{"Europe/Berlin", "2026-01-29", "2026-03-28T23:00:00Z"},
		{"America/Havana", "2026-01-08", "2026-03-08T05:00:00Z"},   // from midnight to one o'clock
		{"America/Santiago", "2026-07-06", "2026-09-06T04:00:00Z"}, // the same
		{"Asia/Beirut", "2026-01-29", "2026-03-28T22:00:00Z"},      // the same
	} {
		loc, err := time.LoadLocation(tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		s := &Subscription{StartsOn: day(tt.starts)}
		if got := s.dueAt(3, loc); got.UTC().Format(time.RFC3339) != tt.want || !(&tenancy.Tenant{Timezone: tt.zone}).Today(got).Equal(s.firstDay(3)) {
			t.Errorf("in %s it is due at %s, want %s", tt.zone, got.UTC().Format(time.RFC3339), tt.want)
		}
	}
}
