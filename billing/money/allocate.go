package money

import (
	"cmp"
	"errors"
	"math/bits"
	"slices"
)

// Allocate divides m in proportion to weights, one part for each, so that the parts sum to m exactly. Every part is
// within one minor unit of its exact share. The units that do not divide go to the largest remainders, and among
// equal remainders to the earlier weight, so the same call always gives the same parts. A negative amount divides
// like its positive twin.
//
// Weights are not negative and at least one is positive; anything else is the calling code's mistake and gives an
// error that is not for the client. Weights that sum to more than 64 bits give ErrOverflow.
func (m Money) Allocate(weights ...int64) ([]Money, error) {
	total, err := sumWeights(weights)
	if err != nil {
		return nil, err
	}
	whole := magnitude(m.Minor)
	left := whole
	shares := make([]uint64, len(weights))
	remainders := make([]uint64, len(weights))
	for i, weight := range weights {
		// 128 bits between, and the quotient fits because weight <= total.
		high, low := bits.Mul64(whole, uint64(weight))
		shares[i], remainders[i] = bits.Div64(high, low, total)
		left -= shares[i]
	}

	order := make([]int, len(weights))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(remainders[b], remainders[a]) })
	// What is left is fewer units than there are remainders above zero, so a weight of zero gets nothing.
	for _, i := range order[:left] {
		shares[i]++
	}

	parts := make([]Money, len(weights))
	for i, share := range shares {
		minor := int64(share)
		if m.Minor < 0 {
			minor = -minor
		}
		parts[i] = New(minor, m.Currency)
	}
	return parts, nil
}

// Split divides m into n parts that differ by at most one minor unit, the larger ones first. n is at least 1.
func (m Money) Split(n int) ([]Money, error) {
	if n < 1 {
		return nil, errors.New("split money into no parts")
	}
	weights := make([]int64, n)
	for i := range weights {
		weights[i] = 1
	}
	return m.Allocate(weights...)
}

func sumWeights(weights []int64) (uint64, error) {
	var total, carry uint64
	for _, weight := range weights {
		if weight < 0 {
			return 0, errors.New("allocate money by a negative weight")
		}
		if total, carry = bits.Add64(total, uint64(weight), 0); carry != 0 {
			return 0, ErrOverflow
		}
	}
	if total == 0 {
		return 0, errors.New("allocate money by weights that sum to zero")
	}
	return total, nil
}

// magnitude is |n|, also of the smallest int64, which has no positive twin.
func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}
