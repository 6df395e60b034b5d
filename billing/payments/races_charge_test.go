package payments_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/gateways"
	"countersign/billing/ledger"
	"countersign/billing/payments"
	"countersign/internal/database"
	"countersign/internal/testkit"
)

// chargedTwice is charged, served by two processes.
func chargedTwice(t *testing.T) (*billingtest.World, []*billingtest.World) {
	t.Helper()
	w := charged(t)
	second, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, MaxConns: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { second.Close() })
	return w, []*billingtest.World{w, w.Replica(second)}
}

// TestRaceOfCharges: fifty equal charges at once over two processes are one call, one payment and fifty equal answers
// (S1-13, S1-34, S1-45).
func TestRaceOfCharges(t *testing.T) {
	t.Parallel()
	for _, token := range []string{"tok_slow", "tok_decline"} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			w, both := chargedTwice(t)
			slowly := true
			if _, err := w.Gateways.Configure(w.System, gateways.ConfigureInput{Name: "sandbox", IsEnabled: &slowly, Settings: map[string]any{"slow_ms": "300", "callback_delay_ms": "0"}}); err != nil {
				t.Fatal(err)
			}
			for _, p := range both {
				p.Member.Token()
			}
			in := order(token)
			answers := atOnce(50, func(i int) testkit.Answer { return both[i%2].As(w.Member).Post(charges, in) })
			var first *testkit.Answer
			for i, a := range answers {
				if a.Header.Get("Idempotent-Replayed") == "" {
					if first != nil {
						t.Errorf("two answers are no repetition: %s and %s", first.Raw, a.Raw)
					}
					first = &answers[i]
				}
			}
			if first == nil {
				t.Fatal("all answers are repetitions")
			}
			for i := range answers {
				if &answers[i] != first {
					same(t, *first, answers[i])
				}
			}
			equal(t, "calls", calls(t, w, uuid.MustParse(first.Text("data.id")), "begin"), 1)
			equal(t, "payments", count(t, "SELECT count(*) FROM payments WHERE tenant_id = ?", w.Tenant.ID), 1)
			w.AssertBooks(t)
		})
	}
}

