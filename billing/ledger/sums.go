package ledger

import (
	"fmt"

	"github.com/shopspring/decimal"

	"countersign/billing/money"
)

// Sum is what amounts add up to, in minor units or credits. Each amount fits 64 bits; what many of them come to need
// not, and is exact all the same. The zero value is nothing.
type Sum struct{ n decimal.Decimal }

// SumOf is a sum of one amount.
func SumOf(minor int64) Sum { return Sum{decimal.NewFromInt(minor)} }

// Add gives s + other.
func (s Sum) Add(other Sum) Sum { return Sum{s.n.Add(other.n)} }

// Sub gives s - other.
func (s Sum) Sub(other Sum) Sum { return Sum{s.n.Sub(other.n)} }

// IsZero reports a sum of nothing.
func (s Sum) IsZero() bool { return s.n.IsZero() }

// Minor is the sum as an amount; fits is false when it is larger than an amount can be.
func (s Sum) Minor() (minor int64, fits bool) {
	whole := s.n.BigInt()
	return whole.Int64(), whole.IsInt64()
}

// String is the number of minor units or credits.
func (s Sum) String() string { return s.n.String() }

// Format is the sum as answers show it, like Format of an amount.
func (s Sum) Format(currency string) string {
	if currency == UnitCredit {
		return s.n.String()
	}
	digits := int32(money.Currency(currency).Exponent())
	return s.n.Shift(-digits).StringFixed(digits)
}

// Scan reads what PostgreSQL's sum() gives.
func (s *Sum) Scan(src any) error {
	if err := s.n.Scan(src); err != nil {
		return err
	}
	if !s.n.IsInteger() {
		return fmt.Errorf("%s is no number of minor units", s.n)
	}
	return nil
}

// MarshalJSON writes a whole number with all its digits.
func (s Sum) MarshalJSON() ([]byte, error) { return []byte(s.n.String()), nil }

// JSONSchemaBytes says so in the document of the API.
func (Sum) JSONSchemaBytes() ([]byte, error) { return []byte(`{"type":"integer"}`), nil }
