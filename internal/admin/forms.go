package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"countersign/internal/errs"
	"countersign/internal/i18n"
	"countersign/internal/web"
)

// Sentence gives an error's sentence in the reader's language.
func Sentence(r *http.Request, e *errs.Error) string {
	return i18n.Text(i18n.From(r.Context()), e.Code, e.Text, e.Params)
}

func fieldSentences(r *http.Request, e *errs.Error) map[string][]string {
	out := map[string][]string{}
	for field, problems := range e.Fields {
		for _, p := range problems {
			out[field] = append(out[field], i18n.Text(i18n.From(r.Context()), p.Code, p.Text, p.Params))
		}
	}
	return out
}

// Refusal is an error that belongs beside the form that caused it.
type Refusal struct {
	Status int
	Text   string
	Fields map[string][]string
}

// Refused splits an error: a refusal is shown in the form, everything else must be returned from the handler. A
// missing object and a missing credential are no refusals of a form either. What a provider refuses is one.
func Refused(r *http.Request, err error) (Refusal, bool) {
	e := web.Public(r, err)
	switch e.Kind {
	case errs.KindInvalid, errs.KindConflict, errs.KindForbidden, errs.KindTooLarge, errs.KindUnsupportedMedia, errs.KindRateLimited,
		errs.KindPaymentRequired, errs.KindBadGateway:
		return Refusal{Status: web.Status(e.Kind), Text: Sentence(r, e), Fields: fieldSentences(r, e)}, true
	default:
		return Refusal{}, false
	}
}

// Refill puts what was typed back into the fields, with what is wrong beside each. What is wrong with a field that
// the form does not have is added to the text.
func (f Refusal) Refill(groups []FieldGroup, typed url.Values) string {
	shown := map[string]bool{}
	for _, g := range groups {
		for i := range g.Fields {
			field := &g.Fields[i]
			shown[field.Name] = true
			field.Errors = f.Fields[field.Name]
			if field.ReadOnly || field.Kind == "password" {
				continue
			}
			field.Value = typed.Get(field.Name)
			field.Checked = typed.Has(field.Name)
			for j := range field.Options {
				field.Options[j].Selected = field.Options[j].Value == field.Value
			}
		}
	}
	text := f.Text
	for name, problems := range f.Fields {
		if shown[name] {
			continue
		}
		for _, p := range problems {
			text += " " + name + ": " + p
		}
	}
	return text
}

// Bind reads what a form holds into a request struct of the API, through the very same checks: what the API refuses,
// the console refuses. Object is what a client of the API would have sent as JSON.
func Bind(object map[string]any, dst any) error {
	raw, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("read a form: %w", err)
	}
	r, err := http.NewRequest(http.MethodPost, "/", bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("read a form: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	return web.Decode(r, dst)
}
