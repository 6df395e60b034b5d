package accounts

import "countersign/internal/apps"

// App hands the routes of accounts, users and credentials to the project.
func (s *Service) App() apps.App {
	v := &views{db: s.db, service: s}
	return apps.App{Name: "accounts", URLs: v.urls()}
}
