package subscriptions

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

// Get gives a subscription that the caller may see; else web.ErrNotFound.
func Get(ctx context.Context, db bun.IDB, id uuid.UUID) (*Subscription, error) {
	return one(ctx, db.NewSelect(), id)
}

// lock is Get for who will change it: nobody else does until the transaction ends.
func lock(ctx context.Context, tx bun.Tx, id uuid.UUID) (*Subscription, error) {
	return one(ctx, tx.NewSelect().For("NO KEY UPDATE"), id)
}

func one(ctx context.Context, q *bun.SelectQuery, id uuid.UUID) (*Subscription, error) {
	s := &Subscription{}
	err := visible(ctx, q.Model(s)).Where("s.id = ?", id).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, web.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read subscription: %w", err)
	}
	return s, nil
}

// visible narrows to what the caller may see, members to their own. Row-level security says the same once more.
func visible(ctx context.Context, q *bun.SelectQuery) *bun.SelectQuery {
	q = q.Where("s.tenant_id = ?", tenancy.ID(ctx))
	if p, ok := auth.From(ctx); ok && p.IsMember() {
		q = q.Where("s.account_id = ?", p.AccountID)
	}
	return q
}

// maxMonths is how many of the latest months a subscription is shown with: ten years.
const maxMonths = 120

// monthsOf gives the latest months that were billed of a subscription that the caller may see, the newest first.
func monthsOf(ctx context.Context, db bun.IDB, id uuid.UUID) ([]*Month, error) {
	var list []*Month
	err := db.NewSelect().Model(&list).Where("m.tenant_id = ?", tenancy.ID(ctx)).Where("m.subscription_id = ?", id).OrderExpr("m.month DESC").Limit(maxMonths).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the months of subscription %s: %w", id, err)
	}
	return list, nil
}

// detail gives a subscription with its months.
func (s *Service) detail(ctx context.Context, id uuid.UUID) (sub *Subscription, months []*Month, err error) {
	err = tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		if sub, err = Get(ctx, tx, id); err == nil {
			months, err = monthsOf(ctx, tx, id)
		}
		return err
	})
	return sub, months, err
}

// listSpec is what GET subscriptions/ understands.
var listSpec = &web.ListSpec{
	Filters: []web.Filter{
		web.Text("account", "An account, by id or external id."),
		web.Choice("status", "active or cancelled.", map[string]Status{"active": StatusActive, "cancelled": StatusCancelled}),
		web.Instant("created_after", "Made at this time or later."),
		web.Instant("created_before", "Made before this time."),
	},
	Ordering: map[string]string{"created_at": "id"},
	Default:  "-created_at",
}

// list gives a page of the subscriptions that the caller may see.
func (s *Service) list(ctx context.Context, l web.List) (page web.Page[*Subscription], err error) {
	err = tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		page, err = pageOf(ctx, tx, l)
		return err
	})
	return page, err
}

func pageOf(ctx context.Context, tx bun.Tx, l web.List) (web.Page[*Subscription], error) {
	q := visible(ctx, tx.NewSelect().Model((*Subscription)(nil)))
	if v, ok := web.Value[string](l, "account"); ok {
		account, err := accounts.ResolveField(ctx, tx, "account", v)
		if err != nil {
			return web.Page[*Subscription]{}, err
		}
		q = q.Where("s.account_id = ?", account.ID)
	}
	if v, ok := web.Value[Status](l, "status"); ok {
		q = q.Where("s.status = ?", v)
	}
	return web.Paginate(ctx, l.CreatedBetween(q, "s"), l, "s", func(s *Subscription) (time.Time, uuid.UUID) { return s.CreatedAt, s.ID })
}
