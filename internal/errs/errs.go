// Package errs is the one error type that a caller of Countersign can act on.
//
// A package declares its errors once, in errors.go, with a kind (which becomes the HTTP status), a stable code and a
// sentence for humans. Everything that is not an *Error is an internal error: it is logged, and the caller sees only
// a request id.
package errs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Kind says what the caller can do about an error. internal/web turns it into an HTTP status.
type Kind int

// The kinds, with the status each becomes.
const (
	KindInternal         Kind = iota // 500
	KindInvalid                      // 400: mend the request
	KindUnauthenticated              // 401: present a valid credential
	KindPaymentRequired              // 402: the provider declined
	KindForbidden                    // 403: ask for a permission
	KindNotFound                     // 404: unknown, malformed or somebody else's
	KindMethodNotAllowed             // 405: the path exists, the verb does not
	KindConflict                     // 409: the state has moved on; read it again
	KindTooLarge                     // 413
	KindUnsupportedMedia             // 415
	KindRateLimited                  // 429: wait RetryAfter
	KindUnavailable                  // 503: try again later
	KindBadGateway                   // 502: somebody outside failed
)

// Problem is one sentence for humans under a stable code. Text is English and may hold {{.name}} placeholders, which
// Params fill; translations are looked up by Code.
type Problem struct {
	Code   string
	Text   string
	Params map[string]any
}

// Error is an error the caller can act on. Compare with errors.Is: two errors with one code are the same error,
// whatever their parameters.
type Error struct {
	Kind Kind
	Problem
	// Fields names the parts of the request that are wrong, by their path in the request body.
	Fields map[string][]Problem
	// RetryAfter is how long to wait before trying again; zero means nothing is promised.
	RetryAfter time.Duration
	// Data is what the caller is given beside the error, such as the payment that was declined; nil: nothing.
	Data  any
	cause error
}

func newError(kind Kind, code, text string) *Error {
	return &Error{Kind: kind, Problem: Problem{Code: code, Text: text}}
}

// Invalid is a request or a business refusal that the caller can mend.
func Invalid(code, text string) *Error { return newError(KindInvalid, code, text) }

// Unauthenticated means that no valid credential was presented.
func Unauthenticated(code, text string) *Error { return newError(KindUnauthenticated, code, text) }

// Forbidden means that the caller is known and may not do this.
func Forbidden(code, text string) *Error { return newError(KindForbidden, code, text) }

// NotFound covers unknown, malformed and foreign ids alike, so that none of them tells the others apart.
func NotFound(code, text string) *Error { return newError(KindNotFound, code, text) }

// MethodNotAllowed means that the path exists and does not know the verb.
func MethodNotAllowed(code, text string) *Error { return newError(KindMethodNotAllowed, code, text) }

// Conflict means that the state of the object forbids the change.
func Conflict(code, text string) *Error { return newError(KindConflict, code, text) }

// TooLarge means that the body is bigger than the route accepts.
func TooLarge(code, text string) *Error { return newError(KindTooLarge, code, text) }

// UnsupportedMedia means that the body or file has a type the route does not accept.
func UnsupportedMedia(code, text string) *Error { return newError(KindUnsupportedMedia, code, text) }

// RateLimited means that the caller must slow down; say how long with After.
func RateLimited(code, text string) *Error { return newError(KindRateLimited, code, text) }

// Unavailable means that something the request needs does not answer right now.
func Unavailable(code, text string) *Error { return newError(KindUnavailable, code, text) }

// PaymentRequired means that the payer's side has declined: another card may do.
func PaymentRequired(code, text string) *Error { return newError(KindPaymentRequired, code, text) }

// BadGateway means that a provider has failed, or does not work with us.
func BadGateway(code, text string) *Error { return newError(KindBadGateway, code, text) }

// Error gives the code, the sentence and the cause, for logs.
func (e *Error) Error() string {
	text := e.Code + ": " + e.Sentence()
	if len(e.Fields) > 0 {
		text += fmt.Sprintf(" %v", e.Fields)
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Is matches by code, so that a copy with parameters or fields is still the error it was made from.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Code == e.Code
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// With returns a copy in which the placeholder name stands for value.
func (e *Error) With(name string, value any) *Error {
	c := *e
	c.Params = maps.Clone(e.Params)
	if c.Params == nil {
		c.Params = map[string]any{}
	}
	c.Params[name] = value
	return &c
}

// Because returns a copy that wraps cause, which is logged and never shown.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// At returns a copy that blames one field of the request with the error's own sentence.
func (e *Error) At(field string) *Error {
	c := *e
	c.Fields = map[string][]Problem{field: {e.Problem}}
	return &c
}

// After returns a copy that tells the caller how long to wait.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Carry returns a copy that gives the caller data beside the error.
func (e *Error) Carry(data any) *Error {
	c := *e
	c.Data = data
	return &c
}

// Sentence is the English text with its placeholders filled.
func (p Problem) Sentence() string {
	text := p.Text
	for name, value := range p.Params {
		text = strings.ReplaceAll(text, "{{."+name+"}}", fmt.Sprint(value))
	}
	return text
}

// ErrValidation is the error under which wrong fields are collected.
var ErrValidation = Invalid("validation_failed", "Some fields are missing or wrong.")

// Fields collects what is wrong with a request, field by field, so that the caller sees everything at once.
// The zero value is ready to use.
type Fields struct{ found map[string][]Problem }

// maxFields bounds how many fields are blamed at once: nobody mends more of them by hand, and a body of nothing but
// faults would make an answer much larger than itself.
const maxFields = 100

// Full says that no further field is blamed. Whoever finds more need not make up their names.
func (f *Fields) Full() bool { return len(f.found) == maxFields }

// Add blames field with the sentence of problem, and with each sentence once.
func (f *Fields) Add(field string, problem *Error) {
	if f.found == nil {
		f.found = map[string][]Problem{}
	}
	told, blamed := f.found[field]
	same := func(p Problem) bool { return p.Code == problem.Code && p.Sentence() == problem.Sentence() }
	if !blamed && f.Full() || slices.ContainsFunc(told, same) {
		return
	}
	f.found[field] = append(told, problem.Problem)
}

// Err is nil when nothing was added, and ErrValidation with the fields otherwise.
func (f *Fields) Err() error { return f.Under(ErrValidation) }

// Under is Err with another error over the fields.
func (f *Fields) Under(e *Error) error {
	if len(f.found) == 0 {
		return nil
	}
	c := *e
	c.Fields = f.found
	return &c
}

// As finds the *Error in err's chain; nil means that err is internal.
func As(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}
