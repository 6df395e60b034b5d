package gateways

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/carddata"
	"countersign/internal/database"
	"countersign/internal/keyring"
	"countersign/internal/web"
	"countersign/tenancy"
)

// InboundStatus is how far a message of a provider has come.
type InboundStatus string

// The states of model.md 5.3.
const (
	InboundReceived  InboundStatus = "received"
	InboundProcessed InboundStatus = "processed"
	InboundFailed    InboundStatus = "failed"  // and it is tried again: by a worker for two days, and whenever it comes again
	InboundIgnored   InboundStatus = "ignored" // it means nothing to us
)

// Inbound is a message that a provider has sent, and what became of it. Neither the audit log nor an event tells of it: it
// is itself the record, and what it causes is told by those whose state it changes.
type Inbound struct {
	bun.BaseModel `bun:"table:inbound_events,alias:ie"`

	TenantID       uuid.UUID     `bun:"tenant_id,pk,type:uuid"`
	ID             uuid.UUID     `bun:"id,pk,type:uuid"`
	ConfigID       uuid.UUID     `bun:"config_id,type:uuid"`
	Gateway        string        `bun:"gateway"` // the name under which the tenant has configured it
	Mode           Mode          `bun:"mode"`
	ReplayKey      string        `bun:"replay_key"`
	Payload        []byte        `bun:"payload"` // sealed
	Headers        []byte        `bun:"headers"` // sealed
	Status         InboundStatus `bun:"status"`
	Attempts       int           `bun:"attempts"`
	PaymentID      uuid.NullUUID `bun:"payment_id,type:uuid"`
	Note           string        `bun:"note"`
	ResponseStatus *int          `bun:"response_status"`
	ResponseType   string        `bun:"response_type"`
	Response       []byte        `bun:"response"`
	ReceivedAt     time.Time     `bun:"received_at,nullzero"`
	ProcessedAt    *time.Time    `bun:"processed_at"`
	RedoAt         *time.Time    `bun:"redo_at"` // when a worker tries it again
}

var (
	sealedPayload = apps.SealedColumn{Table: "inbound_events", Column: "payload"}
	sealedHeaders = apps.SealedColumn{Table: "inbound_events", Column: "headers"}
)

// Done says whether the message has had its effect: it is answered with Answered, and nothing else is done.
func (e *Inbound) Done() bool { return e.Status == InboundProcessed || e.Status == InboundIgnored }

// Answered is what the provider was answered when the message had its effect.
func (e *Inbound) Answered() Response {
	r := Response{Status: http.StatusOK, ContentType: e.ResponseType, Body: e.Response}
	if e.ResponseStatus != nil {
		r.Status = *e.ResponseStatus
	}
	return r
}

func (e *Inbound) place(c apps.SealedColumn) keyring.Place {
	return keyring.Place{Tenant: e.TenantID, Purpose: c.Purpose(), Row: e.ID}
}

// around is what is kept of a callback beside its body.
type around struct {
	Method string      `json:"method"`
	Path   string      `json:"path"`
	Query  string      `json:"query"`
	Peer   string      `json:"peer"`
	Header http.Header `json:"header"`
}

// credentialHeaders are proofs that need not be kept once they were checked.
var credentialHeaders = []string{"Authorization", "Cookie", "Proxy-Authorization"}

