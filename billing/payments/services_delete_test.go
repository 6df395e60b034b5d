package payments_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/ledger"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// pendingCash is cash that somebody has taken and nobody has completed.
func pendingCash(t *testing.T, w *billingtest.World, by *billingtest.Person, pairs ...any) uuid.UUID {
	t.Helper()
	a := w.As(by).Post(list, cash(w, pairs...)).Expect(http.StatusCreated)
	equal(t, "status", a.Text("data.status"), "pending")
	return idOf(a)
}

// TestDeleteOfCash deletes cash that nobody has completed (S0-74, C-11): nobody sees it any more, nothing counts it, and who did it
// and what it was stays.
func TestDeleteOfCash(t *testing.T) {
	t.Parallel()
	w, neighbour := billingtest.New(t), billingtest.New(t)
	cashier, colleague := w.Join("cashier", auth.RoleCashier, nil), w.Join("cashier2", auth.RoleCashier, nil)
	inv, reference := w.OpenInvoice("10.00"), w.Reference()
	id := pendingCash(t, w, cashier, "invoice_id", inv.ID.String(), "reference", reference)
	shown := w.As(w.Member).Get(one(id, "")).Expect(http.StatusOK)
	equal(t, "claims", w.Invoice(inv.ID).PendingClaims, 1)
	for _, p := range []*billingtest.Person{colleague, w.Member, w.OtherMember, w.Viewer, w.Owner, neighbour.Owner} {
		p.Token()
	}
	before := w.Snapshot()
	w.As(colleague).Delete(one(id, "")).Refused(http.StatusForbidden, "not_submitter")
	w.As(w.Member).Delete(one(id, "")).Refused(http.StatusForbidden, "not_submitter") // who has paid it, but not recorded it
	w.As(w.OtherMember).Delete(one(id, "")).Refused(http.StatusNotFound, "not_found")
	w.As(w.Viewer).Delete(one(id, "")).Refused(http.StatusForbidden, "permission_denied")
	w.As(neighbour.Owner).Delete(one(id, "")).Refused(http.StatusNotFound, "not_found")
	unchanged(t, w, before)

	w.Clock.Move(3 * time.Hour)
	since := len(events(w))
	w.As(cashier).Delete(one(id, "")).Expect(http.StatusNoContent)
	equal(t, "events", events(w)[since:], []string{"deleted", "updated"})
	state := func(status string, version string) map[string]any {
		return body("status", status, "amount_minor", json.Number("1000"), "currency", "USD", "version", json.Number(version))
	}
	was, is := state("pending", "2"), state("cancelled", "3")
	is["deleted"] = true
	for _, name := range []string{"payment.deleted", "payment.updated"} {
		told := w.As(w.Owner).Get(base + "/events/?type=" + name + "&object_id=" + id.String()).Expect(http.StatusOK)
		equal(t, name+": before", told.At("results.0.payload.before"), any(was))
		equal(t, name+": after", told.At("results.0.payload.after"), any(is))
		equal(t, name+": status", told.Text("results.0.payload.status"), "cancelled")
		equal(t, name+": who", told.Text("results.0.actor"), "cashier@people.test")
	}
	record := w.As(w.Owner).Get(base + "/audit-log/?object_id=" + id.String()).Expect(http.StatusOK)
	for path, want := range map[string]any{"action": "payment.delete", "actor.label": "cashier@people.test", "reason": "Receipt " + shown.Text("data.receipt_number"), "before": was, "after": is} {
		equal(t, "audit: "+path, record.At("results.0."+path), want)
	}
	equal(t, "the row", count(t, "SELECT count(*) FROM payments WHERE tenant_id = ? AND id = ? AND deleted_at = cancelled_at AND updated_at = deleted_at AND version = 3", w.Tenant.ID, id), 1)

	after := w.Invoice(inv.ID)
	equal(t, "claims", after.PendingClaims, 0)
	equal(t, "the clock goes on", after.ClockPausedAt.IsZero(), true)
	equal(t, "and stood for", after.ClockPausedFor, 3*time.Hour)
	for _, p := range []*billingtest.Person{cashier, w.Member, w.Owner} {
		c := w.As(p)
		for _, path := range []string{one(id, ""), one(id, "status/"), one(id, "events/"), base + "/transactions/" + id.String() + "/"} {
			c.Get(path).Refused(http.StatusNotFound, "not_found")
		}
		for _, path := range []string{list, list + "?status=pending", list + "?status=cancelled", list + "?search=" + id.String(), base + "/transactions/", base + "/invoices/" + inv.ID.String() + "/payments/"} {
			equal(t, path, listed(c.Get(path)), []string{})
		}
		equal(t, "count", c.Get(list+"count/").Expect(http.StatusOK).Int("data.count"), int64(0))
	}
	w.Browse(w.Console(), w.Owner).Get("payments/" + id.String() + "/").Expect(http.StatusNotFound)
	for _, step := range []string{"complete/", "cancel/"} {
		w.As(w.Finance).Post(one(id, step), "").Refused(http.StatusNotFound, "not_found")
	}
	w.As(cashier).Delete(one(id, "")).Refused(http.StatusNotFound, "not_found")
	equal(t, "the till", usd(w, ledger.Cash), int64(0))

	again := w.As(cashier).Post(list, cash(w, "invoice_id", inv.ID.String(), "reference", reference)).Expect(http.StatusCreated) // it may be recorded rightly
	equal(t, "receipts", []string{shown.Text("data.receipt_number"), again.Text("data.receipt_number")}, []string{"R-2026-000001", "R-2026-000002"})
	w.As(w.Finance).Post(one(idOf(again), "complete/"), "").Expect(http.StatusOK)
	equal(t, "the invoice", string(w.Invoice(inv.ID).Status), "paid")
	w.AssertBooks(t)

	t.Run("without an invoice, by who may cancel what others have taken", func(t *testing.T) {
		for _, pairs := range [][]any{nil, {"account_id", nil}} {
			in := append([]any{"reference", w.Reference()}, pairs...)
			w.As(w.Finance).Delete(one(pendingCash(t, w, cashier, in...), "")).Expect(http.StatusNoContent)
			pendingCash(t, w, cashier, in...)
		}
		w.AssertBooks(t)
	})
}

