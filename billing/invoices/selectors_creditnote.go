package invoices

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

// creditNote gives a note that the caller may see, or ErrCreditNoteNotFound.
func creditNote(ctx context.Context, db bun.IDB, id uuid.UUID) (*CreditNote, error) {
	note := &CreditNote{}
	err := db.NewSelect().Model(note).Where("cn.tenant_id = ? AND cn.id = ?", tenancy.ID(ctx), id).Apply(ownNotes(ctx)).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrCreditNoteNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read credit note: %w", err)
	}
	return note, nil
}

// ownNotes narrows members to the notes of their account.
func ownNotes(ctx context.Context) func(*bun.SelectQuery) *bun.SelectQuery {
	return func(q *bun.SelectQuery) *bun.SelectQuery {
		if p, ok := auth.From(ctx); ok && p.IsMember() {
			q = q.Where("cn.account_id = ?", p.AccountID)
		}
		return q
	}
}

// CreditNote gives one note, for whoever may see its invoice.
func (s *Service) CreditNote(ctx context.Context, id uuid.UUID) (CreditNoteResponse, error) {
	var answer CreditNoteResponse
	err := tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		note, err := creditNote(ctx, tx, id)
		if err != nil {
			return err
		}
		shown, err := showNotes(ctx, tx, note)
		if err == nil {
			answer = shown[0]
		}
		return err
	})
	return answer, err
}

// CreditNoteSpec is what GET credit-notes/ understands.
var CreditNoteSpec = &web.ListSpec{
	Filters: []web.Filter{
		web.Identifier("account", "Notes for this account."),
		web.Identifier("invoice", "Notes about this invoice."),
		web.Instant("created_after", "Issued at this time or later."),
		web.Instant("created_before", "Issued before this time."),
		web.Text("search", "The beginning of a number."),
	},
	Ordering: map[string]string{"created_at": "created_at"},
	Default:  "-created_at",
}

// CreditNotes gives a page of the notes that the caller may see.
func (s *Service) CreditNotes(ctx context.Context, l web.List) (web.Page[CreditNoteResponse], error) {
	var page web.Page[CreditNoteResponse]
	err := tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		found, err := web.Paginate(ctx, filterNotes(ctx, tx, l), l, "cn", func(n *CreditNote) (time.Time, uuid.UUID) { return n.CreatedAt, n.ID })
		if err != nil {
			return err
		}
		page = web.Page[CreditNoteResponse]{Count: found.Count, Next: found.Next, Previous: found.Previous}
		page.Items, err = showNotes(ctx, tx, found.Items...)
		return err
	})
	return page, err
}

func filterNotes(ctx context.Context, tx bun.Tx, l web.List) *bun.SelectQuery {
	q := tx.NewSelect().Model((*CreditNote)(nil)).Where("cn.tenant_id = ?", tenancy.ID(ctx)).Apply(ownNotes(ctx))
	if v, ok := web.Value[uuid.UUID](l, "account"); ok {
		q = q.Where("cn.account_id = ?", v)
	}
	if v, ok := web.Value[uuid.UUID](l, "invoice"); ok {
		q = q.Where("cn.invoice_id = ?", v)
	}
	if v, ok := web.Value[time.Time](l, "created_after"); ok {
		q = q.Where("cn.created_at >= ?", v)
	}
	if v, ok := web.Value[time.Time](l, "created_before"); ok {
		q = q.Where("cn.created_at < ?", v)
	}
	if v, ok := web.Value[string](l, "search"); ok {
		q = q.Where("cn.number >= ? AND cn.number < ?", v, v+lastRune)
	}
	return q
}

// showNotes shapes notes with the numbers of their invoices and whether they were undone, in two statements whatever their
// number.
func showNotes(ctx context.Context, tx bun.Tx, notes ...*CreditNote) ([]CreditNoteResponse, error) {
	out := make([]CreditNoteResponse, len(notes))
	if len(notes) == 0 {
		return out, nil
	}
	ids, owners := make([]uuid.UUID, len(notes)), make([]uuid.UUID, len(notes))
	for i, n := range notes {
		ids[i], owners[i] = n.ID, n.InvoiceID
	}
	billed, err := ByIDs(ctx, tx, owners...)
	if err != nil {
		return nil, err
	}
	var undone []struct {
		ID       uuid.UUID `bun:"id"`
		Reverses uuid.UUID `bun:"reverses"`
	}
	err = tx.NewSelect().Model((*CreditNote)(nil)).Column("id", "reverses").Where("cn.tenant_id = ?", tenancy.ID(ctx)).Where("cn.reverses IN (?)", bun.In(ids)).Scan(ctx, &undone)
	if err != nil {
		return nil, fmt.Errorf("read which credit notes were undone: %w", err)
	}
	by := map[uuid.UUID]uuid.UUID{}
	for _, u := range undone {
		by[u.Reverses] = u.ID
	}
	for i, n := range notes {
		number := ""
		if inv := billed[n.InvoiceID]; inv != nil {
			number = inv.Number
		}
		out[i] = newCreditNoteResponse(ctx, n, number, by[n.ID])
	}
	return out, nil
}
