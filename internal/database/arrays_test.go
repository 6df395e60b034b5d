package database

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"pgregory.net/rapid"
)

func TestArraysAreWrittenAsPgxWouldWriteThem(t *testing.T) {
	t.Parallel()
	m := pgtype.NewMap()
	same := func(t *rapid.T, oid uint32, arg, theirs any) {
		t.Helper()
		want, err := m.Encode(oid, pgtype.BinaryFormatCode, theirs, []byte{})
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := encodeArray(oid, arg); !ok || !bytes.Equal(got, want) {
			t.Fatalf("%v is %x (%v), want %x", arg, got, ok, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SliceOfN(rapid.Int64(), 1, -1).Draw(t, "numbers")
		same(t, pgtype.Int8ArrayOID, numbers, numbers)
		small := rapid.SliceOfN(rapid.Int16(), 1, -1).Draw(t, "small numbers")
		same(t, pgtype.Int2ArrayOID, small, small)
		middling := rapid.SliceOfN(rapid.Int32(), 1, -1).Draw(t, "middling numbers")
		same(t, pgtype.Int4ArrayOID, middling, middling)
		places := make([]Place, len(middling))
		for i, n := range middling {
			places[i] = Place{BlockNumber: uint32(n), OffsetNumber: uint16(n), Valid: true}
		}
		same(t, pgtype.TIDArrayOID, places, places)
		times := make([]*time.Time, len(numbers))
		for i, n := range numbers {
			if at := time.Unix(n%200_000_000_000, n%1_000_000_000); n%3 != 0 {
				times[i] = &at
			}
		}
		same(t, pgtype.TimestamptzArrayOID, times, times)
		texts := rapid.SliceOfN(rapid.String(), 1, -1).Draw(t, "texts")
		same(t, pgtype.TextArrayOID, texts, texts)
		ids, plain := make([]uuid.UUID, len(numbers)), make([][16]byte, len(numbers))
		for i := range ids {
			ids[i] = uuid.New()
			plain[i] = ids[i]
		}
		same(t, pgtype.UUIDArrayOID, ids, plain)
		same(t, pgtype.UUIDArrayOID, plain, plain)
	})
	for name, arg := range map[string]any{"nothing": []int64(nil), "another kind": []string{"1"}, "no array": int64(1)} {
		if _, ok := encodeArray(pgtype.Int8ArrayOID, arg); ok {
			t.Errorf("%s was not left to pgx", name)
		}
	}
	if _, ok := column([]any{uuid.New(), nil}).([]any); !ok {
		t.Error("a column with NULL was not left to pgx")
	}
	if ids, ok := column([]any{uuid.Nil}).([]uuid.UUID); !ok || len(ids) != 1 {
		t.Error("a column of ids is not one of ids")
	}
}
