package payments

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/web"
	"countersign/tenancy"
)

const zeroID = `'00000000-0000-0000-0000-000000000000'`

const paymentColumns = `id, coalesce(account_id, ` + zeroID + `), coalesce(invoice_id, ` + zeroID + `), coalesce(external_id, ''), method, gateway, amount_minor, received_minor, applied_minor, excess_minor,
  currency, refunded_minor, status, settlement_status, reconciliation_status, reference, reference_norm, details, sensitive, notes, failure_code, failure_reason,
  paid_at, coalesce(submitted_by, ` + zeroID + `), coalesce(retry_of, ` + zeroID + `), set_aside, version, created_at, updated_at,
  approved_at, processed_at, failed_at, cancelled_at, expired_at, refunded_at, revenue_minor, prepayment, coalesce(receipt_number, '')`

// Members see their own account's payments only: $3 is that account.
const (
	paymentsByIDs       = `SELECT ` + paymentColumns + ` FROM payments WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND ($3::uuid IS NULL OR account_id = $3) AND deleted_at IS NULL`
	paymentByID         = `SELECT ` + paymentColumns + ` FROM payments WHERE tenant_id = $1 AND id = $2 AND ($3::uuid IS NULL OR account_id = $3) AND deleted_at IS NULL`
	paymentByExternalID = `SELECT ` + paymentColumns + ` FROM payments WHERE tenant_id = $1 AND external_id = $2 AND ($3::uuid IS NULL OR account_id = $3) AND deleted_at IS NULL`
	lockPayment         = `SELECT ` + paymentColumns + `, clock_timestamp() FROM payments WHERE tenant_id = $1 AND id = $2 AND ($3::uuid IS NULL OR account_id = $3) AND deleted_at IS NULL FOR NO KEY UPDATE`
	// who finds a payment locked leaves it to others instead of waiting with all that he holds
	lockPayments = `SELECT ` + paymentColumns + `, clock_timestamp() FROM payments WHERE tenant_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE SKIP LOCKED`
)

// scan reads paymentColumns, and more columns into more.
func (p *Payment) scan(row database.Row, more ...any) error {
	var paid, approved, processed, failed, cancelled, expired, refunded sql.NullTime
	// the currency unchecked: a payment in one that this program does not know can still be set aside
	err := row.Scan(append([]any{&p.ID, &p.AccountID, &p.InvoiceID, &p.ExternalID, &p.Method, &p.Gateway,
		&p.AmountMinor, &p.ReceivedMinor, &p.AppliedMinor, &p.ExcessMinor, (*string)(&p.Currency), &p.RefundedMinor, &p.Status, &p.SettlementStatus, &p.ReconciliationStatus,
		&p.Reference, &p.ReferenceNorm, &p.Details, &p.Sensitive, &p.Notes, &p.FailureCode, &p.FailureReason, &paid, &p.SubmittedBy, &p.RetryOf, &p.SetAside, &p.Version,
		&p.CreatedAt, &p.UpdatedAt, &approved, &processed, &failed, &cancelled, &expired, &refunded,
		&p.RevenueMinor, &p.Prepayment, &p.ReceiptNumber}, more...)...)
	p.PaidAt, p.ApprovedAt, p.ProcessedAt, p.FailedAt, p.CancelledAt = paid.Time, approved.Time, processed.Time, failed.Time, cancelled.Time
	p.ExpiredAt, p.RefundedAt = expired.Time, refunded.Time
	return err
}

// locked is a payment that nobody else can change until the transaction ends, and when it was locked by the database's
// clock: that is when what is done to it happens.
type locked struct {
	*Payment
	at    time.Time
	fresh bool // made in this transaction, and no claim of its invoice yet
}

// lock reads a payment and keeps everybody else from changing it. It is the first lock of every path. What travels with
// it is sent in the same round trip.
func lock(ctx context.Context, _ bun.Tx, id uuid.UUID, with ...database.Statement) (locked, error) {
	found := map[uuid.UUID]locked{}
	if err := database.Send(ctx, append([]database.Statement{selectLocked(ctx, found, id)}, with...)...); err != nil {
		return locked{}, err
	}
	p, ok := found[id]
	if !ok {
		return locked{}, ErrNotFound
	}
	return p, nil
}

// selectLocked locks one payment, waiting for whoever holds it.
func selectLocked(ctx context.Context, found map[uuid.UUID]locked, id uuid.UUID) database.Statement {
	return database.Select("lock payment", lockPayment, intoLocked(ctx, found), tenancy.ID(ctx), id, auth.MembersAccount(ctx))
}

