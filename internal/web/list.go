package web

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/internal/errs"
)

// CountLimit is where counting stops: beyond it a count costs more than anybody learns from it (S0-102). Pages end
// there, too.
const CountLimit = 10_000

// DefaultPageSize is how many rows a page has when page_size does not say.
const DefaultPageSize = 25

const maxPageSize = 100

var (
	// ErrUnknownParameter names a query parameter the list does not know.
	ErrUnknownParameter = errs.Invalid("unknown_parameter", "This list does not know this parameter. It knows: {{.allowed}}.")
	// ErrNotAChoice names a filter value or ordering that is not on the list's own list.
	ErrNotAChoice = errOneOf
	errPage       = errs.Invalid("invalid_page", "Pages are counted from 1, with page_size from 1 to 100.")
	errPageDeep   = errs.Invalid("page_too_deep", "Pages end at the 10000th row. Follow the cursor instead: start with cursor= and read next.")
	errCursor     = errs.Invalid("invalid_cursor", "This cursor was not made by this list. Start again with cursor=.")
)

// Filter is one query parameter of a list. Parse turns its text into the value that Value returns.
type Filter struct {
	Name  string
	Doc   string
	Parse func(raw string) (any, error)
}

// Choice is a filter that accepts the keys of words in any case and gives what they stand for. A key in capital letters
// stands for itself, before one in small letters.
func Choice[T any](name, doc string, words map[string]T) Filter {
	return Filter{name, doc, func(raw string) (any, error) {
		if v, ok := words[raw]; ok {
			return v, nil
		}
		if v, ok := words[strings.ToLower(raw)]; ok {
			return v, nil
		}
		allowed := make([]string, 0, len(words))
		for w := range words {
			allowed = append(allowed, w)
		}
		slices.Sort(allowed)
		return nil, ErrNotAChoice.With("allowed", strings.Join(allowed, ", "))
	}}
}

// Text is a filter with any text of up to 200 characters.
func Text(name, doc string) Filter {
	return Filter{name, doc, func(raw string) (any, error) {
		if len(raw) > 200 {
			return nil, errTooLong.With("limit", 200)
		}
		if strings.ContainsFunc(raw, isControl) {
			return nil, ErrBadText
		}
		return strings.TrimSpace(raw), nil
	}}
}

// Instant is a filter with an RFC 3339 time or a date, which means its first moment in UTC.
func Instant(name, doc string) Filter {
	return Filter{name, doc, func(raw string) (any, error) {
		t, err := ParseInstant(raw)
		return t, err
	}}
}

// Identifier is a filter with a UUID.
func Identifier(name, doc string) Filter {
	return Filter{name, doc, func(raw string) (any, error) { return ParseID(raw) }}
}

// Flag is a filter with true or false.
func Flag(name, doc string) Filter {
	return Choice(name, doc, map[string]bool{"true": true, "false": false})
}

// PageSize is page_size for a call that is no list and gives its rows by cursor all the same.
func PageSize() Filter {
	return Filter{"page_size", "How many rows a page has, at most 100.", func(raw string) (any, error) {
		n := DefaultPageSize
		err := positive(raw, &n, maxPageSize)
		return n, err
	}}
}

// ListSpec says which filters and orderings a list allows. Every list has page, page_size and cursor.
type ListSpec struct {
	Filters []Filter
	// Ordering maps the words allowed in ?ordering= to columns. A leading hyphen reverses. created_at is the key of
	// the cursor and must be among them; where it maps to id, the order of the ids, which are of version 7, stands for
	// the order of creation, and the primary key serves the list without an index of its own.
	Ordering map[string]string
	// Default is the ordering when none is given, such as "-created_at".
	Default string
	// AdHoc says that a request may bring conditions beside its filters for which no index has the order of the list.
	AdHoc bool
}

// List is a parsed list request.
type List struct {
	Page     int
	Size     int
	Ordering string // as allowed by the spec
	ByCursor bool
	after    cursor
	spec     *ListSpec
	values   map[string]any
	url      *url.URL
}

// cursor is the place in a list after which the next page begins.
type cursor struct {
	At time.Time `json:"t"`
	ID uuid.UUID `json:"i"`
}

// Value gives the parsed value of a filter; ok is false when the request did not name it.
func Value[T any](l List, name string) (v T, ok bool) {
	v, ok = l.values[name].(T)
	return v, ok
}

// ParseList reads the query string by spec. Unknown parameters and values are refused by name, so that a misspelt
// filter never shows too much.
func ParseList(r *http.Request, spec *ListSpec) (List, error) {
	l := List{Page: 1, Size: DefaultPageSize, Ordering: spec.Default, spec: spec, values: map[string]any{}, url: r.URL}
	var fields errs.Fields
	query := r.URL.Query()
	if err := once(query); err != nil {
		return List{}, err
	}
	for name, given := range query {
		if err := l.set(name, given[0]); err != nil {
			fields.Add(told(cut(name, maxName)), errs.As(err))
		}
	}
	if err := fields.Err(); err != nil {
		return List{}, err
	}
	if l.ByCursor && strings.TrimPrefix(l.Ordering, "-") != "created_at" {
		fields.Add("cursor", errCursor)
	}
	if !l.ByCursor && l.Page*l.Size > CountLimit {
		fields.Add("page", errPageDeep)
	}
	return l, fields.Err()
}

