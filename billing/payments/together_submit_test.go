package payments_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// claimed is one claim of a set, and what becomes of it.
type claimed struct {
	name    string
	by      *billingtest.Person
	account *accounts.Account
	in      payments.SubmitManualInput
	key     string
	want    string // how it ends, in the set or alone
	alone   bool
	again   bool   // it is refused only because of another one in the set
	replays string // the id of the payment that was there before
}

func (c claimed) submission(t testing.TB) payments.Submission {
	t.Helper()
	in := c.in
	in.Once = onceFor(t, c.key, "payments.manual", uuid.Nil, []any{in.Invoice, in.Method, in.Reference})
	return payments.Submission{By: marked(c.by, c.name), In: in}
}

// billOf makes an open invoice of an account.
func billOf(w *billingtest.World, account *accounts.Account, amount string) *invoices.Invoice {
	return w.OpenInvoice(amount, func(in *invoices.CreateInput) { in.Account = account.ID.String() })
}

func amountOf(minor int64) func(money.Currency) (*money.Money, error) {
	return func(c money.Currency) (*money.Money, error) { m := money.New(minor, c); return &m, nil }
}

// Customers share a transaction, and nothing else.
func TestSubmissionsTogether(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	w.Offer("BD", paymentmethods.LocalWallet, func(in *paymentmethods.ConfigInput) { in.IsEnabled = ptr(false) })
	w.Offer("PK", paymentmethods.LocalWallet, func(in *paymentmethods.ConfigInput) { in.RequiresEvidence = ptr(true) })
	w.Offer("PK", paymentmethods.BankTransfer, func(in *paymentmethods.ConfigInput) {
		in.Currency, in.MinAmount, in.MaxAmount = ptr("USD"), ptr("10.00"), ptr("500.00")
	})
	pk, shut := w.NewAccount(accounts.CreateAccountInput{Holder: "Karachi", Country: "PK"}), w.NewAccount(accounts.CreateAccountInput{Holder: "Closed"})
	farAway, locked := w.Join("karachi", auth.RoleMember, pk), w.Join("locked-out", auth.RoleMember, shut)
	colleague := w.Join("colleague", auth.RoleMember, w.Account)
	upload := func(by *billingtest.Person) uuid.UUID {
		return uuid.MustParse(w.As(by).PostFile(base+"/evidence/", "file", "a.pdf", pdf(by.Email), nil).Expect(http.StatusCreated).Text("data.id"))
	}
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	shutInvoice := billOf(w, shut, "10.00")
	must(w.Accounts.UpdateAccount(w.Owner.Ctx, shut.ID.String(), accounts.UpdateAccountInput{IsActive: ptr(false)}))
	to := func(name string, by *billingtest.Person, account *accounts.Account, inv *invoices.Invoice, want string, change ...func(*payments.SubmitManualInput)) claimed {
		return claimed{name: name, by: by, account: account, in: w.Claim(inv.ID, change...), want: want}
	}
	mine := func(name, want string, change ...func(*payments.SubmitManualInput)) claimed {
		return to(name, w.Member, w.Account, w.OpenInvoice("900.00"), want, change...)
	}
	karachi := func(name, want string, change ...func(*payments.SubmitManualInput)) claimed {
		return to(name, farAway, pk, billOf(w, pk, "100.00"), want, change...)
	}
	apart := func(c claimed) claimed { c.alone = true; return c }
	wallet := func(in *payments.SubmitManualInput) { in.Method = paymentmethods.LocalWallet }
	sum := func(minor int64) func(*payments.SubmitManualInput) {
		return func(in *payments.SubmitManualInput) { in.Amount = amountOf(minor) }
	}

	untouched := w.OpenInvoice("77.77")
	theirs, karachisFile := upload(w.OtherMember), upload(farAway)
	draft, dropped, voided, paid := w.DraftInvoice("10.00"), w.DraftInvoice("10.00"), w.OpenInvoice("10.00"), w.OpenInvoice("10.00")
	for _, inv := range []*invoices.Invoice{dropped, voided} {
		must(w.Invoices.Void(w.Owner.Ctx, invoices.VoidInput{Invoice: inv.ID.String(), Reason: "wrong"}))
	}
	w.Pay(paid.ID)
	refused := func(by *billingtest.Person, inv *invoices.Invoice) uuid.UUID {
		made, err := w.Payments.SubmitManual(by.Ctx, w.Claim(inv.ID))
		must(made, err)
		return w.Reject(uuid.MustParse(made.ID), w.Approver, "no").ID
	}
	retried := w.OpenInvoice("10.00")
	ownRetry, theirRetry := refused(w.Member, retried), refused(w.OtherMember, billOf(w, w.Other, "10.00"))
	waiting := w.OpenInvoice("10.00")
	w.Submit(waiting.ID)
	spoken := mine("the same words again", "")
	before, err := w.Payments.SubmitManual(w.Member.Ctx, spoken.in)
	must(before, err)
	spoken.replays = before.ID
	repeated := mine("repeated", "")
	repeated.key = "before"
	before, err = w.Payments.SubmitManual(w.Member.Ctx, repeated.submission(t).In)
	must(before, err)
	repeated.replays = before.ID
	spent := mine("whose key is spent", "")
	spent.key = "spent"
	must(w.Payments.SubmitManual(w.Member.Ctx, spent.submission(t).In))
	reused := mine("with the key of another request", "idempotency_key_reused")
	reused.key = "spent"

	good := mine("a claim", "")
	good.key = "shared"
	ofOther := to("a neighbour's, with the same key", w.OtherMember, w.Other, billOf(w, w.Other, "5.00"), "")
	ofOther.key = "shared"
	sameKey := mine("another invoice with the same key", "idempotency_key_reused")
	sameKey.key, sameKey.by, sameKey.alone, sameKey.again = "shared", colleague, true, true
	same := claimed{name: "the same invoice", by: colleague, account: w.Account, in: w.Claim(uuid.MustParse(good.in.Invoice)), want: "payment_pending", alone: true, again: true}
	fromKarachi := karachi("with a receipt of his", "", wallet, func(in *payments.SubmitManualInput) { in.Evidence = []uuid.UUID{karachisFile} })
	again := to("a retry of his own", w.Member, w.Account, retried, "", func(in *payments.SubmitManualInput) { in.RetryOf = ownRetry })
	held := apart(mine("held by somebody else", ""))
	named := apart(to("by its external id", w.Member, w.Account, w.OpenInvoice("10.00", func(in *invoices.CreateInput) { in.ExternalID = "set-1" }), ""))
	named.in.Invoice = "set-1"
	stranger := apart(to("the neighbour's invoice", w.OtherMember, w.Other, untouched, "invoice_not_found"))
	all := []claimed{
		stranger, good, same,
		mine("the neighbour's receipt", "unknown_evidence", func(in *payments.SubmitManualInput) { in.Evidence = []uuid.UUID{theirs} }),
		mine("a receipt of who is no neighbour", "unknown_evidence", func(in *payments.SubmitManualInput) { in.Evidence = []uuid.UUID{karachisFile} }),
		apart(to("a draft", w.Member, w.Account, draft, "invoice_not_found")),
		apart(to("a draft that was dropped", w.Member, w.Account, dropped, "invoice_not_found")),
		to("void", w.Member, w.Account, voided, "invoice_void"),
		to("paid", w.Member, w.Account, paid, "invoice_already_paid"),
		to("waiting", w.Member, w.Account, waiting, "payment_pending"),
		mine("a retry of the neighbour's", "invalid_retry", func(in *payments.SubmitManualInput) { in.RetryOf = theirRetry }),
		mine("a method of another country", "payment_method_unavailable", wallet),
		karachi("without a receipt", "evidence_required", wallet),
		karachi("too little", "amount_below_minimum", sum(999)),
		karachi("too much", "amount_above_maximum", sum(50001)),
		mine("as little as nobody takes in Karachi", "", sum(999)),
		mine("in euros", "currency_mismatch", func(in *payments.SubmitManualInput) { in.Currency = "EUR" }),
		to("of who is switched off", locked, shut, shutInvoice, "account_inactive"),
		apart(to("unknown", w.Member, w.Account, &invoices.Invoice{ID: uuid.New()}, "invoice_not_found")),
		held, named, ofOther, sameKey, fromKarachi, again, spoken, repeated, reused,
	}
	done := func(c claimed) bool { return c.want == "" && !c.alone && c.replays == "" }
	release := locks(t, "SELECT FROM invoices WHERE tenant_id = ? AND id = ? FOR UPDATE", w.Tenant.ID, uuid.MustParse(held.in.Invoice))
	made := map[string]uuid.UUID{}

	// together makes claims in one set and expects what becomes of each there.
	together := func(t *testing.T, list []claimed) {
		t.Helper()
		set := make([]payments.Submission, len(list))
		for i, c := range list {
			set[i] = c.submission(t)
		}
		for i, o := range w.Payments.SubmitTogether(t, set...) {
			c := list[i]
			if o.Alone != c.alone {
				t.Errorf("%s: it comes back alone: %v, %v", c.name, o.Alone, o.Err)
				continue
			}
			if !c.alone {
				equal(t, c.name, ending(o.Err), c.want)
			}
			if o.Err != nil {
				equal(t, c.name+": what is told", o.Answer, payments.Response{})
				if strings.Contains(o.Err.Error(), untouched.Number) || strings.Contains(o.Err.Error(), "77.77") {
					t.Errorf("%s: the refusal tells of an invoice: %v", c.name, o.Err)
				}
			}
			equal(t, c.name+": replayed", set[i].In.Once.Replayed(), c.replays != "")
			if c.replays != "" {
				equal(t, c.name, o.Answer.ID, c.replays)
			}
			if done(c) && o.Err == nil {
				made[c.name] = uuid.MustParse(o.Answer.ID)
				equal(t, c.name+": account", *o.Answer.AccountID, c.account.ID.String())
				page := w.As(c.by).Get(one(made[c.name], "")).Expect(http.StatusOK).At("data").(map[string]any)
				delete(page, "next_action") // which only the page has
				equal(t, c.name+": answer and page", asJSON(t, o.Answer), any(page))
			}
		}
	}

	t.Run("who is refused leaves nothing behind", func(t *testing.T) {
		for _, c := range all {
			w.As(c.by) // sign in first: that is audited too
		}
		snapshot := w.Snapshot()
		together(t, slices.DeleteFunc(slices.Clone(all), func(c claimed) bool { return c.again || done(c) }))
		unchanged(t, w, snapshot)
	})
	t.Run("and holds back nobody", func(t *testing.T) {
		together(t, all)
		var want []string
		for _, c := range all {
			if !done(c) {
				continue
			}
			id := made[c.name]
			for _, what := range []string{"audit payment.submit", payments.EventCreated, payments.EventSubmitted} {
				want = append(want, mark(c.name, what, id, c.account.ID, c.by))
			}
			p := w.Payment(id)
			equal(t, c.name+": submitted by", p.SubmittedBy, c.by.ID)
			equal(t, c.name+": for", p.InvoiceID.String(), c.in.Invoice)
			equal(t, c.name+": claims", w.Invoice(p.InvoiceID).PendingClaims, 1)
			equal(t, c.name+": receipts", count(t, "SELECT count(*) FROM payment_evidence WHERE tenant_id = ? AND payment_id = ? AND account_id = ?", w.Tenant.ID, id, c.account.ID), len(c.in.Evidence))
		}
		slices.Sort(want)
		equal(t, "what is told of whom", marks(t, w), want)
		equal(t, "transactions", count(t, "SELECT count(DISTINCT p.xmin::text) FROM payments p JOIN events e ON e.tenant_id = p.tenant_id AND e.object_id = p.id AND e.request_id LIKE 'set: %' WHERE p.tenant_id = ?", w.Tenant.ID), 1)
		for _, c := range []claimed{good, ofOther} {
			equal(t, c.name+": keys", count(t, "SELECT count(*) FROM idempotency_keys WHERE tenant_id = ? AND key = 'shared' AND owner_id = ?", w.Tenant.ID, c.account.ID), 1)
		}
		equal(t, "keys", count(t, "SELECT count(*) FROM idempotency_keys WHERE tenant_id = ? AND scope = 'payments.manual'", w.Tenant.ID), 4)
	})
	release()
	t.Run("alone everybody gets the same", func(t *testing.T) {
		for _, c := range all {
			if done(c) {
				continue
			}
			r := c.submission(t)
			answer, err := w.Payments.SubmitManual(r.By, r.In)
			equal(t, c.name, ending(err), c.want)
			if err != nil {
				equal(t, c.name+": what is told", answer, payments.Response{})
			}
		}
		equal(t, "claims", w.Invoice(untouched.ID).PendingClaims, 0)
	})
	w.AssertBooks(t)
}

