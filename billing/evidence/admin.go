package evidence

import (
	"net/http"

	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/web"
)

// section serves receipts to the console's session: the same answer as the API's, under the console's own address,
// where its cookie is known.
func (v *views) section() admin.Section {
	return admin.Section{Name: "evidence", Title: "Receipts", Hidden: true, Permission: auth.BillingView,
		Routes: []web.Route{{Method: http.MethodGet, Path: "/{id}/", Handler: v.download}}}
}
