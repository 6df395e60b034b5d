package payments_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/gateways"
	"countersign/billing/gateways/sandbox"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/database"
	"countersign/internal/testkit"
)

// tellRefunded is the sandbox's callback that so much of a payment of 10.00 USD is refunded by now.
func tellRefunded(t *testing.T, w *billingtest.World, payment uuid.UUID, minor int64) testkit.Answer {
	t.Helper()
	a, err := w.Gateways.Open(w.System, sandbox.Name)
	if err != nil {
		t.Fatal(err)
	}
	state := gateways.StatePartiallyRefunded
	if minor == 1000 {
		state = gateways.StateRefunded
	}
	text := fmt.Sprintf(`{"id":"evt_%s","order_id":%q,"state":%q,"currency":"USD","authorised_minor":1000,"captured_minor":1000,"refunded_minor":%d}`, uuid.New(), payment, state, minor)
	return w.Anonymous().With(sandbox.SignatureHeader, gateways.Sign(a.Credentials.Secrets["webhook_secret"], w.Clock.Now(), []byte(text))).Post(a.CallbackPath(), text)
}

// tellFailed says that a refund has come back to the sandbox, and how much, unless that is nothing.
func tellFailed(t *testing.T, w *billingtest.World, payment, refund uuid.UUID, minor int64) testkit.Answer {
	t.Helper()
	a, err := w.Gateways.Open(w.System, sandbox.Name)
	if err != nil {
		t.Fatal(err)
	}
	amount := ""
	if minor > 0 {
		amount = fmt.Sprintf(`"currency":"USD","refunded_minor":%d,`, minor)
	}
	text := fmt.Sprintf(`{"id":"evt_%s","order_id":%q,"state":"refund_failed",%s"refund":"sbr_%s"}`, uuid.New(), payment, amount, refund)
	return w.Anonymous().With(sandbox.SignatureHeader, gateways.Sign(a.Credentials.Secrets["webhook_secret"], w.Clock.Now(), []byte(text))).Post(a.CallbackPath(), text)
}

// cabinet refunds at the sandbox what nobody here knows of. However often it is called, the money goes back once.
func cabinet(t *testing.T, w *billingtest.World, payment uuid.UUID, minor int64) {
	t.Helper()
	a, err := w.Gateways.Open(w.System, sandbox.Name)
	if err != nil {
		t.Fatal(err)
	}
	w.Sandbox.Refund(w.System, a.Credentials, gateways.Operation{Key: "cabinet", OrderID: payment, Amount: money.New(minor, "USD")})
}

// notedAnomalies are the kinds of what was said of a payment and not believed.
func notedAnomalies(w *billingtest.World, payment uuid.UUID) []string {
	kinds := []string{}
	for _, a := range w.As(w.Viewer).Get(one(payment, "")).Expect(http.StatusOK).List("data.anomalies") {
		kinds = append(kinds, a.(map[string]any)["kind"].(string))
	}
	return kinds
}

// refundedOnce fails unless 4.00 of 10.00 USD went back, once in the books, in the events, and at the provider.
func refundedOnce(t *testing.T, w *billingtest.World, payment uuid.UUID) {
	t.Helper()
	status(t, w, payment, payments.StatusPartiallyRefunded)
	equal(t, "refunded", w.Payment(payment).RefundedMinor, int64(400))
	equal(t, "clearing", w.Balance(ledger.Clearing("sandbox", "USD")), int64(600))
	equal(t, "events", w.Events("refund.", "payment.partially"), []string{"refund.requested", "payment.partially_refunded", "refund.succeeded"})
	equal(t, "calls", calls(t, w, payment, "refund"), 1)
	equal(t, "anomalies", notedAnomalies(w, payment), []string{})
	w.AssertBooks(t)
}

func resumeRefunds(t *testing.T, w *billingtest.World) {
	t.Helper()
	w.Clock.Move(2 * time.Minute)
	if err := w.Payments.ResumeRefunds(w.System); err != nil {
		t.Fatal(err)
	}
}

