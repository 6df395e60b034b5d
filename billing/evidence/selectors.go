package evidence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

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

// ForSubmission chooses from found, which SelectByIDs has filled, the evidence that ids name, each once and in their
// order, to be linked to a payment of account. All of it must be that account's, else ErrUnknownEvidence at evidence_ids.
func ForSubmission(found map[uuid.UUID]*Evidence, account uuid.UUID, ids []uuid.UUID) ([]*Evidence, error) {
	var list []*Evidence
	for i, id := range ids {
		if found[id] == nil || found[id].AccountID != account {
			return nil, ErrUnknownEvidence.At("evidence_ids")
		}
		if !slices.Contains(ids[:i], id) {
			list = append(list, found[id])
		}
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
	Of        uuid.UUID // the one that was asked for
	ID        uuid.UUID
	AccountID uuid.UUID
	Likeness  Likeness
	CreatedAt time.Time
}

const (
	// maxTwins is how many twins of a file and likeness are told of. Whoever uses one receipt a hundred times has been found out.
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
// stronger one has found. Only what a payment uses is a twin, and each file and likeness has a limit of its own: copies that
// somebody uploads for nothing, or for another payment, hide nothing. The tenant's latest are read day by day, because
// PostgreSQL underrates how many rows the policies let through, and would read and sort the whole table to find the latest.
var selectTwins = fmt.Sprintf(`
SELECT a.id, t.id, t.account_id, t.likeness, t.created_at
FROM evidence AS a CROSS JOIN LATERAL (
  (SELECT e.id, e.account_id, 'same_file' AS likeness, 1 AS strength, e.created_at FROM evidence AS e
   WHERE e.tenant_id = $1 AND e.sha256 = a.sha256 AND e.id <> a.id AND %[7]s LIMIT %[6]d)
  UNION ALL
  (SELECT e.id, e.account_id, 'same_pixels', 2, e.created_at FROM evidence AS e
   WHERE e.tenant_id = $1 AND e.pixel_hash = a.pixel_hash AND e.sha256 <> a.sha256 AND %[7]s LIMIT %[6]d)
  UNION ALL
  (SELECT e.id, e.account_id, 'looks_alike', 3, e.created_at
   FROM (
     (SELECT o.id, o.looks_hash FROM evidence AS o
      WHERE o.tenant_id = $1 AND o.account_id = a.account_id AND o.looks_hash IS NOT NULL
      ORDER BY o.created_at DESC LIMIT %[1]d)
     UNION
     (SELECT o.id, o.looks_hash FROM generate_series(1, %[3]d) AS day
      CROSS JOIN LATERAL (
        SELECT d.id, d.looks_hash FROM evidence AS d
        WHERE d.tenant_id = $1 AND d.looks_hash IS NOT NULL
          AND d.created_at > now() - make_interval(days => day) AND d.created_at <= now() - make_interval(days => day - 1)
        ORDER BY d.created_at DESC LIMIT %[2]d
      ) AS o LIMIT %[2]d)
   ) AS latest
   CROSS JOIN LATERAL (SELECT x.id, x.account_id, x.pixel_hash, x.created_at FROM evidence AS x WHERE x.tenant_id = $1 AND x.id = latest.id LIMIT 1) AS e
   WHERE bit_count(a.looks_hash::bit(64)) > %[4]d AND bit_count((latest.looks_hash # a.looks_hash)::bit(64)) <= %[5]d
     AND e.pixel_hash <> a.pixel_hash AND %[7]s LIMIT %[6]d)
) AS t
WHERE a.tenant_id = $1 AND a.id = ANY ($2::uuid[])
ORDER BY t.strength, t.created_at DESC, t.id DESC`, alikeOwn, alikeAll, alikeDays, featureless, nearby, maxTwins, used)

// used says that a payment uses the evidence e.
const used = `EXISTS (SELECT FROM payment_evidence AS pe WHERE pe.tenant_id = $1 AND pe.evidence_id = e.id)`

// SelectTwins adds other evidence of the tenant that is like what ids name, and that payments use, to twins: the strongest
// likeness first, then the newest, at most a hundred of each. A member would be told of his own account's only; whoever
// judges a payment asks as staff.
func SelectTwins(ctx context.Context, twins *[]Twin, ids ...uuid.UUID) database.Statement {
	return database.Select("look for twins of evidence", selectTwins, func(row database.Row) error {
		var t Twin
		err := row.Scan(&t.Of, &t.ID, &t.AccountID, &t.Likeness, &t.CreatedAt)
		*twins = append(*twins, t)
		return err
	}, tenancy.ID(ctx), ids)
}

const selectByIDs = `
SELECT id, account_id, sha256, size_bytes, content_type, filename, created_at
FROM evidence WHERE tenant_id = $1 AND id = ANY ($2::uuid[])`

// SelectByIDs adds evidence as approvers see it beside a claim to found. Unknown ids stay absent; hashes of pictures are
// not read.
func SelectByIDs(ctx context.Context, found map[uuid.UUID]*Evidence, ids ...uuid.UUID) database.Statement {
	return database.Select("read evidence", selectByIDs, func(row database.Row) error {
		e := &Evidence{TenantID: tenancy.ID(ctx)}
		err := row.Scan(&e.ID, &e.AccountID, &e.SHA256, &e.SizeBytes, &e.ContentType, &e.Filename, &e.CreatedAt)
		found[e.ID] = e
		return err
	}, tenancy.ID(ctx), ids)
}
