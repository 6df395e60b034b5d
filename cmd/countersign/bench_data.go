package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/tenancy"
)

// benchTenant is a tenant to measure with.
type benchTenant struct {
	id       uuid.UUID
	approver context.Context
	token    string
	accounts int   // customers, numbered from 1
	payments int64 // made so far

	customers []string // tokens of users of the first accounts
	undecided []target // claims that the approver has looked at
}

// asOwner runs statements as the owner of the schema.
func (b *bench) asOwner(ctx context.Context, statements ...string) error {
	db, err := database.Open(database.Config{URL: b.owner, MaxConns: 1})
	if err != nil {
		return err
	}
	defer db.Close()
	for _, s := range statements {
		if strings.TrimSpace(s) == "" {
			continue
		}
		if _, err := db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%.60s…: %w", strings.TrimSpace(s), err)
		}
	}
	return nil
}

// fill makes tenants with people and accounts, through the services where there are few and by SQL where there are many.
func (b *bench) fill(ctx context.Context, prefix string, n int) ([]*benchTenant, error) {
	var list []*benchTenant
	for i := range n {
		slug := fmt.Sprintf("bench-%s-%d", prefix, i)
		t, err := b.tenancy.Create(ctx, "bench", tenancy.CreateInput{Slug: slug, Name: slug, Country: "BD", DefaultCurrency: "USD"})
		if err != nil {
			return nil, err
		}
		system := tenancy.AsSystem(ctx, t.ID, "bench")
		email := "approver@" + slug + ".test"
		person, err := b.accounts.CreateUser(system, accounts.CreateUserInput{Email: email, Name: "Approver", Password: demoPassword, Role: auth.RoleOwner})
		if err != nil {
			return nil, err
		}
		login, err := b.accounts.Login(ctx, accounts.LoginInput{Email: email, Password: demoPassword, Kind: accounts.KindToken})
		if err != nil {
			return nil, err
		}
		if _, err := b.accounts.CreateUser(system, accounts.CreateUserInput{Email: "submitter@" + slug + ".test", Name: "Submitter", Password: demoPassword, Role: auth.RoleOwner}); err != nil {
			return nil, err
		}
		if err := b.billing.Methods.LoadFixtures(system); err != nil {
			return nil, err
		}
		err = b.asOwner(ctx, fmt.Sprintf(`INSERT INTO accounts (tenant_id, id, number, kind, holder, holder_key, country, currency)
			SELECT '%[1]s', %[2]s, 'BENCH-' || g, 'organization', 'Customer ' || g, 'customer ' || g, 'BD', 'USD' FROM generate_series(1, %[3]d) g`, t.ID, benchID("g", t.ID, "a"), b.Accounts/n))
		if err != nil {
			return nil, err
		}
		list = append(list, &benchTenant{id: t.ID, accounts: b.Accounts / n, token: login.Secret, approver: tenancy.Enter(ctx, auth.Principal{Kind: auth.KindUser, UserID: person.UserID, Label: email,
			TenantID: t.ID, Permissions: auth.PermissionsOf(auth.RoleOwner)})})
	}
	return list, nil
}

// benchID is SQL for the g-th id of a kind in a tenant: ordered in time as real ids are.
func benchID(g string, tenant uuid.UUID, kind string) string {
	return fmt.Sprintf(`(lpad(to_hex(1700000000000 + %[1]s), 12, '0') || '7' || lpad(to_hex(%[1]s %% 4096), 3, '0') || '8' || substr(md5('%[2]s%[3]s' || %[1]s), 1, 15))::uuid`, g, tenant, kind)
}

