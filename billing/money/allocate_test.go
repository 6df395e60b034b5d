package money_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"countersign/billing/money"
)

func TestAllocate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		minor   int64
		weights []int64
		want    []int64
	}{
		{"one weight takes all", 100, []int64{7}, []int64{100}},
		{"a cent that does not divide goes to the first of equals", 100, []int64{1, 1, 1}, []int64{34, 33, 33}},
		{"a cent that does not divide goes to the largest remainder", 100, []int64{1, 2}, []int64{33, 67}},
		{"a weight of zero takes nothing", 5, []int64{0, 1, 0, 1}, []int64{0, 3, 0, 2}},
		{"a negative amount divides like its twin", -100, []int64{1, 1, 1}, []int64{-34, -33, -33}},
		{"nothing divides into nothing", 0, []int64{1, 2}, []int64{0, 0}},
		{"less than one unit each", 2, []int64{1, 1, 1, 1}, []int64{1, 1, 0, 0}},
		{"weights as large as amounts", math.MaxInt64, []int64{math.MaxInt64 - 1, 1}, []int64{math.MaxInt64 - 1, 1}},
		{"the smallest amount", math.MinInt64, []int64{1}, []int64{math.MinInt64}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			parts, err := money.New(tt.minor, "USD").Allocate(tt.weights...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, minors(parts)); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
		})
	}

	for name, weights := range map[string][]int64{
		"refuses no weights":          nil,
		"refuses only zeros":          {0, 0},
		"refuses a negative weight":   {2, -1},
		"refuses weights that sum up": {math.MaxInt64, math.MaxInt64, math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if parts, err := money.New(100, "USD").Allocate(weights...); err == nil {
				t.Errorf("got %v, want an error", parts)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	parts, err := money.New(1000, "JPY").Split(3)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]money.Money{{334, "JPY"}, {333, "JPY"}, {333, "JPY"}}, parts); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	for _, n := range []int{0, -1} {
		if parts, err := money.New(1000, "JPY").Split(n); err == nil {
			t.Errorf("split into %d: got %v, want an error", n, parts)
		}
	}
}

func TestPropertyPartsSumToTheWholeAndAreFair(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		whole := anyMoney.Draw(t, "whole")
		limit := rapid.SampledFrom([]int64{3, 1000, math.MaxInt64 / 40}).Draw(t, "limit")
		weights := rapid.SliceOfN(rapid.Int64Range(0, limit), 1, 40).Draw(t, "weights")
		total := new(big.Int)
		for _, w := range weights {
			total.Add(total, big.NewInt(w))
		}
		parts, err := whole.Allocate(weights...)
		if total.Sign() == 0 {
			if err == nil {
				t.Fatalf("weights %v: want an error", weights)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}

		sum := new(big.Int)
		for i, part := range parts {
			sum.Add(sum, big.NewInt(part.Minor))
			if part.Currency != whole.Currency {
				t.Fatalf("part %d is in %s", i, part.Currency)
			}
			// |part - whole*w/total| < 1 unit, multiplied out.
			off := new(big.Int).Mul(big.NewInt(part.Minor), total)
			off.Sub(off, new(big.Int).Mul(big.NewInt(whole.Minor), big.NewInt(weights[i])))
			if off.CmpAbs(total) >= 0 {
				t.Fatalf("part %d of %s by %v is %s, a unit or more from its share", i, whole, weights, part)
			}
			for j := range i {
				if weights[j] == weights[i] && abs(parts[j].Minor) < abs(part.Minor) {
					t.Fatalf("of equal weights %d and %d of %v the later has more of %s", j, i, weights, whole)
				}
			}
		}
		if sum.Cmp(big.NewInt(whole.Minor)) != 0 {
			t.Fatalf("parts of %s by %v sum to %s minor units", whole, weights, sum)
		}
	})
}

func TestPropertySplitPartsDifferByAtMostOneUnitLargerOnesFirst(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		whole := anyMoney.Draw(t, "whole")
		parts, err := whole.Split(rapid.IntRange(1, 50).Draw(t, "n"))
		if err != nil {
			t.Fatal(err)
		}
		for i, part := range parts {
			if off := abs(parts[0].Minor - part.Minor); off > 1 {
				t.Fatalf("parts of %s: %v", whole, parts)
			}
			if i > 0 && abs(part.Minor) > abs(parts[i-1].Minor) {
				t.Fatalf("parts of %s do not begin with the larger ones: %v", whole, parts)
			}
		}
	})
}

func TestAllocateOverflowIsTyped(t *testing.T) {
	t.Parallel()
	_, err := money.New(1, "USD").Allocate(math.MaxInt64, math.MaxInt64, 2)
	if !errors.Is(err, money.ErrOverflow) {
		t.Errorf("got %v, want %v", err, money.ErrOverflow)
	}
}

func minors(parts []money.Money) []int64 {
	out := make([]int64, len(parts))
	for i, part := range parts {
		out[i] = part.Minor
	}
	return out
}

// abs is exact for every part of two or more; a whole smallest int64 stays as it is, and is alone.
func abs(n int64) int64 {
	return max(n, -n)
}
