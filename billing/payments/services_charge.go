package payments

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/gateways"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
	"countersign/tenancy"
)

// ChargeInput is money that a provider is asked for.
type ChargeInput struct {
	Account     string // id or external id; empty: the member's own, the invoice's, or none (staff)
	Invoice     string // id or external id; empty: none
	Amount      func(money.Currency) (*money.Money, error)
	Currency    money.Currency
	Source      string // the payer's token, or the id of a saved method (S1-04); empty only for gateways that the tenant has registered himself
	Gateway     string // empty: the tenant's one that takes charges
	ReturnURL   string // where the payer's browser comes back to; empty: where the tenant's settings say
	Hold        bool   // authorise only, and capture later (S1-30)
	Prepayment  bool   // without an invoice: the customer's credit, and not revenue
	Force       bool   // even if an equal payment was made a moment ago
	AllowCredit bool   // what is above the invoice's balance is the customer's credit
	Description string
	Details     map[string]any
	RetryOf     uuid.UUID // the payment that this one follows, which came to nothing; zero: none
	Once        *idempotency.Once

	saved uuid.UUID // whose saved method Source is; zero: it is a token
}

// Charge asks a provider for money (S1-15). The key and the payment are committed before the provider is asked, and its
// answer together with what follows from it; a repetition under the key gets the first answer, waits for it, or goes on
// where the first has ended (C-20). The caller needs billing.create; a member pays for his own account.
//
// A payer who is declined is no error but a Reply with a code. Errors: ErrUnsupportedMethod, ErrInvoiceNotFound, what
// invoices.CheckPayable refuses, ErrPending, ErrOverpayment, ErrRetryOf, the limits', ErrGatewayUnavailable and ErrGatewayMisconfigured, after which the same key
// may be tried again, and those of package idempotency.
func (s *Service) Charge(ctx context.Context, in ChargeInput) (Reply, error) {
	begun, err := idempotency.Look[Reply](ctx, s.db, in.Once)
	switch {
	case err != nil || begun.Answered:
		return begun.Answer, err
	case begun.Subject != uuid.Nil:
		return s.again(ctx, in.Once, begun.Subject)
	}
	if err := s.takeSaved(ctx, &in); err != nil {
		return Reply{}, err
	}
	a, err := s.gatewayFor(ctx, in)
	if err != nil {
		return Reply{}, err
	}
	id := uuid.Must(uuid.NewV7())
	err = s.intend(ctx, in, a, id)
	switch {
	case errors.Is(err, idempotency.ErrTaken):
		if begun, err = idempotency.Look[Reply](ctx, s.db, in.Once); err != nil || begun.Answered {
			return begun.Answer, err
		}
		return s.again(ctx, in.Once, begun.Subject)
	case err != nil:
		return Reply{}, idempotency.InProgress(err, in.Once)
	}
	s.at(ctx, pointClaimed)
	reply, err := s.pursue(ctx, id, true)
	if errors.Is(err, errOvertaken) {
		return s.again(ctx, in.Once, id)
	}
	return reply, err
}

