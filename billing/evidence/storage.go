package evidence

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
)

// Storage keeps the bytes of evidence under content-addressed keys such as <tenant uuid>/<sha256 hex>. A key holds
// exactly two parts of [0-9a-f-], so no key can leave the store, name a hidden file or be a folder of another key;
// any other is ErrBadKey. All methods may be called by many goroutines and processes at once.
type Storage interface {
	// Put stores exactly size bytes of r (at least one) durably under key, or nothing. An object of that size under
	// that key is taken to be the same content and is left as it is; r is not read then. One of another size is
	// replaced. A reader with more or fewer bytes is ErrSizeMismatch.
	Put(ctx context.Context, key string, r io.Reader, size int64, contentType string) error
	// Open reads an object from its start; the caller closes it. ErrObjectMissing when there is none.
	Open(ctx context.Context, key string) (io.ReadCloser, error)
	// Stat gives the size of an object in bytes. ErrObjectMissing when there is none.
	Stat(ctx context.Context, key string) (int64, error)
	// Delete removes an object. A missing one is no error, so that a deletion can be repeated.
	Delete(ctx context.Context, key string) error
}

// 128 characters are twice a SHA-256 in hex and well below what any file system allows in a name.
var keyPattern = regexp.MustCompile(`^[0-9a-f-]{1,128}/[0-9a-f-]{1,128}$`)

func checkKey(key string) error {
	if !keyPattern.MatchString(key) {
		return fmt.Errorf("%w: %q", ErrBadKey, key)
	}
	return nil
}

// checkPut refuses what no store may accept and tells whether the object is already there.
func checkPut(ctx context.Context, s Storage, key string, size int64) (bool, error) {
	if err := checkKey(key); err != nil {
		return false, err
	}
	if size < 1 {
		return false, fmt.Errorf("%w: %d bytes", ErrSizeMismatch, size)
	}
	stored, err := s.Stat(ctx, key)
	if errors.Is(err, ErrObjectMissing) {
		return false, nil
	}
	return stored == size, err
}

// exactReader reads from r and fails with ErrSizeMismatch unless r holds exactly left bytes. The last byte is held
// back until it is certain that nothing follows: a store that has all the announced bytes may already have kept them.
type exactReader struct {
	r    io.Reader
	left int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		return 0, fmt.Errorf("%w: %d bytes are missing", ErrSizeMismatch, e.left)
	}
	if err != nil && err != io.EOF {
		return 0, err
	}
	if e.left > 0 {
		return n, nil
	}
	if _, err := io.ReadFull(e.r, make([]byte, 1)); err == nil {
		return 0, fmt.Errorf("%w: more bytes follow", ErrSizeMismatch)
	} else if err != io.EOF {
		return 0, err
	}
	return n, nil
}
