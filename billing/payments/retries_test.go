package payments_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/internal/auth"
	"countersign/internal/testkit"
)

// TestRetryOfACharge tries a declined charge again (S0D-03): that is another payment, which names the first, and the first stays
// as it ended.
func TestRetryOfACharge(t *testing.T) {
	t.Parallel()
	w := charged(t)
	inv := w.OpenInvoice("10.00")
	declined := w.As(w.Member).Post(charges, order("tok_decline", "invoice_id", inv.ID))
	declined.Refused(http.StatusPaymentRequired, "card_declined")
	first := idOf(declined)
	equal(t, "of the first", declined.At("data.retry_of"), any(nil))
	before := w.As(w.Member).Get(one(first, "")).Expect(http.StatusOK)

	in := order("tok_visa", "invoice_id", inv.ID, "retry_of", first.String())
	a := w.As(w.Member).Post(charges, in).Expect(http.StatusCreated)
	second := idOf(a)
	for path, want := range map[string]any{"data.status": "succeeded", "data.retry_of": first.String(), "data.applied_amount": "10.00"} {
		equal(t, path, a.At(path), want)
	}
	equal(t, "it is another payment", second != first, true)
	same(t, a, w.As(w.Member).Post(charges, in))
	other := idOf(w.As(w.Member).Post(charges, order("tok_decline")))
	for name, id := range map[string]any{"of nothing": nil, "of another": other.String()} { // the key stands for what it follows, too
		changed := order("tok_visa", "invoice_id", inv.ID, "idempotency_key", in["idempotency_key"], "retry_of", id)
		if got := w.As(w.Member).Post(charges, changed); got.Status != http.StatusConflict || got.Body["code"] != "idempotency_key_reused" {
			t.Errorf("the same key for a retry %s: %d %s", name, got.Status, got.Raw)
		}
	}
	for _, by := range []*billingtest.Person{w.Member, w.Owner} {
		equal(t, "as it is read", w.As(by).Get(one(second, "")).Expect(http.StatusOK).Text("data.retry_of"), first.String())
		rows := map[string]any{}
		for _, row := range w.As(by).Get(list + "?invoice=" + inv.ID.String()).Expect(http.StatusOK).List("results") {
			rows[row.(map[string]any)["id"].(string)] = row.(map[string]any)["retry_of"]
		}
		equal(t, "as it is listed", rows, map[string]any{first.String(): nil, second.String(): first.String()})
	}
	equal(t, "the first", w.As(w.Member).Get(one(first, "")).Expect(http.StatusOK).At("data"), before.At("data"))
	equal(t, "and how it ended", before.Text("data.status"), "failed")
	equal(t, "calls", []int{calls(t, w, first, "begin"), calls(t, w, second, "begin")}, []int{1, 1})
	equal(t, "the invoice", string(w.Invoice(inv.ID).Status), "paid")
	w.Browse(w.Console(), w.Owner).Get("payments/"+second.String()+"/").Expect(http.StatusOK).Shows("Follows a refused payment", first.String())
	w.AssertBooks(t)
}

// tries makes a payment of each gateway that takes what is given: an account's, or an invoice's, and what it follows.
func tries(w *billingtest.World) map[string]func(by *billingtest.Person, pairs ...any) testkit.Answer {
	return map[string]func(by *billingtest.Person, pairs ...any) testkit.Answer{
		"charge": func(by *billingtest.Person, pairs ...any) testkit.Answer {
			return w.As(by).Post(charges, order("tok_visa", append([]any{"account_id", w.Account.ID.String()}, pairs...)...))
		},
		"sandbox": func(by *billingtest.Person, pairs ...any) testkit.Answer {
			return w.As(by).Post(list, asked(w, "sandbox", append([]any{"payment_source", "tok_visa"}, pairs...)...))
		},
		"integrator": func(by *billingtest.Person, pairs ...any) testkit.Answer {
			return w.As(by).Post(list, asked(w, "acme", pairs...))
		},
		"cash": func(by *billingtest.Person, pairs ...any) testkit.Answer {
			return w.As(by).Post(list, cash(w, pairs...))
		},
		"manual": func(by *billingtest.Person, pairs ...any) testkit.Answer {
			return w.As(by).Post(list, cash(w, append([]any{"gateway", "manual"}, pairs...)...))
		},
	}
}

