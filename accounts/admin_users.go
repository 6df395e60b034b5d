package accounts

import (
	"context"
	"net/url"
	"slices"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/outbox"
	"countersign/internal/web"
	"countersign/tenancy"
)

func (c *console) userSection() admin.Section {
	return admin.ModelAdmin[*Person]{
		Name: "users", Title: "Users", Description: "Who may sign in, as staff or for an account, and what each may do.", Icon: "users",
		Group: admin.GroupSetUp, Place: 30, Permission: auth.UsersManage,
		Spec: userList,
		ListFilter: []admin.Filter{{Name: "role", Label: "Role", Options: roleOptions(auth.Roles(), "")},
			{Name: "is_active", Label: "Status", Options: []admin.Option{{Value: "true", Label: "Active"}, {Value: "false", Label: "Inactive"}}},
			{Name: "account_id", Label: "Account", Describe: c.describe}},
		ListDisplay: []admin.Column[*Person]{
			{Title: "Name", Value: func(p *Person) admin.Cell { return admin.Text(p.Name) }},
			{Title: "E-mail", Value: func(p *Person) admin.Cell { return admin.Text(p.Email) }},
			{Title: "Role", Value: func(p *Person) admin.Cell { return admin.Word(p.Role) }},
			{Title: "Status", Value: func(p *Person) admin.Cell { return admin.Status(activeWord(p.IsActive)) }},
			{Title: "Since", OrderBy: "created_at", Value: func(p *Person) admin.Cell { return admin.Day(p.CreatedAt) }},
		},
		List: func(ctx context.Context, l web.List) (page web.Page[*Person], err error) {
			err = c.read(ctx, func(ctx context.Context, tx bun.Tx) error {
				page, err = ListUsers(ctx, tx, l)
				return err
			})
			return page, err
		},
		Key: func(p *Person) uuid.UUID { return p.UserID }, Get: c.person, Detail: c.userPage,
		Create:  &admin.Form[*Person]{Title: "New user", Submit: "Create the user", Groups: c.userForm, Save: c.saveUser},
		Edit:    &admin.Form[*Person]{Title: "Edit the user", Groups: c.userForm, Save: c.saveUser},
		Actions: c.userActions(),
	}.Section()
}

func (c *console) userActions() []admin.Action[*Person] {
	switchTo := func(active bool, done string) func(context.Context, *Person, url.Values) (string, error) {
		return func(ctx context.Context, p *Person, _ url.Values) (string, error) {
			_, err := c.service.UpdateUser(ctx, p.UserID, UpdateUserInput{IsActive: &active})
			return done, err
		}
	}
	return []admin.Action[*Person]{
		{Name: "password", Title: "Set a new password", Subject: emailOf,
			Consequence: "Everybody who is signed in as this user is signed out at once. Give the new password to the user yourself: it is not mailed. It stays on record that you set it.",
			Allowed:     func(me auth.Principal, p *Person) bool { return p.HomeTenantID == p.TenantID && p.UserID != me.UserID },
			Fields: func(context.Context, *Person) ([]admin.Field, error) {
				return []admin.Field{{Name: "password", Label: "New password", Kind: "password", Required: true, Autocomplete: "new-password", Hint: "At least 10 characters."}}, nil
			},
			Run: func(ctx context.Context, p *Person, form url.Values) (string, error) {
				password := form.Get("password")
				_, err := c.service.UpdateUser(ctx, p.UserID, UpdateUserInput{Password: &password})
				return "The new password holds from now on.", err
			}},
		{Name: "deactivate", Title: "Deactivate", Danger: true, Subject: emailOf,
			Consequence: "The user is signed out everywhere at once and cannot sign in any more. What he did stays on record.",
			Allowed:     func(me auth.Principal, p *Person) bool { return p.IsActive && p.UserID != me.UserID },
			Run:         switchTo(false, "The user is inactive.")},
		{Name: "activate", Title: "Activate", Subject: emailOf,
			Consequence: "The user can sign in again, with the role he had.",
			Allowed:     func(_ auth.Principal, p *Person) bool { return !p.IsActive },
			Run:         switchTo(true, "The user is active.")},
	}
}

func (c *console) describe(ctx context.Context, account string) string {
	return Describe(ctx, c.service.db, account)
}

func emailOf(p *Person) string { return p.Name + ", " + p.Email }

func (c *console) person(ctx context.Context, id uuid.UUID) (p *Person, err error) {
	err = c.read(ctx, func(ctx context.Context, tx bun.Tx) error {
		p, err = GetPerson(ctx, tx, id)
		return err
	})
	return p, err
}

func (c *console) userPage(ctx context.Context, r admin.Reader, p *Person) (admin.DetailPage, error) {
	facts := []admin.Fact{{Label: "E-mail", Value: admin.Text(p.Email)}, {Label: "Role", Value: admin.Word(p.Role)}, {Label: "Since", Value: admin.Day(p.CreatedAt)}}
	var told []outbox.Told
	var account *Account
	var other *Person
	err := c.read(ctx, func(ctx context.Context, tx bun.Tx) (err error) {
		if p.ResetBy != uuid.Nil {
			if other, err = GetPerson(ctx, tx, p.ResetBy); err != nil {
				return err
			}
		}
		if told, err = outbox.EventsOf(ctx, tx, p.UserID); err != nil || p.AccountID == uuid.Nil {
			return err
		}
		account, err = Get(ctx, tx, p.AccountID)
		return err
	})
	if err != nil {
		return admin.DetailPage{}, err
	}
	if account != nil {
		facts = append(facts, admin.Fact{Label: "Account", Value: admin.LinkTo(account.Holder, admin.IDURL("accounts", account.ID))})
	}
	if other != nil {
		facts = append(facts, admin.Fact{Label: "Password set by somebody else", Value: admin.When(p.ResetAt)},
			admin.Fact{Label: "Password set by", Value: admin.LinkTo(other.Name, admin.IDURL("users", other.UserID))})
	}
	page := admin.DetailPage{Title: p.Name, Status: activeWord(p.IsActive), Subtitle: p.Email, Groups: []admin.FactGroup{{Title: "Details", Facts: facts}, rights(p.Role)}}
	for i := len(told) - 1; i >= 0; i-- {
		text := "Changed"
		if told[i].Type == EventUserCreated {
			text = "Created"
		}
		page.Events = append(page.Events, admin.Event{At: told[i].CreatedAt, Tone: admin.ToneInfo, Text: r.Say(text), By: told[i].Actor})
	}
	return page, nil
}

