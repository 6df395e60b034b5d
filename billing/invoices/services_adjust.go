package invoices

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/outbox"
)

// This file is what credit, credit notes and write-offs have in common: they change the invoice's amounts and with them
// its status, and what that does to the service credits that the invoice grants.

// act is one change of an invoice that is locked. Whoever begins it changes inv, then writes, posts and tells.
type act struct {
	inv      *Invoice
	before   Invoice
	balances map[ledger.Ref]int64 // the customer's, locked
	now      time.Time
	reason   string // of an act without an adjustment, which has its own
}

// begin locks what the act may post to, in one go, so that postings that follow find it locked.
func (s *Service) begin(ctx context.Context, tx bun.Tx, inv *Invoice) (*act, error) {
	if err := learnGivenUp(ctx, inv); err != nil {
		return nil, err
	}
	balances, err := ledger.Lock(ctx, tx, ledger.Receivable(inv.AccountID, inv.Currency), ledger.CustomerCredit(inv.AccountID, inv.Currency), ledger.Credits(inv.AccountID))
	if err != nil {
		return nil, err
	}
	return &act{inv: inv, before: *inv, balances: balances, now: s.now()}, nil
}

// credit is what the customer has to spend in the invoice's currency.
func (a *act) credit() int64 {
	return -a.balances[ledger.CustomerCredit(a.inv.AccountID, a.inv.Currency)]
}

// newAdjustment is an adjustment of inv that the principal of ctx makes.
func newAdjustment(ctx context.Context, inv *Invoice, kind AdjustmentKind, minor int64, reason string) *Adjustment {
	p, _ := auth.From(ctx)
	return &Adjustment{TenantID: inv.TenantID, ID: uuid.Must(uuid.NewV7()), InvoiceID: inv.ID, AccountID: inv.AccountID, Kind: kind, AmountMinor: minor,
		Currency: inv.Currency, Reason: reason, MadeBy: p.Label}
}

// inverse takes back an adjustment of the act's invoice. Error: ErrAdjustmentNotFound.
func (a *act) inverse(ctx context.Context, tx bun.Tx, kind AdjustmentKind, id uuid.UUID, reason string) (*Adjustment, error) {
	var minor int64
	err := tx.NewSelect().Model((*Adjustment)(nil)).Column("amount_minor").Where("ia.tenant_id = ?", a.inv.TenantID).Where("ia.id = ?", id).
		Where("ia.invoice_id = ?", a.inv.ID).Where("ia.kind = ?", kind).Where("ia.reverses IS NULL").Scan(ctx, &minor)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrAdjustmentNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read adjustment %s: %w", id, err)
	}
	back := newAdjustment(ctx, a.inv, kind, -minor, reason)
	back.Reverses = id
	return back, nil
}

// write stores the invoice as the act has changed it, with the adjustment that did it. It gives the posting of the service
// credits that are granted or taken back by it. Errors: ErrAlreadyReversed, ErrServiceCreditsSpent.
func (a *act) write(ctx context.Context, tx bun.Tx, adj *Adjustment) ([]ledger.Posting, error) {
	_, err := tx.NewInsert().Model(adj).Returning("created_at").Exec(ctx)
	if database.IsUnique(err, "invoice_adjustments_reverses_key") {
		return nil, ErrAlreadyReversed
	}
	if err != nil {
		return nil, fmt.Errorf("insert an adjustment of invoice %s: %w", a.inv.ID, err)
	}
	return a.store(ctx, tx, adj.cause())
}

// store is write without an adjustment; cause stands for it.
func (a *act) store(ctx context.Context, tx bun.Tx, cause string) ([]ledger.Posting, error) {
	err := tx.NewUpdate().Model(a.inv).
		Column("status", "paid_minor", "credited_minor", "credit_applied_minor", "written_off_minor", "balance_minor", "paid_at", "reopened").
		Set("version = version + 1").Set("updated_at = now()").
		Where("i.tenant_id = ? AND i.id = ?", a.inv.TenantID, a.inv.ID).Returning("version, updated_at").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("adjust invoice %s: %w", a.inv.ID, err)
	}
	n := a.gained()
	if n == 0 {
		return nil, nil
	}
	if left := -a.balances[ledger.Credits(a.inv.AccountID)]; n < 0 && left < -n {
		return nil, ErrServiceCreditsSpent.With("credits", -n).With("left", left)
	}
	return []ledger.Posting{creditsPosting(a.inv, n, cause+":credits")}, nil
}

// gained is how many service credits the customer gets by the act; below zero when he loses some.
func (a *act) gained() int64 { return a.inv.granted() - a.before.granted() }

// post books an adjustment, or takes back what was booked for the one that it reverses.
func (a *act) post(ctx context.Context, tx bun.Tx, adj *Adjustment, entries []ledger.Entry, more []ledger.Posting) error {
	if adj.Reverses != uuid.Nil {
		posted, err := ledger.TransactionOf(ctx, tx, adjustmentCause(adj.Reverses))
		if err != nil {
			return fmt.Errorf("find what adjustment %s has posted: %w", adj.Reverses, err)
		}
		if err := ledger.Reverse(ctx, tx, posted.ID, adj.cause(), adj.Reason); err != nil {
			return fmt.Errorf("reverse adjustment %s: %w", adj.Reverses, err)
		}
		return ledger.Post(ctx, tx, more...)
	}
	own := ledger.Posting{Cause: adj.cause(), Kind: string(adj.Kind), CustomerID: adj.AccountID, InvoiceID: adj.InvoiceID, Entries: entries}
	return ledger.Post(ctx, tx, append(more, own)...)
}

