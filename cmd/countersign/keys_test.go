package main

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/gateways"
	"countersign/billing/invoices"
	"countersign/billing/paymentmethods"
	"countersign/billing/payments"
	"countersign/internal/apps"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/keyring"
	"countersign/internal/settings"
	"countersign/internal/testkit"
	"countersign/migrations"
	"countersign/tenancy"
)

// TestKeysRotate changes keys as an operator does: the new one in front, rotate, and then the old one away (S2-137). It
// has a database of its own, because rotate goes through all tenants.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	url := testkit.NewDatabase(t)
	db, err := database.Open(database.Config{URL: url, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	m, err := database.NewMigrator(db, migrations.Files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	app, err := database.Open(database.Config{URL: url, Role: database.AppRole, MaxConns: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { app.Close() })
	with := func(list string) *project {
		t.Helper()
		p, err := wire(settings.Settings{DataDir: t.TempDir(), SecretKey: base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))), EncryptionKeys: list}, app, time.Now, false)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	counts := func(p *project) map[string]int {
		t.Helper()
		found := map[string]int{}
		if err := p.countSealed(t.Context(), found); err != nil {
			t.Fatal(err)
		}
		return found
	}
	key := func(id string) string {
		return id + ":" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(id, 32)))
	}
	first := with(key("a"))
	tenants, claims := []uuid.UUID{}, []uuid.UUID{}
	for _, slug := range []string{"open", "shut"} {
		tenant, err := first.tenancy.Create(t.Context(), "test", tenancy.CreateInput{Slug: slug, Name: slug, Country: "BD", DefaultCurrency: "USD"})
		if err != nil {
			t.Fatal(err)
		}
		tenants = append(tenants, tenant.ID)
		claims = append(claims, claimWithDetails(t, first, tenant.ID))
		for _, name := range []string{"acme", "bolt"} {
			_, err := first.billing.Gateways.Configure(tenancy.AsSystem(t.Context(), tenant.ID, "test"), gateways.ConfigureInput{Name: name, Gateway: "integrator",
				Secrets: map[string]any{"shared_secret": "the secret of " + name}})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := db.ExecContext(t.Context(), "UPDATE tenants SET is_active = false WHERE id = ?", tenants[1]); err != nil {
		t.Fatal(err)
	}
	if got := counts(first); got["a"] != 6 || len(got) != 1 {
		t.Fatalf("before: %v", got)
	}
	// saved before there was a sealed column: with a number, and without one
	for i, details := range []string{`{"wallet_number":"` + keptNumber + `","bank_name":"City"}`, `{"bank_name":"City"}`} {
		if _, err := db.ExecContext(t.Context(), `INSERT INTO account_payment_methods (tenant_id, id, account_id, payment_method, display_name, details)
			SELECT tenant_id, gen_random_uuid(), id, 'local_wallet', ?, ? FROM accounts WHERE tenant_id = ?`, []string{"Old", "Bare"}[i], details, tenants[1]); err != nil {
			t.Fatal(err)
		}
	}

	both := with(key("b") + "," + key("a"))
	if n, err := both.rotate(t.Context()); err != nil || n != 7 {
		t.Fatalf("rotated %d, %v", n, err)
	}
	if n, err := both.rotate(t.Context()); err != nil || n != 0 {
		t.Errorf("rotated again %d, %v", n, err)
	}
	if got := counts(both); got["b"] != 7 || len(got) != 1 {
		t.Errorf("after: %v", got)
	}
	second := with(key("b"))
	var saved struct {
		TenantID, ID uuid.UUID
		Details      string
		Sensitive    []byte
	}
	if err := db.NewRaw("SELECT tenant_id, id, details, sensitive FROM account_payment_methods WHERE display_name = 'Old'").Scan(t.Context(), &saved); err != nil {
		t.Fatal(err)
	}
	opened, err := second.keys.Open(keyring.Place{Tenant: saved.TenantID, Purpose: "account_payment_methods.sensitive", Row: saved.ID}, saved.Sensitive)
	if err != nil || string(opened) != `{"wallet_number":"`+keptNumber+`"}` || saved.Details != `{"bank_name": "City", "wallet_number": "••••6677"}` {
		t.Errorf("a method that was saved in the clear: %s, and %s, %v", saved.Details, opened, err)
	}
	for i, id := range claims {
		for who, p := range map[string]*project{"the old key alone": first, "the new key": second} {
			var sealed []byte
			if err := db.NewRaw("SELECT sensitive FROM payments WHERE tenant_id = ? AND id = ?", tenants[i], id).Scan(t.Context(), &sealed); err != nil {
				t.Fatal(err)
			}
			opened, err := p.keys.Open(keyring.Place{Tenant: tenants[i], Purpose: "payments.sensitive", Row: id}, sealed)
			if shows := err == nil && string(opened) == `{"/sender_number":"`+claimedNumber+`"}`; shows != (p == second) {
				t.Errorf("the details of a payment with %s: %s, %v", who, opened, err)
			}
		}
	}
	err = second.eachTenantEver(t.Context(), "test", func(ctx context.Context, _ uuid.UUID) error {
		a, err := second.billing.Gateways.Reopen(ctx, "acme")
		if err == nil && a.Credentials.Secrets["shared_secret"] != "the secret of acme" {
			t.Errorf("the secret is %q", a.Credentials.Secrets["shared_secret"])
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := with(key("c")).rotate(t.Context()); err == nil {
		t.Error("what cannot be opened was rotated")
	}

	t.Run("a value that does not open holds back no other", func(t *testing.T) {
		if _, err := db.ExecContext(t.Context(), "UPDATE payments SET sensitive = set_byte(sensitive, length(sensitive) - 1, get_byte(sensitive, length(sensitive) - 1) # 1) WHERE id = ?", claims[0]); err != nil {
			t.Fatal(err)
		}
		n, err := with(key("e") + "," + key("b")).rotate(t.Context())
		if err == nil || n != 6 || strings.Count(err.Error(), "row ") != 1 || !strings.Contains(err.Error(), claims[0].String()) {
			t.Errorf("rotated %d, %v", n, err)
		}
		if n, err := with(key("b") + "," + key("e")).rotate(t.Context()); err != nil || n != 6 { // the broken one names this key already
			t.Errorf("rotated back %d, %v", n, err)
		}
	})

	t.Run("what somebody has changed meanwhile is left alone", func(t *testing.T) {
		column := second.sealed()[0]
		ids := []uuid.UUID{}
		if err := db.NewRaw("SELECT id FROM gateway_configs WHERE tenant_id = ? ORDER BY id", tenants[0]).Scan(t.Context(), &ids); err != nil {
			t.Fatal(err)
		}
		place := keyring.Place{Tenant: tenants[0], Purpose: column.Purpose(), Row: ids[0]}
		fresh := second.keys.Seal(place, []byte("{}"))
		changed := false
		slow := with(key("d") + "," + key("b"))
		slow.apps = []apps.App{{Sealed: []apps.SealedColumn{column}}}
		slow.db = onRead(t, url, func() {
			if !changed {
				changed = true
				if _, err := db.ExecContext(t.Context(), "UPDATE gateway_configs SET credentials = ? WHERE tenant_id = ? AND id = ?", fresh, tenants[0], ids[0]); err != nil {
					t.Error(err)
				}
			}
		})
		if n, err := slow.rotate(t.Context()); err != nil || n != 3 || !changed {
			t.Errorf("rotated %d, %v", n, err)
		}
		var now []byte
		if err := db.NewRaw("SELECT credentials FROM gateway_configs WHERE tenant_id = ? AND id = ?", tenants[0], ids[0]).Scan(t.Context(), &now); err != nil || string(now) != string(fresh) {
			t.Errorf("what was written meanwhile is lost: %v", err)
		}
	})
}

// Numbers of payers that this test alone uses.
const claimedNumber, keptNumber = "+880 1555-446677", "+880 1666-446677"

// claimWithDetails submits a payment with a number that is sealed.
func claimWithDetails(t *testing.T, p *project, tenant uuid.UUID) uuid.UUID {
	t.Helper()
	testkit.Secret(testkit.SecretPersonal, claimedNumber, keptNumber)
	owner := auth.Principal{Kind: auth.KindUser, UserID: uuid.Must(uuid.NewV7()), TenantID: tenant, Role: auth.RoleOwner, Permissions: auth.PermissionsOf(auth.RoleOwner), Label: "owner@keys.test"}
	ctx := tenancy.Enter(t.Context(), owner)
	country, method, name := paymentmethods.Everywhere, string(paymentmethods.BankTransfer), "Bank"
	_, err := p.billing.Methods.CreateConfig(ctx, paymentmethods.ConfigInput{CountryCode: &country, Method: &method, DisplayName: &name})
	if err != nil {
		t.Fatal(err)
	}
	account, err := p.accounts.CreateAccount(ctx, accounts.CreateAccountInput{Kind: "organization", Holder: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	draft, err := p.billing.Invoices.Create(ctx, invoices.CreateInput{Account: account.ID.String(), Lines: []invoices.LineInput{{Description: "Work", Quantity: "1", UnitPrice: "10.00"}}})
	if err == nil {
		_, err = p.billing.Invoices.Finalize(ctx, invoices.FinalizeInput{Invoice: draft.ID})
	}
	if err != nil {
		t.Fatal(err)
	}
	made, err := p.billing.Payments.SubmitManual(ctx, payments.SubmitManualInput{Invoice: draft.ID, Method: paymentmethods.BankTransfer, Reference: "KEYS 1", Details: map[string]string{"sender_number": claimedNumber}})
	if err != nil {
		t.Fatal(err)
	}
	return uuid.MustParse(made.ID)
}

// onRead is a pool of the program's that calls then before the first sealed value is written back.
func onRead(t *testing.T, url string, then func()) *bun.DB {
	t.Helper()
	db, err := database.Open(database.Config{URL: url, Role: database.AppRole, MaxConns: 2, Trace: func(_ context.Context, statements ...string) {
		for _, s := range statements {
			if strings.HasPrefix(s, "UPDATE") {
				then()
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
