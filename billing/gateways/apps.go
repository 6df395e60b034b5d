package gateways

import "countersign/internal/apps"

// App hands the routes and sealed columns to the project.
func (s *Service) App() apps.App {
	v := &views{service: s}
	return apps.App{Name: "gateways", URLs: v.urls(), Sealed: []apps.SealedColumn{sealedCredentials, sealedPayload, sealedHeaders}}
}
