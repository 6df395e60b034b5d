// Package ledger is the double-entry book of a tenant: the chart of accounts, transactions whose entries sum to zero in
// each currency, and balances, which are sums of entries.
//
// It owns ledger_accounts, ledger_transactions, ledger_entries and ledger_balances. It does not know why something is
// posted: callers bring postings with a cause, and the cause makes money count once. It has no service: Post is a step
// of somebody else's transaction.
//
// An amount is positive for a debit and negative for a credit, in minor units. Nothing that was posted is ever changed;
// a correction is a new transaction that points at the old one (Reverse).
//
// What amounts add up to may be more than an amount can be, so it is a Sum, exact at any size. Packages whose rows stand
// behind postings prove with a Proof each that both sides tell the same story; countersign verify runs them all.
//
// Balances of customers' accounts are also kept in ledger_balances. That is a cache: it can be dropped and replayed
// (Rebuild), and a proof compares it with the truth every night. Accounts that every payment of a tenant touches, such as
// revenue, have no cached balance, because each posting would have to lock it. The database moves a balance as entries are written,
// and refuses entries of an account that is missing, or that has lost its balance.
//
// Lock order within Post: new chart rows by id, causes as given, cached balances by id. A caller that posts several
// things posts them in one call; then the order holds for all of them.
//
// Members of an account read their own entries and cannot post: they do not see the tenant's side of the books.
package ledger
