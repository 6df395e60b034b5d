// Package statements shows an account what has happened between it and the tenant: what it owed at first, each invoice,
// payment and correction with the balance after it, and what it owes at last.
//
// It owns nothing. A statement is the ledger's accounts of one customer, read in one SQL statement, so that it shows one
// moment: what it opened with and what moved are always what it closes with. Its balances are those that the ledger gives
// for the same time (?as_of=).
//
// Money is summed over what is receivable and what is owed to the customer: a positive balance is what he owes. Service
// credits are units and have a section of their own, whose balance is what he has.
package statements
