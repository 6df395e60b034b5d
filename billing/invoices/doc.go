// Package invoices owns what accounts are billed: invoices with their lines, their numbers and their state.
//
//	draft ──finalize──▶ open ──payment──▶ partially_paid ──payment──▶ paid
//	draft, open ──void──▶ void
//	open, partially_paid ──given up──▶ uncollectible ──payment──▶ partially_paid, paid
//	open, partially_paid ──the rest is paid after a part was given up──▶ uncollectible
//	uncollectible ──reopened──▶ open, partially_paid
//	paid, partially_paid ──refund, credit taken back──▶ partially_paid, open
//
// An invoice whose total is nothing is paid as soon as it is finalised; where it gives service credits away, whoever
// finalises it must be allowed to approve. Totals are always the server's. A number is given in the finalising
// transaction, without gaps for each tenant, prefix and year; a client's own number never has the form of ours. What was
// finalised stays as it is; the database refuses to change it. Overdue is derived: time in which a payment waits for a
// decision or for its settlement never counts against the payer.
//
// Besides payments, adjustments lower an invoice: the customer's credit pays it, and a credit note takes a
// part of the sale back, with its share of tax and service credits; a write-off gives up what nobody will pay. Each is a row that is never changed and is
// posted once; the invoice's columns are their sums, and what takes one back is its opposite in rows and in the books. While
// an invoice is paid its service credits are granted; when it is paid no longer they are taken back, and what would take back
// credits that were used is refused.
//
// What is uncollectible is still owed, and the books show it, until it is written off. Within the tenant's tolerance, which
// counts all that was written off of the invoice, one person writes off: an invoice that was paid but for so little is paid.
// Above it the request waits for a second person, bound by digest to what he saw (package decisions); an invoice of which
// he has let a part go is uncollectible once nothing of it is left, and grants no service credits, whatever comes last: the write-off, a
// payment, credit, a credit note, or a refund that is taken back. So is one of which nothing was ever paid. An invoice that was
// closed by a write-off or by credit is open again when that is taken back.
//
// It posts what finalising and voiding mean to the ledger. It does not own payments: they lock invoices with Lock or LockOwed, or read
// what is Owed and let ApplyPayments find out whether it has changed, and write to them with AddClaim, DropClaim and ApplyPayments only.
//
// Lock order: payments, then invoices by id, then the account (shared), then the number series of invoices or credit notes, then what the ledger
// locks.
package invoices
