package payments_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/gateways"
	"countersign/billing/payments"
	"countersign/internal/database"
	"countersign/internal/testkit"
)

// later moves the clock and looks up what is due, as the worker does.
func later(t *testing.T, w *billingtest.World, d time.Duration) {
	t.Helper()
	w.Clock.Move(d)
	if err := w.Payments.AskAgain(w.System); err != nil {
		t.Fatal(err)
	}
}

// forgetful is a provider that cannot tell for a while whether it has heard of an order. It never has.
type forgetful struct {
	gateways.Unsupported
	knows atomic.Bool
}

func (*forgetful) Name() string { return "octo" }

func (*forgetful) Capabilities() gateways.Capabilities {
	return gateways.Capabilities{Begin: true, Release: true, FetchStatus: true, Modes: []gateways.Mode{gateways.Test}}
}

func (*forgetful) Release(context.Context, gateways.Credentials, gateways.Operation) (gateways.Result, error) {
	return gateways.Result{}, gateways.ErrUnknown
}

func (g *forgetful) FetchStatus(context.Context, gateways.Credentials, gateways.Query) (gateways.Result, error) {
	if g.knows.Load() {
		return gateways.Result{State: gateways.StateNone}, nil
	}
	return gateways.Result{State: gateways.StateUnknown}, nil
}

