package ledger

import (
	"context"
	"strconv"

	"github.com/google/uuid"

	"countersign/billing/money"
	"countersign/tenancy"
)

// Class is the kind of an account in the sense of bookkeeping, and says which sign its balance usually has.
type Class string

// The classes. Assets and expenses grow by debits, liabilities and income by credits. Units are counted, not paid.
const (
	ClassAsset     Class = "asset"
	ClassLiability Class = "liability"
	ClassIncome    Class = "income"
	ClassExpense   Class = "expense"
	ClassUnit      Class = "unit"
)

// UnitCredit stands in place of a currency for service credits, which are whole units and not money.
const UnitCredit = "credit"

// The codes of the chart that others ask for by name.
const (
	CodeReceivable     = "receivable"
	CodeCustomerCredit = "customer_credit"
	CodeCredits        = "credits"

	codeClearing = "clearing"
)

// Ref names one account of the chart. Only the functions of this file make one, so code, class and unit always fit
// together. The row in the database is made by the first posting. Two Refs are compared with ==.
type Ref struct {
	code     string
	owner    string
	currency string
	class    Class
	customer uuid.UUID // set when the owner is a customer's account; exactly these accounts have a cached balance
}

// ID is the id of the account in the tenant of ctx. It follows from the names, so nobody has to look it up.
func (r Ref) ID(ctx context.Context) uuid.UUID { return r.id(tenancy.ID(ctx)) }

func (r Ref) id(tenant uuid.UUID) uuid.UUID {
	return uuid.NewSHA1(tenant, []byte(r.code+"\x00"+r.owner+"\x00"+r.currency))
}

// String is code:owner:currency, for logs and errors.
func (r Ref) String() string { return r.code + ":" + r.owner + ":" + r.currency }

// Receivable is what a customer owes us for invoices. Asset.
func Receivable(account uuid.UUID, cur money.Currency) Ref {
	return Ref{CodeReceivable, account.String(), string(cur), ClassAsset, account}
}

// CustomerCredit is money that we owe a customer: overpayments and prepayments. Liability.
func CustomerCredit(account uuid.UUID, cur money.Currency) Ref {
	return Ref{CodeCustomerCredit, account.String(), string(cur), ClassLiability, account}
}

// Clearing is money that a method or gateway is said to have received and that the bank has not confirmed. Asset.
func Clearing(methodOrGateway string, cur money.Currency) Ref {
	return Ref{code: codeClearing, owner: methodOrGateway, currency: string(cur), class: ClassAsset}
}

// Bank is money that a bank statement has shown. Asset.
func Bank(cur money.Currency) Ref { return own("bank", cur, ClassAsset) }

// Cash is money in the till. Asset.
func Cash(cur money.Currency) Ref { return own("cash", cur, ClassAsset) }

// Revenue is what was invoiced, before discounts and without tax. Income.
func Revenue(cur money.Currency) Ref { return own("revenue", cur, ClassIncome) }

// DeferredRevenue is what was paid for and not yet delivered. Liability.
func DeferredRevenue(cur money.Currency) Ref { return own("deferred_revenue", cur, ClassLiability) }

// TaxPayable is tax that was invoiced and belongs to the state. Liability.
func TaxPayable(cur money.Currency) Ref { return own("tax_payable", cur, ClassLiability) }

// Discounts is what was given away on invoices. Expense.
func Discounts(cur money.Currency) Ref { return own("discounts", cur, ClassExpense) }

// SalesReturns is revenue that refunds took back. Expense.
func SalesReturns(cur money.Currency) Ref { return own("sales_returns", cur, ClassExpense) }

// Fees is what gateways and banks kept. Expense.
func Fees(cur money.Currency) Ref { return own("fees", cur, ClassExpense) }

// BadDebt is receivables that were given up. Expense.
func BadDebt(cur money.Currency) Ref { return own("bad_debt", cur, ClassExpense) }

// Rounding is what remains when parts are rounded. Expense; a credit balance is a gain.
func Rounding(cur money.Currency) Ref { return own("rounding", cur, ClassExpense) }

// FX is the position in a currency that conversions have opened: what went out of it is credited, what came into it is
// debited. At the rates of a day, all positions together are what conversions have gained or lost by then. Expense.
func FX(cur money.Currency) Ref { return own("fx", cur, ClassExpense) }

// FXDifference is what customers got beyond the rate of their conversions, because the bank gave it. Expense; a credit
// balance is a gain.
func FXDifference(cur money.Currency) Ref { return own("fx_difference", cur, ClassExpense) }

// Suspense is money that came in and that nobody has explained yet. Liability.
func Suspense(cur money.Currency) Ref { return own("suspense", cur, ClassLiability) }

// VoucherReceivable is what the issuer of redeemed vouchers owes us. Asset.
func VoucherReceivable(issuer string, cur money.Currency) Ref {
	return Ref{code: "voucher_receivable", owner: issuer, currency: string(cur), class: ClassAsset}
}

// InsurerReceivable is what an insurer has approved and not paid. Asset.
func InsurerReceivable(provider string, cur money.Currency) Ref {
	return Ref{code: "insurer_receivable", owner: provider, currency: string(cur), class: ClassAsset}
}

// CreditsIssued is the other side of all service credits: its debit balance is how many were granted and not used.
func CreditsIssued() Ref { return Ref{code: "credits_issued", currency: UnitCredit, class: ClassUnit} }

// Credits is a customer's service credits. A credit entry grants them, a debit entry uses them.
func Credits(account uuid.UUID) Ref {
	return Ref{CodeCredits, account.String(), UnitCredit, ClassUnit, account}
}

// own is an account that the tenant has once in each currency.
func own(code string, cur money.Currency, class Class) Ref {
	return Ref{code: code, currency: string(cur), class: class}
}

// Format is an amount as answers show it: a decimal with the digits of its currency, or whole credits.
func Format(minor int64, currency string) string {
	if currency == UnitCredit {
		return strconv.FormatInt(minor, 10)
	}
	return money.New(minor, money.Currency(currency)).String()
}