// TestRetryByGateway: whichever way a payment has come to nothing, it is tried again by whichever gateway takes the next one
// (C-06).
func TestRetryByGateway(t *testing.T) {
	t.Parallel()
	w := charged(t)
	newAcme(t, w)
	cashier := w.Join("cashier", auth.RoleCashier, nil)
	cancel := func(a testkit.Answer) uuid.UUID {
		w.As(w.Owner).Post(one(idOf(a.Expect(http.StatusCreated)), "cancel/"), "").Expect(http.StatusOK)
		return idOf(a)
	}
	ended := func(of ...any) map[string]uuid.UUID {
		return map[string]uuid.UUID{
			"a declined card":        idOf(tries(w)["charge"](w.Owner, append(of, "payment_source", "tok_decline")...)),
			"a link nobody has used": cancel(tries(w)["integrator"](w.Owner, of...)),
			"cash that was not come": cancel(tries(w)["cash"](cashier, of...)),
		}
	}
	for before, id := range ended() {
		for name, try := range tries(w) {
			if name == "manual" { // which has an invoice
				continue
			}
			a := try(w.Owner, "retry_of", id.String())
			if a.Status != http.StatusCreated || a.At("data.retry_of") != any(id.String()) {
				t.Errorf("%s after %s: %d %s", name, before, a.Status, a.Raw)
			}
		}
	}
	inv := w.OpenInvoice("10.00")
	attempts := ended("invoice_id", inv.ID.String())
	attempts["a claim"] = cancel(tries(w)["manual"](w.Owner, "invoice_id", inv.ID.String()))
	for before, id := range attempts {
		a := tries(w)["manual"](w.Owner, "invoice_id", inv.ID.String(), "retry_of", id.String())
		equal(t, before, a.Expect(http.StatusCreated).Text("data.retry_of"), id.String())
		cancel(a)
	}
	equal(t, "by cash", tries(w)["cash"](w.Owner, "invoice_id", inv.ID.String(), "retry_of", attempts["a claim"].String()).Expect(http.StatusCreated).Text("data.retry_of"), attempts["a claim"].String())

	nobody := idOf(tries(w)["charge"](w.Owner, "account_id", nil, "payment_source", "tok_decline"))
	tries(w)["charge"](w.Owner, "retry_of", nobody.String()).Refused(http.StatusBadRequest, "invalid_retry") // who that was is not known
	equal(t, "of nobody", tries(w)["charge"](w.Owner, "account_id", nil, "retry_of", nobody.String()).Expect(http.StatusCreated).Text("data.retry_of"), nobody.String())
	w.AssertBooks(t)
}

