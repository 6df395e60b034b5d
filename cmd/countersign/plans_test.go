package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

const (
	crowdRows  = 2000 // rows of the tenant in each table; three neighbours have half as many
	soonEnough = 250  // rows that one step of a plan may look at for a page of 26
)

// walking are the filters of a list that no index serves. What many rows have is found soon, in the order of the list; for what
// few rows have all rows of the tenant are read, or of the customer, by an index that has them. An index for each of these filters would
// make every write dearer. Other filters find what few rows have without reading the others.
var walking = map[string][]string{
	"/users/":                          {"role", "is_active"},
	"/billing/accounts/":               {"kind", "is_active"},
	"/billing/invoices/":               {"status", "overdue", "currency"}, // settlement changes what the first two ask for
	"/billing/invoices/{id}/payments/": {"payment_method", "currency", "status=settled"},
	"/billing/payments/":               {"payment_method", "currency", "status=settled"},
	"/billing/transactions/":           {"payment_method", "currency"},
	"/billing/refunds/":                {"status", "reason"},
	"/billing/payment-anomalies/":      {"status=resolved", "kind"},
	"/billing/write-offs/":             {"status=rejected", "status=reversed"},
	"/billing/payment-methods/":        {"payment_method"},
	"/billing/ledger/accounts/":        {"owner", "currency", "class"},
	"/billing/fx/rates/":               {"quote", "source", "as_of_before"},
	"/billing/fx/conversions/":         {"from_currency", "to_currency"},
	"/billing/webhook-events/":         {"status=ignored"},
	"/billing/audit-log/":              {"action", "object_type", "actor"},
	"/billing/events/":                 {"type", "object_type", "account"},
}

// few are the lists of what no tenant has many of, such as the methods of each country: they may read all of a tenant's rows.
var few = []string{"/billing/payment-method-configs/"}

// S0D-37, W-30, S0-102: every list, with each of its filters and in each of its orders, is read by an index, and reads hardly
// more than it shows, however many rows there are. A list that is added is looked at without being named here. It is not run in parallel:
// other tests' tenants would bend what PostgreSQL believes about a tenant, by which it plans for any values.
func TestListPlans(t *testing.T) {
	e := newEstate(t)
	sent := &statements{}
	db, err := database.Open(database.Config{URL: testkit.OwnerURL(), Role: database.AppRole, MaxConns: 1, Trace: sent.see})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	served := e.Replica(db)
	var lists []web.Route
	for _, route := range program(t, served).routes() {
		if route.List != nil && route.Method == http.MethodGet {
			lists = append(lists, route)
		}
	}
	l := looker{t: t, estate: e, sent: sent, client: served.Anonymous(), seen: map[string]bool{}}
	tables := map[string]bool{"ledger_transactions": true} // of the entries that a page shows
	for _, route := range lists {
		for _, query := range l.ask(e.Owner, l.address(e.Owner, route, e.Second)+"cursor=") {
			if !strings.Contains(query, "LIMIT") {
				continue
			}
			for _, found := range regexp.MustCompile(`(?:FROM|JOIN) "?(\w+)"?`).FindAllStringSubmatch(query, -1) {
				tables[found[1]] = true
			}
		}
	}
	e.crowd(t, slices.Sorted(maps.Keys(tables)))
	for _, route := range lists {
		t.Run(route.Path, func(t *testing.T) {
			l.t, l.client = t, testkit.NewClient(t, served.Handler)
			l.list(e.Owner, route, e.Second)
			l.list(e.Owner, route, e.First)
			if !route.Staff {
				l.list(e.OtherMember, route, e.Second)
				l.list(e.Member, route, e.First)
			}
		})
	}
}

// statements are those that the program has sent.
type statements struct {
	sync.Mutex
	sent []string
}

func (s *statements) see(_ context.Context, queries ...string) {
	s.Lock()
	defer s.Unlock()
	for _, query := range queries {
		if strings.HasPrefix(query, "SELECT") || strings.HasPrefix(query, "WITH") {
			s.sent = append(s.sent, query)
		}
	}
}

func (s *statements) take() []string {
	s.Lock()
	defer s.Unlock()
	taken := s.sent
	s.sent = nil
	return taken
}