// selectFree locks those of several payments that nobody else holds.
func selectFree(ctx context.Context, found map[uuid.UUID]locked, ids []uuid.UUID) database.Statement {
	return database.Select("lock payments", lockPayments, intoLocked(ctx, found), tenancy.ID(ctx), ids)
}

func intoLocked(ctx context.Context, found map[uuid.UUID]locked) func(database.Row) error {
	return func(row database.Row) error {
		p := locked{Payment: &Payment{TenantID: tenancy.ID(ctx)}}
		err := p.scan(row, &p.at)
		found[p.ID] = p
		return err
	}
}

// selectPayment reads one payment of the caller's tenant, and for members of their account, into p, whose ID stays zero
// when there is none. text is an id or an external id.
func selectPayment(ctx context.Context, p *Payment, text string) database.Statement {
	p.TenantID = tenancy.ID(ctx)
	read := func(row database.Row) error { return p.scan(row) }
	if id, err := web.ParseID(text); err == nil {
		return database.Select("read payment", paymentByID, read, p.TenantID, id, auth.MembersAccount(ctx))
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) { // nothing stored is called so, and no statement can ask for it
		text = ""
	}
	return database.Select("read payment", paymentByExternalID, read, p.TenantID, text, auth.MembersAccount(ctx))
}

// read gives one payment like Get, outside a transaction and together with those that others of the same account, or of
// the same tenant's staff, ask for at the same time.
func (s *Service) read(ctx context.Context, text string) (*Payment, error) {
	var p *Payment
	id, err := web.ParseID(text)
	if err == nil {
		p, err = s.reads.Do(ctx, database.ScopeFrom(ctx), id)
	} else {
		p = &Payment{}
		err = tenancy.Fetch(ctx, s.db, selectPayment(ctx, p, text))
	}
	if err != nil {
		return nil, err
	}
	if p == nil || p.ID == uuid.Nil {
		return nil, ErrNotFound
	}
	return p, nil
}

// readTogether gives payments that everybody in a scope may see, in the order of ids; nil: there is none.
func (s *Service) readTogether(ctx context.Context, scope database.Scope, ids []uuid.UUID) ([]*Payment, error) {
	found := make(map[uuid.UUID]*Payment, len(ids))
	err := tenancy.Fetch(ctx, s.db, database.Select("read payments", paymentsByIDs, func(row database.Row) error {
		p := &Payment{TenantID: scope.TenantID}
		err := p.scan(row)
		found[p.ID] = p
		return err
	}, scope.TenantID, ids, database.Nullable(scope.AccountID)))
	if err != nil {
		return nil, err
	}
	list := make([]*Payment, len(ids))
	for i, id := range ids {
		if p, ok := found[id]; ok {
			one := *p // several may have asked for the same
			list[i] = &one
		}
	}
	return list, nil
}

// Get gives one payment of the caller's tenant, and for members of their account. text is an id or an external id.
func Get(ctx context.Context, _ bun.Tx, text string) (*Payment, error) {
	p := &Payment{}
	if err := database.Send(ctx, selectPayment(ctx, p, text)); err != nil {
		return nil, err
	}
	if p.ID == uuid.Nil {
		return nil, ErrNotFound
	}
	return p, nil
}

// listSpec says what the list of payments can be filtered and ordered by (W-32).
func listSpec(words map[string]selection) *web.ListSpec {
	methods := map[string]paymentmethods.Method{}
	for _, m := range paymentmethods.Methods() {
		methods[string(m)] = m
	}
	gateways := map[string]string{}
	for _, g := range []string{"stripe", "click", "payme", "octo", "cash", "integrator", "paypal", "manual", "voucher", "bkash", "nagad", "rocket", "dbbl", "sslcommerz", "sandbox"} {
		gateways[g] = g
	}
	return &web.ListSpec{
		Filters: []web.Filter{
			web.Choice("status", "A status word of any seed, such as pending_approval, succeeded or completed", words),
			web.Choice("payment_method", "What the payer uses", methods),
			web.Choice("gateway", "Which adapter serves it", gateways),
			web.Identifier("invoice", "Payments for this invoice"),
			web.Identifier("account", "Payments of this account"),
			{Name: "currency", Doc: "ISO 4217 code", Parse: func(raw string) (any, error) { return money.ParseCurrency(raw) }},
			web.Instant("created_after", "Created at or after"),
			web.Instant("created_before", "Created before"),
			web.Text("search", "The beginning of a reference, or a whole id"),
		},
		Ordering: map[string]string{"created_at": "id"},
		Default:  "-created_at",
	}
}