// TestProviderTellsOfOurRefund: that what we have asked for is paid is told by a callback, before and after the answer to our
// call, and once or often. The refund is booked once, and who has asked for it gets one answer (S0-92, S0-93).
func TestProviderTellsOfOurRefund(t *testing.T) {
	t.Parallel()
	t.Run("before its answer is written", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		p := chargeOf(w, "tok_visa")
		early := pausing(w, func(_ context.Context, point string) {
			if strings.HasPrefix(point, "2") {
				tellRefunded(t, w, p, 400).Expect(http.StatusOK)
				refundedOnce(t, w, p)
			}
		})
		reply, err := early.Refund(w.Owner.Ctx, refundInput(p, keyOf(t, w, "early", "x")))
		if err != nil || reply.HTTP != http.StatusCreated || reply.Refund.Status != payments.RefundSucceeded || reply.Refund.RefundedAmountMinor != 400 {
			t.Fatalf("%v %+v", err, reply)
		}
		again, err := w.Payments.Refund(w.Owner.Ctx, refundInput(p, keyOf(t, w, "early", "x")))
		equal(t, "the repetition", again, reply)
		if err != nil {
			t.Error(err)
		}
		refundedOnce(t, w, p)
	})
	t.Run("before its answer is written, to who asks without a key", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		p := chargeOf(w, "tok_visa")
		early := pausing(w, func(_ context.Context, point string) {
			if strings.HasPrefix(point, "2") {
				tellRefunded(t, w, p, 400).Expect(http.StatusOK)
			}
		})
		reply, err := early.Refund(w.Owner.Ctx, refundInput(p, nil))
		if err != nil || reply.HTTP != http.StatusCreated || reply.Refund.Status != payments.RefundSucceeded {
			t.Fatalf("%v %+v", err, reply)
		}
		refundedOnce(t, w, p)
	})
	t.Run("after its answer was lost", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		p := chargeOf(w, "tok_refund_timeout", "invoice_id", w.OpenInvoice("8.00").ID)
		key := uuid.NewString()
		keyedRefund(w, w.Owner, key, p, "amount_minor", 400).Expect(http.StatusAccepted)
		for _, set := range []string{"asked_at = now()", "asked_minor = 1", "asked_minor = NULL"} {
			if err := raw(w.System, w, "UPDATE refunds SET "+set+" WHERE tenant_id = $1", w.Tenant.ID); !database.IsCheck(err, "refunds_immutable") {
				t.Errorf("SET %s: %v", set, err)
			}
		}
		tellRefunded(t, w, p, 400).Expect(http.StatusOK)
		refundedOnce(t, w, p)
		a := keyedRefund(w, w.Owner, key, p, "amount_minor", 400).Expect(http.StatusCreated)
		equal(t, "replayed", a.Header.Get("Idempotent-Replayed"), "true")
		resumeRefunds(t, w)
		equal(t, "asked where it stands", calls(t, w, p, "status"), 1) // before it was asked for the refund
		refundedOnce(t, w, p)
	})
	t.Run("after its answer, and often", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		p := chargeOf(w, "tok_visa")
		refundOf(w, w.Owner, p, "amount_minor", 400).Expect(http.StatusCreated)
		w.Viewer.Token()
		before := w.Snapshot()
		for range 3 {
			tellRefunded(t, w, p, 400).Expect(http.StatusOK)
		}
		unchanged(t, w, before)
		refundedOnce(t, w, p)
	})
	t.Run("after who has asked for it has died, at any point", func(t *testing.T) {
		t.Parallel()
		for _, point := range []string{"2", "3", "4"} {
			w := charged(t)
			p := chargeOf(w, "tok_visa")
			var crashed atomic.Bool
			func() {
				defer func() { recover() }()
				pausing(w, func(_ context.Context, at string) {
					if strings.HasPrefix(at, point) && !crashed.Swap(true) {
						panic("the process dies")
					}
				}).Refund(w.Owner.Ctx, refundInput(p, keyOf(t, w, "crash", "x")))
			}()
			tellRefunded(t, w, p, 400).Expect(http.StatusOK)
			refundedOnce(t, w, p)
			reply, err := w.Payments.Refund(w.Owner.Ctx, refundInput(p, keyOf(t, w, "crash", "x")))
			if err != nil || reply.HTTP != http.StatusCreated || reply.Refund.Status != payments.RefundSucceeded {
				t.Errorf("point %s: %v %+v", point, err, reply)
			}
			resumeRefunds(t, w)
			refundedOnce(t, w, p)
		}
	})
	t.Run("while others ask and tell", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		w.Owner.Token()
		p := chargeOf(w, "tok_refund_timeout")
		key := uuid.NewString()
		keyedRefund(w, w.Owner, key, p, "amount_minor", 400).Expect(http.StatusAccepted)
		w.Clock.Move(2 * time.Minute)
		for _, ended := range atOnce(12, func(i int) int {
			switch i % 3 {
			case 0:
				return tellRefunded(t, w, p, 400).Status
			case 1:
				return keyedRefund(w, w.Owner, key, p, "amount_minor", 400).Status
			}
			if err := w.Payments.ResumeRefunds(w.System); err != nil {
				return http.StatusInternalServerError
			}
			return http.StatusOK
		}) {
			if ended != http.StatusOK && ended != http.StatusCreated {
				t.Errorf("somebody got %d", ended)
			}
		}
		refundedOnce(t, w, p)
	})
	t.Run("of two that are under way: the worker asks which", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		p := chargeOf(w, "tok_refund_timeout")
		for _, minor := range []int{300, 400} {
			refundOf(w, w.Owner, p, "amount_minor", minor).Expect(http.StatusAccepted)
		}
		tellRefunded(t, w, p, 400).Expect(http.StatusOK)
		status(t, w, p, payments.StatusSucceeded)
		equal(t, "anomalies", notedAnomalies(w, p), []string{})
		equal(t, "due", count(t, "SELECT count(*) FROM refunds WHERE tenant_id = ? AND payment_id = ? AND next_ask_at <= ?", w.Tenant.ID, p, w.Clock.Now()), 2)
		resumeRefunds(t, w)
		equal(t, "refunded", w.Payment(p).RefundedMinor, int64(700))
		equal(t, "calls", calls(t, w, p, "refund"), 3) // of the second nobody can tell but the key
		equal(t, "clearing", w.Balance(ledger.Clearing("sandbox", "USD")), int64(300))
		w.AssertBooks(t)
	})
	t.Run("while the books do not take it", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		p := chargeOf(w, "tok_refund_timeout", "account_id", w.Account.ID, "prepayment", true)
		refundOf(w, w.Owner, p, "amount_minor", 400).Expect(http.StatusAccepted)
		if _, err := w.Invoices.ApplyCredit(w.Owner.Ctx, invoices.ApplyCreditInput{Invoice: w.OpenInvoice("10.00").ID.String()}); err != nil {
			t.Fatal(err)
		}
		tellRefunded(t, w, p, 400).Expect(http.StatusOK)
		status(t, w, p, payments.StatusSucceeded)
		equal(t, "events", w.Events("refund."), []string{"refund.requested", "refund.set_aside"})
		w.GiveCredit(w.Account.ID, money.New(400, "USD"))
		tellRefunded(t, w, p, 400).Expect(http.StatusOK)
		equal(t, "refunded", w.Payment(p).RefundedMinor, int64(400))
		w.AssertBooks(t)
	})
}