// TestRetriesRefused: what did not come to nothing, or is another's, is nothing that one can try again; nothing is written, and
// nobody is asked.
func TestRetriesRefused(t *testing.T) {
	t.Parallel()
	w, neighbour := charged(t), charged(t)
	newAcme(t, w)
	cashier := w.Join("cashier", auth.RoleCashier, nil)
	mine, invoice := []any{}, w.OpenInvoice("10.00")
	of := func(inv uuid.UUID) []any { return []any{"invoice_id", inv.String()} }
	declined := func(w *billingtest.World, pairs ...any) string {
		a := w.As(w.Owner).Post(charges, order("tok_decline", append([]any{"account_id", w.Account.ID.String()}, pairs...)...))
		a.Refused(http.StatusPaymentRequired, "card_declined")
		return a.Text("data.id")
	}
	made := func(by *billingtest.Person, name string, pairs ...any) string {
		return idOf(tries(w)[name](by, pairs...).Expect(http.StatusCreated)).String()
	}
	deleted := made(cashier, "cash")
	w.As(cashier).Delete(list + deleted + "/").Expect(http.StatusNoContent)
	wrong := map[string]string{
		"unknown":                     uuid.NewString(),
		"succeeded":                   made(w.Owner, "charge"),
		"under way":                   made(cashier, "cash"),
		"held":                        made(w.Owner, "charge", "capture", false),
		"deleted":                     deleted,
		"another customer's":          declined(w, "account_id", w.Other.ID.String()),
		"nobody's":                    declined(w, "account_id", nil),
		"another invoice's":           declined(w, of(w.OpenInvoice("10.00").ID)...),
		"a neighbour's":               declined(neighbour),
		"of another tenant's invoice": declined(neighbour, of(neighbour.OpenInvoice("10.00").ID)...),
	}
	withInvoice, without := declined(w, of(invoice.ID)...), declined(w, mine...)
	for _, p := range []*billingtest.Person{w.Owner, w.Member, w.OtherMember} {
		p.Token()
	}
	before := w.Snapshot()
	refused := func(name string, a testkit.Answer, code string) {
		t.Helper()
		if fields, _ := a.Body["errors"].(map[string]any); a.Status != http.StatusBadRequest || a.Body["code"] != code || fields["retry_of"] == nil || len(fields) != 1 {
			t.Errorf("%s: %d %s, want %s at retry_of", name, a.Status, a.Raw, code)
		}
	}
	for by, try := range tries(w) {
		for name, id := range wrong {
			refused(by+" after one that is "+name, try(w.Owner, append(of(invoice.ID), "retry_of", id)...), "invalid_retry")
			if by != "manual" {
				refused(by+" without an invoice after one that is "+name, try(w.Owner, "retry_of", id), "invalid_retry")
			}
		}
		refused(by+" for an invoice after one without", try(w.Owner, append(of(invoice.ID), "retry_of", without)...), "invalid_retry")
		if by != "manual" {
			refused(by+" without an invoice after one for it", try(w.Owner, "retry_of", withInvoice), "invalid_retry")
		}
		for _, malformed := range []string{"x", "0", withInvoice + "0"} {
			refused(by+" after "+malformed, try(w.Owner, append(of(invoice.ID), "retry_of", malformed)...), "validation_failed")
		}
	}
	refused("a customer after another's", w.As(w.OtherMember).Post(charges, order("tok_visa", "retry_of", without)), "invalid_retry")
	unchanged(t, w, before)
	w.As(w.OtherMember).Post(charges, order("tok_visa", "retry_of", wrong["another customer's"])).Expect(http.StatusCreated) // which is his own
	w.AssertBooks(t)
}

// TestRetryCostsNothing: what a payment follows is looked up beside what is asked anyhow.
func TestRetryCostsNothing(t *testing.T) {
	t.Parallel()
	w := charged(t)
	trips := func(path string, in map[string]any) int64 {
		t.Helper()
		client := w.As(w.Owner)
		raw, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		ctx, n := testkit.Count(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, path, bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		client.Do(r).Expect(http.StatusCreated)
		return n.Load()
	}
	for _, pairs := range [][]any{{"account_id", w.Account.ID.String()}, {"account_id", nil}} {
		first := idOf(w.As(w.Owner).Post(charges, order("tok_decline", pairs...)))
		again := append([]any{"retry_of", first.String()}, pairs...)
		trips(charges, order("tok_visa", pairs...)) // what is remembered from then on is asked once
		equal(t, "a charge", trips(charges, order("tok_visa", again...)), trips(charges, order("tok_visa", pairs...)))
		trips(list, cash(w, pairs...))
		equal(t, "cash", trips(list, cash(w, again...)), trips(list, cash(w, pairs...)))
	}
}
