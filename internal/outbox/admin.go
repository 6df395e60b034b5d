package outbox

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/admin"
	"countersign/internal/apps"
	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/web"
)

// jobsPage is the page workers/jobs.
type jobsPage struct {
	Stats  []admin.Stat
	Notes  []admin.Note
	Tasks  []taskLine
	Dead   []deadJob
	AllURL string
}

type taskLine struct {
	Name, Schedule, RunURL string
	LastAt                 time.Time
	Dead                   int
}

type deadJob struct {
	ID, Task, Error, RunURL string
	FailedAt                time.Time
	Tried                   int
}

// shownDead is how many dead jobs the page shows, the latest first; the list of runs has them all.
const shownDead = 50

func (v *views) jobSection() admin.Section {
	at := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
	return admin.Section{Name: "jobs", Title: "Background work", Icon: "jobs", Group: admin.GroupSystem, Place: 10, Permission: auth.BillingView,
		Routes: []web.Route{{Method: http.MethodGet, Path: "/", Handler: v.jobsView},
			{Method: http.MethodPost, Path: "/tasks/{name}/run/", Permission: auth.BillingJobsManage, Handler: v.runFromConsole},
			{Method: http.MethodPost, Path: "/{id}/restart/", Permission: auth.BillingJobsManage, Handler: v.restartFromConsole}},
		Samples: []admin.Sample{{Page: "workers/jobs", Data: jobsPage{}}, {Page: "workers/jobs", Data: jobsPage{Stats: []admin.Stat{{Title: "Waiting", Text: "1"}},
			Notes: []admin.Note{{Tone: admin.ToneWait, Text: "n"}}, Tasks: []taskLine{{"t", "s", admin.Base, at, 1}, {Name: "u"}}, Dead: []deadJob{{"1", "t", "e", admin.Base, at, 12}}}}}}
}

