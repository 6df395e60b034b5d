package admin_test

import (
	"time"

	"countersign/billing/money"
	"countersign/internal/admin"
	"countersign/internal/web"
)

type LoginPage struct {
	Action, Next, Email, Tenant, Error, DemoPassword string
	AskTenant                                        bool
	Demo                                             []struct{ Email, Role, Tenant string }
	Preferences                                      admin.Preferences
}

type InvoiceLine struct {
	Description, Note, Quantity, UnitPrice, TaxRate, Code string
	Discount, Tax, Net                                    money.Money
	Credits                                               int64
}

type InvoicePage struct {
	Crumbs                                                 []admin.Link
	Number, Status, AccountNote, ExternalID                string
	Overdue                                                bool
	Account                                                admin.Link
	InvoiceDate, DueDate                                   time.Time
	Lines                                                  []InvoiceLine
	Subtotal, Discount, Tax, Total, Paid, Claimed, Balance money.Money
	CreditApplied, Credited, WrittenOff                    money.Money
	PaidShare, ClaimedShare                                int
	Payments, Adjustments                                  admin.Table
	Buttons                                                []admin.Button
	Notes                                                  []admin.Note
	Events                                                 []admin.Event
}

type EditLine struct {
	N                                                               int
	Description, Quantity, UnitPrice, Discount, TaxPercent, Credits string
	Errors                                                          []string
}

type EditPage struct {
	Crumbs                               []admin.Link
	Title, Action, Cancel, Submit, Error string
	Fields                               []admin.Field
	Lines                                []EditLine
}

type AccountPage struct {
	Crumbs             []admin.Link
	Name, Status, Note string
	Owes               []admin.Stat
	Groups             []admin.FactGroup
	Tables             []admin.Table
	Buttons            []admin.Button
	Events             []admin.Event
}

type TaskLine struct {
	Name, Schedule, RunURL string
	LastAt                 time.Time
	Dead                   int
}

type DeadJob struct {
	ID, Task, Error, RunURL string
	FailedAt                time.Time
	Tried                   int
}

type JobsPage struct {
	Stats  []admin.Stat
	Notes  []admin.Note
	Tasks  []TaskLine
	Dead   []DeadJob
	AllURL string
}

func invoicePage() InvoicePage {
	return InvoicePage{Crumbs: []admin.Link{{Text: "Invoices", URL: "/console/invoices/"}}, Number: "ACME-2026-000318", Status: "partially_paid", Overdue: true,
		Account: admin.Link{Text: "Lahore Textile & Dyeing Mills (Pvt.) Ltd.", URL: "/console/accounts/one/"}, AccountNote: "PK", ExternalID: "SO-88123",
		InvoiceDate: ago(34 * 24 * time.Hour), DueDate: ago(4 * 24 * time.Hour),
		Lines: []InvoiceLine{{Description: "Dedicated cluster, 12 nodes", Note: "1 to 31 October 2026", Quantity: "12", TaxRate: "16 %", UnitPrice: "145000.00", Discount: pkr(8_700_000), Tax: pkr(26_448_000), Net: pkr(165_300_000)},
			{Description: "Support, business hours", Quantity: "40.5", TaxRate: "0 %", UnitPrice: "4500.00", Discount: pkr(0), Tax: pkr(0), Net: pkr(18_225_000)},
			{Description: "Message credits", Note: "5,000 credits", Quantity: "5", UnitPrice: "1200.00", Discount: pkr(0), Tax: pkr(0), Net: pkr(600_000), Credits: 5000}},
		Subtotal: pkr(192_825_000), Discount: pkr(8_700_000), Tax: pkr(26_448_000), Total: pkr(210_573_000), Paid: pkr(26_323_000), Claimed: pkr(184_250_000), Balance: pkr(181_250_000),
		CreditApplied: pkr(2_000_000), Credited: pkr(0), WrittenOff: pkr(1_000_000),
		PaidShare: 12, ClaimedShare: 88,
		Payments: admin.NewTable("", []string{"Reference", "Claimed", "Method", "Status", "Submitted"}, []string{"/console/payments/second/", "/console/payments/settled/"}, [][]admin.Cell{
			{admin.Text("HBL-20261117-99120-884"), admin.Amount(pkr(184_250_000)), admin.Word("Bank transfer"), admin.Status("pending_approval"), admin.Age(ago(98 * time.Hour))},
			{admin.Text("HBL-20261101-1"), admin.Amount(pkr(26_323_000)), admin.Word("Bank transfer"), admin.Status("succeeded"), admin.Age(ago(20 * 24 * time.Hour))}}),
		Adjustments: admin.NewTable("", []string{"What", "Amount", "Reason", "By", "When"}, nil, [][]admin.Cell{
			{admin.Status("credit_applied"), admin.Amount(pkr(2_000_000)), admin.Text(""), admin.Text("omar@acme.test"), admin.Date("2026-11-20")},
			{admin.Status("written_off"), admin.Amount(pkr(1_000_000)), admin.Text("Fees of the bank"), admin.Text("omar@acme.test"), admin.Date("2026-11-21")}}),
		Buttons: []admin.Button{{Title: "Void", URL: "/console/invoices/confirm/", Danger: true}},
		Notes:   []admin.Note{{Tone: admin.ToneInfo, Text: "The due date is paused while a claim waits for a decision."}},
		Events:  []admin.Event{{At: ago(98 * time.Hour), Tone: admin.ToneWait, Text: "A payment of 1,842,500.00 PKR was claimed", By: "Bilal Chaudhry"}, {At: ago(34 * 24 * time.Hour), Tone: admin.ToneInfo, Text: "Finalised as ACME-2026-000318", By: "Omar Haddad"}}}
}

