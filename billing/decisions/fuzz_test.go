package decisions

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"countersign/billing/money"
	"countersign/internal/errs"
	"countersign/internal/web"
)

// FuzzLadder: the body of an approval ladder is refused with what to mend, or every rung of it can be stored.
func FuzzLadder(f *testing.F) {
	for _, seed := range []string{`{"rules":[{"rank":1,"payment_method":"local_wallet","currency":"USD","from_amount":"10.00","to_amount":"20.00","signal":"same_receipt","approvals":2,"permission":"billing.approve"}]}`,
		`{"rules":[]}`, `{}`, `{"rules":[{"approvals":3}]}`, `{"rules":[{"approvals":1,"from_amount":1e3}]}`, `{"rules":[{"approvals":1,"currency":"JPY","to_amount":1.5}]}`,
		`{"rules":[{"approvals":1,"payment_method":"cash"},{"approvals":1,"payment_method":"cash","signal":"x"}]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest(http.MethodPut, "/", strings.NewReader(text))
		r.Header.Set("Content-Type", "application/json")
		var req LadderRequest
		err := web.Decode(r, &req)
		var rungs []Policy
		if err == nil {
			rungs, err = req.input()
		}
		if err != nil {
			if e := errs.As(err); e == nil || web.Status(e.Kind) >= 500 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		for _, p := range rungs {
			if p.Approvals < 1 || p.Approvals > 2 || p.Permission == "" || p.Rank < 0 || p.Currency != "" && !knownCurrency(p.Currency) {
				t.Fatalf("%q has the rung %+v", text, p)
			}
			if (p.FromAmountMinor != nil || p.ToAmountMinor != nil) && p.Currency == "" {
				t.Fatalf("%q has an amount without a currency: %+v", text, p)
			}
			if p.PaymentMethod == cash && (p.Signal != "" || p.RequiresEvidence) {
				t.Fatalf("%q asks cash for what it has not: %+v", text, p)
			}
		}
	})
}

func knownCurrency(c money.Currency) bool {
	parsed, err := money.ParseCurrency(string(c))
	return err == nil && parsed == c
}

// FuzzDigest: a text is no digest, or the one that it is written as.
func FuzzDigest(f *testing.F) {
	for _, seed := range []string{strings.Repeat("0a", 32), strings.Repeat("0A", 32), "", "0x" + strings.Repeat("0", 62), strings.Repeat("0", 65)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, ok := ParseDigest(text); ok && (len(text) != 64 || !strings.EqualFold(d.String(), text)) {
			t.Fatalf("%q is read as %s", text, d)
		}
	})
}
