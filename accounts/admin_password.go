package accounts

import (
	"context"
	"net/url"

	"countersign/internal/admin"
	"countersign/internal/web"
)

// passwordSection is where everybody who is signed in to the console changes his own password. The frame links to it
// beside the preferences.
func (c *console) passwordSection() admin.Section {
	form := admin.SingleForm{Title: "Your password", Submit: "Change the password", URL: admin.URL("password"), Back: admin.Base,
		Description: "Wherever else you are signed in, you are signed out at once. This browser stays signed in.",
		Groups: func(context.Context) ([]admin.FieldGroup, error) {
			return []admin.FieldGroup{{Fields: []admin.Field{
				{Name: "current_password", Label: "Present password", Kind: "password", Required: true, Autocomplete: "current-password"},
				{Name: "new_password", Label: "New password", Kind: "password", Required: true, Autocomplete: "new-password", Hint: "At least 10 characters."},
				{Name: "repeated_password", Label: "New password once more", Kind: "password", Required: true, Autocomplete: "new-password"},
			}}}, nil
		},
		Save: c.savePassword}
	return admin.Section{Name: "password", Title: "Your password", Icon: "users", Group: admin.GroupSetUp, Hidden: true, Routes: form.Routes("/")}
}

// savePassword lets nobody lock himself out by a slip: what is typed unseen is typed twice.
func (c *console) savePassword(ctx context.Context, form url.Values) (string, error) {
	if form.Get("new_password") != form.Get("repeated_password") {
		return "", ErrPasswordsDiffer.At("repeated_password")
	}
	var req ChangePasswordRequest
	if err := web.DecodeForm(only(form, "current_password", "new_password"), &req); err != nil {
		return "", err
	}
	return "The new password holds from now on.", c.service.ChangePassword(ctx, req.input())
}