// looker asks for lists and looks at how they are read.
type looker struct {
	t      *testing.T
	estate *estate
	sent   *statements
	client *testkit.Client
	next   string          // the page after the one that was asked for last; empty: there is none
	seen   map[string]bool // statements that were looked at
}

// address is that of a list, of a customer's where it is one's, to which a query is appended.
func (l *looker) address(by *billingtest.Person, route web.Route, h holding) string {
	address := apiPrefix + strings.ReplaceAll(route.Path, "{id}", l.object(route.Path, h)) + "?"
	if strings.HasPrefix(route.Path, "/billing/credits/") && by.Role != auth.RoleMember {
		address += "account=" + h.Account + "&"
	}
	return address
}

// object is what the {id} of a path names: the invoice and the payment that the crowd belongs to.
func (l *looker) object(path string, h holding) string {
	switch {
	case strings.HasPrefix(path, "/billing/invoices/"):
		return h.Paid
	case strings.HasPrefix(path, "/billing/payments/"):
		return h.Settled
	default:
		return ""
	}
}

// ask gives the statements that a call sends.
func (l *looker) ask(by *billingtest.Person, address string) []string {
	l.t.Helper()
	token := by.Token()
	l.sent.take()
	answer := l.client.As(token).Get(address).Expect(http.StatusOK)
	l.next, _ = answer.At("next").(string)
	return l.sent.take()
}

// list asks for a list in all ways.
func (l *looker) list(by *billingtest.Person, route web.Route, h holding) {
	address := l.address(by, route, h)
	l.look(by, route, "", address)
	l.look(by, route, "", address+"cursor=")
	for word := range route.List.Ordering {
		for _, order := range []string{word, "-" + word} {
			query := address + "page_size=26&ordering=" + order
			if word == "created_at" {
				query += "&cursor="
			}
			if l.look(by, route, "", query); l.next != "" {
				l.look(by, route, "", l.next)
			}
		}
	}
	for _, f := range route.List.Filters {
		if f.Name == "account" && (by.Role == auth.RoleMember || strings.Contains(address, "account=")) {
			continue // it is there already
		}
		for _, value := range l.values(f) {
			l.look(by, route, f.Name+"="+value, address+"page_size=26&cursor=&"+f.Name+"="+url.QueryEscape(value))
		}
	}
}

// values are what a filter is given: what all rows of the crowd have, what few rows have, and what no row has.
func (l *looker) values(f web.Filter) []string {
	l.t.Helper()
	_, err := f.Parse("nonsense")
	if refused := errs.As(err); refused != nil {
		if allowed, ok := refused.Params["allowed"].(string); ok {
			return strings.Split(allowed, ", ")
		}
	}
	first, second := l.estate.First, l.estate.Second
	times := []string{"2000-01-01", "2100-01-01"}
	values, ok := map[string][]string{
		"account": {first.Account, second.Account}, "account_id": {first.Account, second.Account}, "owner": {first.Account, "nobody"},
		"payment": {first.Settled, second.Settled, first.Odd, second.Odd}, "payment_id": {first.Settled, second.Settled},
		"invoice": {first.Paid, second.Paid, first.Lowered, second.Lowered}, "invoice_id": {first.Paid, second.Paid}, "object_id": {first.Settled, second.Settled},
		"currency": {"USD", "EUR", "JPY"}, "base": {"EUR", "JPY"}, "quote": {"USD", "JPY"}, "from_currency": {"EUR", "JPY"}, "to_currency": {"USD", "JPY"}, "source": {"manual", "nobody"},
		"created_after": times, "created_before": times, "due_after": times, "due_before": times, "as_of": times, "as_of_before": times,
		"search": {"nothing", "INV", "W"}, "code": {"receivable", "bank"}, "payment_method": {"bank_transfer", "cash"}, "country_code": {"PK", "BD"},
		"action": {"payment.approve", "nothing"}, "object_type": {"payment", "nothing"}, "actor": {"nobody", l.estate.Owner.Email, l.estate.Owner.ID.String()},
		"type": {"payment.approved", "nothing"}, "task": {l.estate.Task, "nothing"}, "gateway": {"sandbox", "nobody"},
	}[f.Name]
	if !ok {
		l.t.Fatalf("say in values what the filter %s may be given", f.Name)
	}
	return values
}

