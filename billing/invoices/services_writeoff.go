package invoices

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/idempotency"
	"countersign/internal/outbox"
	"countersign/tenancy"
)

// WriteOffInput names the invoice of which something is given up, and why.
type WriteOffInput struct {
	Invoice string // id or external id
	Amount  Stated // zero: all that is owed
	Reason  string
	Once    *idempotency.Once
}

// WriteOff gives up what is owed on an invoice. Within the tenant's tolerance it is done at once, and an invoice that was
// paid but for so little is paid; above it, the request waits for a second person, and an invoice of which he lets a part go
// is uncollectible once nothing is left. It needs billing.invoices.manage and a person. Errors: ErrNotFound, ErrNotFinalized, ErrVoid,
// ErrNothingOwed, ErrPaymentPending, ErrWriteOffPending, ErrNotPositive, ErrAboveBalance.
func (s *Service) WriteOff(ctx context.Context, in WriteOffInput) (WriteOffResponse, error) {
	var answer WriteOffResponse
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (WriteOffResponse, error) { return s.writeOff(ctx, tx, in) })
		return err
	})
	return answer, err
}

func (s *Service) writeOff(ctx context.Context, tx bun.Tx, in WriteOffInput) (WriteOffResponse, error) {
	p, ok := auth.From(ctx)
	if !ok || p.UserID == uuid.Nil {
		return WriteOffResponse{}, auth.ErrForbidden.With("permission", auth.BillingInvoicesManage)
	}
	inv, err := find(ctx, tx, in.Invoice, true)
	if err != nil {
		return WriteOffResponse{}, err
	}
	if err := checkOwed(inv); err != nil {
		return WriteOffResponse{}, err
	}
	minor, err := inv.stated(in.Amount)
	if err != nil {
		return WriteOffResponse{}, err
	}
	tenant, err := tenancy.Current(ctx, tx)
	if err != nil {
		return WriteOffResponse{}, err
	}
	wo := &WriteOff{TenantID: inv.TenantID, ID: uuid.Must(uuid.NewV7()), InvoiceID: inv.ID, AccountID: inv.AccountID, AmountMinor: minor, Currency: inv.Currency, Reason: in.Reason,
		Status: WriteOffPending, ByOne: tolerates(tenant, inv, minor), RequestedBy: p.UserID, RequestedLabel: p.Label}
	if wo.ByOne {
		wo.Status, wo.DecidedAt = WriteOffPosted, s.now()
	}
	_, err = tx.NewInsert().Model(wo).Returning("created_at").Exec(ctx)
	if database.IsUnique(err, "write_offs_pending_key") {
		return WriteOffResponse{}, ErrWriteOffPending
	}
	if err != nil {
		return WriteOffResponse{}, fmt.Errorf("insert a write-off of invoice %s: %w", inv.ID, err)
	}
	if wo.ByOne {
		err = s.postWriteOff(ctx, tx, inv, wo)
	} else {
		err = s.tellWriteOff(ctx, "write_off.request", EventWriteOffRequested, wo, in.Reason)
	}
	if err != nil {
		return WriteOffResponse{}, err
	}
	return s.showWriteOff(ctx, tx, wo, inv)
}

// postWriteOff takes the amount off the invoice.
func (s *Service) postWriteOff(ctx context.Context, tx bun.Tx, inv *Invoice, wo *WriteOff) error {
	a, err := s.begin(ctx, tx, inv)
	if err != nil {
		return err
	}
	adj := newAdjustment(ctx, inv, WrittenOff, wo.AmountMinor, wo.Reason)
	adj.ID = wo.ID
	inv.lower(WrittenOff, wo.AmountMinor)
	inv.GivenUp = inv.GivenUp || !wo.ByOne
	inv.restate(false, a.now)
	granted, err := a.write(ctx, tx, adj)
	if err != nil {
		return err
	}
	entries := []ledger.Entry{{Account: ledger.BadDebt(inv.Currency), AmountMinor: wo.AmountMinor}, {Account: ledger.Receivable(inv.AccountID, inv.Currency), AmountMinor: -wo.AmountMinor}}
	if err := a.post(ctx, tx, adj, entries, granted); err != nil {
		return err
	}
	return a.tell(ctx, s.outbox, "invoice.write_off", EventWrittenOff, adj)
}

