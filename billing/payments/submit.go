package payments

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/evidence"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
	"countersign/tenancy"
)

// manualClaim is one person's word that he has paid an invoice.
type manualClaim struct {
	in   SubmitManualInput
	norm string // the reference, normalised
	signature
}

// submit stores a claim together with those that come at the same time. Receipts that come with it are more than a row
// each, and go alone.
func (s *Service) submit(ctx context.Context, c manualClaim) (Response, error) {
	if len(c.in.Files) > 0 {
		return s.submitAlone(ctx, c)
	}
	out, err := s.claims.Do(ctx, crowd{c.by.TenantID, c.by.IsMember()}, c)
	if err = cmp.Or(err, out.err); alone(err) {
		return s.submitAlone(ctx, c)
	}
	return out.answer, err
}

// submitAlone stores a claim in a transaction of its own, which waits for whoever holds the invoice.
func (s *Service) submitAlone(ctx context.Context, c manualClaim) (Response, error) {
	var out outcome[Response]
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		inv, err := invoices.LockReference(ctx, tx, c.in.Invoice)
		if refusal := errs.As(err); err != nil && (refusal == nil || refusal.Kind != errs.KindNotFound) {
			return err
		}
		results, err := s.store(ctx, tx, []manualClaim{c}, []invoices.Locked{inv})
		if err != nil {
			return err
		}
		out = results[0]
		return out.err
	})
	if database.IsUnique(err, "payments_reference_key") { // of an invoice that nothing is waiting for: all that was paid went back
		return Response{}, ErrReferenceCounted.At("transaction_reference")
	}
	return out.answer, idempotency.InProgress(err, c.in.Once)
}

// submitTogether stores claims in one transaction that waits for nobody, and sees of a tenant's accounts only those of the
// members who make them. Claims that cannot be stored together get errAlone.
func (s *Service) submitTogether(ctx context.Context, who crowd, list []manualClaim) ([]outcome[Response], error) {
	out := make([]outcome[Response], len(list))
	var set []manualClaim
	var places []int
	var ids, accounts []uuid.UUID
	var keys idempotency.Many
	for i, c := range list {
		id, err := web.ParseID(c.in.Invoice)
		if err != nil || slices.Contains(ids, id) || !keys.Ask(c.as(ctx), c.in.Once) {
			out[i].err = errAlone
			continue
		}
		set, places, ids = append(set, c), append(places, i), append(ids, id)
		if who.members && !slices.Contains(accounts, c.by.AccountID) {
			accounts = append(accounts, c.by.AccountID)
		}
	}
	if len(set) == 0 {
		return out, nil
	}
	err := tenancy.InTx(tenancy.ForAccounts(ctx, who.tenant, "payments.submit", accounts), s.db, func(ctx context.Context, tx bun.Tx) error {
		found := map[uuid.UUID]invoices.Locked{}
		if err := database.Send(ctx, invoices.SelectFree(ctx, found, ids...)); err != nil {
			return err
		}
		locked := make([]invoices.Locked, len(set))
		for i, id := range ids {
			locked[i] = found[id]
		}
		results, err := s.store(ctx, tx, set, locked)
		if err != nil {
			return err
		}
		for i, o := range results {
			if errors.Is(o.err, ErrInvoiceNotFound) { // or somebody else has locked it, or it is an external id
				o.err = errAlone
			}
			out[places[i]] = o
		}
		return nil
	})
	return settled(out, places, err), nil
}

// prepare looks at what needs the invoice only, and gives the payment as it would be stored.
func (s *Service) prepare(ctx context.Context, c manualClaim, inv invoices.Locked) (*prepared, error) {
	if inv.Invoice == nil || c.by.IsMember() && (inv.AccountID != c.by.AccountID || inv.FinalizedAt.IsZero()) {
		return nil, ErrInvoiceNotFound
	}
	if c.in.Account != uuid.Nil && c.in.Account != inv.AccountID {
		return nil, ErrOtherAccount.At("account_id")
	}
	p := &Payment{TenantID: inv.TenantID, ID: uuid.Must(uuid.NewV7()), AccountID: inv.AccountID, InvoiceID: inv.ID, Method: c.in.Method,
		Gateway: string(paymentmethods.GatewayOf(c.in.Method)), Currency: inv.Currency, AmountMinor: inv.BalanceMinor, Status: StatusPendingApproval,
		SettlementStatus: "unsettled", ReconciliationStatus: "unmatched", Reference: c.in.Reference, ReferenceNorm: c.norm, Notes: c.in.Notes,
		PaidAt: c.in.PaidAt, SubmittedBy: c.by.UserID, RetryOf: c.in.RetryOf, Version: 1, CreatedAt: inv.At, UpdatedAt: inv.At}
	if err := invoices.CheckPayable(inv.Invoice); err != nil {
		return nil, err
	}
	if err := claimAmount(p, c.in); err != nil {
		return nil, err
	}
	raw, refused := make(map[string]any, len(c.in.Details)), errs.Fields{}
	for key, text := range c.in.Details {
		raw[key] = text
	}
	terms, err := s.addDetails(ctx, p, raw, &refused)
	if err = cmp.Or(err, refused.Err()); err != nil {
		return nil, err
	}
	return &prepared{Payment: p, invoice: inv.Invoice, in: c.in, terms: terms}, nil
}

