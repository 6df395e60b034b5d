package invoices

import "countersign/internal/apps"

// App hands the invoices' routes to the project.
func (s *Service) App() apps.App {
	v := &views{service: s}
	return apps.App{Name: "invoices", URLs: v.urls()}
}
