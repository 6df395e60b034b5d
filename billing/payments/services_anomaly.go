package payments

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// ResolveAnomalyInput says how somebody has dealt with an anomaly.
type ResolveAnomalyInput struct {
	ID   uuid.UUID
	Note string
	Once *idempotency.Once
}

// ResolveAnomaly notes that somebody has dealt with what was said of a payment and not believed, such as with the provider.
// It moves no money and no payment; one that waits for its provider is asked for once more, and given up in its time when
// nothing else is open. The caller is staff with billing.reconcile. Errors: ErrAnomalyNotFound, ErrAnomalyResolved.
func (s *Service) ResolveAnomaly(ctx context.Context, in ResolveAnomalyInput) (AnomalyCaseResponse, error) {
	var answer AnomalyCaseResponse
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (AnomalyCaseResponse, error) { return s.resolveAnomaly(ctx, tx, in) })
		return err
	})
	return answer, err
}

func (s *Service) resolveAnomaly(ctx context.Context, tx bun.Tx, in ResolveAnomalyInput) (AnomalyCaseResponse, error) {
	a, err := getAnomaly(ctx, tx, in.ID)
	if err != nil {
		return AnomalyCaseResponse{}, err
	}
	p, err := lock(ctx, tx, a.PaymentID)
	if err != nil {
		return AnomalyCaseResponse{}, err
	}
	var h history
	if err := a.resolve(ctx, tx, p.Payment, in.Note, &h); err != nil {
		return AnomalyCaseResponse{}, err
	}
	if err := s.askOnceMore(ctx, tx, p.Payment); err != nil {
		return AnomalyCaseResponse{}, err
	}
	if err := h.write(ctx, s.outbox); err != nil {
		return AnomalyCaseResponse{}, err
	}
	shown, err := anomalyCases(ctx, tx, []Anomaly{a})
	if err != nil {
		return AnomalyCaseResponse{}, err
	}
	return shown[0], nil
}

// resolve notes how who acts in ctx has dealt with an anomaly of a locked payment, and tells staff.
func (a *Anomaly) resolve(ctx context.Context, tx bun.Tx, p *Payment, note string, h *history) error {
	by, _ := auth.From(ctx)
	a.ResolvedBy, a.Note = by.UserID, note
	err := tx.NewUpdate().Model(a).Column("resolved_by", "note").Set("resolved_at = clock_timestamp()").Where("pa.tenant_id = ?", a.TenantID).Where("pa.id = ?", a.ID).
		Where("pa.resolved_at IS NULL").Returning("resolved_at").Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrAnomalyResolved
	}
	if err != nil {
		return fmt.Errorf("resolve anomaly %s: %w", a.ID, err)
	}
	payload := snapshot(p)
	payload.Before, payload.After = map[string]any{"anomaly": a.Kind}, map[string]any{}
	h.event(EventAnomalyResolved, p, payload)
	h.events[len(h.events)-1].AccountID = uuid.Nil // for staff
	h.note("payment.resolve_anomaly", p, note)
	return nil
}

// askOnceMore has the sweeper look now at a payment that waits for its turn, because of what a person had to look at.
func (s *Service) askOnceMore(ctx context.Context, tx bun.Tx, p *Payment) error {
	if p.Status != StatusCreated && p.Status != StatusPending && p.Status != StatusProcessing {
		return nil
	}
	o, err := lockOrder(ctx, tx, p.ID)
	if err != nil || o == nil || o.BusyUntil.After(s.now()) {
		return err
	}
	o.NextAskAt = s.now()
	return o.keep(ctx, tx)
}
