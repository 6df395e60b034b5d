package money_test

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"countersign/billing/money"
)

// anyCurrency draws from the whole table.
var anyCurrency = rapid.SampledFrom(money.Currencies())

// anyMoney draws every int64 in every currency.
var anyMoney = rapid.Custom(func(t *rapid.T) money.Money {
	return money.New(rapid.Int64().Draw(t, "minor"), anyCurrency.Draw(t, "currency"))
})

func TestAdd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		a, b money.Money
		want money.Money
		err  error
	}{
		{"ten and twenty cents are thirty", money.New(10, "USD"), money.New(20, "USD"), money.New(30, "USD"), nil},
		{"a negative amount subtracts", money.New(10, "USD"), money.New(-20, "USD"), money.New(-10, "USD"), nil},
		{"refuses two currencies", money.New(10, "USD"), money.New(20, "EUR"), money.Money{}, money.ErrCurrencyMismatch},
		{"refuses two currencies even for nothing", money.New(10, "USD"), money.New(0, "EUR"), money.Money{}, money.ErrCurrencyMismatch},
		{"reaches the largest amount", money.New(math.MaxInt64-1, "USD"), money.New(1, "USD"), money.New(math.MaxInt64, "USD"), nil},
		{"refuses to pass the largest amount", money.New(math.MaxInt64, "USD"), money.New(1, "USD"), money.Money{}, money.ErrOverflow},
		{"refuses to pass the smallest amount", money.New(math.MinInt64, "USD"), money.New(-1, "USD"), money.Money{}, money.ErrOverflow},
		{"adds nothing to the largest amount", money.New(math.MaxInt64, "USD"), money.New(0, "USD"), money.New(math.MaxInt64, "USD"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.a.Add(tt.b)
			checkMoney(t, got, err, tt.want, tt.err)
		})
	}
}

func TestSub(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		a, b money.Money
		want money.Money
		err  error
	}{
		{"goes below zero", money.New(10, "USD"), money.New(30, "USD"), money.New(-20, "USD"), nil},
		{"refuses two currencies", money.New(10, "USD"), money.New(20, "EUR"), money.Money{}, money.ErrCurrencyMismatch},
		{"reaches the smallest amount", money.New(-1, "USD"), money.New(math.MaxInt64, "USD"), money.New(math.MinInt64, "USD"), nil},
		{"refuses to pass the smallest amount", money.New(-2, "USD"), money.New(math.MaxInt64, "USD"), money.Money{}, money.ErrOverflow},
		{"refuses the smallest amount taken from nothing", money.New(0, "USD"), money.New(math.MinInt64, "USD"), money.Money{}, money.ErrOverflow},
		{"takes the smallest amount from itself", money.New(math.MinInt64, "USD"), money.New(math.MinInt64, "USD"), money.New(0, "USD"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.a.Sub(tt.b)
			checkMoney(t, got, err, tt.want, tt.err)
		})
	}
}

func TestNeg(t *testing.T) {
	t.Parallel()
	got, err := money.New(5, "USD").Neg()
	checkMoney(t, got, err, money.New(-5, "USD"), nil)
	got, err = money.New(math.MinInt64, "USD").Neg()
	checkMoney(t, got, err, money.Money{}, money.ErrOverflow)
}

func TestCmp(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		a, b money.Money
		want int
		err  error
	}{
		{"less", money.New(1, "USD"), money.New(2, "USD"), -1, nil},
		{"equal", money.New(2, "USD"), money.New(2, "USD"), 0, nil},
		{"greater", money.New(2, "USD"), money.New(-3, "USD"), +1, nil},
		{"the ends of the range do not wrap", money.New(math.MinInt64, "USD"), money.New(math.MaxInt64, "USD"), -1, nil},
		{"two currencies have no order", money.New(1, "USD"), money.New(1, "EUR"), 0, money.ErrCurrencyMismatch},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.a.Cmp(tt.b)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %d, %v; want %d, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func TestSign(t *testing.T) {
	t.Parallel()
	for minor, want := range map[int64]int{-7: -1, 0: 0, 7: +1} {
		m := money.New(minor, "USD")
		if got := m.Sign(); got != want {
			t.Errorf("sign of %s: got %d, want %d", m, got, want)
		}
		if got := m.IsZero(); got != (want == 0) {
			t.Errorf("IsZero of %s: got %t", m, got)
		}
		if got := m.IsPositive(); got != (want > 0) {
			t.Errorf("IsPositive of %s: got %t", m, got)
		}
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	tests := []struct {
		m    money.Money
		want string
	}{
		{money.New(92000, "USD"), "920.00"},
		{money.New(7, "USD"), "0.07"},
		{money.New(-5, "USD"), "-0.05"},
		{money.New(0, "USD"), "0.00"},
		{money.New(920, "JPY"), "920"},
		{money.New(0, "JPY"), "0"},
		{money.New(1, "KWD"), "0.001"},
		{money.New(12345, "CLF"), "1.2345"},
		{money.New(math.MaxInt64, "USD"), "92233720368547758.07"},
		{money.New(math.MinInt64, "USD"), "-92233720368547758.08"},
	}
	for _, tt := range tests {
		if got := tt.m.String(); got != tt.want {
			t.Errorf("%d %s: got %q, want %q", tt.m.Minor, tt.m.Currency, got, tt.want)
		}
		if got := tt.m.Decimal().StringFixed(int32(tt.m.Currency.Exponent())); got != tt.want {
			t.Errorf("decimal of %d %s: got %q, want %q", tt.m.Minor, tt.m.Currency, got, tt.want)
		}
	}
}

func TestPropertyAddAndSubAreInverse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := anyMoney.Draw(t, "a")
		b := money.New(rapid.Int64().Draw(t, "b"), a.Currency)
		sum, err := a.Add(b)
		fits := !a.Decimal().Add(b.Decimal()).GreaterThan(money.New(math.MaxInt64, a.Currency).Decimal()) &&
			!a.Decimal().Add(b.Decimal()).LessThan(money.New(math.MinInt64, a.Currency).Decimal())
		if fits != (err == nil) || !fits && !errors.Is(err, money.ErrOverflow) {
			t.Fatalf("%s + %s: fits %t, error %v", a, b, fits, err)
		}
		if !fits {
			return
		}
		if !sum.Decimal().Equal(a.Decimal().Add(b.Decimal())) {
			t.Fatalf("%s + %s = %s", a, b, sum)
		}
		back, err := sum.Sub(b)
		if err != nil || back != a {
			t.Fatalf("%s + %s - %s = %s, %v", a, b, b, back, err)
		}
	})
}

// checkMoney compares an answer and its error with what was wanted.
func checkMoney(t *testing.T, got money.Money, err error, want money.Money, wantErr error) {
	t.Helper()
	if !errors.Is(err, wantErr) {
		t.Errorf("got error %v, want %v", err, wantErr)
	}
	if got != want {
		t.Errorf("got %s %s, want %s %s", got, got.Currency, want, want.Currency)
	}
}