func objectPreviews() []preview {
	account := AccountPage{Crumbs: []admin.Link{{Text: "Accounts", URL: "/console/accounts/"}}, Name: "ঢাকা কমিউনিটি ক্লিনিক ও ডায়াগনস্টিক সেন্টার", Status: "active", Note: "BD · organisation",
		Owes: []admin.Stat{{Title: "Open invoices", Text: "12,500.00 BDT", Note: "2 invoices"}, {Title: "Overdue", Text: "0.00 BDT"}, {Title: "Credit we owe", Text: "450.00 BDT"}, {Title: "Service credits", Text: "5,000"}},
		Groups: []admin.FactGroup{{Title: "Details", Facts: []admin.Fact{{Label: "Country", Value: admin.Text("Bangladesh")}, {Label: "Currency", Value: admin.Text("BDT")}, {Label: "External id", Value: admin.Code("cust_88120")},
			{Label: "Methods", Value: admin.Word("all of the country")}, {Label: "Address", Value: admin.Text("বাড়ি ১২, রোড ৫\nধানমন্ডি, ঢাকা ১২০৫"), Wide: true}}}},
		Tables:  []admin.Table{{Title: "Invoices", Empty: "No invoices yet."}, {Title: "Payments", MoreURL: "/console/payments/", Columns: invoicePage().Payments.Columns, Rows: invoicePage().Payments.Rows}},
		Buttons: []admin.Button{{Title: "Edit", URL: "/console/accounts/edit/"}},
		Events:  []admin.Event{{At: ago(9 * 24 * time.Hour), Text: "Created", By: "Omar Haddad", Tone: admin.ToneMute}}}
	jobs := JobsPage{Stats: []admin.Stat{{Title: "Approved, not yet posted", Text: "3", Note: "oldest 2 s"}, {Title: "Outbox", Text: "0", Note: "nothing waits"}, {Title: "Given up", Text: "1", Tone: admin.ToneBad}, {Title: "Workers", Text: "2"}},
		Tasks: []TaskLine{{Name: "outbox.prune", Schedule: "every 1 h", LastAt: ago(12 * time.Minute), RunURL: "/x/"},
			{Name: "ledger.verify", Schedule: "daily at 02:30 UTC", LastAt: ago(31 * time.Hour), Dead: 1, RunURL: "/x/"}, {Name: "payments.receipt_mail", Schedule: "on payment.succeeded"}},
		Dead: []DeadJob{{ID: "01934f2e-77aa", Task: "payments.receipt_mail", Error: "dial tcp 10.0.0.3:25: connect: connection refused", RunURL: "/x/", FailedAt: ago(50 * time.Minute), Tried: 12}}}
	login := LoginPage{Action: "/console/login/", Next: "/console/"}
	failed := login
	failed.Email, failed.Error, failed.AskTenant = "approver@acme-cloud.test", "E-mail address or password is wrong.", true
	demo := login
	demo.DemoPassword = "countersign-demo"
	demo.Demo = []struct{ Email, Role, Tenant string }{{"approver@acme-cloud.test", "finance", "Acme Cloud"}, {"owner@dhaka-clinic.test", "owner", "Dhaka Clinic"}}
	return []preview{
		{"login/", "accounts/login", login}, {"login/failed/", "accounts/login", failed}, {"login/demo/", "accounts/login", demo},
		{"invoices/one/", "invoices/invoice", invoicePage()}, {"accounts/one/", "accounts/account", account},
		{"invoices/new/", "invoices/edit", EditPage{Crumbs: invoicePage().Crumbs, Title: "New invoice", Action: "/x/", Cancel: "/x/", Submit: "Save the draft", Error: "Some fields are missing or wrong.",
			Fields: []admin.Field{{Name: "notes", Label: "Notes", Kind: "textarea", Wide: true}},
			Lines:  []EditLine{{N: 1, Description: "Dedicated cluster, 12 nodes", Quantity: "twelve", UnitPrice: "145000.00", TaxPercent: "16", Errors: []string{"Quantity: This is not a number."}}, {N: 2}, {N: 3}}}},
		{"jobs/", "workers/jobs", jobs}, {"jobs/idle/", "workers/jobs", JobsPage{Notes: []admin.Note{{Tone: admin.ToneBad, Text: "No worker is running. Approved payments wait until one is started."}}}},
		{"jobs/missing/", "admin/error", web.ErrNotFound}, {"jobs/broken/", "admin/error", web.ErrInternal},
		{"invoices/confirm/", "admin/confirm", admin.ConfirmPage{Crumbs: []admin.Link{{Text: "Invoices", URL: "/console/invoices/"}}, Title: "Void this invoice", Subject: "ACME-2026-000318, Lahore Textile & Dyeing Mills (Pvt.) Ltd.",
			Consequence: "The invoice keeps its number and is owed no longer. This cannot be undone.", Action: "/x/", Cancel: "/console/invoices/one/", Submit: "Void the invoice", Danger: true,
			Facts:  []admin.Fact{{Label: "Total", Value: admin.Amount(pkr(210_573_000))}, {Label: "Paid", Value: admin.Amount(pkr(0))}},
			Fields: []admin.Field{{Name: "reason", Label: "Reason", Kind: "textarea", Required: true}}}},
		{"users/new/", "admin/form", admin.FormPage{Crumbs: []admin.Link{{Text: "Users", URL: "/console/users/"}}, Title: "New user", Action: "/x/", Cancel: "/console/users/", Submit: "Create the user", Error: "Some fields are missing or wrong.",
			Groups: []admin.FieldGroup{{Fields: []admin.Field{{Name: "name", Label: "Name", Kind: "text", Required: true, Value: "Omar Haddad"}, {Name: "email", Label: "E-mail", Kind: "email", Required: true, Value: "omar@", Errors: []string{"This is not an e-mail address."}},
				{Name: "role", Label: "Role", Kind: "select", Required: true, Options: []admin.Option{{Value: "finance", Label: "Finance"}, {Value: "viewer", Label: "Viewer"}}}, {Name: "password", Label: "First password", Kind: "password", Required: true, Hint: "At least 12 characters. The user can change it."}}}}}},
		{"methods/one/", "admin/detail", admin.DetailPage{Crumbs: []admin.Link{{Text: "Payment methods", URL: "/console/methods/"}}, Title: "Bank transfer, Pakistan", Status: "enabled", Subtitle: "PK · bank_transfer",
			Buttons: []admin.Button{{Title: "Edit", URL: "/x/"}, {Title: "Switch off", URL: "/x/", Danger: true}}, Groups: []admin.FactGroup{{Title: "Shown to customers", Facts: []admin.Fact{{Label: "Name", Value: admin.Text("Bank transfer")},
				{Label: "From", Value: admin.Amount(pkr(100_000))}, {Label: "To", Value: admin.Amount(pkr(500_000_000))}, {Label: "Instructions", Value: admin.Text("Transfer to the account below and write the invoice number into the reference.\nSend us the receipt afterwards."), Wide: true}}}}}},
	}
}

