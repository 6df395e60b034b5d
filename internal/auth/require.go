package auth

import (
	"context"

	"countersign/internal/errs"
)

// ErrRequired means that the call needs a credential and has none.
var ErrRequired = errs.Unauthenticated("authentication_required", "Sign in first: this call needs a bearer token.")

// ErrForbidden means that the caller's role does not hold the permission.
var ErrForbidden = errs.Forbidden("permission_denied", "Your role does not allow this. It needs the permission {{.permission}}.")

// Require returns who acts when he holds the permission; an empty permission asks only for a valid credential.
func Require(ctx context.Context, permission string) (Principal, error) {
	p, ok := From(ctx)
	if !ok {
		return Principal{}, ErrRequired
	}
	if permission != "" && !p.Can(permission) {
		return Principal{}, ErrForbidden.With("permission", permission)
	}
	return p, nil
}
