package accounts

import (
	"github.com/google/uuid"

	"countersign/internal/outbox"
)

// The events of this package.
const (
	EventAccountCreated = "account.created"
	EventAccountUpdated = "account.updated"
	EventUserCreated    = "user.created"
	EventUserUpdated    = "user.updated"
)

// AccountPayload is the payload of account events.
type AccountPayload struct {
	AccountID uuid.UUID `json:"account_id"`
	Kind      string    `json:"kind"`
	Country   string    `json:"country"`
	Currency  string    `json:"currency"`
	IsActive  bool      `json:"is_active"`
}

func accountEvent(name string, a *Account) outbox.Event {
	return outbox.Event{Type: name, ObjectType: "account", ObjectID: a.ID, AccountID: a.ID,
		Payload: AccountPayload{AccountID: a.ID, Kind: a.Kind, Country: a.Country, Currency: string(a.Currency), IsActive: a.IsActive}}
}

// UserPayload is the payload of user events.
type UserPayload struct {
	UserID    uuid.UUID  `json:"user_id"`
	Role      string     `json:"role"`
	AccountID *uuid.UUID `json:"account_id"`
	IsActive  bool       `json:"is_active"`
}

func userEvent(name string, m *Membership) outbox.Event {
	payload := UserPayload{UserID: m.UserID, Role: m.Role, IsActive: m.IsActive}
	if m.AccountID != uuid.Nil {
		payload.AccountID = &m.AccountID
	}
	return outbox.Event{Type: name, ObjectType: "user", ObjectID: m.UserID, AccountID: m.AccountID, Payload: payload}
}