// TestProviderTellsOfAnotherRefund: what nobody here has asked for changes nothing, is kept once, and is shown to staff (5.9).
func TestProviderTellsOfAnotherRefund(t *testing.T) {
	t.Parallel()
	t.Run("when nothing was asked for", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		p := chargeOf(w, "tok_visa")
		for _, minor := range []int64{400, 400, 1000} {
			tellRefunded(t, w, p, minor).Expect(http.StatusOK)
		}
		status(t, w, p, payments.StatusSucceeded)
		equal(t, "anomalies", notedAnomalies(w, p), []string{"refunded_elsewhere", "refunded_elsewhere"})
		equal(t, "refunds", w.As(w.Viewer).Get(one(p, "refunds/")).Expect(http.StatusOK).Int("count"), int64(0))
		equal(t, "clearing", w.Balance(ledger.Clearing("sandbox", "USD")), int64(1000))
		equal(t, "events", w.Events("payment.anomaly"), []string{"payment.anomaly", "payment.anomaly"})
		w.AssertBooks(t)
	})
	t.Run("beside one that is under way", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		p := chargeOf(w, "tok_refund_timeout")
		refundOf(w, w.Owner, p, "amount_minor", 400).Expect(http.StatusAccepted)
		for _, minor := range []int64{300, 700} {
			tellRefunded(t, w, p, minor).Expect(http.StatusOK)
		}
		equal(t, "anomalies", notedAnomalies(w, p), []string{"refunded_elsewhere", "refunded_elsewhere"})
		resumeRefunds(t, w)
		equal(t, "refunded", w.Payment(p).RefundedMinor, int64(400))
		w.AssertBooks(t)
	})
	t.Run("before one that is asked for", func(t *testing.T) {
		t.Parallel()
		for token, asks := range map[string]int{"tok_visa": 1, "tok_refund_timeout": 1, "tok_refund_down": 3} {
			w := charged(t)
			twoRefund(w, 1)
			p := chargeOf(w, token)
			a := refundOf(w, w.Finance, p, "amount_minor", 300).Expect(http.StatusCreated)
			for range 3 {
				cabinet(t, w, p, 300)
			}
			before := calls(t, w, p, "refund")
			tellRefunded(t, w, p, 300).Expect(http.StatusOK)
			w.As(w.Owner).Post(refundPath(idOf(a), "approve/"), body("digest", a.Text("data.digest"))).Expect(http.StatusOK)
			for range 4 {
				tellRefunded(t, w, p, 300).Expect(http.StatusOK) // is no news of ours
				equal(t, token+": the books", w.Balance(ledger.Clearing("sandbox", "USD")), 1000-w.Payment(p).RefundedMinor)
				resumeRefunds(t, w)
			}
			equal(t, token+": refunded", w.Payment(p).RefundedMinor, int64(300))
			equal(t, token+": given back", count(t, "SELECT refunded_minor FROM sandbox_orders WHERE tenant_id = ? AND id = ?", w.Tenant.ID, p), 600)
			equal(t, token+": calls", calls(t, w, p, "refund")-before, asks)
			equal(t, token+": anomalies", notedAnomalies(w, p)[:1], []string{"refunded_elsewhere"})
			w.AssertBooks(t)
		}
	})
	t.Run("before one that is under way, and it is told with that one", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		p := chargeOf(w, "tok_refund_timeout")
		cabinet(t, w, p, 300)
		cabinet(t, w, p, 300) // the answer to the first was lost
		refundOf(w, w.Owner, p, "amount_minor", 400).Expect(http.StatusAccepted)
		for range 2 {
			tellRefunded(t, w, p, 700).Expect(http.StatusOK)
			equal(t, "refunded", w.Payment(p).RefundedMinor, int64(400))
			equal(t, "anomalies", notedAnomalies(w, p), []string{"refunded_elsewhere"})
		}
		equal(t, "calls", calls(t, w, p, "refund"), 3)
		w.AssertBooks(t)
	})
	t.Run("to a neighbour's payment", func(t *testing.T) {
		t.Parallel()
		w, neighbour := charged(t), charged(t)
		p := chargeOf(neighbour, "tok_refund_timeout")
		refundOf(neighbour, neighbour.Owner, p, "amount_minor", 400).Expect(http.StatusAccepted)
		before := neighbour.Snapshot()
		tellRefunded(t, w, p, 400).Expect(http.StatusOK)
		unchanged(t, neighbour, before)
	})
}

