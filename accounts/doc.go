// Package accounts owns people: customers (accounts), users, their memberships in tenants, and the credentials that
// stand for a membership. It is the only package that sees a password.
//
// A user belongs to the installation and may be a member of several tenants. The database shows a tenant the users who
// have a membership there, a member of an account those of his account, and everybody himself. Nobody reads a password's
// hash but the function login_of, which gives one login to who names its e-mail address.
//
// A password that somebody else has set stays on record at the user: whoever set it could act as him. Changing one's own
// asks for the present one and ends everything else that is signed in, in all tenants.
//
// A credential belongs to one membership, so tenant and account of whoever calls come from the credential and never from
// what he sends. A bearer token and a console session are the same thing; they differ in kind, in life and in how they
// travel.
//
//	log-in:  attempt counted → password right → membership chosen → credential stored → secret given out, once
//	use:     secret → tenant named by the secret → one statement inside that tenant → auth.Principal
//	end:     log-out, expiry, new password, new role, deactivation; each takes effect with the next request
//
// Lock order: memberships by id → users → credentials. Whoever gives out a credential shares the lock of its membership
// and user, so that a deactivation or a new password never misses one that is being made.
//
// It does not own what accounts owe (billing) and not which permission a role holds (internal/auth).
package accounts