func listPreviews() []preview {
	invoices := admin.NewTable("", []string{"Number", "Account", "Status", "Due", "Total", "Open balance"}, []string{"/console/invoices/one/", "/console/invoices/one/", "/console/invoices/one/", "/console/invoices/one/"}, [][]admin.Cell{
		{admin.Text("ACME-2026-000333"), admin.Text("Tashkent Fresh Market"), admin.Status("open"), admin.Day(now.Add(240 * time.Hour)), admin.Amount(usd(5)), admin.Amount(usd(5))},
		{admin.Text("ACME-2026-000329"), admin.Text("ООО «Самаркандская торговая компания»"), admin.Status("partially_paid"), admin.Day(ago(48 * time.Hour)), admin.Amount(uzs(1_500_000_000_00)), admin.Amount(uzs(1_200_000_000_00))},
		{admin.Text("ACME-2026-000326"), admin.Text("ঢাকা কমিউনিটি ক্লিনিক ও ডায়াগনস্টিক সেন্টার"), admin.Status("overdue"), admin.Day(ago(96 * time.Hour)), admin.Amount(bdt(1_250_000)), admin.Amount(bdt(1_250_000))},
		{admin.Text("ACME-2026-000281"), admin.Text("Nexus Robotics").WithNote("US"), admin.Status("paid"), admin.Day(ago(900 * time.Hour)), admin.Amount(usd(13900)), admin.Amount(usd(0))}})
	invoices.Columns[3].SortURL, invoices.Columns[3].Sorted = "?ordering=due_date", "descending"
	filters := queueFilters()
	filters.Action = "/console/invoices/"
	filters.Selects = []admin.Select{{Name: "status", Label: "Status", Options: []admin.Option{{Value: "open", Label: "Open", Selected: true}, {Value: "paid", Label: "Paid"}}}}
	filters.Chips = []admin.Chip{{Name: "Status", Label: "Open", URL: "/console/invoices/"}}
	audit := admin.NewTable("", []string{"When", "Who", "What", "Object", "Reason"}, nil, [][]admin.Cell{
		{admin.When(ago(time.Hour)), admin.Text("Nadia Rahman").WithNote("approver@acme-cloud.test"), admin.Code("payment.approved"), admin.LinkTo("payment 01934f…", "/x/"), admin.Text("")},
		{admin.When(ago(2 * time.Hour)), admin.Text("Omar Haddad").WithNote("finance@acme-cloud.test"), admin.Code("invoice.voided"), admin.LinkTo("ACME-2026-000300", "/x/"), admin.Text("Issued twice")}})
	return []preview{
		{"invoices/", "admin/list", admin.ListPage{Title: "Invoices", Filters: filters, Table: invoices, Pager: admin.Pager{From: 1, To: 4, Total: 333, TotalText: "333", Next: "?page=2"}, Buttons: []admin.Button{{Title: "New invoice", URL: "/x/", Icon: "plus", Primary: true}}}},
		{"accounts/", "admin/list", admin.ListPage{Title: "Accounts", Empty: admin.Empty{Title: "No customers yet", Text: "Create the first account, then send it an invoice.", URL: "/x/", Label: "New account"}}},
		{"audit/", "admin/list", admin.ListPage{Title: "Audit log", Description: "Everything that was done, by whom. Nothing here can be changed or removed.", Table: audit}},
	}
}
