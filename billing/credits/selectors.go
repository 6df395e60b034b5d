package credits

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/internal/web"
)

// Balance is what a customer has.
type Balance struct {
	Credits int64
	Money   []Owed // what we owe the customer, by currency
	Due     []Owed // what the customer owes us, by currency
}

// Owed is money that one of the two owes the other, in minor units.
type Owed struct {
	Currency    string
	AmountMinor int64
}

// BalanceOf gives what an account has, from the ledger's cached balances, or what it had up to and including asOf, from
// the entries. It is for showing.
func BalanceOf(ctx context.Context, db bun.IDB, account uuid.UUID, asOf *time.Time) (Balance, error) {
	read := ledger.CachedBalances
	if asOf != nil {
		read = func(ctx context.Context, db bun.IDB, account uuid.UUID) ([]ledger.Cached, error) {
			return ledger.BalancesOf(ctx, db, account, *asOf)
		}
	}
	cached, err := read(ctx, db, account)
	if err != nil {
		return Balance{}, err
	}
	var b Balance
	for _, c := range cached {
		switch c.Code {
		case ledger.CodeCredits:
			b.Credits = -c.AmountMinor
		case ledger.CodeCustomerCredit:
			b.Money = append(b.Money, Owed{c.Currency, -c.AmountMinor})
		case ledger.CodeReceivable:
			b.Due = append(b.Due, Owed{c.Currency, c.AmountMinor})
		}
	}
	return b, nil
}

// Type is what a change of credits was, in the words of the customer's dashboard.
type Type string

// The types.
const (
	TypePurchase     Type = "purchase"
	TypeSubscription Type = "subscription"
	TypeRefund       Type = "refund"
	TypeDeduction    Type = "deduction"
	TypeAdjustment   Type = "adjustment"
)

// typeOf reads the type from the kind of a ledger transaction. Kinds that it does not know are adjustments.
func typeOf(kind string) Type {
	switch kind {
	case ledger.KindCreditsGranted:
		return TypePurchase
	case ledger.KindSubscriptionCreditsGranted:
		return TypeSubscription
	case ledger.KindPaymentRefunded, ledger.KindCreditsReturned:
		return TypeRefund
	case ledger.KindCreditsUsed, ledger.KindCreditApplied:
		return TypeDeduction
	default:
		return TypeAdjustment
	}
}

// describe says in a sentence what happened.
func describe(kind string) string {
	switch kind {
	case ledger.KindCreditsGranted:
		return "Credits bought"
	case ledger.KindSubscriptionCreditsGranted:
		return "Credits of the subscription"
	case ledger.KindPaymentRefunded:
		return "Refund"
	case ledger.KindCreditsUsed:
		return "Credits used"
	case ledger.KindCreditsReturned:
		return "Credits taken back"
	case ledger.KindCreditApplied:
		return "Paid an invoice"
	case ledger.KindPaymentSettled:
		return "Paid more than was due"
	case ledger.KindPaymentMoved:
		return "Paid what was due no longer"
	case ledger.KindReversal:
		return "Correction"
	default:
		return "Adjustment"
	}
}

// transactionsOf lists what changed an account's credits and money, newest first.
func transactionsOf(ctx context.Context, db bun.IDB, account uuid.UUID, l ledger.EntryList) (web.Page[ledger.PostedEntry], error) {
	currency, narrowed := web.Value[string](l.List, "currency")
	cached, err := ledger.CachedBalances(ctx, db, account)
	if err != nil {
		return web.Page[ledger.PostedEntry]{}, err
	}
	l.AccountIDs = []uuid.UUID{}
	for _, c := range cached {
		if (c.Code == ledger.CodeCredits || c.Code == ledger.CodeCustomerCredit) && (!narrowed || c.Currency == currency) {
			l.AccountIDs = append(l.AccountIDs, c.AccountID)
		}
	}
	return ledger.Entries(ctx, db, l)
}
