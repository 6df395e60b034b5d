package accounts_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/accounts/accountstest"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

func TestAccounts(t *testing.T) {
	t.Parallel()
	home := accountstest.NewTenant(t)
	owner := client(t, home.Owner, home.Service)

	t.Run("an account is created, read, changed and listed", func(t *testing.T) {
		t.Parallel()
		a := owner.Post("/billing/accounts/", map[string]any{"holder": "মোহাম্মদ রহমান", "externalId": "crm-1", "email": "AP@Example.test",
			"billing_address": map[string]any{"street": "1 Road", "postalCode": "1000", "country": "Bangladesh"}}).Expect(201)
		id := a.Text("data.id")
		if got := a.Text("data.number"); !strings.HasPrefix(got, "ACC-") || len(got) != 10 {
			t.Errorf("number is %q", got)
		}
		for path, want := range map[string]any{"data.kind": "organization", "data.holder": "মোহাম্মদ রহমান", "data.country": "BD", "data.currency": "USD",
			"data.external_id": "crm-1", "data.email": "ap@example.test", "data.patient_id": nil, "data.is_active": true, "data.default_payment_method": nil,
			"data.billing_address.country": "BD", "data.billing_address.postalCode": "1000"} {
			if got := a.At(path); got != want {
				t.Errorf("%s is %v, want %v", path, got, want)
			}
		}
		if diff := cmp.Diff(a.At("data"), owner.Get("/billing/accounts/"+id+"/").Expect(200).At("data")); diff != "" {
			t.Errorf("read differs from created:\n%s", diff)
		}
		if got := owner.Get("/billing/accounts/crm-1/").Expect(200).Text("data.id"); got != id {
			t.Errorf("by external id: %s, want %s", got, id)
		}
		b := owner.Patch("/billing/accounts/crm-1/", map[string]any{"holder": "Rahman Ltd", "external_id": "", "is_active": false}).Expect(200)
		if b.At("data.external_id") != nil || b.At("data.is_active") != false || b.Text("data.holder") != "Rahman Ltd" {
			t.Errorf("changed to %s", b.Raw)
		}
		owner.Get("/billing/accounts/crm-1/").Refused(404, "not_found")
		owner.Patch("/billing/accounts/"+id+"/", map[string]any{"holder": "Rahman Ltd"}).Expect(200)
		if diff := cmp.Diff([]string{"account.create", "account.update"}, actions(t, home.System, uuid.MustParse(id))); diff != "" {
			t.Errorf("audit log (a change of nothing leaves none):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"account.created", "account.updated"}, events(t, home.System, uuid.MustParse(id))); diff != "" {
			t.Errorf("events:\n%s", diff)
		}
	})

	t.Run("seed 002's body is taken unchanged", func(t *testing.T) {
		t.Parallel()
		a := owner.Post("/billing/accounts/", `{"patientId": "550e8400-e29b-41d4-a716-446655440000", "accountType": "PATIENT",
			"accountHolder": "Mohammad Rahman", "billingAddress": {"street": "123 Medical Center Road", "city": "Dhaka", "division": "BD.3",
			"district": "BD.3.01", "postalCode": "1000", "country": "Bangladesh"},
			"paymentMethods": ["CASH", "CARD", "MOBILE_BANKING"], "defaultPaymentMethod": "CASH"}`).Expect(201)
		if diff := cmp.Diff([]any{"cash", "card", "mobile_banking"}, a.List("data.payment_methods")); diff != "" {
			t.Error(diff)
		}
		for path, want := range map[string]string{"data.kind": "patient", "data.country": "BD", "data.default_payment_method": "cash",
			"data.patient_id": "550e8400-e29b-41d4-a716-446655440000", "data.billing_address.district": "BD.3.01"} {
			if got := a.Text(path); got != want {
				t.Errorf("%s is %q, want %q", path, got, want)
			}
		}
	})

	t.Run("wrong fields are refused by name", func(t *testing.T) {
		t.Parallel()
		for _, c := range []struct {
			name, field string
			body        map[string]any
		}{
			{"no holder", "holder", map[string]any{}},
			{"an empty holder", "holder", map[string]any{"holder": "  "}},
			{"a long holder", "holder", map[string]any{"holder": strings.Repeat("x", 201)}},
			{"a holder given twice with two values", "holder", map[string]any{"holder": "A", "account_holder": "B"}},
			{"an unknown kind", "kind", map[string]any{"holder": "A", "kind": "alien"}},
			{"an unknown country", "country", map[string]any{"holder": "A", "country": "Atlantis"}},
			{"an unknown country in the address", "billing_address.country", map[string]any{"holder": "A", "country": "BD", "billing_address": map[string]any{"country": "Atlantis"}}},
			{"an unknown currency", "currency", map[string]any{"holder": "A", "currency": "XXZ"}},
			{"an unknown method", "payment_methods.1", map[string]any{"holder": "A", "payment_methods": []string{"cash", "barter"}}},
			{"a default method that is not allowed", "default_payment_method", map[string]any{"holder": "A", "payment_methods": []string{"cash"}, "default_payment_method": "voucher"}},
			{"an unknown default method", "default_payment_method", map[string]any{"holder": "A", "default_payment_method": "barter"}},
			{"no e-mail address", "email", map[string]any{"holder": "A", "email": "Bob <bob@x.test>"}},
			{"an address that is a list", "billing_address", map[string]any{"holder": "A", "billing_address": []int{1}}},
			{"an address with a number beyond storing", "billing_address.x.0", map[string]any{"holder": "A", "billing_address": map[string]any{"x": []any{json.Number("1e999999")}}}},
			{"an address too large", "billing_address", map[string]any{"holder": "A", "billing_address": map[string]any{"x": strings.Repeat("x", 9000)}}},
			{"the number", "number", map[string]any{"holder": "A", "number": "ACC-1"}},
		} {
			a := owner.Post("/billing/accounts/", c.body).Refused(400, "validation_failed")
			if _, ok := a.At("errors").(map[string]any)[c.field]; !ok {
				t.Errorf("%s: %s does not blame %s", c.name, a.Raw, c.field)
			}
		}
	})

	t.Run("an external id is given once", func(t *testing.T) {
		t.Parallel()
		owner.Post("/billing/accounts/", map[string]any{"holder": "A", "external_id": "twice"}).Expect(201)
		owner.Post("/billing/accounts/", map[string]any{"holder": "B", "external_id": "twice"}).Refused(409, "external_id_taken")
		other := owner.Post("/billing/accounts/", map[string]any{"holder": "C"}).Expect(201).Text("data.id")
		owner.Patch("/billing/accounts/"+other+"/", map[string]any{"external_id": "twice"}).Refused(409, "external_id_taken")
	})

	t.Run("an external id may hold a slash or look like an id", func(t *testing.T) {
		t.Parallel()
		for _, external := range []string{"crm/7 ü", uuid.NewString()} {
			id := owner.Post("/billing/accounts/", map[string]any{"holder": "A", "external_id": external}).Expect(201).Text("data.id")
			if got := owner.Get("/billing/accounts/" + url.PathEscape(external) + "/").Expect(200).Text("data.id"); got != id {
				t.Errorf("%s gives %s, want %s", external, got, id)
			}
		}
	})

	t.Run("a repeated request gives the first answer", func(t *testing.T) {
		t.Parallel()
		keyed := owner.With("Idempotency-Key", "create-once")
		body := map[string]any{"holder": "Once", "billing_address": map[string]any{"n": 12345678901234567}}
		first := keyed.Post("/billing/accounts/", body).Expect(201)
		again := keyed.Post("/billing/accounts/", body).Expect(201)
		if diff := cmp.Diff(first.At("data"), again.At("data")); diff != "" || again.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("replay differs or does not say so:\n%s", diff)
		}
		keyed.Post("/billing/accounts/", map[string]any{"holder": "Other"}).Refused(409, "idempotency_key_reused")
	})
}

