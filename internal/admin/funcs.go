package admin

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode"

	"countersign/billing/money"
	"countersign/internal/i18n"
)

// funcs are the functions of every template. They read set.reader, which Execute sets for the time it runs.
func (set *pageSet) funcs(assets *Assets) template.FuncMap {
	return template.FuncMap{
		"t": func(text any, params ...any) (string, error) {
			return set.reader.Translate(fmt.Sprint(text), params...)
		},
		"money":    func(v any) (string, error) { return set.reader.amount(v, true) },
		"number":   func(v any) (string, error) { return set.reader.amount(v, false) },
		"day":      func(day time.Time) string { return set.reader.Day(day) },
		"date":     func(at time.Time) string { return set.reader.Date(at) },
		"datetime": func(at time.Time) string { return set.reader.DateTime(at) },
		"machine":  func(at time.Time) string { return at.UTC().Format(time.RFC3339) },
		"age":      func(at time.Time) string { return set.reader.Age(at) },
		"ageTone":  func(at time.Time) string { return set.reader.ageTone(at) },
		"duration": func(d time.Duration) string { return set.reader.Duration(d) },
		"digits":   func(n any) string { return set.reader.inDigits(fmt.Sprint(n)) },
		"path":     func() string { return set.reader.Path },
		"status":   func(v any) Badge { return StatusBadge(fmt.Sprint(v)) },
		"toneIcon": toneIcon,
		"static":   assets.URL,
		"url":      func(p string) string { return Base + p },
		"short":    func(hash string) string { return hash[:min(12, len(hash))] },
	}
}

// Key is the catalogue key of an English text that a template or a declaration holds: "Open balance" is found as
// "console.open_balance". A text that the catalogue does not hold is shown as it is, so names and numbers may pass
// through the same function.
func Key(text string) string {
	const longest = 60
	var b strings.Builder
	gap := false
	for _, c := range strings.ToLower(text) {
		if c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			gap = true
			continue
		}
		if gap && b.Len() > 0 {
			b.WriteByte('_')
		}
		gap = false
		b.WriteRune(c)
		if b.Len() >= longest {
			break
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "console." + b.String()
}

// Translate gives an English text in the reader's language. Params are names and values, by turns, for the {{.name}}
// placeholders in it.
func (r Reader) Translate(text string, params ...any) (string, error) {
	if len(params)%2 != 0 {
		return "", fmt.Errorf("translate %q: names and values must come in pairs", text)
	}
	filled := map[string]any{}
	for i := 0; i < len(params); i += 2 {
		name, ok := params[i].(string)
		if !ok {
			return "", fmt.Errorf("translate %q: %v is not a name", text, params[i])
		}
		filled[name] = params[i+1]
	}
	key := Key(text)
	if key == "" {
		return text, nil
	}
	return i18n.Text(r.Language, key, text, filled), nil
}

// Say is Translate for texts whose placeholders are known to fit.
func (r Reader) Say(text string, params ...any) string {
	out, err := r.Translate(text, params...)
	if err != nil {
		return text
	}
	return out
}

// Money gives an amount with its currency for a sentence.
func (r Reader) Money(m money.Money) string {
	return money.FormatNumber(m, r.Language) + "\u00a0" + string(m.Currency)
}

func (r Reader) amount(v any, withCurrency bool) (string, error) {
	var m money.Money
	switch v := v.(type) {
	case money.Money:
		m = v
	case *money.Money:
		m = *v
	default:
		return "", fmt.Errorf("%T is not money", v)
	}
	if withCurrency {
		return r.Money(m), nil
	}
	return money.FormatNumber(m, r.Language), nil
}

// Date gives the day of at in the tenant's time zone.
func (r Reader) Date(at time.Time) string {
	if at.IsZero() {
		return "–"
	}
	switch r.Language {
	case "ru", "uz":
		return at.In(r.Zone).Format("02.01.2006")
	case "bn":
		return bengaliDigits(at.In(r.Zone).Format("02/01/2006"))
	default:
		return at.In(r.Zone).Format("2 Jan 2006")
	}
}

// Day gives a calendar day that is kept as midnight UTC. It is the same day in every time zone.
func (r Reader) Day(day time.Time) string {
	r.Zone = time.UTC
	return r.Date(day)
}

// DateTime gives day and minute of at in the tenant's time zone.
func (r Reader) DateTime(at time.Time) string {
	if at.IsZero() {
		return "–"
	}
	clock := at.In(r.Zone).Format("15:04")
	if r.Language == "bn" {
		clock = bengaliDigits(clock)
	}
	return r.Date(at) + ", " + clock
}

// Age says how long ago at was, in the largest unit that says enough: "5 min", "3 h", "2 d".
func (r Reader) Age(at time.Time) string {
	if at.IsZero() {
		return "–"
	}
	d := r.Now.Sub(at)
	switch {
	case d < -time.Minute:
		return r.Say("in {{.time}}", "time", r.span(-d))
	case d < time.Minute:
		return r.Say("just now")
	default:
		return r.span(d)
	}
}

func (r Reader) span(d time.Duration) string {
	switch {
	case d < time.Hour:
		return r.Say("{{.n}} min", "n", r.digits(int(d.Minutes())))
	case d < 48*time.Hour:
		return r.Say("{{.n}} h", "n", r.digits(int(d.Hours())))
	default:
		return r.Say("{{.n}} d", "n", r.digits(int(d.Hours()/24)))
	}
}

// ageTone marks what has waited more than a day, and more than three.
func (r Reader) ageTone(at time.Time) string {
	switch d := r.Now.Sub(at); {
	case at.IsZero():
		return ""
	case d >= 72*time.Hour:
		return "late"
	case d >= 24*time.Hour:
		return "old"
	default:
		return ""
	}
}

// Duration gives how long something took.
func (r Reader) Duration(d time.Duration) string {
	switch {
	case d <= 0:
		return "–"
	case d < time.Second:
		return r.Say("{{.n}} ms", "n", r.digits(int(d.Milliseconds())))
	case d < time.Minute:
		return r.Say("{{.n}} s", "n", r.digits(int(d.Seconds())))
	default:
		return r.span(d)
	}
}

func (r Reader) digits(n int) string { return r.inDigits(strconv.Itoa(n)) }

// inDigits is a number in the digits of the reader's language.
func (r Reader) inDigits(text string) string {
	if r.Language == "bn" {
		return bengaliDigits(text)
	}
	return text
}

func bengaliDigits(text string) string {
	return strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' {
			return '০' + c - '0'
		}
		return c
	}, text)
}
