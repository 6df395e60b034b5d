package database

import (
	"database/sql"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// plainRow reads ids and times as they travel. By their own Scan, which is database/sql's, pgx would read an id by way of
// its text.
type plainRow struct{ rows pgx.Rows }

// Scan is part of Row. It leaves in dest what it reads into, so who gives the same slice for each row is served the faster.
func (r plainRow) Scan(dest ...any) error {
	for i, d := range dest {
		switch d := d.(type) {
		case *uuid.UUID:
			dest[i] = (*plainID)(d)
		case *sql.NullTime:
			dest[i] = (*plainTime)(d)
		}
	}
	return r.rows.Scan(dest...)
}

type plainID uuid.UUID

// ScanUUID is part of pgtype.UUIDScanner. NULL is the zero id.
func (id *plainID) ScanUUID(v pgtype.UUID) error {
	*id = v.Bytes
	return nil
}

type plainTime sql.NullTime

// ScanTimestamptz is part of pgtype.TimestamptzScanner.
func (t *plainTime) ScanTimestamptz(v pgtype.Timestamptz) error {
	*t = plainTime{Time: v.Time, Valid: v.Valid}
	return nil
}
