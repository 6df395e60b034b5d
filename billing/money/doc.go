// Package money is what an amount of money is: a whole number of minor units and an ISO 4217 currency.
//
// It owns the currency table, the reading and writing of amounts as text, their arithmetic, the one rounding rule
// and their look in each of the languages we speak. It does not own exchange rates, tax, prices or JSON shapes, and
// it stores nothing: callers keep an amount as two columns, BIGINT and CHAR(3).
//
// No binary fraction appears anywhere between the wire and the disk (S1-11, S1-12), and a test reads the source to
// see that it stays so. Amounts enter as text through Parse, never through a number type of Go.
// Quantities, unit prices and rates are decimal.Decimal, enter through ParseDecimal and leave through Round.
package money
