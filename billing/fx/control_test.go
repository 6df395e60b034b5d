package fx_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/money"
	"countersign/internal/testkit"
)

// TestGiven shows that what the bank is said to have given stays near what the rate makes.
func TestGiven(t *testing.T) {
	t.Parallel()
	w := euros(t)
	for _, tt := range []struct {
		name, from, given string
		reason            string
		code              string // empty: it is done
	}{
		{"a fortune for a cent", "0.01", "100000.00", "A gift", "fx_amounts_disagree"},
		{"twice as much", "10.00", "21.60", "A gift", "fx_amounts_disagree"},
		{"half as much", "10.00", "5.40", "A fee", "fx_amounts_disagree"},
		{"more than five percent more", "10.00", "11.35", "A gift", "fx_amounts_disagree"},
		{"five percent more", "10.00", "11.34", "The bank's rate", ""},
		{"five percent less", "10.00", "10.26", "The bank's fee", ""},
		{"more than five percent less", "10.00", "10.25", "The bank's fee", "fx_amounts_disagree"},
		{"one cent less of two", "0.02", "0.01", "The bank rounds down", ""},
		{"two cents more of two", "0.02", "0.04", "The bank rounds up", "fx_amounts_disagree"},
		{"another amount without a reason", "10.00", "10.79", "", "fx_reason_required"},
		{"what the rate makes, without a reason", "10.00", "10.80", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := finance(w).Post(base+"/conversions/", body(w, "from_amount", tt.from, "to_amount", tt.given, "reason", tt.reason))
			if tt.code == "" {
				got.Expect(http.StatusCreated)
			} else {
				got.Refused(http.StatusBadRequest, tt.code)
			}
		})
	}
	w.AssertBooks(t)
}

// TestConfirm shows that nobody converts at a rate that is his word alone.
func TestConfirm(t *testing.T) {
	t.Parallel()
	world := func(t *testing.T) *billingtest.World {
		w := billingtest.New(t)
		w.GiveCredit(w.Account.ID, money.New(10000, "EUR"))
		return w
	}
	as := func(w *billingtest.World, p *billingtest.Person) *testkit.Client {
		return w.As(p).With("Idempotency-Key", uuid.NewString())
	}
	refused := func(t *testing.T, w *billingtest.World, body map[string]any) {
		t.Helper()
		as(w, w.Finance).Post(base+"/conversions/", body).Refused(http.StatusForbidden, "fx_rate_unconfirmed")
	}
	t.Run("a stated one that nobody has recorded takes an owner and a reason", func(t *testing.T) {
		t.Parallel()
		w := world(t)
		refused(t, w, body(w, "reason", "I say so"))
		as(w, w.Owner).Post(base+"/conversions/", body(w)).Refused(http.StatusBadRequest, "fx_reason_required")
		as(w, w.Owner).Post(base+"/conversions/", body(w, "reason", "The bank's letter of today")).Expect(http.StatusCreated)
	})
	t.Run("one that he has recorded himself confirms nothing", func(t *testing.T) {
		t.Parallel()
		w := world(t)
		own := recordAs(t, w, w.Finance, "EUR", "USD", "1000", w.Clock.Now())
		refused(t, w, body(w, "rate", nil, "source", nil, "rate_id", own.String(), "reason", "I say so"))
		refused(t, w, body(w, "rate", nil, "source", nil, "reason", "I say so"))
		record(t, w, "EUR", "USD", "1.08", w.Clock.Now())
		refused(t, w, body(w, "rate", nil, "source", nil, "rate_id", own.String(), "reason", "I say so"))
		recordAs(t, w, w.Finance, "EUR", "USD", "999", w.Clock.Now())
		refused(t, w, body(w, "rate", nil, "source", nil, "reason", "I say so"))
		as(w, w.Finance).Post(base+"/conversions/", body(w)).Expect(http.StatusCreated)
	})
	t.Run("one that is more than a tenth away is not confirmed", func(t *testing.T) {
		t.Parallel()
		w := world(t)
		record(t, w, "EUR", "USD", "1.00", w.Clock.Now())
		for rate, done := range map[string]bool{"1.1": true, "0.9": true, "1.1000000001": false, "0.8999999999": false} {
			if done {
				as(w, w.Finance).Post(base+"/conversions/", body(w, "from_amount", "10.00", "rate", rate)).Expect(http.StatusCreated)
			} else {
				refused(t, w, body(w, "from_amount", "10.00", "rate", rate, "reason", "I say so"))
			}
		}
	})
	t.Run("one of the other direction confirms as well", func(t *testing.T) {
		t.Parallel()
		w := world(t)
		record(t, w, "USD", "EUR", "0.8", w.Clock.Now())
		as(w, w.Finance).Post(base+"/conversions/", body(w, "from_amount", "10.00", "rate", "1.25")).Expect(http.StatusCreated)
		refused(t, w, body(w, "from_amount", "10.00", "rate", "0.8", "reason", "I say so"))
	})
	t.Run("the last one of others decides, for seven days", func(t *testing.T) {
		t.Parallel()
		w := world(t)
		old := record(t, w, "EUR", "USD", "1.08", w.Clock.Now().Add(-7*24*time.Hour))
		as(w, w.Finance).Post(base+"/conversions/", body(w, "from_amount", "10.00")).Expect(http.StatusCreated)
		record(t, w, "EUR", "USD", "2", w.Clock.Now().Add(-time.Hour))
		refused(t, w, body(w, "from_amount", "10.00", "reason", "I say so"))
		w.Clock.Move(7*24*time.Hour + time.Microsecond)
		refused(t, w, body(w, "from_amount", "10.00", "rate", nil, "source", nil, "rate_id", old.String(), "reason", "I say so"))
	})
}
