// Package tenancy owns tenants and the wall between them. A tenant is the organisation that sells and is paid; it owns
// every row of every other table.
//
// InTx and Read are the only openers of transactions in domain code: the tenant, and for members the account, come from
// the principal of the context and are set by BEGIN itself, so row-level security shows nothing else. Work of no person
// enters a tenant with AsSystem, under a name that the audit log keeps.
//
// It does not own people (accounts) and knows no money but the currency a tenant bills in.
package tenancy
