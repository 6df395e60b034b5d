package invoices

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/money"
	"countersign/internal/admin"
	"countersign/internal/web"
	"countersign/tenancy"
)

// editPage is the page invoices/edit: the form of a draft.
type editPage struct {
	Crumbs                               []admin.Link
	Title, Action, Cancel, Submit, Error string
	Fields                               []admin.Field
	Lines                                []editLine
}

type editLine struct {
	N                                                               int
	Description, Quantity, UnitPrice, Discount, TaxPercent, Credits string
	Errors                                                          []string
}

// rows is how many empty lines a form begins with, and how many each press on "More lines" adds.
const rows = 5

// maxRows bounds the rows of a form, as the API bounds the lines of an invoice.
const maxRows = 500

func (l editLine) empty() bool { return strings.TrimSpace(l.Description) == "" }

// draftForm is what a form of a draft holds.
type draftForm struct {
	account, currency, invoiceDate, dueDate, externalID, notes string
	lines                                                      []editLine
}

func (c *console) newView(w http.ResponseWriter, r *http.Request) error {
	form := draftForm{account: r.URL.Query().Get("account"), lines: make([]editLine, rows)}
	page, err := c.editPage(r, nil, form)
	if err != nil {
		return err
	}
	return admin.Render(w, r, "invoices/edit", page)
}

func (c *console) editView(w http.ResponseWriter, r *http.Request) error {
	s, err := c.draft(r)
	if err != nil {
		return err
	}
	form := draftForm{currency: string(s.invoice.Currency), invoiceDate: s.invoice.InvoiceDate.Format(time.DateOnly), dueDate: s.invoice.DueDate.Format(time.DateOnly),
		externalID: s.invoice.ExternalID, notes: s.invoice.Notes}
	for i := range s.lines {
		form.lines = append(form.lines, newEditLine(s.invoice, &s.lines[i]))
	}
	form.lines = append(form.lines, make([]editLine, 2)...)
	page, err := c.editPage(r, s.invoice, form)
	if err != nil {
		return err
	}
	return admin.Render(w, r, "invoices/edit", page)
}

// draft reads the draft of the path with its lines; what is no draft any more is refused.
func (c *console) draft(r *http.Request) (sheet, error) {
	id, err := web.ID(r)
	if err != nil {
		return sheet{}, err
	}
	s, err := c.sheet(r.Context(), id.String())
	if err == nil && s.invoice.Status != StatusDraft {
		err = ErrNotDraft
	}
	return s, err
}

func newEditLine(inv *Invoice, li *LineItem) editLine {
	line := editLine{Description: li.Description, Quantity: li.Quantity.String(), UnitPrice: FormatUnitPrice(li.UnitPrice, inv.Currency)}
	if li.DiscountMinor != 0 {
		line.Discount = inv.Amount(li.DiscountMinor).String()
	}
	if !li.TaxRate.IsZero() {
		line.TaxPercent = percent(li.TaxRate)
	}
	if li.Credits != 0 {
		line.Credits = strconv.FormatInt(li.Credits, 10)
	}
	return line
}

func (c *console) editPage(r *http.Request, inv *Invoice, form draftForm) (editPage, error) {
	page := editPage{Crumbs: []admin.Link{{Text: "Invoices", URL: admin.URL(section)}}, Title: "New invoice", Action: admin.URL(section, "new"), Cancel: admin.URL(section),
		Submit: "Save the draft", Lines: form.lines}
	if inv != nil {
		page.Title, page.Action, page.Cancel = "Edit the draft", admin.IDURL(section, inv.ID, "edit"), admin.IDURL(section, inv.ID)
	} else {
		var account admin.Field
		err := tenancy.Read(r.Context(), c.service.db, func(ctx context.Context, tx bun.Tx) (err error) {
			account, err = accounts.AccountField(ctx, tx, form.account, true)
			return err
		})
		if err != nil {
			return page, err
		}
		page.Fields = append(page.Fields, account)
	}
	page.Fields = append(page.Fields,
		admin.Field{Name: "currency", Label: "Currency", Kind: "text", Value: form.currency, Hint: "Empty: the account's."},
		admin.Field{Name: "invoice_date", Label: "Invoice date", Kind: "date", Value: form.invoiceDate, Hint: "Empty: today."},
		admin.Field{Name: "due_date", Label: "Due", Kind: "date", Value: form.dueDate, Hint: "Empty: by your terms of payment."},
		admin.Field{Name: "external_id", Label: "External id", Kind: "text", Value: form.externalID},
		admin.Field{Name: "notes", Label: "Notes", Kind: "textarea", Value: form.notes, Wide: true})
	for i := range page.Lines {
		page.Lines[i].N = i + 1
	}
	return page, nil
}

func (c *console) create(w http.ResponseWriter, r *http.Request) error {
	values, err := admin.FormValues(w, r)
	if err != nil {
		return err
	}
	form := readDraft(values)
	if values.Has("more") {
		return c.moreLines(w, r, nil, form)
	}
	var req CreateRequest
	object := form.object()
	object["account_id"] = form.account
	if err = admin.Bind(object, &req); err == nil {
		var in CreateInput
		if in, err = req.input(false, nil); err == nil {
			var made Response
			if made, err = c.service.Create(r.Context(), in); err == nil {
				return admin.Redirect(w, r, admin.URL(section, made.ID), "The draft was saved. Finalise it when it is right.")
			}
		}
	}
	return c.refuse(w, r, nil, form, err)
}