// List selects the payments that a list asks for. Members are narrowed to their account here and by the database.
// invoice narrows the list to one invoice; zero: all.
func List(ctx context.Context, tx bun.Tx, l web.List, account, invoice uuid.UUID) (web.Page[*Payment], error) {
	q := filtered(ctx, tx, l, account)
	if invoice != uuid.Nil {
		q = q.Where("p.invoice_id = ?", invoice)
	}
	return web.Paginate(ctx, q, l, "p", func(p *Payment) (time.Time, uuid.UUID) { return p.CreatedAt, p.ID })
}

// Count counts what List would give, exactly (S0-102).
func Count(ctx context.Context, tx bun.Tx, l web.List, account uuid.UUID) (int64, error) {
	n, err := filtered(ctx, tx, l, account).Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("count payments: %w", err)
	}
	return n, nil
}

func filtered(ctx context.Context, tx bun.Tx, l web.List, account uuid.UUID) *bun.SelectQuery {
	q := tx.NewSelect().Model((*Payment)(nil)).Where("p.tenant_id = ?", tenancy.ID(ctx)).Where("p.deleted_at IS NULL")
	if account != uuid.Nil {
		q = q.Where("p.account_id = ?", account)
	}
	if sel, ok := web.Value[selection](l, "status"); ok {
		q = inStatus(ctx, q, sel.Statuses)
		if sel.Settled {
			q = q.Where("p.settlement_status = 'settled'")
		}
	}
	if m, ok := web.Value[paymentmethods.Method](l, "payment_method"); ok {
		q = q.Where("p.method = ?", m)
	}
	if g, ok := web.Value[string](l, "gateway"); ok {
		q = q.Where("p.gateway = ?", g)
	}
	if id, ok := web.Value[uuid.UUID](l, "invoice"); ok {
		q = q.Where("p.invoice_id = ?", id)
	}
	if id, ok := web.Value[uuid.UUID](l, "account"); ok {
		q = q.Where("p.account_id = ?", id)
	}
	if c, ok := web.Value[money.Currency](l, "currency"); ok {
		q = q.Where("p.currency = ?", c)
	}
	q = l.CreatedBetween(q, "p")
	if text, ok := web.Value[string](l, "search"); ok && text != "" {
		if id, err := web.ParseID(text); err == nil {
			q = q.Where("p.id = ?", id)
		} else {
			// a range and not LIKE, which row-level security keeps off the index
			norm := normalise(text)
			if norm == "" { // a search for nothing that a reference can hold finds nothing
				return q.Where("FALSE")
			}
			q = q.Where("p.reference_norm <> ''").Where("p.reference_norm >= ?", norm).Where("p.reference_norm < ?", norm+"\U0010FFFF")
		}
	}
	return q
}

// withRefunds gives a payment's id and those of its refunds, of which staff alone are told (S0-03, S0-94).
func withRefunds(ctx context.Context, tx bun.Tx, id uuid.UUID) ([]uuid.UUID, error) {
	var refunds []uuid.UUID
	err := tx.NewSelect().Model((*Refund)(nil)).Column("id").Where("rf.tenant_id = ?", tenancy.ID(ctx)).Where("rf.payment_id = ?", id).Scan(ctx, &refunds)
	if err != nil {
		return nil, fmt.Errorf("read the refunds of payment %s: %w", id, err)
	}
	return append(refunds, id), nil
}

// inStatus narrows a query to some statuses. The status is in no index, so that settlement writes none: what waits is found
// by where it waits, and what few have by a column that settlement leaves as it is. What most have needs no index.
func inStatus(ctx context.Context, q *bun.SelectQuery, statuses []Status) *bun.SelectQuery {
	q = q.Where("p.status IN (?)", bun.List(statuses))
	rare := []Status{}
	for _, s := range statuses {
		if s != StatusPendingApproval && s != StatusProcessing && s != StatusSucceeded {
			rare = append(rare, s)
		}
	}
	switch {
	case slices.Contains(statuses, StatusSucceeded):
		return q
	case len(rare) == len(statuses):
		return q.Where("p.rare_status IN (?)", bun.List(rare))
	case len(statuses) == 1 && statuses[0] == StatusPendingApproval:
		return q.Where("p.undecided")
	}
	places := []string{}
	if slices.Contains(statuses, StatusProcessing) {
		places = append(places, "SELECT q.payment_id FROM settlement_queue AS q WHERE q.tenant_id = ?0", "SELECT a.id FROM payments AS a WHERE a.tenant_id = ?0 AND a.set_aside <> ''",
			"SELECT f.id FROM payments AS f WHERE f.tenant_id = ?0 AND f.in_flight")
	}
	if slices.Contains(statuses, StatusPendingApproval) {
		places = append(places, "SELECT u.id FROM payments AS u WHERE u.tenant_id = ?0 AND u.undecided")
	}
	if len(rare) > 0 {
		places = append(places, "SELECT r.id FROM payments AS r WHERE r.tenant_id = ?0 AND r.rare_status IN (?1)")
	}
	return q.Where("p.id IN ("+strings.Join(places, " UNION ALL ")+")", tenancy.ID(ctx), bun.List(rare))
}