// gatewayFor opens the gateway that a charge names, or the one that takes it.
func (s *Service) gatewayFor(ctx context.Context, in ChargeInput) (gateways.Access, error) {
	name, open := strings.ToLower(in.Gateway), []string{}
	if name == "" && strings.EqualFold(in.Source, string(paymentmethods.GatewayPayPal)) {
		name = string(paymentmethods.GatewayPayPal)
	}
	system := tenancy.AsSystem(ctx, tenancy.ID(ctx), "gateways")
	err := tenancy.Read(system, s.db, func(ctx context.Context, tx bun.Tx) error {
		views, err := s.gateways.List(ctx, tx)
		for _, v := range views {
			if v.Capabilities.Begin && v.Config != nil && v.Config.IsEnabled {
				open = append(open, v.Name)
				if name == "" && !v.Capabilities.Named {
					name = v.Name // by name, the sandbox before stripe: it is there in test mode only
				}
			}
		}
		return err
	})
	if err != nil {
		return gateways.Access{}, err
	}
	unsupported := ErrUnsupportedMethod.With("allowed", strings.Join(append([]string{string(paymentmethods.GatewayCash), string(paymentmethods.GatewayManual)}, open...), ", "))
	if !slices.Contains(open, name) {
		return gateways.Access{}, unsupported.At("gateway")
	}
	a, err := s.gateways.Open(ctx, name)
	if err != nil {
		return a, err
	}
	can := a.Gateway.Capabilities()
	switch {
	case len(can.Currencies) > 0 && !slices.Contains(can.Currencies, in.Currency):
		return a, unsupported.At("currency")
	case in.Source == "" && !can.Named:
		return a, web.ErrRequired.At("payment_source")
	case len(in.Details) > 0 && !freeDetails(a.Gateway.Name()):
		return a, ErrUnknownDetail.At("details." + slices.Sorted(maps.Keys(in.Details))[0])
	case in.Hold && !can.Capture:
		return a, ErrCannotCapture.At("capture")
	}
	return a, nil
}

// methodOf is what the payer uses, as far as the gateway tells.
func methodOf(gateway string) paymentmethods.Method {
	for _, m := range paymentmethods.Methods() {
		if g := paymentmethods.GatewayOf(m); string(g) == gateway && !m.IsManual() {
			return m
		}
	}
	if gateway == "sandbox" {
		return paymentmethods.Card
	}
	return paymentmethods.Other
}

// intend commits the key, the payment and what will be asked for it, with the lease for who asks (S1-35, S1-38).
func (s *Service) intend(ctx context.Context, in ChargeInput, a gateways.Access, id uuid.UUID) error {
	return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		if err := idempotency.Begin(ctx, tx, in.Once, id); err != nil {
			return err
		}
		p := &Payment{TenantID: tenancy.ID(ctx), ID: id, Gateway: a.Gateway.Name(), Method: methodOf(a.Gateway.Name()), Currency: in.Currency, Status: StatusCreated,
			Notes: in.Description, Prepayment: in.Prepayment, RetryOf: in.RetryOf}
		inv, err := s.address(ctx, tx, p, in.Account, in.Invoice)
		if err != nil {
			return err
		}
		if in.saved != uuid.Nil && p.AccountID != in.saved {
			return ErrUnknownSource.At("payment_source")
		}
		if err := p.demand(in.Amount); err != nil {
			return err
		}
		if err := p.fits(ctx, inv, in.AllowCredit); err != nil {
			return err
		}
		p.follow(ctx)
		if err := s.limit(ctx, tx, p, in.Force); err != nil {
			return err
		}
		if err := s.insertPayment(ctx, p, in.Details); err != nil {
			return err
		}
		now := s.now()
		if inv != nil {
			if err := invoices.AddClaim(ctx, tx, inv, now); err != nil {
				return err
			}
		}
		o := &order{TenantID: p.TenantID, PaymentID: id, AccountID: p.AccountID, Name: a.Name, Source: in.Source, ReturnURL: in.ReturnURL, Hold: in.Hold, Operation: opBegin, OperationID: id,
			BusyUntil: now.Add(leaseTime), NextAskAt: now.Add(leaseTime), CreatedAt: now}
		if _, err := tx.NewInsert().Model(o).Exec(ctx); err != nil {
			return err
		}
		var h history
		h.created(p, "payment.charge")
		return h.write(ctx, s.outbox)
	})
}

