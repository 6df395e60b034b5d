package payments

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
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
	return answer, err
}

func (s *Service) submit(ctx context.Context, tx bun.Tx, in SubmitManualInput, norm string) (Response, error) {
	inv, err := invoices.LockReference(ctx, tx, in.Invoice)
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
		PaidAt: in.PaidAt, SubmittedBy: principal.UserID, RetryOf: in.RetryOf, Version: 1}
	if p.Details == nil {
		p.Details = map[string]string{}
	}
	if err := invoices.CheckPayable(inv); err != nil {
		return Response{}, err
	}
	if err := claimAmount(p, in); err != nil {
		return Response{}, err
	}
	if inv.PendingClaims > 0 {
		if same, err := s.sameClaim(ctx, tx, p, in); err != nil || same != nil {
			if same == nil {
				return Response{}, err
			}
			if in.Once != nil {
				in.Once.MarkReplayed()
			}
			return newResponse(same, inv), nil
		}
		tenant, err := tenancy.Current(ctx, tx)
		if err != nil {
			return Response{}, err
		}
		if !tenant.AllowParallelClaims {
			return Response{}, ErrPending
		}
	}
	if err := s.checkMethod(ctx, tx, p, len(in.Evidence)+len(in.Files)); err != nil {
		return Response{}, err
	}
	if err := checkRetry(ctx, tx, p); err != nil {
		return Response{}, err
	}
	return s.store(ctx, tx, p, inv, in)
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

// sameClaim finds the live claim that p repeats word for word; nil when there is none or it says something else.
func (s *Service) sameClaim(ctx context.Context, tx bun.Tx, p *Payment, in SubmitManualInput) (*Payment, error) {
	var found []*Payment
	err := tx.NewSelect().Model(&found).
		Where("p.tenant_id = ?", p.TenantID).
		Where("p.invoice_id = ?", p.InvoiceID).
		Where("p.method = ?", p.Method).
		Where("p.reference_norm = ?", p.ReferenceNorm).
		Where("p.status = ?", StatusPendingApproval).
		Limit(1).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for the same claim: %w", err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	files, err := filesOf(ctx, tx, []uuid.UUID{found[0].ID})
	if err != nil {
		return nil, err
	}
	var attached []uuid.UUID
	var hashes []string
	for _, f := range files[found[0].ID] {
		attached = append(attached, f.ID)
		hashes = append(hashes, string(f.SHA256))
	}
	same := found[0].AmountMinor == p.AmountMinor && found[0].SubmittedBy == p.SubmittedBy && found[0].Notes == p.Notes &&
		found[0].PaidAt.Equal(p.PaidAt) && maps.Equal(found[0].Details, p.Details) && sameFiles(attached, hashes, in)
	if !same {
		return nil, nil
	}
	return found[0], nil
}

// sameFiles says whether a claim comes with the files that another has: the same uploads, or the same bytes again.
func sameFiles(attached []uuid.UUID, hashes []string, in SubmitManualInput) bool {
	if len(attached) != len(in.Evidence)+len(in.Files) {
		return false
	}
	for _, id := range in.Evidence {
		if !slices.Contains(attached, id) {
			return false
		}
	}
	for _, f := range in.Files {
		if !slices.Contains(hashes, string(f.SHA256())) {
			return false
		}
	}
	return true
}

// checkMethod asks the one function that also makes the list of methods (S3-17).
func (s *Service) checkMethod(ctx context.Context, tx bun.Tx, p *Payment, files int) error {
	account, err := accounts.Get(ctx, tx, p.AccountID)
	if err != nil {
		return err
	}
	if !account.IsActive {
		return accounts.ErrAccountInactive
	}
	offer, err := paymentmethods.Check(ctx, tx, paymentmethods.QueryOf(account), p.Method, p.Amount())
	if err != nil {
		return err
	}
	if offer.RequiresEvidence && files == 0 {
		return ErrEvidenceRequired.At("evidence_ids")
	}
	return nil
}

