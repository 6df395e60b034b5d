package invoices

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/internal/audit"
	"countersign/internal/database"
	"countersign/internal/outbox"
	"countersign/tenancy"
)

// This file is what payments do to invoices. All of it runs in the caller's transaction, on rows that Lock has locked.

// CheckPayable says why an invoice takes no payment: ErrNotFinalized, ErrAlreadyPaid or ErrVoid. An uncollectible
// invoice can still be paid.
func CheckPayable(inv *Invoice) error {
	switch inv.Status {
	case StatusDraft:
		return ErrNotFinalized
	case StatusPaid:
		return ErrAlreadyPaid
	case StatusVoid:
		return ErrVoid
	default:
		return nil
	}
}

var addClaims = database.NewRows("add claims to invoices", `
UPDATE invoices AS i SET pending_claims = i.pending_claims + 1, clock_paused_at = coalesce(i.clock_paused_at, c.now), version = i.version + 1, updated_at = now()
FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS c(tenant, id, now) WHERE i.tenant_id = c.tenant AND i.id = c.id`)

// AddClaim notes that a payment for inv, which Lock has locked, was submitted: the due date's clock stands from now
// until the claim is dropped or settled. The change travels with COMMIT, so in this transaction only inv shows it. One
// transaction adds at most one claim to an invoice.
func AddClaim(ctx context.Context, _ bun.Tx, inv *Invoice, now time.Time) error {
	if err := CheckPayable(inv); err != nil {
		return err
	}
	database.SendRowWithCommit(ctx, addClaims, inv.TenantID, inv.ID, now)
	inv.PendingClaims++
	inv.Version++
	if inv.ClockPausedAt.IsZero() {
		inv.ClockPausedAt = now
	}
	return nil
}

const dropClaim = `
UPDATE invoices SET pending_claims = pending_claims - 1,
  clock_paused_for = clock_paused_for + CASE WHEN pending_claims = 1 THEN greatest(0, (extract(epoch FROM $3::timestamptz - clock_paused_at) * 1000000000)::bigint) ELSE 0 END,
  clock_paused_at = CASE WHEN pending_claims > 1 THEN clock_paused_at END,
  version = version + 1, updated_at = now()
WHERE tenant_id = $1 AND id = $2`

// DropClaim notes that a claim came to nothing: it was rejected, withdrawn or expired. When it was the last one, the
// due date's clock goes on, later by the time that it stood. The change travels with COMMIT, which fails when the invoice
// has no claim: it cannot have less than none.
func DropClaim(ctx context.Context, _ bun.Tx, id uuid.UUID, now time.Time) {
	database.SendWithCommit(ctx, database.Change("drop a claim on an invoice", dropClaim, tenancy.ID(ctx), id, now))
}

// Application is what settlement does to one invoice: AppliedMinor of its currency is paid on it, at most its balance,
// and Claims of its claims are no longer pending.
type Application struct {
	InvoiceID    uuid.UUID
	AppliedMinor int64
	Claims       int
}

const applyPayments = `
UPDATE invoices AS i SET paid_minor = a.paid, balance_minor = a.balance, status = a.status, paid_at = a.paid_at, pending_claims = a.claims,
  clock_paused_at = a.paused_at, clock_paused_for = a.paused_for, version = i.version + 1, updated_at = now()
FROM unnest($2::uuid[], $3::int[], $4::bigint[], $5::bigint[], $6::text[], $7::timestamptz[], $8::int[], $9::timestamptz[], $10::bigint[])
  AS a(id, version, paid, balance, status, paid_at, claims, paused_at, paused_for)
WHERE i.tenant_id = $1 AND i.id = a.id AND i.version = a.version`

// ApplyPayments writes the outcome of settlements to invoices that Lock has locked, at most one application for each,
// in one statement whatever their number. It gives the invoices that became paid by it, and for those with service
// credits the postings that grant them, once in an invoice's life; the caller posts them with his own. The invoices in
// locked show the new state afterwards. An invoice that was paid or voided meanwhile takes applications of nothing only.
func (s *Service) ApplyPayments(ctx context.Context, tx bun.Tx, locked map[uuid.UUID]*Invoice, apps []Application, now time.Time) ([]*Invoice, []ledger.Posting, error) {
	if len(apps) == 0 {
		return nil, nil, nil
	}
	var change appliedRows
	var news settlementNews
	var paid []*Invoice
	var grants []ledger.Posting
	for _, app := range apps {
		inv, ok := locked[app.InvoiceID]
		if !ok {
			return nil, nil, fmt.Errorf("apply a payment to invoice %s: it is not locked", app.InvoiceID)
		}
		before := *inv
		if err := inv.apply(app, now); err != nil {
			return nil, nil, fmt.Errorf("apply a payment to invoice %s: %w", inv.ID, err)
		}
		change.add(inv)
		if app.AppliedMinor == 0 {
			continue
		}
		news.applied(&before, inv, app.AppliedMinor)
		if inv.Status != StatusPaid {
			continue
		}
		paid = append(paid, inv)
		if before.PaidAt.IsZero() && inv.Credits > 0 {
			grants = append(grants, grantCredits(inv))
			news.granted(inv)
		}
	}
	if err := change.write(ctx, tx); err != nil {
		return nil, nil, err
	}
	return paid, grants, news.publish(ctx, s.outbox)
}

