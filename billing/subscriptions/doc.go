// Package subscriptions owns what accounts are billed and charged for each month, until it is cancelled (S1-05).
//
//	active ──> cancelled
//
// Each month has an invoice of its own, and the saved method that was agreed on is charged for it, once. Two doorbells bring
// that about, each of which may ring twice, on two machines, or too late:
//
//   - subscriptions.renew makes and finalises the invoice of a month that has begun, in one commit with the month's row, whose key
//     says that no month is billed twice. Months that nobody was there for are made up, one commit each.
//   - subscriptions.charge asks the provider for what is owed on that invoice, in the way and under the rules of every other
//     charge, with a key that is the month's: who asks again gets the first answer.
//
// What the provider declines is not tried again: the invoice stays open, and an event tells of it. Who cannot be reached is asked
// later, with the same key. A subscription whose account is closed is cancelled when it is due.
//
// What was agreed never changes: for another price one is cancelled and another made. Cancelling undoes nothing that was billed.
//
// It does not own invoices and payments: it asks the packages below for them, and reads what became of them.
//
// Lock order: idempotency key, subscription, then as finalising an invoice does; of charging, the month's row is locked by itself.
package subscriptions
