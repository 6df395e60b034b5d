package audit

import (
	"encoding/json"

	"github.com/google/uuid"

	"countersign/internal/web"
)

// ActorResponse is who acted. ID is null for programs.
type ActorResponse struct {
	Kind  string  `json:"kind"`
	ID    *string `json:"id"`
	Label string  `json:"label"`
}

// ObjectResponse is what was acted on.
type ObjectResponse struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// EntryResponse is one record of the audit log.
type EntryResponse struct {
	ID        string          `json:"id"`
	CreatedAt string          `json:"created_at"`
	Actor     ActorResponse   `json:"actor"`
	Action    string          `json:"action"`
	Object    ObjectResponse  `json:"object"`
	AccountID *string         `json:"account_id"`
	Before    json.RawMessage `json:"before"`
	After     json.RawMessage `json:"after"`
	Reason    string          `json:"reason"`
	RequestID string          `json:"request_id"`
	IP        string          `json:"ip"`
	UserAgent string          `json:"user_agent"`
	ChainSeq  *int64          `json:"chain_seq"` // its place in the hash chain; null until it is sealed
}

func newEntryResponse(e Entry) EntryResponse {
	return EntryResponse{ID: e.ID.String(), CreatedAt: web.Time(e.CreatedAt),
		Actor: ActorResponse{Kind: e.ActorKind, ID: optionalID(e.ActorID), Label: e.ActorLabel}, Action: e.Action,
		Object: ObjectResponse{Type: e.ObjectType, ID: e.ObjectID.String()}, AccountID: optionalID(e.AccountID),
		Before: e.Before, After: e.After, Reason: e.Reason, RequestID: e.RequestID, IP: e.IP, UserAgent: e.UserAgent, ChainSeq: e.ChainSeq}
}

func optionalID(id uuid.UUID) *string {
	if id == uuid.Nil {
		return nil
	}
	s := id.String()
	return &s
}
