package evidence

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/idempotency"
	"countersign/internal/outbox"
	"countersign/tenancy"
)

// Service takes evidence in.
type Service struct {
	db      *bun.DB
	storage Storage
	outbox  *outbox.Outbox
}

// New gives the service. db acts as the program's own role.
func New(db *bun.DB, storage Storage, events *outbox.Outbox) *Service {
	return &Service{db: db, storage: storage, outbox: events}
}

// UploadInput is a file to keep.
type UploadInput struct {
	// Account is whose evidence it is, by id or external id. A member's is his own, whatever stands here.
	Account string
	File    *Upload
	Once    *idempotency.Once
}

// Upload keeps a file as evidence of an account. It fails with accounts.ErrUnknownAccount and with
// ErrStorageUnavailable, after which there is no row. It needs billing.create.
func (s *Service) Upload(ctx context.Context, in UploadInput) (Response, error) {
	// Asked first, so that nothing is put away for nobody.
	account, err := s.uploadAccount(ctx, in.Account)
	if err != nil {
		return Response{}, err
	}
	stored, err := s.Store(ctx, in.File)
	if err != nil {
		return Response{}, err
	}
	var answer Response
	err = tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (Response, error) {
			rows, err := s.Record(ctx, tx, account, stored)
			if err != nil {
				return Response{}, err
			}
			return newResponse(rows[0]), nil
		})
		return err
	})
	return answer, err
}

func (s *Service) uploadAccount(ctx context.Context, reference string) (uuid.UUID, error) {
	p, err := auth.Require(ctx, "")
	if err != nil || p.IsMember() {
		return p.AccountID, err
	}
	var id uuid.UUID
	err = tenancy.Read(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		account, err := accounts.ResolveField(ctx, tx, "account_id", reference)
		if err != nil {
			return err
		}
		id = account.ID
		return nil
	})
	return id, err
}

// Stored is a file whose bytes are put away and that has no row yet. Only Store makes one.
type Stored struct{ row Evidence }

// Store puts a file's bytes away, under the tenant of ctx. It is called outside any transaction, because a store may
// be slow; Record then adds the row. It fails with ErrStorageUnavailable.
func (s *Service) Store(ctx context.Context, file *Upload) (Stored, error) {
	if database.InTransaction(ctx) {
		return Stored{}, errors.New("store evidence: a transaction is open, and a store may be slow")
	}
	tenant := tenancy.ID(ctx)
	row := Evidence{TenantID: tenant, SHA256: file.SHA256[:], PixelHash: file.PixelHash, LooksHash: file.PerceptualHash,
		SizeBytes: file.Size, ContentType: file.ContentType, Filename: file.Filename, StorageKey: storageKey(tenant, file.SHA256[:])}
	if _, err := file.File.Seek(0, io.SeekStart); err != nil {
		return Stored{}, fmt.Errorf("store evidence: %w", err)
	}
	if err := s.storage.Put(ctx, row.StorageKey, file.File, row.SizeBytes, row.ContentType); err != nil {
		return Stored{}, storageError(ctx, err)
	}
	return Stored{row}, nil
}

// storageError: whatever ails the store, the caller can only try again; unless it was he who went away.
func storageError(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, ErrStorageUnavailable) {
		return err
	}
	return ErrStorageUnavailable.Because(err)
}

// Record adds the rows of stored files to a transaction, as evidence of an account that the caller has checked, and
// signed by the user who acts.
func (s *Service) Record(ctx context.Context, tx bun.Tx, account uuid.UUID, files ...Stored) ([]*Evidence, error) {
	if len(files) == 0 {
		return nil, nil
	}
	p, err := auth.Require(ctx, "")
	if err != nil {
		return nil, err
	}
	rows := make([]*Evidence, len(files))
	records := make([]audit.Record, len(files))
	events := make([]outbox.Event, len(files))
	for i, f := range files {
		row := f.row
		row.ID, row.AccountID, row.UploadedBy = uuid.Must(uuid.NewV7()), account, p.UserID
		rows[i] = &row
		records[i] = audit.Record{Action: "evidence.upload", ObjectType: "evidence", ObjectID: row.ID, AccountID: account,
			After: map[string]any{"sha256": hex.EncodeToString(row.SHA256), "size_bytes": row.SizeBytes, "content_type": row.ContentType}}
		events[i] = outbox.Event{Type: EventUploaded, ObjectType: "evidence", ObjectID: row.ID, AccountID: account,
			Payload: UploadedEvent{ID: row.ID.String(), AccountID: account.String(), ContentType: row.ContentType, SizeBytes: row.SizeBytes}}
	}
	if _, err := tx.NewInsert().Model(&rows).Returning("created_at").Exec(ctx); err != nil {
		return nil, fmt.Errorf("insert evidence: %w", err)
	}
	if err := audit.Write(ctx, records...); err != nil {
		return nil, err
	}
	return rows, s.outbox.Emit(ctx, events...)
}

// Open gives the content of e; the caller closes it. It fails with ErrStorageUnavailable. A row whose object is gone
// is a fault of ours.
func (s *Service) Open(ctx context.Context, e *Evidence) (io.ReadCloser, error) {
	content, err := s.storage.Open(ctx, e.StorageKey)
	if errors.Is(err, ErrObjectMissing) {
		return nil, fmt.Errorf("evidence %s: %w", e.ID, err)
	}
	if err != nil {
		return nil, storageError(ctx, err)
	}
	return content, nil
}

// SHA256 identifies the stored bytes.
func (f Stored) SHA256() []byte { return f.row.SHA256 }