// claims adds n claims with their invoices to a tenant, in the given status, and gives their ids.
func (b *bench) claims(ctx context.Context, t *benchTenant, n int, status string) error {
	from, to := t.payments+1, t.payments+int64(n)
	t.payments = to
	stamp := "NULL::timestamptz, NULL::bigint"
	if status == "processing" {
		stamp = "now(), 5000::bigint"
	}
	account := benchID(fmt.Sprintf("(1 + g %% %d)", t.accounts), t.id, "a")
	return b.asOwner(ctx,
		fmt.Sprintf(`INSERT INTO invoices (tenant_id, id, account_id, number, status, currency, invoice_date, due_date, subtotal_minor, discount_minor, tax_minor, total_minor, balance_minor, pending_claims, clock_paused_at, finalized_at)
			SELECT '%[1]s', %[2]s, %[3]s, 'BENCH-' || g, 'open', 'USD', current_date, current_date, 5000, 0, 0, 5000, 5000, 1, now(), now() FROM generate_series(%[4]d::bigint, %[5]d::bigint) g`, t.id, benchID("g", t.id, "i"), account, from, to),
		fmt.Sprintf(`INSERT INTO payments (tenant_id, id, account_id, invoice_id, method, gateway, amount_minor, currency, status, reference, reference_norm, submitted_by, approved_at, received_minor, created_at)
			SELECT '%[1]s', %[2]s, %[3]s, %[4]s, 'bank_transfer', 'manual', 5000, 'USD', '%[5]s', 'REF-' || g, 'REF' || g, u.id, %[6]s, now() - interval '1 day' + g * interval '1 second'
			FROM generate_series(%[7]d::bigint, %[8]d::bigint) g, (SELECT u.id FROM users u JOIN memberships m ON m.user_id = u.id WHERE m.tenant_id = '%[1]s' AND u.email LIKE 'submitter%%') u`,
			t.id, benchID("g", t.id, "p"), account, benchID("g", t.id, "i"), status, stamp, from, to),
		"ANALYZE payments", "ANALYZE invoices")
}

// customers gives the tokens of users of a tenant's first n accounts, who are made when they are first asked for.
func (b *bench) customers(ctx context.Context, t *benchTenant, n int) ([]string, error) {
	system := tenancy.AsSystem(ctx, t.id, "bench")
	for i := len(t.customers); i < n; i++ {
		account, err := b.benchIDOf(t, int64(i+1), "a")
		if err != nil {
			return nil, err
		}
		email := fmt.Sprintf("customer-%d@%s.test", i, t.id)
		if _, err := b.accounts.CreateUser(system, accounts.CreateUserInput{Email: email, Name: "Customer", Password: demoPassword, Role: auth.RoleMember, Account: account.String()}); err != nil {
			return nil, err
		}
		login, err := b.accounts.Login(ctx, accounts.LoginInput{Email: email, Password: demoPassword, Kind: accounts.KindToken})
		if err != nil {
			return nil, err
		}
		t.customers = append(t.customers, login.Secret)
	}
	return t.customers[:n], nil
}

// unpaid adds n open invoices without claims to the g-th account of a tenant and gives their ids.
func (b *bench) unpaid(ctx context.Context, t *benchTenant, g, n int) ([]uuid.UUID, error) {
	account, err := b.benchIDOf(t, int64(g), "a")
	if err != nil {
		return nil, err
	}
	ids := make([]uuid.UUID, n)
	for i := range ids {
		ids[i] = uuid.Must(uuid.NewV7())
	}
	db, err := database.Open(database.Config{URL: b.owner, MaxConns: 1})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	_, err = db.DB.ExecContext(ctx, `INSERT INTO invoices (tenant_id, id, account_id, number, status, currency, invoice_date, due_date, subtotal_minor, discount_minor, tax_minor, total_minor, balance_minor, finalized_at)
		SELECT $1, id, $2, 'UNPAID-' || id, 'open', 'USD', current_date, current_date, 5000, 0, 0, 5000, 5000, now() FROM unnest($3::uuid[]) AS id`, t.id, account, ids)
	return ids, err
}

// idOf gives the id of the g-th payment of a tenant, as benchID made it.
func (b *bench) idOf(t *benchTenant, g int64) (uuid.UUID, error) {
	return b.benchIDOf(t, g, "p")
}

// idsOf gives the ids of the payments of a tenant from one to another.
func (b *bench) idsOf(t *benchTenant, from, to int64) (ids []uuid.UUID, err error) {
	err = tenancy.Read(t.approver, b.db, func(ctx context.Context, tx bun.Tx) error {
		return tx.NewRaw("SELECT "+benchID("g", t.id, "p")+" FROM generate_series(?::bigint, ?::bigint) AS g", from, to).Scan(ctx, &ids)
	})
	return ids, err
}

func (b *bench) benchIDOf(t *benchTenant, g int64, kind string) (id uuid.UUID, err error) {
	err = tenancy.Read(t.approver, b.db, func(ctx context.Context, tx bun.Tx) error {
		return tx.NewRaw("SELECT "+benchID(fmt.Sprint(g), t.id, kind)).Scan(ctx, &id)
	})
	return id, err
}

