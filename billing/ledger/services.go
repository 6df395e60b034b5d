package ledger

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/tenancy"
)

// Entry is a movement on one account: positive is a debit, negative a credit, in minor units or credits.
type Entry struct {
	Account     Ref
	AmountMinor int64
}

// Posting is a transaction to be: at least two accounts move, and the sum is zero in each currency.
type Posting struct {
	Cause      string    // what makes it happen once, such as payment:<id>:settle
	Kind       string    // such as payment_settled
	CustomerID uuid.UUID // the account whose members may see it; zero: none
	InvoiceID  uuid.UUID // zero: none
	PaymentID  uuid.UUID // zero: none
	Entries    []Entry

	corrects uuid.UUID
}

// Post books the postings in the caller's transaction, in one round trip whatever their number. Entries of one account
// within a posting become one line, and zero lines are dropped. Missing chart rows are made.
//
// It fails with ErrAlreadyPosted when a cause has been posted before, with ErrCreditExceeded when more of a customer's
// credit would be spent than there is, with ErrBalanceTooLarge when a customer's balance leaves what the books hold, and with ErrInvalidPosting when a posting is wrong in itself. After an error the
// transaction must be rolled back.
func Post(ctx context.Context, _ bun.Tx, postings ...Posting) error {
	if len(postings) == 0 {
		return nil
	}
	post, err := Statements(ctx, postings...)
	if err != nil {
		return err
	}
	return Refusal(ctx, database.Send(ctx, post...))
}

// Statements is Post for who sends it together with others, and passes the error through Refusal, which makes it that of Post.
func Statements(ctx context.Context, postings ...Posting) ([]database.Statement, error) {
	p, ok := auth.From(ctx)
	if !ok || p.IsMember() {
		return nil, fmt.Errorf("%w: only staff and programs of the tenant post", ErrInvalidPosting)
	}
	b, err := newBatch(tenancy.ID(ctx), postings)
	if err != nil {
		return nil, err
	}
	post := []database.Statement{b.post(p.Label)}
	// accounts are never taken away, so those that were there once are not looked for again
	memory := database.MemoryOf(ctx)
	if fresh := memory.Missing(len(b.accounts), func(i int) uuid.UUID { return b.accounts[i].id }); len(fresh) > 0 {
		open, ids := b.open(fresh)
		post = append([]database.Statement{open}, post...)
		database.AfterCommit(ctx, func() { memory.Add(ids) })
	}
	return post, nil
}

// Refusal gives the ledger's own error for what the database has refused of a posting; any other error stays as it is. When an
// account or a balance was remembered and is not there, the transaction runs again and makes it: only an error that went through here.
func Refusal(ctx context.Context, err error) error {
	switch {
	case database.IsUnique(err, "ledger_transactions_cause_key"):
		return ErrAlreadyPosted.Because(err)
	case database.IsUnique(err, "ledger_transactions_corrects_key"):
		return ErrAlreadyReversed.Because(err)
	case database.IsCheck(err, "ledger_balances_credit_check"):
		return ErrCreditExceeded.Because(err)
	case database.IsCheck(err, "ledger_balances_range"):
		return ErrBalanceTooLarge.Because(err)
	case database.IsCheck(err, "ledger_entries_account", "ledger_entries_balance_lost"):
		database.MemoryOf(ctx).Forget()
		return database.Again(err)
	default:
		return err
	}
}

// Reverse posts the negation of a transaction, which points at it. A transaction is reversed at most once, else
// ErrAlreadyReversed; one that does not exist is web.ErrNotFound. reason is for the audit log and must not be empty.
func Reverse(ctx context.Context, tx bun.Tx, transactionID uuid.UUID, cause, reason string) error {
	if reason == "" {
		return fmt.Errorf("%w: a reversal needs a reason", ErrInvalidPosting)
	}
	original, err := transaction(ctx, tx, "t.id = ?", transactionID)
	if err != nil {
		return err
	}
	p := Posting{Cause: cause, Kind: KindReversal, CustomerID: original.CustomerID, InvoiceID: original.InvoiceID, PaymentID: original.PaymentID,
		corrects: original.ID}
	for _, e := range original.Entries {
		if e.Account == nil {
			return fmt.Errorf("reverse ledger transaction %s: its account %s is lost", original.ID, e.AccountID)
		}
		p.Entries = append(p.Entries, Entry{e.Account.ref(), -e.AmountMinor})
	}
	if err := Post(ctx, tx, p); err != nil {
		return err
	}
	return audit.Write(ctx, audit.Record{Action: "ledger.reverse", ObjectType: "ledger_transaction", ObjectID: original.ID,
		AccountID: original.CustomerID, After: map[string]any{"cause": cause}, Reason: reason})
}
