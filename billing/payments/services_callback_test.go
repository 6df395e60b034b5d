package payments_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/gateways"
	"countersign/billing/payments"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// orphan stores a message of acme's as one whose program died before it had its effect.
func (a acme) orphan(t *testing.T, secret, text string) *gateways.Inbound {
	t.Helper()
	parts := strings.Split(strings.Trim(a.path, "/"), "/")
	ctx, access, err := a.w.Gateways.Endpoint(t.Context(), "integrator", parts[len(parts)-1])
	if err != nil {
		t.Fatal(err)
	}
	now := a.w.Clock.Now()
	in := gateways.Callback{Method: http.MethodPost, Body: []byte(text), Arrived: now,
		Header: http.Header{"Countersign-Signature": {gateways.Sign(secret, now, []byte(text))}}}
	m, err := access.Gateway.HandleCallback(ctx, access.Credentials, in)
	if err != nil {
		t.Fatal(err)
	}
	e, err := a.w.Gateways.Receive(ctx, access, in, m)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestRedoCallbacks: a provider that has handed over its message need not come again. What the message says has its effect
// once, however its program ended (S1-02, S1-37).
func TestRedoCallbacks(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (*billingtest.World, acme, uuid.UUID, string) {
		w := billingtest.New(t)
		a := newAcme(t, w)
		id := idOf(w.As(w.Owner).Post(charges, order("", "gateway", "acme", "account_id", w.Account.ID)).Expect(http.StatusCreated))
		return w, a, id, `{"id":"m1","payment_id":"` + id.String() + `","reference":"A-1","status":"succeeded","amount_minor":1000,"currency":"USD"}`
	}
	redo := func(t *testing.T, w *billingtest.World) {
		t.Helper()
		if err := w.Payments.RedoCallbacks(w.System); err != nil {
			t.Fatal(err)
		}
	}
	stands := func(t *testing.T, w *billingtest.World, want string) {
		t.Helper()
		var got string
		if err := testkit.OwnerDB(t).NewRaw("SELECT string_agg(status || ' ' || attempts || CASE WHEN redo_at IS NULL THEN '' ELSE ' again' END, ', ') FROM inbound_events WHERE tenant_id = ?", w.Tenant.ID).Scan(t.Context(), &got); err != nil {
			t.Fatal(err)
		}
		equal(t, "the message", got, want)
	}
	waiting := func(t *testing.T, w *billingtest.World) bool {
		t.Helper()
		var tenants []uuid.UUID
		err := tenancy.Observe(t.Context(), testkit.DB(t), func(ctx context.Context, tx bun.Tx) (err error) {
			tenants, err = gateways.TenantsToRedo(ctx, tx)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return slices.Contains(tenants, w.Tenant.ID)
	}
	t.Run("whoever took it has died", func(t *testing.T) {
		t.Parallel()
		w, a, id, text := begin(t)
		n := billingtest.New(t)
		a.orphan(t, acmeSecret, text)
		redo(t, w) // he may still be at work
		status(t, w, id, payments.StatusPending)
		w.Clock.Move(time.Minute)
		equal(t, "work waits", waiting(t, w), true) // by the database's clock, which is ahead
		redo(t, n)
		status(t, w, id, payments.StatusPending)
		for _, err := range atOnce(10, func(int) error { return w.Payments.RedoCallbacks(w.System) }) {
			if err != nil {
				t.Error(err)
			}
		}
		status(t, w, id, payments.StatusSucceeded)
		equal(t, "work waits", waiting(t, w), false)
		before := w.Snapshot()
		redo(t, w)
		a.tell(acmeSecret, text).Expect(http.StatusOK)
		unchanged(t, w, before)
		equal(t, "events", events(w), []string{"created", "updated", "succeeded", "updated"})
		equal(t, "posted", count(t, "SELECT count(*) FROM ledger_transactions WHERE tenant_id = ?", w.Tenant.ID), 1)
		w.AssertBooks(t)
	})
	t.Run("it comes again before its time", func(t *testing.T) {
		t.Parallel()
		w, a, id, text := begin(t)
		a.orphan(t, acmeSecret, text)
		a.tell(acmeSecret, text).Expect(http.StatusOK)
		status(t, w, id, payments.StatusSucceeded)
		w.Clock.Move(time.Hour)
		before := w.Snapshot()
		redo(t, w)
		unchanged(t, w, before)
	})
	t.Run("it fails, less and less often, for two days", func(t *testing.T) {
		t.Parallel()
		w, a, _, text := begin(t)
		e := a.orphan(t, acmeSecret, text)
		var waits []time.Duration
		for range 60 {
			if err := w.Gateways.Fail(w.System, e.ID, errors.New("the disk is full")); err != nil {
				t.Fatal(err)
			}
			var at bun.NullTime
			if err := testkit.OwnerDB(t).NewRaw("SELECT redo_at FROM inbound_events WHERE tenant_id = ?", w.Tenant.ID).Scan(t.Context(), &at); err != nil {
				t.Fatal(err)
			}
			if at.IsZero() {
				break
			}
			wait := at.Sub(w.Clock.Now())
			waits = append(waits, wait)
			w.Clock.Move(wait)
		}
		equal(t, "the first", waits[:8], []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour})
		if gone := w.Clock.Now().Sub(billingtest.Start); len(waits) > 60 || gone < 48*time.Hour || gone > 50*time.Hour {
			t.Errorf("given up after %d times and %s", len(waits), gone)
		}
	})
	t.Run("what it proved then is proven no more, until it comes again", func(t *testing.T) {
		t.Parallel()
		w, a, id, text := begin(t)
		a.orphan(t, acmeSecret, text)
		const changed = "another secret of acme's processor"
		w.As(w.Owner).Put(base+"/gateways/acme/", body("gateway", "integrator", "is_enabled", true, "secrets", body("shared_secret", changed))).Expect(http.StatusOK)
		w.Clock.Move(time.Minute)
		redo(t, w)
		status(t, w, id, payments.StatusPending)
		stands(t, w, "failed 1 again")
		a.tell(changed, text).Expect(http.StatusOK)
		status(t, w, id, payments.StatusSucceeded)
		w.AssertBooks(t)
	})
	t.Run("one that cannot be done holds back no other", func(t *testing.T) {
		t.Parallel()
		w, a, id, text := begin(t)
		e := a.orphan(t, acmeSecret, strings.Replace(text, "m1", "m0", 1))
		w.Tamper("UPDATE inbound_events SET payload = 'garbage' WHERE tenant_id = ? AND id = ?", e.ID)
		a.orphan(t, acmeSecret, text)
		w.Clock.Move(time.Minute)
		redo(t, w)
		status(t, w, id, payments.StatusSucceeded)
		w.AssertBooks(t)
	})
}
