package payments_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/payments"
	"countersign/internal/testkit"
)

const anomalies = base + "/payment-anomalies/"

// odd is a charge of which the provider says what cannot be, and the anomaly that is kept of that.
func odd(t *testing.T, w *billingtest.World) (payment, anomaly uuid.UUID) {
	t.Helper()
	payment = idOf(w.As(w.Member).Post(charges, order("tok_wrong_amount")).Expect(http.StatusAccepted))
	return payment, uuid.MustParse(w.As(w.Viewer).Get(one(payment, "")).Text("data.anomalies.0.id"))
}

func resolve(id uuid.UUID) string { return anomalies + id.String() + "/resolve/" }

func TestAnomalies(t *testing.T) {
	t.Parallel()
	t.Run("the open ones are listed, and somebody says how he has dealt with one", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		payment, id := odd(t, w)
		w.As(w.Viewer).Post(one(payment, "capture/"), "").Expect(http.StatusForbidden)
		a := w.As(w.Viewer).Get(anomalies).Expect(http.StatusOK)
		equal(t, "count", a.Int("count"), int64(1))
		for path, want := range map[string]any{"results.0.id": id.String(), "results.0.payment_id": payment.String(), "results.0.kind": "wrong_amount", "results.0.source": "answer",
			"results.0.details.captured": "9.99 USD", "results.0.payment_amount": "10.00", "results.0.currency": "USD", "results.0.payment_status": "processing",
			"results.0.holder": "First customer", "results.0.resolved_at": nil, "results.0.note": ""} {
			equal(t, path, a.At(path), want)
		}
		for query, want := range map[string]int64{"?kind=wrong_amount": 1, "?kind=late": 0, "?status=resolved": 0, "?status=all": 1, "?payment=" + payment.String(): 1, "?payment=" + uuid.NewString(): 0,
			"?created_before=2020-01-01": 0} {
			equal(t, query, w.As(w.Viewer).Get(anomalies+query).Expect(http.StatusOK).Int("count"), want)
		}
		w.As(w.Viewer).Get(anomalies+"?status=new").Refused(http.StatusBadRequest, "validation_failed")

		w.Finance.Token()
		w.Member.Token()
		before := w.Snapshot()
		w.As(w.Finance).Post(resolve(id), body("note", " ")).Refused(http.StatusBadRequest, "validation_failed")
		w.As(w.Finance).Post(resolve(id), body("note", "4242424242424242")).Refused(http.StatusBadRequest, "card_data_rejected")
		w.As(w.Viewer).Post(resolve(id), body("note", "x")).Refused(http.StatusForbidden, "permission_denied")
		w.As(w.Member).Post(resolve(id), body("note", "x")).Refused(http.StatusForbidden, "permission_denied")
		w.As(w.Member).Get(anomalies).Refused(http.StatusForbidden, "staff_only")
		w.As(w.Finance).Post(resolve(uuid.New()), body("note", "x")).Refused(http.StatusNotFound, "anomaly_not_found")
		neighbour := billingtest.New(t)
		neighbour.As(neighbour.Owner).Post(resolve(id), body("note", "x")).Refused(http.StatusNotFound, "anomaly_not_found")
		neighbour.As(neighbour.Owner).Get(anomalies+id.String()+"/").Refused(http.StatusNotFound, "anomaly_not_found")
		unchanged(t, w, before)

		client := w.As(w.Finance).With("Idempotency-Key", "k")
		done := client.Post(resolve(id), body("note", "The provider has given it back")).Expect(http.StatusOK)
		equal(t, "note", done.Text("data.note"), "The provider has given it back")
		equal(t, "who", done.Text("data.resolver"), "Test finance")
		equal(t, "who", done.Text("data.resolved_by"), w.Finance.ID.String())
		same(t, done, client.Post(resolve(id), body("note", "The provider has given it back")))
		w.As(w.Owner).Post(resolve(id), body("note", "Me too")).Refused(http.StatusConflict, "anomaly_resolved")
		equal(t, "open", w.As(w.Viewer).Get(anomalies).Int("count"), int64(0))
		equal(t, "resolved", w.As(w.Viewer).Get(anomalies+"?status=resolved").Int("count"), int64(1))
		equal(t, "told", w.Events("payment.anomaly"), []string{"payment.anomaly", "payment.anomaly_resolved"})
		equal(t, "audited", w.Audited("payment.resolve_anomaly"), []string{"payment.resolve_anomaly"})
		status(t, w, payment, payments.StatusProcessing)
		w.AssertBooks(t)
	})
	t.Run("of twenty at once one resolves it", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		_, id := odd(t, w)
		w.Finance.Token()
		done := 0
		for _, a := range atOnce(20, func(int) testkit.Answer { return w.As(w.Finance).Post(resolve(id), body("note", "Done")) }) {
			if a.Status == http.StatusOK {
				done++
			}
		}
		equal(t, "resolved", done, 1)
		equal(t, "told", w.Events("payment.anomaly_resolved"), []string{"payment.anomaly_resolved"})
	})
	t.Run("a payment that nobody asks for any more is asked for once more, and then given up", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		payment, id := odd(t, w)
		sweep := func(after time.Duration) {
			t.Helper()
			w.Clock.Move(after)
			if err := w.Payments.AskAgain(w.System); err != nil {
				t.Fatal(err)
			}
		}
		sweep(49 * time.Hour) // which looks for the last time, and leaves it to a person
		sweep(49 * time.Hour)
		status(t, w, payment, payments.StatusProcessing)
		w.As(w.Finance).Post(resolve(id), body("note", "Given back in the cabinet")).Expect(http.StatusOK)
		sweep(time.Minute)
		status(t, w, payment, payments.StatusFailed)
		w.AssertBooks(t)
	})
}

// TestConsoleOfAnomalies deals with one where people see it.
func TestConsoleOfAnomalies(t *testing.T) {
	t.Parallel()
	w := charged(t)
	site := w.Console()
	b := w.Browse(site, w.Finance)
	b.Get("anomalies/").Shows("Nothing is open")
	payment, id := odd(t, w)
	address := "anomalies/" + id.String() + "/"
	b.Get(page(payment, "")).Expect(http.StatusOK).Shows("What does not fit", address, "At the provider")
	b.Get("anomalies/").Shows("Another amount", "First customer", address)
	b.Get(address).Shows("9.99 USD", page(payment, ""), "Mark as resolved", "Nothing is posted")
	w.Browse(site, w.Viewer).Get(address).Hides("Mark as resolved")
	b.Post(address+"resolve/", url.Values{"note": {""}}).Expect(http.StatusBadRequest)
	b.Follow(b.Post(address+"resolve/", url.Values{"note": {"The bank has it"}})).Shows("It is resolved.", "The bank has it", "Test finance").Hides("Mark as resolved")
	b.Post(address+"resolve/", url.Values{"note": {"Again"}}).Expect(http.StatusConflict).Shows("already dealt with this")
	b.Get("anomalies/").Hides(address)
	b.Get("anomalies/?status=all").Shows(address)
	b.Get(page(payment, "")).Shows("Somebody has dealt with what does not fit", "The bank has it")
	neighbour := billingtest.New(t)
	neighbour.Browse(neighbour.Console(), neighbour.Owner).Get(address).Expect(http.StatusNotFound)
}
