package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// MaxSize is how many bytes a file may have: 10 MiB, a photo from any telephone or a scanned statement.
const MaxSize int64 = 10 << 20

// Received is an uploaded file that was read to its end and found acceptable. Nothing is stored yet.
type Received struct {
	SHA256      [sha256.Size]byte
	Size        int64  // bytes
	ContentType string // one of the Type constants
	// PixelHash and PerceptualHash are those of the picture's Fingerprint; both nil for a PDF.
	PixelHash      []byte
	PerceptualHash *int64
	// File is the content, at its start, as a temporary file without a name. Close releases it.
	File *os.File
}

// Close drops the temporary file.
func (r *Received) Close() error { return r.File.Close() }

// Receive reads an upload once, to its end, through a temporary file: no more of it is in memory than a buffer. The
// caller closes the result. Errors for the client: ErrEmpty, ErrUnsupportedType, ErrIncomplete, and ErrTooLarge for
// more than limit bytes (MaxSize at most; or fewer, where r is an http.MaxBytesReader); and of a picture that nobody
// could look at, ErrUnreadable and ErrPictureTooLarge. It may wait, until ctx ends, for the decoding of other people's
// pictures.
func Receive(ctx context.Context, r io.Reader, limit int64) (*Received, error) {
	// The type is known before the rest is read, so that what is refused costs neither time nor disk.
	head, err := io.ReadAll(io.LimitReader(r, SniffLength))
	if err != nil {
		return nil, uploadError(err)
	}
	contentType, err := Sniff(head)
	if err != nil {
		return nil, err
	}

	file, err := unnamedFile()
	if err != nil {
		return nil, fmt.Errorf("create temporary file: %w", err)
	}
	received := &Received{ContentType: contentType, File: file}
	if err := received.fill(ctx, io.MultiReader(bytes.NewReader(head), r), min(limit, MaxSize)); err != nil {
		return nil, errors.Join(err, received.Close())
	}
	return received, nil
}

// unnamedFile makes a temporary file and takes its name away at once, so that not even a crash leaves a receipt
// lying about.
func unnamedFile() (*os.File, error) {
	file, err := os.CreateTemp("", "countersign-evidence-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func (r *Received) fill(ctx context.Context, upload io.Reader, limit int64) error {
	digest := sha256.New()
	size, err := io.Copy(io.MultiWriter(r.File, digest), io.LimitReader(upload, limit+1))
	if err != nil {
		return uploadError(err)
	}
	if size > limit {
		return tooLarge(limit)
	}
	r.Size = size
	digest.Sum(r.SHA256[:0])

	prints, ok, err := TakeFingerprint(ctx, r.File, r.ContentType)
	if err != nil {
		return err
	}
	if ok {
		r.PixelHash = prints.PixelHash[:]
		r.PerceptualHash = &prints.PerceptualHash
	}
	_, err = r.File.Seek(0, io.SeekStart)
	return err
}

// uploadError tells what the client did wrong from what is our own trouble.
func uploadError(err error) error {
	if stopped, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(stopped.Limit)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrIncomplete.Because(err)
	}
	return fmt.Errorf("receive upload: %w", err)
}

func tooLarge(limit int64) error {
	if limit%(1<<20) == 0 {
		return ErrTooLarge.With("limit", fmt.Sprintf("%d MiB", limit>>20))
	}
	return ErrTooLarge.With("limit", fmt.Sprintf("%d bytes", limit))
}
