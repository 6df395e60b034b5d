package payments

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"countersign/internal/admin"
	"countersign/internal/auth"
)

// detailLine is one value of a payment's details.
type detailLine struct{ Label, Value string }

// detailLines shows the details of a payment: to who may approve with what is sealed in them, since he compares it with
// the receipt, and to others as lists show them.
func detailLines(r admin.Reader, principal auth.Principal, p *Payment) (lines []detailLine) {
	var walk func(path []string, value any)
	walk = func(path []string, value any) {
		switch value := value.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(value)) {
				walk(append(path[:len(path):len(path)], key), value[key])
			}
		case []any:
			for i, v := range value {
				walk(append(path[:len(path):len(path)], strconv.Itoa(i+1)), v)
			}
		case nil:
		default:
			if text := asText(value); text != "" {
				lines = append(lines, detailLine{detailLabel(r, strings.Join(path, " / ")), text})
			}
		}
	}
	details := p.Details
	if principal.Can(auth.BillingApprove) {
		details = p.wholeDetails()
	}
	walk(nil, map[string]any(details))
	return lines
}

// detailLabel is what a key of manual payments is called; providers' keys are names of their own.
func detailLabel(r admin.Reader, path string) string {
	switch path {
	case "payer_name":
		return r.Say("Payer's name")
	case "bank_name":
		return r.Say("Payer's bank")
	case "branch":
		return r.Say("Branch")
	case "account_last4":
		return r.Say("Last four digits of the account")
	case "wallet_provider":
		return r.Say("Wallet provider")
	case "sender_number":
		return r.Say("Sent from the number")
	case "sender_phone":
		return r.Say("Sender's telephone")
	case "wallet_number":
		return r.Say("Wallet number")
	case "account_number":
		return r.Say("Account number")
	case "voucher_number":
		return r.Say("Voucher number")
	default:
		return path
	}
}
