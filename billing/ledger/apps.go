package ledger

import (
	"github.com/uptrace/bun"

	"countersign/internal/apps"
)

// App hands the ledger's routes and console pages and its proofs to the project.
func App(db *bun.DB) apps.App {
	v := &views{db: db}
	return apps.App{Name: "ledger", URLs: v.urls(), Admin: v.sections(), Checks: Checks(db, proofs)}
}
