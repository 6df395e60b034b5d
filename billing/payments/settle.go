package payments

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/tenancy"
)

// setSize is how many payments one commit settles at most. Nearly all of the gain is there at a hundred, and beyond
// five hundred only latency grows.
const setSize = 500

// Settle settles what is approved in the tenant of ctx until nothing waits. There is no timer: a set is what gathered
// while the last one was committed, one payment at rest and hundreds under load. Any number of workers may settle at
// once; what one has locked, the others skip.
func (s *Service) Settle(ctx context.Context) error {
	n, err := s.settleSet(ctx, nil)
	if err != nil || n < setSize {
		return err
	}
	// a backlog: as many writers as cores, not more
	writers, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		writers.Go(func() error {
			for {
				if n, err := s.settleSet(ctx, nil); err != nil || n < setSize {
					return err
				}
			}
		})
	}
	return writers.Wait()
}

// settleSet settles one set in one transaction: what is approved, or only the named payments. When the set fails for
// a reason that trying again does not mend, it is halved until the one payment that spoils it is alone, and that one is
// set aside, so that it holds back nobody else.
func (s *Service) settleSet(ctx context.Context, only []uuid.UUID) (int, error) {
	var set []uuid.UUID
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		set, err = s.settleIn(ctx, tx, only)
		return err
	})
	if err == nil || len(set) == 0 || passing(err) {
		return len(set), err
	}
	if len(set) == 1 {
		return 1, s.setAside(ctx, set[0], err)
	}
	half := len(set) / 2
	for _, part := range [][]uuid.UUID{set[:half], set[half:]} {
		if _, err := s.settleSet(ctx, part); err != nil {
			return 0, err
		}
	}
	return len(set), nil
}

// passing says whether an error is no payment's fault: an outage, a lost race, or a database that is not as the program
// expects it. The same set may go through later, and nothing is set aside for it.
func passing(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if is, data := database.IsDatabase(err); is && !data {
		return true
	}
	e := errs.As(database.Translate(err))
	return e != nil && e.Kind == errs.KindUnavailable
}

const claimApproved = `
SELECT id, account_id, invoice_id, method, amount_minor, coalesce(received_minor, amount_minor), currency, version, created_at
FROM payments WHERE tenant_id = $1 AND status = 'processing' AND set_aside = '' AND ($2::uuid[] IS NULL OR id = ANY ($2)) AND invoice_id IS NOT NULL
ORDER BY id LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED`

const finishSettled = `
UPDATE payments AS p SET status = 'succeeded', applied_minor = s.applied, excess_minor = s.excess, processed_at = clock_timestamp(), updated_at = clock_timestamp(), version = p.version + 1
FROM unnest($2::uuid[], $3::bigint[], $4::bigint[]) AS s(id, applied, excess)
WHERE p.tenant_id = $1 AND p.id = s.id AND p.status = 'processing'`

