package ledger_test

import (
	"context"
	"os"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"countersign/billing/ledger"
	"countersign/internal/apps"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// book is a tenant of a test's own, with an owner who acts.
type book struct {
	t      testing.TB
	db     *bun.DB
	ctx    context.Context
	tenant uuid.UUID
}

func newBook(t testing.TB) *book {
	t.Helper()
	db := testkit.DB(t)
	tenant, err := tenancy.New(db).Create(t.Context(), "test", tenancy.CreateInput{Slug: "t-" + uuid.NewString(), Name: "Test", Country: "BD", DefaultCurrency: "USD"})
	if err != nil {
		t.Fatal(err)
	}
	b := &book{t: t, db: db, tenant: tenant.ID}
	b.ctx = b.as("owner@x.test", auth.PermissionsOf(auth.RoleOwner), uuid.Nil)
	return b
}

// as gives a context in which somebody acts in the tenant; account makes him a member.
func (b *book) as(label string, permissions []string, account uuid.UUID) context.Context {
	return tenancy.Enter(b.t.Context(), auth.Principal{Kind: auth.KindUser, UserID: uuid.Must(uuid.NewV7()), TenantID: b.tenant,
		AccountID: account, Permissions: permissions, Label: label})
}

// customers inserts accounts that may be billed, as their own package would.
func (b *book) customers(n int) []uuid.UUID {
	b.t.Helper()
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7())
	}
	_, err := testkit.OwnerDB(b.t).ExecContext(b.ctx, `INSERT INTO accounts (tenant_id, id, number, kind, holder, holder_key, country, currency)
		SELECT ?, c.id, c.id::text, 'organization', 'Test', 'test', 'BD', 'USD' FROM unnest(?::uuid[]) AS c(id)`, b.tenant, pgdialect.Array(texts(ids)))
	if err != nil {
		b.t.Fatal(err)
	}
	return ids
}

func (b *book) customer() uuid.UUID {
	b.t.Helper()
	return b.customers(1)[0]
}

func texts(ids []uuid.UUID) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id.String()
	}
	return out
}

func (b *book) post(postings ...ledger.Posting) error {
	return tenancy.InTx(b.ctx, b.db, func(ctx context.Context, tx bun.Tx) error { return ledger.Post(ctx, tx, postings...) })
}

func (b *book) mustPost(postings ...ledger.Posting) {
	b.t.Helper()
	if err := b.post(postings...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *book) read(fn func(ctx context.Context, tx bun.Tx) error) {
	b.t.Helper()
	if err := tenancy.Read(b.ctx, b.db, fn); err != nil {
		b.t.Fatal(err)
	}
}

func (b *book) sum(ref ledger.Ref) (sum ledger.Sum) {
	b.t.Helper()
	b.read(func(ctx context.Context, tx bun.Tx) (err error) {
		sum, err = ledger.Balance(ctx, tx, ref.ID(ctx), nil)
		return err
	})
	return sum
}

func (b *book) balance(ref ledger.Ref) int64 {
	b.t.Helper()
	minor, fits := b.sum(ref).Minor()
	if !fits {
		b.t.Fatalf("the balance of %s is no amount", ref)
	}
	return minor
}

func (b *book) cached(ref ledger.Ref) (amount int64) {
	b.t.Helper()
	b.read(func(ctx context.Context, tx bun.Tx) (err error) {
		amount, err = ledger.CachedBalance(ctx, tx, ref.ID(ctx))
		return err
	})
	return amount
}

// transactionOf gives what was posted for a cause.
func (b *book) transactionOf(cause string) (found *ledger.Transaction) {
	b.t.Helper()
	b.read(func(ctx context.Context, tx bun.Tx) (err error) {
		found, err = ledger.TransactionOf(ctx, tx, cause)
		return err
	})
	return found
}

// move is a posting of one amount from one account to another.
func move(cause string, debit, credit ledger.Ref, amount int64) ledger.Posting {
	return ledger.Posting{Cause: cause, Kind: "test", Entries: []ledger.Entry{{debit, amount}, {credit, -amount}}}
}

// payment settles a payment of a customer.
func payment(customer uuid.UUID, amount int64) ledger.Posting {
	id := uuid.Must(uuid.NewV7())
	return ledger.Posting{Cause: "payment:" + id.String() + ":settle", Kind: ledger.KindPaymentSettled, CustomerID: customer, PaymentID: id,
		Entries: []ledger.Entry{{ledger.Clearing("bank_transfer", "USD"), amount}, {ledger.Receivable(customer, "USD"), -amount}}}
}

// kinds are those that the tests of this package post. There are no objects here, so what they post has a cause by itself.
var kinds = []ledger.Kind{known("test"), known("raw"), known(ledger.KindPaymentSettled)}

func known(kind string) ledger.Kind {
	causes := "SELECT t.cause FROM ledger_transactions t WHERE t.tenant_id = ?0 AND t.kind = '" + kind + "' AND t.cause <> 'nothing'"
	return ledger.Kind{Name: kind, Causes: causes, Reversals: "SELECT c.cause || ':reverse' AS cause, c.cause AS corrects FROM (" + causes + ") c"}
}

// verify gives what the ledger's own proofs find, by their ids.
func (b *book) verify() map[string]*apps.Finding {
	b.t.Helper()
	found := map[string]*apps.Finding{}
	for _, c := range ledger.App(b.db, kinds).Checks {
		f, err := c.Run(b.ctx)
		if err != nil {
			b.t.Fatal(err)
		}
		if f != nil {
			found[c.ID] = f
		}
	}
	return found
}
