package invoices

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/money"
	"countersign/internal/audit"
	"countersign/internal/database"
	"countersign/internal/idempotency"
	"countersign/internal/outbox"
	"countersign/internal/web"
	"countersign/tenancy"
)

// PaymentsLister gives the payments of an invoice as they appear in its answer, newest first.
type PaymentsLister func(ctx context.Context, db bun.IDB, inv *Invoice) ([]any, error)

// Deps is what invoices need. All but Payments is required.
type Deps struct {
	DB     *bun.DB
	Outbox *outbox.Outbox
	Now    func() time.Time
	// Payments lists an invoice's payments, which a package above this one owns. Nil means that there are none.
	Payments PaymentsLister
}

// Service changes invoices.
type Service struct {
	db       *bun.DB
	outbox   *outbox.Outbox
	now      func() time.Time
	payments PaymentsLister
}

// New gives the service. It panics when a required dependency is missing.
func New(d Deps) *Service {
	switch {
	case d.DB == nil:
		panic("invoices: DB is missing")
	case d.Outbox == nil:
		panic("invoices: Outbox is missing")
	case d.Now == nil:
		panic("invoices: Now is missing")
	}
	if d.Payments == nil {
		d.Payments = func(context.Context, bun.IDB, *Invoice) ([]any, error) { return nil, nil }
	}
	now := func() time.Time { return d.Now().UTC().Truncate(time.Microsecond) } // what PostgreSQL keeps
	return &Service{db: d.DB, outbox: d.Outbox, now: now, payments: d.Payments}
}

// balanceFacts is what the audit log keeps of an invoice's money.
func balanceFacts(inv *Invoice) map[string]any {
	return map[string]any{"status": inv.Status, "currency": inv.Currency, "total_minor": inv.TotalMinor, "paid_minor": inv.PaidMinor,
		"credited_minor": inv.CreditedMinor, "credit_applied_minor": inv.CreditAppliedMinor, "written_off_minor": inv.WrittenOffMinor, "balance_minor": inv.BalanceMinor}
}

// CreateInput is what a new draft needs.
type CreateInput struct {
	Account     string // id or external id (Z-36)
	PatientID   string // empty, or the patient whose account it must be (S2-25)
	ExternalID  string
	Number      string // empty: given at finalisation
	Currency    string // empty: the account's
	InvoiceDate time.Time
	DueDate     time.Time // zero: by the tenant's terms of payment
	Notes       string
	Lines       []LineInput
	Claimed     Claimed
	Strict      bool // refuse instead of warning when Claimed is not what the lines come to
	Once        *idempotency.Once
}

// Create makes a draft. It needs billing.invoices.manage.
func (s *Service) Create(ctx context.Context, in CreateInput) (Response, error) {
	var answer Response
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (Response, error) { return s.create(ctx, tx, in) })
		return err
	})
	return answer, err
}

func (s *Service) create(ctx context.Context, tx bun.Tx, in CreateInput) (Response, error) {
	tenant, err := tenancy.Current(ctx, tx)
	if err != nil {
		return Response{}, err
	}
	account, err := s.billable(ctx, tx, in)
	if err != nil {
		return Response{}, err
	}
	inv := &Invoice{TenantID: tenant.ID, ID: uuid.Must(uuid.NewV7()), AccountID: account.ID, ExternalID: in.ExternalID, NumberIsOurs: true,
		Status: StatusDraft, Currency: account.Currency, InvoiceDate: in.InvoiceDate, DueDate: in.DueDate, Notes: in.Notes, Version: 1}
	if in.Currency != "" {
		if inv.Currency, err = money.ParseCurrency(in.Currency); err != nil {
			return Response{}, money.ErrUnknownCurrency.At("currency")
		}
	}
	if inv.InvoiceDate.IsZero() {
		inv.InvoiceDate = tenant.Today(s.now())
	}
	if err := inv.date(tenant); err != nil {
		return Response{}, err
	}
	if err := inv.takeNumber(in.Number); err != nil {
		return Response{}, err
	}
	d, err := inv.bill(in.Lines, in.Claimed, in.Strict)
	if err != nil {
		return Response{}, err
	}
	if _, err := tx.NewInsert().Model(inv).Returning("created_at, updated_at").Exec(ctx); err != nil {
		return Response{}, taken(err, "insert invoice")
	}
	if err := insertLines(ctx, tx, inv, d.lines); err != nil {
		return Response{}, err
	}
	if err := s.tell(ctx, "invoice.create", EventCreated, inv, nil, ""); err != nil {
		return Response{}, err
	}
	return s.respond(ctx, tx, inv, d, tenant)
}

