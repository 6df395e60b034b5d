package subscriptions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/invoices"
	"countersign/internal/apps"
	"countersign/internal/audit"
	"countersign/tenancy"
)

const (
	// batch is how many that are due are brought on before it is looked again which are.
	batch = 50
	// again is when something that could not be done now is tried once more.
	again = time.Hour
)

// reasonInactive is why a subscription was cancelled that nobody has cancelled.
const reasonInactive = "The account is inactive."

// renewDoorbell bills the months that have begun.
func (s *Service) renewDoorbell() apps.Doorbell {
	return apps.Doorbell{Name: "subscriptions.renew", On: []string{EventCreated}, Timeout: 5 * time.Minute, Waiting: tenancy.Due("subscriptions", "renew_at"), Run: s.Renew}
}

// Renew bills every month that has begun in the tenant of ctx, one commit each, until none is due. What cannot be billed is tried
// again in an hour, and holds back no other.
func (s *Service) Renew(ctx context.Context) error {
	for {
		var ids []uuid.UUID
		err := tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
			return tx.NewSelect().Model((*Subscription)(nil)).Column("id").Where("s.tenant_id = ?", tenancy.ID(ctx)).Where("s.renew_at <= ?", s.now()).
				OrderExpr("s.renew_at, s.id").Limit(batch).Scan(ctx, &ids)
		})
		if err != nil {
			return fmt.Errorf("read which subscriptions are due: %w", err)
		}
		for _, id := range ids {
			err := s.renew(ctx, id)
			if err == nil {
				continue
			}
			if ctx.Err() != nil {
				return err
			}
			slog.ErrorContext(ctx, "a month of a subscription cannot be billed", "subscription_id", id, "error", err)
			if err := s.putOff(ctx, id); err != nil {
				return err
			}
		}
		if len(ids) == 0 {
			return nil
		}
	}
}

// renew bills the next month of a subscription, unless somebody else has just done it. One whose account takes no more invoices
// is cancelled.
func (s *Service) renew(ctx context.Context, id uuid.UUID) error {
	return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		sub, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		now := s.now()
		if sub.Status == StatusCancelled || sub.RenewAt.After(now) {
			return nil
		}
		if _, err := accounts.Lock(ctx, tx, sub.AccountID); errors.Is(err, accounts.ErrAccountInactive) {
			return s.cancel(ctx, tx, sub, reasonInactive)
		} else if err != nil {
			return err
		}
		return s.bill(ctx, tx, sub, now)
	})
}

// bill makes the next month with its invoice, and says when the one after it is due.
func (s *Service) bill(ctx context.Context, tx bun.Tx, sub *Subscription, now time.Time) error {
	tenant, err := tenancy.Current(ctx, tx)
	if err != nil {
		return err
	}
	sub.MonthsBilled++
	first, last := sub.month(sub.MonthsBilled)
	inv, err := s.invoices.Bill(ctx, tx, invoices.CreateInput{Account: sub.AccountID.String(), Currency: string(sub.Currency), Lines: []invoices.LineInput{sub.line(first, last)}})
	if err != nil {
		return err
	}
	invoice, err := uuid.Parse(inv.ID)
	if err != nil {
		return fmt.Errorf("read which invoice month %d of subscription %s has: %w", sub.MonthsBilled, sub.ID, err)
	}
	m := &Month{TenantID: sub.TenantID, SubscriptionID: sub.ID, Number: sub.MonthsBilled, AccountID: sub.AccountID, StartsOn: first, EndsOn: last, InvoiceID: invoice, Attempt: 1, ChargeAt: now}
	if _, err := tx.NewInsert().Model(m).Returning("created_at").Exec(ctx); err != nil {
		return fmt.Errorf("insert month %d of subscription %s: %w", m.Number, sub.ID, err)
	}
	sub.RenewAt = sub.dueAt(sub.MonthsBilled+1, tenant.Location())
	if err := update(ctx, tx, sub, "months_billed", "renew_at"); err != nil {
		return err
	}
	err = audit.Write(ctx, audit.Record{Action: "subscription.renew", ObjectType: "subscription", ObjectID: sub.ID, AccountID: sub.AccountID,
		After: map[string]any{"month": m.Number, "invoice_id": invoice, "starts_on": first.Format(time.DateOnly), "ends_on": last.Format(time.DateOnly)}})
	if err != nil {
		return err
	}
	return s.outbox.Emit(ctx, m.event(EventRenewed))
}

// putOff has a subscription that could not be billed wait. Which month is billed next, and from when to when it is, stays.
func (s *Service) putOff(ctx context.Context, id uuid.UUID) error {
	return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		sub, err := lock(ctx, tx, id)
		if err != nil || sub.Status == StatusCancelled || sub.RenewAt.After(s.now()) {
			return err
		}
		sub.RenewAt = s.now().Add(again)
		return update(ctx, tx, sub, "renew_at")
	})
}
