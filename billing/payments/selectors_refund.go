package payments

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/decisions"
	"countersign/billing/gateways"
	"countersign/billing/invoices"
	"countersign/internal/database"
	"countersign/internal/web"
	"countersign/tenancy"
)

// getRefund gives a refund of the tenant, or ErrRefundNotFound. Members see none.
func getRefund(ctx context.Context, db bun.IDB, id uuid.UUID) (*Refund, error) {
	r := &Refund{}
	err := db.NewSelect().Model(r).Where("rf.tenant_id = ? AND rf.id = ?", tenancy.ID(ctx), id).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrRefundNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read refund: %w", err)
	}
	return r, nil
}

// factsOfRefunds gathers what a second person looks at, in statements whose number does not depend on how many refunds there
// are. Payments that the caller has locked are not read again.
func factsOfRefunds(ctx context.Context, tx bun.Tx, list []*Refund, known ...*Payment) ([]*refundFacts, error) {
	if len(list) == 0 {
		return nil, nil
	}
	ids, paid, owners, billed := make([]uuid.UUID, len(list)), make([]uuid.UUID, len(list)), make([]uuid.UUID, len(list)), make([]uuid.UUID, len(list))
	for i, r := range list {
		ids[i], paid[i], owners[i], billed[i] = r.ID, r.PaymentID, r.AccountID, r.InvoiceID
	}
	if len(known) == 0 {
		var err error
		if known, err = ByIDs(ctx, tx, paid...); err != nil {
			return nil, err
		}
	}
	payments := map[uuid.UUID]*Payment{}
	for _, p := range known {
		payments[p.ID] = p
	}
	holders, found := map[uuid.UUID]*accounts.Account{}, map[uuid.UUID]*invoices.Invoice{}
	var made []decisions.Decision
	err := database.Send(ctx, accounts.SelectByIDs(ctx, holders, owners...), invoices.SelectByIDs(ctx, found, billed...), decisions.SelectOf(ctx, &made, decisions.SubjectRefund, ids...))
	if err != nil {
		return nil, err
	}
	held, err := heldOf(ctx, tx, paid)
	if err != nil {
		return nil, err
	}
	out := make([]*refundFacts, len(list))
	for i, r := range list {
		out[i] = &refundFacts{Refund: r, Payment: payments[r.PaymentID], Account: holders[r.AccountID], Invoice: found[r.InvoiceID], Held: held[r.PaymentID]}
		if r.Status == RefundPendingApproval || r.Status == RefundPending {
			out[i].Held -= r.AmountMinor
		}
		for _, d := range made {
			if d.SubjectID == r.ID {
				out[i].Decisions = append(out[i].Decisions, d)
			}
		}
		if r.decided != nil {
			out[i].Decisions = append(out[i].Decisions, *r.decided)
		}
		if out[i].Payment == nil {
			return nil, fmt.Errorf("the payment of refund %s is gone", r.ID)
		}
	}
	return out, nil
}

// heldOf is what of payments is held by refunds that are under way.
func heldOf(ctx context.Context, tx bun.Tx, payments []uuid.UUID) (map[uuid.UUID]int64, error) {
	var rows []struct {
		ID   uuid.UUID `bun:"payment_id,type:uuid"`
		Held int64     `bun:"held"`
	}
	err := tx.NewSelect().Model((*Refund)(nil)).ColumnExpr("rf.payment_id, sum(rf.amount_minor)::bigint AS held").Where("rf.tenant_id = ?", tenancy.ID(ctx)).
		Where("rf.payment_id IN (?)", bun.List(payments)).Where("rf.status IN (?, ?)", RefundPendingApproval, RefundPending).GroupExpr("rf.payment_id").Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("sum refunds that are under way: %w", err)
	}
	held := map[uuid.UUID]int64{}
	for _, r := range rows {
		held[r.ID] = r.Held
	}
	return held, nil
}

const heldByRefunds = `SELECT payment_id, sum(amount_minor)::bigint FROM refunds
WHERE tenant_id = $1 AND payment_id = ANY ($2::uuid[]) AND status IN ('pending_approval', 'pending') GROUP BY payment_id`

