package payments

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"countersign/accounts"
	"countersign/billing/decisions"
	"countersign/billing/evidence"
	"countersign/billing/invoices"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/tenancy"
)

// known is what the tables know about a set of payments. It is asked in two round trips whatever the number of the
// payments, and a third when receipts have twins: what only needs the payments' ids travels with the statement that
// reads or locks them, the rest follows.
type known struct {
	links     map[uuid.UUID][]uuid.UUID // evidence, by payment
	decisions []decisions.Decision
	anomalies map[uuid.UUID][]Anomaly
	ladder    []decisions.Policy
	tenant    tenancy.Tenant

	accounts  map[uuid.UUID]*accounts.Account
	invoices  map[uuid.UUID]*invoices.Invoice
	people    map[uuid.UUID]*accounts.Person // who submitted, who decided, and who looks
	files     map[uuid.UUID]*evidence.Evidence
	twins     []evidence.Twin
	users     map[uuid.UUID][]uuid.UUID // payments, by evidence
	looking   []uuid.UUID               // users who look, besides the one of the context
	sightings map[uuid.UUID]sighting
	numbers   map[string]uuid.UUID // invoices whose numbers stand in references
}

// sighting is what the payments table and the installation know about a payment's reference and account.
type sighting struct {
	used        int // times, by other payments of the tenant
	elsewhere   bool
	first       bool // of the account
	submissions int  // of the account in the hour before, this one included
}

func newKnown() *known {
	return &known{anomalies: map[uuid.UUID][]Anomaly{}, links: map[uuid.UUID][]uuid.UUID{}, accounts: map[uuid.UUID]*accounts.Account{}, invoices: map[uuid.UUID]*invoices.Invoice{},
		people: map[uuid.UUID]*accounts.Person{}, files: map[uuid.UUID]*evidence.Evidence{}, users: map[uuid.UUID][]uuid.UUID{},
		sightings: map[uuid.UUID]sighting{}, numbers: map[string]uuid.UUID{}}
}

const evidenceOfPayments = `SELECT payment_id, evidence_id FROM payment_evidence WHERE tenant_id = $1 AND payment_id = ANY($2::uuid[]) ORDER BY payment_id, evidence_id`

func selectLinks(ctx context.Context, links map[uuid.UUID][]uuid.UUID, payments ...uuid.UUID) database.Statement {
	return database.Select("read the evidence of payments", evidenceOfPayments, func(row database.Row) error {
		var payment, file uuid.UUID
		err := row.Scan(&payment, &file)
		links[payment] = append(links[payment], file)
		return err
	}, tenancy.ID(ctx), payments)
}

// aboutIDs asks what can be asked before the payments themselves are read.
func (k *known) aboutIDs(ctx context.Context, ids ...uuid.UUID) []database.Statement {
	return []database.Statement{
		selectLinks(ctx, k.links, ids...),
		decisions.SelectOf(ctx, &k.decisions, decisions.SubjectPayment, ids...),
		decisions.SelectLadder(ctx, &k.ladder, decisions.SubjectPayment),
		tenancy.SelectCurrent(ctx, &k.tenant),
		selectAnomalies(ctx, k.anomalies, ids...),
	}
}

const paymentsOfEvidence = `SELECT evidence_id, payment_id FROM payment_evidence WHERE tenant_id = $1 AND evidence_id = ANY($2::uuid[])`

func (k *known) selectUsers(ctx context.Context, files []uuid.UUID) database.Statement {
	return database.Select("read which payments use a file", paymentsOfEvidence, func(row database.Row) error {
		var file, payment uuid.UUID
		err := row.Scan(&file, &payment)
		k.users[file] = append(k.users[file], payment)
		return err
	}, tenancy.ID(ctx), files)
}

