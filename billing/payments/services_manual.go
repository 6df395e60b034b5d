package payments

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/evidence"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// SubmitManualInput is a claim as its submitter makes it.
type SubmitManualInput struct {
	Invoice   string // id or external id
	Method    paymentmethods.Method
	Reference string
	Notes     string
	Details   map[string]string
	// Amount is what the submitter says he paid, in minor units of Currency; nil: the invoice's open balance (S3-30).
	Amount   func(money.Currency) (*money.Money, error)
	Currency money.Currency    // empty: the invoice's
	PaidAt   time.Time         // zero: not said
	Evidence []uuid.UUID       // uploaded before
	Files    []evidence.Stored // that came with the claim
	RetryOf  uuid.UUID         // the refused claim that this one repeats; zero: none
	Once     *idempotency.Once
}

// SubmitManual stores a claim: pending approval, and nothing else changes but the invoice's clock, which stands until
// the claim is decided (S3-40). The caller needs billing.create and sees the invoice. Errors: ErrInvoiceNotFound,
// invoices.ErrAlreadyPaid and its siblings, ErrPending, what paymentmethods.Check refuses, and field errors.
//
// Repeating a claim with the same invoice, method and reference while it waits gives the first answer again (C-08).
func (s *Service) SubmitManual(ctx context.Context, in SubmitManualInput) (Response, error) {
	if !in.Method.IsManual() {
		return Response{}, ErrNotManual.At("payment_method")
	}
	norm := normalise(in.Reference)
	if norm == "" {
		return Response{}, ErrReferenceEmpty.At("transaction_reference")
	}
	if in.PaidAt.After(s.now().Add(time.Hour)) { // clocks of banks and phones differ a little
		return Response{}, ErrPaidInFuture.At("paid_at")
	}
	var answer Response
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (Response, error) {
			return s.submit(ctx, tx, in, norm)
		})
		return err
	})
	if database.IsUnique(err, "payments_reference_key") { // the claims were made in parallel where that is allowed
		return Response{}, ErrPending
	}
	return answer, err
}

func (s *Service) submit(ctx context.Context, tx bun.Tx, in SubmitManualInput, norm string) (Response, error) {
	inv, at, err := invoices.LockReference(ctx, tx, in.Invoice)
	if err != nil {
		if e := errs.As(err); e != nil && e.Kind == errs.KindNotFound {
			return Response{}, ErrInvoiceNotFound
		}
		return Response{}, err
	}
	principal, _ := auth.From(ctx)
	if principal.IsMember() && (inv.AccountID != principal.AccountID || inv.Status == invoices.StatusDraft) {
		return Response{}, ErrInvoiceNotFound
	}
	p := &Payment{TenantID: inv.TenantID, ID: uuid.Must(uuid.NewV7()), AccountID: inv.AccountID, InvoiceID: inv.ID, Method: in.Method,
		Gateway: string(paymentmethods.GatewayOf(in.Method)), Currency: inv.Currency, AmountMinor: inv.BalanceMinor, Status: StatusPendingApproval,
		SettlementStatus: "unsettled", ReconciliationStatus: "unmatched", Reference: in.Reference, ReferenceNorm: norm, Details: in.Details, Notes: in.Notes,
		PaidAt: in.PaidAt, SubmittedBy: principal.UserID, RetryOf: in.RetryOf, Version: 1, CreatedAt: at, UpdatedAt: at}
	if p.Details == nil {
		p.Details = map[string]string{}
	}
	if err := invoices.CheckPayable(inv); err != nil {
		return Response{}, err
	}
	if err := claimAmount(p, in); err != nil {
		return Response{}, err
	}
	c := prepared{Payment: p, invoice: inv, in: in}
	if err := c.read(ctx); err != nil {
		return Response{}, err
	}
	if same := c.repeated(); same != nil {
		if in.Once != nil {
			in.Once.MarkReplayed()
		}
		return newResponse(same, inv), nil
	}
	files, err := c.check()
	if err != nil {
		return Response{}, err
	}
	return s.store(ctx, tx, c, files)
}

