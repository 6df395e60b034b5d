package credits

import (
	"github.com/uptrace/bun"

	"countersign/internal/apps"
)

// App hands the routes to the project.
func App(db *bun.DB) apps.App {
	v := &views{db: db}
	return apps.App{Name: "credits", URLs: v.urls()}
}