// teller is a provider whose callbacks are a test's own words: a state and, if they are told, how much was refunded, and its name of a refund. With asks
// it is asked for refunds, and never answers; otherwise it pays them only in its cabinet.
type teller struct {
	gateways.Unsupported
	name string
	asks bool
}

func (g teller) Name() string { return g.name }

func (g teller) Capabilities() gateways.Capabilities {
	c := gateways.Capabilities{Begin: true, Refunds: gateways.RefundByProvider, Callbacks: true, Modes: []gateways.Mode{gateways.Test}}
	if g.asks {
		c.Refunds, c.PartRefund = gateways.RefundByAPI, true
	}
	return c
}

func (g teller) Begin(_ context.Context, _ gateways.Credentials, o gateways.Order) (gateways.Result, error) {
	return gateways.Result{State: gateways.StatePaid, Captured: o.Amount}, nil
}

func (g teller) Refund(context.Context, gateways.Credentials, gateways.Operation) (gateways.Result, error) {
	if !g.asks {
		return gateways.Result{}, gateways.ErrUnsupported
	}
	return gateways.Result{}, gateways.ErrUnknown
}

func (g teller) HandleCallback(_ context.Context, _ gateways.Credentials, in gateways.Callback) (gateways.Message, error) {
	m := gateways.Message{ReplayKey: uuid.NewString(), Answer: func(error) gateways.Response { return gateways.Response{Status: http.StatusOK} }}
	words := strings.Fields(string(in.Body))
	if len(words) < 2 {
		return m, gateways.ErrRefused
	}
	m.OrderID, m.Result.State = uuid.MustParse(words[0]), gateways.State(words[1])
	if len(words) > 3 {
		m.Result.Details = map[string]any{"refund": words[3]}
	}
	if len(words) > 2 {
		minor, err := strconv.ParseInt(words[2], 10, 64)
		if err != nil {
			return m, gateways.ErrRefused
		}
		m.Result.Refunded = money.New(minor, "USD")
	}
	return m, nil
}

