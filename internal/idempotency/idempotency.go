// Package idempotency makes a repeated request harmless: the first answer is stored under the client's key in the
// commit of the effect, and given again to whoever repeats the request (S1-42 to S1-47, C-20).
package idempotency

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/carddata"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/web"
)

var (
	// ErrReused means that the key was used before with another body.
	ErrReused = errs.Conflict("idempotency_key_reused", "This idempotency key was used before for a different request. Use a new key.")
	// ErrInProgress means that the first request with this key is still running.
	ErrInProgress = errs.Conflict("idempotency_in_progress", "A request with this idempotency key is still running. Wait and repeat it.").After(time.Second)
	// ErrRequired means that a call which moves money was made without a key.
	ErrRequired = errs.Invalid("idempotency_key_required", "This call moves money. Send a key in the header Idempotency-Key, or in the field idempotency_key where the call has one, and repeat the call only with the same key.")
	// ErrKeysDiffer means that the header and the body name different keys.
	ErrKeysDiffer = errs.Invalid("idempotency_keys_differ", "The Idempotency-Key header and the field idempotency_key must be the same when both are given.")
	// ErrInvalidKey means that the key is empty, longer than 255 characters or holds invisible ones (S1-17).
	ErrInvalidKey = errs.Invalid("invalid_idempotency_key", "An idempotency key has 1 to 255 visible characters.")
)

// header is where a key stands.
const header = "Idempotency-Key"

// Once is the client's wish that a request has one effect. The zero value wishes nothing.
type Once struct {
	scope    string
	key      string
	bodyHash [32]byte
	shared   bool // the key is the tenant's
	replayed bool
}

// FromRequest reads the Idempotency-Key header. scope names the operation, and target the object in the path; request
// is the decoded body, so that two spellings of one body are the same. The key is the caller's own, as a decision is.
func FromRequest(r *http.Request, scope string, target uuid.UUID, request any) (*Once, error) {
	return named(header, r.Header.Values(header), scope, target, request)
}

// Shared is FromRequest for calls that move money: the key is the tenant's and the operation's (S1-47), so that two
// people who send one request have one effect. Who may not see the first answer gets ErrReused.
func Shared(r *http.Request, scope string, target uuid.UUID, request any) (*Once, error) {
	return share(FromRequest(r, scope, target, request))
}

func share(once *Once, err error) (*Once, error) {
	if err == nil {
		once.shared = true
	}
	return once, err
}

// FromBody is Shared for calls that may have their key in the body as well, which request then does not hold. An empty
// one is none.
func FromBody(r *http.Request, key, scope string, target uuid.UUID, request any) (*Once, error) {
	at, keys := header, r.Header.Values(header)
	if len(keys) == 1 && keys[0] == "" {
		keys = nil
	}
	switch {
	case key != "" && len(keys) == 0:
		at, keys = "idempotency_key", []string{key}
	case key != "" && key != keys[0] && !carddata.Holds(keys[0]):
		return nil, ErrKeysDiffer.At("idempotency_key")
	}
	return share(named(at, keys, scope, target, request))
}

// FromForm is FromRequest for a form of the console that moves money: key was made with its page, so that a form which is
// sent twice has one effect. ErrRequired when there is none.
func FromForm(key, scope string, request any) (*Once, error) {
	if key == "" {
		return nil, ErrRequired
	}
	return named("idempotency_key", []string{key}, scope, uuid.Nil, request)
}

// named makes a wish of a key that stands at a place of the request.
func named(at string, keys []string, scope string, target uuid.UUID, request any) (*Once, error) {
	if len(keys) == 0 {
		return &Once{}, nil
	}
	if len(keys) > 1 || !visible(keys[0]) {
		return nil, ErrInvalidKey.At(at)
	}
	if carddata.Holds(keys[0]) { // it is stored
		return nil, web.ErrCardData.At(at)
	}
	raw, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("hash the request: %w", err)
	}
	return &Once{scope: scope, key: keys[0], bodyHash: sha256.Sum256(append(target[:], raw...))}, nil
}

// Required is Shared for calls that must not be made without a key; ErrRequired when there is none.
func Required(r *http.Request, scope string, target uuid.UUID, request any) (*Once, error) {
	once, err := Shared(r, scope, target, request)
	if err == nil && once.key == "" {
		return nil, ErrRequired.At(header)
	}
	return once, err
}

// RequiredInBody is FromBody for calls that must not be made without a key; ErrRequired when there is none.
func RequiredInBody(r *http.Request, key, scope string, target uuid.UUID, request any) (*Once, error) {
	once, err := FromBody(r, key, scope, target, request)
	if err == nil && once.key == "" {
		return nil, ErrRequired.At("idempotency_key")
	}
	return once, err
}

// IsEmpty says that the client has named no key.
func (o *Once) IsEmpty() bool { return o == nil || o.key == "" }