// history adds settled cash payments to a tenant until it has as many as asked for. Foreign keys are not checked: there
// are no invoices, and the accounts are those that fill has made.
func (b *bench) history(ctx context.Context, t *benchTenant, rows int64) error {
	const step = 500_000
	for t.payments < rows {
		from, to := t.payments+1, min(t.payments+step, rows)
		t.payments = to
		err := b.asOwner(ctx, "SET session_replication_role = replica", fmt.Sprintf(`INSERT INTO payments (tenant_id, id, account_id, method, gateway, amount_minor, received_minor, applied_minor,
				excess_minor, currency, status, settlement_status, reference, reference_norm, processed_at, created_at)
			SELECT '%[1]s', %[2]s, %[3]s, 'cash', 'cash', 5000, 5000, 5000, 0, 'USD', 'succeeded', 'settled', 'REF-' || g, 'REF' || g, now(), to_timestamp((1700000000000 + g) / 1000.0)
			FROM generate_series(%[4]d::bigint, %[5]d::bigint) g`, t.id, benchID("g", t.id, "p"), benchID(fmt.Sprintf("(1 + g %% %d)", t.accounts), t.id, "a"), from, to))
		if err != nil {
			return err
		}
	}
	return b.asOwner(ctx, "VACUUM ANALYZE payments", "CHECKPOINT")
}

// ledgerHistory adds old transactions of two entries to a tenant's ledger, without triggers, and brings the cached
// balances up to date. Some move money from customers to clearing, the others between customers.
func (b *bench) ledgerHistory(ctx context.Context, t *benchTenant, entries int) error {
	const step = 250_000
	n := entries / 2
	if n == 0 {
		return nil
	}
	every := max(1, n/max(1, b.Hot))
	id := benchID("g", t.id, "h")
	for from := 1; from <= n; from += step {
		to := min(from+step-1, n)
		err := b.asOwner(ctx, "SET session_replication_role = replica",
			fmt.Sprintf(`INSERT INTO ledger_transactions (tenant_id, id, cause, kind, lines, posted_by, created_at)
				SELECT '%[1]s', %[2]s, 'bench:' || g, 'bench_history', 2, 'bench', now() - interval '30 days' FROM generate_series(%[3]d::bigint, %[4]d::bigint) g`, t.id, id, from, to),
			fmt.Sprintf(`WITH chart AS MATERIALIZED (SELECT array_agg(a.id) AS customers, cardinality(array_agg(a.id)) AS n,
					(SELECT c.id FROM ledger_accounts c WHERE c.tenant_id = '%[1]s' AND c.code = 'clearing' AND c.owner = 'bank_transfer') AS clearing
					FROM ledger_accounts a WHERE a.tenant_id = '%[1]s' AND a.code = 'receivable')
				INSERT INTO ledger_entries (tenant_id, transaction_id, line, ledger_account_id, amount_minor, currency, created_at)
				SELECT '%[1]s', %[2]s, e.line, e.account, e.amount, 'USD', now() - interval '30 days'
				FROM chart, generate_series(%[3]d::bigint, %[4]d::bigint) g, LATERAL (VALUES
					(1::smallint, CASE WHEN g %% %[5]d = 0 THEN chart.clearing ELSE chart.customers[1 + (g + 1) %% chart.n] END, 5000::bigint),
					(2::smallint, chart.customers[1 + g %% chart.n], -5000::bigint)) AS e(line, account, amount)`, t.id, id, from, to, every))
		if err != nil {
			return err
		}
	}
	return b.asOwner(ctx, fmt.Sprintf(`INSERT INTO ledger_balances AS b (tenant_id, ledger_account_id, customer_id, code, currency, amount_minor)
			SELECT e.tenant_id, a.id, a.customer_id, a.code, a.currency, sum(e.amount_minor) FROM ledger_entries e JOIN ledger_accounts a ON a.tenant_id = e.tenant_id AND a.id = e.ledger_account_id
			WHERE e.tenant_id = '%s' AND a.customer_id IS NOT NULL GROUP BY e.tenant_id, a.id, a.customer_id, a.code, a.currency
			ON CONFLICT (tenant_id, ledger_account_id) DO UPDATE SET amount_minor = excluded.amount_minor`, t.id),
		"VACUUM ANALYZE ledger_transactions", "VACUUM ANALYZE ledger_entries", "VACUUM ANALYZE ledger_balances", "CHECKPOINT")
}