// tell says something of a payment, on the path of one of the providers.
func (g teller) tell(t *testing.T, w *billingtest.World, payment uuid.UUID, words string) {
	t.Helper()
	a, err := w.Gateways.Open(w.System, g.name)
	if err != nil {
		t.Fatal(err)
	}
	w.Anonymous().Post(a.CallbackPath(), payment.String()+" "+words).Expect(http.StatusOK)
}

// tellers is a world with two of them, and a payment at each.
func tellers(t *testing.T) (w *billingtest.World, cabinet, silent teller, at func(teller) uuid.UUID) {
	t.Helper()
	cabinet, silent = teller{name: "payme"}, teller{name: "octo", asks: true}
	w = billingtest.NewWithProviders(t, cabinet, silent)
	for _, name := range []string{"payme", "octo"} {
		w.As(w.Owner).Put(base+"/gateways/"+name+"/", body("is_enabled", true)).Expect(http.StatusOK)
	}
	return w, cabinet, silent, func(g teller) uuid.UUID { return chargeOf(w, "tok", "gateway", g.name, "force", true) }
}

// TestRefundInCabinet: a provider that has no call for refunds is not asked. Somebody refunds in its cabinet, and its word of
// that is kept (S0-26, W-11).
func TestRefundInCabinet(t *testing.T) {
	t.Parallel()
	w, cabinet, _, at := tellers(t)
	p := at(cabinet)
	before := w.Snapshot()
	for _, pairs := range [][]any{{}, {"amount_minor", 400}, {"payout_reference", "BANK 1"}} {
		refundOf(w, w.Owner, p, pairs...).Refused(http.StatusConflict, "refund_in_cabinet_only")
	}
	unchanged(t, w, before)
	equal(t, "refunds", w.As(w.Viewer).Get(one(p, "refunds/")).Expect(http.StatusOK).Int("count"), int64(0))
	cabinet.tell(t, w, p, "refunded 1000")
	equal(t, "anomalies", notedAnomalies(w, p), []string{"refunded_elsewhere"})
	status(t, w, p, payments.StatusSucceeded)
	w.AssertBooks(t)
}