// claimAmount takes over the amount of the claim, which must be in the invoice's currency (S1-57).
func claimAmount(p *Payment, in SubmitManualInput) error {
	if in.Currency != "" && in.Currency != p.Currency {
		return money.ErrCurrencyMismatch.With("left", in.Currency).With("right", p.Currency)
	}
	if in.Amount == nil {
		return nil
	}
	amount, err := in.Amount(p.Currency)
	if err != nil || amount == nil {
		return err
	}
	if !amount.IsPositive() {
		return ErrAmountNotPositive.At("amount")
	}
	p.AmountMinor = amount.Minor
	return nil
}

const insertSighting = `INSERT INTO reference_sightings (reference, seen_by) VALUES ($1, $2) ON CONFLICT DO NOTHING`

const (
	insertClaim = `
INSERT INTO payments (tenant_id, id, account_id, invoice_id, method, gateway, amount_minor, currency, status, reference, reference_norm, details, notes, paid_at, submitted_by, retry_of, version, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::jsonb, $13, $14, $15, $16, $17, $18, $18)`
	attachEvidence = `INSERT INTO payment_evidence (tenant_id, payment_id, evidence_id, account_id) SELECT $1, $2, unnest($3::uuid[]), $4`
)

// store writes the claim with its evidence and stops the invoice's clock.
func (s *Service) store(ctx context.Context, tx bun.Tx, c prepared, files []*evidence.Evidence) (Response, error) {
	recorded, err := s.evidence.Record(ctx, tx, c.AccountID, c.in.Files...)
	if err != nil {
		return Response{}, err
	}
	p := c.Payment
	paid := sql.NullTime{Time: p.PaidAt, Valid: !p.PaidAt.IsZero()}
	database.SendWithCommit(ctx, database.Change("insert payment", insertClaim, p.TenantID, p.ID, p.AccountID, p.InvoiceID, p.Method, p.Gateway, p.AmountMinor, p.Currency, p.Status,
		p.Reference, p.ReferenceNorm, p.Details, p.Notes, paid, database.Nullable(p.SubmittedBy), database.Nullable(p.RetryOf), p.Version, p.CreatedAt))
	var attached []uuid.UUID
	for _, file := range append(files, recorded...) {
		attached = append(attached, file.ID)
	}
	if len(attached) > 0 {
		database.SendWithCommit(ctx, database.Change("attach evidence", attachEvidence, p.TenantID, p.ID, attached, p.AccountID))
	}
	database.SendWithCommit(ctx, database.Change("remember a reference", insertSighting, s.fingerprint("reference", p.ReferenceNorm), s.fingerprint("tenant", p.TenantID.String())))
	if err := invoices.AddClaim(ctx, tx, c.invoice, s.now()); err != nil {
		return Response{}, err
	}
	var h history
	h.created(p, "payment.submit")
	h.event(EventSubmitted, p, snapshot(p))
	if err := h.write(ctx, s.outbox); err != nil {
		return Response{}, err
	}
	return newResponse(p, c.invoice), nil
}

// Withdraw takes an undecided claim back. The submitter may withdraw his own; staff with billing.cancel any.
// Errors: ErrNotFound, ErrNotSubmitter, ErrNotPending.
func (s *Service) Withdraw(ctx context.Context, id uuid.UUID, once *idempotency.Once) (Response, error) {
	return s.change(ctx, id, once, func(ctx context.Context, tx bun.Tx, p locked) error {
		principal, _ := auth.From(ctx)
		if p.SubmittedBy != principal.UserID && !principal.Can(auth.BillingCancel) {
			return ErrNotSubmitter
		}
		if p.Status != StatusPendingApproval {
			return ErrNotPending
		}
		before := p.state()
		invoices.DropClaim(ctx, tx, p.InvoiceID, s.now()) // before the payment changes: see docs/locking.md
		if err := p.move(ctx, StatusCancelled); err != nil {
			return err
		}
		var h history
		h.changed(EventCancelled, "payment.cancel", before, p.Payment, "")
		return h.write(ctx, s.outbox)
	})
}

