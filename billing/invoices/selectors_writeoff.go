package invoices

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
	"countersign/billing/decisions"
	"countersign/internal/database"
	"countersign/internal/web"
	"countersign/tenancy"
)

// writeOff gives a write-off of the tenant, or ErrWriteOffNotFound. Members see none.
func writeOff(ctx context.Context, db bun.IDB, id uuid.UUID) (*WriteOff, error) {
	wo := &WriteOff{}
	err := db.NewSelect().Model(wo).Where("wo.tenant_id = ? AND wo.id = ?", tenancy.ID(ctx), id).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrWriteOffNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read write-off: %w", err)
	}
	return wo, nil
}

// factsOfWriteOffs gathers what a second person looks at, in statements whose number does not depend on how many requests
// there are. Invoices that the caller has read are not read again.
func factsOfWriteOffs(ctx context.Context, tx bun.Tx, list []*WriteOff, known ...*Invoice) ([]*writeOffFacts, error) {
	if len(list) == 0 {
		return nil, nil
	}
	ids, owners, billed := make([]uuid.UUID, len(list)), make([]uuid.UUID, len(list)), make([]uuid.UUID, len(list))
	for i, wo := range list {
		ids[i], owners[i], billed[i] = wo.ID, wo.AccountID, wo.InvoiceID
	}
	people, found := map[uuid.UUID]*accounts.Account{}, map[uuid.UUID]*Invoice{}
	var made []decisions.Decision
	ask := []database.Statement{accounts.SelectByIDs(ctx, people, owners...), decisions.SelectOf(ctx, &made, decisions.SubjectWriteOff, ids...)}
	if len(known) == 0 {
		ask = append(ask, SelectByIDs(ctx, found, billed...))
	}
	if err := database.Send(ctx, ask...); err != nil {
		return nil, err
	}
	for _, inv := range known {
		found[inv.ID] = inv
	}
	out := make([]*writeOffFacts, len(list))
	for i, wo := range list {
		out[i] = &writeOffFacts{WriteOff: wo, Invoice: found[wo.InvoiceID], Account: people[wo.AccountID]}
		for _, d := range made {
			if d.SubjectID == wo.ID {
				out[i].Decisions = append(out[i].Decisions, d)
			}
		}
		if out[i].Invoice == nil || out[i].Account == nil {
			return nil, fmt.Errorf("the invoice or account of write-off %s is gone", wo.ID)
		}
	}
	return out, nil
}

// showWriteOff shapes a request of the caller's transaction.
func (s *Service) showWriteOff(ctx context.Context, tx bun.Tx, wo *WriteOff, inv *Invoice) (WriteOffResponse, error) {
	facts, err := factsOfWriteOffs(ctx, tx, []*WriteOff{wo}, inv)
	if err != nil {
		return WriteOffResponse{}, err
	}
	return newWriteOffResponse(facts[0])
}

// LookAtWriteOff gives what a second person sees of a write-off, with the digest that binds his decision. The caller is
// staff with billing.view. Error: ErrWriteOffNotFound.
func (s *Service) LookAtWriteOff(ctx context.Context, id uuid.UUID) (WriteOffResponse, error) {
	var answer WriteOffResponse
	err := tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		wo, err := writeOff(ctx, tx, id)
		if err != nil {
			return err
		}
		facts, err := factsOfWriteOffs(ctx, tx, []*WriteOff{wo})
		if err != nil {
			return err
		}
		answer, err = newWriteOffResponse(facts[0])
		return err
	})
	return answer, err
}

// WriteOffSpec is what GET write-offs/ understands.
var WriteOffSpec = &web.ListSpec{
	Filters: []web.Filter{
		web.Choice("status", "Where the request stands.", map[string]WriteOffStatus{"pending": WriteOffPending, "posted": WriteOffPosted, "rejected": WriteOffRejected, "reversed": WriteOffReversed}),
		web.Identifier("account", "Write-offs of this account."),
		web.Identifier("invoice", "Write-offs of this invoice."),
		web.Instant("created_after", "Asked for at this time or later."),
		web.Instant("created_before", "Asked for before this time."),
	},
	Ordering: map[string]string{"created_at": "created_at"},
	Default:  "-created_at",
}

// WriteOffs gives a page of the tenant's write-offs, for staff.
func (s *Service) WriteOffs(ctx context.Context, l web.List) (web.Page[WriteOffResponse], error) {
	var page web.Page[WriteOffResponse]
	err := tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		found, err := web.Paginate(ctx, filterWriteOffs(ctx, tx, l), l, "wo", func(w *WriteOff) (time.Time, uuid.UUID) { return w.CreatedAt, w.ID })
		if err != nil {
			return err
		}
		page = web.Page[WriteOffResponse]{Count: found.Count, Next: found.Next, Previous: found.Previous, Items: make([]WriteOffResponse, len(found.Items))}
		facts, err := factsOfWriteOffs(ctx, tx, found.Items)
		if err != nil {
			return err
		}
		for i, f := range facts {
			if page.Items[i], err = newWriteOffResponse(f); err != nil {
				return err
			}
		}
		return nil
	})
	return page, err
}

func filterWriteOffs(ctx context.Context, tx bun.Tx, l web.List) *bun.SelectQuery {
	q := tx.NewSelect().Model((*WriteOff)(nil)).Where("wo.tenant_id = ?", tenancy.ID(ctx))
	if v, ok := web.Value[WriteOffStatus](l, "status"); ok {
		q = q.Where("wo.status = ?", v)
	}
	if v, ok := web.Value[uuid.UUID](l, "account"); ok {
		q = q.Where("wo.account_id = ?", v)
	}
	if v, ok := web.Value[uuid.UUID](l, "invoice"); ok {
		q = q.Where("wo.invoice_id = ?", v)
	}
	if v, ok := web.Value[time.Time](l, "created_after"); ok {
		q = q.Where("wo.created_at >= ?", v)
	}
	if v, ok := web.Value[time.Time](l, "created_before"); ok {
		q = q.Where("wo.created_at < ?", v)
	}
	return q
}

const givenUp = `SELECT invoice_id FROM write_offs WHERE tenant_id = $1 AND invoice_id = ANY ($2::uuid[]) AND status = 'posted' AND NOT by_one`

// learnGivenUp finds out of which invoices, that are locked or whose change is refused when they have moved, two people have
// given a part up. It is a statement of its own, since one that has waited for a lock sees other tables as they were before it waited.
func learnGivenUp(ctx context.Context, list ...*Invoice) error {
	lost := map[uuid.UUID]*Invoice{}
	for _, inv := range list {
		if inv.WrittenOffMinor > 0 {
			lost[inv.ID] = inv
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return database.Send(ctx, database.Select("read what was given up", givenUp, func(row database.Row) error {
		var id uuid.UUID
		if err := row.Scan(&id); err != nil {
			return err
		}
		lost[id].GivenUp = true
		return nil
	}, tenancy.ID(ctx), slices.Collect(maps.Keys(lost))))
}