// billable gives the account that is billed, if it may be.
func (s *Service) billable(ctx context.Context, tx bun.Tx, in CreateInput) (*accounts.Account, error) {
	account, err := accounts.ResolveField(ctx, tx, "account_id", in.Account)
	if err != nil {
		return nil, err
	}
	if in.PatientID != "" && in.PatientID != account.PatientID {
		return nil, ErrPatientMismatch.At("patient_id")
	}
	return account, account.CheckActive()
}

// date settles the due date: by the tenant's terms when there is none, and never before the invoice's own (S2-27).
func (inv *Invoice) date(tenant *tenancy.Tenant) error {
	if inv.DueDate.IsZero() {
		inv.DueDate = inv.InvoiceDate.AddDate(0, 0, tenant.PaymentTermsDays)
	}
	if inv.DueDate.Before(inv.InvoiceDate) {
		return ErrDueBeforeInvoice.At("due_date")
	}
	if inv.DueDate.Year() > 9999 { // the terms have led beyond what a date can say
		return web.ErrNotADate.At("due_date")
	}
	return nil
}

// takeNumber keeps a client's number as it is given and marks it as not ours (Z-27); an empty one waits for
// finalisation. What has the form of our own series is refused under every prefix, because the tenant may change his:
// finalisation would meet it one day, and could neither take the number nor leave it out.
func (inv *Invoice) takeNumber(number string) error {
	if seriesNumber.MatchString(number) {
		return ErrNumberReserved.At("invoice_number")
	}
	inv.Number, inv.NumberIsOurs = number, number == ""
	return nil
}

// bill computes what the lines come to and sets the invoice's amounts.
func (inv *Invoice) bill(lines []LineInput, claimed Claimed, strict bool) (draft, error) {
	d, err := compute(inv.Currency, lines, claimed)
	if err != nil {
		return draft{}, err
	}
	if strict {
		if err := d.strict(); err != nil {
			return draft{}, err
		}
	}
	inv.SubtotalMinor, inv.DiscountMinor, inv.TaxMinor = d.totals.Subtotal.Minor, d.totals.Discount.Minor, d.totals.Tax.Minor
	inv.TotalMinor, inv.BalanceMinor, inv.Credits = d.totals.Total.Minor, d.totals.Total.Minor, d.credits
	return d, nil
}

func insertLines(ctx context.Context, tx bun.Tx, inv *Invoice, lines []LineItem) error {
	for i := range lines {
		lines[i].TenantID, lines[i].InvoiceID, lines[i].AccountID = inv.TenantID, inv.ID, inv.AccountID
	}
	if _, err := tx.NewInsert().Model(&lines).Exec(ctx); err != nil {
		return fmt.Errorf("insert the lines of invoice %s: %w", inv.ID, err)
	}
	return nil
}

// taken translates the unique keys that a caller can run into.
func taken(err error, doing string) error {
	switch {
	case database.IsUnique(err, "invoices_number_key"):
		return ErrNumberTaken
	case database.IsUnique(err, "invoices_external_id_key"):
		return ErrExternalIDTaken
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}

// tell writes the audit record and the event of one change.
func (s *Service) tell(ctx context.Context, action, event string, inv *Invoice, before map[string]any, reason string) error {
	err := audit.Write(ctx, audit.Record{Action: action, ObjectType: "invoice", ObjectID: inv.ID, AccountID: inv.AccountID, Before: before, After: facts(inv), Reason: reason})
	if err != nil {
		return err
	}
	return s.outbox.Emit(ctx, newEvent(event, inv))
}

// facts is what the audit log keeps of an invoice: no notes and no lines.
func facts(inv *Invoice) map[string]any {
	all := balanceFacts(inv)
	all["number"] = inv.Number
	all["invoice_date"] = inv.InvoiceDate.Format(time.DateOnly)
	all["due_date"] = inv.DueDate.Format(time.DateOnly)
	all["subtotal_minor"], all["discount_minor"], all["tax_minor"], all["credits"] = inv.SubtotalMinor, inv.DiscountMinor, inv.TaxMinor, inv.Credits
	return all
}

// UpdateInput names what changes in a draft; nil, empty and zero leave as it is.
type UpdateInput struct {
	Invoice     string  // id or external id
	ExternalID  *string // empty clears
	Number      *string // empty: given at finalisation
	Currency    string  // only together with Lines
	InvoiceDate time.Time
	DueDate     time.Time
	Notes       *string
	Lines       []LineInput // nil: the lines stay; else they are replaced as a whole
	Claimed     Claimed
	Strict      bool
}

// Update changes a draft. It needs billing.invoices.manage.
func (s *Service) Update(ctx context.Context, in UpdateInput) (Response, error) {
	var answer Response
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = s.update(ctx, tx, in)
		return err
	})
	return answer, err
}