// TestRefundWithoutAnAmount: not every provider says how much it has given back.
func TestRefundWithoutAnAmount(t *testing.T) {
	t.Parallel()
	w, cabinet, silent, at := tellers(t)
	t.Run("all of it is all that was taken", func(t *testing.T) {
		p := at(silent)
		refundOf(w, w.Owner, p).Expect(http.StatusAccepted)
		silent.tell(t, w, p, "refunded")
		status(t, w, p, payments.StatusRefunded)
		silent.tell(t, w, p, "refunded")
		equal(t, "anomalies", notedAnomalies(w, p), []string{})
	})
	t.Run("a part that was asked for leaves the question open", func(t *testing.T) {
		p := at(silent)
		refundOf(w, w.Owner, p, "amount_minor", 400).Expect(http.StatusAccepted)
		silent.tell(t, w, p, "partially_refunded")
		status(t, w, p, payments.StatusSucceeded)
		equal(t, "anomalies", notedAnomalies(w, p), []string{})
		equal(t, "due", count(t, "SELECT count(*) FROM refunds WHERE tenant_id = ? AND payment_id = ? AND next_ask_at <= ?", w.Tenant.ID, p, w.Clock.Now()), 1)
		silent.tell(t, w, p, "refunded") // more than was asked for
		equal(t, "anomalies", notedAnomalies(w, p), []string{"refunded_elsewhere"})
	})
	t.Run("what nobody has asked for is an anomaly", func(t *testing.T) {
		for _, words := range []string{"refunded", "partially_refunded"} {
			p := at(cabinet)
			cabinet.tell(t, w, p, words)
			status(t, w, p, payments.StatusSucceeded)
			equal(t, words, notedAnomalies(w, p), []string{"refunded_elsewhere"})
		}
	})
	w.AssertBooks(t)
}

// unreachable is a provider that has given 300 back in its cabinet, and whose calls for refunds do not arrive at first.
type unreachable struct {
	gateways.Unsupported
	arrives atomic.Bool
	given   atomic.Int64
}

func (*unreachable) Name() string { return "octo" }

func (*unreachable) Capabilities() gateways.Capabilities {
	return gateways.Capabilities{Begin: true, Refunds: gateways.RefundByAPI, PartRefund: true, FetchStatus: true, Modes: []gateways.Mode{gateways.Test}}
}

func (*unreachable) Begin(_ context.Context, _ gateways.Credentials, o gateways.Order) (gateways.Result, error) {
	return gateways.Result{State: gateways.StatePaid, Captured: o.Amount}, nil
}

func (g *unreachable) FetchStatus(context.Context, gateways.Credentials, gateways.Query) (gateways.Result, error) {
	return gateways.Result{State: gateways.StatePartiallyRefunded, Captured: money.New(1000, "USD"), Refunded: money.New(300+g.given.Load(), "USD")}, nil
}

func (g *unreachable) Refund(ctx context.Context, c gateways.Credentials, o gateways.Operation) (gateways.Result, error) {
	if !g.arrives.Load() {
		return gateways.Result{}, gateways.ErrUnknown
	}
	g.given.Add(o.Amount.Minor)
	return g.FetchStatus(ctx, c, gateways.Query{})
}

// TestRefundThatHasNotArrived: what was given back before is not taken for a refund whose call was lost on its way.
func TestRefundThatHasNotArrived(t *testing.T) {
	t.Parallel()
	g := &unreachable{}
	w := billingtest.NewWithProviders(t, g)
	w.As(w.Owner).Put(base+"/gateways/octo/", body("is_enabled", true)).Expect(http.StatusOK)
	p := chargeOf(w, "tok", "gateway", g.Name())
	refundOf(w, w.Owner, p, "amount_minor", 300).Expect(http.StatusAccepted)
	resumeRefunds(t, w)
	equal(t, "booked although it was not sent", w.Payment(p).RefundedMinor, int64(0))
	g.arrives.Store(true)
	resumeRefunds(t, w)
	equal(t, "refunded", w.Payment(p).RefundedMinor, int64(300))
	equal(t, "given back", g.given.Load(), int64(300))
	w.AssertBooks(t)
}
