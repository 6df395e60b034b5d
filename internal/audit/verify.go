package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/database"
)

// FaultKind says what is wrong with a place of the chain.
type FaultKind string

// The kinds of fault.
const (
	FaultGap     FaultKind = "gap"     // records are missing before this one
	FaultChanged FaultKind = "changed" // the record does not say what was sealed
	FaultLink    FaultKind = "link"    // like changed, and so is the record before: the hash between them was replaced
	FaultCut     FaultKind = "cut"     // the records up to this one, the last that was sealed, are missing
)

// Fault is one place where the chain does not hold.
type Fault struct {
	Seq  int64
	ID   uuid.UUID
	Kind FaultKind
}

// Report is what Verify found.
type Report struct {
	Sealed   int64
	Unsealed int64
	// HeadSeq and HeadHash are the end of the chain. That its end was cut off shows beside the sealer's own note of it;
	// who cuts both is found by whoever kept an earlier head somewhere else.
	HeadSeq  int64
	HeadHash []byte
	Faults   []Fault // the first hundred
}

// OK says whether the chain holds.
func (r Report) OK() bool { return len(r.Faults) == 0 }

// Each sealed record is hashed again on the stored hash of the one before. A record whose hash does not fit right after
// one whose hash does not fit either points at the hash between them.
const brokenPlaces = `
WITH chain AS (
  SELECT a.id, a.chain_seq, lag(a.chain_seq, 1, 0::bigint) OVER w AS previous,
    a.chain_hash = sha256(lag(a.chain_hash, 1, ''::bytea) OVER w || convert_to(audit_content(a), 'UTF8')) AS fits
  FROM audit_log AS a WHERE a.tenant_id = $1 AND a.chain_seq IS NOT NULL
  WINDOW w AS (ORDER BY a.chain_seq)),
judged AS (SELECT id, chain_seq, previous, fits, lag(fits, 1, true) OVER (ORDER BY chain_seq) AS previous_fits FROM chain)
SELECT id, chain_seq, CASE WHEN chain_seq <> previous + 1 THEN 'gap' WHEN NOT previous_fits THEN 'link' ELSE 'changed' END
FROM judged WHERE NOT fits OR chain_seq <> previous + 1 ORDER BY chain_seq LIMIT 100`

// What is sealed meanwhile makes the log longer than this, never shorter.
const noted = `SELECT coalesce(max(h.chain_seq), 0) FROM audit_heads AS h WHERE h.tenant_id = $1`

const counts = `
SELECT count(a.chain_seq), count(*) - count(a.chain_seq) FROM audit_log AS a WHERE a.tenant_id = $1`

const head = `
SELECT a.chain_seq, a.chain_hash FROM audit_log AS a WHERE a.tenant_id = $1 AND a.chain_seq IS NOT NULL ORDER BY a.chain_seq DESC LIMIT 1`

// Verify recomputes the hash chain of the current tenant from the records themselves. It reads the whole log.
func Verify(ctx context.Context, db *bun.DB) (Report, error) {
	var report Report
	err := database.Read(ctx, db, func(ctx context.Context, tx bun.Tx) error {
		report = Report{}
		tenant := database.ScopeFrom(ctx).TenantID
		var end int64
		if err := database.Hot(tx).QueryRowContext(ctx, noted, tenant).Scan(&end); err != nil {
			return err
		}
		if err := database.Hot(tx).QueryRowContext(ctx, counts, tenant).Scan(&report.Sealed, &report.Unsealed); err != nil {
			return err
		}
		err := database.Hot(tx).QueryRowContext(ctx, head, tenant).Scan(&report.HeadSeq, &report.HeadHash)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		rows, err := database.Hot(tx).QueryContext(ctx, brokenPlaces, tenant)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var f Fault
			if err := rows.Scan(&f.ID, &f.Seq, &f.Kind); err != nil {
				return err
			}
			report.Faults = append(report.Faults, f)
		}
		if report.HeadSeq < end {
			report.Faults = append(report.Faults, Fault{Seq: end, Kind: FaultCut})
		}
		return rows.Err()
	})
	if err != nil {
		return Report{}, fmt.Errorf("verify the audit log: %w", err)
	}
	return report, nil
}

// chainCheck proves the log of the current tenant for the command verify.
func chainCheck(db *bun.DB) apps.Check {
	check := apps.Check{ID: "audit.E001", Deep: true, What: "a record of the audit log is not what was sealed, or is missing",
		Hint: "Somebody changed or removed records past the application: compare the log with a backup from before."}
	check.Run = func(ctx context.Context) (*apps.Finding, error) {
		report, err := Verify(ctx, db)
		if err != nil || report.OK() {
			return nil, err
		}
		first, more := report.Faults[0], ""
		if n := len(report.Faults) - 1; n > 0 {
			more = fmt.Sprintf(", and at %d more places", n)
		}
		f := &apps.Finding{What: fmt.Sprintf("the audit log's chain does not hold at record %d: %s%s.", first.Seq, first.Kind, more), Hint: check.Hint}
		for _, fault := range report.Faults[:min(len(report.Faults), apps.PlaceLimit)] {
			f.Places = append(f.Places, apps.Place{Object: fault.ID, Detail: fmt.Sprintf("record %d: %s", fault.Seq, fault.Kind)})
		}
		return f, nil
	}
	return check
}
