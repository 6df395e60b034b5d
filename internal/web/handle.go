// Package web is the HTTP side of the house: handlers that return errors, strict decoding, one envelope, lists with
// pages and cursor, and the OpenAPI document of what is really served.
package web

import (
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/i18n"
)

// Handler answers a request or returns an error, never both.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Handle is the only place where an error becomes an answer.
func Handle(h Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			WriteError(w, r, err)
		}
	}
}

var (
	// ErrInternal is what a caller sees of an error that is not his: nothing but the request id.
	ErrInternal = &errs.Error{Kind: errs.KindInternal, Problem: errs.Problem{Code: "internal_error",
		Text: "Something went wrong on our side. Nothing was changed. Tell support the request id."}}
	// ErrNotFound is the answer for every path and id that the caller cannot see.
	ErrNotFound = errs.NotFound("not_found", "There is nothing here, or it is not yours.")
	// ErrMethodNotAllowed means that the path exists and does not know the verb.
	ErrMethodNotAllowed = errs.MethodNotAllowed("method_not_allowed", "This address does not know the method {{.method}}.")
	// ErrTimeout means that the request took longer than the server allows.
	ErrTimeout = errs.Unavailable("timeout", "This took too long and was given up. Look at the state before you try again.")
)

// Status is the HTTP status of an error kind.
func Status(k errs.Kind) int {
	switch k {
	case errs.KindInvalid:
		return http.StatusBadRequest
	case errs.KindUnauthenticated:
		return http.StatusUnauthorized
	case errs.KindPaymentRequired:
		return http.StatusPaymentRequired
	case errs.KindForbidden:
		return http.StatusForbidden
	case errs.KindNotFound:
		return http.StatusNotFound
	case errs.KindMethodNotAllowed:
		return http.StatusMethodNotAllowed
	case errs.KindConflict:
		return http.StatusConflict
	case errs.KindTooLarge:
		return http.StatusRequestEntityTooLarge
	case errs.KindUnsupportedMedia:
		return http.StatusUnsupportedMediaType
	case errs.KindRateLimited:
		return http.StatusTooManyRequests
	case errs.KindUnavailable:
		return http.StatusServiceUnavailable
	case errs.KindBadGateway:
		return http.StatusBadGateway
	default:
		return http.StatusInternalServerError
	}
}

// Public turns any error into the one that the caller may see, and logs what he may not.
func Public(r *http.Request, err error) *errs.Error {
	err = database.Translate(err)
	e := errs.As(err)
	switch {
	case e == nil && r.Context().Err() != nil:
		e = ErrTimeout.Because(err)
	case e == nil && isTooLarge(err):
		e = ErrBodyTooLarge
	case e == nil:
		e = ErrInternal.Because(err)
	}
	switch {
	case errors.Is(e, database.ErrUnavailable):
		slog.ErrorContext(r.Context(), database.Away, "error", err) // operators are alarmed by it (S0D-22)
	case e.Kind == errs.KindInternal || e.Kind == errs.KindUnavailable:
		slog.ErrorContext(r.Context(), "request failed", "code", e.Code, "error", err)
	}
	return e
}

func isTooLarge(err error) bool {
	_, ok := errors.AsType[*http.MaxBytesError](err)
	return ok
}

// WriteError writes the error envelope in the request's language.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	e := Public(r, err)
	body := newErrorBody(r, e)
	body.RequestID = w.Header().Get("X-Request-ID")
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	if e.Kind == errs.KindUnauthenticated {
		w.Header().Set("WWW-Authenticate", `Bearer realm="countersign"`)
	}
	writeJSON(w, Status(e.Kind), body)
}

// NewErrorBody gives what a caller may see of err, in the request's language, for answers that hold several outcomes.
func NewErrorBody(r *http.Request, err error) ErrorBody { return newErrorBody(r, Public(r, err)) }

func newErrorBody(r *http.Request, e *errs.Error) ErrorBody {
	lang := i18n.From(r.Context())
	return ErrorBody{Code: e.Code, Error: sentence(lang, e.Problem), Errors: translate(lang, e.Fields), Data: e.Data}
}

func translate(lang string, fields map[string][]errs.Problem) map[string][]string {
	out := make(map[string][]string, len(fields))
	for field, problems := range fields {
		for _, p := range problems {
			out[field] = append(out[field], sentence(lang, p))
		}
	}
	return out
}

// sentence says a problem in lang, with what a field must be in the same language.
func sentence(lang string, p errs.Problem) string {
	if expected, ok := p.Params["expected"].(string); ok {
		p.Params = maps.Clone(p.Params)
		p.Params["expected"] = i18n.Text(lang, "expected."+ExpectedKey(expected), expected, nil)
	}
	return i18n.Text(lang, "error."+p.Code, p.Text, p.Params)
}

// ExpectedKey is the key of the catalogues, after "expected.", for what ErrWrongType says that a field must be.
func ExpectedKey(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }), "_")
}

// ErrorBody is the error envelope of seed 003, with a machine code added.
type ErrorBody struct {
	Success   bool                `json:"success"`
	Code      string              `json:"code"`
	Error     string              `json:"error"`
	Errors    map[string][]string `json:"errors"`
	Data      any                 `json:"data,omitempty"` // what is there all the same, such as the payment that was declined
	RequestID string              `json:"request_id"`
}

// Body is the success envelope of seed 003.
type Body struct {
	Success   bool   `json:"success"`
	Data      any    `json:"data"`
	Message   string `json:"message,omitempty"`
	RequestID string `json:"request_id"`
}

// OK answers 200 with data in the envelope.
func OK(w http.ResponseWriter, data any) error { return Answer(w, http.StatusOK, data, "") }

// Created answers 201 with data in the envelope.
func Created(w http.ResponseWriter, data any) error { return Answer(w, http.StatusCreated, data, "") }

// Answer writes the success envelope; message is a sentence for humans and may be empty.
func Answer(w http.ResponseWriter, status int, data any, message string) error {
	writeJSON(w, status, Body{Success: true, Data: data, Message: message, RequestID: w.Header().Get("X-Request-ID")})
	return nil
}

// NoContent answers 204.
func NoContent(w http.ResponseWriter) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil { // a type of ours that cannot be written: a bug that tests of the route show
		slog.Error("encode answer", "error", err)
		http.Error(w, `{"success":false,"code":"internal_error"}`, http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(raw)+1))
	w.WriteHeader(status)
	w.Write(append(raw, '\n'))
}
