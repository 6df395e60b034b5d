// Package i18n translates sentences by their code. The catalogues are locales/<language>.json and, for the
// pages of the console, locales/console.<language>.json; all four languages hold the same
// keys, which a test checks. English is what the code itself says, and what an unknown language falls back to.
package i18n

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

//go:embed locales/*.json
var locales embed.FS

// Languages lists the catalogues, English first: it is the fallback (S0-59 to S0-61).
func Languages() []string { return []string{"en", "ru", "uz", "bn"} }

var matcher = sync.OnceValue(func() language.Matcher {
	var tags []language.Tag
	for _, l := range Languages() {
		tags = append(tags, language.MustParse(l))
	}
	return language.NewMatcher(tags)
})

var bundle = sync.OnceValue(func() *i18n.Bundle {
	b := i18n.NewBundle(language.English)
	b.RegisterUnmarshalFunc("json", json.Unmarshal)
	for _, l := range Languages() {
		for _, file := range []string{l + ".json", "console." + l + ".json"} {
			if _, err := b.LoadMessageFileFS(locales, "locales/"+file); err != nil {
				panic(fmt.Sprintf("catalogue %s: %v", file, err))
			}
		}
	}
	return b
})

// localizers holds one localizer a language: making one parses language tags, which is too slow for every sentence.
var localizers = sync.OnceValue(func() map[string]*i18n.Localizer {
	m := map[string]*i18n.Localizer{}
	for _, l := range Languages() {
		m[l] = i18n.NewLocalizer(bundle(), l)
	}
	return m
})

// Choose picks the best of our languages for an Accept-Language header.
func Choose(acceptLanguage string) string {
	if acceptLanguage == "" {
		return "en"
	}
	tags, _, err := language.ParseAcceptLanguage(acceptLanguage)
	if err != nil || len(tags) == 0 {
		return "en"
	}
	_, i, confidence := matcher().Match(tags...)
	if confidence == language.No {
		return "en"
	}
	return Languages()[i]
}

type languageKey struct{}

// With returns a context in which sentences are in lang.
func With(ctx context.Context, lang string) context.Context {
	return context.WithValue(ctx, languageKey{}, lang)
}

// From gives the language of ctx, English when none was chosen.
func From(ctx context.Context) string {
	if l, ok := ctx.Value(languageKey{}).(string); ok {
		return l
	}
	return "en"
}

// Text gives the sentence under key in lang, with {{.name}} placeholders filled from params. A key that the catalogue
// does not hold gives fallback, filled the same way.
func Text(lang, key, fallback string, params map[string]any) string {
	l, ok := localizers()[lang]
	if !ok {
		l = localizers()["en"]
	}
	text, err := l.Localize(&i18n.LocalizeConfig{MessageID: key, TemplateData: params})
	if err == nil && text != "" {
		return text
	}
	for name, value := range params {
		fallback = strings.ReplaceAll(fallback, "{{."+name+"}}", fmt.Sprint(value))
	}
	return fallback
}
