package payments_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/testkit"
)

// rowsOf reads a list over HTTP as the owner, the oldest first.
func rowsOf(w *billingtest.World, path, query string) []map[string]any {
	rows := []map[string]any{}
	for _, row := range w.As(w.Owner).Get(base + path + "?ordering=created_at&page_size=100&" + query).Expect(http.StatusOK).List("results") {
		rows = append(rows, row.(map[string]any))
	}
	return rows
}

// eventsOf are the tenant's events.
func eventsOf(w *billingtest.World, query string) []map[string]any {
	return rowsOf(w, "/events/", query)
}

// payloadOf gives values out of an event's payload.
func payloadOf(event map[string]any, names ...string) []any {
	values := make([]any, len(names))
	for i, name := range names {
		values[i] = event["payload"].(map[string]any)[name]
	}
	return values
}

// TestEventsOfRefunds: each refund that has succeeded tells how much went back, and how much is left (S0-79, S0-94).
func TestEventsOfRefunds(t *testing.T) {
	t.Parallel()
	for name, paid := range map[string]func(t *testing.T) (w *billingtest.World, payment uuid.UUID, pairs []any){
		"by hand": func(t *testing.T) (*billingtest.World, uuid.UUID, []any) {
			w := billingtest.New(t)
			return w, w.Pay(w.OpenInvoice("10.00").ID).ID, []any{"payout_reference", "BANK 1"}
		},
		"by the provider": func(t *testing.T) (*billingtest.World, uuid.UUID, []any) {
			w := charged(t)
			return w, chargeOf(w, "tok_visa"), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p, pairs := paid(t)
			first := refundOf(w, w.Owner, p, append(pairs, "amount_minor", 400)...).Expect(http.StatusCreated)
			last := refundOf(w, w.Owner, p, pairs...).Expect(http.StatusCreated)
			got := [][]any{}
			for _, e := range eventsOf(w, "type=refund.succeeded") {
				equal(t, "what it happened to", []any{e["object_type"], e["object_id"]}, append([]any{"refund"}, payloadOf(e, "refund_id")...))
				got = append(got, payloadOf(e, "refund_id", "payment_id", "status", "amount", "amount_minor", "refundable_amount", "refundable_amount_minor", "currency"))
			}
			equal(t, "told", got, [][]any{
				{first.Text("data.id"), p.String(), "succeeded", "4.00", json.Number("400"), "6.00", json.Number("600"), "USD"},
				{last.Text("data.id"), p.String(), "succeeded", "6.00", json.Number("600"), "0.00", json.Number("0"), "USD"},
			})
		})
	}
}

// sight is a payment as it is read, or as its changes tell it.
type sight struct{ Status, Received, Refunded any }

// sightOf reads one over HTTP.
func sightOf(w *billingtest.World, id uuid.UUID) sight {
	a := w.As(w.Viewer).Get(one(id, "")).Expect(http.StatusOK)
	return sight{a.At("data.status"), a.At("data.received_amount_minor"), a.At("data.refunded_amount_minor")}
}

// sightIn is what changes have told of one so far.
func sightIn(state map[string]any) sight {
	refunded, ok := state["refunded_minor"]
	if !ok {
		refunded = json.Number("0")
	}
	return sight{state["status"], state["received_minor"], refunded}
}