// tell writes the audit record and the event of the act, and what follows from it: that the invoice is paid, and that
// service credits were granted or taken back.
func (a *act) tell(ctx context.Context, box *outbox.Outbox, action, event string, adj *Adjustment) error {
	after := balanceFacts(a.inv)
	news := newEvent(event, a.inv)
	reason := a.reason
	if adj != nil {
		after["adjustment_id"], after["amount_minor"], reason = adj.ID, adj.AmountMinor, adj.Reason
		payload := news.Payload.(Event)
		payload.AdjustmentID, payload.AmountMinor = &adj.ID, adj.AmountMinor
		news.Payload = payload
	}
	if err := audit.Write(ctx, audit.Record{Action: action, ObjectType: "invoice", ObjectID: a.inv.ID, AccountID: a.inv.AccountID,
		Before: balanceFacts(&a.before), After: after, Reason: reason}); err != nil {
		return err
	}
	if err := box.Emit(ctx, news); err != nil {
		return err
	}
	return a.follow(ctx, box)
}

// follow tells what the act has brought about besides its own news.
func (a *act) follow(ctx context.Context, box *outbox.Outbox) error {
	if a.inv.Status == StatusPaid && a.before.Status != StatusPaid {
		if err := box.Emit(ctx, newEvent(EventPaid, a.inv)); err != nil {
			return err
		}
	}
	n := a.gained()
	if n == 0 {
		return nil
	}
	event, action := EventCreditsGranted, "credits.grant"
	if n < 0 {
		event, action = EventCreditsReturned, "credits.return"
	}
	if err := box.Emit(ctx, creditsEvent(event, a.inv, n)); err != nil {
		return err
	}
	return audit.Write(ctx, audit.Record{Action: action, ObjectType: "invoice", ObjectID: a.inv.ID, AccountID: a.inv.AccountID, After: map[string]any{"credits": n}})
}

// takeBack undoes an adjustment of the act's invoice with the typed inverse of all that it did, which it gives. What was closed
// by it is open again.
func (s *Service) takeBack(ctx context.Context, tx bun.Tx, a *act, kind AdjustmentKind, id uuid.UUID, reason, action, event string) (*Adjustment, error) {
	back, err := a.inverse(ctx, tx, kind, id, reason)
	if err != nil {
		return nil, err
	}
	closed := a.inv.BalanceMinor == 0
	a.inv.lower(kind, back.AmountMinor)
	a.inv.restate(closed, a.now)
	returned, err := a.write(ctx, tx, back)
	if err != nil {
		return nil, err
	}
	if err := a.post(ctx, tx, back, nil, returned); err != nil {
		return nil, err
	}
	return back, a.tell(ctx, s.outbox, action, event, back)
}

// checkOwed says why people can take nothing off an invoice: nobody owes it, or money for it is on its way, which would be too
// much when it comes.
func checkOwed(inv *Invoice) error {
	switch {
	case inv.Status == StatusDraft:
		return ErrNotFinalized
	case inv.Status == StatusVoid:
		return ErrVoid
	case inv.BalanceMinor == 0:
		return ErrNothingOwed
	case inv.PendingClaims > 0:
		return ErrPaymentPending
	default:
		return nil
	}
}

// Stated is an amount as somebody may have said it: in major units, in minor units, or both. Zero: he has said none.
type Stated struct {
	Text  string
	Minor *int64
}

func (a Stated) given() bool { return a.Text != "" || a.Minor != nil }

// in reads the amount in the currency of the invoice, where it must be more than nothing.
func (a Stated) in(currency money.Currency) (money.Money, error) {
	if a.Text == "" {
		m := money.New(*a.Minor, currency)
		if !m.IsPositive() {
			return m, ErrNotPositive.At("amount_minor")
		}
		return m, nil
	}
	m, err := money.Parse(a.Text, currency)
	switch {
	case err != nil:
		return m, errs.As(err).At("amount")
	case a.Minor != nil && *a.Minor != m.Minor:
		return m, ErrForms.At("amount")
	case !m.IsPositive():
		return m, ErrNotPositive.At("amount")
	default:
		return m, nil
	}
}

// stated gives what somebody wants to take off the invoice, at most its balance; all of it when he has said no amount.
func (inv *Invoice) stated(amount Stated) (int64, error) {
	if !amount.given() {
		return inv.BalanceMinor, nil
	}
	m, err := amount.in(inv.Currency)
	if err != nil {
		return 0, err
	}
	if m.Minor > inv.BalanceMinor {
		field := "amount"
		if amount.Text == "" {
			field = "amount_minor"
		}
		return 0, ErrAboveBalance.With("balance", inv.Balance().String()+" "+string(inv.Currency)).At(field)
	}
	return m.Minor, nil
}
