package accounts

import (
	"context"
	"slices"
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

// resetCounts is how long after somebody has set a colleague's password the two may be one person: longer than most
// people are away from their desk without noticing that they cannot sign in.
const resetCounts = 7 * 24 * time.Hour

// ShareLogin says whether, of several users, two may be one person: because one has lately set the password of the other, or
// the same third person could sign in as both. Everybody who is named counts, whatever he is by now: whoever could make him ask could
// make him a customer, or put him out, afterwards. So callers do not name who has acted as a customer: it is the business that
// gives customers their passwords. People has those who are in the tenant, by their ids; the nil id is nobody's.
func ShareLogin(ctx context.Context, people map[uuid.UUID]*Person, now time.Time, ids ...uuid.UUID) (bool, error) {
	var involved []uuid.UUID
	lately := false
	for _, id := range ids {
		if id == uuid.Nil || slices.Contains(involved, id) {
			continue
		}
		involved = append(involved, id)
		p := people[id]
		lately = lately || p == nil || now.Sub(p.ResetAt) < resetCounts
	}
	if !lately {
		return false, nil
	}
	var resets []Reset
	if err := database.Send(ctx, SelectResets(ctx, &resets, now.Add(-resetCounts))); err != nil {
		return false, err
	}
	seen := map[uuid.UUID]bool{}
	for _, id := range involved {
		for _, who := range couldBe(id, resets) {
			if seen[who] {
				return true, nil
			}
			seen[who] = true
		}
	}
	return false, nil
}

// couldBe gives everybody who could have signed in as a person: himself, who set his password, who set theirs, and so on.
func couldBe(id uuid.UUID, resets []Reset) []uuid.UUID {
	found := []uuid.UUID{id}
	for i := 0; i < len(found); i++ {
		for _, r := range resets {
			if r.UserID == found[i] && !slices.Contains(found, r.By) {
				found = append(found, r.By)
			}
		}
	}
	return found
}