func TestAccountNumbers(t *testing.T) {
	t.Parallel()
	t.Run("100 parallel creates give 100 numbers without a gap", func(t *testing.T) {
		t.Parallel()
		home := accountstest.NewTenant(t)
		numbers := make([]string, 100)
		var wg sync.WaitGroup
		for i := range numbers {
			wg.Go(func() {
				a, err := home.Service.CreateAccount(home.Owner.Ctx, accounts.CreateAccountInput{Holder: "Parallel"})
				if err != nil {
					t.Error(err)
					return
				}
				numbers[i] = a.Number
			})
		}
		wg.Wait()
		slices.Sort(numbers)
		for i, n := range numbers {
			if want := fmt.Sprintf("ACC-%06d", i+1); n != want {
				t.Fatalf("number %d is %s, want %s", i, n, want)
			}
		}
	})
}

func TestAccountReferences(t *testing.T) {
	t.Parallel()
	home, other := accountstest.NewTenant(t), accountstest.NewTenant(t)
	a := home.NewAccountWith(t, accounts.CreateAccountInput{Holder: "Known", ExternalID: "billing-acc-123"})
	read := func(t *testing.T, ctx context.Context, fn func(ctx context.Context, tx bun.Tx) (*accounts.Account, error)) (*accounts.Account, error) {
		t.Helper()
		var got *accounts.Account
		err := tenancy.InTx(ctx, testkit.DB(t), func(ctx context.Context, tx bun.Tx) (err error) {
			got, err = fn(ctx, tx)
			return err
		})
		return got, err
	}
	resolve := func(text string) func(context.Context, bun.Tx) (*accounts.Account, error) {
		return func(ctx context.Context, tx bun.Tx) (*accounts.Account, error) {
			return accounts.Resolve(ctx, tx, text)
		}
	}

	t.Run("an id and an external id name the account in its own tenant only", func(t *testing.T) {
		t.Parallel()
		for _, text := range []string{a.ID.String(), "billing-acc-123"} {
			got, err := read(t, home.System, resolve(text))
			if err != nil || got.ID != a.ID {
				t.Errorf("%s: %v %v", text, got, err)
			}
			if _, err := read(t, other.System, resolve(text)); !errors.Is(err, web.ErrNotFound) {
				t.Errorf("%s in the other tenant: %v", text, err)
			}
		}
	})
	t.Run("an unknown reference in a body blames its field", func(t *testing.T) {
		t.Parallel()
		_, err := read(t, home.System, func(ctx context.Context, tx bun.Tx) (*accounts.Account, error) {
			return accounts.ResolveField(ctx, tx, "account_id", "nobody")
		})
		if !errors.Is(err, accounts.ErrUnknownAccount) {
			t.Fatal(err)
		}
	})
	t.Run("a member resolves no other account", func(t *testing.T) {
		t.Parallel()
		member := home.NewMember(t, home.NewAccount(t, "Mine"))
		if _, err := read(t, member.Ctx, resolve("billing-acc-123")); !errors.Is(err, web.ErrNotFound) {
			t.Fatal(err)
		}
	})
	t.Run("an inactive account cannot be locked for billing", func(t *testing.T) {
		t.Parallel()
		closed := home.NewAccountWith(t, accounts.CreateAccountInput{Holder: "Closed", Inactive: true})
		lock := func(id uuid.UUID) error {
			_, err := read(t, home.System, func(ctx context.Context, tx bun.Tx) (*accounts.Account, error) { return accounts.Lock(ctx, tx, id) })
			return err
		}
		if err := lock(closed.ID); !errors.Is(err, accounts.ErrAccountInactive) {
			t.Error(err)
		}
		if err := lock(a.ID); err != nil {
			t.Error(err)
		}
	})
}

