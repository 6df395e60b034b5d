// Package auth says who is acting. It knows no password and no table: accounts turns a credential into a Principal,
// and everybody below reads it from the context.
package auth

import (
	"context"
	"slices"

	"github.com/google/uuid"
)

// Kind tells people from programs.
type Kind string

// The kinds of principal, as the audit log writes them.
const (
	KindUser   Kind = "user"
	KindSystem Kind = "system"
)

// Principal is who acts, for which tenant and, for members, for which account. It always comes from a credential or,
// for background work, from the event that caused it; never from what a client sends.
type Principal struct {
	Kind         Kind
	UserID       uuid.UUID // zero for system principals
	MembershipID uuid.UUID // zero for system principals
	CredentialID uuid.UUID // zero for system principals
	Label        string    // e-mail address, or the name of the system principal
	Name         string
	Role         string
	TenantID     uuid.UUID
	AccountID    uuid.UUID // set for members: everything they see is narrowed to this account
	Permissions  []string
	Language     string // the user's own choice; empty means: ask the request
}

// Can says whether the principal holds the permission.
func (p Principal) Can(permission string) bool { return slices.Contains(p.Permissions, permission) }

// IsMember says whether the principal is a customer's user, who sees one account only.
func (p Principal) IsMember() bool { return p.AccountID != uuid.Nil }

// MembersAccount is the account to which the principal of ctx is narrowed; nil: he is no member.
func MembersAccount(ctx context.Context) *uuid.UUID {
	if p, _ := From(ctx); p.IsMember() {
		return &p.AccountID
	}
	return nil
}

// Request is what the audit log keeps of the request that a principal makes.
type Request struct {
	ID        string
	IP        string
	UserAgent string
}

type principalKey struct{}
type requestKey struct{}

// With returns a context in which p acts.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From gives who acts; ok is false for anonymous requests.
func From(ctx context.Context) (p Principal, ok bool) {
	p, ok = ctx.Value(principalKey{}).(Principal)
	return p, ok
}

// WithRequest returns a context that carries what the audit log keeps of a request.
func WithRequest(ctx context.Context, r Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// RequestFrom gives the request's facts; zero outside a request.
func RequestFrom(ctx context.Context) Request {
	r, _ := ctx.Value(requestKey{}).(Request)
	return r
}