// TestDeleteRefused: what was posted, what people decide about, what a provider or a payer was asked for, and what has come to its
// end by itself stays, also for who writes SQL as the program (S0-74, W-29).
func TestDeleteRefused(t *testing.T) {
	t.Parallel()
	w := charged(t)
	newAcme(t, w)
	cashier := w.Join("cashier", auth.RoleCashier, nil)
	charge := func(token string, pairs ...any) uuid.UUID {
		return idOf(w.As(w.Owner).Post(charges, order(token, pairs...)))
	}
	ids := map[string]uuid.UUID{
		"posted cash":       idOf(w.As(w.Owner).Post(list, cash(w)).Expect(http.StatusCreated)),
		"completed cash":    pendingCash(t, w, cashier),
		"cancelled cash":    pendingCash(t, w, cashier),
		"a claim":           w.Submit(w.OpenInvoice("10.00").ID).ID,
		"a withdrawn claim": w.Submit(w.OpenInvoice("10.00").ID).ID,
		"an approved claim": w.Submit(w.OpenInvoice("10.00").ID).ID,
		"a settled claim":   w.Pay(w.OpenInvoice("10.00").ID).ID,
		"a charge":          charge("tok_visa"),
		"a declined charge": charge("tok_decline"),
		"one under way":     charge("tok_timeout"),
		"one to be paid":    charge("tok_3ds"),
		"a hold":            charge("tok_visa", "capture", false),
		"an integrator's":   idOf(w.As(w.Owner).Post(list, asked(w, "acme")).Expect(http.StatusCreated)),
		"what went back":    charge("tok_visa"),
	}
	w.As(w.Finance).Post(one(ids["completed cash"], "complete/"), "").Expect(http.StatusOK)
	w.As(cashier).Post(one(ids["cancelled cash"], "cancel/"), "").Expect(http.StatusOK)
	w.As(w.Finance).Post(one(ids["a withdrawn claim"], "cancel/"), "").Expect(http.StatusOK)
	w.Approve(ids["an approved claim"], w.Approver)
	w.As(w.Owner).With("Idempotency-Key", "k").Post(one(ids["what went back"], "refund/"), body("reason", "other")).Expect(http.StatusCreated)
	before := w.Snapshot()
	for name, id := range ids {
		if a := w.As(w.Owner).Delete(one(id, "")); a.Status != http.StatusConflict || a.Body["code"] != "payment_not_deletable" {
			t.Errorf("%s: %d %s", name, a.Status, a.Raw)
		}
		for _, set := range []string{"deleted_at = now()", "status = 'cancelled', deleted_at = now()", "status = 'created', deleted_at = now()"} {
			err := raw(w.System, w, "UPDATE payments SET "+set+" WHERE tenant_id = $1 AND id = $2", w.Tenant.ID, id)
			if !database.IsCheck(err, "payments_deleted_check", "payments_deletable", "payments_ordered", "payments_transition") {
				t.Errorf("%s: SET %s: %v", name, set, err)
			}
		}
	}
	open := pendingCash(t, w, cashier)
	if err := raw(w.System, w, "UPDATE payments SET deleted_at = now() WHERE tenant_id = $1 AND id = $2", w.Tenant.ID, open); !database.IsCheck(err, "payments_deleted_check") {
		t.Errorf("what is under way is hidden: %v", err)
	}
	w.As(cashier).Post(one(open, "cancel/"), "").Expect(http.StatusOK)
	kept := w.Snapshot()
	for _, table := range []string{"ledger_transactions", "ledger_entries", "ledger_balances", "invoices", "decisions"} {
		equal(t, table, kept[table], before[table])
	}
	equal(t, "deleted", count(t, "SELECT count(*) FROM payments WHERE tenant_id = ? AND deleted_at IS NOT NULL", w.Tenant.ID), 0)
	w.AssertBooks(t)
}

