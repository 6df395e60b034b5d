// Package sandbox is a provider that ships with the product: what the demo, tests and integrators are served by instead of
// a real one. What happens is decided by the payer's token (see Tokens), so the same request always ends the same way.
//
// It owns sandbox_orders, sandbox_requests and sandbox_callbacks. It stands for a company outside: it commits in
// transactions of its own, so it remembers what a crash of ours has forgotten; it is idempotent by key, as real ones are;
// it keeps a log of what it was asked; and it can drop answers after acting, be down, and send callbacks late, twice and in
// the wrong order. It takes no real money: whoever asks for a tenant that is not in test mode is refused.
//
// It does not own payments, and knows nothing of them but their ids.
package sandbox
