package evidence

import (
	"encoding/hex"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"
)

// Evidence is one upload. Two uploads of the same file are two rows and one object.
type Evidence struct {
	bun.BaseModel `bun:"table:evidence,alias:e"`

	TenantID    uuid.UUID `bun:"tenant_id,pk,type:uuid"`
	ID          uuid.UUID `bun:"id,pk,type:uuid"`
	AccountID   uuid.UUID `bun:"account_id,type:uuid"`
	SHA256      []byte    `bun:"sha256"`
	PixelHash   []byte    `bun:"pixel_hash"` // nil for a PDF, which has no fingerprint
	LooksHash   *int64    `bun:"looks_hash"` // set together with PixelHash; compare with Distance
	SizeBytes   int64     `bun:"size_bytes"`
	ContentType string    `bun:"content_type"` // as sniffed, one of the Type constants
	Filename    string    `bun:"filename"`     // as SafeFilename made it
	StorageKey  string    `bun:"storage_key"`
	UploadedBy  uuid.UUID `bun:"uploaded_by,type:uuid"`
	CreatedAt   time.Time `bun:"created_at,nullzero"`
}

// IsImage says whether browsers can show it as a picture.
func (e *Evidence) IsImage() bool { return e.ContentType != TypePDF }

// storageKey is where a tenant's file lies.
func storageKey(tenant uuid.UUID, sha256 []byte) string {
	return tenant.String() + "/" + hex.EncodeToString(sha256)
}
