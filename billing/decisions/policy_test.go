package decisions_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"countersign/billing/decisions"
	"countersign/billing/money"
	"countersign/internal/auth"
)

func ptr[T any](v T) *T { return &v }

func TestRequire(t *testing.T) {
	t.Parallel()
	one := decisions.Requirement{Approvals: 1, Permission: auth.BillingApprove}
	two := decisions.Requirement{Approvals: 2, Permission: auth.BillingApprove}
	rung := decisions.Requirement{Approvals: 2, RequiresEvidence: true, Permission: auth.TenantManage}
	policy := func(p decisions.Policy) []decisions.Policy {
		p.Approvals, p.RequiresEvidence, p.Permission = 2, true, auth.TenantManage
		return []decisions.Policy{p}
	}
	none := decisions.Threshold{Currency: "USD"}
	hundred := decisions.Threshold{Above: ptr(int64(10000)), Currency: "USD"}
	usd := func(minor int64, signals ...string) decisions.Claim {
		return decisions.Claim{PaymentMethod: "bank_transfer", Amount: money.New(minor, "USD"), Signals: signals}
	}
	for _, c := range []struct {
		name      string
		ladder    []decisions.Policy
		threshold decisions.Threshold
		claim     decisions.Claim
		want      decisions.Requirement
	}{
		{"one approval when nothing is said", nil, none, usd(1 << 60), one},
		{"one at the threshold", nil, hundred, usd(10000), one},
		{"two above it", nil, hundred, usd(10001), two},
		{"two in another currency, however small", nil, hundred, decisions.Claim{Amount: money.New(1, "JPY")}, two},
		{"a rung without conditions takes all", policy(decisions.Policy{}), none, usd(1), rung},
		{"and counts before the threshold", []decisions.Policy{{Approvals: 1, Permission: auth.BillingApprove}}, hundred, usd(99999), one},
		{"a rung for the method", policy(decisions.Policy{PaymentMethod: "bank_transfer"}), none, usd(1), rung},
		{"not for another method", policy(decisions.Policy{PaymentMethod: "cash"}), none, usd(1), one},
		{"a rung for the currency", policy(decisions.Policy{Currency: "USD"}), none, usd(1), rung},
		{"not for another currency", policy(decisions.Policy{Currency: "EUR"}), none, usd(1), one},
		{"from its lower end on", policy(decisions.Policy{Currency: "USD", FromAmountMinor: ptr(int64(100))}), none, usd(100), rung},
		{"not below it", policy(decisions.Policy{Currency: "USD", FromAmountMinor: ptr(int64(100))}), none, usd(99), one},
		{"up to its upper end", policy(decisions.Policy{Currency: "USD", ToAmountMinor: ptr(int64(100))}), none, usd(99), rung},
		{"which is not in it", policy(decisions.Policy{Currency: "USD", ToAmountMinor: ptr(int64(100))}), none, usd(100), one},
		{"a rung for a signal", policy(decisions.Policy{Signal: "same_receipt"}), none, usd(1, "no_evidence", "same_receipt"), rung},
		{"not without it", policy(decisions.Policy{Signal: "same_receipt"}), none, usd(1, "no_evidence"), one},
		{"all conditions together", policy(decisions.Policy{PaymentMethod: "bank_transfer", Signal: "x"}), none, usd(1), one},
		{"the first that fits", append([]decisions.Policy{{Approvals: 1, Permission: auth.UsersManage}}, policy(decisions.Policy{})...), none, usd(1),
			decisions.Requirement{Approvals: 1, Permission: auth.UsersManage}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, decisions.Require(c.ladder, c.threshold, c.claim)); diff != "" {
				t.Error(diff)
			}
		})
	}

	t.Run("more money never needs fewer people by the threshold", rapid.MakeCheck(func(t *rapid.T) {
		threshold := decisions.Threshold{Above: ptr(rapid.Int64Range(1, 1000).Draw(t, "threshold")), Currency: "USD"}
		less := rapid.Int64Range(1, 2000).Draw(t, "less")
		more := rapid.Int64Range(less, 3000).Draw(t, "more")
		if decisions.Require(nil, threshold, usd(more)).Approvals < decisions.Require(nil, threshold, usd(less)).Approvals {
			t.Fatalf("%d needs fewer people than %d", more, less)
		}
	}))
}

type facts struct {
	Name  string
	Parts map[string]string
	Minor int64
}

func TestDigest(t *testing.T) {
	t.Parallel()
	digest := func(f facts) decisions.Digest {
		d, err := decisions.NewDigest(f)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	first := facts{"a", map[string]string{"x": "1", "y": "2"}, 3}
	same := facts{"a", map[string]string{"y": "2", "x": "1"}, 3}
	if digest(first) != digest(same) {
		t.Error("equal facts give two digests")
	}
	for _, other := range []facts{{"b", first.Parts, 3}, {"a", map[string]string{"x": "1"}, 3}, {"a", first.Parts, 4}, {"a\",\"Minor\":3", first.Parts, 3}} {
		if digest(first) == digest(other) {
			t.Errorf("%+v has the digest of %+v", other, first)
		}
	}
	back, ok := decisions.ParseDigest(digest(first).String())
	if !ok || back != digest(first) {
		t.Error("a digest does not survive its text")
	}
	for _, text := range []string{"", "x", digest(first).String()[1:], digest(first).String() + "00", digest(first).String()[:62] + "zz"} {
		if _, ok := decisions.ParseDigest(text); ok {
			t.Errorf("%q was taken for a digest", text)
		}
	}
	if _, err := decisions.NewDigest(func() {}); err == nil {
		t.Error("a digest of what cannot be written was given")
	}
}