// tellWriteOff tells of a request that has changed nothing of the invoice.
func (s *Service) tellWriteOff(ctx context.Context, action, event string, wo *WriteOff, reason string) error {
	facts := map[string]any{"invoice_id": wo.InvoiceID, "status": wo.Status, "amount_minor": wo.AmountMinor, "currency": wo.Currency}
	if err := audit.Write(ctx, audit.Record{Action: action, ObjectType: "write_off", ObjectID: wo.ID, AccountID: wo.AccountID, After: facts, Reason: reason}); err != nil {
		return err
	}
	return s.outbox.Emit(ctx, outbox.Event{Type: event, ObjectType: "write_off", ObjectID: wo.ID,
		Payload: WriteOffEvent{WriteOffID: wo.ID, InvoiceID: wo.InvoiceID, AccountID: wo.AccountID, Status: wo.Status, AmountMinor: wo.AmountMinor, Currency: wo.Currency}})
}

// ReverseWriteOffInput names the write-off that is taken back, and why.
type ReverseWriteOffInput struct {
	ID     uuid.UUID
	Reason string
	Once   *idempotency.Once
}

// ReverseWriteOff makes owed again what was written off: an invoice that was closed by it is open again. It needs
// billing.invoices.manage. Errors: ErrWriteOffNotFound, ErrWriteOffNotPosted, ErrServiceCreditsSpent.
func (s *Service) ReverseWriteOff(ctx context.Context, in ReverseWriteOffInput) (WriteOffResponse, error) {
	var answer WriteOffResponse
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (WriteOffResponse, error) {
			wo, inv, err := lockWriteOff(ctx, tx, in.ID)
			if err != nil {
				return WriteOffResponse{}, err
			}
			if wo.Status != WriteOffPosted {
				return WriteOffResponse{}, ErrWriteOffNotPosted
			}
			a, err := s.begin(ctx, tx, inv)
			if err != nil {
				return WriteOffResponse{}, err
			}
			if _, err := s.takeBack(ctx, tx, a, WrittenOff, wo.ID, in.Reason, "invoice.write_off_reverse", EventWriteOffReversed); err != nil {
				return WriteOffResponse{}, err
			}
			wo.ReversedAt = a.now
			if err := wo.move(ctx, tx, WriteOffReversed); err != nil {
				return WriteOffResponse{}, err
			}
			return s.showWriteOff(ctx, tx, wo, inv)
		})
		return err
	})
	return answer, err
}

// lockWriteOff gives a write-off with its invoice. Whoever changes a write-off holds the lock on its invoice.
func lockWriteOff(ctx context.Context, tx bun.Tx, id uuid.UUID) (*WriteOff, *Invoice, error) {
	wo, err := writeOff(ctx, tx, id)
	if err != nil {
		return nil, nil, err
	}
	inv, err := find(ctx, tx, wo.InvoiceID.String(), true)
	if err != nil {
		return nil, nil, err
	}
	wo, err = writeOff(ctx, tx, id) // as it is now that nobody else changes it
	return wo, inv, err
}

// move writes where the request stands now. Its invoice is locked.
func (wo *WriteOff) move(ctx context.Context, tx bun.Tx, to WriteOffStatus) error {
	wo.Status = to
	_, err := tx.NewUpdate().Model(wo).Column("status", "decided_at", "reversed_at").Where("wo.tenant_id = ? AND wo.id = ?", wo.TenantID, wo.ID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("change write-off %s: %w", wo.ID, err)
	}
	return nil
}