func (l *List) set(name, raw string) error {
	switch name {
	case "page":
		return positive(raw, &l.Page, CountLimit)
	case "page_size":
		return positive(raw, &l.Size, maxPageSize)
	case "cursor":
		l.ByCursor = true
		return l.parseCursor(raw)
	case "ordering":
		if _, ok := l.spec.Ordering[strings.TrimPrefix(raw, "-")]; !ok {
			return ErrNotAChoice.With("allowed", l.spec.orderings())
		}
		l.Ordering = raw
		return nil
	}
	f, ok := l.spec.filter(name)
	if !ok {
		return ErrUnknownParameter.With("allowed", strings.Join(append([]string{"page", "page_size", "cursor", "ordering"}, l.spec.names()...), ", "))
	}
	if raw == "" { // an empty form field filters nothing
		return nil
	}
	v, err := f.Parse(raw)
	if err != nil {
		return err
	}
	l.values[name] = v
	return nil
}

func (s *ListSpec) filter(name string) (Filter, bool) {
	i := slices.IndexFunc(s.Filters, func(f Filter) bool { return f.Name == name })
	if i < 0 {
		return Filter{}, false
	}
	return s.Filters[i], true
}

// check says what is wrong with a parameter of a call that takes the filters and is no list.
func (s *ListSpec) check(name, raw string) error {
	f, ok := s.filter(name)
	if !ok {
		return ErrUnknownParameter.With("allowed", strings.Join(s.names(), ", "))
	}
	if raw == "" {
		return nil
	}
	_, err := f.Parse(raw)
	return err
}

func positive(raw string, dst *int, limit int) error {
	n, err := strconv.Atoi(raw)
	if err != nil || n < 1 || n > limit || raw[0] == '+' {
		return errPage
	}
	*dst = n
	return nil
}

func (l *List) parseCursor(raw string) error {
	if raw == "" {
		return nil
	}
	text, err := base64.RawURLEncoding.DecodeString(raw)
	if err != nil || json.Unmarshal(text, &l.after) != nil || l.after.ID == uuid.Nil || !inYears(l.after.At.UTC()) {
		return errCursor
	}
	return nil
}

