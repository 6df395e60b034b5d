package subscriptions_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/accounts"
	"countersign/billing/billingtest"
)

// body is what a client sends for a subscription of the first customer's, with pairs added, changed, or left out where they are nil.
func body(w *billingtest.World, source uuid.UUID, pairs ...any) map[string]any {
	m := map[string]any{"account_id": w.Account.ID.String(), "description": "Hosting", "unit_price": "12.00", "payment_source": source.String()}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
		if pairs[i+1] == nil {
			delete(m, pairs[i].(string))
		}
	}
	return m
}

func TestCreate(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	source := card(t, w, w.Account, "tok_visa")
	owner := w.As(w.Owner).With("Idempotency-Key", "one")
	first := owner.Post(base, body(w, source, "tax_rate", "0.1", "quantity", "1.5")).Expect(http.StatusCreated)
	again := owner.Post(base, body(w, source, "tax_rate", "0.1", "quantity", "1.5")).Expect(http.StatusCreated)
	equal(t, "the same request gives", again.Text("data.id"), first.Text("data.id"))
	equal(t, "a replay says so", again.Header.Get("Idempotent-Replayed"), "true")
	owner.Post(base, body(w, source)).Refused(http.StatusConflict, "idempotency_key_reused")
	equal(t, "amount", [2]any{first.Text("data.amount"), first.Int("data.amount_minor")}, [2]any{"19.80", int64(1980)})
	equal(t, "day", first.Text("data.starts_on"), w.Tenant.Today(w.Clock.Now()).Format(time.DateOnly))
	equal(t, "status", first.Text("data.status"), "active")
	equal(t, "subscriptions", w.As(w.Viewer).Get(base).Expect(http.StatusOK).Int("count"), int64(1))
	equal(t, "audit log", w.Audited("subscription."), []string{"subscription.create"})
}

func TestCreateRefused(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	foreign := monthly(t)
	source, others, theirs := card(t, w, w.Account, "tok_visa"), card(t, w, w.Other, "tok_visa"), card(t, foreign, foreign.Account, "tok_visa")
	bare := uuid.MustParse(w.As(w.Member).Post(billingtest.Base+"/billing/payment-methods/", map[string]any{"payment_method": "card", "display_name": "No token"}).Expect(http.StatusCreated).Text("data.id"))
	today := w.Tenant.Today(w.Clock.Now())
	day := func(d time.Time) string { return d.Format(time.DateOnly) }
	owner := w.As(w.Owner)
	before := w.Snapshot()
	n := 0
	refuse := func(why, field string, body map[string]any) {
		t.Helper()
		n++
		got := owner.With("Idempotency-Key", "refused-"+strings.Repeat("x", n)).Post(base, body).Expect(http.StatusBadRequest)
		if told, ok := got.At("errors." + field + ".0").(string); !ok || !strings.Contains(told, why) {
			t.Errorf("%v is refused with %s, want %q at %s", body, got.Raw, why, field)
		}
	}
	refuse("no such saved payment method", "payment_source", body(w, others))
	refuse("no such saved payment method", "payment_source", body(w, theirs))
	refuse("no such saved payment method", "payment_source", body(w, bare))
	refuse("no such saved payment method", "payment_source", body(w, uuid.New()))
	refuse("not an id", "payment_source", body(w, source, "payment_source", "tok_visa"))
	refuse("no such account", "account_id", body(w, source, "account_id", foreign.Account.ID.String()))
	refuse("ISO 4217", "currency", body(w, source, "currency", "XQX"))
	refuse("more than zero", "unit_price", body(w, source, "unit_price", "0"))
	refuse("more than zero", "unit_price", body(w, source, "unit_price", "0.001"))
	refuse("below zero", "unit_price", body(w, source, "unit_price", "-1"))
	refuse("more than zero", "quantity", body(w, source, "quantity", "0"))
	refuse("tax rate", "tax_rate", body(w, source, "tax_rate", "1.1"))
	refuse("too large", "unit_price", body(w, source, "unit_price", "99999999999999"))
	refuse("today or later", "starts_on", body(w, source, "starts_on", day(today.AddDate(0, 0, -1))))
	refuse("today or later", "starts_on", body(w, source, "starts_on", day(today.AddDate(1, 0, 1))))
	refuse("not a date", "starts_on", body(w, source, "starts_on", "2026-02-30"))
	refuse("required", "description", body(w, source, "description", nil))
	owner.Post(base, body(w, source)).Refused(http.StatusBadRequest, "idempotency_key_required")
	equal(t, "rows", w.Snapshot(), before)
	for _, p := range []*billingtest.Person{w.Finance, w.Viewer, w.Member} {
		w.As(p).With("Idempotency-Key", "mine").Post(base, body(w, source)).Expect(http.StatusForbidden)
	}
	closed := false
	if _, err := w.Accounts.UpdateAccount(w.Owner.Ctx, w.Account.ID.String(), accounts.UpdateAccountInput{IsActive: &closed}); err != nil {
		t.Fatal(err)
	}
	owner.With("Idempotency-Key", "closed").Post(base, body(w, source)).Refused(http.StatusConflict, "account_inactive")
	equal(t, "subscriptions", count(t, w, "SELECT count(*) FROM subscriptions WHERE tenant_id = ?"), 0)
}

