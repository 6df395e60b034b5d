package accounts

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

var accountList = &web.ListSpec{
	Filters: []web.Filter{
		web.Choice("kind", "The kind of account.", words(Kinds())),
		web.Flag("is_active", "Whether the account takes new invoices and payments."),
		web.Text("search", "How number, holder or external id begin."),
		web.Instant("created_after", "Created at this time or later."),
		web.Instant("created_before", "Created before this time."),
	},
	Ordering: map[string]string{"created_at": "created_at"},
	Default:  "-created_at",
}

var userList = &web.ListSpec{
	Filters: []web.Filter{
		web.Choice("role", "The role.", words(auth.Roles())),
		web.Flag("is_active", "Whether the user may sign in here."),
		web.Identifier("account_id", "The account that members belong to."),
	},
	Ordering: map[string]string{"created_at": "created_at"},
	Default:  "-created_at",
}

func words(list []string) map[string]string {
	m := map[string]string{}
	for _, w := range list {
		m[w] = w
	}
	return m
}

// ListAccounts gives a page of the accounts of the tenant of ctx.
func ListAccounts(ctx context.Context, tx bun.Tx, l web.List) (web.Page[*Account], error) {
	q := tx.NewSelect().Model((*Account)(nil)).Where("a.tenant_id = ?", tenancy.ID(ctx)).Apply(visible(ctx, "a.id"))
	if kind, ok := web.Value[string](l, "kind"); ok {
		q = q.Where("a.kind = ?", kind)
	}
	if active, ok := web.Value[bool](l, "is_active"); ok {
		q = q.Where("a.is_active = ?", active)
	}
	if text, ok := web.Value[string](l, "search"); ok {
		q = q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery {
			return q.Apply(begins("a.number", strings.ToUpper(text)), begins("a.holder_key", fold(text)), begins("a.external_id", text))
		})
	}
	if t, ok := web.Value[time.Time](l, "created_after"); ok {
		q = q.Where("a.created_at >= ?", t)
	}
	if t, ok := web.Value[time.Time](l, "created_before"); ok {
		q = q.Where("a.created_at < ?", t)
	}
	return web.Paginate(ctx, q, l, "a", func(a *Account) (time.Time, uuid.UUID) { return a.CreatedAt, a.ID })
}

// begins is LIKE 'prefix%' as a range. Behind row-level security an index serves only comparisons that cannot leak
// what they compare, and LIKE is not among them. The columns are in collation "C", where nothing that begins with the
// prefix comes after the prefix and the last character there is.
func begins(column, prefix string) func(*bun.SelectQuery) *bun.SelectQuery {
	return func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.WhereOr("(? >= ? AND ? <= ?)", bun.Ident(column), prefix, bun.Ident(column), prefix+string(utf8.MaxRune))
	}
}

// ListUsers gives a page of the users of the tenant of ctx.
func ListUsers(ctx context.Context, tx bun.Tx, l web.List) (web.Page[*Person], error) {
	q := people(ctx, tx.NewSelect().Model((*Person)(nil))).Apply(visible(ctx, "m.account_id"))
	if role, ok := web.Value[string](l, "role"); ok {
		q = q.Where("m.role = ?", role)
	}
	if active, ok := web.Value[bool](l, "is_active"); ok {
		q = q.Where("m.is_active = ?", active)
	}
	if account, ok := web.Value[uuid.UUID](l, "account_id"); ok {
		q = q.Where("m.account_id = ?", account)
	}
	return web.Paginate(ctx, q, l, "m", func(p *Person) (time.Time, uuid.UUID) { return p.CreatedAt, p.ID })
}
