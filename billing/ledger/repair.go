package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/tenancy"
)

// ErrCaused means that a transaction stands for something that has happened, so that only the inverse of that takes it back.
var ErrCaused = errors.New("ledger.E008 does not name this transaction: what it stands for is taken back where it happened, or it is another tenant's")

// Repair reverses a transaction of the tenant of ctx that was posted past the application: one that nothing has caused, so
// that ledger.E008 names it, and no other, else ErrCaused. It is for operators. Kinds are those of all packages that post;
// reason is for the audit log and must not be empty.
func Repair(ctx context.Context, db *bun.DB, kinds []Kind, transactionID uuid.UUID, reason string) error {
	return tenancy.InTx(ctx, db, func(ctx context.Context, tx bun.Tx) error {
		found, err := causeProof(kinds).names(ctx, tx, transactionID)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%s: %w", transactionID, ErrCaused)
		}
		return Reverse(ctx, tx, transactionID, repairPrefix+transactionID.String(), reason)
	})
}

const repairPrefix = "repair:"

// Unrepaired is SQL for a Proof's Query: whether a transaction t is still there to be reversed, being neither undone by
// Repair nor what undoes.
const Unrepaired = `NOT EXISTS (SELECT FROM ledger_transactions m WHERE m.tenant_id = ?0 AND m.corrects = t.id AND m.cause = '` + repairPrefix + `' || t.id) AND t.cause IS DISTINCT FROM '` + repairPrefix + `' || t.corrects`
