package payments

import (
	"time"

	"countersign/billing/money"
	"countersign/internal/admin"
)

// samples fill every part of this package's pages once, so that the program does not start with a template that does
// not fit.
func samples() []admin.Sample {
	at := time.Date(2026, 1, 31, 13, 45, 0, 0, time.UTC)
	amount := money.New(13900, "USD")
	tags := []admin.Tag{{Tone: admin.ToneWait, Label: "first payment", Title: "This is the first payment of this account."}}
	filters := admin.Filters{Action: admin.URL(section), Search: &admin.Search{Name: "search", Placeholder: "Account"},
		Chips: []admin.Chip{{Name: "Currency", Label: "USD", URL: admin.Base}}}
	row := queueRow{ID: "1", URL: admin.Base, Account: "A", AccountNote: "US", Invoice: "I", InvoiceNote: "n", Method: "Bank transfer", Reference: "R", SubmittedAt: at,
		Amount: amount, Signals: tags, Approvals: admin.Approvals{Done: 1, Needed: 2}}
	blocked := row
	blocked.Blocked = "You submitted it."
	item := bulkItem{ID: "1", Digest: "d", URL: admin.Base, Account: "A", Invoice: "I", Method: "Bank transfer", Reference: "R", Amount: amount, Balance: amount,
		Signals: tags, Approvals: row.Approvals, Why: "decided"}
	final := item
	final.Final = true
	page := paymentPage{Crumbs: []admin.Link{{Text: "Waiting for approval", URL: admin.Base}}, ID: "1", Digest: "d", Status: string(StatusPendingApproval),
		Undecided: true, Amount: amount, Account: accountLine{"A", admin.Base, "US"}, Method: "Bank transfer", Reference: "R", SubmittedBy: "B", Notes: "n", Details: []detailLine{{"Wallet number", "01711"}},
		FailureReason: "f", SubmittedAt: at, PaidAt: at, Received: &amount, Applied: &amount, Excess: &amount, RetryOf: &admin.Link{Text: "claim", URL: admin.Base},
		Invoice: &invoiceLine{"I", admin.Base, "open", amount, amount, at, true, "10 credits once it is paid"}, Difference: amount, DifferenceText: "above",
		Signals:   []admin.Note{{Tone: admin.ToneBad, Text: "seen"}},
		Evidence:  []evidenceCard{{"a.png", admin.Base, "PNG picture", "1 KB", "ab", at, true}, {"a.pdf", admin.Base, "PDF", "1 KB", "ab", at, false}},
		Decisions: []verdictLine{{"approved", "A", "n", at, &amount}, {"rejected", "A", "n", at, nil}, {Verdict: "open"}}, Approvals: row.Approvals,
		CanApprove: true, CanReject: true, WhyNot: "no", DecideURL: decideURLs{admin.Base, admin.Base, admin.Base},
		Form: decisionForm{"139.00", "n", "r", "e", []string{"x"}, []string{"y"}, true}, Reasons: []string{"r"},
		History:  accountHistory{1, 1, 1, []money.Money{amount}, admin.NewTable("", []string{"Invoice"}, []string{admin.Base}, [][]admin.Cell{{admin.Text("I")}})},
		Warnings: []admin.Note{{Tone: admin.ToneBad, Text: "set aside"}}, Buttons: []admin.Button{{Title: "Try again", URL: admin.Base, Primary: true}},
		Events: []admin.Event{{At: at, Tone: admin.ToneOK, Text: "t", By: "b", Note: "n"}}}
	asked := page
	asked.Undecided, asked.Evidence, asked.Account, asked.Revenue = false, nil, accountLine{}, &amount
	asked.Provider, asked.ReceiptNumber = &providerCard{"sandbox", "1", "The payer must act on the provider's page.", true, true}, "R-1"
	asked.Anomalies = []anomalyLine{{"Too late", admin.Base, "", at, true}, {"Too late", admin.Base, "n", at, false}}
	counted := asked
	counted.Provider, counted.Cash = nil, true
	closed := page
	closed.CanApprove, closed.CanReject, closed.Final, closed.Buttons = false, false, true, nil
	return []admin.Sample{
		{Page: "payments/queue", Data: queuePage{}},
		{Page: "payments/queue", Data: queuePage{Count: 2, CountText: "2", Shown: 2, Oldest: at, Totals: []money.Money{amount}, Filters: filters,
			Rows: []queueRow{row, blocked}, Pager: admin.Pager{From: 1, To: 2, Total: 2, TotalText: "2"}, Note: "more", BulkURL: admin.Base}},
		{Page: "payments/payment", Data: page}, {Page: "payments/payment", Data: closed}, {Page: "payments/payment", Data: asked}, {Page: "payments/payment", Data: counted},
		{Page: "payments/bulk", Data: bulkPage{Action: admin.Base, Back: admin.Base, Error: "e", Items: []bulkItem{item, final}, Blocked: []bulkItem{item},
			Totals: []money.Money{amount}, Notes: []admin.Note{{Tone: admin.ToneWait, Text: "look"}}}},
		{Page: "payments/bulk", Data: bulkPage{}},
		{Page: "payments/bulk_result", Data: bulkResultPage{Back: admin.Base, Done: 1, Failed: 1,
			Items: []bulkOutcome{{"A", "I", admin.Base, "processing", "", amount}, {"A", "I", admin.Base, "pending_approval", "changed", amount}}}},
	}
}
