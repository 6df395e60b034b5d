package payments

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"golang.org/x/sync/errgroup"

	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/internal/audit"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/outbox"
	"countersign/tenancy"
)

// setSize is how many payments one commit settles at most. Nearly all of the gain is there at a hundred; a thousand cost PostgreSQL a
// twentieth less than five hundred, and beyond that only latency grows.
const setSize = 1000

// Settle settles what is approved in the tenant of ctx until nothing waits. There is no timer: a set is what gathered
// while the last one was committed, one payment at rest and a thousand under load. Any number of workers may settle at
// once; what one has taken, the others skip.
func (s *Service) Settle(ctx context.Context) error {
	n, _, err := s.settleSet(ctx, share{shards: 1})
	if err != nil || n < setSize {
		return err
	}
	// a backlog: as many writers as the machine can keep busy, each with accounts of his own, so that none waits for another's balances
	shards := cap(s.settling)
	writers, ctx := errgroup.WithContext(ctx)
	for shard := range shards {
		writers.Go(func() error { return s.drain(ctx, share{shards: shards, shard: shard}) })
	}
	return writers.Wait()
}

// drain settles a share set by set, each beginning after the end of the last: the rows that were taken away before lie in
// the index until it is cleaned, and are not walked over again. What is approved behind its back rings for itself.
func (s *Service) drain(ctx context.Context, from share) error {
	for {
		n, last, err := s.settleSet(ctx, from)
		if err != nil || n < setSize {
			return err
		}
		from.after = last
	}
}

// share says which approved payments a writer may take: of the accounts of one shard those after an id, or those that
// are named.
type share struct {
	shards, shard int
	after         uuid.UUID
	only          []uuid.UUID
}

// settleSet settles one set in one transaction. When the set fails for a reason that trying again does not mend, it is
// halved until the one payment that spoils it is alone, and that one is set aside, so that it holds back nobody else.
// Of all tenants together no more sets are under way than keep the machine busy: more would only get in each other's way.
func (s *Service) settleSet(ctx context.Context, from share) (n int, last uuid.UUID, err error) {
	set, err := s.trySet(ctx, from)
	if errors.Is(err, invoices.ErrMoved) {
		_, err = s.trySet(ctx, share{only: set})
	}
	if len(set) == 0 || err != nil && passing(err) {
		return 0, uuid.Nil, err
	}
	if err != nil && len(set) == 1 {
		err = s.setAside(ctx, set[0], err)
	} else if err != nil {
		half := len(set) / 2
		if _, _, err = s.settleSet(ctx, share{only: set[:half]}); err == nil {
			_, _, err = s.settleSet(ctx, share{only: set[half:]})
		}
	}
	return len(set), set[len(set)-1], err
}

func (s *Service) trySet(ctx context.Context, from share) (set []uuid.UUID, err error) {
	select {
	case s.settling <- struct{}{}:
		defer func() { <-s.settling }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	err = tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		set, err = s.settleIn(ctx, tx, from)
		return err
	})
	return set, err
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

// approved is a payment that waits for its settlement, as the queue knows it, and how it is shared.
type approved struct {
	id, account, invoice uuid.UUID
	method               paymentmethods.Method
	currency             money.Currency
	amount, received     int64
	applied, excess      int64 // of received: to the invoice, and to the customer's credit
}

// The rows of the queue are taken away and kept from everybody else until the transaction ends.
const (
	claimApproved = `SELECT payment_id, account_id, invoice_id, method, currency, amount_minor, received_minor FROM settlement_claim($1, $2, $3, $4, $5)`
	claimNamed    = `
DELETE FROM settlement_queue WHERE tenant_id = $1 AND payment_id IN (
  SELECT q.payment_id FROM settlement_queue q WHERE q.tenant_id = $1 AND q.payment_id = ANY ($2) FOR UPDATE SKIP LOCKED)
RETURNING payment_id, account_id, invoice_id, method, currency, amount_minor, received_minor`
)

const finishSettled = `
UPDATE payments AS p SET status = 'succeeded', applied_minor = s.applied, excess_minor = s.excess, processed_at = clock_timestamp(), updated_at = clock_timestamp(), version = p.version + 1
FROM (SELECT unnest($2::uuid[]) AS id, unnest($3::bigint[]) AS applied, unnest($4::bigint[]) AS excess LIMIT cardinality($2)) AS s
WHERE p.tenant_id = $1 AND p.id = s.id AND p.status = 'processing'`

