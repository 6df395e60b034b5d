package idempotency

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"countersign/internal/auth"
	"countersign/internal/database"
)

// Many is Do for operations that lock what they are about before anything else, several requests in one transaction:
// whoever repeats a request waits for that lock, and then finds the answer. Each request is Asked for, the Statement is
// sent behind the lock, who has an Answer gets it, and of the others each new answer is Kept. The zero value asks nothing.
type Many struct {
	owners       []uuid.UUID
	scopes, keys []string
	shared       bool // one of the keys is the tenant's
	found        map[name]kept
}

// name is what a key is unique by in a tenant; that of a key which is the tenant's has no owner.
type name struct {
	owner      uuid.UUID
	scope, key string
}

// Ask adds the key of a request that the principal of ctx makes. It gives false when the same key has been asked for
// already: only one of the two can be answered here.
func (m *Many) Ask(ctx context.Context, once *Once) bool {
	if once == nil {
		return true
	}
	once.replayed = false // what a transaction has found that was not committed
	if once.key == "" {
		return true
	}
	n := nameOf(ctx, once)
	if _, asked := m.found[n]; asked {
		return false
	}
	if m.found == nil {
		m.found = map[name]kept{}
	}
	m.found[n] = kept{once: once}
	m.shared = m.shared || once.shared
	m.owners, m.scopes, m.keys = append(m.owners, n.owner), append(m.scopes, n.scope), append(m.keys, n.key)
	return true
}

func nameOf(ctx context.Context, once *Once) name {
	if once.shared {
		return name{scope: once.scope, key: once.key}
	}
	p, _ := auth.From(ctx)
	return name{owner(p), once.scope, once.key}
}

const storedOfMany = `
SELECT owner_id, scope, key, body_hash, answer FROM idempotency_keys
WHERE tenant_id = $1 AND (owner_id, scope, key) IN (SELECT unnest($2::uuid[]), unnest($3::text[]), unnest($4::text[]))`

const sharedOfMany = storedOfMany + `
UNION ALL SELECT '00000000-0000-0000-0000-000000000000'::uuid, scope, key, body_hash, answer FROM idempotency_keys
WHERE tenant_id = $1 AND shared AND (scope, key) IN (SELECT a.scope, a.key FROM (SELECT unnest($2::uuid[]) AS owner, unnest($3::text[]) AS scope, unnest($4::text[]) AS key) AS a WHERE a.owner = '00000000-0000-0000-0000-000000000000')`

// Statement reads what is stored under the keys of a tenant that were asked for.
func (m *Many) Statement(tenant uuid.UUID) database.Statement {
	query := storedOfMany
	if m.shared {
		query = sharedOfMany
	}
	return database.Select("read the stored answers", query, func(row database.Row) error {
		var n name
		var k kept
		if err := row.Scan(&n.owner, &n.scope, &n.key, &k.bodyHash, &k.answer); err != nil {
			return err
		}
		k.once = m.found[n].once
		m.found[n] = k
		return nil
	}, tenant, m.owners, m.scopes, m.keys)
}

// Stored gives the first answer to a request that the principal of ctx repeats. ok is false when it is no repetition.
func Stored[T any](ctx context.Context, m *Many, once *Once) (answer T, ok bool, err error) {
	if once == nil || once.key == "" {
		return answer, false, nil
	}
	k := m.found[nameOf(ctx, once)]
	if k.bodyHash == nil {
		return answer, false, nil
	}
	answer, err = read[T](k)
	return answer, true, err
}

var insertAnswer = database.NewRows("store the answer", `
INSERT INTO idempotency_keys (tenant_id, owner_id, scope, key, body_hash, answer, shared) SELECT unnest($1::uuid[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::text[]), unnest($5::bytea[]), unnest($6::text[]), unnest($7::boolean[]) ORDER BY 1, 2, 3, 4`) // in one order, so that two never wait for each other

// Keep stores the answer to a request that the principal of ctx makes for the first time. It travels with COMMIT, which
// fails when the key was used meanwhile for something else: see InProgress.
func Keep(ctx context.Context, once *Once, answer any) error {
	if once == nil || once.key == "" {
		return nil
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("store the answer: %w", err)
	}
	p, _ := auth.From(ctx)
	database.SendRowWithCommit(ctx, insertAnswer, p.TenantID, owner(p), once.scope, once.key, once.bodyHash[:], string(raw), once.shared)
	return nil
}

// InProgress gives ErrInProgress when a transaction with Many failed because the first request with the key of once goes on:
// about the same object, whose lock was waited for in vain, or about another. Any other error stays as it is.
func InProgress(err error, once *Once) error {
	if database.IsUnique(err, "idempotency_keys_pkey") || database.IsUnique(err, "idempotency_keys_shared_key") || once != nil && once.key != "" && database.IsLockTimeout(err) {
		return ErrInProgress.Because(err)
	}
	return err
}
