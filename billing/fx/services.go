package fx

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/uptrace/bun"

	"countersign/billing/money"
	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/idempotency"
	"countersign/internal/outbox"
	"countersign/tenancy"
)

// Service records rates, and converts.
type Service struct {
	db     *bun.DB
	outbox *outbox.Outbox
	now    func() time.Time
}

// New gives the service.
func New(db *bun.DB, box *outbox.Outbox, now func() time.Time) *Service {
	return &Service{db: db, outbox: box, now: func() time.Time { return now().UTC().Truncate(time.Microsecond) }} // what PostgreSQL keeps
}

// RateInput is a rate to record: one base is so much quote, in major units of both.
type RateInput struct {
	Base, Quote money.Currency
	Rate        decimal.Decimal // positive, with at most ten decimal places
	Source      string
	AsOf        time.Time // zero: now
	Once        *idempotency.Once
}

// RecordRate adds a rate. It needs billing.pricing.manage.
func (s *Service) RecordRate(ctx context.Context, in RateInput) (RateResponse, error) {
	var answer RateResponse
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (RateResponse, error) { return s.recordRate(ctx, tx, in) })
		return err
	})
	return answer, err
}

func (s *Service) recordRate(ctx context.Context, tx bun.Tx, in RateInput) (RateResponse, error) {
	p, _ := auth.From(ctx)
	r := &Rate{TenantID: tenancy.ID(ctx), ID: uuid.Must(uuid.NewV7()), Base: in.Base, Quote: in.Quote, Rate: in.Rate, Source: in.Source, AsOf: in.AsOf, CreatedBy: p.UserID}
	if r.AsOf.IsZero() {
		r.AsOf = s.now()
	}
	if _, err := tx.NewInsert().Model(r).Returning("created_at").Exec(ctx); err != nil {
		return RateResponse{}, fmt.Errorf("insert rate: %w", err)
	}
	if err := s.outbox.Emit(ctx, newRateEvent(r)); err != nil {
		return RateResponse{}, err
	}
	err := audit.Write(ctx, audit.Record{Action: "fx_rate.record", ObjectType: "fx_rate", ObjectID: r.ID,
		After: map[string]any{"base": r.Base, "quote": r.Quote, "rate": r.Rate.String(), "source": r.Source, "as_of": r.AsOf}})
	return newRateResponse(*r), err
}
