package main

import (
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// sheet is a form of a page.
type sheet struct {
	action string
	fields []field
}

// field is an input of a form with what stands in it, and for a select with what it offers.
type field struct {
	name, value string
	offered     []string
}

// place is a value of a field, the nth of its form, in which the id of an object stands.
type place struct {
	n               int
	name, value, id string
}

var (
	formTag   = regexp.MustCompile(`(?s)<form[^>]*method="post"[^>]*action="([^"]+)"[^>]*>(.*?)</form>`)
	inputTag  = regexp.MustCompile(`(?s)<input[^>]*>|<textarea[^>]*>.*?</textarea>|<select[^>]*>.*?</select>`)
	nameAttr  = regexp.MustCompile(`\bname="([^"]+)"`)
	valueAttr = regexp.MustCompile(`\bvalue="([^"]*)"`)
	optionTag = regexp.MustCompile(`<option value="([^"]*)"( selected)?`)
)

// filled is what somebody types into the fields that are empty.
var filled = map[string]string{"email": "foreign@people.test", "name": "Foreign", "password": "correct horse battery", "role": "member",
	"description": "Work", "quantity": "1", "unit_price": "1", "reason": "Because"}

// formsOf gives the forms of a page, filled in, but not those of the frame.
func formsOf(a answer) (forms []sheet) {
	for _, found := range formTag.FindAllStringSubmatch(a.Body, -1) {
		if strings.HasSuffix(found[1], "/logout/") || strings.HasSuffix(found[1], "/preferences/") {
			continue
		}
		f, typed := sheet{action: found[1]}, map[string]bool{}
		for _, tag := range inputTag.FindAllString(found[2], -1) {
			in, ok := parseField(tag)
			if !ok {
				continue
			}
			if in.value == "" && !typed[in.name] { // of the lines of an invoice only the first
				in.value = filled[in.name]
			}
			typed[in.name] = true
			f.fields = append(f.fields, in)
		}
		forms = append(forms, f)
	}
	return forms
}

// parseField reads an input; ok is false for what a browser would not send.
func parseField(tag string) (in field, ok bool) {
	name := nameAttr.FindStringSubmatch(tag)
	if name == nil || strings.Contains(tag, `type="checkbox"`) && !strings.Contains(tag, " checked") {
		return in, false
	}
	in.name = name[1]
	switch {
	case strings.HasPrefix(tag, "<select"):
		for _, option := range optionTag.FindAllStringSubmatch(tag, -1) {
			in.offered = append(in.offered, html.UnescapeString(option[1]))
			if option[2] != "" {
				in.value = html.UnescapeString(option[1])
			}
		}
	case strings.HasPrefix(tag, "<textarea"):
		_, text, _ := strings.Cut(strings.TrimSuffix(tag, "</textarea>"), ">")
		in.value = html.UnescapeString(text)
	default:
		if value := valueAttr.FindStringSubmatch(tag); value != nil {
			in.value = html.UnescapeString(value[1])
		}
	}
	return in, true
}

// places are the values of a form in which one of the ids stands, at most one for each field.
func (f sheet) places(ids []string) (places []place) {
	for n, in := range f.fields {
		for _, value := range append(in.offered, in.value) {
			i := slices.IndexFunc(ids, func(id string) bool { return strings.Contains(value, id) })
			if i >= 0 {
				places = append(places, place{n, in.name, value, ids[i]})
				break
			}
		}
	}
	return places
}

// with is what the form sends with another id in a place.
func (f sheet) with(p place, id string) url.Values {
	values := url.Values{}
	for n, in := range f.fields {
		if n == p.n {
			in.value = strings.ReplaceAll(p.value, p.id, id)
		}
		values.Add(in.name, in.value)
	}
	return values
}
