package admin

import (
	"time"

	"countersign/billing/money"
)

// genericSamples fill every part of the generic pages once, so that NewSite finds a template that does not fit.
func genericSamples() []Sample {
	at := time.Date(2026, 1, 31, 13, 45, 0, 0, time.UTC)
	crumbs := []Link{{"List", Base}}
	cells := []Cell{Text("Name").WithNote("note"), Word("Active"), Code("A-1"), Amount(money.New(13900, "USD")), Count(3),
		Status("paid"), When(at), Day(at), Age(at), LinkTo("there", Base), TagList(Tag{ToneWait, "new", "First payment"})}
	heads := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"}
	table := NewTable("Rows", heads, []string{Base}, [][]Cell{cells})
	table.Columns[0].SortURL, table.Columns[0].Sorted = Base, "ascending"
	table.MoreURL = Base
	var facts []Fact
	for i, c := range cells {
		facts = append(facts, Fact{Label: heads[i], Value: c, Wide: i == 0})
	}
	filters := Filters{Action: Base, Search: &Search{"search", "x", "Search"}, Hidden: []Pair{{"ordering", "name"}},
		Selects: []Select{{Name: "status", Label: "Status", Options: []Option{{"paid", "Paid", true}}}, {Name: "kind", Label: "Status", Options: []Option{{"paid", "Paid", true}}, Always: true}}, Chips: []Chip{{"Status", "Paid", Base}}}
	options := []Option{{"a", "A", true}}
	fields := []Field{{Name: "t", Label: "Text", Kind: "text", Hint: "hint", Errors: []string{"wrong"}, Autocomplete: "off"},
		{Name: "s", Label: "Select", Kind: "select", Options: options}, {Name: "p", Label: "Text", Kind: "textarea", Required: true},
		{Name: "c", Label: "Tick", Kind: "checkbox", Checked: true, ReadOnly: true}}
	return []Sample{
		{"admin/list", ListPage{Title: "List", Description: "All", Buttons: []Button{{"New", Base, "plus", true, false}},
			Filters: filters, Table: table, Pager: Pager{1, 25, 99, "99", Base, Base}}},
		{"admin/list", ListPage{Title: "List", Empty: Empty{"Nothing", "yet", Base, "Show"}}},
		{"admin/detail", DetailPage{Crumbs: crumbs, Title: "One", Status: "open", Subtitle: "sub", Notes: []Note{{ToneWait, "Mind"}},
			Buttons: []Button{{"Void", Base, "cross", false, true}}, Groups: []FactGroup{{"Facts", facts}}, Tables: []Table{table, {Title: "None", Empty: "Nothing"}},
			Events: []Event{{at, ToneOK, "made", "by", "note"}}}},
		{"admin/form", FormPage{Crumbs: crumbs, Title: "New", Description: "d", Action: Base, Cancel: Base, Submit: "Save", Error: "no",
			Hidden: []Pair{{"a", "b"}}, Groups: []FieldGroup{{"Group", fields}}}},
		{"admin/confirm", ConfirmPage{Crumbs: crumbs, Title: "Void", Subject: "One", Consequence: "It is over.", Action: Base, Cancel: Base,
			Submit: "Void", Danger: true, Error: "no", Facts: facts, Hidden: []Pair{{"a", "b"}}, Fields: fields}},
		{"admin/error", ErrorPage{Status: 404, Heading: "Nothing", Text: "here", Details: []string{"a"}, RequestID: "1", BackURL: Base, Inside: true}},
	}
}
