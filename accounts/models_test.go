package accounts_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/accounts/accountstest"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// TestRowSecurity runs wrong SQL as the program's role.
func TestRowSecurity(t *testing.T) {
	t.Parallel()
	home, other := accountstest.NewTenant(t), accountstest.NewTenant(t)
	account := home.NewAccount(t, "Own")
	home.NewAccount(t, "Second")
	member := home.NewMember(t, account)
	member.Token(t)
	guest := other.NewUser(t, auth.RoleFinance)
	if _, err := home.Service.Attach(home.System, accounts.AttachInput{Email: guest.Email, Role: auth.RoleViewer, Password: "another battery"}); err != nil {
		t.Fatal(err)
	}
	count := func(t *testing.T, scope database.Scope, table string) int {
		t.Helper()
		var n int
		counted := "tenant_id"
		if table == "users" { // who are of no tenant
			counted = "id"
		}
		err := database.Read(database.WithScope(t.Context(), scope), testkit.DB(t), func(ctx context.Context, tx bun.Tx) error {
			return tx.NewRaw("SELECT count(?) FROM ?", bun.Ident(counted), bun.Ident(table)).Scan(ctx, &n)
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, tt := range []struct {
		name  string
		scope database.Scope
		want  map[string]int
	}{
		{"outside a tenant there is nothing", database.Scope{}, map[string]int{"accounts": 0, "memberships": 0, "credentials": 0, "users": 0}},
		{"in the tenant there is all of it, and who is at home elsewhere", database.Scope{TenantID: home.ID}, map[string]int{"accounts": 2, "memberships": 3, "credentials": 1, "users": 3}},
		{"in another tenant there is none of it", database.Scope{TenantID: other.ID}, map[string]int{"accounts": 0, "memberships": 2, "credentials": 0, "users": 2}},
		{"a member sees his account and its members", database.Scope{TenantID: home.ID, AccountID: account.ID}, map[string]int{"accounts": 1, "memberships": 1, "users": 1}},
		{"at log-in a user sees himself and his memberships", database.Scope{UserID: member.ID}, map[string]int{"accounts": 0, "memberships": 1, "credentials": 0, "users": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for table, want := range tt.want {
				if got := count(t, tt.scope, table); got != want {
					t.Errorf("%d rows of %s, want %d", got, table, want)
				}
			}
		})
	}
	t.Run("changes of another tenant's rows change nothing", func(t *testing.T) {
		t.Parallel()
		for _, table := range []string{"accounts", "memberships"} {
			err := tenancy.InTx(other.System, testkit.DB(t), func(ctx context.Context, tx bun.Tx) error {
				res, err := tx.ExecContext(ctx, "UPDATE ? SET is_active = false WHERE tenant_id = ?", bun.Ident(table), home.ID)
				if err != nil {
					return err
				}
				if n, _ := res.RowsAffected(); n != 0 {
					return fmt.Errorf("changed %d rows of %s", n, table)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		}
	})
}
