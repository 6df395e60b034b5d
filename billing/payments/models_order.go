package payments

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/tenancy"
)

// operation is what a provider is asked to do, until its answer is known.
type operation string

const (
	noOperation operation = ""
	opBegin     operation = "begin"
	opCapture   operation = "capture"
	opRelease   operation = "release"
)

// order is what is asked of a provider for a payment: written before it is asked, so that nothing that the provider knows
// is unknown here (W-13). Whoever holds its lease, BusyUntil, is the only one who asks.
type order struct {
	bun.BaseModel `bun:"table:payment_orders,alias:po"`

	TenantID       uuid.UUID          `bun:"tenant_id,pk,type:uuid"`
	PaymentID      uuid.UUID          `bun:"payment_id,pk,type:uuid"`
	AccountID      uuid.UUID          `bun:"account_id,type:uuid,nullzero"`
	Name           string             `bun:"name"`                 // the gateway's, or the tenant's own for an integrator
	ProviderID     string             `bun:"provider_id,nullzero"` // from the provider's first answer on
	Source         string             `bun:"source"`               // the payer's token, or the id of a saved method; empty once the first call is answered
	ReturnURL      string             `bun:"return_url"`           // where the payer's browser comes back to; empty: where the tenant's settings say
	Hold           bool               `bun:"hold"`
	Redirect       *gateways.Redirect `bun:"redirect,type:jsonb,nullzero"`
	Operation      operation          `bun:"operation"`
	OperationID    uuid.UUID          `bun:"operation_id,type:uuid,nullzero"`
	OperationMinor *int64             `bun:"operation_minor"`
	BusyUntil      time.Time          `bun:"busy_until,nullzero"`
	Asked          int                `bun:"asked"`
	NextAskAt      time.Time          `bun:"next_ask_at,nullzero"`
	CreatedAt      time.Time          `bun:"created_at,nullzero"`
}

const (
	// leaseTime is longer than a provider is ever waited for: who has not given his lease back by then is dead.
	leaseTime = time.Minute
	// callTime is how long a provider is waited for with all attempts, and the outcome is written.
	callTime = 40 * time.Second
)

// end forgets an operation that is answered, and the payer's token: no call will need it again.
func (o *order) end() {
	o.Operation, o.OperationID, o.OperationMinor, o.Source = noOperation, uuid.Nil, nil, ""
}

// keep writes what has changed of a locked order.
func (o *order) keep(ctx context.Context, tx bun.Tx) error {
	_, err := tx.NewUpdate().Model(o).Column("provider_id", "source", "redirect", "operation", "operation_id", "operation_minor", "busy_until", "asked", "next_ask_at").
		Where("po.tenant_id = ?", o.TenantID).Where("po.payment_id = ?", o.PaymentID).Exec(ctx)
	if err != nil {
		return fmt.Errorf("change the order of payment %s: %w", o.PaymentID, err)
	}
	return nil
}

// lockOrder gives the order of a locked payment; nil when no provider is asked for it.
func lockOrder(ctx context.Context, tx bun.Tx, payment uuid.UUID) (*order, error) {
	o := &order{}
	err := tx.NewSelect().Model(o).Where("po.tenant_id = ?", tenancy.ID(ctx)).Where("po.payment_id = ?", payment).For("UPDATE").Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lock the order of payment %s: %w", payment, err)
	}
	return o, nil
}

const orderOfPayment = `SELECT payment_id, name, coalesce(provider_id, ''), hold, coalesce(redirect::text, ''), operation FROM payment_orders
WHERE tenant_id = $1 AND payment_id = $2 AND ($3::uuid IS NULL OR account_id = $3)`

// selectOrder reads what is known of a payment at its provider into o, whose PaymentID stays zero when no provider is asked
// for it. Members see their own account's orders only.
func selectOrder(ctx context.Context, o *order, payment uuid.UUID) database.Statement {
	return database.Select("read the order of a payment", orderOfPayment, func(row database.Row) error {
		var redirect string
		if err := row.Scan(&o.PaymentID, &o.Name, &o.ProviderID, &o.Hold, &redirect, &o.Operation); err != nil || redirect == "" {
			return err
		}
		return json.Unmarshal([]byte(redirect), &o.Redirect)
	}, tenancy.ID(ctx), payment, auth.MembersAccount(ctx))
}

// take gets the lease of an order if nobody else has it. ctx is the system's.
func (s *Service) take(ctx context.Context, payment uuid.UUID) (taken bool, err error) {
	now := s.now()
	err = tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		res, err := tx.NewUpdate().Model((*order)(nil)).Set("busy_until = ?", now.Add(leaseTime)).Where("po.tenant_id = ?", tenancy.ID(ctx)).
			Where("po.payment_id = ?", payment).Where("coalesce(po.busy_until, '-infinity') <= ?", now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("take the order of payment %s: %w", payment, err)
		}
		n, err := res.RowsAffected()
		taken = n == 1
		return err
	})
	return taken, err
}

// giveBack gives up a lease without having asked anybody.
func (s *Service) giveBack(ctx context.Context, payment uuid.UUID) error {
	ctx, cancel := asSystem(ctx, "payments.ask")
	defer cancel()
	return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*order)(nil)).Set("busy_until = NULL").Where("po.tenant_id = ?", tenancy.ID(ctx)).Where("po.payment_id = ?", payment).Exec(ctx)
		if err != nil {
			return fmt.Errorf("give back the order of payment %s: %w", payment, err)
		}
		return nil
	})
}

// askFor is how long a payment that nobody finishes is waited for, and from when on people are told that a provider does not
// answer.
const askFor = 48 * time.Hour

// schedule says when the order is asked for next: the older it is the less often, and as long as the payment has not come to
// its end never for the last time, because money may have moved. answers says whether the gateway can be asked; the payment
// of one that cannot is waited for, and then given up. What is spread a little was not begun together only.
func (o *order) schedule(p Status, now time.Time, answers bool) {
	age := now.Sub(o.CreatedAt)
	wait := 24 * time.Hour
	switch {
	case !slices.Contains([]Status{StatusCreated, StatusPending, StatusProcessing, StatusAuthorized}, p), !answers && o.Operation == noOperation && p == StatusAuthorized:
		o.NextAskAt = time.Time{}
		return
	case !answers && o.Operation == noOperation && age < askFor:
		wait = askFor - age
	case age < 15*time.Minute:
		wait = time.Minute
	case age < 2*time.Hour:
		wait = 5 * time.Minute
	case age < askFor:
		wait = time.Hour
	}
	o.NextAskAt = now.Add(wait + rand.N(min(wait/10, 10*time.Minute)+1))
}
