package outbox

import (
	"github.com/uptrace/bun"

	"countersign/internal/admin"
	"countersign/internal/apps"
)

// App hands the routes and console pages of jobs and events to the project. db acts as the program's own role.
func (o *Outbox) App(db *bun.DB) apps.App {
	v := &views{db: db, outbox: o}
	return apps.App{Name: "outbox", URLs: v.urls(), Admin: []admin.Section{v.jobSection(), v.runSection(), v.eventSection()}}
}
