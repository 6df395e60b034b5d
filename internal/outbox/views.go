package outbox

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/internal/web"
)

type views struct {
	db     *bun.DB
	outbox *Outbox
}

func (v *views) listJobs(w http.ResponseWriter, r *http.Request) error {
	list, err := web.ParseList(r, &jobsSpec)
	if err != nil {
		return err
	}
	var page web.Page[Job]
	err = database.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) error {
		page, err = Jobs(ctx, tx, list)
		return err
	})
	if err != nil {
		return err
	}
	return web.WritePage(w, page, newJobResponse)
}

func (v *views) listTasks(w http.ResponseWriter, r *http.Request) error {
	var states []TaskState
	err := database.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) (err error) {
		states, err = v.outbox.TaskStates(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	answer := TasksResponse{Tasks: make([]TaskResponse, len(states)), Count: len(states)}
	for i, s := range states {
		answer.Tasks[i] = newTaskResponse(v.outbox.declared[i], s)
	}
	return web.OK(w, answer)
}

func (v *views) restart(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	job, err := v.outbox.Restart(r.Context(), v.db, id)
	if err != nil {
		return err
	}
	return web.OK(w, newJobResponse(*job))
}

func (v *views) run(w http.ResponseWriter, r *http.Request) error {
	task := chi.URLParam(r, "name")
	id, err := v.outbox.RunNow(r.Context(), v.db, task)
	if err != nil {
		return err
	}
	return web.Answer(w, http.StatusAccepted, RunResponse{ID: id.String(), Task: task}, "The task will run as soon as a worker is free.")
}

func (v *views) listEvents(w http.ResponseWriter, r *http.Request) error {
	list, err := web.ParseList(r, &eventsSpec)
	if err != nil {
		return err
	}
	var page web.Page[Told]
	err = database.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) error {
		page, err = Events(ctx, tx, list)
		return err
	})
	if err != nil {
		return err
	}
	asked, _ := web.Value[string](list, "type")
	return web.WritePage(w, page, func(e Told) EventResponse {
		if e.Also == asked && asked != "" { // who asks for a name is answered with it
			e.Type, e.Also = e.Also, e.Type
		}
		return newEventResponse(e)
	})
}
