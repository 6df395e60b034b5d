package subscriptions

import (
	"countersign/billing/ledger"
	"countersign/internal/admin"
	"countersign/internal/apps"
)

// App hands the routes, console pages, background work and checks of subscriptions to the project.
func (s *Service) App() apps.App {
	v := &views{service: s}
	return apps.App{Name: "subscriptions", URLs: v.urls(), Admin: []admin.Section{s.section()}, Doorbells: []apps.Doorbell{s.renewDoorbell(), s.chargeDoorbell()}, Checks: ledger.Checks(s.db, proofs)}
}
