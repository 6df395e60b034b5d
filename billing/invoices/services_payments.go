package invoices

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/internal/database"
	"countersign/internal/outbox"
	"countersign/tenancy"
)

// This file is what payments do to invoices. All of it runs in the caller's transaction, on rows that Lock has locked, but for ApplyPayments,
// which finds out itself whether they have changed.

// CheckPayable says why an invoice takes no payment: ErrNotFinalized, ErrAlreadyPaid, ErrVoid or ErrNothingOwed. An
// uncollectible invoice can still be paid, as far as it was not written off.
func CheckPayable(inv *Invoice) error {
	switch inv.Status {
	case StatusDraft:
		return ErrNotFinalized
	case StatusPaid:
		return ErrAlreadyPaid
	case StatusVoid:
		return ErrVoid
	default:
		if inv.BalanceMinor == 0 {
			return ErrNothingOwed
		}
		return nil
	}
}

var addClaims = database.NewUpdates("add claims to invoices", `
UPDATE invoices AS i SET pending_claims = i.pending_claims + 1, clock_paused_at = coalesce(i.clock_paused_at, c.now), version = i.version + 1, updated_at = now()
FROM (SELECT unnest($1::uuid[]) AS tenant, unnest($2::uuid[]) AS id, unnest($3::timestamptz[]) AS now) AS c WHERE i.tenant_id = c.tenant AND i.id = c.id`, 2)

// AddClaim notes that a payment for inv, which Lock has locked, was submitted, or begun at a provider: the due date's clock
// stands from now until the claim is dropped or settled. The change travels with COMMIT, so in this transaction only inv shows it.
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

// DropClaim notes that a claim came to nothing: it was rejected, declined, withdrawn or released, or has expired. When it was the last one, the
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
FROM (SELECT unnest($2::uuid[]) AS id, unnest($11::tid[]) AS place, unnest($3::int[]) AS version, unnest($4::bigint[]) AS paid, unnest($5::bigint[]) AS balance, unnest($6::text[]) AS status,
    unnest($7::timestamptz[]) AS paid_at, unnest($8::int[]) AS claims, unnest($9::timestamptz[]) AS paused_at, unnest($10::bigint[]) AS paused_for LIMIT cardinality($2)) AS a
WHERE i.ctid = a.place AND i.tenant_id = $1 AND i.id = a.id AND i.version = a.version`

// Outcome is what follows from applications.
type Outcome struct {
	Change database.Statement // of the invoices; ErrMoved when one of them is not as it was read
	Grants []ledger.Posting   // of service credits, once in an invoice's life
}

// ApplyPayments gives the outcome of settlements for invoices that the transaction has read, at most one application for each, and
// emits their events, which refer to record, the audit record that the caller writes. The caller sends the change and
// posts the grants in the same transaction. The change locks the invoices in the order of apps, which is that of their ids. They show
// the new state afterwards. An invoice that was paid or voided meanwhile takes applications of nothing only.
func (s *Service) ApplyPayments(ctx context.Context, read map[uuid.UUID]*Owing, apps []Application, record uuid.UUID, now time.Time) (Outcome, error) {
	change, out := newAppliedRows(len(apps)), Outcome{}
	paid, part := settlementNews(EventPaid, record), settlementNews(EventPartiallyPaid, record)
	granted, givenUp := settlementNews(EventCreditsGranted, record), settlementNews(EventUncollectible, record)
	for _, app := range apps {
		inv, ok := read[app.InvoiceID]
		if !ok {
			return out, fmt.Errorf("apply a payment to invoice %s: it was not read", app.InvoiceID)
		}
		first, before := inv.PaidAt.IsZero(), inv.Status
		if err := inv.apply(app, now); err != nil {
			return out, fmt.Errorf("apply a payment to invoice %s: %w", inv.ID, err)
		}
		change.add(inv)
		if app.AppliedMinor == 0 {
			continue
		}
		switch {
		case inv.Status == StatusPartiallyPaid:
			part.Add(inv.ID, inv.AccountID, newEvent(EventPartiallyPaid, &inv.Invoice).Payload)
		case inv.Status == StatusUncollectible && before != StatusUncollectible: // else it was told
			givenUp.Add(inv.ID, inv.AccountID, newEvent(EventUncollectible, &inv.Invoice).Payload)
		}
		if inv.Status != StatusPaid {
			continue
		}
		paid.Add(inv.ID, inv.AccountID, newEvent(EventPaid, &inv.Invoice).Payload)
		if first && inv.grantable() > 0 {
			out.Grants = append(out.Grants, grantCredits(&inv.Invoice))
			granted.Add(inv.ID, inv.AccountID, newCreditsEvent(&inv.Invoice).Payload)
		}
	}
	for _, news := range []outbox.Many{part, paid, granted, givenUp} {
		if err := s.outbox.EmitMany(ctx, news); err != nil {
			return out, err
		}
	}
	out.Change = change.statement(ctx)
	return out, nil
}

func settlementNews(name string, record uuid.UUID) outbox.Many {
	return outbox.Many{Kind: outbox.Event{Type: name, ObjectType: "invoice", Audit: record}}
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
		next = inv.closed()
	}
	if next == StatusPaid {
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
	versions, claims []int32
	paid, balances   []int64
	pausedFor        []int64
	statuses         []string
	paidAt, pausedAt []*time.Time
	places           []database.Place
	invoices         []*Owing
}

func newAppliedRows(n int) appliedRows {
	return appliedRows{ids: make([]uuid.UUID, 0, n), versions: make([]int32, 0, n), claims: make([]int32, 0, n), paid: make([]int64, 0, n), balances: make([]int64, 0, n),
		pausedFor: make([]int64, 0, n), statuses: make([]string, 0, n), paidAt: make([]*time.Time, 0, n), pausedAt: make([]*time.Time, 0, n), places: make([]database.Place, 0, n), invoices: make([]*Owing, 0, n)}
}

func (r *appliedRows) add(inv *Owing) {
	r.invoices = append(r.invoices, inv)
	r.places = append(r.places, inv.place)
	r.ids = append(r.ids, inv.ID)
	r.versions = append(r.versions, int32(inv.Version))
	r.paid = append(r.paid, inv.PaidMinor)
	r.balances = append(r.balances, inv.BalanceMinor)
	r.statuses = append(r.statuses, string(inv.Status))
	r.paidAt = append(r.paidAt, orNull(inv.PaidAt))
	r.claims = append(r.claims, int32(inv.PendingClaims))
	r.pausedAt = append(r.pausedAt, orNull(inv.ClockPausedAt))
	r.pausedFor = append(r.pausedFor, int64(inv.ClockPausedFor))
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// statement changes all rows and insists that each is there as it was read.
func (r *appliedRows) statement(ctx context.Context) database.Statement {
	for _, inv := range r.invoices {
		inv.Version++
	}
	return database.ChangeExactly(len(r.ids), ErrMoved, "apply payments to invoices", applyPayments,
		tenancy.ID(ctx), r.ids, r.versions, r.paid, r.balances, r.statuses, r.paidAt, r.claims, r.pausedAt, r.pausedFor, r.places)
}

// grantCredits is the posting that gives the account the service credits it has paid for.
func grantCredits(inv *Invoice) ledger.Posting {
	cause := "invoice:" + inv.ID.String() + ":credits"
	if inv.Reopened > 0 { // the credits of the last time were taken back
		cause += ":" + strconv.Itoa(inv.Reopened)
	}
	return creditsPosting(inv, inv.grantable(), cause)
}
