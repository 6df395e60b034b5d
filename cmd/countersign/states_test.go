package main

import (
	"fmt"
	"strings"
	"testing"

	"countersign/billing/invoices"
	"countersign/billing/payments"
)

// meanings say what a payment's and an invoice's statuses mean to who reads them.
var meanings = map[string]string{
	"payment created":            "recorded; the provider has not been asked",
	"payment pending":            "the payer must act",
	"payment pending_approval":   "claimed; people decide",
	"payment processing":         "approved and not settled, or in flight at a provider: what became of it is asked",
	"payment authorized":         "held at the provider, not taken",
	"payment succeeded":          "the money counts: it is in the ledger, once",
	"payment partially_refunded": "some of it was given back",
	"payment refunded":           "all of it was given back",
	"payment failed":             "refused by people, by the provider, or never reached; a new attempt names it in `retry_of`",
	"payment cancelled":          "withdrawn or released before any money moved",
	"payment expired":            "nobody acted in time",
	"invoice draft":              "may change; nobody owes anything",
	"invoice open":               "finalised and owed; numbered for ever",
	"invoice partially_paid":     "some of it is settled",
	"invoice paid":               "nothing is owed",
	"invoice void":               "taken back before any money came",
	"invoice uncollectible":      "given up; what comes all the same is still taken",
}

// TestStates keeps docs/states.md as the transition tables are. That the triggers of the database have the same tables is
// tested in the packages.
func TestStates(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("# States\n\nThis page is made from the source by `go test ./cmd/countersign -run TestStates -update`.\n\n" +
		"The program refuses every other move with 409, and a trigger of the database refuses it to everybody who writes.\n")
	write := func(title, kind string, statuses []string, may func(from, to string) bool) {
		fmt.Fprintf(&b, "\n## %s\n\n```mermaid\nstateDiagram-v2\n", title)
		for _, from := range statuses {
			for _, to := range statuses {
				if may(from, to) {
					fmt.Fprintf(&b, "    %s --> %s\n", from, to)
				}
			}
		}
		b.WriteString("```\n\n| status | means | may become |\n|---|---|---|\n")
		for _, from := range statuses {
			meaning := meanings[kind+" "+from]
			if meaning == "" {
				t.Errorf("say in meanings what %s of a %s means", from, kind)
			}
			next := []string{}
			for _, to := range statuses {
				if may(from, to) {
					next = append(next, to)
				}
			}
			if len(next) == 0 {
				next = []string{"–"}
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", from, meaning, strings.Join(next, ", "))
		}
	}
	write("Payment", "payment", texts(payments.Statuses()), func(from, to string) bool { return payments.Status(from).CanBecome(payments.Status(to)) })
	b.WriteString("\n`failed`, `cancelled` and `expired` become `succeeded` only when the provider's own report proves the money, by reconciliation.\n" +
		"`refunded` and `partially_refunded` go back when a refund that was booked by hand is taken back: the trigger lets it pass when the payment's refunds say the same.\n")
	write("Invoice", "invoice", texts(invoices.Statuses()), func(from, to string) bool { return invoices.Status(from).CanBecome(invoices.Status(to)) })
	golden(t, "../../docs/states.md", b.String())
}

func texts[S ~string](list []S) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = string(s)
	}
	return out
}
