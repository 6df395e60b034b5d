package audit

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// Entry is a record as it is stored.
type Entry struct {
	bun.BaseModel `bun:"table:audit_log,alias:a"`

	ID         uuid.UUID       `bun:"id,pk,type:uuid"`
	CreatedAt  time.Time       `bun:"created_at"`
	ActorKind  string          `bun:"actor_kind"`
	ActorID    uuid.UUID       `bun:"actor_id,type:uuid,nullzero"`
	ActorLabel string          `bun:"actor_label"`
	Action     string          `bun:"action"`
	ObjectType string          `bun:"object_type"`
	ObjectID   uuid.UUID       `bun:"object_id,type:uuid"`
	AccountID  uuid.UUID       `bun:"account_id,type:uuid,nullzero"`
	Before     json.RawMessage `bun:"before,type:jsonb,nullzero"`
	After      json.RawMessage `bun:"after,type:jsonb,nullzero"`
	Reason     string          `bun:"reason"`
	RequestID  string          `bun:"request_id"`
	IP         string          `bun:"ip"`
	UserAgent  string          `bun:"user_agent"`
	ChainSeq   *int64          `bun:"chain_seq"` // nil until it is sealed, some seconds after the commit
}
