package evidence

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/idempotency"
	"countersign/internal/web"
	"countersign/tenancy"
)

// fileField is the form field of the one file.
const fileField = "file"

type views struct{ service *Service }

func (v *views) upload(w http.ResponseWriter, r *http.Request) error {
	form, err := ReceiveForm(r, fileField, 1)
	if err != nil {
		return err
	}
	defer form.Close()
	var req UploadRequest
	if err := web.DecodeForm(form.Values, &req); err != nil {
		return err
	}
	if err := req.check(r.Context()); err != nil {
		return err
	}
	if len(form.Files) == 0 {
		return ErrFileRequired.At(fileField)
	}
	file := form.Files[0]
	once, err := idempotency.FromRequest(r, "evidence.upload", uuid.Nil,
		uploadKey{UploadRequest: req, SHA256: hex.EncodeToString(file.SHA256[:]), Filename: file.Filename})
	if err != nil {
		return err
	}
	answer, err := v.service.Upload(r.Context(), UploadInput{Account: req.AccountID, File: file, Once: once})
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusCreated, answer, "")
}

// download gives the content, as an attachment unless a picture is asked for inline, which is how the console shows it
// beside the claim. Whatever it is, it must not run as a page of ours.
func (v *views) download(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	inline, err := wantsInline(r)
	if err != nil {
		return err
	}
	var e *Evidence
	err = tenancy.Read(r.Context(), v.service.db, func(ctx context.Context, tx bun.Tx) (err error) {
		e, err = Get(ctx, tx, id)
		return err
	})
	if err != nil {
		return err
	}
	content, err := v.service.Open(r.Context(), e)
	if err != nil {
		return err
	}
	defer content.Close()
	kind := "attachment"
	if inline && e.IsImage() {
		kind = "inline"
	}
	h := w.Header()
	h.Set("Content-Type", e.ContentType)
	h.Set("Content-Length", strconv.FormatInt(e.SizeBytes, 10))
	h.Set("Content-Disposition", disposition(kind, e))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "private, no-store")
	if _, err := io.CopyN(w, content, e.SizeBytes); err != nil {
		// The head is gone already. Fewer bytes than announced make the server cut the connection, so the client knows.
		slog.WarnContext(r.Context(), "evidence was not sent to its end", "evidence", e.ID, "error", err)
	}
	return nil
}

func wantsInline(r *http.Request) (bool, error) {
	values := r.URL.Query()
	for name := range values {
		if name != "inline" {
			return false, web.ErrUnknownParameter.With("allowed", "inline").At(name)
		}
	}
	switch values.Get("inline") {
	case "", "0":
		return false, nil
	case "1":
		return true, nil
	default:
		return false, web.ErrNotAChoice.With("allowed", "0, 1").At("inline")
	}
}
