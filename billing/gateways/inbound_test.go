package gateways_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/gateways"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

const body = `{"payment_id":"x","note":"the payer's own words"}`

var incoming = gateways.Callback{Method: http.MethodPost, Path: "prepare", Query: "a=b", Peer: "192.0.2.1", Body: []byte(body),
	Header: http.Header{"X-Signature": {"right"}, "Authorization": {"Basic cGF5bWU6c2VjcmV0"}}}

// inbox is a tenant with an integrator, and what handles its callbacks: each has the effect once.
type inbox struct {
	*billingtest.World
	access  gateways.Access
	ctx     context.Context
	effects atomic.Int64
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	w := billingtest.New(t)
	endpoint := register(w).Text("data.endpoint")
	ctx, a, err := w.Gateways.Endpoint(t.Context(), "integrator", endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return &inbox{World: w, access: a, ctx: ctx}
}

func (i *inbox) receive(t testing.TB, key string) *gateways.Inbound {
	t.Helper()
	e, err := i.Gateways.Receive(i.ctx, i.access, incoming, gateways.Message{ReplayKey: key})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// handle is what a handler of callbacks does: it stores, takes, acts and finishes. fails ends the transaction of the effect.
func (i *inbox) handle(t testing.TB, key string, fails error) gateways.Response {
	t.Helper()
	e := i.receive(t, key)
	if e.Done() {
		return e.Answered()
	}
	answer := gateways.Response{Status: http.StatusOK, ContentType: "text/plain", Body: []byte("taken " + key)}
	acted := false
	err := tenancy.InTx(i.ctx, i.DB, func(ctx context.Context, tx bun.Tx) error {
		acted = false
		taken, err := i.Gateways.Take(ctx, tx, e.ID)
		if err != nil {
			return err
		}
		if taken.Done() {
			answer = taken.Answered()
			return nil
		}
		acted = true
		i.Gateways.Finish(ctx, taken, gateways.Outcome{Response: answer, PaymentID: uuid.Nil})
		return fails
	})
	if err != nil && !errors.Is(err, fails) {
		t.Error(err)
	}
	if err != nil {
		if err := i.Gateways.Fail(i.ctx, e.ID, err); err != nil {
			t.Error(err)
		}
		return gateways.Response{Status: http.StatusServiceUnavailable}
	}
	if acted {
		i.effects.Add(1)
	}
	return answer
}

// shown is the list as staff read it.
func (i *inbox) shown(t testing.TB, query string) []string {
	t.Helper()
	list := []string{}
	for _, e := range i.As(i.Finance).Get(billingtest.Base + "/billing/webhook-events/" + query).Expect(http.StatusOK).List("results") {
		row := e.(map[string]any)
		list = append(list, row["replay_key"].(string)+" "+row["status"].(string)+" "+row["note"].(string))
	}
	return list
}

func TestInbound(t *testing.T) {
	t.Parallel()
	t.Run("a hundred copies have one effect and one answer", func(t *testing.T) { // S1-37, race 8
		t.Parallel()
		i := newInbox(t)
		answers := make([]gateways.Response, 100)
		var group sync.WaitGroup
		for n := range answers {
			group.Go(func() { answers[n] = i.handle(t, "m1", nil) })
		}
		group.Wait()
		if n := i.effects.Load(); n != 1 {
			t.Errorf("%d effects", n)
		}
		for _, a := range answers {
			if diff := cmp.Diff(gateways.Response{Status: http.StatusOK, ContentType: "text/plain", Body: []byte("taken m1")}, a); diff != "" {
				t.Fatal(diff)
			}
		}
		if diff := cmp.Diff([]string{"m1 processed "}, i.shown(t, "")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("what has failed has its effect when it comes again", func(t *testing.T) { // W-06
		t.Parallel()
		i := newInbox(t)
		broken := errors.New("no such payment\x00 yet")
		if a := i.handle(t, "m1", broken); a.Status != http.StatusServiceUnavailable {
			t.Errorf("answered %d", a.Status)
		}
		if diff := cmp.Diff([]string{"m1 failed no such payment yet"}, i.shown(t, "?status=failed")); diff != "" {
			t.Error(diff)
		}
		i.handle(t, "m1", nil)
		i.handle(t, "m1", nil)
		if n := i.effects.Load(); n != 1 {
			t.Errorf("%d effects", n)
		}
		if err := i.Gateways.Fail(i.ctx, i.receive(t, "m1").ID, broken); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"m1 processed "}, i.shown(t, "")); diff != "" {
			t.Errorf("a late failure has changed it: %s", diff)
		}
	})
	t.Run("what means nothing is kept with the reason", func(t *testing.T) {
		t.Parallel()
		i := newInbox(t)
		e := i.receive(t, "m1")
		err := tenancy.InTx(i.ctx, i.DB, func(ctx context.Context, tx bun.Tx) error {
			taken, err := i.Gateways.Take(ctx, tx, e.ID)
			if err != nil {
				return err
			}
			i.Gateways.Finish(ctx, taken, gateways.Outcome{Response: gateways.Response{Status: http.StatusNoContent}, Ignored: "an unknown kind"})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if again := i.receive(t, "m1"); !again.Done() || again.Answered().Status != http.StatusNoContent {
			t.Errorf("got %+v", again.Answered())
		}
		if diff := cmp.Diff([]string{"m1 ignored an unknown kind"}, i.shown(t, "?gateway=acme&status=ignored")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("it is stored sealed, and opens as it came but for credentials", func(t *testing.T) {
		t.Parallel()
		i := newInbox(t)
		e := i.receive(t, "m1")
		var raw string
		err := testkit.OwnerDB(t).NewRaw("SELECT r::text || encode(payload, 'escape') || encode(headers, 'escape') FROM inbound_events AS r WHERE tenant_id = ?", i.Tenant.ID).Scan(t.Context(), &raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"own words", "X-Signature", "192.0.2.1", "cGF5bWU6c2VjcmV0"} {
			if strings.Contains(raw, text) {
				t.Errorf("the row shows %q", text)
			}
		}
		again, err := i.Gateways.ReopenInbound(e)
		if err != nil {
			t.Fatal(err)
		}
		want := incoming
		want.Header, want.Arrived = http.Header{"X-Signature": {"right"}, "Authorization": {"checked and not kept"}}, again.Arrived
		if diff := cmp.Diff(want, again); diff != "" || again.Arrived.IsZero() {
			t.Error(diff)
		}
		if incoming.Header.Get("Authorization") != "Basic cGF5bWU6c2VjcmV0" {
			t.Error("the caller's own headers were changed")
		}
	})
	t.Run("card data is not kept, even sealed", func(t *testing.T) { // S1-14, S0D-24
		t.Parallel()
		i := newInbox(t)
		const card = "4242 4242 4242 4242"
		e, err := i.Gateways.Receive(i.ctx, i.access, gateways.Callback{Path: card, Query: "q=" + card, Body: []byte(`{"pan":"` + card + `","cvv":"123","a":"` + card + `"}`),
			Header: http.Header{"X-Card": {card}, "4242-4242-4242-4242": {"a"}, "Cvv": {"123"}, "X-Kept": {"a", "b"}}}, gateways.Message{ReplayKey: "m1"})
		if err != nil {
			t.Fatal(err)
		}
		again, err := i.Gateways.ReopenInbound(e)
		if err != nil {
			t.Fatal(err)
		}
		want := gateways.Callback{Path: "[card number]", Query: "q=[card number]", Body: []byte(`{"a":"[card number]"}`), Arrived: again.Arrived,
			Header: http.Header{"X-Card": {"[card number]"}, "[card number]": {"a"}, "X-Kept": {"a", "b"}}}
		if diff := cmp.Diff(want, again); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("why it had no effect is noted in short, without card data and as it is kept", func(t *testing.T) { // S1-14
		t.Parallel()
		i := newInbox(t)
		for key, why := range map[string]string{"m1": strings.ReplaceAll("4242-4242-4242-4242 cvv 123", "-", "\x00\x00\x00\x00"),
			"m2": strings.Repeat("x", 483) + " 4242424242424242999999"} {
			if err := i.Gateways.Fail(i.ctx, i.receive(t, key).ID, errors.New(why)); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{"m1 failed [card number] cvv [security code]", "m2 failed " + strings.Repeat("x", 483) + " [card number]"}
		got := i.shown(t, "?status=failed")
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("tenants and gateways have keys of their own", func(t *testing.T) {
		t.Parallel()
		i, other := newInbox(t), newInbox(t)
		e := i.receive(t, "m1")
		if f := other.receive(t, "m1"); f.ID == e.ID {
			t.Error("two tenants share a message")
		}
		err := tenancy.InTx(other.ctx, other.DB, func(ctx context.Context, tx bun.Tx) error {
			_, err := other.Gateways.Take(ctx, tx, e.ID)
			return err
		})
		if !errors.Is(err, web.ErrNotFound) {
			t.Errorf("another tenant takes it: %v", err)
		}
	})
	t.Run("a key of any length and kind is kept apart from others", func(t *testing.T) {
		t.Parallel()
		i := newInbox(t)
		ids := map[uuid.UUID]bool{}
		keys := []string{"", "\xff", strings.Repeat("k", 201), strings.Repeat("k", 202), "\x00k"}
		for _, key := range keys {
			ids[i.receive(t, key).ID] = true
			ids[i.receive(t, key).ID] = true
		}
		if len(ids) != len(keys) {
			t.Errorf("%d messages of %d keys", len(ids), len(keys))
		}
	})
}