func TestSweep(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]struct {
		state payments.Status
		http  int
		code  string
	}{
		"tok_timeout":         {payments.StatusSucceeded, 201, ""},
		"tok_timeout_decline": {payments.StatusFailed, 402, "card_declined"},
		"tok_lost":            {payments.StatusFailed, 502, "never_reached"},
		"tok_async":           {payments.StatusSucceeded, 201, ""},
		"tok_late_decline":    {payments.StatusFailed, 402, "card_declined"},
	} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			w := charged(t)
			in := order(token)
			id := idOf(w.As(w.Member).Post(charges, in).Expect(http.StatusAccepted))
			later(t, w, 30*time.Second)
			status(t, w, id, payments.StatusProcessing) // not yet due
			later(t, w, time.Minute)
			status(t, w, id, want.state)
			a := w.As(w.Member).Post(charges, in).Expect(want.http)
			equal(t, "replayed", a.Header.Get("Idempotent-Replayed"), "true")
			if want.code != "" {
				a.Refused(want.http, want.code)
			}
			before := w.Snapshot()
			later(t, w, 72*time.Hour)
			unchanged(t, w, before)
			w.AssertBooks(t)
		})
	}
	t.Run("who began it has died before he asked", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		func() {
			defer func() { recover() }()
			pausing(w, func(_ context.Context, point string) { panic(point) }).Charge(w.Member.Ctx, chargeInput(keyOf(t, w, "dead", "x")))
		}()
		later(t, w, 2*time.Minute)
		reply, err := w.Payments.Charge(w.Member.Ctx, chargeInput(keyOf(t, w, "dead", "x")))
		if err != nil || reply.Code != "never_reached" || reply.Charge.Status != "failed" {
			t.Errorf("the repetition: %v %+v", err, reply)
		}
	})
	t.Run("who began it has died after he asked, and nobody looks for two days", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		inv := w.OpenInvoice("10.00")
		in := chargeInput(keyOf(t, w, "dead", "x"))
		in.Source, in.Invoice = "tok_3ds", inv.ID.String()
		func() {
			defer func() { recover() }()
			pausing(w, func(_ context.Context, point string) {
				if strings.HasPrefix(point, "2") {
					panic(point)
				}
			}).Charge(w.Member.Ctx, in)
		}()
		id := uuid.MustParse(w.As(w.Owner).Get(list).Text("results.0.id"))
		later(t, w, 49*time.Hour)
		status(t, w, id, payments.StatusPending) // which is news: it is given up when there is none
		equal(t, "claims", w.Invoice(inv.ID).PendingClaims, 1)
		later(t, w, 25*time.Hour)
		status(t, w, id, payments.StatusExpired)
		equal(t, "claims", w.Invoice(inv.ID).PendingClaims, 0)
		equal(t, "events", events(w), []string{"created", "updated", "expired", "updated"})
		w.AssertBooks(t)
	})
	t.Run("the payer never comes back", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		id := idOf(w.As(w.Member).Post(charges, order("tok_3ds")).Expect(http.StatusCreated))
		asked := 0
		for range 70 {
			later(t, w, 47*time.Minute)
			asked = calls(t, w, id, "status")
		}
		status(t, w, id, payments.StatusExpired)
		if asked < 30 || asked > 40 { // the clock moves by 47 minutes, and an hour is waited for
			t.Errorf("it was asked for %d times", asked)
		}
		equal(t, "events", events(w), []string{"created", "updated", "expired", "updated"})
		equal(t, "at the provider", count(t, "SELECT count(*) FROM sandbox_orders WHERE tenant_id = ? AND id = ? AND state = 'cancelled'", w.Tenant.ID, id), 1) // nobody can pay it any more
	})
	t.Run("the payer has paid, and nobody was told for two days", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		inv := w.OpenInvoice("10.00")
		id := idOf(w.As(w.Member).Post(charges, order("tok_3ds", "invoice_id", inv.ID)).Expect(http.StatusCreated))
		w.As(w.Owner).Post(base+"/sandbox/orders/"+id.String()+"/complete/", body("approve", true)).Expect(http.StatusOK)
		later(t, w, 49*time.Hour)
		status(t, w, id, payments.StatusSucceeded)
		w.AssertBooks(t)
	})
	t.Run("who began it has died before he asked, it is cancelled, and the provider is slow to know", func(t *testing.T) {
		t.Parallel()
		slow := &forgetful{}
		w := billingtest.NewWithProviders(t, slow)
		w.As(w.Owner).Put(base+"/gateways/octo/", body("is_enabled", true)).Expect(http.StatusOK)
		inv := w.OpenInvoice("10.00")
		in := chargeInput(keyOf(t, w, "dead", "x"))
		in.Gateway, in.Invoice = slow.Name(), inv.ID.String()
		func() {
			defer func() { recover() }()
			pausing(w, func(_ context.Context, point string) { panic(point) }).Charge(w.Member.Ctx, in)
		}()
		id := uuid.MustParse(w.As(w.Owner).Get(list).Text("results.0.id"))
		w.Clock.Move(2 * time.Minute) // the lease of the dead is over
		w.As(w.Owner).Post(one(id, "cancel/"), "").Refused(http.StatusConflict, "operation_pending")
		later(t, w, 30*time.Minute)
		status(t, w, id, payments.StatusCreated)
		slow.knows.Store(true)
		later(t, w, time.Hour)
		status(t, w, id, payments.StatusCancelled)
		equal(t, "claims", w.Invoice(inv.ID).PendingClaims, 0)
		w.AssertBooks(t)
	})
	t.Run("what may be money is never given up", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		id := idOf(w.As(w.Member).Post(charges, order("tok_wrong_amount")).Expect(http.StatusAccepted))
		later(t, w, 49*time.Hour)
		status(t, w, id, payments.StatusProcessing)
		a := w.As(w.Owner).Get(one(id, "")).Expect(http.StatusOK)
		equal(t, "anomalies", len(a.List("data.anomalies")), 1)
		equal(t, "kind", a.Text("data.anomalies.0.kind"), "wrong_amount")
		if strings.Contains(string(w.As(w.Member).Get(one(id, "")).Expect(http.StatusOK).Raw), "anomal") {
			t.Error("the customer is told")
		}
	})
	t.Run("one that cannot be looked up holds back no other", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		bad := idOf(w.As(w.Member).Post(charges, order("tok_async")).Expect(http.StatusAccepted))
		good := idOf(w.As(w.Member).Post(charges, order("tok_async")).Expect(http.StatusAccepted))
		force(t, "UPDATE payments SET status = 'created', deleted_at = now() WHERE tenant_id = ? AND id = ?", w.Tenant.ID, bad)
		later(t, w, 2*time.Minute)
		status(t, w, good, payments.StatusSucceeded)
		equal(t, "its next time", count(t, "SELECT count(*) FROM payment_orders WHERE tenant_id = ? AND payment_id = ? AND next_ask_at > ? AND busy_until IS NULL", w.Tenant.ID, bad, w.Clock.Now()), 1)
	})
	t.Run("who does not answer is asked until he does", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		inv := w.OpenInvoice("10.00")
		id := idOf(w.As(w.Member).Post(charges, order("tok_async", "invoice_id", inv.ID)).Expect(http.StatusAccepted))
		force(t, "UPDATE payment_orders SET name = 'gone' WHERE tenant_id = ?", w.Tenant.ID)
		for range 4 {
			later(t, w, 25*time.Hour)
		}
		status(t, w, id, payments.StatusProcessing)
		a := w.As(w.Owner).Get(one(id, "")).Expect(http.StatusOK)
		equal(t, "anomalies", len(a.List("data.anomalies")), 1)
		equal(t, "kind", a.Text("data.anomalies.0.kind"), "unanswered")
		equal(t, "told", count(t, "SELECT count(*) FROM events WHERE tenant_id = ? AND type = 'payment.anomaly'", w.Tenant.ID), 1)
		force(t, "UPDATE payment_orders SET name = 'sandbox' WHERE tenant_id = ?", w.Tenant.ID)
		later(t, w, 25*time.Hour)
		status(t, w, id, payments.StatusSucceeded)
		equal(t, "claims", w.Invoice(inv.ID).PendingClaims, 0)
		w.AssertBooks(t)
	})
	t.Run("a capture that was lost can be made again", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		id := hold(t, w, "tok_visa")
		func() {
			defer func() { recover() }()
			p := pausing(w, func(_ context.Context, point string) { panic(point) })
			p.Capture(w.Owner.Ctx, payments.CaptureInput{ID: id, Once: keyOf(t, w, "lost", "x")})
		}()
		capture(w, id, "meanwhile").Refused(http.StatusConflict, "operation_pending")
		later(t, w, 2*time.Minute)
		status(t, w, id, payments.StatusAuthorized)
		capture(w, id, "anew").Expect(http.StatusOK)
	})
}