func checkRetry(ctx context.Context, tx bun.Tx, p *Payment) error {
	if p.RetryOf == uuid.Nil {
		return nil
	}
	refused, err := tx.NewSelect().Model((*Payment)(nil)).
		Where("p.tenant_id = ?", p.TenantID).
		Where("p.id = ?", p.RetryOf).
		Where("p.invoice_id = ?", p.InvoiceID).
		Where("p.status IN (?)", bun.List([]Status{StatusFailed, StatusCancelled, StatusExpired})).
		Exists(ctx)
	if err != nil {
		return fmt.Errorf("look for the refused claim: %w", err)
	}
	if !refused {
		return ErrRetryOf.At("retry_of")
	}
	return nil
}

const insertSighting = `INSERT INTO reference_sightings (reference, seen_by) VALUES ($1, $2) ON CONFLICT DO NOTHING`

// store writes the claim with its evidence and stops the invoice's clock.
func (s *Service) store(ctx context.Context, tx bun.Tx, p *Payment, inv *invoices.Invoice, in SubmitManualInput) (Response, error) {
	files, err := evidence.ForSubmission(ctx, tx, p.AccountID, in.Evidence)
	if err != nil {
		return Response{}, err
	}
	_, err = tx.NewInsert().Model(p).ExcludeColumn("created_at", "updated_at").Returning("created_at, updated_at").Exec(ctx)
	if database.IsUnique(err, "payments_reference_key") {
		return Response{}, ErrPending
	}
	if err != nil {
		return Response{}, fmt.Errorf("insert payment: %w", err)
	}
	recorded, err := s.evidence.Record(ctx, tx, p.AccountID, in.Files...)
	if err != nil {
		return Response{}, err
	}
	for _, file := range append(files, recorded...) {
		link := &Evidence{TenantID: p.TenantID, PaymentID: p.ID, EvidenceID: file.ID, AccountID: p.AccountID}
		if _, err := tx.NewInsert().Model(link).ExcludeColumn("created_at").Exec(ctx); err != nil {
			return Response{}, fmt.Errorf("attach evidence: %w", err)
		}
	}
	database.Defer(ctx, insertSighting, s.fingerprint("reference", p.ReferenceNorm), s.fingerprint("tenant", p.TenantID.String()))
	if err := invoices.AddClaim(ctx, tx, inv, s.now()); err != nil {
		return Response{}, err
	}
	var h history
	h.created(p, "payment.submit")
	h.event(EventSubmitted, p, snapshot(p))
	if err := h.write(ctx, s.outbox); err != nil {
		return Response{}, err
	}
	return newResponse(p, inv), nil
}

// Withdraw takes an undecided claim back. The submitter may withdraw his own; staff with billing.cancel any.
// Errors: ErrNotFound, ErrNotSubmitter, ErrNotPending.
func (s *Service) Withdraw(ctx context.Context, id uuid.UUID, once *idempotency.Once) (Response, error) {
	return s.change(ctx, id, once, func(ctx context.Context, tx bun.Tx, p *Payment) error {
		principal, _ := auth.From(ctx)
		if p.SubmittedBy != principal.UserID && !principal.Can(auth.BillingCancel) {
			return ErrNotSubmitter
		}
		if p.Status != StatusPendingApproval {
			return ErrNotPending
		}
		before := p.state()
		if err := move(ctx, tx, p, StatusCancelled); err != nil {
			return err
		}
		if err := invoices.DropClaim(ctx, tx, p.InvoiceID, s.now()); err != nil {
			return err
		}
		var h history
		h.changed(EventCancelled, "payment.cancel", before, p, "")
		return h.write(ctx, s.outbox)
	})
}

