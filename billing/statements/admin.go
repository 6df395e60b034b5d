package statements

import (
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"countersign/billing/ledger"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
)

// sections is the statement of one account, a month at a time. The account's page leads to it.
func (v *views) sections() []admin.Section {
	return []admin.Section{{Name: "statements", Title: "Statement", Hidden: true, Permission: auth.BillingView,
		Routes: []web.Route{{Method: http.MethodGet, Path: "/{id}/", Handler: v.page}}}}
}

// consoleLines is how many movements of a month the console shows at once.
const consoleLines = 500

// monthForm is how the console's addresses name a month.
const monthForm = "2006-01"

func (v *views) page(w http.ResponseWriter, r *http.Request) error {
	var month time.Time
	period := func(zone *time.Location) (Period, error) {
		var err error
		month, err = v.month(r.URL.Query().Get("month"), zone)
		return Period{From: month, To: month.AddDate(0, 1, 0).Add(-time.Microsecond)}, err
	}
	s, err := Read(r.Context(), v.db, Request{Account: chi.URLParam(r, "id"), Period: period, Size: consoleLines})
	if err != nil {
		return err
	}
	return admin.Render(w, r, "admin/detail", statementPage(admin.ReaderOf(r), s, month))
}

// month gives the first moment of a month in the tenant's zone; an empty text is the current month.
func (v *views) month(text string, zone *time.Location) (time.Time, error) {
	if text == "" {
		now := v.now().In(zone)
		return time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, zone), nil
	}
	day, err := web.ParseDate(text + "-01")
	if err != nil {
		var fields errs.Fields
		fields.Add("month", errs.As(err))
		return day, fields.Err()
	}
	return time.Date(day.Year(), day.Month(), 1, 0, 0, 0, 0, zone), nil
}

func statementPage(r admin.Reader, s Statement, month time.Time) admin.DetailPage {
	self := admin.IDURL("statements", s.Account.ID)
	page := admin.DetailPage{Crumbs: []admin.Link{{Text: r.Say("Accounts"), URL: admin.URL("accounts")}, {Text: s.Account.Holder, URL: admin.IDURL("accounts", s.Account.ID)}},
		Title: r.Say("Statement"), Subtitle: s.Account.Number + " · " + r.Date(s.Period.From) + " – " + r.Date(s.ReadUpTo),
		Buttons: []admin.Button{{Title: "Month before", URL: self + "?month=" + month.AddDate(0, -1, 0).Format(monthForm)},
			{Title: "Month after", URL: self + "?month=" + month.AddDate(0, 1, 0).Format(monthForm)}}}
	if s.More {
		page.Notes = append(page.Notes, admin.Note{Tone: admin.ToneInfo, Text: r.Say("These are the first {{.count}} movements of the month; the sums count all.", "count", len(s.Lines))})
	}
	for _, section := range s.Sections {
		page.Tables = append(page.Tables, sectionTable(r, s, section))
	}
	return page
}

var heads = []string{"When", "What", "Source", "Debit", "Credit", "Balance"}

// sectionTable shows the movements of one currency between its opening and closing balance.
func sectionTable(r admin.Reader, s Statement, section Section) admin.Table {
	cell := func(sum ledger.Sum) admin.Cell { return ledger.SumCell(sum, section.Currency) }
	blank := admin.Text("")
	opening, closing := section.Sum(func(p Part) ledger.Sum { return p.Opening }), section.Sum(Part.Closing)
	rows := [][]admin.Cell{{admin.Day(s.Period.From.In(s.Zone)), admin.Word("Opening balance"), blank, blank, blank, cell(shown(opening, section.Currency))}}
	for _, l := range s.Lines {
		if l.Currency != section.Currency {
			continue
		}
		debit, credit := blank, cell(ledger.SumOf(-l.AmountMinor))
		if l.AmountMinor > 0 {
			debit, credit = cell(ledger.SumOf(l.AmountMinor)), blank
		}
		rows = append(rows, []admin.Cell{admin.When(l.CreatedAt), admin.Word(ledger.KindLabel(l.Kind)).WithNote(r.Say(ledger.CodeLabel(l.Code))), l.source(r), debit, credit,
			cell(shown(l.Balance, l.Currency))})
	}
	rows = append(rows, []admin.Cell{admin.Day(s.ReadUpTo.In(s.Zone)), admin.Word("Closing balance"), blank, cell(section.Sum(func(p Part) ledger.Sum { return p.Debit })),
		cell(section.Sum(func(p Part) ledger.Sum { return p.Credit })), cell(shown(closing, section.Currency))})
	t := admin.NewTable(ledger.CodeLabel(section.Currency), heads, nil, rows)
	for i := range t.Columns {
		t.Columns[i].Numeric = i >= 3
	}
	for i := range t.Rows {
		for j := 3; j < len(heads); j++ {
			t.Rows[i].Cells[j].Numeric = true
		}
	}
	return t
}

// source leads to what brought a movement about.
func (l Line) source(r admin.Reader) admin.Cell {
	switch {
	case l.PaymentID != uuid.Nil:
		return admin.LinkTo(r.Say("Payment"), admin.IDURL("payments", l.PaymentID)).WithNote(l.InvoiceNumber)
	case l.InvoiceNumber != "":
		return admin.LinkTo(l.InvoiceNumber, admin.IDURL("invoices", l.InvoiceID))
	default:
		return admin.Text("")
	}
}
