package payments

import (
	"io"
	"net/http"

	"github.com/go-chi/chi/v5"

	"countersign/billing/gateways"
	"countersign/internal/auth"
	"countersign/internal/web"
)

// maxCallback is how many bytes a provider may send.
const maxCallback = 1 << 20

// callback answers a provider as its adapter says: no credential, no envelope.
func (v *Views) callback(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallback))
	if err != nil {
		web.WriteError(w, r, web.ErrBodyTooLarge.Because(err))
		return
	}
	in := gateways.Callback{Method: r.Method, Path: chi.URLParam(r, "*"), Header: r.Header, Query: r.URL.RawQuery, Body: body, Peer: auth.RequestFrom(r.Context()).IP, Arrived: v.service.now()}
	answer, err := v.service.Callback(r.Context(), chi.URLParam(r, "gateway"), chi.URLParam(r, "endpoint"), in)
	if err != nil {
		web.WriteError(w, r, err)
		return
	}
	if answer.ContentType != "" {
		w.Header().Set("Content-Type", answer.ContentType)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(answer.Status)
	w.Write(answer.Body)
}