func (v *views) jobsView(w http.ResponseWriter, r *http.Request) error {
	var states []TaskState
	var dead []Job
	var s standing
	var notes []admin.Note
	err := database.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) (err error) {
		notes = nil
		for _, alerts := range v.outbox.alerts {
			more, err := alerts(ctx, tx, admin.ReaderOf(r))
			if err != nil {
				return err
			}
			notes = append(notes, more...)
		}
		if states, err = v.outbox.TaskStates(ctx, tx); err != nil {
			return err
		}
		if dead, err = deadJobs(ctx, tx, shownDead); err != nil {
			return err
		}
		s, err = standingOf(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	page := v.newJobsPage(r, states, dead, s)
	page.Notes = append(notes, page.Notes...)
	return admin.Render(w, r, "workers/jobs", page)
}

func (v *views) newJobsPage(r *http.Request, states []TaskState, dead []Job, s standing) jobsPage {
	reader := admin.ReaderOf(r)
	p, _ := auth.From(r.Context())
	manages := p.Can(auth.BillingJobsManage)
	page := jobsPage{AllURL: admin.URL("job-runs"), Stats: []admin.Stat{{Title: "Waiting", Text: strconv.Itoa(s.Waiting)}, {Title: "Running", Text: strconv.Itoa(s.Running)},
		{Title: "Given up", Text: strconv.Itoa(s.Dead)}}}
	if s.Dead > 0 {
		page.Stats[2].Tone = admin.ToneBad
	}
	if !s.Oldest.IsZero() {
		page.Stats[0].Note = reader.Say("the oldest for {{.time}}", "time", reader.Age(s.Oldest))
		if reader.Now.Sub(s.Oldest) > 5*time.Minute {
			page.Notes = append(page.Notes, admin.Note{Tone: admin.ToneWait, Text: reader.Say("Work has waited for more than five minutes. Is a worker running?")})
		}
	}
	for i, state := range states {
		task := v.outbox.declared[i]
		line := taskLine{Name: task.Name, Schedule: schedule(reader, task), LastAt: state.LastSuccess, Dead: state.Dead}
		if manages && periodic(task) {
			line.RunURL = admin.URL("jobs", "tasks", task.Name, "run")
		}
		page.Tasks = append(page.Tasks, line)
	}
	for _, j := range dead {
		line := deadJob{ID: j.ID.String(), Task: j.Task, Error: j.LastError, FailedAt: j.DeadAt, Tried: j.Attempts}
		if manages {
			line.RunURL = admin.IDURL("jobs", j.ID, "restart")
		}
		page.Dead = append(page.Dead, line)
	}
	return page
}

// schedule says when a task runs.
func schedule(r admin.Reader, t apps.Task) string {
	var parts []string
	switch {
	case t.Every > 0:
		parts = append(parts, r.Say("every {{.time}}", "time", r.Duration(t.Every)))
	case t.DailyAt != "":
		parts = append(parts, r.Say("daily at {{.time}} UTC", "time", t.DailyAt))
	}
	if t.After != "" {
		parts = append(parts, r.Say("after {{.task}}", "task", t.After))
	}
	if len(t.On) > 0 {
		parts = append(parts, r.Say("on {{.events}}", "events", strings.Join(t.On, ", ")))
	}
	return strings.Join(parts, ", ")
}

func (v *views) runFromConsole(w http.ResponseWriter, r *http.Request) error {
	if _, err := v.outbox.RunNow(r.Context(), v.db, chi.URLParam(r, "name")); err != nil {
		return err
	}
	return admin.Redirect(w, r, admin.URL("jobs"), "The task will run as soon as a worker is free.")
}

func (v *views) restartFromConsole(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	if _, err := v.outbox.Restart(r.Context(), v.db, id); err != nil {
		return err
	}
	return admin.Redirect(w, r, admin.URL("jobs"), "The job is tried again as soon as a worker is free.")
}

func (v *views) runSection() admin.Section {
	return admin.ModelAdmin[Job]{
		Name: "job-runs", Title: "All runs", Description: "Every run of a task that was asked for, by an event, the clock or a person.", Hidden: true, Permission: auth.BillingView,
		Spec: &jobsSpec,
		ListFilter: []admin.Filter{{Name: "state", Label: "Status", Options: []admin.Option{{Value: "waiting", Label: "Waiting"}, {Value: "running", Label: "Running"},
			{Value: "done", Label: "Done"}, {Value: "dead", Label: "Given up"}}}, {Name: "task", Label: "Task", Read: v.taskOptions}},
		ListDisplay: []admin.Column[Job]{
			{Title: "Task", Value: func(j Job) admin.Cell { return admin.Code(j.Task) }},
			{Title: "Status", Value: func(j Job) admin.Cell { return admin.Status(j.State) }},
			{Title: "Asked for", OrderBy: "created_at", Value: func(j Job) admin.Cell { return admin.When(j.CreatedAt) }},
			{Title: "Cause", Value: func(j Job) admin.Cell { return admin.Code(j.Cause) }},
			{Title: "Tries", Value: func(j Job) admin.Cell { return admin.Count(int64(j.Attempts)) }},
			{Title: "Error", Value: func(j Job) admin.Cell { return admin.Text(j.LastError) }},
		},
		List: func(ctx context.Context, l web.List) (page web.Page[Job], err error) {
			err = database.Read(ctx, v.db, func(ctx context.Context, tx bun.Tx) error {
				page, err = Jobs(ctx, tx, l)
				return err
			})
			return page, err
		},
		NoDetail: true,
	}.Section()
}

// taskOptions are read when they are asked for: tasks are declared after the console's pages.
func (v *views) taskOptions(context.Context) ([]admin.Option, error) {
	var options []admin.Option
	for _, t := range v.outbox.declared {
		options = append(options, admin.Option{Value: t.Name, Label: t.Name})
	}
	return options, nil
}

func (v *views) eventSection() admin.Section {
	return admin.ModelAdmin[Told]{
		Name: "events", Title: "Events", Description: "What happened, as your own systems can read it too.", Icon: "clock", Group: admin.GroupSystem, Place: 20, Permission: auth.BillingView,
		Spec: &eventsSpec,
		ListFilter: []admin.Filter{{Name: "object_type", Label: "Object", Options: []admin.Option{{Value: "payment", Label: "Payments"}, {Value: "invoice", Label: "Invoices"},
			{Value: "account", Label: "Accounts"}, {Value: "user", Label: "Users"}, {Value: "evidence", Label: "Receipts"}}}},
		ListDisplay: []admin.Column[Told]{
			{Title: "When", OrderBy: "created_at", Value: func(e Told) admin.Cell { return admin.When(e.CreatedAt) }},
			{Title: "What", Value: func(e Told) admin.Cell { return admin.Text(e.Type) }},
			{Title: "Object", Value: func(e Told) admin.Cell { return audit.ObjectCell(e.ObjectType, e.ObjectID) }},
			{Title: "Who", Value: func(e Told) admin.Cell { return admin.Text(e.Actor) }},
		},
		List: func(ctx context.Context, l web.List) (page web.Page[Told], err error) {
			err = database.Read(ctx, v.db, func(ctx context.Context, tx bun.Tx) error {
				page, err = Events(ctx, tx, l)
				return err
			})
			return page, err
		},
		Key: func(e Told) uuid.UUID { return e.ID },
		Get: func(ctx context.Context, id uuid.UUID) (e Told, err error) {
			err = database.Read(ctx, v.db, func(ctx context.Context, tx bun.Tx) error {
				e, err = eventByID(ctx, tx, id)
				return err
			})
			return e, err
		},
		Detail: eventPage,
	}.Section()
}

func eventPage(_ context.Context, r admin.Reader, e Told) (admin.DetailPage, error) {
	facts := []admin.Fact{{Label: "When", Value: admin.When(e.CreatedAt)}, {Label: "Who", Value: admin.Text(e.Actor)}, {Label: "Object", Value: audit.ObjectCell(e.ObjectType, e.ObjectID)}}
	if e.RequestID != "" {
		facts = append(facts, admin.Fact{Label: "Request", Value: admin.Code(e.RequestID)})
	}
	return admin.DetailPage{Title: e.Type, Subtitle: r.DateTime(e.CreatedAt), Groups: []admin.FactGroup{{Title: "Details", Facts: facts}},
		Tables: []admin.Table{audit.Values("Payload", e.Payload)}}, nil
}
