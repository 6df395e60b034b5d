package accounts

import (
	"countersign/internal/admin"
	"countersign/internal/apps"
)

// App hands the routes and console pages of accounts, users and credentials to the project.
func (s *Service) App() apps.App {
	v := &views{db: s.db, service: s}
	c := &console{service: s}
	return apps.App{Name: "accounts", URLs: v.urls(), Admin: []admin.Section{c.accountSection(), c.userSection(), c.passwordSection()}}
}
