// Package fx owns rates of exchange and conversions: the one way in which an amount becomes one of another currency.
// Nothing else in the program does arithmetic across currencies (S1-57).
//
// A rate says that one base is so much quote, both in major units, who said so and when it was so. Rates are only added;
// of two of the same time the one that was recorded later counts. A rate is used the way it was stated: for the other
// direction it is divided by, and only when somebody names it for that. Every conversion keeps the rate and its base, so
// which way it was used is on record.
//
// A conversion turns a customer's credit of one currency into credit of another (S1-58). It posts, each currency for
// itself adding up to nothing:
//
//	customer_credit of the account, source   debit    what he gives
//	fx, source                               credit   the same
//	fx, target                               debit    what the rate makes of it, rounded half up
//	customer_credit of the account, target   credit   what he gets
//	fx_difference, target                    either   what he gets beyond or below that, when the bank's amount was stated
//
// Nobody converts at his own word alone (control.go): a rate counts when somebody else has recorded one like it of late, or
// when who may change the tenant's settings says why; what the bank is said to have given stays near what the rate makes; and what
// both give an account above the rates of others is bounded for its conversions of a week together.
//
// Its inverse is its reversal, as a whole and once, as long as the customer still has what he got. Nothing is changed and
// nothing is deleted. Members read the conversions of their account; rates are the staff's.
//
// It does not own credit: the ledger says what there is, and what it is spent on is for others.
//
// Lock order: idempotency key, then the account's gains (advisory; only what gains something), then its two balances, as the
// ledger locks them.
package fx
