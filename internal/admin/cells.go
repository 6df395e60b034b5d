package admin

import (
	"strconv"
	"time"

	"countersign/billing/money"
)

// Cell is one value in a table or a list of facts. Make it with one of the functions below; add a second, quieter
// line with WithNote.
type Cell struct {
	Kind   string
	Text   string
	Note   string
	URL    string
	Amount money.Money
	Time   time.Time
	Tags   []Tag
}

// Text is data as it is: a name, a sentence.
func Text(text string) Cell { return Cell{Kind: "text", Text: text} }

// Word is an English word or phrase of ours, translated for the reader.
func Word(text string) Cell { return Cell{Kind: "word", Text: text} }

// Code is an identifier that people copy: a reference, an id.
func Code(text string) Cell { return Cell{Kind: "code", Text: text} }

// Amount is money with its currency.
func Amount(m money.Money) Cell { return Cell{Kind: "money", Amount: m} }

// Count is a whole number.
func Count(n int64) Cell { return Cell{Kind: "count", Text: strconv.FormatInt(n, 10)} }

// Status is the badge of a stored state.
func Status[S ~string](status S) Cell { return Cell{Kind: "status", Text: string(status)} }

// Flag is the badge "On" or "Off".
func Flag(on bool) Cell {
	if on {
		return Status("enabled")
	}
	return Status("disabled")
}

// When is a moment in the tenant's time zone.
func When(at time.Time) Cell { return Cell{Kind: "time", Time: at} }

// Day is a date. A date without a time of day should be given as midnight in the tenant's time zone.
func Day(at time.Time) Cell { return Cell{Kind: "date", Time: at} }

// Date is a calendar day as it is stored and answered: "2026-01-31". It is the same day in every time zone.
func Date(day string) Cell {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return Text(day)
	}
	return Cell{Kind: "day", Time: at}
}

// Age says how long ago something was.
func Age(at time.Time) Cell { return Cell{Kind: "age", Time: at} }

// LinkTo is data that leads elsewhere.
func LinkTo(text, url string) Cell { return Cell{Kind: "link", Text: text, URL: url} }

// TagList is a row of short labels.
func TagList(tags ...Tag) Cell { return Cell{Kind: "tags", Tags: tags} }

// WithNote adds a second, quieter line of data.
func (c Cell) WithNote(note string) Cell {
	c.Note = note
	return c
}

// numeric says whether the value stands at the right edge of its column.
func (c Cell) numeric() bool { return c.Kind == "money" || c.Kind == "count" }

func (c Cell) blank() bool {
	return c.Text == "" && c.Note == "" && (c.Kind == "text" || c.Kind == "code" || c.Kind == "word" || c.Kind == "link") ||
		c.Kind == "tags" && len(c.Tags) == 0
}

// Tag is a short label, such as a signal in the queue. Title is the whole sentence behind it.
type Tag struct {
	Tone  Tone
	Label string
	Title string
}
