package evidence_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sync/errgroup"

	"countersign/billing/evidence"
)

const key = "0192f3a4-1111-7222-8333-444455556666/9f86d081884c7d659a2feaa0c55ad015"

// streamed hides everything but Read, as the body of a request does.
func streamed(content string) io.Reader { return struct{ io.Reader }{strings.NewReader(content)} }

// testStorage is what every Storage must do. open gives an empty one.
func testStorage(t *testing.T, open func(t *testing.T) evidence.Storage) {
	put := func(t *testing.T, s evidence.Storage, content string) {
		t.Helper()
		if err := s.Put(t.Context(), key, streamed(content), int64(len(content)), evidence.TypePDF); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("gives back what was put", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		large := make([]byte, evidence.MaxSize)
		rand.Read(large)
		if err := s.Put(t.Context(), key, bytes.NewReader(large), evidence.MaxSize, evidence.TypePNG); err != nil {
			t.Fatal(err)
		}
		if size, err := s.Stat(t.Context(), key); err != nil || size != evidence.MaxSize {
			t.Errorf("Stat: got %d, %v", size, err)
		}
		if got := read(t, s); !bytes.Equal(got, large) {
			t.Errorf("read back %d bytes that differ", len(got))
		}
	})

	t.Run("gives back what was streamed", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		put(t, s, "receipt")
		if got := string(read(t, s)); got != "receipt" {
			t.Errorf("got %q", got)
		}
	})

	t.Run("reads from where the reader stands", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		r := strings.NewReader("skip:receipt")
		r.Seek(5, io.SeekStart)
		if err := s.Put(t.Context(), key, r, 7, evidence.TypePDF); err != nil {
			t.Fatal(err)
		}
		if got := string(read(t, s)); got != "receipt" {
			t.Errorf("got %q", got)
		}
	})

	t.Run("says what is missing", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		wantMissing(t, s)
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("Delete: %v", err)
		}
	})

	t.Run("keeps objects of one folder apart", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		put(t, s, "receipt")
		if _, err := s.Stat(t.Context(), key[:len(key)-1]); !errors.Is(err, evidence.ErrObjectMissing) {
			t.Errorf("shorter key: got %v", err)
		}
	})

	t.Run("deletes", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		put(t, s, "receipt")
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		wantMissing(t, s)
	})

	t.Run("leaves what is there alone", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		put(t, s, "receipt")
		if err := s.Put(t.Context(), key, iotest.ErrReader(errors.New("was read")), 7, evidence.TypePDF); err != nil {
			t.Fatal(err)
		}
		if got := string(read(t, s)); got != "receipt" {
			t.Errorf("got %q", got)
		}
	})

	t.Run("replaces what has another size", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		put(t, s, "rec")
		put(t, s, "receipt")
		if got := string(read(t, s)); got != "receipt" {
			t.Errorf("got %q", got)
		}
	})

	t.Run("stores all or nothing", func(t *testing.T) {
		t.Parallel()
		broken := errors.New("connection reset")
		tests := []struct {
			name string
			r    io.Reader
			size int64
			want error
		}{
			{"of a stream that is too short", streamed("recei"), 7, evidence.ErrSizeMismatch},
			{"of a stream that is too long", streamed("receipts"), 7, evidence.ErrSizeMismatch},
			{"of an empty stream", streamed(""), 7, evidence.ErrSizeMismatch},
			{"of a file that is too short", strings.NewReader("recei"), 7, evidence.ErrSizeMismatch},
			{"of a file that is too long", strings.NewReader("receipts"), 7, evidence.ErrSizeMismatch},
			{"of a stream that breaks", io.MultiReader(streamed("rec"), iotest.ErrReader(broken)), 7, broken},
			{"of a stream that breaks after its last byte", io.MultiReader(streamed("receipt"), iotest.ErrReader(broken)), 7, broken},
			{"of nothing", streamed(""), 0, evidence.ErrSizeMismatch},
			{"of an unknown size", streamed("receipt"), -1, evidence.ErrSizeMismatch},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				s := open(t)
				if err := s.Put(t.Context(), key, tt.r, tt.size, evidence.TypePDF); !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				wantMissing(t, s)
			})
		}
	})

	t.Run("keeps the old object when a replacement fails", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		put(t, s, "rec")
		if err := s.Put(t.Context(), key, streamed("recei"), 7, evidence.TypePDF); !errors.Is(err, evidence.ErrSizeMismatch) {
			t.Errorf("got %v", err)
		}
		if got := string(read(t, s)); got != "rec" {
			t.Errorf("got %q", got)
		}
	})

	t.Run("stores nothing for a caller who left", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Put(ctx, key, streamed("receipt"), 7, evidence.TypePDF); !errors.Is(err, context.Canceled) {
			t.Errorf("Put: got %v", err)
		}
		if _, err := s.Open(ctx, key); !errors.Is(err, context.Canceled) {
			t.Errorf("Open: got %v", err)
		}
		wantMissing(t, s)
	})

	t.Run("lets many put the same", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		content := strings.Repeat("receipt", 10_000)
		var all errgroup.Group
		for range 8 {
			all.Go(func() error {
				return s.Put(t.Context(), key, streamed(content), int64(len(content)), evidence.TypePDF)
			})
		}
		if err := all.Wait(); err != nil {
			t.Fatal(err)
		}
		if got := string(read(t, s)); got != content {
			t.Errorf("read back %d bytes that differ", len(got))
		}
	})

	t.Run("refuses malformed keys", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for _, bad := range []string{
			"", "/", "aa", "aa/", "/aa", "//", "aa//bb", "aa/bb/cc", "/aa/bb", "../aa", "aa/..", "./aa", "aa/.bb", ".incoming/aa",
			"aa/bb.png", "AA/BB", "aa/gg", `aa\bb`, "aa/b b", "aa/bb\n", "aa/bb\x00", "aa/%2e%2e", "аа/bb", strings.Repeat("a", 129) + "/b",
		} {
			_, openErr := s.Open(t.Context(), bad)
			_, statErr := s.Stat(t.Context(), bad)
			putErr := s.Put(t.Context(), bad, streamed("receipt"), 7, evidence.TypePDF)
			deleteErr := s.Delete(t.Context(), bad)
			for _, err := range []error{openErr, statErr, putErr, deleteErr} {
				if !errors.Is(err, evidence.ErrBadKey) {
					t.Errorf("%q: got %v", bad, err)
				}
			}
		}
	})
}

func read(t *testing.T, s evidence.Storage) []byte {
	t.Helper()
	r, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func wantMissing(t *testing.T, s evidence.Storage) {
	t.Helper()
	if _, err := s.Open(t.Context(), key); !errors.Is(err, evidence.ErrObjectMissing) {
		t.Errorf("Open: got %v, want ErrObjectMissing", err)
	}
	if _, err := s.Stat(t.Context(), key); !errors.Is(err, evidence.ErrObjectMissing) {
		t.Errorf("Stat: got %v, want ErrObjectMissing", err)
	}
}
