package invoices

import (
	"countersign/billing/ledger"
	"countersign/internal/admin"
	"countersign/internal/apps"
)

// App hands the invoices' routes, console pages and checks to the project.
func (s *Service) App() apps.App {
	v := &views{service: s}
	return apps.App{Name: "invoices", URLs: v.urls(), Admin: []admin.Section{s.section(), s.writeOffSection()}, Checks: ledger.Checks(s.db, proofs)}
}
