package payments

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/internal/database"
	"countersign/internal/web"
	"countersign/tenancy"
)

// anomalyCase is an anomaly with what a person looks at who deals with it.
type anomalyCase struct {
	Anomaly
	payment  *Payment
	account  *accounts.Account // nil: nobody who is known here
	resolver *accounts.Person  // nil: it is open, or he is nobody of the tenant's any more
}

// AnomalySpec is what GET payment-anomalies/ understands.
var AnomalySpec = &web.ListSpec{
	Filters: []web.Filter{
		web.Choice("status", "open, which is so when nothing is said; resolved; or all.", map[string]string{"open": "open", "resolved": "resolved", "all": "all"}),
		web.Choice("kind", "What is wrong.", kindWords()),
		web.Identifier("payment", "Anomalies of this payment."),
		web.Instant("created_after", "Kept at this time or later."),
		web.Instant("created_before", "Kept before this time."),
	},
	Ordering: map[string]string{"created_at": "id"},
	Default:  "-created_at",
}

func kindWords() map[string]string {
	words := map[string]string{}
	for _, k := range AnomalyKinds() {
		words[k] = k
	}
	return words
}

// Anomalies gives a page of what was said of the tenant's payments and not believed, for staff.
func (s *Service) Anomalies(ctx context.Context, l web.List) (web.Page[AnomalyCaseResponse], error) {
	var page web.Page[AnomalyCaseResponse]
	err := tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		found, err := web.Paginate(ctx, filterAnomalies(ctx, tx, l), l, "pa", func(a Anomaly) (time.Time, uuid.UUID) { return a.CreatedAt, a.ID })
		if err != nil {
			return err
		}
		page = web.Page[AnomalyCaseResponse]{Count: found.Count, Next: found.Next, Previous: found.Previous}
		page.Items, err = anomalyCases(ctx, tx, found.Items)
		return err
	})
	return page, err
}

func filterAnomalies(ctx context.Context, tx bun.Tx, l web.List) *bun.SelectQuery {
	q := anomalies(ctx, tx)
	switch status, _ := web.Value[string](l, "status"); status {
	case "all":
	case "resolved":
		q = q.Where("pa.resolved_at IS NOT NULL")
	default:
		q = q.Where("pa.resolved_at IS NULL")
	}
	if kind, ok := web.Value[string](l, "kind"); ok {
		q = q.Where("pa.kind = ?", kind)
	}
	if id, ok := web.Value[uuid.UUID](l, "payment"); ok {
		q = q.Where("pa.payment_id = ?", id)
	}
	return l.CreatedBetween(q, "pa")
}

// anomalies selects those of payments that are there: one that was deleted was never started.
func anomalies(ctx context.Context, db bun.IDB) *bun.SelectQuery {
	return db.NewSelect().Model((*Anomaly)(nil)).Where("pa.tenant_id = ?0", tenancy.ID(ctx)).
		Where("NOT EXISTS (SELECT FROM payments AS p WHERE p.tenant_id = ?0 AND p.id = pa.payment_id AND p.deleted_at IS NOT NULL)", tenancy.ID(ctx))
}

// anomalyCases shows anomalies with their payments, in statements whose number does not depend on how many there are.
func anomalyCases(ctx context.Context, tx bun.Tx, list []Anomaly) ([]AnomalyCaseResponse, error) {
	out := make([]AnomalyCaseResponse, len(list))
	if len(list) == 0 {
		return out, nil
	}
	ids, people := make([]uuid.UUID, len(list)), []uuid.UUID{}
	for i, a := range list {
		ids[i], people = a.PaymentID, append(people, a.ResolvedBy)
	}
	found, err := ByIDs(ctx, tx, ids...)
	if err != nil {
		return nil, err
	}
	payments, owners := map[uuid.UUID]*Payment{}, []uuid.UUID{}
	for _, p := range found {
		payments[p.ID], owners = p, append(owners, p.AccountID)
	}
	holders, resolvers := map[uuid.UUID]*accounts.Account{}, map[uuid.UUID]*accounts.Person{}
	if err := database.Send(ctx, accounts.SelectByIDs(ctx, holders, owners...), accounts.SelectPeopleByIDs(ctx, resolvers, people...)); err != nil {
		return nil, err
	}
	for i, a := range list {
		p := payments[a.PaymentID]
		if p == nil {
			return nil, fmt.Errorf("the payment of anomaly %s is gone", a.ID)
		}
		out[i] = newAnomalyCase(anomalyCase{a, p, holders[p.AccountID], resolvers[a.ResolvedBy]})
	}
	return out, nil
}

// LookAtAnomaly gives one anomaly, for staff. Error: ErrAnomalyNotFound.
func (s *Service) LookAtAnomaly(ctx context.Context, id uuid.UUID) (AnomalyCaseResponse, error) {
	var answer AnomalyCaseResponse
	err := tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		a, err := getAnomaly(ctx, tx, id)
		if err != nil {
			return err
		}
		shown, err := anomalyCases(ctx, tx, []Anomaly{a})
		if err == nil {
			answer = shown[0]
		}
		return err
	})
	return answer, err
}

func getAnomaly(ctx context.Context, db bun.IDB, id uuid.UUID) (a Anomaly, err error) {
	err = anomalies(ctx, db).Model(&a).Where("pa.id = ?", id).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return a, ErrAnomalyNotFound
	}
	if err != nil {
		return a, fmt.Errorf("read anomaly: %w", err)
	}
	return a, nil
}

// countAnomalies counts the anomalies that wait for a person.
func countAnomalies(ctx context.Context, tx bun.Tx) (int, error) {
	n, err := anomalies(ctx, tx).Where("pa.resolved_at IS NULL").Count(ctx)
	if err != nil {
		return 0, fmt.Errorf("count open anomalies: %w", err)
	}
	return int(n), nil
}
