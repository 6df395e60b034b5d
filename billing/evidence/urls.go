package evidence

import (
	"net/http"
	"strings"

	"countersign/accounts"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
)

func (v *views) urls() []web.Route {
	return []web.Route{
		{Method: http.MethodPost, Path: "/billing/evidence/", Permission: auth.BillingCreate, Handler: v.upload,
			Tag: "Evidence", Summary: "Upload a receipt", Request: UploadRequest{}, Files: fileField, Response: Response{},
			Status: http.StatusCreated,
			Errors: []*errs.Error{ErrFileRequired, ErrTooManyFiles, ErrFormRequired, ErrMalformedForm, ErrEmpty, ErrFilename, ErrIncomplete, ErrTooLarge,
				ErrUnsupportedType, ErrUnreadable, ErrPictureTooLarge, ErrStorageUnavailable, accounts.ErrUnknownAccount}},
		{Method: http.MethodGet, Path: "/billing/evidence/{id}/", Permission: auth.BillingView, Handler: v.download,
			Tag: "Evidence", Summary: "The file itself", Unwrapped: strings.Join([]string{TypePDF, TypePNG, TypeJPEG, TypeWebP}, ", "), Errors: []*errs.Error{ErrStorageUnavailable}},
	}
}
