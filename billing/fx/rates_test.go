package fx_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/fx"
	"countersign/billing/money"
	"countersign/internal/web"
)

func TestRates(t *testing.T) {
	t.Parallel()
	t.Run("are recorded with their source and time", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		client := w.As(w.Finance).With("Idempotency-Key", "cbu-2026-01-20")
		sent := map[string]any{"base": "usd", "quote": "UZS", "rate": "12700.2500000000", "source": "cbu.uz", "as_of": "2026-01-20"}
		got := client.Post(base+"/rates/", sent).Expect(http.StatusCreated)
		id := got.Text("data.id")
		want := map[string]any{"id": id, "base": "USD", "quote": "UZS", "rate": "12700.25", "source": "cbu.uz", "as_of": "2026-01-20T00:00:00.000000Z",
			"created_by": w.Finance.ID.String(), "created_at": got.Text("data.created_at")}
		if diff := cmp.Diff(want, got.At("data")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, w.As(w.Viewer).Get(base+"/rates/"+id+"/").Expect(http.StatusOK).At("data")); diff != "" {
			t.Errorf("it is shown otherwise than it was recorded: %s", diff)
		}
		if again := client.Post(base+"/rates/", sent).Expect(http.StatusCreated); again.Text("data.id") != id {
			t.Error("the same request recorded it twice")
		}
		now := w.As(w.Finance).Post(base+"/rates/", map[string]any{"base": "USD", "quote": "UZS", "rate": json.Number("0.0000000001"), "source": "manual"}).Expect(http.StatusCreated)
		if now.Text("data.as_of") != "2026-01-21T06:00:00.000000Z" || now.Text("data.rate") != "0.0000000001" {
			t.Errorf("got %s", now.Raw)
		}
		if diff := cmp.Diff([]string{"fx.rate_recorded", "fx.rate_recorded"}, w.Events("fx.")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"fx_rate.record", "fx_rate.record"}, w.Audited("fx_")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("are refused when they cannot be right", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		for field, wrong := range map[string][]any{"base": {"QQQ", "UZS", nil}, "quote": {"QQQ", "USD", nil}, "rate": {"0", "-1", "1e3", "10000000000", "0.00000000001", nil},
			"source": {"", nil}, "as_of": {"yesterday", "2026-02-30"}} {
			for _, value := range wrong {
				sent := map[string]any{"base": "USD", "quote": "UZS", "rate": "12700", "source": "manual", "as_of": "2026-01-20", field: value}
				got := w.As(w.Finance).Post(base+"/rates/", sent).Refused(http.StatusBadRequest, "validation_failed")
				if blamed := got.At("errors").(map[string]any); blamed[field] == nil && !(field == "base" && value == "UZS") {
					t.Errorf("%s %v: %s", field, value, got.Raw)
				}
			}
		}
		w.As(w.Viewer).Post(base+"/rates/", map[string]any{"base": "USD", "quote": "UZS", "rate": "12700", "source": "manual"}).Refused(http.StatusForbidden, "permission_denied")
		w.As(w.Member).Get(base+"/rates/").Refused(http.StatusForbidden, "staff_only")
		if n := count(t, "SELECT count(*) FROM fx_rates WHERE tenant_id = ?", w.Tenant.ID); n != 0 {
			t.Errorf("%d were recorded", n)
		}
	})
	t.Run("are listed, the newest first, by what they are about", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		at := w.Clock.Now()
		first, second := record(t, w, "USD", "UZS", "12700", at.Add(-time.Hour)), record(t, w, "EUR", "UZS", "13700", at)
		client := w.As(w.Viewer)
		for query, want := range map[string][]any{"": {second.String(), first.String()}, "?base=USD": {first.String()}, "?quote=uzs": {second.String(), first.String()},
			"?source=cbu.uz&base=EUR": {second.String()}, "?source=elsewhere": nil, "?as_of_before=" + web.Time(at): {first.String()}, "?cursor=&page_size=1": {second.String()}} {
			var got []any
			for _, row := range client.Get(base + "/rates/" + query).Expect(http.StatusOK).List("results") {
				got = append(got, row.(map[string]any)["id"])
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: %s", query, diff)
			}
		}
	})
	t.Run("of another tenant do not exist", func(t *testing.T) {
		t.Parallel()
		w, neighbour := euros(t), billingtest.New(t)
		theirs := record(t, neighbour, "EUR", "USD", "9", w.Clock.Now())
		w.As(w.Owner).Get(base+"/rates/"+theirs.String()+"/").Refused(http.StatusNotFound, "not_found")
		finance(w).Post(base+"/conversions/", body(w, "rate", nil, "source", nil, "rate_id", theirs.String())).Expect(http.StatusBadRequest)
		finance(w).Post(base+"/conversions/", body(w, "rate", nil, "source", nil)).Refused(http.StatusBadRequest, "fx_no_rate")
		w.Read(func(ctx context.Context, tx bun.Tx) error {
			if r, err := fx.Latest(ctx, tx, "EUR", "USD", w.Clock.Now()); !errors.Is(err, web.ErrNotFound) {
				t.Errorf("got %v %v", r, err)
			}
			_, err := fx.GetRate(ctx, tx, uuid.New())
			if !errors.Is(err, web.ErrNotFound) {
				t.Error(err)
			}
			return nil
		})
	})
}

// TestRateAge shows which rate is used when none is named.
func TestRateAge(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	w.GiveCredit(w.Account.ID, money.New(10000, "EUR"))
	unnamed := body(w, "rate", nil, "source", nil, "from_amount", "10.00")
	convertedAt := func() string {
		t.Helper()
		return finance(w).Post(base+"/conversions/", unnamed).Expect(http.StatusCreated).Text("data.rate.rate")
	}
	now := w.Clock.Now()
	record(t, w, "EUR", "USD", "1.3", now.Add(time.Hour))
	old := record(t, w, "EUR", "USD", "1.1", now.Add(-7*24*time.Hour-time.Second))
	finance(w).Post(base+"/conversions/", unnamed).Refused(http.StatusBadRequest, "fx_no_rate")
	if got := w.As(w.Owner).With("Idempotency-Key", "old").Post(base+"/conversions/", body(w, "rate", nil, "source", nil, "from_amount", "10.00", "rate_id", old.String(), "reason", "The day he paid")).Expect(http.StatusCreated); got.Text("data.rate.rate") != "1.1" {
		t.Errorf("got %s", got.Raw)
	}
	record(t, w, "EUR", "USD", "1.2", now.Add(-7*24*time.Hour))
	if got := convertedAt(); got != "1.2" {
		t.Errorf("the rate is %s, want the one that is seven days old", got)
	}
	record(t, w, "EUR", "USD", "1.25", now.Add(-7*24*time.Hour))
	if got := convertedAt(); got != "1.25" {
		t.Errorf("the rate is %s, want the one that corrects it", got)
	}
	w.Clock.Move(time.Hour)
	if got := convertedAt(); got != "1.3" {
		t.Errorf("the rate is %s, want the one that has come into force", got)
	}
}
