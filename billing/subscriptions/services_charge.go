package subscriptions

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/apps"
	"countersign/internal/audit"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// chargeDoorbell charges the months that were billed.
func (s *Service) chargeDoorbell() apps.Doorbell {
	return apps.Doorbell{Name: "subscriptions.charge", On: []string{EventRenewed}, Timeout: 5 * time.Minute, Waiting: tenancy.Due("subscription_months", "charge_at"), Run: s.Charge}
}

// Charge charges every month of the tenant of ctx that was billed and waits for it, one after the other. Who cannot be reached is
// asked again in an hour, and holds back no other.
func (s *Service) Charge(ctx context.Context) error {
	for {
		var due []*Month
		err := tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
			due = nil
			return tx.NewSelect().Model(&due).Where("m.tenant_id = ?", tenancy.ID(ctx)).Where("m.charge_at <= ?", s.now()).
				OrderExpr("m.charge_at, m.subscription_id, m.month").Limit(batch).Scan(ctx)
		})
		if err != nil {
			return fmt.Errorf("read which months are to be charged: %w", err)
		}
		for _, m := range due {
			err := s.charge(ctx, m)
			if err == nil {
				continue
			}
			if ctx.Err() != nil {
				return err
			}
			slog.ErrorContext(ctx, "a month of a subscription cannot be charged", "subscription_id", m.SubscriptionID, "month", m.Number, "error", err)
			m.ChargeAt = s.now().Add(again)
			if err := s.keep(ctx, m); err != nil {
				return err
			}
		}
		if len(due) == 0 {
			return nil
		}
	}
}

// charge asks the provider for what is owed on the invoice of a month, under the month's own key, and keeps what came of it. Who
// is not reached, or must wait, is asked again: with the same key as long as the provider may have heard of it, and with another
// one when it is certain that he has not, as after a crash before he was asked.
func (s *Service) charge(ctx context.Context, m *Month) error {
	in, err := s.order(ctx, m)
	if err != nil {
		return err
	}
	if in == nil {
		m.ChargeAt, m.PaymentID = time.Time{}, uuid.Nil
		return s.keep(ctx, m)
	}
	reply, err := s.payments.Charge(ctx, *in)
	if refusal := errs.As(err); err != nil && (refusal == nil || refusal.Kind == errs.KindInternal) {
		return err
	} else if err != nil {
		m.refused(refusal, s.now())
		return s.keep(ctx, m)
	}
	if m.PaymentID, err = uuid.Parse(reply.Charge.ID); err != nil {
		return fmt.Errorf("read which payment month %d of subscription %s has: %w", m.Number, m.SubscriptionID, err)
	}
	var p *payments.Payment
	err = tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		p, err = payments.Get(ctx, tx, reply.Charge.ID) // the answer under the key is the first one, which may be that the payer must act
		return err
	})
	if err != nil {
		return err
	}
	m.became(p, s.now())
	return s.keep(ctx, m)
}

// refused keeps why there is no payment, or when it is tried again.
func (m *Month) refused(refusal *errs.Error, now time.Time) {
	if later(refusal) {
		m.ChargeAt = now.Add(again)
		return
	}
	m.ChargeAt, m.PaymentID = time.Time{}, uuid.Nil
	if !settled(refusal) {
		m.FailureCode = refusal.Code
	}
}

// became keeps what has become of the payment. As long as nobody knows, or the payer must act, it is looked at again.
func (m *Month) became(p *payments.Payment, now time.Time) {
	switch p.Status {
	case payments.StatusCreated, payments.StatusPending, payments.StatusProcessing:
		m.ChargeAt = now.Add(again)
	case payments.StatusFailed:
		if p.FailureCode == payments.ErrNeverReached.Code { // nothing has happened, and nothing will
			m.Attempt++
			m.ChargeAt = now.Add(again)
			return
		}
		m.ChargeAt, m.FailureCode = time.Time{}, payments.DeclinedAs(p).Code
	case payments.StatusCancelled, payments.StatusExpired:
		m.ChargeAt, m.FailureCode = time.Time{}, string(p.Status)
	default:
		m.ChargeAt = time.Time{}
	}
}

// later says of a refusal that it passes: somebody is away, another payment of the invoice is under way, or the account has paid too often
// or too much of late.
func later(refusal *errs.Error) bool {
	switch refusal.Kind {
	case errs.KindRateLimited, errs.KindUnavailable, errs.KindBadGateway:
		return true
	default:
		return refusal.RetryAfter > 0 || refusal.Is(payments.ErrPending) || refusal.Is(payments.ErrOverpayment) || refusal.Is(idempotency.ErrInProgress)
	}
}

// settled says of a refusal that the invoice was paid or voided since it was read: there is nothing to charge.
func settled(refusal *errs.Error) bool {
	return refusal.Is(invoices.ErrAlreadyPaid) || refusal.Is(invoices.ErrVoid) || refusal.Is(invoices.ErrNothingOwed)
}

// order is the charge of a month; nil when nothing is owed and none has begun. The key stands for the month and the attempt alone: who
// asks again after a crash gets the first answer, whatever is owed by then.
func (s *Service) order(ctx context.Context, m *Month) (*payments.ChargeInput, error) {
	once, err := idempotency.FromForm(fmt.Sprintf("subscription-%s-%d-%d", m.SubscriptionID, m.Number, m.Attempt), "subscriptions.charge", m.Number)
	if err != nil {
		return nil, err
	}
	owes := false
	in := &payments.ChargeInput{Invoice: m.InvoiceID.String(), Force: true, Once: once}
	err = tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		sub, err := Get(ctx, tx, m.SubscriptionID)
		if err != nil {
			return err
		}
		inv, err := invoices.Get(ctx, tx, in.Invoice)
		if err != nil {
			return err
		}
		owes = invoices.CheckPayable(inv) == nil
		owed := inv.Balance()
		if m.Attempt > 1 {
			in.RetryOf = m.PaymentID
		}
		in.Source, in.Currency, in.Description = sub.PaymentSource.String(), sub.Currency, sub.Description
		in.Amount = func(money.Currency) (*money.Money, error) { return &owed, nil }
		return nil
	})
	if err != nil || owes {
		return in, err
	}
	// A key is claimed before anything is paid under it: looked at after the invoice, it tells whether this very charge has paid.
	if begun, err := idempotency.Look[payments.Reply](ctx, s.db, once); err != nil || begun.Subject == uuid.Nil {
		return nil, err
	}
	return in, nil
}

// keep writes what came of a month's charge, or when it is tried again, unless somebody else has written the outcome.
func (s *Service) keep(ctx context.Context, m *Month) error {
	return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		done, err := tx.NewUpdate().Model(m).Column("attempt", "charge_at", "payment_id", "failure_code").
			Where("m.tenant_id = ? AND m.subscription_id = ? AND m.month = ?", m.TenantID, m.SubscriptionID, m.Number).Where("m.charge_at IS NOT NULL").Exec(ctx)
		if err != nil {
			return fmt.Errorf("keep the charge of month %d of subscription %s: %w", m.Number, m.SubscriptionID, err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 || !m.ChargeAt.IsZero() {
			return err
		}
		err = audit.Write(ctx, audit.Record{Action: "subscription.charge", ObjectType: "subscription", ObjectID: m.SubscriptionID, AccountID: m.AccountID,
			After: map[string]any{"month": m.Number, "invoice_id": m.InvoiceID, "payment_id": m.PaymentID, "failure_code": m.FailureCode}})
		if err != nil || m.FailureCode == "" {
			return err
		}
		return s.outbox.Emit(ctx, m.event(EventChargeFailed))
	})
}