// Two sets that name the same new references in different orders do not wait for each other in a circle.
func TestSetsWithTheSameReferences(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	about := func(reference string) payments.Submission {
		return payments.Submission{By: w.Member.Ctx, In: w.Claim(w.OpenInvoice("10.00").ID, func(in *payments.SubmitManualInput) { in.Reference = w.Tenant.Slug + reference })}
	}
	// somebody else holds a reference for a moment, so that the first set stops in the middle
	w.Submit(w.OpenInvoice("10.00").ID, func(in *payments.SubmitManualInput) { in.Reference = about("held").In.Reference })
	var row string // what its transaction has written
	err := testkit.OwnerDB(t).NewRaw("SELECT encode(s.reference || s.seen_by, 'hex') FROM reference_sightings s JOIN payments p ON p.xmin::text = s.xmin::text WHERE p.tenant_id = ?", w.Tenant.ID).Scan(t.Context(), &row)
	if err != nil {
		t.Fatal(err)
	}
	force(t, "DELETE FROM reference_sightings WHERE reference = decode(?, 'hex')", row[:64])
	release := locks(t, "INSERT INTO reference_sightings VALUES (decode(?, 'hex'), decode(?, 'hex'))", row[:64], row[64:])

	deadlocks := deadlocksSoFar(t)
	var all sync.WaitGroup
	var ended atomic.Int64
	for n, names := range [][]string{{"a", "b", "held", "c", "d"}, {"d", "c", "b", "a"}} {
		var set []payments.Submission
		for _, name := range names {
			set = append(set, about(name))
		}
		all.Go(func() {
			for _, o := range w.Payments.SubmitTogether(t, set...) {
				equal(t, "answer", ending(o.Err), "")
			}
			ended.Add(1)
		})
		testkit.Eventually(t, "the set waits, or has nothing to wait for", func() bool {
			return count(t, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INTO reference_sightings%'")+int(ended.Load()) > n
		})
	}
	release()
	all.Wait()
	equal(t, "deadlocks", deadlocksSoFar(t), deadlocks)
	w.AssertBooks(t)
}

// A transaction for several accounts sees no other account, whatever it asks.
func TestScopeOfSets(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	outside := w.NewAccount(accounts.CreateAccountInput{Holder: "Third customer"})
	third := w.Join("third", auth.RoleMember, outside)
	for account, by := range map[*accounts.Account]*billingtest.Person{w.Account: w.Member, w.Other: w.OtherMember, outside: third} {
		file := w.As(by).PostFile(base+"/evidence/", "file", "a.pdf", pdf(by.Email), nil).Expect(http.StatusCreated).Text("data.id")
		w.As(by).With("Idempotency-Key", "scope").Post(list+"manual/", claim(w, billOf(w, account, "10.00").ID, "evidence_ids", []string{file})).Expect(http.StatusCreated)
	}
	inside := []uuid.UUID{w.Account.ID, w.Other.ID}
	as := func(list []uuid.UUID, fn func(ctx context.Context, tx bun.Tx) error) error {
		return tenancy.InTx(tenancy.ForAccounts(t.Context(), w.Tenant.ID, "test", list), w.DB, fn)
	}
	tables := map[string]string{"payments": "account_id", "invoices": "account_id", "line_items": "account_id", "accounts": "id", "events": "account_id",
		"idempotency_keys": "owner_id", "evidence": "account_id", "payment_evidence": "account_id"}

	for table, column := range tables {
		t.Run("of "+table+" it sees the rows of its accounts", func(t *testing.T) {
			rows := func(list []uuid.UUID) map[uuid.UUID]int {
				var owners []uuid.UUID
				err := as(list, func(ctx context.Context, tx bun.Tx) error {
					return tx.NewRaw("SELECT ? FROM ? WHERE tenant_id = ?", bun.Ident(column), bun.Ident(table), w.Tenant.ID).Scan(ctx, &owners)
				})
				if err != nil {
					t.Fatal(err)
				}
				n := map[uuid.UUID]int{}
				for _, id := range owners {
					n[id]++
				}
				return n
			}
			got, everything := rows(inside), rows(nil)
			for _, id := range inside {
				if got[id] == 0 || got[id] != everything[id] {
					t.Errorf("of %d rows of its own account it sees %d", everything[id], got[id])
				}
				delete(got, id)
			}
			equal(t, "rows of others", got, map[uuid.UUID]int{})
			if everything[outside.ID] == 0 {
				t.Error("staff do not see the third account's rows: this test proves nothing")
			}
		})
	}

	insert := func(account uuid.UUID) error {
		return as(inside, func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.ExecContext(ctx, `INSERT INTO payments (tenant_id, id, account_id, method, gateway, amount_minor, currency, status) VALUES (?, ?, ?, 'bank_transfer', 'cash', 100, 'USD', 'created')`,
				w.Tenant.ID, uuid.Must(uuid.NewV7()), account)
			return err
		})
	}
	t.Run("it writes payments of its accounts", func(t *testing.T) {
		if err := errors.Join(insert(w.Account.ID), insert(w.Other.ID)); err != nil {
			t.Error(err)
		}
	})
	t.Run("it writes none of another", func(t *testing.T) {
		err := insert(outside.ID)
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "42501" {
			t.Errorf("the answer is %v, want a violation of row-level security", err)
		}
	})
	t.Run("it changes nothing of another", func(t *testing.T) {
		for _, table := range []string{"payments", "invoices"} {
			for account, want := range map[uuid.UUID]bool{w.Account.ID: true, outside.ID: false} {
				err := as(inside, func(ctx context.Context, tx bun.Tx) error {
					res, err := tx.ExecContext(ctx, "UPDATE ? SET updated_at = updated_at WHERE tenant_id = ? AND account_id = ?", bun.Ident(table), w.Tenant.ID, account)
					if err != nil {
						return err
					}
					n, err := res.RowsAffected()
					equal(t, table+" are changed", n > 0, want)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		}
	})
	t.Run("it hands nothing over to another", func(t *testing.T) {
		err := as(inside, func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE idempotency_keys SET answer = '{}' WHERE tenant_id = ? AND owner_id = ?", w.Tenant.ID, outside.ID)
			return err
		})
		if err != nil {
			t.Error(err)
		}
		equal(t, "answers", count(t, "SELECT count(*) FROM idempotency_keys WHERE tenant_id = ? AND answer = '{}'", w.Tenant.ID), 0)
	})
}