// TestCancel: no further month is billed, what was billed stays, and nobody else can do it.
func TestCancel(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	foreign := monthly(t)
	id := subscribe(t, w, "tok_visa")
	if err := w.Subscriptions.Renew(w.System); err != nil {
		t.Fatal(err)
	}
	cancel := base + id.String() + "/cancel/"
	foreign.As(foreign.Owner).Post(cancel, "{}").Expect(http.StatusNotFound)
	foreign.As(foreign.Owner).Get(base + id.String() + "/").Expect(http.StatusNotFound)
	w.As(w.OtherMember).Get(base + id.String() + "/").Expect(http.StatusNotFound)
	equal(t, "what another customer sees", w.As(w.OtherMember).Get(base).Expect(http.StatusOK).Int("count"), int64(0))
	for _, p := range []*billingtest.Person{w.Finance, w.Viewer, w.Member} {
		w.As(p).Post(cancel, "{}").Expect(http.StatusForbidden)
	}
	owner := w.As(w.Owner).With("Idempotency-Key", "cancel")
	got := owner.Post(cancel, map[string]any{"reason": "He has moved"}).Expect(http.StatusOK)
	equal(t, "cancelled", [3]any{got.Text("data.status"), got.Text("data.cancel_reason"), got.At("data.next_month_on")}, [3]any{"cancelled", "He has moved", nil})
	equal(t, "replayed", owner.Post(cancel, map[string]any{"reason": "He has moved"}).Expect(http.StatusOK).Header.Get("Idempotent-Replayed"), "true")
	w.As(w.Owner).Post(cancel, "{}").Refused(http.StatusConflict, "subscription_cancelled")
	work(t, w)
	equal(t, "what was billed is charged", asked(t, w), 1)
	w.Clock.Move(2 * month)
	work(t, w)
	equal(t, "months", len(billed(t, w, id)), 1)
	equal(t, "events", w.Events("subscription."), []string{"subscription.created", "subscription.renewed", "subscription.cancelled"})
	w.AssertBooks(t)
}

// TestCancelWhileItRenews: whoever comes first, a month is billed wholly or not at all, and none after it was cancelled.
func TestCancelWhileItRenews(t *testing.T) {
	t.Parallel()
	w := monthly(t)
	var ids []uuid.UUID
	for range 8 {
		ids = append(ids, subscribe(t, w, "tok_visa"))
	}
	owner := w.As(w.Owner)
	atOnce(t, 9, func(i int) error {
		if i == 8 {
			return w.Subscriptions.Renew(w.System)
		}
		owner.Post(base+ids[i].String()+"/cancel/", "{}").Expect(http.StatusOK)
		return nil
	})
	w.Clock.Move(month)
	work(t, w)
	equal(t, "months after the cancellation", count(t, w, "SELECT count(*) FROM subscription_months m JOIN subscriptions s ON s.tenant_id = ?0 AND s.id = m.subscription_id WHERE m.tenant_id = ?0 AND m.month > 1"), 0)
	equal(t, "invoices", count(t, w, "SELECT count(*) FROM invoices WHERE tenant_id = ?"), count(t, w, "SELECT count(*) FROM subscription_months WHERE tenant_id = ?"))
	w.AssertBooks(t)
}

// TestProofs breaks what subscriptions and invoices say of each other, past all guards, and sees that it is found.
func TestProofs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ query, check, says string }{
		"a month that was lost":       {"DELETE FROM subscription_months WHERE tenant_id = ? AND month = 1", "subscriptions.E001", "2 months are billed, and there are 1"},
		"a month that was not billed": {"UPDATE subscriptions SET months_billed = 3 WHERE tenant_id = ?", "subscriptions.E001", "3 months are billed, and there are 2"},
		"a price that was changed":    {"UPDATE subscriptions SET amount_minor = 1 WHERE tenant_id = ?", "subscriptions.E002", "agreed were 1 USD"},
		"a payment of another month":  {"UPDATE subscription_months m SET payment_id = (SELECT payment_id FROM subscription_months o WHERE o.tenant_id = m.tenant_id AND o.month = 1) WHERE tenant_id = ? AND month = 2", "subscriptions.E003", "is not of invoice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := monthly(t)
			subscribe(t, w, "tok_visa")
			work(t, w)
			w.Clock.Move(month)
			work(t, w)
			w.AssertBooks(t)
			w.Tamper(tt.query)
			found := w.Verify()[tt.check]
			if found == nil || !strings.Contains(found.What, tt.says) || found.Hint == "" {
				t.Errorf("%s says %+v", tt.check, found)
			}
		})
	}
}
