package admin_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"strings"
	"time"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"countersign/billing/money"
	"countersign/internal/admin"
)

type QueueRow struct {
	ID, URL, Account, AccountNote, Invoice, InvoiceNote, Method, Reference, SubmittedBy string

	SubmittedAt time.Time
	Amount      money.Money
	Signals     []admin.Tag
	Approvals   admin.Approvals
	Blocked     string
}

type QueuePage struct {
	Count     int
	CountText string
	Shown     int
	Oldest    time.Time
	Totals    []money.Money
	Filters   admin.Filters
	Rows      []QueueRow
	Pager     admin.Pager
	BulkURL   string
	Note      string
}

type BulkItem struct {
	ID, Digest, URL, Account, Invoice, Method, Reference string

	Amount, Balance money.Money
	Signals         []admin.Tag
	Approvals       admin.Approvals
	Final           bool
	Why             string
}

type BulkPage struct {
	Action, Back, Error string
	Items, Blocked      []BulkItem
	Totals              []money.Money
	Notes               []admin.Note
}

type BulkOutcome struct {
	Account, Invoice, URL, Status, Error string
	Amount                               money.Money
}

type BulkResultPage struct {
	Back         string
	Done, Failed int
	Items        []BulkOutcome
}

type PaymentInvoice struct {
	Number, URL, Status string
	Total, Balance      money.Money
	DueDate             time.Time
	Overdue             bool
	Credits             string
}

type PaymentEvidence struct {
	Name, URL, TypeLabel, SizeText, Hash string
	UploadedAt                           time.Time
	Image                                bool
}

type PaymentDecision struct {
	Verdict, Who, Note string
	At                 time.Time
	Received           *money.Money
}

type PaymentForm struct {
	Received, Note, Reason, Error string
	ReceivedErrors, ReasonErrors  []string
	Rejecting                     bool
}

type PaymentPage struct {
	Crumbs                                               []admin.Link
	ID, Digest, Status                                   string
	Undecided                                            bool
	Amount                                               money.Money
	Account                                              struct{ Name, URL, Note string }
	Method, Reference, SubmittedBy, Notes, FailureReason string
	Details                                              []struct{ Label, Value string }
	SubmittedAt, PaidAt                                  time.Time
	Received                                             *money.Money
	RetryOf                                              *admin.Link
	Invoice                                              *PaymentInvoice
	Difference                                           money.Money
	DifferenceText                                       string
	Signals                                              []admin.Note
	Evidence                                             []PaymentEvidence
	Decisions                                            []PaymentDecision
	Approvals                                            admin.Approvals
	CanApprove, CanReject                                bool
	WhyNot                                               string
	Applied, Excess, Revenue                             *money.Money
	Provider                                             *struct {
		Name, ProviderID, Text string
		Hold, Test             bool
	}
	Cash          bool
	ReceiptNumber string
	Anomalies     []struct {
		Text, URL, Note string
		At              time.Time
		Open            bool
	}
	Warnings  []admin.Note
	Buttons   []admin.Button
	Final     bool
	DecideURL struct{ Approve, Reject, Cancel string }
	Form      PaymentForm
	Reasons   []string
	History   struct {
		Claims, Succeeded, Rejected int
		Paid                        []money.Money
		Table                       admin.Table
	}
	Events []admin.Event
}

var (
	tagReceipt = admin.Tag{Tone: admin.ToneBad, Label: "receipt seen before", Title: "The same receipt was sent with another payment."}
	tagDiffers = admin.Tag{Tone: admin.ToneWait, Label: "amount differs", Title: "The claim differs from the open balance."}
	tagFirst   = admin.Tag{Tone: admin.ToneInfo, Label: "first payment", Title: "This account has never paid before."}
	tagMany    = admin.Tag{Tone: admin.ToneWait, Label: "5 in an hour", Title: "Five submissions in the last hour."}
)