// Receive stores a callback that its adapter has believed, before anything is done about it, in a commit of its own
// (S1-37), and without the card data that it may hold, which is not kept even sealed. A message that is there already is given as it is: when it is Done, its answer is repeated. ctx is what Endpoint
// gave.
func (s *Service) Receive(ctx context.Context, a Access, in Callback, m Message) (*Inbound, error) {
	redo := s.now().Add(takesNoLonger)
	e := &Inbound{TenantID: tenancy.ID(ctx), ID: uuid.Must(uuid.NewV7()), ConfigID: a.ConfigID, Gateway: a.Name, Mode: a.Credentials.Mode,
		ReplayKey: replayKey(m.ReplayKey), Status: InboundReceived, ReceivedAt: in.Arrived, RedoAt: &redo}
	beside, err := json.Marshal(around{Method: in.Method, Path: carddata.Said(in.Path), Query: carddata.Said(in.Query), Peer: in.Peer, Header: keptHeader(in.Header)})
	if err != nil {
		return nil, err
	}
	e.Payload, e.Headers = s.keys.Seal(e.place(sealedPayload), carddata.CleanJSON(in.Body)), s.keys.Seal(e.place(sealedHeaders), beside)
	var stored *Inbound
	err = tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		stored = &Inbound{}
		if _, err := tx.NewInsert().Model(e).On("CONFLICT (tenant_id, gateway, mode, replay_key) DO NOTHING").Exec(ctx); err != nil {
			return fmt.Errorf("store a callback: %w", err)
		}
		err := tx.NewSelect().Model(stored).Where("ie.tenant_id = ?", e.TenantID).Where("ie.gateway = ?", e.Gateway).Where("ie.mode = ?", e.Mode).
			Where("ie.replay_key = ?", e.ReplayKey).Scan(ctx)
		if err != nil {
			return fmt.Errorf("read a callback: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}

// keptHeader is what is stored of a callback's headers: not what proves who sends it, and no card data, in names neither.
func keptHeader(given http.Header) http.Header {
	kept := http.Header{}
	for name, values := range given {
		for _, value := range values {
			switch {
			case slices.Contains(credentialHeaders, http.CanonicalHeaderKey(name)):
				kept.Set(name, "checked and not kept")
			case !carddata.Named(name, value):
				kept.Add(carddata.Said(name), carddata.Said(value))
			}
		}
	}
	return kept
}

// replayKey is a provider's key as it is stored.
func replayKey(key string) string {
	if key != "" && len(key) <= 200 && utf8.ValidString(key) && !strings.Contains(key, "\x00") {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Take locks a message in the transaction of its effect, before any payment. Of copies that come at the same time one has
// the effect, and the others find it Done. It fails with web.ErrNotFound.
func (s *Service) Take(ctx context.Context, tx bun.Tx, id uuid.UUID) (*Inbound, error) {
	e := &Inbound{}
	err := tx.NewSelect().Model(e).Where("ie.tenant_id = ?", tenancy.ID(ctx)).Where("ie.id = ?", id).For("UPDATE").Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, web.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("lock a callback: %w", err)
	}
	return e, nil
}

// Outcome is what became of a message.
type Outcome struct {
	Response  Response
	PaymentID uuid.UUID // zero: none
	Ignored   string    // why it means nothing to us; empty: it had its effect
}

const finishInbound = `
UPDATE inbound_events SET status = $3, payment_id = $4, note = $5, response_status = $6, response_type = $7, response = $8, processed_at = $9, redo_at = NULL
WHERE tenant_id = $1 AND id = $2 AND status IN ('received', 'failed')`

// Finish marks a message that Take has locked. The mark travels with the COMMIT of the effect (W-06).
func (s *Service) Finish(ctx context.Context, e *Inbound, o Outcome) {
	state := InboundProcessed
	if o.Ignored != "" {
		state = InboundIgnored
	}
	database.SendWithCommit(ctx, database.Change("finish a callback", finishInbound, e.TenantID, e.ID, string(state), database.Nullable(o.PaymentID), o.Ignored,
		o.Response.Status, o.Response.ContentType, o.Response.Body, s.now()))
}

// maxNote is how many bytes of a note are kept.
const maxNote = 500

// Who has stored a message is at work on it for a minute at most. Later it is done again by a worker: after a failure in one
// minute, two, four and so on, up to an hour, and for two days, as long as orders are asked for.
const (
	takesNoLonger = time.Minute
	redoFor       = 48 * time.Hour
)

// Fail notes in a transaction of its own that a message had no effect, because of why. What has had its effect meanwhile
// stays as it is.
func (s *Service) Fail(ctx context.Context, id uuid.UUID, why error) error {
	return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		now := s.now()
		_, err := tx.NewUpdate().Model((*Inbound)(nil)).Set("status = ?", InboundFailed).Set("attempts = ie.attempts + 1").Set("note = ?", carddata.Excerpt(carddata.Said(why.Error()), maxNote)).
			Set("redo_at = CASE WHEN ie.received_at > ? THEN ?::timestamptz + least(interval '1 minute' * power(2, least(ie.attempts, 6)), interval '1 hour') END", now.Add(-redoFor), now).
			Where("ie.tenant_id = ?", tenancy.ID(ctx)).Where("ie.id = ?", id).Where("ie.status IN (?, ?)", InboundReceived, InboundFailed).Exec(ctx)
		if err != nil {
			return fmt.Errorf("note that a callback failed: %w", err)
		}
		return nil
	})
}

// TenantsToRedo gives the tenants with messages that are due to be done again. It runs as the observer.
var TenantsToRedo = tenancy.Due("inbound_events", "redo_at")

// ToRedo gives messages of the tenant of ctx that are due to be done again, the oldest first and at most limit of them.
func (s *Service) ToRedo(ctx context.Context, limit int64) (due []*Inbound, err error) {
	now := s.now()
	err = tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		due = nil
		return tx.NewSelect().Model(&due).Where("ie.tenant_id = ?", tenancy.ID(ctx)).Where("ie.redo_at <= ?", now).OrderExpr("ie.redo_at, ie.id").Limit(limit).Scan(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("read callbacks without an effect: %w", err)
	}
	return due, nil
}

// Understand has its adapter read a stored message again, as of when it came. It fails when what was checked then does not
// prove it any more, because the tenant has changed his secrets since: then it is done when the provider sends it again.
func (s *Service) Understand(ctx context.Context, e *Inbound) (Access, Message, error) {
	a, err := s.Reopen(ctx, e.Gateway)
	if err != nil {
		return Access{}, Message{}, err
	}
	if a.Credentials.Mode != e.Mode {
		return Access{}, Message{}, fmt.Errorf("the callback came in %s mode, and %s is in %s mode now", e.Mode, e.Gateway, a.Credentials.Mode)
	}
	in, err := s.ReopenInbound(e)
	if err != nil {
		return Access{}, Message{}, err
	}
	m, err := a.Gateway.HandleCallback(ctx, a.Credentials, in)
	return a, m, err
}

// ReopenInbound gives a stored message as it came, but for card data, to handle it once more. Its signature may be too old by now: it was checked.
func (s *Service) ReopenInbound(e *Inbound) (Callback, error) {
	body, err := s.keys.Open(e.place(sealedPayload), e.Payload)
	if err != nil {
		return Callback{}, fmt.Errorf("open callback %s: %w", e.ID, err)
	}
	beside, err := s.keys.Open(e.place(sealedHeaders), e.Headers)
	if err != nil {
		return Callback{}, fmt.Errorf("open the headers of callback %s: %w", e.ID, err)
	}
	var a around
	if err := json.Unmarshal(beside, &a); err != nil {
		return Callback{}, err
	}
	return Callback{Method: a.Method, Path: a.Path, Query: a.Query, Peer: a.Peer, Header: a.Header, Body: body, Arrived: e.ReceivedAt}, nil
}

// ListInbound gives a page of what providers have told the tenant.
func ListInbound(ctx context.Context, db bun.IDB, l web.List) (web.Page[*Inbound], error) {
	q := db.NewSelect().Model((*Inbound)(nil)).ExcludeColumn("payload", "headers", "response").Where("ie.tenant_id = ?", tenancy.ID(ctx))
	if status, ok := web.Value[InboundStatus](l, "status"); ok {
		q = q.Where("ie.status = ?", status)
	}
	if gateway, ok := web.Value[string](l, "gateway"); ok {
		q = q.Where("ie.gateway = ?", gateway)
	}
	if payment, ok := web.Value[uuid.UUID](l, "payment"); ok {
		q = q.Where("ie.payment_id = ?", payment)
	}
	return web.Paginate(ctx, q, l, "ie", func(e *Inbound) (time.Time, uuid.UUID) { return e.ReceivedAt, e.ID })
}