// rights says in sentences what a role may do.
func rights(role string) admin.FactGroup {
	group := admin.FactGroup{Title: "What this role may do"}
	held := map[string]bool{}
	for _, name := range auth.PermissionsOf(role) {
		held[name] = true
	}
	for _, permission := range auth.Permissions() {
		if held[permission.Name] {
			group.Facts = append(group.Facts, admin.Fact{Label: permission.Name, Value: admin.Word(permission.About)})
		}
	}
	return group
}

func roleOptions(roles []string, chosen string) []admin.Option {
	var options []admin.Option
	for _, role := range roles {
		options = append(options, admin.Option{Value: role, Label: role, Selected: role == chosen})
	}
	return options
}

// givable lists the roles that who acts may give: only owners make owners.
func givable(ctx context.Context) []string {
	return slices.DeleteFunc(auth.Roles(), func(role string) bool { return role == auth.RoleOwner && !mayTouchOwners(ctx) })
}

// maxChoices is how many accounts a select offers; beyond, an account is named by its id or external id.
const maxChoices = 200

// AccountField is a field that names an account: a select as long as the tenant has few of them, a text box otherwise.
func AccountField(ctx context.Context, tx bun.Tx, chosen string, required bool) (admin.Field, error) {
	field := admin.Field{Name: "account_id", Label: "Account", Kind: "select", Required: required, Wide: true}
	list, err := Choices(ctx, tx, maxChoices+1)
	if err != nil {
		return field, err
	}
	if len(list) > maxChoices {
		field.Kind, field.Value = "text", chosen
		field.Hint = "The account's id or external id."
		return field, nil
	}
	known := chosen == ""
	for _, a := range list {
		known = known || a.ID.String() == chosen
		field.Options = append(field.Options, admin.Option{Value: a.ID.String(), Label: a.Holder + " · " + a.Number, Selected: a.ID.String() == chosen})
	}
	if !known {
		field.Options = append(field.Options, admin.Option{Value: chosen, Label: chosen, Selected: true})
	}
	return field, nil
}

func (c *console) userForm(ctx context.Context, object **Person) ([]admin.FieldGroup, error) {
	p := &Person{}
	var fields []admin.Field
	if object != nil {
		p = *object
	} else {
		fields = append(fields, admin.Field{Name: "email", Label: "E-mail", Kind: "email", Required: true, Autocomplete: "off"})
	}
	fields = append(fields, admin.Field{Name: "name", Label: "Name", Kind: "text", Value: p.Name, Required: true, Autocomplete: "off"},
		admin.Field{Name: "role", Label: "Role", Kind: "select", Options: roleOptions(givable(ctx), p.Role), Required: true})
	err := c.read(ctx, func(ctx context.Context, tx bun.Tx) error {
		chosen := ""
		if p.AccountID != uuid.Nil {
			chosen = p.AccountID.String()
		}
		account, err := AccountField(ctx, tx, chosen, false)
		account.Hint = "For the role member, and only for it: the customer for whom this user acts."
		fields = append(fields, account)
		return err
	})
	if err != nil {
		return nil, err
	}
	if object == nil {
		fields = append(fields, admin.Field{Name: "password", Label: "First password", Kind: "password", Required: true, Autocomplete: "new-password", Hint: "At least 10 characters."})
	}
	return []admin.FieldGroup{{Fields: fields}}, nil
}

func (c *console) saveUser(ctx context.Context, object **Person, form url.Values) (uuid.UUID, string, error) {
	if object == nil {
		var req CreateUserRequest
		if err := web.DecodeForm(only(form, "email", "name", "role", "account_id", "password"), &req); err != nil {
			return uuid.Nil, "", err
		}
		p, err := c.service.CreateUser(ctx, req.input())
		if err != nil {
			return uuid.Nil, "", err
		}
		return p.UserID, "The user was created.", nil
	}
	var req UpdateUserRequest
	if err := web.DecodeForm(only(form, "name", "role", "account_id"), &req); err != nil {
		return uuid.Nil, "", err
	}
	p, err := c.service.UpdateUser(ctx, (*object).UserID, req.input())
	if err != nil {
		return uuid.Nil, "", err
	}
	return p.UserID, "Saved.", nil
}

// only takes the named values of a form, so that a request struct of the API can read them.
func only(form url.Values, names ...string) map[string][]string {
	out := map[string][]string{}
	for _, name := range names {
		out[name] = []string{form.Get(name)}
	}
	return out
}

// Describe names an account for people, as the chip of a filter that came with a link; what is no account of the
// tenant's is its own text.
func Describe(ctx context.Context, db *bun.DB, text string) string {
	name := text
	err := tenancy.Read(ctx, db, func(ctx context.Context, tx bun.Tx) error {
		a, err := Resolve(ctx, tx, text)
		if err == nil {
			name = a.Holder
		}
		return err
	})
	if err != nil {
		return text
	}
	return name
}