var (
	ofPage = regexp.MustCompile(`LIMIT 2[67]\b`)
	sorted = regexp.MustCompile(`(^|-> +)Sort `)
)

// look asks for a page and looks at the plan of each statement that is sent, unless it was looked at before.
func (l *looker) look(by *billingtest.Person, route web.Route, filter, address string) {
	l.t.Helper()
	limit := int64(soonEnough)
	if slices.Contains(few, route.Path) || l.walks(by, route, filter, address) {
		limit += crowdRows
	}
	pages := 0
	for _, query := range l.ask(by, address) {
		page := ofPage.MatchString(query)
		if page {
			pages++
		}
		if l.seen[query] || strings.Contains(query, "capped") || strings.Contains(query, "sum(e.amount_minor)") {
			continue // a count stops at ten thousand rows, and a balance of the chart is a sum of entries
		}
		l.seen[query] = true
		err := tenancy.Read(by.Ctx, l.estate.DB, func(ctx context.Context, tx bun.Tx) error {
			prepared := strings.Contains(query, "$1") // for any values, which are not known here
			if prepared {                             // few rows may be sorted; it is asked whether many can be read in order
				if _, err := tx.ExecContext(ctx, "SET LOCAL enable_sort = off"); err != nil {
					return err
				}
			}
			plan := testkit.Explain(ctx, l.t, tx, query)
			if strings.Contains(plan, "Seq Scan") || prepared && page && sorted.MatchString(plan) && !slices.Contains(few, route.Path) {
				l.t.Errorf("%s for %s: no index has the order, or all is read\n%s\n%s", address, by.Role, query, plan)
			}
			if prepared {
				return nil
			}
			if rows, node := testkit.Analyze(ctx, l.t, tx, query).Most(); rows > limit {
				l.t.Errorf("%s for %s: %s looks at %d rows\n%s\n%s", address, by.Role, node, rows, query, plan)
			}
			return nil
		})
		if err != nil {
			l.t.Fatal(err)
		}
	}
	if pages == 0 {
		l.t.Errorf("%s: no statement of a page was seen", address)
	}
}

// walks says whether a page may read all rows of the tenant: few have what the filter asks for, and no index serves it.
func (l *looker) walks(by *billingtest.Person, route web.Route, filter, address string) bool {
	name, _, _ := strings.Cut(filter, "=")
	if !slices.Contains(walking[route.Path], name) && !slices.Contains(walking[route.Path], filter) {
		return false
	}
	return l.client.As(by.Token()).Get(strings.Replace(address, "cursor=&", "", 1)).Expect(http.StatusOK).Int("count") < crowdRows
}

// crowd multiplies a row of the second customer's, or of the tenant's, in each of the tables, past triggers and the keys of other
// tables: the tenant gets many like it, each ten minutes older than the one before, and three neighbours get some.
func (e *estate) crowd(t *testing.T, tables []string) {
	t.Helper()
	now := time.Now()
	for _, table := range tables {
		err := testkit.OwnerDB(t).RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
			if _, err := tx.ExecContext(ctx, "SET LOCAL session_replication_role = replica"); err != nil {
				return err
			}
			if err := e.multiply(ctx, tx, table, now); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, "ANALYZE ?", bun.Ident(table))
			return err
		})
		if err != nil {
			t.Fatalf("%s: %v", table, err)
		}
	}
}

// differing are the columns that unique keys ask to differ, and those of which no two rows have the same for long.
var differing = []string{"number", "external_id", "cause", "fingerprint", "replay_key", "email", "reference", "reference_norm", "receipt_number", "user_id", "object_id"}

// changed are columns that are not as in the row that is multiplied, as SQL, where k.n is the number of the new row and k.id its id.
var changed = map[string]map[string]string{
	"refunds":                 {"payment_id": "k.id"},
	"payment_anomalies":       {"payment_id": "k.id"},
	"outbox":                  {"done_at": "r.created_at", "dead_at": "NULL"}, // so that nobody does it
	"inbound_events":          {"status": "'processed'", "processed_at": "r.received_at", "redo_at": "NULL::timestamptz"},
	"write_offs":              {"status": "'posted'", "decided_at": "r.created_at"}, // one may be pending
	"account_payment_methods": {"is_default": "false"},
	"payment_method_configs":  {"country_code": "chr(65 + k.n % 26) || chr(65 + k.n / 26 % 26)", "payment_method": "(ARRAY['cash', 'card', 'mobile_banking', 'voucher', 'bank_transfer', 'local_wallet', 'paypal', 'other'])[1 + k.n / 676 % 8]"},
	"ledger_accounts":         {"owner": "k.id::text", "customer_id": "k.id"},
	"ledger_transactions":     {"payment_id": "k.id", "invoice_id": "k.id", "corrects": "NULL"},
}

