package ledger

import (
	"slices"

	"github.com/uptrace/bun"

	"countersign/internal/apps"
)

// App hands the ledger's routes and console pages and its proofs to the project. Kinds are those of all packages that post:
// a transaction of another kind is a finding.
func App(db *bun.DB, kinds []Kind) apps.App {
	v := &views{db: db}
	return apps.App{Name: "ledger", URLs: v.urls(), Admin: v.sections(), Checks: Checks(db, append(slices.Clone(proofs), causeProof(kinds)))}
}