// Undecided gives the claims that wait for a decision, the oldest first, up to limit.
func Undecided(ctx context.Context, tx bun.Tx, limit int64) ([]*Payment, error) {
	list := []*Payment{}
	err := tx.NewSelect().Model(&list).
		Where("p.tenant_id = ?", tenancy.ID(ctx)).
		Where("p.undecided").
		OrderExpr("p.id").Limit(limit).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read undecided payments: %w", err)
	}
	return list, nil
}

// CountUndecided counts the claims that wait for a decision.
func CountUndecided(ctx context.Context, tx bun.Tx) (int, error) {
	n, err := tx.NewSelect().Model((*Payment)(nil)).Where("p.tenant_id = ?", tenancy.ID(ctx)).Where("p.undecided").Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("count undecided payments: %w", err)
	}
	return int(n), nil
}

// ByIDs gives payments, in the order of ids and each once. Unknown ids are absent.
func ByIDs(ctx context.Context, tx bun.Tx, ids ...uuid.UUID) ([]*Payment, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found := []*Payment{}
	err := tx.NewSelect().Model(&found).Where("p.tenant_id = ?", tenancy.ID(ctx)).Where("p.deleted_at IS NULL").Where("p.id IN (?)", bun.List(ids)).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read payments: %w", err)
	}
	byID := map[uuid.UUID]*Payment{}
	for _, p := range found {
		byID[p.ID] = p
	}
	list := []*Payment{}
	for _, id := range ids {
		if p, ok := byID[id]; ok {
			list = append(list, p)
			delete(byID, id)
		}
	}
	return list, nil
}

// Tally is how many payments of an account ended in a status, and what they came to.
type Tally struct {
	Status   Status         `bun:"status"`
	Currency money.Currency `bun:"currency"`
	Count    int            `bun:"count"`
	Minor    int64          `bun:"minor"`
}

// tallied is how many of an account's latest payments are counted: enough to know a customer.
const tallied = 1000

// Tallies counts the latest payments of an account, a thousand at most.
func Tallies(ctx context.Context, tx bun.Tx, account uuid.UUID) ([]Tally, error) {
	latest := tx.NewSelect().Model((*Payment)(nil)).Column("status", "currency").ColumnExpr("coalesce(p.received_minor, p.amount_minor) AS minor").
		Where("p.tenant_id = ?", tenancy.ID(ctx)).Where("p.account_id = ?", account).Where("p.deleted_at IS NULL").
		OrderExpr("p.id DESC").Limit(tallied)
	list := []Tally{}
	err := tx.NewSelect().TableExpr("(?) AS latest", latest).ColumnExpr("status, currency, count(*) AS count").
		ColumnExpr("least(sum(minor), 9223372036854775807)::bigint AS minor").
		GroupExpr("status, currency").OrderExpr("currency, status").Scan(ctx, &list)
	if err != nil {
		return nil, fmt.Errorf("count the payments of account %s: %w", account, err)
	}
	return list, nil
}

// Latest gives the latest payments of an account.
func Latest(ctx context.Context, tx bun.Tx, account uuid.UUID, limit int64) ([]*Payment, error) {
	list := []*Payment{}
	err := tx.NewSelect().Model(&list).Where("p.tenant_id = ?", tenancy.ID(ctx)).Where("p.account_id = ?", account).Where("p.deleted_at IS NULL").
		OrderExpr("p.id DESC").Limit(limit).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the payments of account %s: %w", account, err)
	}
	return list, nil
}

// RecentCurrencies gives the currencies of the tenant's latest thousand payments.
func RecentCurrencies(ctx context.Context, tx bun.Tx) ([]money.Currency, error) {
	latest := tx.NewSelect().Model((*Payment)(nil)).Column("currency").
		Where("p.tenant_id = ?", tenancy.ID(ctx)).OrderExpr("p.id DESC").Limit(1000)
	list := []money.Currency{}
	if err := tx.NewSelect().TableExpr("(?) AS latest", latest).ColumnExpr("DISTINCT currency").OrderExpr("currency").Scan(ctx, &list); err != nil {
		return nil, fmt.Errorf("read currencies of payments: %w", err)
	}
	return list, nil
}
