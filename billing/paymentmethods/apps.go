package paymentmethods

import (
	"countersign/internal/admin"
	"countersign/internal/apps"
)

// App hands the routes and console pages to the project.
func (s *Service) App() apps.App {
	v := &views{service: s}
	return apps.App{Name: "paymentmethods", URLs: v.urls(), Admin: []admin.Section{s.section()}, Sealed: []apps.SealedColumn{sealedSaved}, SealPlain: s.sealPlain}
}
