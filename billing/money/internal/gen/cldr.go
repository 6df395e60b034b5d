package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// language is how one locale writes an amount; the fields are those of localeFormat in package money.
type language struct {
	locale                string
	symbolFirst           bool
	gap                   string
	group, decimal, minus string
	primaryGroup          int
	secondaryGroup        int
	digits                string
	symbols               map[string]string
}

// spacing is the CLDR rule that package money has in code: a no-break space between a digit and whatever is neither a
// symbol nor a separator. Another rule would need other code.
var spacing = spacingRule{"[[:^S:]&[:^Z:]]", "[:digit:]", "\u00a0"}

type spacingRule struct{ CurrencyMatch, SurroundingMatch, InsertBetween string }

type numbers struct {
	DefaultNumberingSystem string
	MinimumGroupingDigits  string
}

type symbols struct{ Decimal, Group, MinusSign string }

type currencyFormats struct {
	CurrencySpacing struct{ BeforeCurrency, AfterCurrency spacingRule }
	Standard        string
}

func readCLDR(core, full source, locales []string, currencies map[string]int) ([]language, error) {
	const systemsPath = "supplemental/numberingSystems.json"
	coreFiles, err := core.fetch(systemsPath)
	if err != nil {
		return nil, err
	}
	var systems map[string]struct {
		Digits string `json:"_digits"`
	}
	if err := dig(coreFiles[systemsPath], &systems, "supplemental", "numberingSystems"); err != nil {
		return nil, err
	}

	var paths []string
	for _, locale := range locales {
		paths = append(paths, "main/"+locale+"/numbers.json", "main/"+locale+"/currencies.json")
	}
	files, err := full.fetch(paths...)
	if err != nil {
		return nil, err
	}
	var languages []language
	for _, locale := range locales {
		l, system, err := readNumbers(locale, files["main/"+locale+"/numbers.json"])
		if err != nil {
			return nil, fmt.Errorf("numbers of %s: %w", locale, err)
		}
		l.digits = systems[system].Digits
		if l.symbols, err = readSymbols(locale, files["main/"+locale+"/currencies.json"], currencies); err != nil {
			return nil, fmt.Errorf("currencies of %s: %w", locale, err)
		}
		languages = append(languages, l)
	}
	return languages, nil
}

// readNumbers gives the language without digits and symbols, and the name of its numbering system.
func readNumbers(locale string, raw []byte) (language, string, error) {
	var n numbers
	if err := dig(raw, &n, "main", locale, "numbers"); err != nil {
		return language{}, "", err
	}
	system := n.DefaultNumberingSystem
	var s symbols
	if err := dig(raw, &s, "main", locale, "numbers", "symbols-numberSystem-"+system); err != nil {
		return language{}, "", err
	}
	var f currencyFormats
	if err := dig(raw, &f, "main", locale, "numbers", "currencyFormats-numberSystem-"+system); err != nil {
		return language{}, "", err
	}
	if f.CurrencySpacing.BeforeCurrency != spacing || f.CurrencySpacing.AfterCurrency != spacing {
		return language{}, "", errors.New("currency spacing is not the rule that package money has")
	}
	if n.MinimumGroupingDigits != "1" {
		return language{}, "", errors.New("package money groups from the first full group on")
	}
	l := language{locale: locale, group: s.Group, decimal: s.Decimal, minus: s.MinusSign}
	return l, system, l.readPattern(f.Standard)
}

// readPattern takes apart a pattern such as "¤#,##0.00" or "#,##,##0.00 ¤".
func (l *language) readPattern(pattern string) error {
	const numberParts = "#,0."
	first, last := strings.IndexAny(pattern, numberParts), strings.LastIndexAny(pattern, numberParts)
	if first < 0 {
		return fmt.Errorf("pattern %q has no number", pattern)
	}
	before, number, after := pattern[:first], pattern[first:last+1], pattern[last+1:]
	switch {
	case strings.HasPrefix(before, "¤") && after == "":
		l.symbolFirst, l.gap = true, strings.TrimPrefix(before, "¤")
	case strings.HasSuffix(after, "¤") && before == "":
		l.gap = strings.TrimSuffix(after, "¤")
	default:
		return fmt.Errorf("pattern %q has no currency at one end, or more than that", pattern)
	}
	whole, _, _ := strings.Cut(number, ".")
	groups := strings.Split(whole, ",")
	if len(groups) < 2 {
		return fmt.Errorf("pattern %q has no groups", pattern)
	}
	l.primaryGroup = len(groups[len(groups)-1])
	l.secondaryGroup = l.primaryGroup
	if len(groups) > 2 {
		l.secondaryGroup = len(groups[len(groups)-2])
	}
	return nil
}

// readSymbols gives the symbols that differ from the code.
func readSymbols(locale string, raw []byte, currencies map[string]int) (map[string]string, error) {
	var all map[string]struct{ Symbol string }
	if err := dig(raw, &all, "main", locale, "numbers", "currencies"); err != nil {
		return nil, err
	}
	found := map[string]string{}
	for code := range currencies {
		if symbol := all[code].Symbol; symbol != "" && symbol != code {
			found[code] = symbol
		}
	}
	return found, nil
}

// dig decodes the value at the end of a path of object keys.
func dig(raw []byte, into any, path ...string) error {
	for _, key := range path {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			return err
		}
		next, ok := object[key]
		if !ok {
			return fmt.Errorf("no key %q", key)
		}
		raw = next
	}
	return json.Unmarshal(raw, into)
}
