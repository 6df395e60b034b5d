package invoices

import (
	"time"

	"countersign/billing/money"
	"countersign/internal/admin"
)

// samples fill every part of this package's pages once, so that the program does not start with a template that does
// not fit.
func samples() []admin.Sample {
	at := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	amount := money.New(13900, "USD")
	line := invoiceLine{Description: "Plan", Note: "n", Quantity: "1", UnitPrice: "139.00", TaxRate: "15 %", Code: "c", Discount: amount, Tax: amount, Net: amount, Credits: 1}
	page := invoicePage{Crumbs: []admin.Link{{Text: "Invoices", URL: admin.Base}}, Number: "INV-1", Status: "open", AccountNote: "US", ExternalID: "x", Overdue: true,
		Account: admin.Link{Text: "A", URL: admin.Base}, InvoiceDate: at, DueDate: at, Lines: []invoiceLine{line}, Subtotal: amount, Discount: amount, Tax: amount,
		Total: amount, Paid: amount, Claimed: amount, Balance: amount, CreditApplied: amount, Credited: amount, WrittenOff: amount, PaidShare: 50, ClaimedShare: 50,
		Payments:    paymentsTable([]payment{{Reference: "R", Status: "succeeded", AmountMinor: 1, Currency: "USD", CreatedAt: at}}),
		Adjustments: adjustmentsTable([]AdjustmentResponse{{Kind: CreditApplied, Amount: "1", AmountMinor: 1, Currency: "USD", Reason: "r", CreatedAt: "2026-01-31T00:00:00Z"}}),
		Buttons:     []admin.Button{{Title: "Void", URL: admin.Base, Danger: true}}, Notes: []admin.Note{{Tone: admin.ToneInfo, Text: "n"}},
		Events: []admin.Event{{At: at, Tone: admin.ToneOK, Text: "t", By: "b"}}}
	form := editPage{Crumbs: page.Crumbs, Title: "New invoice", Action: admin.Base, Cancel: admin.Base, Submit: "Save the draft", Error: "e",
		Fields: []admin.Field{{Name: "notes", Label: "Notes", Kind: "textarea"}}, Lines: []editLine{{N: 1, Description: "d", Errors: []string{"e"}}, {N: 2}}}
	return []admin.Sample{{Page: "invoices/invoice", Data: page}, {Page: "invoices/invoice", Data: invoicePage{}}, {Page: "invoices/edit", Data: form}}
}