func (c *console) save(w http.ResponseWriter, r *http.Request) error {
	values, err := admin.FormValues(w, r)
	if err != nil {
		return err
	}
	s, err := c.draft(r)
	if err != nil {
		return err
	}
	form := readDraft(values)
	if values.Has("more") {
		return c.moreLines(w, r, s.invoice, form)
	}
	var req UpdateRequest
	if err = admin.Bind(form.object(), &req); err == nil {
		if _, err = c.service.Update(r.Context(), req.input(s.invoice.ID.String(), false)); err == nil {
			return admin.Redirect(w, r, admin.IDURL(section, s.invoice.ID), "Saved.")
		}
	}
	return c.refuse(w, r, s.invoice, form, err)
}

func (c *console) moreLines(w http.ResponseWriter, r *http.Request, inv *Invoice, form draftForm) error {
	form.lines = append(form.lines, make([]editLine, max(0, min(rows, maxRows-len(form.lines))))...)
	page, err := c.editPage(r, inv, form)
	if err != nil {
		return err
	}
	return admin.Render(w, r, "invoices/edit", page)
}

// refuse shows the form again, with what is wrong beside the line that it is wrong with.
func (c *console) refuse(w http.ResponseWriter, r *http.Request, inv *Invoice, form draftForm, err error) error {
	refusal, ok := admin.Refused(r, err)
	if !ok {
		return err
	}
	// the service counts the lines that were sent; the form has empty ones between them
	sent := -1
	for i := range form.lines {
		if form.lines[i].empty() {
			continue
		}
		sent++
		prefix := "line_items." + strconv.Itoa(sent) + "."
		for field, problems := range refusal.Fields {
			if name, found := strings.CutPrefix(field, prefix); found {
				for _, problem := range problems {
					form.lines[i].Errors = append(form.lines[i].Errors, admin.ReaderOf(r).Say(fieldLabel(name))+": "+problem)
				}
				delete(refusal.Fields, field)
			}
		}
	}
	page, readErr := c.editPage(r, inv, form)
	if readErr != nil {
		return readErr
	}
	groups := []admin.FieldGroup{{Fields: page.Fields}}
	page.Error = refusal.Refill(groups, form.values())
	return admin.RenderStatus(w, r, refusal.Status, "invoices/edit", page)
}

func fieldLabel(name string) string {
	labels := map[string]string{"description": "Description", "quantity": "Quantity", "unit_price": "Unit price", "discount_amount": "Discount", "tax_rate": "Tax rate in %", "credits": "Credits"}
	if label, ok := labels[name]; ok {
		return label
	}
	return name
}

func readDraft(values url.Values) draftForm {
	form := draftForm{account: values.Get("account_id"), currency: values.Get("currency"), invoiceDate: values.Get("invoice_date"), dueDate: values.Get("due_date"),
		externalID: values.Get("external_id"), notes: values.Get("notes")}
	at := func(name string, i int) string {
		if i < len(values[name]) {
			return values[name][i]
		}
		return ""
	}
	for i := range min(len(values["description"]), maxRows) {
		form.lines = append(form.lines, editLine{Description: at("description", i), Quantity: at("quantity", i), UnitPrice: at("unit_price", i),
			Discount: at("discount", i), TaxPercent: at("tax", i), Credits: at("credits", i)})
	}
	return form
}

func (f draftForm) values() url.Values {
	return url.Values{"account_id": {f.account}, "currency": {f.currency}, "invoice_date": {f.invoiceDate}, "due_date": {f.dueDate}, "external_id": {f.externalID}, "notes": {f.notes}}
}

// object is the draft as a client of the API would send it. What is no number is sent as it is: the service says so.
func (f draftForm) object() map[string]any {
	lines := []any{}
	for _, l := range f.lines {
		if l.empty() {
			continue
		}
		tax := strings.TrimSpace(l.TaxPercent)
		if rate, err := money.ParseDecimal(tax, 5, 4); err == nil {
			tax = rate.Shift(-2).String()
		}
		line := map[string]any{"description": l.Description, "quantity": first(l.Quantity, "1"), "unit_price": l.UnitPrice, "discount_amount": l.Discount, "tax_rate": tax}
		if credits := strings.TrimSpace(l.Credits); credits != "" {
			line["credits"] = credits
			if n, err := strconv.ParseInt(credits, 10, 64); err == nil {
				line["credits"] = n
			}
		}
		lines = append(lines, line)
	}
	return map[string]any{"currency": f.currency, "invoice_date": f.invoiceDate, "due_date": f.dueDate, "external_id": f.externalID, "notes": f.notes, "line_items": lines}
}

func first(text, other string) string {
	if text = strings.TrimSpace(text); text != "" {
		return text
	}
	return other
}
