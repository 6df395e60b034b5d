package statements

import (
	"time"

	"github.com/uptrace/bun"

	"countersign/internal/apps"
)

// App hands the route and the console page to the project. now says which month is the current one.
func App(db *bun.DB, now func() time.Time) apps.App {
	v := &views{db: db, now: now}
	return apps.App{Name: "statements", URLs: v.urls(), Admin: v.sections()}
}