func TestAccountWalls(t *testing.T) {
	t.Parallel()
	home, other := accountstest.NewTenant(t), accountstest.NewTenant(t)
	mine, theirs := home.NewAccount(t, "Mine"), home.NewAccount(t, "Theirs")
	foreign := other.NewAccount(t, "Foreign")

	t.Run("a member reads his own account and nothing else", func(t *testing.T) {
		t.Parallel()
		c := client(t, home.NewMember(t, mine), home.Service)
		c.Get("/billing/accounts/" + mine.ID.String() + "/").Expect(200)
		c.Get("/billing/accounts/"+theirs.ID.String()+"/").Refused(404, "not_found")
		c.Get("/billing/accounts/").Refused(403, "staff_only")
		c.Patch("/billing/accounts/"+mine.ID.String()+"/", map[string]any{"holder": "X"}).Refused(403, "permission_denied")
		c.Post("/billing/accounts/", map[string]any{"holder": "X"}).Refused(403, "permission_denied")
	})
	t.Run("a neighbour's account is as unknown as one that never was", func(t *testing.T) {
		t.Parallel()
		c := client(t, home.Owner, home.Service)
		unknown := c.Get("/billing/accounts/"+uuid.NewString()+"/").Refused(404, "not_found")
		known := c.Get("/billing/accounts/"+foreign.ID.String()+"/").Refused(404, "not_found")
		if unknown.Text("error") != known.Text("error") {
			t.Error("the two answers differ")
		}
		c.Patch("/billing/accounts/"+foreign.ID.String()+"/", map[string]any{"holder": "X"}).Refused(404, "not_found")
		list := c.Get("/billing/accounts/?search=Foreign").Expect(200)
		if list.Int("count") != 0 {
			t.Errorf("the list shows %s", list.Raw)
		}
	})
	t.Run("nobody may do anything without a token", func(t *testing.T) {
		t.Parallel()
		c := testkit.NewClient(t, api(home.Service))
		for _, path := range []string{"/billing/accounts/", "/billing/accounts/" + mine.ID.String() + "/", "/users/", "/auth/me/", "/billing/permissions/"} {
			c.Get(path).Refused(401, "authentication_required")
		}
	})
}

