// Package paymentmethods owns which ways to pay there are, which of them an account is offered, and which it has saved.
//
// Staff keep one row for each country and method; rows of "*" hold everywhere. One function decides (S3-17): the list
// that a payer sees (Available) and the answer to a payment that he submits (Check) come from the same lines of code.
//
//	rows of "*"   ←  replaced, method by method, by rows of the account's country, which may also switch off
//	              →  enabled  →  allowed to this account  →  in this currency  →  within the limits  →  offered
//
// It does not own how a method is carried out (gateways, payments), nor what an account is allowed (accounts).
//
// Lock order: changes to what an account has saved take that account's advisory lock first, and nothing else.
package paymentmethods
