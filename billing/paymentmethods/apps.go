package paymentmethods

import "countersign/internal/apps"

// App hands the routes to the project.
func (s *Service) App() apps.App {
	v := &views{service: s}
	return apps.App{Name: "paymentmethods", URLs: v.urls()}
}
