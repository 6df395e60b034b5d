package admin

import (
	"maps"
	"slices"
	"strings"
)

// Lines writes an object of texts as lines "name: value", for a text box. ok is false when the object holds anything
// but texts of one line: it cannot be edited so.
func Lines(object map[string]any) (text string, ok bool) {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(object)) {
		value, isText := object[name].(string)
		if !isText || strings.ContainsAny(value+name, "\r\n") || strings.Contains(name, ":") {
			return "", false
		}
		b.WriteString(name + ": " + value + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n"), true
}

// ParseLines reads what Lines has written and somebody has edited. A line without a colon is the name of an empty text.
func ParseLines(text string) map[string]any {
	object := map[string]any{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); name != "" {
			object[name] = strings.TrimSpace(value)
		}
	}
	return object
}