func queueRows() []QueueRow {
	one, two := admin.Approvals{Needed: 1}, admin.Approvals{Done: 1, Needed: 2}
	rows := []QueueRow{
		{Account: "Lahore Textile & Dyeing Mills (Pvt.) Ltd.", AccountNote: "PK · organisation", Invoice: "ACME-2026-000318", Method: "Bank transfer", Reference: "HBL-20261117-99120-884", SubmittedAt: ago(98 * time.Hour), Amount: pkr(184_250_000), Signals: []admin.Tag{tagDiffers}, Approvals: two},
		{Account: "Nexus Robotics", AccountNote: "US · organisation", Invoice: "ACME-2026-000325", Method: "Bank transfer", Reference: "FT26322K8P1Q", SubmittedAt: ago(51 * time.Hour), Amount: usd(13900), Approvals: one},
		{Account: "ঢাকা কমিউনিটি ক্লিনিক ও ডায়াগনস্টিক সেন্টার", AccountNote: "BD · organisation", Invoice: "ACME-2026-000326", Method: "Local wallet", Reference: "bKash 9K2L7XQ0AB", SubmittedAt: ago(29 * time.Hour), Amount: bdt(1_250_000), Signals: []admin.Tag{tagFirst}, Approvals: one},
		{Account: "ООО «Самаркандская торговая компания»", AccountNote: "UZ · organisation", Invoice: "ACME-2026-000329", Method: "Bank transfer", Reference: "п/п 4471 от 20.11", SubmittedAt: ago(20 * time.Hour), Amount: uzs(1_284_500_000_00), Signals: []admin.Tag{tagReceipt, tagDiffers, tagMany}, Approvals: two},
		{Account: "Bluewater Logistics", AccountNote: "AE · organisation", Invoice: "ACME-2026-000330", Method: "Bank transfer", Reference: "REF 77120", SubmittedAt: ago(6 * time.Hour), Amount: usd(249900), Approvals: one, Blocked: "You submitted this claim yourself; somebody else must decide it."},
		{Account: "Aisha Siddiqui", AccountNote: "PK · patient", Invoice: "ACME-2026-000331", Method: "Local wallet", Reference: "EP-3312-0098", SubmittedAt: ago(4 * time.Hour), Amount: pkr(450_000), Approvals: one},
		{Account: "Orion Analytics GmbH", AccountNote: "DE · organisation", Invoice: "ACME-2026-000332", Method: "Bank transfer", Reference: "SEPA-2026-11-21-0017", SubmittedAt: ago(80 * time.Minute), Amount: usd(9900), Approvals: one},
		{Account: "Tashkent Fresh Market", AccountNote: "UZ · organisation", Invoice: "ACME-2026-000333", Method: "Bank transfer", Reference: "0088123", SubmittedAt: ago(12 * time.Minute), Amount: usd(5), Signals: []admin.Tag{tagFirst}, Approvals: one},
	}
	for i := range rows {
		rows[i].ID = fmt.Sprintf("01934f00-0000-7000-8000-%012d", i)
		rows[i].URL = "/console/payments/undecided/"
	}
	return rows
}

func queueFilters() admin.Filters {
	pick := func(name, label string, values ...string) admin.Select {
		s := admin.Select{Name: name, Label: label}
		for _, v := range values {
			s.Options = append(s.Options, admin.Option{Value: strings.ToLower(v), Label: v})
		}
		return s
	}
	return admin.Filters{Action: "/console/queue/", Search: &admin.Search{Name: "search", Placeholder: "Account, invoice or reference"},
		Selects: []admin.Select{pick("payment_method", "Method", "Bank transfer", "Local wallet"), pick("currency", "Currency", "USD", "PKR", "UZS", "BDT"),
			pick("amount", "Amount", "up to 100", "100 to 1,000", "above 1,000"), pick("signal", "Signal", "none", "receipt seen before", "amount differs", "first payment")}}
}

func paymentPage() PaymentPage {
	p := PaymentPage{Crumbs: []admin.Link{{Text: "Waiting for approval", URL: "/console/queue/"}}, ID: "1", Digest: "9f2c", Status: "pending_approval",
		Undecided: true, Amount: usd(13900), Method: "Bank transfer", Reference: "FT26322K8P1Q", SubmittedBy: "Elena Kovač (customer)",
		Notes: "Paid from our Meezan account this morning, reference in the subject line.", SubmittedAt: ago(51 * time.Hour), PaidAt: ago(53 * time.Hour),
		Invoice:    &PaymentInvoice{"ACME-2026-000325", "/console/invoices/one/", "open", usd(13900), usd(13900), now.Add(72 * time.Hour), false, "250 credits once it is paid"},
		Difference: usd(0), Approvals: admin.Approvals{Needed: 1}, CanApprove: true, CanReject: true, Final: true,
		Reasons:  []string{"Not on the bank statement", "The amount does not match", "The receipt is unreadable", "The receipt is for another payment"},
		Evidence: []PaymentEvidence{{"IMG_20261119_103355.png", "/console/queue/receipt/", "PNG picture", "412 KB", "9f2c7a11b04e5d6677aa90", ago(51 * time.Hour), true}},
		Form:     PaymentForm{Received: "139.00"},
		Events: []admin.Event{{At: ago(51 * time.Hour), Tone: admin.ToneWait, Text: "Submitted for approval", By: "Elena Kovač"},
			{At: ago(51*time.Hour + 4*time.Minute), Tone: admin.ToneInfo, Text: "Receipt uploaded", By: "Elena Kovač", Note: "IMG_20261119_103355.png"},
			{At: ago(240 * time.Hour), Tone: admin.ToneMute, Text: "Invoice ACME-2026-000325 was sent", By: "system: invoicing"}}}
	p.Account.Name, p.Account.URL, p.Account.Note = "Nexus Robotics", "/console/accounts/one/", "US · organisation · customer since March 2024"
	p.DecideURL.Approve, p.DecideURL.Reject = "/console/payments/1/approve/", "/console/payments/1/reject/"
	p.History.Claims, p.History.Succeeded, p.History.Rejected = 14, 13, 0
	p.History.Paid = []money.Money{usd(180700)}
	p.History.Table = admin.NewTable("", []string{"Invoice", "Claimed", "Status", "Submitted"}, []string{"/a/", "/b/", "/c/"}, [][]admin.Cell{
		{admin.Text("ACME-2026-000281"), admin.Amount(usd(13900)), admin.Status("succeeded"), admin.Day(ago(30 * 24 * time.Hour))},
		{admin.Text("ACME-2026-000240"), admin.Amount(usd(13900)), admin.Status("succeeded"), admin.Day(ago(61 * 24 * time.Hour))},
		{admin.Text("ACME-2026-000198"), admin.Amount(usd(13900)), admin.Status("succeeded"), admin.Day(ago(92 * 24 * time.Hour))}})
	return p
}