// TestChargeIsVisibleBeforeTheCall: the key and the payment are committed while the provider hangs, and whoever repeats the
// request meanwhile is told to wait (S1-35, S1-38, S1-46).
func TestChargeIsVisibleBeforeTheCall(t *testing.T) {
	t.Parallel()
	w := charged(t)
	reached, release := make(chan struct{}), make(chan struct{})
	slow := pausing(w, func(_ context.Context, point string) {
		if strings.HasPrefix(point, "1") {
			close(reached)
			<-release
		}
	})
	once := keyOf(t, w, "hanging", "x")
	done := make(chan error, 1)
	go func() {
		_, err := slow.Charge(w.Member.Ctx, chargeInput(once))
		done <- err
	}()
	<-reached
	equal(t, "keys without an answer", count(t, "SELECT count(*) FROM idempotency_keys WHERE tenant_id = ? AND answer IS NULL AND subject_id IS NOT NULL", w.Tenant.ID), 1)
	equal(t, "payments", count(t, "SELECT count(*) FROM payments WHERE tenant_id = ? AND status = 'created'", w.Tenant.ID), 1)
	ctx, cancel := context.WithTimeout(w.Member.Ctx, 5*time.Second+100*time.Millisecond)
	defer cancel()
	_, err := w.Payments.Charge(ctx, chargeInput(keyOf(t, w, "hanging", "x")))
	if err == nil || !strings.Contains(err.Error(), "idempotency_in_progress") {
		t.Errorf("a repetition meanwhile: %v", err)
	}
	_, err = w.Payments.Charge(w.Member.Ctx, chargeInput(keyOf(t, w, "hanging", "y")))
	if err == nil || !strings.Contains(err.Error(), "idempotency_key_reused") {
		t.Errorf("another request meanwhile: %v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	reply, err := w.Payments.Charge(w.Member.Ctx, chargeInput(keyOf(t, w, "hanging", "x")))
	if err != nil || reply.Charge.Status != "succeeded" {
		t.Errorf("afterwards: %v %+v", err, reply)
	}
	w.AssertBooks(t)
}

// TestCrashOfACharge stops a charge at every point between a key that is claimed and its answer, and repeats the request:
// there is one call that acts, one payment and one posting (S1-36, S1-48, C-20).
func TestCrashOfACharge(t *testing.T) {
	t.Parallel()
	for point, calls := range map[string]string{"1": "acted", "2": "acted read", "3": "acted read", "4": "acted"} {
		for _, invoiced := range []bool{false, true} {
			t.Run(fmt.Sprintf("point %s, invoice %t", point, invoiced), func(t *testing.T) {
				t.Parallel()
				w := charged(t)
				var crashed atomic.Bool
				doomed := pausing(w, func(_ context.Context, at string) {
					if strings.HasPrefix(at, point) && !crashed.Swap(true) {
						panic("the process dies")
					}
				})
				in := chargeInput(keyOf(t, w, "crash", "x"))
				if invoiced {
					in.Invoice, in.AllowCredit = w.OpenInvoice("8.00").ID.String(), true
				}
				func() {
					defer func() { recover() }()
					doomed.Charge(w.Member.Ctx, in)
				}()
				if !crashed.Load() {
					t.Fatal("it does not come to that point")
				}
				w.Clock.Move(2 * time.Minute) // the lease of the dead is over
				in.Once = keyOf(t, w, "crash", "x")
				reply, err := w.Payments.Charge(w.Member.Ctx, in)
				if err != nil || reply.Charge.Status != "succeeded" {
					t.Fatalf("the repetition: %v %+v", err, reply)
				}
				list, err := w.Sandbox.Calls(w.System, uuid.MustParse(reply.Charge.ID))
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, c := range list {
					got = append(got, c.Outcome)
				}
				equal(t, "what the provider was asked", strings.Join(got, " "), calls)
				equal(t, "clearing", w.Balance(ledger.Clearing("sandbox", "USD")), int64(1000))
				equal(t, "events", count(t, "SELECT count(*) FROM events WHERE tenant_id = ? AND type = 'payment.succeeded'", w.Tenant.ID), 1)
				w.AssertBooks(t)
			})
		}
	}
}

func TestChargeOfAnInvoice(t *testing.T) {
	t.Parallel()
	w := charged(t)
	inv := w.OpenInvoice("8.00")
	refused := w.As(w.Member).Post(charges, order("tok_visa", "invoice_id", inv.ID)) // S2-88
	refused.Refused(http.StatusBadRequest, "overpayment")
	equal(t, "the field", refused.At("errors.amount_cents") != nil, true)
	a := w.As(w.Member).Post(charges, order("tok_visa", "invoice_id", inv.ID, "allow_credit", true)).Expect(http.StatusCreated)
	equal(t, "applied", a.At("data.applied_amount"), any("8.00"))
	equal(t, "credit", a.At("data.credit_amount"), any("2.00"))
	equal(t, "the invoice", string(w.Invoice(inv.ID).Status), "paid")
	equal(t, "receivable", w.Balance(ledger.Receivable(w.Account.ID, "USD")), int64(0))
	w.As(w.Member).Post(charges, order("tok_visa", "invoice_id", inv.ID)).Refused(http.StatusBadRequest, "invoice_already_paid")
	theirs := w.OpenInvoice("8.00")
	w.As(w.OtherMember).Post(charges, order("tok_visa", "invoice_id", theirs.ID)).Refused(http.StatusNotFound, "invoice_not_found")
	w.As(w.Owner).Post(charges, order("tok_visa", "invoice_id", theirs.ID, "account_id", w.Other.ID)).Refused(http.StatusBadRequest, "account_differs")
	w.As(w.Owner).Post(charges, order("tok_visa", "account_id", w.Account.ID, "prepayment", true)).Expect(http.StatusCreated)
	equal(t, "credit", w.Balance(ledger.CustomerCredit(w.Account.ID, "USD")), int64(-1200))
	nobodys := w.As(w.Owner).Post(charges, order("tok_visa")).Expect(http.StatusCreated)
	equal(t, "the account", nobodys.At("data.account_id"), nil)
	w.As(w.Member).Get(one(idOf(nobodys), "")).Refused(http.StatusNotFound, "not_found")
	w.As(w.Owner).Get(one(idOf(nobodys), "")).Expect(http.StatusOK)
	w.As(w.Owner).Post(charges, order("tok_visa", "prepayment", true)).Refused(http.StatusBadRequest, "invalid_prepayment")
	w.AssertBooks(t)
}

// TestKeysOfCharges: a key is one tenant's and one operation's (S1-47).
func TestKeysOfCharges(t *testing.T) {
	t.Parallel()
	w, neighbour := charged(t), charged(t)
	in := order("tok_visa", "capture", false)
	a := w.As(w.Owner).Post(charges, in).Expect(http.StatusCreated)
	b := neighbour.As(neighbour.Owner).Post(charges, in).Expect(http.StatusCreated)
	if a.Text("data.id") == b.Text("data.id") || b.Header.Get("Idempotent-Replayed") != "" {
		t.Error("two tenants share a key")
	}
	key := in["idempotency_key"].(string)
	neighbour.As(neighbour.Owner).With("Idempotency-Key", key).Post(one(idOf(a), "capture/"), body()).Refused(http.StatusNotFound, "not_found")
	w.As(w.Owner).With("Idempotency-Key", key).Post(one(idOf(a), "capture/"), body()).Expect(http.StatusOK)
	status(t, w, idOf(a), payments.StatusSucceeded)
	status(t, neighbour, idOf(b), payments.StatusAuthorized)
}
