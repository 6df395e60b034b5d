package audit

import (
	"github.com/uptrace/bun"

	"countersign/internal/admin"
	"countersign/internal/apps"
)

// App hands the log's route, console page and sealing to the project. db acts as the program's own role.
func App(db *bun.DB) apps.App {
	v := &views{db: db}
	return apps.App{Name: "audit", URLs: v.urls(), Admin: []admin.Section{v.section()}, Doorbells: []apps.Doorbell{sealing(db)}, Checks: []apps.Check{chainCheck(db)}}
}