// EditNotes changes the notes of an undecided claim. Only its submitter may. What an approver has seen before is then
// out of date, so his decision is refused. Errors: ErrNotFound, ErrNotSubmitter, ErrNotPending.
func (s *Service) EditNotes(ctx context.Context, id uuid.UUID, notes string) (Response, error) {
	return s.change(ctx, id, nil, func(ctx context.Context, tx bun.Tx, p locked) error {
		principal, _ := auth.From(ctx)
		if p.SubmittedBy != principal.UserID {
			return ErrNotSubmitter
		}
		if p.Status != StatusPendingApproval {
			return ErrNotPending
		}
		before := p.state()
		p.Notes = notes
		err := tx.NewUpdate().Model(p.Payment).Set("notes = ?", notes).Set("version = version + 1").Set("updated_at = clock_timestamp()").
			Where("p.tenant_id = ?", p.TenantID).Where("p.id = ?", p.ID).Returning("version, updated_at").Scan(ctx)
		if err != nil {
			return fmt.Errorf("update notes: %w", err)
		}
		var h history
		h.changed(EventUpdated, "payment.edit_notes", before, p.Payment, "")
		h.events = h.events[:1] // the change itself is the update
		return h.write(ctx, s.outbox)
	})
}

// Delete hides a payment that was never started. Everything else has a history and stays (C-11, W-29).
func (s *Service) Delete(ctx context.Context, id uuid.UUID) error {
	_, err := s.change(ctx, id, nil, func(ctx context.Context, tx bun.Tx, p locked) error {
		principal, _ := auth.From(ctx)
		if p.SubmittedBy != principal.UserID && !principal.Can(auth.BillingCancel) {
			return ErrNotSubmitter
		}
		if p.Status != StatusCreated {
			return ErrNotDeletable
		}
		_, err := tx.NewUpdate().Model(p.Payment).Set("deleted_at = clock_timestamp()").Set("version = version + 1").Set("updated_at = clock_timestamp()").
			Where("p.tenant_id = ?", p.TenantID).Where("p.id = ?", p.ID).Exec(ctx)
		if err != nil {
			return fmt.Errorf("delete payment: %w", err)
		}
		var h history
		h.changed(EventDeleted, "payment.delete", p.state(), p.Payment, "")
		return h.write(ctx, s.outbox)
	})
	return err
}

// change locks a payment, lets step change it, and gives the payment as its submitter sees it.
func (s *Service) change(ctx context.Context, id uuid.UUID, once *idempotency.Once, step func(ctx context.Context, tx bun.Tx, p locked) error) (Response, error) {
	var answer Response
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, once, func() (Response, error) {
			p, err := lock(ctx, tx, id)
			if err != nil {
				return Response{}, err
			}
			if err := step(ctx, tx, p); err != nil {
				return Response{}, err
			}
			invs, err := invoices.ByIDs(ctx, tx, p.InvoiceID)
			if err != nil {
				return Response{}, err
			}
			return newResponse(p.Payment, invs[p.InvoiceID]), nil
		})
		return err
	})
	return answer, err
}

var movePayments = database.NewRows("move payments", `
UPDATE payments AS p SET status = m.status, received_minor = m.received, failure_code = m.code, failure_reason = m.reason,
  approved_at = CASE WHEN m.status = 'processing' THEN m.at ELSE p.approved_at END,
  failed_at = CASE WHEN m.status = 'failed' THEN m.at ELSE p.failed_at END,
  cancelled_at = CASE WHEN m.status = 'cancelled' THEN m.at ELSE p.cancelled_at END,
  version = p.version + 1, updated_at = m.at
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[]) AS m(tenant, id, status, received, code, reason, at)
WHERE p.tenant_id = m.tenant AND p.id = m.id`)

// move takes a locked payment along an edge of the state diagram, which the database checks once more. The change travels
// with COMMIT.
func (p locked) move(ctx context.Context, next Status) error {
	if !p.Status.CanBecome(next) {
		return fmt.Errorf("a payment cannot go from %s to %s", p.Status, next)
	}
	database.SendRowWithCommit(ctx, movePayments, p.TenantID, p.ID, next, p.ReceivedMinor, p.FailureCode, p.FailureReason, p.at)
	p.Status, p.UpdatedAt = next, p.at
	p.Version++
	switch next {
	case StatusProcessing:
		p.ApprovedAt = p.at
	case StatusFailed:
		p.FailedAt = p.at
	case StatusCancelled:
		p.CancelledAt = p.at
	}
	return nil
}
