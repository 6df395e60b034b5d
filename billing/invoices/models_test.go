package invoices_test

import (
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"countersign/billing/invoices"
	"countersign/internal/testkit"
)

func TestCanBecome(t *testing.T) {
	t.Parallel()
	t.Run("knows the same edges as the database", func(t *testing.T) {
		t.Parallel()
		var source string
		if err := testkit.OwnerDB(t).NewRaw("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'invoices_transition'").Scan(t.Context(), &source); err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for _, edge := range regexp.MustCompile(`'(\w+) (\w+)'`).FindAllStringSubmatch(source, -1) {
			want = append(want, edge[1]+" to "+edge[2])
		}
		for _, from := range invoices.Statuses() {
			for _, to := range invoices.Statuses() {
				if from.CanBecome(to) {
					got = append(got, string(from)+" to "+string(to))
				}
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestIsOverdue(t *testing.T) {
	t.Parallel()
	dhaka, err := time.LoadLocation("Asia/Dhaka")
	if err != nil {
		t.Fatal(err)
	}
	due := time.Date(2026, 2, 20, 0, 0, 0, 0, time.UTC)
	end := time.Date(2026, 2, 21, 0, 0, 0, 0, dhaka)
	tests := []struct {
		name   string
		now    time.Time
		change func(*invoices.Invoice)
		want   bool
	}{
		{"not on the day it is due, until it ends where the tenant is", end, nil, false},
		{"as soon as the day has ended there", end.Add(time.Second), nil, true},
		{"a partial payment does not help", end.Add(time.Second), func(i *invoices.Invoice) { i.Status = invoices.StatusPartiallyPaid }, true},
		{"a pending claim stops the clock", end.AddDate(1, 0, 0), func(i *invoices.Invoice) { i.PendingClaims = 1 }, false},
		{"the time that it stood is added", end.Add(time.Hour), func(i *invoices.Invoice) { i.ClockPausedFor = time.Hour }, false},
		{"and no more than that", end.Add(time.Hour + time.Second), func(i *invoices.Invoice) { i.ClockPausedFor = time.Hour }, true},
		{"a draft is never overdue", end.AddDate(1, 0, 0), func(i *invoices.Invoice) { i.Status = invoices.StatusDraft }, false},
		{"nor a paid one", end.AddDate(1, 0, 0), func(i *invoices.Invoice) { i.Status, i.BalanceMinor = invoices.StatusPaid, 0 }, false},
		{"nor a void one", end.AddDate(1, 0, 0), func(i *invoices.Invoice) { i.Status, i.BalanceMinor = invoices.StatusVoid, 0 }, false},
		{"nor one that was given up", end.AddDate(1, 0, 0), func(i *invoices.Invoice) { i.Status = invoices.StatusUncollectible }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inv := &invoices.Invoice{Status: invoices.StatusOpen, BalanceMinor: 1, DueDate: due}
			if tt.change != nil {
				tt.change(inv)
			}
			if got := inv.IsOverdue(tt.now, dhaka); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