// errNotProcessing means that a payment in the queue is not approved, or is approved no more.
var errNotProcessing = errors.New("a payment that was to be settled is not processing")

// settleIn does everything that a settlement is, for a set, with a number of statements that does not depend on its
// size: what waits is taken from the queue, then payments change, then invoices, then the ledger's balances, each by id. What
// the invoices owe is read without locking them, since hardly ever somebody else changes one between reading and writing; then
// the set fails with ErrMoved. Payments that are named lock their invoices.
func (s *Service) settleIn(ctx context.Context, tx bun.Tx, from share) ([]uuid.UUID, error) {
	list, err := claim(ctx, from)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	n := len(list)
	ids, invoiceIDs := make([]uuid.UUID, n), make([]uuid.UUID, n)
	for i, p := range list {
		ids[i], invoiceIDs[i] = p.id, p.invoice
	}
	slices.SortFunc(invoiceIDs, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	read := invoices.Owed
	if from.only != nil {
		read = invoices.LockOwed
	}
	owed, err := read(ctx, tx, slices.Compact(invoiceIDs)...)
	if err != nil {
		return ids, err
	}
	now, record := s.now().UTC().Truncate(time.Microsecond), uuid.Must(uuid.NewV7())
	applications, err := allocate(list, owed)
	if err != nil {
		return ids, err
	}
	outcome, err := s.invoices.ApplyPayments(ctx, owed, applications, record, now)
	if err != nil {
		return ids, err
	}
	postings := make([]ledger.Posting, 0, n+len(outcome.Grants))
	appliedTo, excesses := make([]int64, n), make([]int64, n)
	for i, p := range list {
		appliedTo[i], excesses[i] = p.applied, p.excess
		postings = append(postings, p.posting())
	}
	post, err := ledger.Statements(ctx, append(postings, outcome.Grants...)...)
	if err != nil {
		return ids, err
	}
	finish := database.ChangeExactly(n, errNotProcessing, "finish payments", finishSettled, tenancy.ID(ctx), ids, appliedTo, excesses)
	if err := ledger.Refusal(ctx, database.Send(ctx, append([]database.Statement{finish, outcome.Change}, post...)...)); err != nil {
		return ids, err
	}
	return ids, s.tellSettled(ctx, record, list, owed)
}

// claim takes approved payments from the queue, by id.
func claim(ctx context.Context, from share) ([]*approved, error) {
	var list []*approved
	text, args := claimApproved, []any{tenancy.ID(ctx), from.after, setSize, from.shards, from.shard}
	if from.only != nil {
		text, args = claimNamed, []any{tenancy.ID(ctx), from.only}
	}
	err := database.Send(ctx, database.Select("claim approved payments", text, func(row database.Row) error {
		p := &approved{}
		list = append(list, p)
		// the currency unchecked: one that this program does not know spoils its own payment, not the whole set
		return row.Scan(&p.id, &p.account, &p.invoice, &p.method, (*string)(&p.currency), &p.amount, &p.received)
	}, args...))
	slices.SortFunc(list, func(a, b *approved) int { return bytes.Compare(a.id[:], b.id[:]) })
	return list, err
}

// allocate shares each payment between its invoice, as far as it owes something, and the customer's credit. Several
// payments for one invoice take what it owes in the order of their ids. The applications are in the order of the invoices' ids.
func allocate(list []*approved, owed map[uuid.UUID]*invoices.Owing) ([]invoices.Application, error) {
	rest := make(map[uuid.UUID]int64, len(owed))
	index := make(map[uuid.UUID]int, len(owed))
	applications := make([]invoices.Application, 0, len(owed))
	for _, p := range list {
		inv, ok := owed[p.invoice]
		if !ok {
			return nil, fmt.Errorf("settle payment %s: its invoice is gone", p.id)
		}
		if inv.Currency != p.currency {
			return nil, money.ErrCurrencyMismatch.With("left", p.currency).With("right", inv.Currency)
		}
		i, seen := index[inv.ID]
		if !seen {
			i = len(applications)
			index[inv.ID] = i
			applications = append(applications, invoices.Application{InvoiceID: inv.ID})
			if invoices.CheckPayable(&inv.Invoice) == nil {
				rest[inv.ID] = inv.BalanceMinor
			}
		}
		p.applied = min(p.received, rest[inv.ID])
		p.excess = p.received - p.applied
		rest[inv.ID] -= p.applied
		applications[i].AppliedMinor += p.applied
		applications[i].Claims++
	}
	slices.SortFunc(applications, func(a, b invoices.Application) int { return bytes.Compare(a.InvoiceID[:], b.InvoiceID[:]) })
	return applications, nil
}

// posting is what a settled payment means in the books (model.md 5.6): provisional money in, the receivable down, and
// what is too much owed to the customer. The statement line that confirms it moves it on from clearing.
func (p *approved) posting() ledger.Posting {
	entries := make([]ledger.Entry, 1, 3)
	entries[0] = ledger.Entry{Account: ledger.Clearing(string(p.method), p.currency), AmountMinor: p.received}
	if p.applied > 0 {
		entries = append(entries, ledger.Entry{Account: ledger.Receivable(p.account, p.currency), AmountMinor: -p.applied})
	}
	if p.excess > 0 {
		entries = append(entries, ledger.Entry{Account: ledger.CustomerCredit(p.account, p.currency), AmountMinor: -p.excess})
	}
	return ledger.Posting{Cause: "payment:" + p.id.String() + ":settle", Kind: "payment_settled", CustomerID: p.account, InvoiceID: p.invoice, PaymentID: p.id, Entries: entries}
}

// settledColumns name what the audit record of a set says of each payment. It says it in one line for each, with a space between two
// columns, and names them once: the record is hashed into the chain, and each value that is JSON of its own costs as much there as
// the payment's row in the queue. The invoice is the payment's, which never changes.
const settledColumns = "payment_id invoice_status currency applied_minor excess_minor"

// beforeSettlement and afterSettlement are what settlement changes about a payment, and in which currency.
type (
	beforeSettlement struct {
		Status Status `json:"status"`
	}
	afterSettlement struct {
		Status       Status         `json:"status"`
		Currency     money.Currency `json:"currency"`
		AppliedMinor int64          `json:"applied_minor"`
		ExcessMinor  int64          `json:"excess_minor"`
	}
)

// tellSettled writes one audit record for the set, because it is one act of the worker's, and an event for each payment.
func (s *Service) tellSettled(ctx context.Context, record uuid.UUID, list []*approved, owed map[uuid.UUID]*invoices.Owing) error {
	told := make([]string, len(list))
	news := outbox.Many{Kind: outbox.Event{Type: EventSucceeded, Also: EventUpdated, ObjectType: "payment", Audit: record}}
	for i, p := range list {
		told[i] = p.id.String() + " " + string(owed[p.invoice].Status) + " " + string(p.currency) + " " + strconv.FormatInt(p.applied, 10) + " " + strconv.FormatInt(p.excess, 10)
		news.Add(p.id, p.account, Snapshot{PaymentID: p.id, InvoiceID: p.invoice, AccountID: p.account, PaymentMethod: string(p.method), Status: StatusSucceeded,
			AmountMinor: p.amount, ReceivedMinor: &p.received, AppliedMinor: &p.applied, ExcessMinor: &p.excess, Currency: string(p.currency), Before: beforeSettlement{StatusProcessing}, After: afterSettlement{StatusSucceeded, p.currency, p.applied, p.excess}})
	}
	if err := audit.Write(ctx, audit.Record{ID: record, Action: "payment.settle", ObjectType: "settlement", ObjectID: record,
		Before: map[string]any{"status": StatusProcessing}, After: map[string]any{"status": StatusSucceeded, "columns": settledColumns, "payments": told}}); err != nil {
		return err
	}
	return s.outbox.EmitMany(ctx, news)
}

// setAside takes a payment that cannot be settled out of the worker's way, visibly. Nothing is lost: it stays approved,
// and Resume puts it back when the cause is mended.
func (s *Service) setAside(ctx context.Context, id uuid.UUID, cause error) error {
	slog.ErrorContext(ctx, "payment set aside", "payment_id", id, "error", cause)
	reason := "internal_error"
	if e := errs.As(cause); e != nil {
		reason = e.Code
	}
	return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		// before the payment, as every settlement does
		database.SendWithNext(ctx, database.Select("take a payment from the queue", takeFromQueue, func(database.Row) error { return nil }, tenancy.ID(ctx), id))
		p, err := lock(ctx, tx, id)
		if err != nil || p.Status != StatusProcessing {
			return err // or somebody else has settled it meanwhile
		}
		return s.markSetAside(ctx, tx, p.Payment, reason, "payment.set_aside")
	})
}

const takeFromQueue = `SELECT payment_id FROM settlement_queue WHERE tenant_id = $1 AND payment_id = $2 FOR UPDATE`

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
