package admin

import (
	"slices"
	"time"
)

// Link is a text that leads somewhere.
type Link struct{ Text, URL string }

// Button is a link that looks like what it does. It always leads to a page, never straight to a change.
type Button struct {
	Title   string
	URL     string
	Icon    string // a symbol of icons.svg; empty for none
	Primary bool
	Danger  bool
}

// Note is a sentence in its tone. Text is shown as it is.
type Note struct {
	Tone Tone
	Text string
}

// Stat is one figure above a page.
type Stat struct {
	Title string
	Text  string // the figure, formatted
	Note  string
	Tone  Tone
}

// Event is one line of a history, newest first.
type Event struct {
	At   time.Time
	Tone Tone
	Text string
	By   string
	Note string
}

// Approvals is how far a decision has come.
type Approvals struct{ Done, Needed int }

// Pips is one entry an approval that is needed: true when given.
func (a Approvals) Pips() []bool {
	pips := make([]bool, max(a.Needed, a.Done))
	for i := range a.Done {
		pips[i] = true
	}
	return pips
}

// Option is a choice in a select.
type Option struct {
	Value    string
	Label    string
	Selected bool
}

// Pair is a name and its value: a hidden input.
type Pair struct{ Name, Value string }

// Select narrows a list by one query parameter.
type Select struct {
	Name    string
	Label   string
	Options []Option
	Always  bool // one of the options holds at any time
}

// Active says whether one of the options is chosen.
func (s Select) Active() bool {
	for _, o := range s.Options {
		if o.Selected {
			return true
		}
	}
	return false
}

// Search is the text box of a list.
type Search struct{ Name, Value, Placeholder string }

// Chip is a filter that is in force, with the address of the list without it.
type Chip struct{ Name, Label, URL string }

// Filters is the row above a list. It is a GET form that works without a script.
type Filters struct {
	Action  string
	Search  *Search
	Selects []Select
	Hidden  []Pair // other parameters to keep, such as the ordering
	Chips   []Chip
}

// Shown says whether there is anything to filter by.
func (f Filters) Shown() bool { return f.Search != nil || len(f.Selects) > 0 }

// Pager leads to the neighbours of a page. TotalText is the count for people; Total zero hides it.
type Pager struct {
	From, To, Total int
	TotalText       string
	Previous, Next  string
}

// Empty is what a list without rows says.
type Empty struct {
	Title string
	Text  string
	URL   string // of a button; empty for none
	Label string
}

// Table is rows with their heads. On a phone every row is a card.
type Table struct {
	Title   string
	MoreURL string
	Columns []Head
	Rows    []Row
	Empty   string
}

// Head is the head of a column. Sorted is "ascending", "descending" or empty.
type Head struct {
	Title   string
	Numeric bool
	SortURL string
	Sorted  string
}

// Row is one object. URL is where its first cell leads.
type Row struct {
	URL   string
	Cells []Placed
}

// Placed is a cell in its column.
type Placed struct {
	Cell
	Label   string // the column's head, shown beside the value on a phone
	Lead    bool   // the first column, which carries the link
	Numeric bool
	Blank   bool
}

// NewTable places cells under heads. urls may be nil; otherwise urls[i] is where row i leads.
func NewTable(title string, heads []string, urls []string, rows [][]Cell) Table {
	t := Table{Title: title}
	for i, head := range heads {
		numeric := len(rows) > 0 && rows[0][i].numeric()
		t.Columns = append(t.Columns, Head{Title: head, Numeric: numeric})
	}
	for i, cells := range rows {
		row := Row{}
		if urls != nil {
			row.URL = urls[i]
		}
		for j, cell := range cells {
			row.Cells = append(row.Cells, place(cell, heads[j], j == 0))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func place(cell Cell, label string, lead bool) Placed {
	return Placed{Cell: cell, Label: label, Lead: lead, Numeric: cell.numeric(), Blank: cell.blank()}
}

// Fact is a value under its name.
type Fact struct {
	Label string
	Value Cell
	Wide  bool // a paragraph of its own
}

// FactGroup is facts under a heading.
type FactGroup struct {
	Title string
	Facts []Fact
}

// ListPage is the page admin/list.
type ListPage struct {
	Title       string
	Description string
	Buttons     []Button
	Filters     Filters
	Table       Table
	Pager       Pager
	Empty       Empty
}

// DetailPage is the page admin/detail. Title is data; the other headings are translated.
type DetailPage struct {
	Crumbs   []Link
	Title    string
	Status   string
	Subtitle string
	Buttons  []Button
	Notes    []Note
	Groups   []FactGroup
	Tables   []Table
	Events   []Event
}

// Field is one input. Kind is text, email, password, number, date, url, select, textarea, checkbox or hidden.
type Field struct {
	Name         string
	Label        string
	Kind         string
	Value        string
	Hint         string
	Autocomplete string
	Options      []Option
	Required     bool
	ReadOnly     bool
	Checked      bool
	Wide         bool
	Errors       []string
}

// Unchosen says whether a select has no chosen option: it then begins with an empty one, so that nobody sends the first
// by not looking.
func (f Field) Unchosen() bool {
	return !slices.ContainsFunc(f.Options, func(o Option) bool { return o.Selected })
}

// FieldGroup is inputs under a heading.
type FieldGroup struct {
	Title  string
	Fields []Field
}

// FormPage is the page admin/form.
type FormPage struct {
	Crumbs      []Link
	Title       string
	Description string
	Action      string
	Cancel      string
	Submit      string
	Error       string
	Hidden      []Pair
	Groups      []FieldGroup
}

// ConfirmPage is the page admin/confirm.
type ConfirmPage struct {
	Crumbs      []Link
	Title       string
	Subject     string
	Consequence string
	Action      string
	Cancel      string
	Submit      string
	Danger      bool
	Error       string
	Facts       []Fact
	Hidden      []Pair
	Fields      []Field
}

// ErrorPage is the page admin/error.
type ErrorPage struct {
	Status    int
	Heading   string
	Text      string
	Details   []string
	RequestID string
	BackURL   string
	Inside    bool // within the frame of somebody signed in
	SignOut   bool // somebody is signed in who has no business here
}
