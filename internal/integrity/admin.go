package integrity

import (
	"context"
	"net/http"

	"github.com/uptrace/bun"

	"countersign/internal/admin"
	"countersign/internal/apps"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/web"
)

// App hands the nightly task, the console page and its alert to the project.
func (s *Service) App() apps.App {
	return apps.App{Name: "integrity", Tasks: []apps.Task{s.task()}, Admin: []admin.Section{s.section()}, Alerts: s.alerts}
}

// section shows what each check looks for and what it has found. What is wrong with the books is told in English, as by
// countersign verify: it is for whoever mends them.
func (s *Service) section() admin.Section {
	return admin.Section{Name: "integrity", Title: "Proof of the books", Icon: "ledger", Group: admin.GroupSystem, Place: 15, Permission: auth.BillingLedgerView,
		Routes: []web.Route{{Method: http.MethodGet, Path: "/", Handler: s.page}}}
}

func (s *Service) page(w http.ResponseWriter, r *http.Request) error {
	var found map[string]result
	err := database.Read(r.Context(), s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		found, err = latest(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	return admin.Render(w, r, "admin/detail", s.newPage(admin.ReaderOf(r), found))
}

func (s *Service) newPage(r admin.Reader, found map[string]result) admin.DetailPage {
	page := admin.DetailPage{Title: r.Say("Proof of the books"), Subtitle: r.Say("Every night all books are read whole and proven. Nothing may be found."),
		Buttons: []admin.Button{{Title: "Background work", URL: admin.URL("jobs")}}}
	broken, missing := 0, 0
	var checks [][]admin.Cell
	var tables []admin.Table
	for _, c := range s.checks {
		last, ran := found[c.ID]
		at := admin.Word("never")
		if ran {
			at = admin.When(last.RanAt)
		} else {
			missing++
		}
		status := admin.Status("proven")
		if last.Found > 0 {
			broken += last.Found
			status = admin.Status("broken")
			tables = append(tables, places(c, last))
		} else if !ran {
			status = admin.Status("waiting")
		}
		checks = append(checks, []admin.Cell{admin.Code(c.ID), admin.Text(c.What), status, admin.Count(int64(last.Found)), at})
	}
	switch {
	case broken > 0:
		page.Notes = []admin.Note{brokenNote(r, broken)}
	case missing == 0:
		page.Notes = []admin.Note{{Tone: admin.ToneOK, Text: r.Say("The books are right.")}}
	}
	page.Tables = append(tables, admin.NewTable("Checks", []string{"Check", "Looks for", "Status", "Found", "Last run"}, nil, checks))
	return page
}

// places names what a check has found, and what to do.
func places(c apps.Check, last result) admin.Table {
	rows := [][]admin.Cell{}
	for _, p := range last.Places {
		rows = append(rows, []admin.Cell{admin.Code(p.Object.String()), admin.Text(p.Detail).WithNote(c.Hint)})
	}
	return admin.NewTable(c.ID, []string{"Object", "Details"}, nil, rows)
}

func brokenNote(r admin.Reader, n int) admin.Note {
	return admin.Note{Tone: admin.ToneBad, Text: r.Say("The books are broken, places: {{.count}}. This is a bug or fraud: see the proof of the books.", "count", n)}
}

// alerts tells staff above the background work when the last proof has found something.
func (s *Service) alerts(ctx context.Context, tx bun.Tx, r admin.Reader) ([]admin.Note, error) {
	found, err := latest(ctx, tx)
	n := 0
	for _, f := range found {
		n += f.Found
	}
	if err != nil || n == 0 {
		return nil, err
	}
	return []admin.Note{brokenNote(r, n)}, nil
}
