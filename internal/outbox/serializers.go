package outbox

import (
	"encoding/json"

	"github.com/google/uuid"

	"countersign/internal/apps"
	"countersign/internal/web"
)

// JobResponse is a job as staff see it. Payloads are not shown: they are for programs.
type JobResponse struct {
	ID        string  `json:"id"`
	Task      string  `json:"task"`
	Cause     string  `json:"cause"`
	State     string  `json:"state"`
	Attempts  int     `json:"attempts"`
	CreatedAt string  `json:"created_at"`
	NextAt    *string `json:"next_at"` // null once it has ended
	DoneAt    *string `json:"done_at"`
	DeadAt    *string `json:"dead_at"`
	LastError string  `json:"last_error"`
}

func newJobResponse(j Job) JobResponse {
	r := JobResponse{ID: j.ID.String(), Task: j.Task, Cause: j.Cause, State: string(j.State), Attempts: j.Attempts, CreatedAt: web.Time(j.CreatedAt),
		DoneAt: web.OptionalTime(j.DoneAt), DeadAt: web.OptionalTime(j.DeadAt), LastError: j.LastError}
	if r.DoneAt == nil && r.DeadAt == nil {
		r.NextAt = web.OptionalTime(j.NextAt)
	}
	return r
}

// TaskResponse is a declared task with how it is doing in the caller's tenant.
type TaskResponse struct {
	Name           string   `json:"name"`
	On             []string `json:"on"`            // events that hand it work
	EverySeconds   int64    `json:"every_seconds"` // 0: not by interval
	DailyAt        string   `json:"daily_at"`      // UTC; empty: not daily
	After          string   `json:"after"`         // the task of the same tick that comes first
	RunnableByHand bool     `json:"runnable_by_hand"`
	LastSuccessAt  *string  `json:"last_success_at"`
	DeadCount      int      `json:"dead_count"`
}

func newTaskResponse(t apps.Task, s TaskState) TaskResponse {
	return TaskResponse{Name: t.Name, On: append([]string{}, t.On...), EverySeconds: int64(t.Every.Seconds()), DailyAt: t.DailyAt, After: t.After,
		RunnableByHand: periodic(t), LastSuccessAt: web.OptionalTime(s.LastSuccess), DeadCount: s.Dead}
}

// TasksResponse is what the call for all declared tasks answers.
type TasksResponse struct {
	Tasks []TaskResponse `json:"tasks"`
	Count int            `json:"count"`
}

// RunResponse names the job that was asked for.
type RunResponse struct {
	ID   string `json:"id"`
	Task string `json:"task"`
}

// EventResponse is an event as staff see it.
type EventResponse struct {
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	Also       string          `json:"also"` // a second name that it goes by; empty: none
	ObjectType string          `json:"object_type"`
	ObjectID   string          `json:"object_id"`
	AccountID  *string         `json:"account_id"`
	Payload    json.RawMessage `json:"payload"`
	Actor      string          `json:"actor"`
	RequestID  string          `json:"request_id"`
	CreatedAt  string          `json:"created_at"`
}

func newEventResponse(e Told) EventResponse {
	r := EventResponse{ID: e.ID.String(), Type: e.Type, Also: e.Also, ObjectType: e.ObjectType, ObjectID: e.ObjectID.String(), Payload: e.Payload,
		Actor: e.Actor, RequestID: e.RequestID, CreatedAt: web.Time(e.CreatedAt)}
	if e.AccountID != uuid.Nil {
		account := e.AccountID.String()
		r.AccountID = &account
	}
	return r
}