// EditNotes changes the notes of an undecided claim. Only its submitter may. What an approver has seen before is then
// out of date, so his decision is refused. Errors: ErrNotFound, ErrNotSubmitter, ErrNotPending.
func (s *Service) EditNotes(ctx context.Context, id uuid.UUID, notes string) (Response, error) {
	return s.change(ctx, id, nil, func(ctx context.Context, tx bun.Tx, p *Payment) error {
		principal, _ := auth.From(ctx)
		if p.SubmittedBy != principal.UserID {
			return ErrNotSubmitter
		}
		if p.Status != StatusPendingApproval {
			return ErrNotPending
		}
		before := p.state()
		p.Notes = notes
		err := tx.NewUpdate().Model(p).Set("notes = ?", notes).Set("version = version + 1").Set("updated_at = clock_timestamp()").
			Where("p.tenant_id = ?", p.TenantID).Where("p.id = ?", p.ID).Returning("version, updated_at").Scan(ctx)
		if err != nil {
			return fmt.Errorf("update notes: %w", err)
		}
		var h history
		h.changed(EventUpdated, "payment.edit_notes", before, p, "")
		h.events = h.events[:1] // the change itself is the update
		return h.write(ctx, s.outbox)
	})
}

// Delete hides a payment that was never started. Everything else has a history and stays (C-11, W-29).
func (s *Service) Delete(ctx context.Context, id uuid.UUID) error {
	_, err := s.change(ctx, id, nil, func(ctx context.Context, tx bun.Tx, p *Payment) error {
		principal, _ := auth.From(ctx)
		if p.SubmittedBy != principal.UserID && !principal.Can(auth.BillingCancel) {
			return ErrNotSubmitter
		}
		if p.Status != StatusCreated {
			return ErrNotDeletable
		}
		_, err := tx.NewUpdate().Model(p).Set("deleted_at = clock_timestamp()").Set("version = version + 1").Set("updated_at = clock_timestamp()").
			Where("p.tenant_id = ?", p.TenantID).Where("p.id = ?", p.ID).Exec(ctx)
		if err != nil {
			return fmt.Errorf("delete payment: %w", err)
		}
		var h history
		h.changed(EventDeleted, "payment.delete", p.state(), p, "")
		return h.write(ctx, s.outbox)
	})
	return err
}

// change locks a payment, lets step change it, and gives the payment as its submitter sees it.
func (s *Service) change(ctx context.Context, id uuid.UUID, once *idempotency.Once, step func(ctx context.Context, tx bun.Tx, p *Payment) error) (Response, error) {
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
			return newResponse(p, invs[p.InvoiceID]), nil
		})
		return err
	})
	return answer, err
}

const movePayment = `
UPDATE payments SET status = $4, received_minor = $5, failure_code = $6, failure_reason = $7,
  approved_at = CASE WHEN $4 = 'processing' THEN clock_timestamp() ELSE approved_at END,
  failed_at = CASE WHEN $4 = 'failed' THEN clock_timestamp() ELSE failed_at END,
  cancelled_at = CASE WHEN $4 = 'cancelled' THEN clock_timestamp() ELSE cancelled_at END,
  version = version + 1, updated_at = clock_timestamp()
WHERE tenant_id = $1 AND id = $2 AND status = $3
RETURNING version, updated_at, approved_at, failed_at, cancelled_at`

// move takes a locked payment along an edge of the state diagram.
func move(ctx context.Context, tx bun.Tx, p *Payment, next Status) error {
	if !p.Status.CanBecome(next) {
		return fmt.Errorf("a payment cannot go from %s to %s", p.Status, next)
	}
	var approved, failed, cancelled sql.NullTime
	err := database.Hot(tx).QueryRowContext(ctx, movePayment, p.TenantID, p.ID, string(p.Status), string(next), p.ReceivedMinor, p.FailureCode, p.FailureReason).
		Scan(&p.Version, &p.UpdatedAt, &approved, &failed, &cancelled)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotPending
	}
	if err != nil {
		return fmt.Errorf("move payment %s to %s: %w", p.ID, next, err)
	}
	p.Status, p.ApprovedAt, p.FailedAt, p.CancelledAt = next, approved.Time, failed.Time, cancelled.Time
	return nil
}
