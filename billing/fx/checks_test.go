package fx_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"countersign/billing/billingtest"
)

// TestProofs breaks what conversions and the ledger say of each other, past all guards, and sees that it is found.
func TestProofs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		tamper func(w *billingtest.World, standing, reversed uuid.UUID)
		want   []string
		says   string
	}{
		{"a conversion that was not posted", func(w *billingtest.World, standing, _ uuid.UUID) {
			w.Tamper("INSERT INTO fx_conversions SELECT tenant_id, gen_random_uuid(), account_id, from_currency, from_minor, to_currency, to_minor, computed_minor, difference_minor, unrounded, rounding, rate, rate_base, rate_id, rate_source, rate_as_of, reason, created_at FROM fx_conversions WHERE tenant_id = ? AND id = ?", standing)
		}, []string{"fx.E001"}, "posted nothing"},
		{"a conversion whose amount was changed", func(w *billingtest.World, standing, _ uuid.UUID) {
			w.Tamper("UPDATE fx_conversions SET to_minor = to_minor + 1, difference_minor = difference_minor + 1, reason = 'Forged' WHERE tenant_id = ? AND id = ?", standing)
		}, []string{"fx.E001"}, "should be"},
		{"a conversion of another account", func(w *billingtest.World, standing, _ uuid.UUID) {
			w.Tamper("UPDATE fx_conversions SET account_id = ?2 WHERE tenant_id = ?0 AND id = ?1", standing, w.Other.ID)
		}, []string{"fx.E001"}, "should be"},
		{"a reversal that was not posted", func(w *billingtest.World, standing, _ uuid.UUID) {
			w.Tamper("INSERT INTO fx_reversals SELECT tenant_id, id, account_id, 'Forged', now() FROM fx_conversions WHERE tenant_id = ? AND id = ?", standing)
		}, []string{"fx.E002"}, "no reversal is posted"},
		{"a reversal that was lost", func(w *billingtest.World, _, reversed uuid.UUID) {
			w.Tamper("DELETE FROM fx_reversals WHERE tenant_id = ? AND conversion_id = ?", reversed)
		}, []string{"fx.E002", "ledger.E008"}, "a reversal is posted"},
		{"a conversion that was lost", func(w *billingtest.World, standing, _ uuid.UUID) {
			w.Tamper("DELETE FROM fx_conversions WHERE tenant_id = ? AND id = ?", standing)
		}, []string{"fx.E003", "ledger.E008"}, "caused by fx:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := euros(t)
			standing, reversed := converted(t, w, 1000), converted(t, w, 2000)
			if err := reverse(w, reversed); err != nil {
				t.Fatal(err)
			}
			w.AssertBooks(t)
			tt.tamper(w, standing, reversed)
			found := w.Verify()
			if diff := cmp.Diff(tt.want, slices.Sorted(maps.Keys(found))); diff != "" {
				t.Error(diff)
			}
			if f := found[tt.want[0]]; f == nil || !strings.Contains(f.What, tt.says) || f.Hint == "" {
				t.Errorf("%s says %+v", tt.want[0], f)
			}
		})
	}
}

// TestMendedReversals: who reverses something by mistake reverses the reversal, and what was there before stands again, for every proof.
func TestMendedReversals(t *testing.T) {
	t.Parallel()
	w := euros(t)
	standing, reversed := converted(t, w, 1000), converted(t, w, 2000)
	if err := reverse(w, reversed); err != nil {
		t.Fatal(err)
	}
	for _, cause := range []string{"fx:" + standing.String() + ":convert", "fx:" + reversed.String() + ":reverse"} {
		w.Reverse(cause, cause+", by mistake")
		if w.Verify()["fx.E002"] == nil {
			t.Errorf("fx.E002 does not find that %s was reversed", cause)
		}
		w.Reverse(cause+", by mistake", cause+", mended")
		w.AssertBooks(t)
	}
}
