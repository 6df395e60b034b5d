package evidence

import (
	"context"
	"encoding/hex"
	"mime"
	"net/url"
	"path"
	"slices"
	"strings"

	"countersign/internal/auth"
	"countersign/internal/carddata"
	"countersign/internal/web"
)

// UploadRequest is what stands beside the file in the form of POST evidence/.
type UploadRequest struct {
	AccountID string `json:"account_id" validate:"max=100"` // staff only, by id or external id
}

// check: staff must name the account, and for members, whose account comes from their login, there is no such field.
func (req UploadRequest) check(ctx context.Context) error {
	if p, _ := auth.From(ctx); p.IsMember() {
		if req.AccountID != "" {
			return web.ErrUnknownField.At("account_id")
		}
		return nil
	}
	return web.Validate(struct {
		AccountID string `json:"account_id" validate:"required"`
	}{req.AccountID})
}

// uploadKey is what a repeated upload has in common with the first.
type uploadKey struct {
	UploadRequest
	SHA256   string `json:"sha256"`
	Filename string `json:"filename"`
}

// Response is an upload as its account and staff see it.
type Response struct {
	ID          string `json:"id"`
	AccountID   string `json:"account_id"`
	SHA256      string `json:"sha256"`
	SizeBytes   int64  `json:"size_bytes"`
	ContentType string `json:"content_type"`
	Filename    string `json:"filename"`
	URL         string `json:"url"` // path of the content
	CreatedAt   string `json:"created_at"`
}

func newResponse(e *Evidence) Response {
	return Response{ID: e.ID.String(), AccountID: e.AccountID.String(), SHA256: hex.EncodeToString(e.SHA256), SizeBytes: e.SizeBytes,
		ContentType: e.ContentType, Filename: e.Filename, URL: "/api/v1/billing/evidence/" + e.ID.String() + "/", CreatedAt: web.Time(e.CreatedAt)}
}

// endings are the file name endings of the content types, the usual one first.
var endings = map[string][]string{
	TypePDF:  {".pdf"},
	TypePNG:  {".png"},
	TypeJPEG: {".jpg", ".jpeg", ".jfif"},
	TypeWebP: {".webp"},
}

// disposition is a Content-Disposition for e. The file gets an ending of its sniffed type, so that nothing that was
// taken as a picture is later opened as what its sender called it.
func disposition(kind string, e *Evidence) string {
	name := e.Filename
	if name == "" {
		name = "evidence"
	}
	known := endings[e.ContentType]
	if !slices.Contains(known, strings.ToLower(path.Ext(name))) {
		name += known[0]
	}
	ascii := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || strings.ContainsRune(`"\%`, c) {
			return '_'
		}
		return c
	}, name)
	ascii = carddata.Mask(ascii) // the letters that are replaced may have kept digits apart
	value := mime.FormatMediaType(kind, map[string]string{"filename": ascii})
	if ascii != name {
		value += "; filename*=UTF-8''" + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	}
	return value
}
