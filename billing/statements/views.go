package statements

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/uptrace/bun"

	"countersign/billing/ledger"
	"countersign/internal/errs"
	"countersign/internal/web"
)

type views struct {
	db  *bun.DB
	now func() time.Time
}

func (v *views) statement(w http.ResponseWriter, r *http.Request) error {
	q, err := v.parse(r)
	if err != nil {
		return err
	}
	s, err := Read(r.Context(), v.db, q)
	if err != nil {
		return err
	}
	return web.OK(w, newStatementResponse(r.Context(), s, r.URL))
}

// parse reads the query, whose values the route has checked by querySpec.
func (v *views) parse(r *http.Request) (Request, error) {
	query := r.URL.Query()
	q := Request{Account: chi.URLParam(r, "id"), Currency: query.Get("currency"), Size: web.DefaultPageSize,
		Period: func(zone *time.Location) (Period, error) { return v.period(query.Get("from"), query.Get("to"), zone) }}
	var err error
	if text := query.Get("page_size"); text != "" {
		if q.Size, err = strconv.Atoi(text); err != nil {
			return q, err
		}
	}
	if text := query.Get("cursor"); text != "" {
		q.After, err = ledger.ParseEntryKey(text)
	}
	return q, err
}

// edge is an end of a period: a day, whose hours depend on the tenant's zone, or a time.
type edge struct {
	at  time.Time
	day bool
}

func parseEdge(text string) (any, error) {
	if day, err := web.ParseDate(text); err == nil {
		return edge{day, true}, nil
	}
	at, err := web.ParseInstant(text)
	return edge{at, false}, err
}

// period gives the times of a period in a zone. Without an end it ends now, and without a beginning it begins with the
// month in which it ends.
func (v *views) period(from, to string, zone *time.Location) (Period, error) {
	var p Period
	last := v.now().In(zone)
	if to != "" {
		parsed, err := parseEdge(to)
		if err != nil {
			return p, err
		}
		p.To = parsed.(edge).end(zone)
		last = p.To.In(zone)
	}
	p.From = time.Date(last.Year(), last.Month(), 1, 0, 0, 0, 0, zone)
	if from != "" {
		parsed, err := parseEdge(from)
		if err != nil {
			return p, err
		}
		p.From = parsed.(edge).begin(zone)
	}
	if to != "" && p.To.Before(p.From) {
		var fields errs.Fields
		fields.Add("to", ErrPeriod)
		return p, fields.Err()
	}
	return p, nil
}

func (e edge) begin(zone *time.Location) time.Time {
	if !e.day {
		return e.at
	}
	return time.Date(e.at.Year(), e.at.Month(), e.at.Day(), 0, 0, 0, 0, zone)
}

// end is the last moment: PostgreSQL knows none between two microseconds.
func (e edge) end(zone *time.Location) time.Time {
	if !e.day {
		return e.at
	}
	return time.Date(e.at.Year(), e.at.Month(), e.at.Day()+1, 0, 0, 0, 0, zone).Add(-time.Microsecond)
}