// TestEventsBySeedNames drives payments over HTTP and finds what happened to them under the first seed's names: their creation once,
// and each change with what was before and after (S0-72, S0-73, S0-94).
func TestEventsBySeedNames(t *testing.T) {
	t.Parallel()
	w := charged(t)
	till := w.Join("till", auth.RoleCashier, nil)
	refund := func(pairs ...any) func(uuid.UUID) {
		return func(id uuid.UUID) { refundOf(w, w.Finance, id, pairs...).Expect(http.StatusCreated) }
	}
	driven := []struct {
		name   string
		create func() testkit.Answer
		steps  []func(uuid.UUID)
		also   []any // the changes by their own names; empty where it is only updated
	}{
		{"a claim", func() testkit.Answer {
			return submit(w, w.Member, claim(w, w.OpenInvoice("10.00").ID)).Expect(http.StatusCreated)
		}, []func(uuid.UUID){
			func(id uuid.UUID) {
				w.As(w.Approver).Post(one(id, "approve/"), body("digest", w.Digest(id))).Expect(http.StatusOK)
			},
			func(uuid.UUID) { w.SettleAll() },
			refund("amount_minor", 400, "payout_reference", "BANK 1"), refund("payout_reference", "BANK 2"),
		}, []any{"payment.approved", "payment.succeeded", "payment.partially_refunded", "payment.refunded"}},
		{"a hold", func() testkit.Answer {
			return w.As(w.Owner).Post(charges, order("tok_visa", "capture", false)).Expect(http.StatusCreated)
		}, []func(uuid.UUID){
			func(id uuid.UUID) { capture(w, id, uuid.NewString(), "amount", "7.00").Expect(http.StatusOK) }, refund(),
		}, []any{"payment.authorized", "payment.succeeded", "payment.refunded"}},
		{"cash", func() testkit.Answer { return w.As(till).Post(list, cash(w)).Expect(http.StatusCreated) }, []func(uuid.UUID){
			func(id uuid.UUID) { w.As(w.Finance).Post(one(id, "complete/"), "").Expect(http.StatusOK) },
		}, []any{"", "payment.succeeded"}},
		{"a card that is declined", func() testkit.Answer {
			return w.As(w.Member).Post(charges, order("tok_decline")).Expect(http.StatusPaymentRequired)
		}, nil, []any{"payment.failed"}},
	}
	for _, d := range driven {
		id := idOf(d.create())
		seen := []sight{sightOf(w, id)}
		if len(d.also) > len(d.steps) { // it was created, and changed by the same request
			seen = append([]sight{{"created", nil, json.Number("0")}}, seen...)
		}
		for _, step := range d.steps {
			step(id)
			seen = append(seen, sightOf(w, id))
		}
		about := "&object_id=" + id.String()
		created := eventsOf(w, "type=TransactionCreatedEvent"+about)
		if len(created) != 1 || created[0]["type"] != "payment.created" {
			t.Errorf("%s is created by %v", d.name, created)
		}
		updated := eventsOf(w, "type=TransactionUpdatedEvent"+about)
		equal(t, d.name+" by either name", eventsOf(w, "type=payment.updated"+about), updated)
		if len(updated) != len(seen)-1 {
			t.Fatalf("%s has changed %d times, and %v is told", d.name, len(seen)-1, updated)
		}
		state, also := map[string]any{}, []any{}
		for i, e := range updated {
			payload := e["payload"].(map[string]any)
			before, after := payload["before"].(map[string]any), payload["after"].(map[string]any)
			equal(t, d.name+": type", e["type"], any("payment.updated"))
			equal(t, d.name+": statuses", []any{before["status"], after["status"]}, []any{seen[i].Status, seen[i+1].Status})
			for name, was := range before {
				if known, told := state[name]; told && name != "version" { // which settlement does not tell
					equal(t, d.name+": before, as it was after the last change, "+name, was, known)
				}
			}
			maps.Copy(state, before)
			equal(t, d.name+": before", sightIn(state), seen[i])
			maps.Copy(state, after)
			equal(t, d.name+": after", sightIn(state), seen[i+1])
			also = append(also, e["also"])
		}
		equal(t, d.name+": what the changes are", also, d.also)
	}
	equal(t, "refunds", len(eventsOf(w, "type=refund.succeeded")), 3)
	w.As(w.Member).Post(charges, order("tok_visa", "invoice_id", w.OpenInvoice("8.00").ID)).Refused(http.StatusBadRequest, "overpayment")
	equal(t, "created, and nothing that was refused", len(eventsOf(w, "type=TransactionCreatedEvent")), len(driven))
	w.AssertBooks(t)
}

// TestHistoryOfAHold is all that is told of a payment from its beginning to its end, and nothing else (S0-03).
func TestHistoryOfAHold(t *testing.T) {
	t.Parallel()
	w := charged(t)
	id := hold(t, w, "tok_visa")
	capture(w, id, "k").Expect(http.StatusOK)
	capture(w, id, "k").Expect(http.StatusOK)
	for range 2 {
		keyedRefund(w, w.Finance, "first", id, "amount_minor", 400).Expect(http.StatusCreated)
	}
	refundOf(w, w.Finance, id).Expect(http.StatusCreated)
	types := []string{}
	for _, e := range w.As(w.Viewer).Get(one(id, "events/")).Expect(http.StatusOK).List("data.events") {
		types = append(types, e.(map[string]any)["type"].(string))
	}
	equal(t, "told", types, []string{"payment.created", "payment.authorized", "payment.updated", "payment.succeeded", "payment.updated",
		"refund.requested", "payment.partially_refunded", "payment.updated", "refund.succeeded", "refund.requested", "payment.refunded", "payment.updated", "refund.succeeded"})
}

