// Package credits shows a customer what he has: service credits, which are counted, and money that we owe him.
//
// It owns nothing. Both are accounts of the ledger, seen from the customer's side: what the ledger credits him is
// positive here. Granting and using credits are postings of the packages that sell and consume.
package credits
