package database

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// sendUUIDsAsBytes teaches a connection that our ids are sixteen bytes. Without it pgx goes through their text form,
// which for arrays of them costs more than the statement itself.
func sendUUIDsAsBytes(_ context.Context, c *pgx.Conn) error {
	m := c.TypeMap()
	m.TryWrapEncodePlanFuncs = append([]pgtype.TryWrapEncodePlanFunc{wrapUUID}, m.TryWrapEncodePlanFuncs...)
	return nil
}

func wrapUUID(value any) (pgtype.WrappedEncodePlanNextSetter, any, bool) {
	id, ok := value.(uuid.UUID)
	if !ok {
		return nil, nil, false
	}
	return &uuidPlan{}, uuidBytes(id), true
}

// uuidBytes is an id as pgx's uuid codec takes it.
type uuidBytes uuid.UUID

// UUIDValue is part of pgtype.UUIDValuer.
func (b uuidBytes) UUIDValue() (pgtype.UUID, error) { return pgtype.UUID{Bytes: b, Valid: true}, nil }

type uuidPlan struct{ next pgtype.EncodePlan }

// SetNext is part of pgtype.WrappedEncodePlanNextSetter.
func (p *uuidPlan) SetNext(next pgtype.EncodePlan) { p.next = next }

// Encode is part of pgtype.EncodePlan.
func (p *uuidPlan) Encode(value any, buf []byte) ([]byte, error) {
	return p.next.Encode(uuidBytes(value.(uuid.UUID)), buf)
}

// Nullable is an id as a parameter of a statement: NULL for the zero id, which stands for none.
func Nullable(id uuid.UUID) any {
	if id == uuid.Nil {
		return nil
	}
	return id
}
