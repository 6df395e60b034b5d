package outbox

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// State is where a job stands. It is derived from its times.
type State string

// The states of a job.
const (
	StateWaiting State = "waiting" // for its time or for a worker
	StateRunning State = "running"
	StateDone    State = "done"
	StateDead    State = "dead" // failed too often; it can be restarted
)

// states says in SQL what each state means, for rows under the alias j.
var states = map[State]bun.Safe{
	StateDone:    "j.done_at IS NOT NULL",
	StateDead:    "j.dead_at IS NOT NULL",
	StateRunning: "j.done_at IS NULL AND j.dead_at IS NULL AND j.attempts > 0 AND j.last_error = '' AND j.next_at > now()",
	StateWaiting: "j.done_at IS NULL AND j.dead_at IS NULL AND NOT (j.attempts > 0 AND j.last_error = '' AND j.next_at > now())",
}

const stateColumn = `CASE WHEN ? THEN 'done' WHEN ? THEN 'dead' WHEN ? THEN 'running' ELSE 'waiting' END AS state`

// Job is one row of the outbox: one run of a task that was asked for.
type Job struct {
	bun.BaseModel `bun:"table:outbox,alias:j"`

	ID        uuid.UUID `bun:"id,pk,type:uuid"`
	Task      string    `bun:"task"`
	Cause     string    `bun:"cause"`
	CreatedAt time.Time `bun:"created_at"`
	NextAt    time.Time `bun:"next_at"`
	Attempts  int       `bun:"attempts"`
	DoneAt    time.Time `bun:"done_at,nullzero"`
	DeadAt    time.Time `bun:"dead_at,nullzero"`
	LastError string    `bun:"last_error"`
	State     State     `bun:"state,scanonly"`
}

// TaskState is how one declared task is doing in a tenant.
type TaskState struct {
	Task        string
	LastSuccess time.Time // zero: never
	Dead        int
}

// Told is an event as it is stored.
type Told struct {
	bun.BaseModel `bun:"table:events,alias:e"`

	ID         uuid.UUID       `bun:"id,pk,type:uuid"`
	Type       string          `bun:"type"`
	Also       string          `bun:"also"`
	ObjectType string          `bun:"object_type"`
	ObjectID   uuid.UUID       `bun:"object_id,type:uuid"`
	AccountID  uuid.UUID       `bun:"account_id,type:uuid,nullzero"`
	Payload    json.RawMessage `bun:"payload,type:text"`
	Actor      string          `bun:"actor"`
	RequestID  string          `bun:"request_id"`
	CreatedAt  time.Time       `bun:"created_at"`
}
