// Package gateways is the border to those who move money outside: the contract that each of them is adapted to, which of
// them a tenant has configured, and what they have told us. It decides nothing about payments: an adapter proposes a
// state, and the payments dispose (gateways' common rules; S0-26).
package gateways