func (s *Service) update(ctx context.Context, tx bun.Tx, in UpdateInput) (Response, error) {
	inv, err := find(ctx, tx, in.Invoice, true)
	if err != nil {
		return Response{}, err
	}
	if inv.Status != StatusDraft {
		return Response{}, ErrNotDraft
	}
	tenant, err := tenancy.Current(ctx, tx)
	if err != nil {
		return Response{}, err
	}
	before := facts(inv)
	if err := in.apply(inv, tenant); err != nil {
		return Response{}, err
	}
	d, err := s.rebill(ctx, tx, inv, in)
	if err != nil {
		return Response{}, err
	}
	err = tx.NewUpdate().Model(inv).
		Column("external_id", "number", "number_is_ours", "currency", "invoice_date", "due_date", "subtotal_minor", "discount_minor", "tax_minor", "total_minor",
			"balance_minor", "credits", "notes").
		Set("version = version + 1").Set("updated_at = now()").
		Where("i.tenant_id = ? AND i.id = ?", inv.TenantID, inv.ID).Returning("version, updated_at").Scan(ctx)
	if err != nil {
		return Response{}, taken(err, "update invoice")
	}
	if err := s.tell(ctx, "invoice.update", EventUpdated, inv, before, ""); err != nil {
		return Response{}, err
	}
	return s.respond(ctx, tx, inv, d, tenant)
}

func (in UpdateInput) apply(inv *Invoice, tenant *tenancy.Tenant) error {
	if in.ExternalID != nil {
		inv.ExternalID = *in.ExternalID
	}
	if in.Notes != nil {
		inv.Notes = *in.Notes
	}
	if !in.InvoiceDate.IsZero() {
		inv.InvoiceDate = in.InvoiceDate
	}
	if !in.DueDate.IsZero() {
		inv.DueDate = in.DueDate
	}
	if err := inv.date(tenant); err != nil {
		return err
	}
	if in.Number != nil {
		if err := inv.takeNumber(*in.Number); err != nil {
			return err
		}
	}
	if in.Currency == "" {
		return nil
	}
	currency, err := money.ParseCurrency(in.Currency)
	if err != nil {
		return money.ErrUnknownCurrency.At("currency")
	}
	if currency != inv.Currency && in.Lines == nil {
		return ErrCurrencyNeedsLines.At("currency")
	}
	inv.Currency = currency
	return nil
}

// rebill replaces the lines, or compares the client's totals with the lines that stay.
func (s *Service) rebill(ctx context.Context, tx bun.Tx, inv *Invoice, in UpdateInput) (draft, error) {
	if in.Lines == nil {
		lines, err := linesOf(ctx, tx, inv.ID)
		if err != nil {
			return draft{}, err
		}
		in.Lines = make([]LineInput, len(lines))
		for i := range lines {
			in.Lines[i] = lines[i].input()
		}
		d, err := inv.bill(in.Lines, in.Claimed, in.Strict)
		d.lines = lines
		return d, err
	}
	d, err := inv.bill(in.Lines, in.Claimed, in.Strict)
	if err != nil {
		return draft{}, err
	}
	if _, err := tx.NewDelete().Model((*LineItem)(nil)).Where("li.tenant_id = ? AND li.invoice_id = ?", inv.TenantID, inv.ID).Exec(ctx); err != nil {
		return draft{}, fmt.Errorf("delete the lines of invoice %s: %w", inv.ID, err)
	}
	return d, insertLines(ctx, tx, inv, d.lines)
}

// input is the line as somebody could have sent it.
func (li *LineItem) input() LineInput {
	return LineInput{Description: li.Description, Quantity: li.Quantity.String(), UnitPrice: li.UnitPrice.String(), DiscountMinor: &li.DiscountMinor,
		TaxRate: li.TaxRate.String(), Credits: li.Credits, ServiceType: li.ServiceType, ServiceID: li.ServiceID, BillingCode: li.BillingCode}
}
