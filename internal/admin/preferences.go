package admin

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/i18n"
	"countersign/internal/web"
)

const (
	languageCookie = "countersign_language"
	themeCookie    = "countersign_theme"
	flashCookie    = "countersign_flash"
	yearSeconds    = 365 * 24 * 60 * 60
	// maxFlash bounds what a flash cookie may carry; browsers keep about four kilobytes.
	maxFlash = 2000
)

// Preferences is how a reader wants the console. Language and theme are cookies, so that they hold before signing in.
type Preferences struct {
	Language  string
	Theme     string // light, dark, or empty: as the machine has it
	Path      string // where to return after a change
	Languages []Option
	Themes    []Option
}

var languageNames = map[string]string{"en": "English", "ru": "Русский", "uz": "Oʻzbekcha", "bn": "বাংলা"}

// PreferencesOf reads the request's preferences, for the sign-in page, which shows them itself.
func PreferencesOf(r *http.Request) Preferences {
	p := Preferences{Language: i18n.From(r.Context()), Theme: chooseTheme(r), Path: Base}
	if r.Method == http.MethodGet {
		p.Path = r.URL.RequestURI()
	}
	for _, l := range i18n.Languages() {
		p.Languages = append(p.Languages, Option{Value: l, Label: languageNames[l], Selected: l == p.Language})
	}
	for _, t := range []Option{{Value: "", Label: "Automatic"}, {Value: "light", Label: "Light"}, {Value: "dark", Label: "Dark"}} {
		t.Selected = t.Value == p.Theme
		p.Themes = append(p.Themes, t)
	}
	return p
}

func chooseLanguage(r *http.Request) string {
	if c, err := r.Cookie(languageCookie); err == nil && slices.Contains(i18n.Languages(), c.Value) {
		return c.Value
	}
	if p, ok := auth.From(r.Context()); ok && slices.Contains(i18n.Languages(), p.Language) {
		return p.Language
	}
	return i18n.Choose(r.Header.Get("Accept-Language"))
}

func chooseTheme(r *http.Request) string {
	if c, err := r.Cookie(themeCookie); err == nil && (c.Value == "light" || c.Value == "dark") {
		return c.Value
	}
	return ""
}

// savePreferences keeps what is known and ignores what is not: nothing depends on it.
func (s *Site) savePreferences(w http.ResponseWriter, r *http.Request) error {
	form, err := FormValues(w, r)
	if err != nil {
		return err
	}
	language, theme := "", ""
	if l := form.Get("language"); slices.Contains(i18n.Languages(), l) {
		language = l
		s.setCookie(w, languageCookie, l, yearSeconds)
	}
	switch t := form.Get("theme"); {
	case t == "light" || t == "dark":
		theme = t
		s.setCookie(w, themeCookie, t, yearSeconds)
	case form.Has("theme"):
		theme = "system"
		s.setCookie(w, themeCookie, "", -1)
	}
	if _, ok := auth.From(r.Context()); ok && s.config.SavePreferences != nil {
		if err := s.config.SavePreferences(r.Context(), language, theme); err != nil {
			return err
		}
	}
	http.Redirect(w, r, LocalPath(form.Get("next")), http.StatusSeeOther)
	return nil
}

// KeepPreferences gives the browser what somebody chose in another one. It is for signing in; an empty text leaves what
// this browser has.
func KeepPreferences(w http.ResponseWriter, r *http.Request, language, theme string) error {
	v, err := visitOf(r)
	if err != nil {
		return err
	}
	if slices.Contains(i18n.Languages(), language) {
		v.site.setCookie(w, languageCookie, language, yearSeconds)
	}
	if theme == "light" || theme == "dark" {
		v.site.setCookie(w, themeCookie, theme, yearSeconds)
	}
	return nil
}

func (s *Site) setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: Base, MaxAge: maxAge, Secure: s.config.Secure,
		HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// LocalPath gives next when it is an address of the console, and the console's start otherwise, so that a link with
// ?next= leads nowhere else.
func LocalPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(u.Path, Base) || strings.Contains(u.Path, "..") {
		return Base
	}
	return u.RequestURI()
}

// FormValues reads a posted form of at most 1 MiB. Card data in it is web.ErrCardData; return it from the handler, so that
// the answer is a page without what was typed (S1-14).
func FormValues(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, web.MaxBody)
	if err := r.ParseForm(); err != nil {
		if e := errs.As(err); e != nil {
			return nil, e
		}
		return nil, ErrBadForm.Because(err)
	}
	return r.PostForm, web.CheckForm(r.PostForm)
}

// ErrBadForm means that a posted form could not be read.
var ErrBadForm = errs.Invalid("unreadable_form", "The form could not be read. Open the page again and repeat.")

// Redirect answers a POST that succeeded: it leads to a console page, which shows done once. Done is English and is
// translated by its Key; it may be empty.
func Redirect(w http.ResponseWriter, r *http.Request, to, done string, params ...any) error {
	v, err := visitOf(r)
	if err != nil {
		return err
	}
	if done != "" {
		text, err := ReaderOf(r).Translate(done, params...)
		if err != nil {
			return err
		}
		v.site.putFlash(w, Note{Tone: ToneOK, Text: text})
	}
	http.Redirect(w, r, LocalPath(to), http.StatusSeeOther)
	return nil
}

func (s *Site) putFlash(w http.ResponseWriter, note Note) {
	raw, err := json.Marshal(note)
	if err != nil || len(raw) > maxFlash {
		return
	}
	s.setCookie(w, flashCookie, base64.RawURLEncoding.EncodeToString(raw), int((5 * time.Minute).Seconds()))
}

// takeFlash reads the note that the last answer left, and removes it.
func takeFlash(w http.ResponseWriter, r *http.Request) *Note {
	c, err := r.Cookie(flashCookie)
	if err != nil || c.Value == "" {
		return nil
	}
	http.SetCookie(w, &http.Cookie{Name: flashCookie, Path: Base, MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	raw, err := base64.RawURLEncoding.DecodeString(c.Value)
	var note Note
	if err != nil || json.Unmarshal(raw, &note) != nil || toneIcon(note.Tone) == "" {
		return nil
	}
	return &note
}
