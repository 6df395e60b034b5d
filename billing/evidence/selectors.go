package evidence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/web"
	"countersign/tenancy"
)

// Get gives evidence that the caller may see: members their own account's. Everything else is web.ErrNotFound.
func Get(ctx context.Context, db bun.IDB, id uuid.UUID) (*Evidence, error) {
	e := &Evidence{}
	q := db.NewSelect().Model(e).Where("e.tenant_id = ?", tenancy.ID(ctx)).Where("e.id = ?", id)
	if p, _ := auth.From(ctx); p.IsMember() {
		q = q.Where("e.account_id = ?", p.AccountID)
	}
	err := q.Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, web.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read evidence %s: %w", id, err)
	}
	return e, nil
}

// ForSubmission gives the evidence that ids name, each once and in their order, to be linked to a payment of account.
// All of it must be that account's, else ErrUnknownEvidence at evidence_ids.
func ForSubmission(ctx context.Context, tx bun.Tx, account uuid.UUID, ids []uuid.UUID) ([]*Evidence, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var found []*Evidence
	err := tx.NewSelect().Model(&found).
		Where("e.tenant_id = ?", tenancy.ID(ctx)).Where("e.account_id = ?", account).Where("e.id IN (?)", bun.List(ids)).
		Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("read evidence of account %s: %w", account, err)
	}
	byID := map[uuid.UUID]*Evidence{}
	for _, e := range found {
		byID[e.ID] = e
	}
	var list []*Evidence
	seen := map[uuid.UUID]bool{}
	for _, id := range ids {
		if byID[id] == nil {
			return nil, ErrUnknownEvidence.At("evidence_ids")
		}
		if !seen[id] {
			list = append(list, byID[id])
		}
		seen[id] = true
	}
	return list, nil
}

// Likeness says how two uploads are alike, the strongest first.
type Likeness string

// The kinds of likeness.
const (
	SameFile   Likeness = "same_file"   // byte by byte
	SamePixels Likeness = "same_pixels" // the same picture in another file
	LooksAlike Likeness = "looks_alike" // scaled or recompressed, perhaps: a hint, never a proof
)

// Twin is another upload that is like one that was asked for.
type Twin struct {
	Of        uuid.UUID `bun:"of"` // the one that was asked for
	ID        uuid.UUID `bun:"id"`
	AccountID uuid.UUID `bun:"account_id"`
	Likeness  Likeness  `bun:"likeness"`
	CreatedAt time.Time `bun:"created_at"`
}

const (
	// maxTwins is how many twins are told of. Whoever sends one receipt a hundred times has been found out.
	maxTwins = 100
	// nearby is how many bits of two hashes may differ in pictures that look alike. A recompressed or scaled picture keeps
	// its hash; screenshots of one wallet's app with other figures differ in two bits and more, and must not cry wolf.
	nearby = 1
	// featureless is how many set bits a hash needs to mean anything: an empty sheet has none, and looks like all others.
	featureless = 4
	// Where pictures that look alike are looked for: among an account's latest, and among all of the tenant's latest of
	// the last days. There is no index for nearness, so each is read and compared, some ten thousand in a few
	// milliseconds.
	alikeOwn  = 1000
	alikeAll  = 20000
	alikeDays = 90
)

