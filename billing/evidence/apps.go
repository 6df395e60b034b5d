package evidence

import (
	"countersign/internal/admin"
	"countersign/internal/apps"
)

// App hands the routes and the console pages to the project.
func (s *Service) App() apps.App {
	v := &views{service: s}
	return apps.App{Name: "evidence", URLs: v.urls(), Admin: []admin.Section{v.section()}}
}
