// Package billing assembles the billing apps. It is the map of what is below it:
//
//	money           minor units and currencies
//	ledger          double entry; balances are sums
//	credits         what a customer has, read from the ledger
//	paymentmethods  which methods a country offers
//	evidence        receipts
//	decisions       who decides, how many, bound to what they saw
//	invoices        what is owed
//	payments        claims: submitted, decided, settled
//
// Its own work is to build them in order and to join what may not know each other: an invoice's answer lists its
// payments, which are a layer above.
package billing