// TestRaceOfDeletes: cash is deleted or completed and never both, and who records the same receipt again meanwhile waits for nobody
// who waits for him.
func TestRaceOfDeletes(t *testing.T) {
	t.Parallel()
	w, both := replicas(t)
	w.Configure(tenancy.UpdateInput{AllowParallelClaims: ptr(true)})
	cashier := w.Join("cashier", auth.RoleCashier, nil)
	deadlocks := deadlocksSoFar(t)
	for _, p := range both {
		p.As(cashier).Get(list).Expect(http.StatusOK)
		p.As(w.Finance).Get(list).Expect(http.StatusOK)
	}
	completed := int64(0)
	for range 6 {
		inv := w.OpenInvoice("10.00")
		id := pendingCash(t, w, cashier, "invoice_id", inv.ID.String())
		got := map[string]int{}
		for _, a := range atOnce(20, func(i int) testkit.Answer {
			if i%4 < 2 {
				return both[i%2].As(cashier).Delete(one(id, ""))
			}
			return both[i%2].As(w.Finance).Post(one(id, "complete/"), "")
		}) {
			if code, refused := a.Body["code"].(string); refused {
				got[code]++
				continue
			}
			got[http.StatusText(a.Status)]++
		}
		if got["OK"] == 1 {
			equal(t, "the answers", got, map[string]int{"OK": 1, "illegal_transition": 9, "payment_not_deletable": 10})
			status(t, w, id, payments.StatusSucceeded)
			equal(t, "the invoice", string(w.Invoice(inv.ID).Status), "paid")
			completed += 1000
		} else {
			equal(t, "the answers", got, map[string]int{"No Content": 1, "not_found": 19})
			w.As(w.Owner).Get(one(id, "")).Refused(http.StatusNotFound, "not_found")
			equal(t, "the invoice", string(w.Invoice(inv.ID).Status), "open")
		}
		equal(t, "claims", w.Invoice(inv.ID).PendingClaims, 0)
		equal(t, "the till", usd(w, ledger.Cash), completed)
	}
	for range 6 {
		inv := w.OpenInvoice("10.00")
		in := cash(w, "invoice_id", inv.ID.String())
		id := idOf(w.As(cashier).Post(list, in).Expect(http.StatusCreated))
		in["allow_credit"] = true // it is seen together with the one before
		made, gone := 0, 0
		for _, a := range atOnce(8, func(i int) testkit.Answer {
			if i == 0 {
				return both[0].As(cashier).Delete(one(id, ""))
			}
			return both[i%2].As(cashier).Post(list, in)
		}) {
			switch {
			case a.Status == http.StatusCreated:
				made++
			case a.Status == http.StatusNoContent:
				gone++
			case a.Status != http.StatusConflict || a.Body["code"] != "reference_already_counted":
				t.Errorf("refused with %d %s", a.Status, a.Raw)
			}
		}
		equal(t, "deleted", gone, 1)
		equal(t, "recorded again", made <= 1, true)
		equal(t, "claims", w.Invoice(inv.ID).PendingClaims, made)
	}
	equal(t, "deadlocks", deadlocksSoFar(t), deadlocks)
	w.AssertBooks(t)
}