// settleIn does everything that a settlement is, for a set, with a number of statements that does not depend on its
// size: payments are claimed and locked, then their invoices, then the ledger's balances, each by id.
func (s *Service) settleIn(ctx context.Context, tx bun.Tx, only []uuid.UUID) ([]uuid.UUID, error) {
	list, err := claim(ctx, tx, only)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	ids := make([]uuid.UUID, len(list))
	var invoiceIDs []uuid.UUID
	for i, p := range list {
		ids[i] = p.ID
		invoiceIDs = append(invoiceIDs, p.InvoiceID)
	}
	slices.SortFunc(invoiceIDs, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	locked, err := invoices.Lock(ctx, tx, slices.Compact(invoiceIDs)...)
	if err != nil {
		return ids, err
	}
	now := s.now().UTC().Truncate(time.Microsecond)
	settled, applications, err := allocate(list, locked)
	if err != nil {
		return ids, err
	}
	_, grants, err := s.invoices.ApplyPayments(ctx, tx, locked, applications, now)
	if err != nil {
		return ids, err
	}
	postings := make([]ledger.Posting, 0, len(list)+len(grants))
	for _, p := range settled {
		postings = append(postings, posting(p))
	}
	if err := ledger.Post(ctx, tx, append(postings, grants...)...); err != nil {
		return ids, err
	}
	return ids, s.finish(ctx, tx, settled)
}

func claim(ctx context.Context, tx bun.Tx, only []uuid.UUID) ([]*Payment, error) {
	tenant := tenancy.ID(ctx)
	rows, err := database.Hot(tx).QueryContext(ctx, claimApproved, tenant, only, setSize)
	if err != nil {
		return nil, fmt.Errorf("claim approved payments: %w", err)
	}
	defer rows.Close()
	var list []*Payment
	for rows.Next() {
		p := &Payment{TenantID: tenant, Status: StatusProcessing}
		var received int64
		// the currency unchecked: one that this program does not know spoils its own payment, not the whole set
		if err := rows.Scan(&p.ID, &p.AccountID, &p.InvoiceID, &p.Method, &p.AmountMinor, &received, (*string)(&p.Currency), &p.Version, &p.CreatedAt); err != nil {
			return nil, fmt.Errorf("claim approved payments: %w", err)
		}
		p.ReceivedMinor = &received
		list = append(list, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("claim approved payments: %w", err)
	}
	return list, nil
}

// allocate shares each payment between its invoice, as far as it owes something, and the customer's credit. Several
// payments for one invoice take what it owes in the order of their ids. It changes only the payments.
func allocate(list []*Payment, locked map[uuid.UUID]*invoices.Invoice) ([]*Payment, []invoices.Application, error) {
	rest := map[uuid.UUID]int64{}
	index := map[uuid.UUID]int{}
	var applications []invoices.Application
	for _, p := range list {
		inv, ok := locked[p.InvoiceID]
		if !ok {
			return nil, nil, fmt.Errorf("settle payment %s: its invoice is gone", p.ID)
		}
		if inv.Currency != p.Currency {
			return nil, nil, money.ErrCurrencyMismatch.With("left", p.Currency).With("right", inv.Currency)
		}
		i, seen := index[inv.ID]
		if !seen {
			i = len(applications)
			index[inv.ID] = i
			applications = append(applications, invoices.Application{InvoiceID: inv.ID})
			if inv.Status == invoices.StatusOpen || inv.Status == invoices.StatusPartiallyPaid || inv.Status == invoices.StatusUncollectible {
				rest[inv.ID] = inv.BalanceMinor
			}
		}
		applied := min(*p.ReceivedMinor, rest[inv.ID])
		excess := *p.ReceivedMinor - applied
		p.AppliedMinor, p.ExcessMinor = &applied, &excess
		rest[inv.ID] -= applied
		applications[i].AppliedMinor += applied
		applications[i].Claims++
	}
	return list, applications, nil
}

// posting is what a settled payment means in the books (model.md 5.6): provisional money in, the receivable down, and
// what is too much owed to the customer. The statement line that confirms it moves it on from clearing.
func posting(p *Payment) ledger.Posting {
	entries := []ledger.Entry{{Account: ledger.Clearing(string(p.Method), p.Currency), AmountMinor: *p.ReceivedMinor}}
	if *p.AppliedMinor > 0 {
		entries = append(entries, ledger.Entry{Account: ledger.Receivable(p.AccountID, p.Currency), AmountMinor: -*p.AppliedMinor})
	}
	if *p.ExcessMinor > 0 {
		entries = append(entries, ledger.Entry{Account: ledger.CustomerCredit(p.AccountID, p.Currency), AmountMinor: -*p.ExcessMinor})
	}
	return ledger.Posting{Cause: "payment:" + p.ID.String() + ":settle", Kind: "payment_settled", CustomerID: p.AccountID, InvoiceID: p.InvoiceID, PaymentID: p.ID, Entries: entries}
}

func (s *Service) finish(ctx context.Context, tx bun.Tx, settled []*Payment) error {
	n := len(settled)
	ids, applied, excess := make([]uuid.UUID, n), make([]int64, n), make([]int64, n)
	var h history
	for i, p := range settled {
		ids[i], applied[i], excess[i] = p.ID, *p.AppliedMinor, *p.ExcessMinor
		before := map[string]any{"status": StatusProcessing, "amount_minor": p.AmountMinor, "currency": p.Currency, "received_minor": *p.ReceivedMinor}
		p.Status = StatusSucceeded
		h.changed(EventSucceeded, "payment.settle", before, p, "")
	}
	res, err := database.Hot(tx).ExecContext(ctx, finishSettled, tenancy.ID(ctx), ids, applied, excess)
	if err != nil {
		return fmt.Errorf("finish %d payments: %w", n, err)
	}
	if changed, _ := res.RowsAffected(); changed != int64(n) {
		return fmt.Errorf("finish %d payments: %d were there", n, changed)
	}
	return h.write(ctx, s.outbox)
}

// setAside takes a payment that cannot be settled out of the worker's way, visibly. Nothing is lost: it stays approved,
// and Resume puts it back when the cause is mended.
func (s *Service) setAside(ctx context.Context, id uuid.UUID, cause error) error {
	slog.ErrorContext(ctx, "payment set aside", "payment_id", id, "error", cause)
	reason := "internal_error"
	if e := errs.As(cause); e != nil {
		reason = e.Code
	}
	_, err := s.change(ctx, id, nil, func(ctx context.Context, tx bun.Tx, p locked) error {
		if p.Status != StatusProcessing {
			return nil // somebody else has settled it meanwhile
		}
		return s.markSetAside(ctx, tx, p.Payment, reason, "payment.set_aside")
	})
	return err
}

// Resume gives a payment that was set aside back to the worker. The caller needs billing.jobs.manage.
// Errors: ErrNotFound, ErrNotSetAside.
func (s *Service) Resume(ctx context.Context, id uuid.UUID) (Response, error) {
	return s.change(ctx, id, nil, func(ctx context.Context, tx bun.Tx, p locked) error {
		if p.SetAside == "" {
			return ErrNotSetAside
		}
		return s.markSetAside(ctx, tx, p.Payment, "", "payment.resume")
	})
}

func (s *Service) markSetAside(ctx context.Context, tx bun.Tx, p *Payment, reason, action string) error {
	before := p.state()
	p.SetAside = reason
	err := tx.NewUpdate().Model(p).Set("set_aside = ?", reason).Set("version = version + 1").Set("updated_at = clock_timestamp()").
		Where("p.tenant_id = ?", p.TenantID).Where("p.id = ?", p.ID).Returning("version, updated_at").Scan(ctx)
	if err != nil {
		return fmt.Errorf("set payment aside: %w", err)
	}
	event := EventSetAside
	if reason == "" {
		event = EventResumed
	}
	var h history
	h.changed(event, action, before, p, reason)
	return h.write(ctx, s.outbox)
}