// TestAuditOfRefundsAndCancellations: the log says who did it, when, why, and to how much (S0D-25).
func TestAuditOfRefundsAndCancellations(t *testing.T) {
	t.Parallel()
	w := charged(t)
	newAcme(t, w)
	from := time.Now().Add(-time.Minute)
	who := func(p *billingtest.Person) map[string]any {
		return map[string]any{"kind": "user", "id": p.ID.String(), "label": p.Email}
	}
	// of gives the records of people about an object, without those of programs: action, actor, reason, amount and currency.
	of := func(id uuid.UUID) [][]any {
		rows := [][]any{}
		for _, e := range rowsOf(w, "/audit-log/", "object_id="+id.String()) {
			at, err := time.Parse(time.RFC3339Nano, e["created_at"].(string))
			if err != nil || at.Before(from) || at.After(time.Now().Add(time.Minute)) {
				t.Errorf("%s was at %s: %v", e["action"], e["created_at"], err)
			}
			if actor := e["actor"].(map[string]any); actor["kind"] == "user" {
				after := e["after"].(map[string]any)
				rows = append(rows, []any{e["action"], actor, e["reason"], after["amount_minor"], after["currency"]})
			}
		}
		return rows
	}
	row := func(action string, by *billingtest.Person, reason, minor string) []any {
		return []any{action, who(by), reason, json.Number(minor), "USD"}
	}
	t.Run("a refund that two people make, and a third takes back", func(t *testing.T) {
		twoRefund(w, 1)
		p := w.Pay(w.OpenInvoice("10.00").ID)
		a := refundOf(w, w.Finance, p.ID, "amount_minor", 400, "note", "He sent it back", "payout_reference", "BANK 1").Expect(http.StatusCreated)
		id := idOf(a)
		w.As(w.Owner).Post(refundPath(id, "approve/"), body("digest", a.Text("data.digest"), "note", "The parcel is here")).Expect(http.StatusOK)
		reverseRefund(w, w.Approver, id).Expect(http.StatusOK)
		equal(t, "of the refund", of(id), [][]any{row("refund.request", w.Finance, "He sent it back", "400"), row("refund.approve", w.Owner, "The parcel is here", "400"),
			row("refund.succeed", w.Owner, "He sent it back", "400"), row("refund.reverse", w.Approver, "Nobody has paid it", "400")})
		equal(t, "of its payment", of(p.ID)[2:], [][]any{row("payment.refund", w.Owner, "item_return", "1000"), row("payment.refund_reverse", w.Approver, "Nobody has paid it", "1000")})
	})
	t.Run("a refund that nobody says a word of, and a provider pays", func(t *testing.T) {
		twoRefund(w, 100_000)
		id := idOf(refundOf(w, w.Finance, chargeOf(w, "tok_visa"), "amount_minor", 400).Expect(http.StatusCreated))
		equal(t, "of people", of(id), [][]any{row("refund.request", w.Finance, "item_return", "400")})
		last := rowsOf(w, "/audit-log/", "object_id="+id.String())[1]
		equal(t, "of the program", []any{last["action"], last["reason"], last["after"].(map[string]any)["amount_minor"]}, []any{"refund.succeed", "item_return", json.Number("400")})
	})
	t.Run("charges that staff cancel", func(t *testing.T) {
		for name, tt := range map[string]struct {
			id     uuid.UUID
			by     *billingtest.Person // who made it
			action string
		}{
			"a hold":                        {hold(t, w, "tok_visa"), w.Owner, "payment.release"},
			"one whose payer is asked":      {idOf(w.As(w.Member).Post(charges, order("tok_3ds")).Expect(http.StatusCreated)), w.Member, "payment.release"},
			"one at the tenant's processor": {idOf(w.As(w.Member).Post(charges, order("", "gateway", "acme")).Expect(http.StatusCreated)), w.Member, "payment.cancel"},
		} {
			w.As(w.Finance).Post(one(tt.id, "cancel/"), body("reason", "He called")).Expect(http.StatusOK)
			equal(t, name, of(tt.id), [][]any{row("payment.charge", tt.by, "", "1000"), row(tt.action, w.Finance, "He called", "1000")})
			rows := rowsOf(w, "/audit-log/", "object_id="+tt.id.String())
			end := rows[len(rows)-1]
			equal(t, name+": its end", end["after"].(map[string]any)["status"], any("cancelled"))
		}
	})
	w.AssertBooks(t)
}

// TestTransactionsOfRealPayments drives four payments to the four words of the first seed (S0-04).
func TestTransactionsOfRealPayments(t *testing.T) {
	t.Parallel()
	w := charged(t)
	transactions := base + "/transactions/"
	refunded, cancelled := chargeOf(w, "tok_visa"), hold(t, w, "tok_visa")
	refundOf(w, w.Finance, refunded).Expect(http.StatusCreated)
	w.As(w.Owner).Post(one(cancelled, "cancel/"), "").Expect(http.StatusOK)
	want := map[string]any{
		idOf(submit(w, w.Member, claim(w, w.OpenInvoice("10.00").ID)).Expect(http.StatusCreated)).String(): "pending",
		chargeOf(w, "tok_visa").String(): "completed", cancelled.String(): "canceled", refunded.String(): "refunded",
	}
	got := map[string]any{}
	for _, row := range rowsOf(w, "/transactions/", "") {
		got[row["id"].(string)] = row["status"]
	}
	equal(t, "the words", got, want)
	for id, word := range want {
		equal(t, "one by one", w.As(w.Viewer).Get(transactions+id+"/").Expect(http.StatusOK).At("data.status"), word)
		equal(t, "by its word", listed(w.As(w.Viewer).Get(transactions+"?status="+word.(string))), []string{id})
	}
}