// sample says which row is multiplied; more says that any other one of the second customer's will do.
func (e *estate) sample(table string) (where string, more bool) {
	switch table {
	case "payments":
		return "s.id = '" + e.Second.Settled + "'", false
	case "invoices":
		return "s.id = '" + e.Second.Paid + "'", false
	case "users":
		return "s.id = '" + e.Second.User + "'", false
	case "ledger_entries":
		return `s.ledger_account_id = (SELECT a.id FROM ledger_accounts AS a WHERE a.tenant_id = s.tenant_id AND a.code = 'customer_credit' AND a.currency = 'USD'
			AND a.customer_id = '` + e.Second.Account + "')", false
	default:
		return "true", true
	}
}

// multiply gives each of the columns what it needs to differ, whatever the table.
func (e *estate) multiply(ctx context.Context, tx bun.Tx, table string, now time.Time) error {
	var columns []struct {
		Name    string `bun:"name"`
		Type    string `bun:"type"`
		Primary bool   `bun:"primary"`
	}
	err := tx.NewRaw(`SELECT a.attname AS name, format_type(coalesce(nullif(y.typbasetype, 0), y.oid), NULL) AS type, coalesce(a.attnum = ANY (i.indkey), false) AS primary
		FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid LEFT JOIN pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary
		WHERE a.attrelid = ?::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum`, table).Scan(ctx, &columns)
	if err != nil {
		return err
	}
	where, narrow := e.sample(table)
	var names, values []string
	for _, c := range columns {
		value := "r." + c.Name
		switch own, ok := changed[table][c.Name]; {
		case c.Name == "tenant_id" || c.Name == "home_tenant_id":
			value = "k.tenant"
			where += fmt.Sprintf(" AND s.%s = '%s'", c.Name, e.Tenant.ID)
		case ok:
			value = own
		case c.Type == "uuid" && (c.Primary || slices.Contains(differing, c.Name)):
			value = "k.id"
		case c.Type == "bytea" && slices.Contains(differing, c.Name):
			value = "sha256(k.n::text::bytea)"
		case slices.Contains(differing, c.Name):
			value += " || lpad(k.n::text, 6, '0')"
		case strings.HasPrefix(c.Type, "timestamp"):
			value += " - k.n * interval '10 minutes'"
		case c.Type == "date":
			value += " - k.n % 700"
		}
		if c.Name == "account_id" && narrow {
			where += " AND s.account_id = '" + e.Second.Account + "'"
		}
		names, values = append(names, c.Name), append(values, value)
	}
	done, err := tx.NewRaw(`INSERT INTO ?0 (`+strings.Join(names, ", ")+`) SELECT `+strings.Join(values, ", ")+`
		FROM (SELECT s.* FROM ?0 AS s WHERE `+where+` ORDER BY 1, 2 LIMIT 1) AS r,
			(SELECT n, CASE WHEN n <= ?2 THEN ?1 ELSE md5('neighbour' || n % 3) END::uuid AS tenant,
				(lpad(to_hex(floor(extract(epoch FROM ?3::timestamptz - n * interval '10 minutes') * 1000)::bigint), 12, '0') || '7' || substr(md5(n || ?1), 1, 3) || '8' || substr(md5(n || ?1), 4, 15))::uuid AS id
			FROM generate_series(1, ?2 * 3 / 2) AS n) AS k ON CONFLICT DO NOTHING`, bun.Ident(table), e.Tenant.ID.String(), crowdRows, now).Exec(ctx)
	if err != nil {
		return err
	}
	if n, _ := done.RowsAffected(); n < crowdRows {
		return fmt.Errorf("%d rows: there is none to multiply where %s", n, where)
	}
	return nil
}
