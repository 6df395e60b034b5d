package payments

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/gateways"
	"countersign/billing/paymentmethods"
	"countersign/internal/database"
	"countersign/tenancy"
)

// The kinds of anomalies.
const (
	anomalyLate         = "late"                 // news that something newer has overtaken
	anomalyFailed       = "failed_after_success" // the provider takes back that it was paid
	anomalyPaidAfterEnd = "paid_after_end"       // money for a payment that has failed, was cancelled or has expired (C-10)
	anomalyAmount       = "wrong_amount"
	anomalyCurrency     = "wrong_currency"
	anomalyReference    = "other_reference" // the provider has two orders for one payment
	anomalyRefunded     = "refunded_elsewhere"
	anomalyRefundFailed = "refund_failed"      // the provider takes back that it has refunded
	anomalyIllegal      = "illegal_transition" // somebody has asked for a step that there is not (S1-32)
	anomalyUnanswered   = "unanswered"         // the provider has not said for two days what became of it
)

// Anomaly is something that was said of a payment and was not believed. It is kept once, changes nothing, and waits for a
// person.
type Anomaly struct {
	bun.BaseModel `bun:"table:payment_anomalies,alias:pa"`

	TenantID    uuid.UUID              `bun:"tenant_id,pk,type:uuid"`
	ID          uuid.UUID              `bun:"id,pk,type:uuid"`
	PaymentID   uuid.UUID              `bun:"payment_id,type:uuid"`
	Kind        string                 `bun:"kind"`
	Source      string                 `bun:"source"`
	Details     paymentmethods.Details `bun:"details,type:jsonb"`
	Fingerprint []byte                 `bun:"fingerprint"`
	CreatedAt   time.Time              `bun:"created_at,nullzero"`
	ResolvedAt  time.Time              `bun:"resolved_at,nullzero"`
	ResolvedBy  uuid.UUID              `bun:"resolved_by,type:uuid,nullzero"`
	Note        string                 `bun:"note"` // of who has dealt with it
}

// AnomalyKinds lists the kinds, as docs/charges.md explains them.
func AnomalyKinds() []string {
	return []string{anomalyLate, anomalyFailed, anomalyPaidAfterEnd, anomalyAmount, anomalyCurrency, anomalyReference, anomalyRefunded, anomalyRefundFailed, anomalyIllegal, anomalyUnanswered}
}

// disbelieve keeps what a provider has said of a payment. What may mean that money is there is not asked for again: a
// person looks at it, and it never counts as given up.
func (s *Service) disbelieve(ctx context.Context, tx bun.Tx, p locked, kind, source string, said gateways.Result) error {
	details := map[string]any{"state": said.State, "status": p.Status}
	for name, text := range map[string]string{"reference": said.Reference, "captured": amountOr(said.Captured), "authorised": amountOr(said.Authorised), "refunded": amountOr(said.Refunded)} {
		if text != "" {
			details[name] = text
		}
	}
	if said.Failure != nil {
		details["failure_code"] = said.Failure.Code
	}
	if refund, ok := said.Details["refund"].(string); ok && kind == anomalyRefundFailed {
		details["refund"] = refund
	}
	if err := s.keepAnomaly(ctx, tx, p.Payment, kind, source, details); err != nil {
		return err
	}
	if kind != anomalyAmount && kind != anomalyCurrency && kind != anomalyReference || p.Status != StatusCreated && p.Status != StatusPending {
		return nil
	}
	before := p.state()
	if err := p.move(ctx, StatusProcessing); err != nil {
		return err
	}
	var h history
	h.changed(EventUpdated, "payment."+source, before, p.Payment, "")
	return h.write(ctx, s.outbox)
}

// keepAnomaly writes an anomaly, unless the same is there.
func (s *Service) keepAnomaly(ctx context.Context, tx bun.Tx, p *Payment, kind, source string, details map[string]any) error {
	a := &Anomaly{TenantID: p.TenantID, ID: uuid.Must(uuid.NewV7()), PaymentID: p.ID, Kind: kind, Source: source, Details: details}
	text := kind
	for _, name := range []string{"state", "reference", "captured", "authorised", "refunded", "failure_code", "to"} {
		text += fmt.Sprintf("\x00%v", details[name])
	}
	for _, name := range []string{"actor", "refund"} {
		if value := details[name]; value != nil {
			text += fmt.Sprintf("\x00%v", value)
		}
	}
	sum := sha256.Sum256([]byte(text))
	a.Fingerprint = sum[:]
	res, err := tx.NewInsert().Model(a).ExcludeColumn("created_at", "resolved_at", "resolved_by", "note").On("CONFLICT (tenant_id, payment_id, fingerprint) DO NOTHING").Exec(ctx)
	if err != nil {
		return fmt.Errorf("keep an anomaly of payment %s: %w", p.ID, err)
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	slog.WarnContext(ctx, "a payment and what was said of it do not fit together", "payment_id", p.ID, "anomaly", kind)
	var h history
	payload := snapshot(p)
	payload.After = map[string]any{"anomaly": kind}
	h.event(EventAnomaly, p, payload)
	h.events[len(h.events)-1].AccountID = uuid.Nil // for staff
	h.note("payment.anomaly", p, kind)
	return h.write(ctx, s.outbox)
}

const anomaliesOf = `SELECT id, payment_id, kind, source, details, created_at, resolved_at, coalesce(resolved_by, ` + zeroID + `), note FROM payment_anomalies WHERE tenant_id = $1 AND payment_id = ANY($2::uuid[]) ORDER BY id LIMIT 1000`

// selectAnomalies reads what was said of payments and not believed, the oldest first. Members see none.
func selectAnomalies(ctx context.Context, found map[uuid.UUID][]Anomaly, payments ...uuid.UUID) database.Statement {
	return database.Select("read the anomalies of payments", anomaliesOf, func(row database.Row) error {
		var a Anomaly
		var resolved sql.NullTime
		err := row.Scan(&a.ID, &a.PaymentID, &a.Kind, &a.Source, &a.Details, &a.CreatedAt, &resolved, &a.ResolvedBy, &a.Note)
		a.ResolvedAt = resolved.Time
		found[a.PaymentID] = append(found[a.PaymentID], a)
		return err
	}, tenancy.ID(ctx), payments)
}
