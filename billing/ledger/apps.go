package ledger

import (
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/outbox"
)

// App hands the ledger's routes and console pages, its nightly task and its checks to the project.
func App(db *bun.DB, out *outbox.Outbox) apps.App {
	v := &views{db: db}
	return apps.App{Name: "ledger", URLs: v.urls(), Admin: v.sections(), Tasks: []apps.Task{integrityTask(db, out)}, Checks: Checks(db, proofs)}
}
