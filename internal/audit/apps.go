package audit

import (
	"github.com/uptrace/bun"

	"countersign/internal/apps"
)

// App hands the log's route and its sealing to the project. db acts as the program's own role.
func App(db *bun.DB) apps.App {
	v := &views{db: db}
	return apps.App{Name: "audit", URLs: v.urls(), Doorbells: []apps.Doorbell{sealing(db)}}
}
