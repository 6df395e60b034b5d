package database

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// Sets of rows travel as one array for each column. pgx encodes arrays of any kind by reflection, value by value, which
// takes longer than PostgreSQL needs to read them; these are the kinds that hot statements send.
//
// Statements make rows of them with SELECT unnest($1), unnest($2), and never with FROM unnest($1, $2), which puts each column away
// in a store of its own before it gives the first row: reading a set took three times as long. Where a settlement joins them to a table
// they end with LIMIT cardinality($1), which takes nothing away: behind a limit that it does not know the planner expects a tenth of the
// rows, so one, and looks each up by its key or its place, one after the other, also in a plan that it made while the table was not much larger than a page.

// encodeArray gives the binary form of an array parameter of type oid; ok is false for what pgx is to encode.
func encodeArray(oid uint32, arg any) (encoded []byte, ok bool) {
	switch v := arg.(type) {
	case []uuid.UUID:
		return array(oid, pgtype.UUIDArrayOID, pgtype.UUIDOID, v, 16*len(v), func(b []byte, id uuid.UUID) []byte { return append(b, id[:]...) })
	case [][16]byte:
		return array(oid, pgtype.UUIDArrayOID, pgtype.UUIDOID, v, 16*len(v), func(b []byte, id [16]byte) []byte { return append(b, id[:]...) })
	case []int64:
		return array(oid, pgtype.Int8ArrayOID, pgtype.Int8OID, v, 8*len(v), func(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) })
	case []int32:
		return array(oid, pgtype.Int4ArrayOID, pgtype.Int4OID, v, 4*len(v), func(b []byte, n int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) })
	case []int16:
		return array(oid, pgtype.Int2ArrayOID, pgtype.Int2OID, v, 2*len(v), func(b []byte, n int16) []byte { return binary.BigEndian.AppendUint16(b, uint16(n)) })
	case []Place:
		return array(oid, pgtype.TIDArrayOID, pgtype.TIDOID, v, 6*len(v), func(b []byte, at Place) []byte {
			return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint32(b, at.BlockNumber), at.OffsetNumber)
		})
	case []*time.Time:
		return array(oid, pgtype.TimestamptzArrayOID, pgtype.TimestamptzOID, v, 8*len(v), func(b []byte, t *time.Time) []byte {
			if t == nil {
				return nil
			}
			return binary.BigEndian.AppendUint64(b, uint64(t.UnixMicro()-epoch))
		})
	case []string:
		size := 0
		for _, s := range v {
			size += len(s)
		}
		return array(oid, pgtype.TextArrayOID, pgtype.TextOID, v, size, func(b []byte, s string) []byte { return append(b, s...) })
	default:
		return nil, false
	}
}

// Place is where a row lies, its ctid: the shortest way to a row that the same transaction has just read. Another row may lie there once this
// one has changed, so who looks there asks for the key and the version as well.
type Place = pgtype.TID

// epoch is where PostgreSQL counts time from, in microseconds: the first of January 2000.
const epoch = 946_684_800_000_000

// array writes one dimension, counted from one. size is what its values take together; what put gives nil for is NULL.
func array[T any](oid, of, element uint32, values []T, size int, put func([]byte, T) []byte) ([]byte, bool) {
	if oid != of || values == nil { // nil is NULL
		return nil, false
	}
	if len(values) == 0 {
		return binary.BigEndian.AppendUint32(make([]byte, 8, 12), element), true
	}
	b := make([]byte, 0, 20+4*len(values)+size)
	b = binary.BigEndian.AppendUint32(b, 1) // dimensions
	b = binary.BigEndian.AppendUint32(b, 0) // no NULLs yet
	b = binary.BigEndian.AppendUint32(b, element)
	b = binary.BigEndian.AppendUint32(b, uint32(len(values)))
	b = binary.BigEndian.AppendUint32(b, 1) // lower bound
	for _, v := range values {
		at := len(b)
		with := put(append(b, 0, 0, 0, 0), v)
		if with == nil {
			b[7] = 1 // there are NULLs
			b = binary.BigEndian.AppendUint32(b, math.MaxUint32)
			continue
		}
		b = with
		binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	}
	return b, true
}

// column is the values of one column as one kind, where they are of one that encodeArray knows.
func column(values []any) any {
	switch values[0].(type) {
	case uuid.UUID:
		return typed[uuid.UUID](values)
	case string:
		return typed[string](values)
	case int64:
		return typed[int64](values)
	default:
		return values
	}
}

func typed[T any](values []any) any {
	list := make([]T, len(values))
	for i, v := range values {
		one, ok := v.(T)
		if !ok { // NULL among them
			return values
		}
		list[i] = one
	}
	return list
}