func secondApproval() PaymentPage {
	p := paymentPage()
	p.Amount, p.Difference = uzs(1_284_500_000_00), uzs(84_500_000_00)
	p.Invoice = &PaymentInvoice{"ACME-2026-000329", "/console/invoices/one/", "partially_paid", uzs(1_500_000_000_00), uzs(1_200_000_000_00), ago(48 * time.Hour), true, "250 credits once it is paid"}
	p.DifferenceText = "The claim is above the open balance. What is above it becomes credit of the customer."
	p.Account.Name, p.Account.Note = "ООО «Самаркандская торговая компания»", "UZ · organisation · customer since 20 November 2026"
	p.Reference, p.SubmittedBy, p.Notes = "п/п 4471 от 20.11", "Шахноза Каримова (customer)", ""
	p.Signals = []admin.Note{{Tone: admin.ToneBad, Text: "The same receipt was sent with payment ACME-2026-000301, which was refused on 12 Nov 2026."},
		{Tone: admin.ToneWait, Text: "The claimed 1,284,500,000.00 UZS is 84,500,000.00 UZS above the open balance."},
		{Tone: admin.ToneInfo, Text: "This account has never paid before."}}
	p.Approvals = admin.Approvals{Done: 1, Needed: 2}
	p.Decisions = []PaymentDecision{{Verdict: "approved", Who: "Omar Haddad", At: ago(3 * time.Hour), Note: "Called the bank; the credit is announced."}, {Verdict: "open"}}
	p.RetryOf = &admin.Link{Text: "claim of 12 Nov 2026", URL: "/console/payments/refused/"}
	p.Evidence = append([]PaymentEvidence{{"payment-order-4471.pdf", "/x/", "PDF, 2 pages", "88 KB", "77aa0192ff31", ago(20 * time.Hour), false}}, p.Evidence...)
	p.Form.Received = "1284500000.00"
	return p
}

