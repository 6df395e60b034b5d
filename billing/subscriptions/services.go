package subscriptions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/billing/payments"
	"countersign/internal/audit"
	"countersign/internal/idempotency"
	"countersign/internal/outbox"
	"countersign/internal/web"
	"countersign/tenancy"
)

// Deps is what subscriptions need; all of it is required.
type Deps struct {
	DB       *bun.DB
	Outbox   *outbox.Outbox
	Methods  *paymentmethods.Service
	Invoices *invoices.Service
	Payments *payments.Service
	Now      func() time.Time
}

// Service makes, bills, charges and cancels subscriptions.
type Service struct {
	db       *bun.DB
	outbox   *outbox.Outbox
	methods  *paymentmethods.Service
	invoices *invoices.Service
	payments *payments.Service
	now      func() time.Time
}

// New gives the service.
func New(d Deps) *Service {
	now := func() time.Time { return d.Now().UTC().Truncate(time.Microsecond) } // what PostgreSQL keeps
	return &Service{db: d.DB, outbox: d.Outbox, methods: d.Methods, invoices: d.Invoices, payments: d.Payments, now: now}
}

// CreateInput is what an account agrees to.
type CreateInput struct {
	Account       string // id or external id
	Line          invoices.LineInput
	Currency      money.Currency // empty: the account's
	PaymentSource uuid.UUID      // a saved method of the account that can be charged
	StartsOn      time.Time      // midnight UTC of a day of the tenant's; zero: today
	Once          *idempotency.Once
}

// Create makes a subscription. Its first month is billed and charged as its first day begins, of today's within seconds. It needs
// billing.subscriptions.manage. Errors: accounts.ErrUnknownAccount and ErrAccountInactive, those of a line, ErrStart,
// invoices.ErrNotPositive when a month would cost nothing, payments.ErrUnknownSource.
func (s *Service) Create(ctx context.Context, in CreateInput) (Response, error) {
	var answer Response
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (Response, error) { return s.create(ctx, tx, in) })
		return err
	})
	return answer, err
}

func (s *Service) create(ctx context.Context, tx bun.Tx, in CreateInput) (Response, error) {
	tenant, err := tenancy.Current(ctx, tx)
	if err != nil {
		return Response{}, err
	}
	account, err := accounts.ResolveField(ctx, tx, "account_id", in.Account)
	if err != nil {
		return Response{}, err
	}
	if _, err := accounts.Lock(ctx, tx, account.ID); err != nil {
		return Response{}, err
	}
	if in.Currency == "" {
		in.Currency = account.Currency
	}
	line, err := invoices.PriceLine(in.Currency, in.Line)
	if err != nil {
		return Response{}, err
	}
	if line.TotalMinor <= 0 {
		return Response{}, invoices.ErrNotPositive.At("unit_price")
	}
	if err := s.checkSource(ctx, tx, in.PaymentSource, account.ID); err != nil {
		return Response{}, err
	}
	sub := &Subscription{TenantID: tenant.ID, ID: uuid.Must(uuid.NewV7()), AccountID: account.ID, Description: line.Description, Currency: in.Currency,
		Quantity: line.Quantity, UnitPrice: line.UnitPrice, TaxRate: line.TaxRate, Credits: line.Credits, AmountMinor: line.TotalMinor, PaymentSource: in.PaymentSource, StartsOn: in.StartsOn, Status: StatusActive}
	if err := sub.begin(tenant, s.now()); err != nil {
		return Response{}, err
	}
	if _, err := tx.NewInsert().Model(sub).Returning("created_at").Exec(ctx); err != nil {
		return Response{}, fmt.Errorf("insert subscription: %w", err)
	}
	if err := s.tell(ctx, "subscription.create", EventCreated, sub, ""); err != nil {
		return Response{}, err
	}
	return newResponse(sub, nil), nil
}

// checkSource looks whether a saved method of the account can be charged (S1-04): payments.ErrUnknownSource. It may be removed
// later; then the provider is asked with what it does not know, and declines.
func (s *Service) checkSource(ctx context.Context, tx bun.Tx, source, account uuid.UUID) error {
	m, err := s.methods.Chargeable(ctx, tx, source)
	if errors.Is(err, web.ErrNotFound) || err == nil && m.AccountID != account {
		return payments.ErrUnknownSource.At("payment_source")
	}
	return err
}

// begin settles the first day.
func (s *Subscription) begin(tenant *tenancy.Tenant, now time.Time) error {
	today := tenant.Today(now)
	if s.StartsOn.IsZero() {
		s.StartsOn = today
	}
	if s.StartsOn.Before(today) || s.StartsOn.After(today.AddDate(1, 0, 0)) {
		return ErrStart.At("starts_on")
	}
	s.RenewAt = s.dueAt(1, tenant.Location())
	return nil
}

// CancelInput names what is cancelled, and why.
type CancelInput struct {
	ID     uuid.UUID
	Reason string
	Once   *idempotency.Once
}

// Cancel ends a subscription: no further month is billed. What was billed before stays owed, and is charged if it was not yet. It
// needs billing.subscriptions.manage. Errors: web.ErrNotFound, ErrCancelled.
func (s *Service) Cancel(ctx context.Context, in CancelInput) (Response, error) {
	var answer Response
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (Response, error) {
			sub, err := lock(ctx, tx, in.ID)
			if err != nil {
				return Response{}, err
			}
			if sub.Status == StatusCancelled {
				return Response{}, ErrCancelled
			}
			if err := s.cancel(ctx, tx, sub, in.Reason); err != nil {
				return Response{}, err
			}
			months, err := monthsOf(ctx, tx, sub.ID)
			if err != nil {
				return Response{}, err
			}
			return newResponse(sub, months), nil
		})
		return err
	})
	return answer, err
}

// cancel ends a subscription that the caller has locked.
func (s *Service) cancel(ctx context.Context, tx bun.Tx, sub *Subscription, reason string) error {
	sub.Status, sub.RenewAt, sub.CancelledAt, sub.CancelReason = StatusCancelled, time.Time{}, s.now(), reason
	if err := update(ctx, tx, sub, "status", "renew_at", "cancelled_at", "cancel_reason"); err != nil {
		return err
	}
	return s.tell(ctx, "subscription.cancel", EventCancelled, sub, reason)
}

func update(ctx context.Context, tx bun.Tx, sub *Subscription, columns ...string) error {
	_, err := tx.NewUpdate().Model(sub).Column(columns...).Where("s.tenant_id = ? AND s.id = ?", sub.TenantID, sub.ID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("update subscription %s: %w", sub.ID, err)
	}
	return nil
}

// tell writes the audit record and the event of one change of a subscription.
func (s *Service) tell(ctx context.Context, action, event string, sub *Subscription, reason string) error {
	err := audit.Write(ctx, audit.Record{Action: action, ObjectType: "subscription", ObjectID: sub.ID, AccountID: sub.AccountID, Reason: reason,
		After: map[string]any{"status": sub.Status, "amount_minor": sub.AmountMinor, "currency": sub.Currency, "starts_on": sub.StartsOn.Format(time.DateOnly),
			"payment_source": sub.PaymentSource, "months_billed": sub.MonthsBilled}})
	if err != nil {
		return err
	}
	return s.outbox.Emit(ctx, sub.event(event))
}