// Equal hashes are found by index in all of the tenant's evidence, however old. Each likeness leaves out what a
// stronger one has found. The tenant's latest are read day by day, because PostgreSQL underrates how many rows the
// policies let through, and would read and sort the whole table to find the latest of them.
const selectTwins = `
WITH asked AS (
  SELECT id, account_id, sha256, pixel_hash, looks_hash FROM evidence WHERE tenant_id = ?tenant AND id IN (?ids)
), twins AS (
  SELECT a.id AS of, e.id, e.account_id, 'same_file' AS likeness, 1 AS strength, e.created_at
  FROM asked AS a JOIN evidence AS e ON e.tenant_id = ?tenant AND e.sha256 = a.sha256 AND e.id <> a.id
  UNION ALL
  SELECT a.id, e.id, e.account_id, 'same_pixels', 2, e.created_at
  FROM asked AS a JOIN evidence AS e ON e.tenant_id = ?tenant AND e.pixel_hash = a.pixel_hash AND e.sha256 <> a.sha256
  UNION ALL
  SELECT a.id, e.id, e.account_id, 'looks_alike', 3, e.created_at
  FROM asked AS a
  CROSS JOIN LATERAL (
    (SELECT o.id, o.looks_hash FROM evidence AS o
     WHERE o.tenant_id = ?tenant AND o.account_id = a.account_id AND o.looks_hash IS NOT NULL
     ORDER BY o.created_at DESC LIMIT ?own)
    UNION
    (SELECT o.id, o.looks_hash FROM generate_series(1, ?days) AS day
     CROSS JOIN LATERAL (
       SELECT d.id, d.looks_hash FROM evidence AS d
       WHERE d.tenant_id = ?tenant AND d.looks_hash IS NOT NULL
         AND d.created_at > now() - make_interval(days => day) AND d.created_at <= now() - make_interval(days => day - 1)
       ORDER BY d.created_at DESC LIMIT ?all
     ) AS o LIMIT ?all)
  ) AS latest
  CROSS JOIN LATERAL (SELECT x.id, x.account_id, x.pixel_hash, x.created_at FROM evidence AS x WHERE x.tenant_id = ?tenant AND x.id = latest.id LIMIT 1) AS e
  WHERE bit_count(a.looks_hash::bit(64)) > ?featureless AND bit_count((latest.looks_hash # a.looks_hash)::bit(64)) <= ?nearby
    AND e.pixel_hash <> a.pixel_hash
)
SELECT of, id, account_id, likeness, created_at FROM twins ORDER BY strength, created_at DESC, id DESC LIMIT ?limit`

// Twins gives other evidence of the tenant that is like what ids name: the strongest likeness first, then the newest,
// at most a hundred. A member would be told of his own account's only; whoever judges a payment asks as staff.
func Twins(ctx context.Context, db bun.IDB, ids []uuid.UUID) ([]Twin, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var twins []Twin
	if err := db.NewRaw(selectTwins, newTwinArgs(ctx, ids)).Scan(ctx, &twins); err != nil {
		return nil, fmt.Errorf("look for twins of evidence: %w", err)
	}
	return twins, nil
}

// twinArgs are the named parameters of selectTwins.
type twinArgs struct {
	Tenant      uuid.UUID
	IDs         schema.QueryAppender `bun:"ids"`
	Own         int
	All         int
	Days        int
	Featureless int
	Nearby      int
	Limit       int
}

func newTwinArgs(ctx context.Context, ids []uuid.UUID) twinArgs {
	return twinArgs{Tenant: tenancy.ID(ctx), IDs: bun.List(ids), Own: alikeOwn, All: alikeAll, Days: alikeDays,
		Featureless: featureless, Nearby: nearby, Limit: maxTwins}
}

const selectByIDs = `
SELECT id, account_id, sha256, size_bytes, content_type, filename, created_at
FROM evidence WHERE tenant_id = $1 AND id = ANY ($2::uuid[])`

// ByIDs gives evidence as approvers see it beside a claim. Unknown ids are absent; hashes of pictures are not read.
func ByIDs(ctx context.Context, tx bun.Tx, ids ...uuid.UUID) (map[uuid.UUID]*Evidence, error) {
	found := make(map[uuid.UUID]*Evidence, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	rows, err := database.Hot(tx).QueryContext(ctx, selectByIDs, tenancy.ID(ctx), ids)
	if err != nil {
		return nil, fmt.Errorf("read evidence: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		e := &Evidence{TenantID: tenancy.ID(ctx)}
		if err := rows.Scan(&e.ID, &e.AccountID, &e.SHA256, &e.SizeBytes, &e.ContentType, &e.Filename, &e.CreatedAt); err != nil {
			return nil, fmt.Errorf("read evidence: %w", err)
		}
		found[e.ID] = e
	}
	return found, rows.Err()
}
