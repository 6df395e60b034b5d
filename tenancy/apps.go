package tenancy

import (
	"countersign/internal/admin"
	"countersign/internal/apps"
)

// App hands the tenant's routes and console page to the project.
func (s *Service) App() apps.App {
	v := &views{db: s.db, service: s}
	return apps.App{Name: "tenancy", URLs: v.urls(), Admin: []admin.Section{v.section()}}
}