// leaving is a provider whose payer is away, and may come back as the order is given up.
type leaving struct {
	gateways.Unsupported
	state    gateways.State
	failure  error                          // when it is asked where the order stands
	looks    func()                         // as it is asked that
	releases func() (gateways.State, error) // what comes of giving up
	released int
}

func (*leaving) Name() string { return "octo" }

func (*leaving) Capabilities() gateways.Capabilities {
	return gateways.Capabilities{Begin: true, Release: true, FetchStatus: true, Modes: []gateways.Mode{gateways.Test}}
}

func (g *leaving) Begin(context.Context, gateways.Credentials, gateways.Order) (gateways.Result, error) {
	return gateways.Result{State: g.state}, nil
}

func (g *leaving) FetchStatus(context.Context, gateways.Credentials, gateways.Query) (gateways.Result, error) {
	if g.looks != nil {
		g.looks()
	}
	return gateways.Result{State: g.state}, g.failure
}

func (g *leaving) Release(context.Context, gateways.Credentials, gateways.Operation) (gateways.Result, error) {
	g.released++
	state, err := g.releases()
	return gateways.Result{State: state}, err
}

// TestPayerWhoComesBack: an order is given up here when the provider has given it up, or when the payer is still away although it has not.
func TestPayerWhoComesBack(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (*billingtest.World, *leaving, uuid.UUID) {
		g := &leaving{state: gateways.StateAwaitingCustomer}
		w := billingtest.NewWithProviders(t, g)
		w.As(w.Owner).Put(base+"/gateways/octo/", body("is_enabled", true)).Expect(http.StatusOK)
		return w, g, idOf(w.As(w.Member).Post(charges, order("tok", "gateway", g.Name(), "invoice_id", w.OpenInvoice("10.00").ID)).Expect(http.StatusCreated))
	}
	for name, tt := range map[string]struct {
		play      func(g *leaving) (gateways.State, error)
		want      payments.Status
		anomalies []string
	}{
		"it is given up there": {func(g *leaving) (gateways.State, error) {
			g.state = gateways.StateCancelled
			return g.state, nil
		}, payments.StatusExpired, []string{}},
		"the payer pays while it is given up": {func(g *leaving) (gateways.State, error) {
			g.state = gateways.StatePaid
			return "", gateways.ErrRefused
		}, payments.StatusSucceeded, []string{}},
		"the payer pays, and the provider says so": {func(g *leaving) (gateways.State, error) {
			g.state = gateways.StatePaid
			return g.state, nil
		}, payments.StatusSucceeded, []string{}},
		"it cannot be given up there, and the payer is still away": {func(*leaving) (gateways.State, error) {
			return "", gateways.ErrRefused
		}, payments.StatusExpired, []string{}},
		"there is no such call after all, and the payer is still away": {func(*leaving) (gateways.State, error) {
			return "", gateways.ErrUnsupported
		}, payments.StatusExpired, []string{}},
		"it cannot be given up there, and the provider does not know where it stands": {func(g *leaving) (gateways.State, error) {
			g.state = gateways.StateUnknown
			return "", gateways.ErrRefused
		}, payments.StatusPending, []string{"unanswered"}},
		"it cannot be given up there, and the provider refuses to say where it stands": {func(g *leaving) (gateways.State, error) {
			g.failure = gateways.ErrRefused
			return "", gateways.ErrRefused
		}, payments.StatusPending, []string{"unanswered"}},
		"nobody knows whether it is given up there": {func(*leaving) (gateways.State, error) {
			return gateways.StateUnknown, nil
		}, payments.StatusPending, []string{"unanswered"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, g, id := begin(t)
			g.releases = func() (gateways.State, error) { return tt.play(g) }
			later(t, w, 49*time.Hour)
			equal(t, "released", g.released, 1)
			status(t, w, id, tt.want)
			equal(t, "anomalies", notedAnomalies(w, id), tt.anomalies)
			w.AssertBooks(t)
		})
	}
	t.Run("what was said of it cannot be read: the provider is not asked, and nothing is said of him", func(t *testing.T) {
		t.Parallel()
		w, g, id := begin(t)
		name := "cut-" + uuid.NewString()
		var cut atomic.Bool
		db, err := database.Open(database.Config{URL: testkit.OwnerURL() + "&application_name=" + name, Role: database.AppRole, MaxConns: 2, Trace: func(_ context.Context, statements ...string) {
			if cut.Load() && strings.Contains(strings.Join(statements, ""), `"pa"."tenant_id"`) {
				force(t, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = ?", name)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		g.looks = func() { cut.Store(true) }
		w.Clock.Move(49 * time.Hour)
		if err := w.Replica(db).Payments.AskAgain(w.System); err != nil {
			t.Fatal(err)
		}
		equal(t, "released", g.released, 0)
		status(t, w, id, payments.StatusPending)
		equal(t, "anomalies", notedAnomalies(w, id), []string{})
		g.releases = func() (gateways.State, error) { return gateways.StateCancelled, nil }
		later(t, w, 25*time.Hour)
		status(t, w, id, payments.StatusExpired)
	})
}

// TestRefusedStatusOfACharge: a provider that refuses to say where an order stands has not refused the order.
func TestRefusedStatusOfACharge(t *testing.T) {
	t.Parallel()
	g := &leaving{state: gateways.StateProcessing}
	w := billingtest.NewWithProviders(t, g)
	w.As(w.Owner).Put(base+"/gateways/octo/", body("is_enabled", true)).Expect(http.StatusOK)
	in := order("tok", "gateway", g.Name())
	id := idOf(w.As(w.Member).Post(charges, in).Expect(http.StatusAccepted))
	g.failure = gateways.ErrRefused
	w.As(w.Member).Post(charges, in).Expect(http.StatusAccepted)
	later(t, w, 2*time.Minute)
	status(t, w, id, payments.StatusProcessing)
	g.state, g.failure = gateways.StatePaid, nil
	later(t, w, 2*time.Minute)
	status(t, w, id, payments.StatusSucceeded)
	w.As(w.Member).Post(charges, in).Expect(http.StatusCreated)
	w.AssertBooks(t)
}

// deliver sends what the sandbox has to say, as the worker does.
func deliver(t *testing.T, w *billingtest.World) {
	t.Helper()
	for _, app := range w.Apps {
		for _, d := range app.Doorbells {
			if d.Name == "sandbox.deliver" {
				if err := d.Run(w.System); err != nil {
					t.Fatal(err)
				}
				return
			}
		}
	}
	t.Fatal("nobody delivers what the sandbox says")
}

func TestCallbacksOfTheSandbox(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]struct {
		http      int
		state     payments.Status
		anomalies []string
	}{
		"tok_async":               {202, payments.StatusSucceeded, nil},
		"tok_late_decline":        {202, payments.StatusFailed, nil},
		"tok_duplicate_callback":  {201, payments.StatusSucceeded, nil},
		"tok_reordered_callbacks": {202, payments.StatusSucceeded, []string{"late"}},
		"tok_contradiction":       {201, payments.StatusSucceeded, []string{"failed_after_success"}},
	} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			w := charged(t)
			in := order(token)
			id := idOf(w.As(w.Member).Post(charges, in).Expect(want.http))
			deliver(t, w)
			deliver(t, w)
			status(t, w, id, want.state)
			var kinds []string
			for _, a := range w.As(w.Owner).Get(one(id, "")).Expect(http.StatusOK).List("data.anomalies") {
				kinds = append(kinds, a.(map[string]any)["kind"].(string))
			}
			equal(t, "anomalies", kinds, want.anomalies)
			if want.state == payments.StatusSucceeded {
				equal(t, "succeeded", count(t, "SELECT count(*) FROM events WHERE tenant_id = ? AND type = 'payment.succeeded'", w.Tenant.ID), 1)
				w.As(w.Member).Post(charges, in).Expect(http.StatusCreated)
			}
			equal(t, "messages without an effect", count(t, "SELECT count(*) FROM inbound_events WHERE tenant_id = ? AND status IN ('received', 'failed')", w.Tenant.ID), 0)
			w.AssertBooks(t)
		})
	}
	t.Run("the payer of tok_3ds approves", func(t *testing.T) {
		t.Parallel()
		w := charged(t)
		a := w.As(w.Member).Post(charges, order("tok_3ds")).Expect(http.StatusCreated)
		equal(t, "what the payer must do", a.Text("data.next_action.type"), "redirect")
		w.As(w.Owner).Post(base+"/sandbox/orders/"+a.Text("data.id")+"/complete/", body("approve", true)).Expect(http.StatusOK)
		deliver(t, w)
		status(t, w, idOf(a), payments.StatusSucceeded)
		w.AssertBooks(t)
	})
}

// acme is a processor of the tenant's own, which tells us what becomes of payments (S0-11).
type acme struct {
	w    *billingtest.World
	path string
}

const acmeSecret = "the secret of acme's own processor"

func newAcme(t *testing.T, w *billingtest.World) acme {
	t.Helper()
	a := w.As(w.Owner).Put(base+"/gateways/acme/", body("gateway", "integrator", "is_enabled", true, "secrets", body("shared_secret", acmeSecret), "error_map", body("77", "declined"))).Expect(http.StatusOK)
	return acme{w, a.Text("data.callback_path")}
}

func (a acme) tell(secret, text string) testkit.Answer {
	signature := gateways.Sign(secret, a.w.Clock.Now(), []byte(text))
	return a.w.Anonymous().With("Countersign-Signature", signature).With("Authorization", "Basic of-its-own").Post(a.path, text)
}

func TestIntegrator(t *testing.T) {
	t.Parallel()
	begin := func(t *testing.T) (*billingtest.World, acme, string) {
		w := billingtest.New(t)
		a := newAcme(t, w)
		made := w.As(w.Owner).Post(charges, order("", "gateway", "acme", "account_id", w.Account.ID)).Expect(http.StatusCreated)
		equal(t, "status", made.Text("data.status"), "pending")
		equal(t, "gateway", made.Text("data.gateway"), "integrator")
		return w, a, made.Text("data.id")
	}
	t.Run("a hundred copies of one message have one effect", func(t *testing.T) { // S1-37
		t.Parallel()
		w, a, id := begin(t)
		text := `{"id":"m1","payment_id":"` + id + `","reference":"A-1","status":"succeeded","amount_minor":1000,"currency":"USD","data":{"desk":{"n":12345678901234567890,"tags":["x",null,1.50]}}}`
		for _, answer := range atOnce(100, func(int) testkit.Answer { return a.tell(acmeSecret, text) }) {
			if answer.Status != http.StatusOK {
				t.Errorf("a copy: %d %s", answer.Status, answer.Raw)
			}
		}
		equal(t, "events", events(w), []string{"created", "updated", "succeeded", "updated"})
		equal(t, "messages", count(t, "SELECT count(*) FROM inbound_events WHERE tenant_id = ?", w.Tenant.ID), 1)
		raw := string(w.As(w.Owner).Get(list + id + "/").Expect(http.StatusOK).Raw)
		if !strings.Contains(raw, `12345678901234567890`) || !strings.Contains(raw, `1.5`) { // S0-44
			t.Errorf("its data is not kept: %s", raw)
		}
		w.AssertBooks(t)
	})
	t.Run("its error codes are ours", func(t *testing.T) { // S0-43
		t.Parallel()
		w, a, id := begin(t)
		a.tell(acmeSecret, `{"payment_id":"`+id+`","status":"failed","error_code":"77","error_note":"No funds"}`).Expect(http.StatusOK)
		got := w.As(w.Owner).Get(list + id + "/")
		equal(t, "code", got.At("data.failure_code"), any("declined"))
		equal(t, "reason", got.At("data.failure_reason"), any("No funds"))
	})
	t.Run("what is not genuine changes nothing", func(t *testing.T) { // S0-58
		t.Parallel()
		w, a, id := begin(t)
		w.Owner.Token()
		before := w.Snapshot()
		text := `{"payment_id":"` + id + `","status":"succeeded"}`
		a.tell("another secret", text).Expect(http.StatusForbidden)
		w.Anonymous().Post(a.path, text).Expect(http.StatusForbidden)
		w.Anonymous().Post(strings.Replace(a.path, "gwe_", "gwe_x", 1), text).Refused(http.StatusNotFound, "not_found")
		w.Anonymous().Post(strings.Replace(a.path, "integrator", "sandbox", 1), text).Refused(http.StatusNotFound, "not_found")
		w.Anonymous().Post(a.path, strings.Repeat("x", 2<<20)).Refused(http.StatusRequestEntityTooLarge, "body_too_large")
		a.tell(acmeSecret, "no JSON").Expect(http.StatusBadRequest)
		unchanged(t, w, before)
		equal(t, "messages", count(t, "SELECT count(*) FROM inbound_events WHERE tenant_id = ?", w.Tenant.ID), 0)
	})
	t.Run("another amount, currency or reference posts nothing", func(t *testing.T) {
		t.Parallel()
		for kind, more := range map[string]string{"wrong_amount": `"amount_minor":999,"currency":"USD"`, "wrong_currency": `"amount_minor":1000,"currency":"EUR"`} {
			w, a, id := begin(t)
			a.tell(acmeSecret, `{"payment_id":"`+id+`","status":"paid",`+more+`}`).Expect(http.StatusOK)
			got := w.As(w.Owner).Get(list + id + "/")
			equal(t, kind, got.Text("data.anomalies.0.kind"), kind)
			equal(t, "posted", count(t, "SELECT count(*) FROM ledger_transactions WHERE tenant_id = ?", w.Tenant.ID), 0)
		}
		w, a, id := begin(t)
		a.tell(acmeSecret, `{"payment_id":"`+id+`","reference":"A-1","status":"pending"}`).Expect(http.StatusOK)
		a.tell(acmeSecret, `{"payment_id":"`+id+`","reference":"A-2","status":"paid"}`).Expect(http.StatusOK)
		equal(t, "kind", w.As(w.Owner).Get(list+id+"/").Text("data.anomalies.0.kind"), "other_reference")
		a.tell(acmeSecret, `{"reference":"A-1","status":"paid"}`).Expect(http.StatusOK)
		equal(t, "posted", count(t, "SELECT count(*) FROM ledger_transactions WHERE tenant_id = ?", w.Tenant.ID), 1)
	})
	t.Run("a payment of a neighbour is none of its", func(t *testing.T) {
		t.Parallel()
		w, a, _ := begin(t)
		neighbour, _, id := begin(t)
		before := w.Snapshot()
		a.tell(acmeSecret, `{"payment_id":"`+id+`","status":"succeeded"}`).Expect(http.StatusOK)
		unchanged(t, w, before)
		equal(t, "theirs", neighbour.As(neighbour.Owner).Get(list+id+"/").Text("data.status"), "pending")
		equal(t, "ignored", count(t, "SELECT count(*) FROM inbound_events WHERE tenant_id = ? AND status = 'ignored'", w.Tenant.ID), 1)
	})
	t.Run("nothing is heard of it for two days", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		newAcme(t, w)
		inv := w.OpenInvoice("10.00")
		made := w.As(w.Owner).Post(charges, order("", "gateway", "acme", "invoice_id", inv.ID)).Expect(http.StatusCreated)
		equal(t, "claims", w.Invoice(inv.ID).PendingClaims, 1)
		later(t, w, 47*time.Hour)
		status(t, w, idOf(made), payments.StatusPending)
		later(t, w, 2*time.Hour)
		status(t, w, idOf(made), payments.StatusExpired)
		equal(t, "claims", w.Invoice(inv.ID).PendingClaims, 0)
		w.AssertBooks(t)
	})
	t.Run("cancelled while the payer is away", func(t *testing.T) {
		t.Parallel()
		w, a, id := begin(t)
		w.As(w.Owner).Post(list+id+"/cancel/", "").Expect(http.StatusOK)
		a.tell(acmeSecret, `{"payment_id":"`+id+`","status":"succeeded"}`).Expect(http.StatusOK)
		equal(t, "kind", w.As(w.Owner).Get(list+id+"/").Text("data.anomalies.0.kind"), "paid_after_end")
		equal(t, "status", w.As(w.Owner).Get(list+id+"/").Text("data.status"), "cancelled")
	})
}

// TestCallbackOvertakesTheCall: the provider says that it is paid before it answers the call.
func TestCallbackOvertakesTheCall(t *testing.T) {
	t.Parallel()
	w := charged(t)
	id := hold(t, w, "tok_visa")
	p := pausing(w, func(_ context.Context, point string) {
		if strings.HasPrefix(point, "2") {
			later(t, w, 2*time.Minute) // the sweeper is as good as a callback
		}
	})
	reply, err := p.Capture(w.Owner.Ctx, payments.CaptureInput{ID: id, Once: keyOf(t, w, "k", "x")})
	if err != nil || reply.HTTP != http.StatusOK || reply.Charge.Status != "succeeded" {
		t.Errorf("%v %+v", err, reply)
	}
	equal(t, "calls", calls(t, w, id, "capture"), 1)
	w.AssertBooks(t)
}
