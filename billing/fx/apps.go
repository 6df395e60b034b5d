package fx

import (
	"countersign/billing/ledger"
	"countersign/internal/apps"
)

// App hands the routes, console pages and checks of rates and conversions to the project.
func (s *Service) App() apps.App {
	v := &views{service: s}
	return apps.App{Name: "fx", URLs: v.urls(), Admin: s.sections(), Checks: ledger.Checks(s.db, proofs)}
}