func TestAccountList(t *testing.T) {
	t.Parallel()
	home := accountstest.NewTenant(t)
	home.NewAccountWith(t, accounts.CreateAccountInput{Holder: "Иван Петров", ExternalID: "crm-77", Kind: "refugee"})
	home.NewAccountWith(t, accounts.CreateAccountInput{Holder: "ivanov & sons", Inactive: true})
	home.NewAccountWith(t, accounts.CreateAccountInput{Holder: "50% off_"})
	c := client(t, home.NewUser(t, "viewer"), home.Service)
	for _, tt := range []struct {
		query string
		want  []string
	}{
		{"", []string{"50% off_", "ivanov & sons", "Иван Петров"}},
		{"ordering=created_at", []string{"Иван Петров", "ivanov & sons", "50% off_"}},
		{"kind=REFUGEE", []string{"Иван Петров"}},
		{"is_active=false", []string{"ivanov & sons"}},
		{"search=IVAN", []string{"ivanov & sons"}},
		{"search=" + url.QueryEscape("иван"), []string{"Иван Петров"}},
		{"search=crm-7", []string{"Иван Петров"}},
		{"search=acc-000003", []string{"50% off_"}},
		{"search=" + url.QueryEscape("50%"), []string{"50% off_"}},
		{"search=" + url.QueryEscape("%"), []string{}},
		{"search=petrov", []string{}},
		{"search=IVAN&is_active=true", []string{}},
		{"created_before=2020-01-01", []string{}},
		{"created_after=2020-01-01&page_size=1", []string{"50% off_"}},
	} {
		t.Run("by "+tt.query, func(t *testing.T) {
			t.Parallel()
			got := []string{}
			for _, r := range c.Get("/billing/accounts/?" + tt.query).Expect(200).List("results") {
				got = append(got, r.(map[string]any)["holder"].(string))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("unknown filters and values are refused", func(t *testing.T) {
		t.Parallel()
		for _, query := range []string{"colour=red", "kind=alien", "is_active=maybe", "created_after=yesterday", "ordering=holder"} {
			c.Get("/billing/accounts/?"+query).Refused(400, "validation_failed")
		}
	})
	t.Run("a cursor walks through all accounts", func(t *testing.T) {
		t.Parallel()
		next, n := "/billing/accounts/?page_size=2&cursor=", 0
		for next != "" {
			page := c.Get(next).Expect(200)
			n += len(page.List("results"))
			next, _ = page.At("next").(string)
		}
		if n != 3 {
			t.Errorf("saw %d accounts, want 3", n)
		}
	})
}

func TestAccountListPlans(t *testing.T) {
	t.Parallel()
	home := accountstest.NewTenant(t)
	_, err := testkit.OwnerDB(t).ExecContext(t.Context(), `INSERT INTO accounts (tenant_id, id, number, kind, holder, holder_key, country, currency, external_id, created_at)
		SELECT ?, gen_random_uuid(), 'ACC-' || lpad(n::text, 6, '0'), 'organization', 'Holder ' || n, 'holder ' || n, 'BD', 'USD', 'ext-' || n, now() - n * interval '1 minute'
		FROM generate_series(1, 20000) AS n`, home.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := testkit.OwnerDB(t).ExecContext(t.Context(), "ANALYZE accounts"); err != nil {
		t.Fatal(err)
	}
	search := `((a.number >= 'CRM' AND a.number <= 'CRM' || chr(1114111)) OR (a.holder_key >= 'crm' AND a.holder_key <= 'crm' || chr(1114111))
		OR (a.external_id >= 'crm' AND a.external_id <= 'crm' || chr(1114111)))`
	for _, tt := range []struct{ name, where, index string }{
		{"a search", search, "BitmapOr"},
		{"the first page", "TRUE", "accounts_created_at_idx"},
		{"a number", `a.number >= 'ACC-00777' AND a.number <= 'ACC-00777' || chr(1114111)`, "accounts_number_key"},
		{"a holder", `a.holder_key >= 'holder 777' AND a.holder_key <= 'holder 777' || chr(1114111)`, "accounts_holder_idx"},
		{"an external id", `a.external_id >= 'ext-777' AND a.external_id <= 'ext-777' || chr(1114111)`, "accounts_external_id_key"},
	} {
		t.Run(tt.name+" is served by an index", func(t *testing.T) {
			t.Parallel()
			var plan []string
			err := tenancy.Read(home.System, testkit.DB(t), func(ctx context.Context, tx bun.Tx) error {
				return tx.NewRaw(`EXPLAIN SELECT a.* FROM accounts AS a WHERE a.tenant_id = ? AND `+tt.where+` ORDER BY a.created_at DESC, a.id DESC LIMIT 26`, home.ID).Scan(ctx, &plan)
			})
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.Join(plan, "\n"); !strings.Contains(text, tt.index) || strings.Contains(text, "Seq Scan") {
				t.Errorf("plan does not use %s:\n%s", tt.index, text)
			}
		})
	}
}