// TestTimesOfPayments: whoever reads a payment reads when it came how far, in the order in which that was, with its gateway and how the
// payer's numbers end (S0-12).
func TestTimesOfPayments(t *testing.T) {
	t.Parallel()
	stages := []string{"approved_at", "processed_at", "refunded_at", "failed_at", "cancelled_at", "expired_at"}
	for name, tt := range map[string]struct {
		gateway string
		drive   func(t *testing.T, w *billingtest.World) uuid.UUID
		passed  []string
	}{
		"a claim that is refunded": {"manual", func(t *testing.T, w *billingtest.World) uuid.UUID {
			in := claim(w, w.OpenInvoice("10.00").ID, "paid_at", "2026-01-20T10:00:00Z", "details", body("sender_number", "+880 1711-665577", "bank_name", "City"))
			id := idOf(submit(w, w.Member, in).Expect(http.StatusCreated))
			w.As(w.Approver).Post(one(id, "approve/"), body("digest", w.Digest(id))).Expect(http.StatusOK)
			w.SettleAll()
			refundOf(w, w.Finance, id, "amount_minor", 400, "payout_reference", "BANK 1").Expect(http.StatusCreated)
			refundOf(w, w.Finance, id, "payout_reference", "BANK 2").Expect(http.StatusCreated)
			a := w.As(w.Viewer).Get(one(id, ""))
			equal(t, "when he says he paid", a.Text("data.paid_at"), "2026-01-20T10:00:00.000000Z")
			equal(t, "details", a.At("data.details"), any(map[string]any{"sender_number": "••••5577", "bank_name": "City"}))
			return id
		}, []string{"approved_at", "processed_at", "refunded_at"}},
		"a claim that is refused": {"manual", func(_ *testing.T, w *billingtest.World) uuid.UUID {
			id := idOf(submit(w, w.Member, claim(w, w.OpenInvoice("10.00").ID)).Expect(http.StatusCreated))
			w.As(w.Approver).Post(one(id, "reject/"), body("digest", w.Digest(id), "reason", "Not in the bank")).Expect(http.StatusOK)
			return id
		}, []string{"failed_at"}},
		"a claim that is withdrawn": {"manual", func(_ *testing.T, w *billingtest.World) uuid.UUID {
			id := idOf(submit(w, w.Member, claim(w, w.OpenInvoice("10.00").ID)).Expect(http.StatusCreated))
			w.As(w.Member).Post(one(id, "cancel/"), "").Expect(http.StatusOK)
			return id
		}, []string{"cancelled_at"}},
		"a charge that is refunded in part": {"sandbox", func(_ *testing.T, w *billingtest.World) uuid.UUID {
			id := chargeOf(w, "tok_visa")
			refundOf(w, w.Finance, id, "amount_minor", 400).Expect(http.StatusCreated)
			return id
		}, []string{"processed_at", "refunded_at"}},
		"a charge whose payer never comes": {"sandbox", func(t *testing.T, w *billingtest.World) uuid.UUID {
			id := idOf(w.As(w.Member).Post(charges, order("tok_3ds")).Expect(http.StatusCreated))
			later(t, w, 49*time.Hour)
			status(t, w, id, payments.StatusExpired)
			return id
		}, []string{"expired_at"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := charged(t)
			id := tt.drive(t, w)
			a := w.As(w.Viewer).Get(one(id, "")).Expect(http.StatusOK)
			equal(t, "gateway", a.Text("data.gateway"), tt.gateway)
			equal(t, "status", a.Text("data.status"), string(w.Payment(id).Status))
			equal(t, "submitted", a.Text("data.submitted_at"), a.Text("data.created_at"))
			passed, times := []string{}, []string{a.Text("data.created_at")}
			for _, stage := range stages {
				if at, ok := a.At("data." + stage).(string); ok {
					passed, times = append(passed, stage), append(times, at)
				}
			}
			times = append(times, a.Text("data.updated_at"))
			equal(t, "passed", passed, tt.passed)
			if !slices.IsSorted(times) { // they are written alike
				t.Errorf("created, %v and updated at %v", passed, times)
			}
			if times[0] == times[len(times)-1] {
				t.Errorf("it was created and came to its end at %s", times[0])
			}
		})
	}
}