func visible(key string) bool {
	if len(key) == 0 || len(key) > 255 {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}

const claim = `INSERT INTO idempotency_keys (tenant_id, owner_id, scope, key, body_hash, shared) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING TRUE`

// What stands under a key: the caller's own, or the tenant's, of which members see those of their account.
const (
	ownKey    = `SELECT body_hash, answer, coalesce(subject_id, '00000000-0000-0000-0000-000000000000') FROM idempotency_keys WHERE tenant_id = $1 AND scope = $2 AND key = $3 AND owner_id = $4`
	sharedKey = `SELECT body_hash, answer, coalesce(subject_id, '00000000-0000-0000-0000-000000000000') FROM idempotency_keys WHERE tenant_id = $1 AND scope = $2 AND key = $3 AND shared`
)

// selectKept reads what stands under the key; k.bodyHash stays nil when nothing does that p may see.
func selectKept(p auth.Principal, once *Once, k *kept) database.Statement {
	read := func(row database.Row) error { return row.Scan(&k.bodyHash, &k.answer, &k.subject) }
	if once.shared {
		return database.Select("read the stored answer", sharedKey, read, p.TenantID, once.scope, once.key)
	}
	return database.Select("read the stored answer", ownKey, read, p.TenantID, once.scope, once.key, owner(p))
}

const keep = `UPDATE idempotency_keys SET answer = $5 WHERE tenant_id = $1 AND owner_id = $2 AND scope = $3 AND key = $4`

// Do runs fn inside the transaction tx, once for each key: of a repetition fn runs no further than to the first thing it
// sends, and the caller gets the first answer.
// A concurrent repetition waits for the first to commit. T is the answer as the caller sees it.
func Do[T any](ctx context.Context, tx bun.Tx, once *Once, fn func() (T, error)) (T, error) {
	if once == nil || once.key == "" {
		return fn()
	}
	var zero T
	once.replayed = false // what a transaction has found that was not committed
	p, ok := auth.From(ctx)
	if !ok {
		return zero, auth.ErrRequired
	}
	// the claim travels with what fn sends first, and makes that fail when the key is taken
	claimed := false
	database.SendWithNext(ctx, database.SelectOneOr(errTaken, "claim idempotency key", claim, func(row database.Row) error { return row.Scan(&claimed) },
		p.TenantID, owner(p), once.scope, once.key, once.bodyHash[:], once.shared))
	answer, err := fn()
	if err == nil && !claimed {
		err = database.Send(ctx)
	}
	switch {
	case errors.Is(err, errTaken):
		if database.Forget(ctx) != nil { // what travelled with the claim failed
			return zero, ErrInProgress.Because(err)
		}
		return replay[T](ctx, p, once)
	case !claimed && database.IsLockTimeout(err):
		return zero, ErrInProgress
	case err != nil:
		return zero, err // nothing happened, so the key is free again
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		return zero, fmt.Errorf("store the answer: %w", err)
	}
	database.SendWithCommit(ctx, database.Change("store the answer", keep, p.TenantID, owner(p), once.scope, once.key, string(raw)))
	return answer, nil
}

// owner is whose key it is that is not the tenant's: members of an account share theirs, staff each have their own, because
// one person's decision is no answer to another's.
func owner(p auth.Principal) uuid.UUID {
	if p.IsMember() {
		return p.AccountID
	}
	return p.UserID
}

// errTaken means that the key was claimed before.
var errTaken = errors.New("the idempotency key is taken")

func replay[T any](ctx context.Context, p auth.Principal, once *Once) (T, error) {
	var answer T
	k := kept{once: once}
	if err := database.Send(ctx, selectKept(p, once, &k)); err != nil {
		return answer, err
	}
	if k.bodyHash == nil { // somebody else's, whom the caller does not see
		return answer, ErrReused
	}
	return read[T](k)
}

// kept is what is stored under the key of a request.
type kept struct {
	once     *Once
	bodyHash []byte
	answer   sql.NullString
	subject  uuid.UUID
}

// read gives a stored answer to who asks for it with the same request.
func read[T any](k kept) (answer T, err error) {
	if !k.answer.Valid {
		return answer, ErrInProgress
	}
	if [32]byte(k.bodyHash) != k.once.bodyHash {
		return answer, ErrReused
	}
	if err := json.Unmarshal([]byte(k.answer.String), &answer); err != nil {
		return answer, fmt.Errorf("read the stored answer: %w", err)
	}
	k.once.replayed = true
	return answer, nil
}

// Answer writes data with status; a replay says so in its header.
func (o *Once) Answer(w http.ResponseWriter, status int, data any, message string) error {
	o.Mark(w)
	return web.Answer(w, status, data, message)
}

// Mark says in the header of an answer that it is a replay, if it is one.
func (o *Once) Mark(w http.ResponseWriter) {
	if o.replayed {
		w.Header().Set("Idempotent-Replayed", "true")
	}
}

// Replayed says whether the answer was given before.
func (o *Once) Replayed() bool { return o.replayed }

// MarkReplayed says that an answer was found by the request's natural key instead of a client's key (C-08).
func (o *Once) MarkReplayed() { o.replayed = true }
