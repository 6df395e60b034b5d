package accounts

import (
	"context"
	"time"

	"github.com/google/uuid"

	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/tenancy"
)

// Reset is that somebody set another's password: from then on he could sign in as him.
type Reset struct {
	UserID uuid.UUID
	By     uuid.UUID
}

const insertReset = `INSERT INTO password_resets (tenant_id, id, user_id, set_by, set_at) VALUES ($1, $2, $3, $4, $5)`

// noteReset records that whoever acts has set a user's password. Programs and the user himself leave no record.
func noteReset(ctx context.Context, user uuid.UUID, at time.Time) {
	p, _ := auth.From(ctx)
	if p.UserID == uuid.Nil || p.UserID == user {
		return
	}
	database.SendWithCommit(ctx, database.Change("record who set a password", insertReset, tenancy.ID(ctx), uuid.Must(uuid.NewV7()), user, p.UserID, at))
}

const resetsSince = `SELECT user_id, set_by FROM password_resets WHERE tenant_id = $1 AND set_at > $2`

// SelectResets adds the tenant's resets since a time to list.
func SelectResets(ctx context.Context, list *[]Reset, since time.Time) database.Statement {
	return database.Select("read who set whose password", resetsSince, func(row database.Row) error {
		var r Reset
		err := row.Scan(&r.UserID, &r.By)
		*list = append(*list, r)
		return err
	}, tenancy.ID(ctx), since)
}