// Counts stop at 100: nobody needs to know more.
const selectSightings = `
SELECT q.id,
  (SELECT count(*) FROM (SELECT 1 FROM payments o WHERE o.tenant_id = $1 AND o.reference_norm = q.reference_norm AND o.reference_norm <> ''
     AND o.id <> q.id AND o.deleted_at IS NULL LIMIT 100) x),
  EXISTS (SELECT 1 FROM reference_sightings s WHERE s.reference = q.fingerprint AND s.seen_by <> $2),
  NOT EXISTS (SELECT 1 FROM payments o WHERE o.tenant_id = $1 AND o.account_id = q.account_id AND o.status IN ('succeeded', 'partially_refunded', 'refunded')),
  (SELECT count(*) FROM (SELECT o.created_at FROM payments o WHERE o.tenant_id = $1 AND o.account_id = q.account_id
     AND o.id <= q.id ORDER BY o.id DESC LIMIT 100) x WHERE x.created_at > q.created_at - interval '1 hour')
FROM (SELECT unnest($3::uuid[]) AS id, unnest($4::text[]) AS reference_norm, unnest($5::bytea[]) AS fingerprint, unnest($6::uuid[]) AS account_id,
    unnest($7::timestamptz[]) AS created_at) AS q`

func (k *known) selectSightings(ctx context.Context, s *Service, list []*Payment) database.Statement {
	n := len(list)
	ids, owners := make([]uuid.UUID, n), make([]uuid.UUID, n)
	norms, prints, times := make([]string, n), make([][]byte, n), make([]time.Time, n)
	for i, p := range list {
		ids[i], norms[i], prints[i], owners[i], times[i] = p.ID, p.ReferenceNorm, s.fingerprint("reference", p.ReferenceNorm), p.AccountID, p.CreatedAt
	}
	tenant := tenancy.ID(ctx)
	return database.Select("read what is known of references", selectSightings, func(row database.Row) error {
		var id uuid.UUID
		var seen sighting
		err := row.Scan(&id, &seen.used, &seen.elsewhere, &seen.first, &seen.submissions)
		k.sightings[id] = seen
		return err
	}, tenant, s.fingerprint("tenant", tenant.String()), ids, norms, prints, owners, times)
}

// sender runs statements in one round trip, in a transaction that is open or in one of their own.
type sender func(ctx context.Context, statements ...database.Statement) error

// complete asks the rest.
func (k *known) complete(ctx context.Context, send sender, s *Service, list []*Payment) error {
	if k.tenant.ID == uuid.Nil {
		return tenancy.ErrNoTenant
	}
	if len(list) == 0 {
		return nil
	}
	var accountIDs, invoiceIDs, files, people []uuid.UUID
	var numbers []string
	for _, p := range list {
		accountIDs, invoiceIDs, files = append(accountIDs, p.AccountID), append(invoiceIDs, p.InvoiceID), append(files, k.links[p.ID]...)
		people = append(people, p.SubmittedBy)
		numbers = append(numbers, numbersIn(p.Reference)...)
	}
	for _, d := range k.decisions {
		people = append(people, d.UserID)
	}
	people = append(people, k.looking...)
	if p, _ := auth.From(ctx); p.UserID != uuid.Nil {
		people = append(people, p.UserID)
	}
	ask := []database.Statement{accounts.SelectByIDs(ctx, k.accounts, accountIDs...), invoices.SelectByIDs(ctx, k.invoices, invoiceIDs...), k.selectSightings(ctx, s, list),
		accounts.SelectPeopleByIDs(ctx, k.people, people...)}
	ask = append(ask, selectHeld(ctx, list...)...)
	if len(numbers) > 0 {
		ask = append(ask, invoices.SelectByNumbers(ctx, k.numbers, numbers...))
	}
	if len(files) > 0 {
		ask = append(ask, evidence.SelectByIDs(ctx, k.files, files...), evidence.SelectTwins(ctx, &k.twins, files...), k.selectUsers(ctx, files))
	}
	if err := send(ctx, ask...); err != nil || len(k.twins) == 0 {
		return err
	}
	var alike []uuid.UUID
	for _, t := range k.twins {
		if !slices.Contains(files, t.ID) && !slices.Contains(alike, t.ID) {
			alike = append(alike, t.ID)
		}
	}
	if len(alike) == 0 {
		return nil
	}
	return send(ctx, k.selectUsers(ctx, alike))
}

// filesOf gives the evidence of a payment.
func (k *known) filesOf(p *Payment) []*evidence.Evidence {
	var list []*evidence.Evidence
	for _, id := range k.links[p.ID] {
		list = append(list, k.files[id])
	}
	return list
}