// store takes claims for different invoices, which are locked; a zero one was not found. An error means that the
// transaction cannot go on; a refusal is in the outcome, and has written nothing.
func (s *Service) store(ctx context.Context, tx bun.Tx, list []manualClaim, locked []invoices.Locked) ([]outcome[Response], error) {
	out, open := make([]outcome[Response], len(list)), make([]*prepared, len(list))
	keys, known := &idempotency.Many{}, newClaimChecks()
	for i, c := range list {
		keys.Ask(c.as(ctx), c.in.Once)
		open[i], out[i].err = s.prepare(ctx, c, locked[i])
	}
	if err := known.read(ctx, keys.Statement(tenancy.ID(ctx)), open); err != nil {
		return nil, err
	}
	for i, c := range list {
		if answer, repeated, err := idempotency.Stored[Response](c.as(ctx), keys, c.in.Once); repeated {
			out[i] = outcome[Response]{answer, err}
			continue
		}
		p := open[i]
		if p == nil {
			continue
		}
		if same := p.repeated(ctx, s); same != nil {
			if c.in.Once != nil {
				c.in.Once.MarkReplayed()
			}
			out[i].answer = newResponse(same, p.invoice)
		} else {
			files, err := p.check(known)
			switch {
			case err != nil:
			case len(list) > 1 && watched(&known.tenant): // who waits for other payments of an account holds back nobody
				out[i].err = errAlone
				continue
			default:
				err = within(ctx, &known.tenant, p.Payment, c.in.Force)
			}
			if refusal := errs.As(err); refusal != nil {
				out[i].err = refusal
				continue
			}
			if err != nil {
				return nil, err
			}
			if out[i].answer, err = s.write(c.as(ctx), tx, p, files); err != nil {
				return nil, err
			}
		}
		if err := idempotency.Keep(c.as(ctx), c.in.Once, out[i].answer); err != nil {
			return nil, err
		}
	}
	return out, nil
}

var (
	insertSightings = database.NewRows("remember references", `
INSERT INTO reference_sightings (reference, seen_by) SELECT DISTINCT unnest($1::bytea[]), unnest($2::bytea[]) ORDER BY 1, 2 ON CONFLICT DO NOTHING`)  // in one order, so that two sets never wait for each other
	insertClaims = database.NewRows("insert payments", `
INSERT INTO payments (tenant_id, id, account_id, invoice_id, method, gateway, amount_minor, currency, status, reference, reference_norm, details, sensitive, notes, paid_at, submitted_by, retry_of, version, created_at, updated_at)
SELECT c.*, c.created_at FROM (SELECT unnest($1::uuid[]) AS tenant_id, unnest($2::uuid[]) AS id, unnest($3::uuid[]) AS account_id, unnest($4::uuid[]) AS invoice_id, unnest($5::text[]) AS method,
    unnest($6::text[]) AS gateway, unnest($7::bigint[]) AS amount, unnest($8::text[]) AS currency, unnest($9::text[]) AS status, unnest($10::text[]) AS reference,
    unnest($11::text[]) AS norm, unnest($12::jsonb[]) AS details, unnest($13::bytea[]) AS sensitive, unnest($14::text[]) AS notes, unnest($15::timestamptz[]) AS paid_at,
    unnest($16::uuid[]) AS submitted_by, unnest($17::uuid[]) AS retry_of, unnest($18::int[]) AS version, unnest($19::timestamptz[]) AS created_at) AS c`)
	attachEvidence = database.NewRows("attach evidence", `
INSERT INTO payment_evidence (tenant_id, payment_id, evidence_id, account_id) SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::uuid[]), unnest($4::uuid[])`)
)

// write writes a claim with its evidence and stops the invoice's clock.
func (s *Service) write(ctx context.Context, tx bun.Tx, c *prepared, files []*evidence.Evidence) (Response, error) {
	recorded, err := s.evidence.Record(ctx, tx, c.AccountID, c.in.Files...)
	if err != nil {
		return Response{}, err
	}
	p := c.Payment
	paid := sql.NullTime{Time: p.PaidAt, Valid: !p.PaidAt.IsZero()}
	database.SendRowWithCommit(ctx, insertClaims, p.TenantID, p.ID, p.AccountID, p.InvoiceID, p.Method, p.Gateway, p.AmountMinor, p.Currency, p.Status,
		p.Reference, p.ReferenceNorm, p.Details, p.Sensitive, p.Notes, paid, database.Nullable(p.SubmittedBy), database.Nullable(p.RetryOf), p.Version, p.CreatedAt)
	p.sendTerms(ctx, c.terms)
	for _, file := range append(files, recorded...) {
		database.SendRowWithCommit(ctx, attachEvidence, p.TenantID, p.ID, file.ID, p.AccountID)
	}
	database.SendRowWithCommit(ctx, insertSightings, s.fingerprint("reference", p.ReferenceNorm), s.fingerprint("tenant", p.TenantID.String()))
	if err := invoices.AddClaim(ctx, tx, c.invoice, s.now()); err != nil {
		return Response{}, err
	}
	var h history
	h.created(p, "payment.submit")
	h.event(EventSubmitted, p, snapshot(p))
	if err := h.write(ctx, s.outbox); err != nil {
		return Response{}, err
	}
	return newResponse(p, c.invoice), nil
}

// claimAmount takes over the amount of the claim, which must be in the invoice's currency (S1-57).
func claimAmount(p *Payment, in SubmitManualInput) error {
	if in.Currency != "" && in.Currency != p.Currency {
		return money.ErrCurrencyMismatch.With("left", in.Currency).With("right", p.Currency)
	}
	if in.Amount == nil {
		return nil
	}
	amount, err := in.Amount(p.Currency)
	if err != nil || amount == nil {
		return err
	}
	if !amount.IsPositive() {
		return ErrAmountNotPositive.At("amount")
	}
	p.AmountMinor = amount.Minor
	return nil
}
