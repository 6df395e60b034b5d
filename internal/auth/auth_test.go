package auth_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/uuid"

	"countersign/internal/auth"
	"countersign/internal/errs"
)

func TestRequire(t *testing.T) {
	t.Parallel()
	viewer := auth.With(t.Context(), auth.Principal{Label: "v", Permissions: auth.PermissionsOf(auth.RoleViewer)})
	for _, c := range []struct {
		name       string
		ctx        context.Context
		permission string
		want       error
	}{
		{"nobody", t.Context(), "", auth.ErrRequired},
		{"nobody with a permission", t.Context(), auth.BillingView, auth.ErrRequired},
		{"a credential is enough", viewer, "", nil},
		{"a permission that is held", viewer, auth.BillingView, nil},
		{"a permission that is not held", viewer, auth.BillingApprove, auth.ErrForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := auth.Require(c.ctx, c.permission)
			if !errors.Is(err, c.want) || err == nil && p.Label != "v" {
				t.Errorf("got %v, %v", p, err)
			}
		})
	}
	_, err := auth.Require(viewer, auth.BillingApprove)
	if got := errs.As(err).Sentence(); got != "Your role does not allow this. It needs the permission billing.approve." {
		t.Errorf("the refusal says %q", got)
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	var names []string
	for _, p := range auth.Permissions() {
		if slices.Contains(names, p.Name) || p.About == "" {
			t.Errorf("%+v is there twice or says nothing", p)
		}
		names = append(names, p.Name)
	}
	for _, role := range auth.Roles() {
		held := auth.PermissionsOf(role)
		if !auth.IsRole(role) || !slices.Contains(held, auth.BillingView) {
			t.Errorf("%s cannot even look: %v", role, held)
		}
		for _, p := range held {
			if !slices.Contains(names, p) {
				t.Errorf("%s holds %s, which does not exist", role, p)
			}
		}
	}
	if auth.IsRole("root") || auth.PermissionsOf("root") != nil {
		t.Error("an unknown role may something")
	}
	for _, role := range []string{auth.RoleMember, auth.RoleViewer, auth.RoleCashier, auth.RoleClaims} {
		if slices.Contains(auth.PermissionsOf(role), auth.BillingApprove) {
			t.Errorf("%s may approve", role)
		}
	}
	if (auth.Principal{}).IsMember() || !(auth.Principal{AccountID: uuid.New()}).IsMember() {
		t.Error("members are those with an account")
	}
}