func (s *ListSpec) orderings() string {
	var words []string
	for w := range s.Ordering {
		words = append(words, w, "-"+w)
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

func (s *ListSpec) names() []string {
	var names []string
	for _, f := range s.Filters {
		names = append(names, f.Name)
	}
	return names
}

// clockSlack is how far the time in an id, which is the program's, may be from created_at, which is the database's.
const clockSlack = 24 * time.Hour

// CreatedBetween narrows a list whose order is that of its ids by the values of its filters created_after and
// created_before. The ids only bound how much of the index is read: created_at itself decides.
func (l List) CreatedBetween(q *bun.SelectQuery, alias string) *bun.SelectQuery {
	if t, ok := Value[time.Time](l, "created_after"); ok {
		q = q.Where("?.created_at >= ?", bun.Ident(alias), t).Where("?.id >= ?", bun.Ident(alias), LowestID(t.Add(-clockSlack)))
	}
	if t, ok := Value[time.Time](l, "created_before"); ok {
		q = q.Where("?.created_at < ?", bun.Ident(alias), t).Where("?.id < ?", bun.Ident(alias), LowestID(t.Add(clockSlack)))
	}
	return q
}

// LowestID is the lowest id of version 7 at a time.
func LowestID(at time.Time) uuid.UUID {
	var id uuid.UUID
	ms := max(at.UnixMilli(), 0)
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	id[6] = 0x70
	return id
}

// Page is one page of a list.
type Page[T any] struct {
	Items []T
	// Count is how many rows the filters match. Counting stops behind CountLimit, so a larger number stands for any.
	// It is -1 when reading by cursor.
	Count    int
	Next     string // empty on the last page
	Previous string
}

// Paginate runs q, which selects the rows of a list with its filters applied, and gives the page that l asks for.
// key gives the creation time and id of a row; alias is the alias of its table in q.
func Paginate[T any](ctx context.Context, q *bun.SelectQuery, l List, alias string, key func(T) (time.Time, uuid.UUID)) (Page[T], error) {
	page := Page[T]{Count: -1}
	if !l.ByCursor {
		// counted before order and limit, and never further than anybody reads
		n, err := l.count(ctx, q)
		if err != nil {
			return page, err
		}
		page.Count = n
	}
	q = l.order(q, alias)
	if l.ByCursor {
		q = l.seek(q, alias)
	} else {
		q = q.Offset(int64((l.Page - 1) * l.Size))
	}
	items := []T{}
	if err := l.scan(ctx, q.Limit(int64(l.Size+1)), &items); err != nil {
		return page, fmt.Errorf("read a page: %w", err)
	}
	more := len(items) > l.Size
	page.Items = items[:min(len(items), l.Size)]
	l.link(&page.Next, &page.Previous, more, func() cursor {
		at, id := key(page.Items[len(page.Items)-1])
		return cursor{at, id}
	})
	return page, nil
}

// scan runs a statement of the list, in the transaction of ctx. The newest first, or the oldest, is what everybody asks for,
// and an index has that order, so it is prepared. What is filtered or ordered otherwise is planned for its values, since what
// few rows have is found by another index than what most have. A page far inside, or of an odd size, would be a
// statement of its own, and each connection keeps what it has prepared.
func (l List) scan(ctx context.Context, q *bun.SelectQuery, dest any) error {
	if len(l.values) == 0 && strings.TrimPrefix(l.Ordering, "-") == "created_at" && l.Page == 1 && l.Size%DefaultPageSize == 0 && !l.spec.AdHoc {
		return database.Prepared(ctx, q, dest)
	}
	return q.Scan(ctx, dest)
}

func (l List) count(ctx context.Context, q *bun.SelectQuery) (int, error) {
	var n int
	capped := q.Clone().ColumnExpr("1").Limit(CountLimit + 1)
	err := l.scan(ctx, q.NewSelect().ColumnExpr("count(*)").TableExpr("(?) AS capped", capped), &n)
	if err != nil {
		return 0, fmt.Errorf("count rows: %w", err)
	}
	return n, nil
}

// order sorts by the chosen column and then by id, so that rows of one moment keep their places.
func (l List) order(q *bun.SelectQuery, alias string) *bun.SelectQuery {
	column := l.spec.Ordering[strings.TrimPrefix(l.Ordering, "-")]
	direction := bun.Safe("ASC")
	if strings.HasPrefix(l.Ordering, "-") {
		direction = bun.Safe("DESC")
	}
	if column == "id" {
		return q.OrderExpr("?.id ?", bun.Ident(alias), direction)
	}
	return q.OrderExpr("?.? ?, ?.id ?", bun.Ident(alias), bun.Ident(column), direction, bun.Ident(alias), direction)
}

func (l List) seek(q *bun.SelectQuery, alias string) *bun.SelectQuery {
	if l.after.ID == uuid.Nil {
		return q
	}
	comparison := bun.Safe(">")
	if strings.HasPrefix(l.Ordering, "-") {
		comparison = bun.Safe("<")
	}
	if l.spec.Ordering["created_at"] == "id" {
		return q.Where("?.id ? ?", bun.Ident(alias), comparison, l.after.ID)
	}
	return q.Where("(?.created_at, ?.id) ? (?, ?)", bun.Ident(alias), bun.Ident(alias), comparison, l.after.At, l.after.ID)
}

func (l List) link(next, previous *string, more bool, last func() cursor) {
	with := func(name, value string) string {
		query := l.url.Query()
		query.Set(name, value)
		return l.url.Path + "?" + query.Encode()
	}
	after := func() string {
		text, _ := json.Marshal(last())
		return base64.RawURLEncoding.EncodeToString(text)
	}
	switch {
	case l.ByCursor && more:
		*next = with("cursor", after())
	case !l.ByCursor:
		switch {
		case more && (l.Page+1)*l.Size <= CountLimit:
			*next = with("page", strconv.Itoa(l.Page+1))
		case more && strings.TrimPrefix(l.Ordering, "-") == "created_at": // where pages end
			*next = with("cursor", after())
		}
		if l.Page > 1 {
			*previous = with("page", strconv.Itoa(l.Page-1))
		}
	}
}

// ListBody is the list envelope of seed 003. Count is absent when reading by cursor. CountIsExact is false where more
// rows match than Count says, and absent where Count is exact, which is what the seed's envelope promises.
type ListBody struct {
	Success      bool    `json:"success"`
	Count        *int    `json:"count,omitempty"`
	CountIsExact *bool   `json:"count_is_exact,omitempty"`
	Next         *string `json:"next"`
	Previous     *string `json:"previous"`
	Results      any     `json:"results"`
	RequestID    string  `json:"request_id"`
}

// WritePage answers 200 with the list envelope, each row shaped by show.
func WritePage[T, R any](w http.ResponseWriter, page Page[T], show func(T) R) error {
	results := make([]R, len(page.Items))
	for i, item := range page.Items {
		results[i] = show(item)
	}
	body := ListBody{Success: true, Next: optional(page.Next), Previous: optional(page.Previous), Results: results,
		RequestID: w.Header().Get("X-Request-ID")}
	if page.Count >= 0 {
		body.Count = new(min(page.Count, CountLimit))
	}
	if page.Count > CountLimit {
		body.CountIsExact = new(false)
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