// address says whose payment it is and what for, and gives the invoice, which it locks; nil without one. A member's is always
// his account's.
func (s *Service) address(ctx context.Context, tx bun.Tx, p *Payment, account, invoice string) (*invoices.Invoice, error) {
	principal, _ := auth.From(ctx)
	p.SubmittedBy = principal.UserID
	p.AccountID = principal.AccountID
	var billed *invoices.Invoice
	if account != "" {
		named, err := accounts.ResolveField(ctx, tx, "account_id", account)
		if err != nil {
			return nil, err
		}
		p.AccountID = named.ID
	}
	if invoice != "" {
		inv, err := invoices.LockReference(ctx, tx, invoice)
		if errors.Is(err, invoices.ErrNotFound) || err == nil && principal.IsMember() && inv.FinalizedAt.IsZero() {
			return nil, ErrInvoiceNotFound
		}
		if err != nil {
			return nil, err
		}
		if p.AccountID != uuid.Nil && p.AccountID != inv.AccountID {
			return nil, ErrOtherAccount.At("invoice_id")
		}
		billed, p.InvoiceID, p.AccountID = inv.Invoice, inv.ID, inv.AccountID
		if inv.Currency != p.Currency {
			return nil, money.ErrCurrencyMismatch.With("left", p.Currency).With("right", inv.Currency)
		}
		if err := invoices.CheckPayable(inv.Invoice); err != nil {
			return nil, err
		}
		if inv.PendingClaims > 0 {
			if t, err := tenancy.Current(ctx, tx); err != nil || !t.AllowParallelClaims {
				return nil, errors.Join(err, ErrPending)
			}
		}
	}
	if p.Prepayment && (p.AccountID == uuid.Nil || p.InvoiceID != uuid.Nil) {
		return nil, ErrPrepaymentOf.At("prepayment")
	}
	if p.AccountID == uuid.Nil {
		return billed, nil
	}
	_, err := accounts.Lock(ctx, tx, p.AccountID)
	return billed, err
}

// demand takes over the amount, which every payment states.
func (p *Payment) demand(amount func(money.Currency) (*money.Money, error)) error {
	if amount == nil {
		return web.ErrRequired.At("amount")
	}
	m, err := amount(p.Currency)
	if err != nil {
		return err
	}
	if !m.IsPositive() {
		return ErrAmountNotPositive.At("amount")
	}
	p.AmountMinor = m.Minor
	return nil
}

const insertOne = `
INSERT INTO payments (tenant_id, id, account_id, invoice_id, method, gateway, amount_minor, currency, status, reference, reference_norm, details, notes, paid_at, submitted_by, prepayment, receipt_number, sensitive, retry_of)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12::jsonb, $13, $14, $15, $16, $17, $18, $19) RETURNING created_at, updated_at`

// insertPayment writes a new payment with what its maker says of it. Its times are the database's.
func (s *Service) insertPayment(ctx context.Context, p *Payment, details map[string]any) error {
	var refused errs.Fields
	terms, err := s.addDetails(ctx, p, details, &refused)
	if err = cmp.Or(err, refused.Err()); err != nil {
		return err
	}
	p.SettlementStatus, p.ReconciliationStatus, p.Version = "unsettled", "unmatched", 1
	paid := sql.NullTime{Time: p.PaidAt, Valid: !p.PaidAt.IsZero()}
	err = database.Send(ctx, database.Select("insert a payment", insertOne, func(row database.Row) error { return row.Scan(&p.CreatedAt, &p.UpdatedAt) },
		p.TenantID, p.ID, database.Nullable(p.AccountID), database.Nullable(p.InvoiceID), p.Method, p.Gateway, p.AmountMinor, p.Currency, p.Status, p.Reference, p.ReferenceNorm,
		p.Details, p.Notes, paid, database.Nullable(p.SubmittedBy), p.Prepayment, sql.NullString{String: p.ReceiptNumber, Valid: p.ReceiptNumber != ""}, p.Sensitive,
		database.Nullable(p.RetryOf)))
	if database.IsUnique(err, "payments_reference_key", "payments_own_reference_key") {
		return ErrReferenceCounted.At("reference")
	}
	if err == nil {
		p.sendTerms(ctx, terms)
	}
	return err
}