// selectHeld notes on payments what is held by refunds that are under way; nil when none of them can have any. Members see no
// refunds.
func selectHeld(ctx context.Context, list ...*Payment) []database.Statement {
	var ids []uuid.UUID
	for _, p := range list {
		if p.Refundable().IsPositive() {
			ids = append(ids, p.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return []database.Statement{database.Select("sum refunds that are under way", heldByRefunds, func(row database.Row) error {
		var id uuid.UUID
		var held int64
		err := row.Scan(&id, &held)
		for _, p := range list {
			if p.ID == id {
				p.HeldMinor = held
			}
		}
		return err
	}, tenancy.ID(ctx), ids)}
}

// besides reads what lists show of payments besides themselves, in one round trip: their invoices, and what refunds hold.
func besides(ctx context.Context, list []*Payment) (map[uuid.UUID]*invoices.Invoice, error) {
	found, ids := map[uuid.UUID]*invoices.Invoice{}, make([]uuid.UUID, len(list))
	for i, p := range list {
		ids[i] = p.InvoiceID
	}
	err := database.Send(ctx, append(selectHeld(ctx, list...), invoices.SelectByIDs(ctx, found, ids...))...)
	return found, err
}

// showRefund shapes a refund of the caller's transaction, in which its payment is locked.
func showRefund(ctx context.Context, tx bun.Tx, r *Refund, p *Payment) (RefundResponse, error) {
	facts, err := factsOfRefunds(ctx, tx, []*Refund{r}, p)
	if err != nil {
		return RefundResponse{}, err
	}
	return newRefundResponse(facts[0])
}

// LookAtRefund gives what a second person sees of a refund, with the digest that binds his decision. The caller is staff with
// billing.view. Error: ErrRefundNotFound.
func (s *Service) LookAtRefund(ctx context.Context, id uuid.UUID) (RefundResponse, error) {
	var answer RefundResponse
	err := tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		r, err := getRefund(ctx, tx, id)
		if err != nil {
			return err
		}
		facts, err := factsOfRefunds(ctx, tx, []*Refund{r})
		if err != nil {
			return err
		}
		if answer, err = newRefundResponse(facts[0]); err != nil || r.Status != RefundSucceeded {
			return err
		}
		answer.Reversible = r.Mode == gateways.RefundByHand
		if !answer.Reversible {
			_, err = r.failedAfterAll(ctx, tx)
			answer.Reversible = err == nil
		}
		if errors.Is(err, ErrRefundNotReversible) {
			return nil
		}
		return err
	})
	return answer, err
}

// RefundSpec is what GET refunds/ understands.
var RefundSpec = &web.ListSpec{
	Filters: []web.Filter{
		web.Choice("status", "Where the refund stands.", map[string]RefundStatus{"pending_approval": RefundPendingApproval, "pending": RefundPending, "succeeded": RefundSucceeded,
			"failed": RefundFailed, "cancelled": RefundCancelled, "reversed": RefundReversed}),
		web.Choice("reason", "Why money goes back.", map[string]RefundReason{"overpayment": RefundOverpayment, "dispute": RefundDispute, "item_return": RefundItemReturn,
			"duplicate": RefundDuplicate, "other": RefundOther}),
		web.Identifier("payment", "Refunds of this payment."),
		web.Identifier("account", "Refunds to this account."),
		web.Identifier("invoice", "Refunds of payments for this invoice."),
		web.Instant("created_after", "Asked for at this time or later."),
		web.Instant("created_before", "Asked for before this time."),
	},
	Ordering: map[string]string{"created_at": "created_at"},
	Default:  "-created_at",
}

// Refunds gives a page of the tenant's refunds, or of those of one payment, for staff. Error: ErrNotFound, for the payment.
func (s *Service) Refunds(ctx context.Context, l web.List, payment uuid.UUID) (web.Page[RefundResponse], error) {
	var page web.Page[RefundResponse]
	err := tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		q := filterRefunds(ctx, tx, l)
		if payment != uuid.Nil {
			if _, err := Get(ctx, tx, payment.String()); err != nil {
				return err
			}
			q = q.Where("rf.payment_id = ?", payment)
		}
		found, err := web.Paginate(ctx, q, l, "rf", func(r *Refund) (time.Time, uuid.UUID) { return r.CreatedAt, r.ID })
		if err != nil {
			return err
		}
		page = web.Page[RefundResponse]{Count: found.Count, Next: found.Next, Previous: found.Previous, Items: make([]RefundResponse, len(found.Items))}
		facts, err := factsOfRefunds(ctx, tx, found.Items)
		if err != nil {
			return err
		}
		for i, f := range facts {
			if page.Items[i], err = newRefundResponse(f); err != nil {
				return err
			}
		}
		return nil
	})
	return page, err
}

func filterRefunds(ctx context.Context, tx bun.Tx, l web.List) *bun.SelectQuery {
	q := tx.NewSelect().Model((*Refund)(nil)).Where("rf.tenant_id = ?", tenancy.ID(ctx))
	if v, ok := web.Value[RefundStatus](l, "status"); ok {
		q = q.Where("rf.status = ?", v)
	}
	if v, ok := web.Value[RefundReason](l, "reason"); ok {
		q = q.Where("rf.reason = ?", v)
	}
	for name, column := range map[string]string{"payment": "payment_id", "account": "account_id", "invoice": "invoice_id"} {
		if v, ok := web.Value[uuid.UUID](l, name); ok {
			q = q.Where("rf.? = ?", bun.Ident(column), v)
		}
	}
	if v, ok := web.Value[time.Time](l, "created_after"); ok {
		q = q.Where("rf.created_at >= ?", v)
	}
	if v, ok := web.Value[time.Time](l, "created_before"); ok {
		q = q.Where("rf.created_at < ?", v)
	}
	return q
}