func paymentPreviews() []preview {
	queue := QueuePage{Count: 37, CountText: "37", Shown: 37, Oldest: ago(98 * time.Hour), Totals: []money.Money{usd(1_284_305), pkr(184_700_000), uzs(1_284_500_000_00), bdt(1_250_000)},
		Filters: queueFilters(), Rows: queueRows(), Pager: admin.Pager{From: 1, To: 8, Total: 37, TotalText: "37", Next: "/console/queue/?page=2"}, BulkURL: "/console/payments/bulk/"}
	narrowed := queue
	narrowed.Rows, narrowed.Shown = nil, 0
	narrowed.Filters.Chips = []admin.Chip{{Name: "Currency", Label: "EUR", URL: "/console/queue/"}}
	nothing := QueuePage{CountText: "0", Filters: queueFilters()}

	rejecting := paymentPage()
	rejecting.Form = PaymentForm{Received: "139.00", Error: "Some fields are missing or wrong.", ReasonErrors: []string{"This field is required."}, Rejecting: true}
	own := paymentPage()
	own.CanApprove, own.CanReject, own.WhyNot = false, false, "You submitted this claim yourself. Somebody else must decide it."
	own.Evidence = nil
	own.DecideURL.Cancel = "/console/payments/1/cancel/"
	refused := paymentPage()
	refused.Undecided, refused.Status, refused.FailureReason = false, "failed", "Not on the bank statement of 19 to 21 November. Please send the receipt of the bank, not of the app."
	refused.Decisions = []PaymentDecision{{Verdict: "rejected", Who: "Nadia Rahman", At: ago(time.Hour), Note: refused.FailureReason}}
	settled := paymentPage()
	received := usd(13500)
	settled.Undecided, settled.Status, settled.Received = false, "succeeded", &received
	settled.Approvals = admin.Approvals{Done: 1, Needed: 1}
	settled.Decisions = []PaymentDecision{{Verdict: "approved", Who: "Nadia Rahman", At: ago(time.Hour), Note: "Bank took a fee of 4 dollars.", Received: &received}}
	settled.Events = append([]admin.Event{{At: ago(59 * time.Minute), Tone: admin.ToneOK, Text: "Posted to the ledger: 135.00 USD", By: "system: settlement"},
		{At: ago(time.Hour), Tone: admin.ToneInfo, Text: "Approved", By: "Nadia Rahman"}}, settled.Events...)
	hostile := paymentPage()
	hostile.Reference, hostile.Account.Name = "<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`
	hostile.Evidence[0].Name = strings.Repeat("a-very-long-file-name-", 12) + ".png"

	var items []BulkItem
	for i, r := range queueRows() {
		if i == 0 || i > 3 {
			items = append(items, BulkItem{ID: r.ID, Digest: "d", URL: r.URL, Account: r.Account, Invoice: r.Invoice, Method: r.Method, Reference: r.Reference,
				Amount: r.Amount, Balance: r.Amount, Signals: r.Signals, Final: r.Approvals.Needed == r.Approvals.Done+1, Why: r.Blocked})
		}
	}
	bulk := BulkPage{Action: "/console/payments/bulk/", Back: "/console/queue/", Items: []BulkItem{items[0], items[2], items[3], items[4]}, Blocked: items[1:2],
		Totals: []money.Money{pkr(184_700_000), usd(9905)}, Notes: []admin.Note{{Tone: admin.ToneWait, Text: "1 of these payments has signals. Look at it by itself first."}}}
	outcome := BulkResultPage{Back: "/console/queue/", Done: 3, Failed: 1, Items: []BulkOutcome{{"Aisha Siddiqui", "ACME-2026-000331", "/x/", "processing", "", pkr(450_000)},
		{"Orion Analytics GmbH", "ACME-2026-000332", "/x/", "processing", "", usd(9900)},
		{"Tashkent Fresh Market", "ACME-2026-000333", "/x/", "pending_approval", "This payment changed since you looked at it. Open it and decide again.", usd(5)}}}
	return []preview{
		{"queue/", "payments/queue", queue}, {"queue/none-match/", "payments/queue", narrowed}, {"queue/empty/", "payments/queue", nothing},
		{"payments/undecided/", "payments/payment", paymentPage()}, {"payments/second/", "payments/payment", secondApproval()},
		{"payments/rejecting/", "payments/payment", rejecting}, {"payments/own/", "payments/payment", own}, {"payments/refused/", "payments/payment", refused},
		{"payments/settled/", "payments/payment", settled}, {"payments/hostile/", "payments/payment", hostile},
		{"payments/bulk/", "payments/bulk", bulk}, {"payments/bulk-empty/", "payments/bulk", BulkPage{Back: "/console/queue/"}}, {"payments/bulk-done/", "payments/bulk_result", outcome},
	}
}

// receiptPicture draws what a bank's app shows after a transfer.
func receiptPicture() []byte {
	const w, h, scale = 240, 420, 3
	small := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(small, small.Bounds(), image.NewUniform(color.RGBA{250, 251, 252, 255}), image.Point{}, draw.Src)
	draw.Draw(small, image.Rect(0, 0, w, 64), image.NewUniform(color.RGBA{0, 104, 92, 255}), image.Point{}, draw.Src)
	pen := font.Drawer{Dst: small, Src: image.White, Face: basicfont.Face7x13}
	line := func(x, y int, text string) {
		pen.Dot = fixed.P(x, y)
		pen.DrawString(text)
	}
	line(16, 30, "MEEZAN BANK")
	line(16, 48, "Transfer successful")
	pen.Src = image.NewUniform(color.RGBA{40, 48, 54, 255})
	for i, text := range []string{"Amount         USD 139.00", "From           NEXUS ROBOTICS", "               PK..8841", "To             ACME CLOUD", "               PK36 SCBL ..0702", "Date           19 Nov 2026", "Time           10:33", "Reference      FT26322K8P1Q", "Purpose        ACME-2026-000325"} {
		line(10, 100+i*26, text)
	}
	big := image.NewRGBA(image.Rect(0, 0, w*scale, h*scale))
	for y := range h * scale {
		for x := range w * scale {
			big.Set(x, y, small.At(x/scale, y/scale))
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, big); err != nil {
		panic(err)
	}
	return b.Bytes()
}