// apply is the rule for one invoice. What it refuses is a mistake of the caller, who computes what is applied.
func (inv *Invoice) apply(app Application, now time.Time) error {
	switch {
	case app.Claims < 0 || app.Claims > inv.PendingClaims:
		return fmt.Errorf("%d claims to settle, %d are pending", app.Claims, inv.PendingClaims)
	case app.AppliedMinor < 0 || app.AppliedMinor > inv.BalanceMinor:
		return fmt.Errorf("%d to apply, the balance is %d", app.AppliedMinor, inv.BalanceMinor)
	}
	inv.resume(app.Claims, now)
	if app.AppliedMinor == 0 {
		return nil
	}
	inv.PaidMinor += app.AppliedMinor
	inv.BalanceMinor -= app.AppliedMinor
	next := StatusPartiallyPaid
	if inv.BalanceMinor == 0 {
		next = StatusPaid
		inv.PaidAt = now
	}
	if inv.Status != next && !inv.Status.CanBecome(next) {
		return fmt.Errorf("it cannot go from %s to %s", inv.Status, next)
	}
	inv.Status = next
	return nil
}

// appliedRows collects the new state of invoices for one statement.
type appliedRows struct {
	ids              []uuid.UUID
	versions, claims []int
	paid, balances   []int64
	pausedFor        []int64
	statuses         []string
	paidAt, pausedAt []*time.Time
	invoices         []*Invoice
}

func (r *appliedRows) add(inv *Invoice) {
	r.invoices = append(r.invoices, inv)
	r.ids = append(r.ids, inv.ID)
	r.versions = append(r.versions, inv.Version)
	r.paid = append(r.paid, inv.PaidMinor)
	r.balances = append(r.balances, inv.BalanceMinor)
	r.statuses = append(r.statuses, string(inv.Status))
	r.paidAt = append(r.paidAt, orNull(inv.PaidAt))
	r.claims = append(r.claims, inv.PendingClaims)
	r.pausedAt = append(r.pausedAt, orNull(inv.ClockPausedAt))
	r.pausedFor = append(r.pausedFor, int64(inv.ClockPausedFor))
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// write changes all rows and insists that each was there as it was locked: an invoice that is named twice, or was not
// locked in this transaction, is noticed here.
func (r *appliedRows) write(ctx context.Context, tx bun.Tx) error {
	res, err := database.Hot(tx).ExecContext(ctx, applyPayments, tenancy.ID(ctx), r.ids, r.versions, r.paid, r.balances, r.statuses, r.paidAt, r.claims, r.pausedAt, r.pausedFor)
	if err != nil {
		return fmt.Errorf("apply payments to %d invoices: %w", len(r.ids), err)
	}
	if n, _ := res.RowsAffected(); n != int64(len(r.ids)) {
		return fmt.Errorf("apply payments to %d invoices: %d were as they had been locked", len(r.ids), n)
	}
	for _, inv := range r.invoices {
		inv.Version++
	}
	return nil
}

// grantCredits is the posting that gives the account the service credits it has paid for.
func grantCredits(inv *Invoice) ledger.Posting {
	return ledger.Posting{Cause: "invoice:" + inv.ID.String() + ":credits", Kind: ledger.KindCreditsGranted, CustomerID: inv.AccountID, InvoiceID: inv.ID,
		Entries: []ledger.Entry{
			{Account: ledger.CreditsIssued(), AmountMinor: inv.Credits},
			{Account: ledger.Credits(inv.AccountID), AmountMinor: -inv.Credits},
		}}
}

// settlementNews collects events and audit records, so that a set of any size costs two statements.
type settlementNews struct {
	events  []outbox.Event
	records []audit.Record
}

func (n *settlementNews) applied(before, after *Invoice, applied int64) {
	name := EventPartiallyPaid
	if after.Status == StatusPaid {
		name = EventPaid
	}
	n.events = append(n.events, newEvent(name, after))
	facts := balanceFacts(after)
	facts["applied_minor"] = applied
	n.records = append(n.records, audit.Record{Action: "invoice.apply_payment", ObjectType: "invoice", ObjectID: after.ID, AccountID: after.AccountID,
		Before: balanceFacts(before), After: facts})
}

func (n *settlementNews) granted(inv *Invoice) {
	n.events = append(n.events, newCreditsEvent(inv))
	n.records = append(n.records, audit.Record{Action: "credits.grant", ObjectType: "invoice", ObjectID: inv.ID, AccountID: inv.AccountID,
		After: map[string]any{"credits": inv.Credits}})
}

func (n *settlementNews) publish(ctx context.Context, box *outbox.Outbox) error {
	if len(n.events) == 0 {
		return nil
	}
	if len(n.records) > 0 {
		if err := audit.Write(ctx, n.records...); err != nil {
			return err
		}
	}
	return box.Emit(ctx, n.events...)
}
