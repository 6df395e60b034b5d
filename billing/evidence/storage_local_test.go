package evidence_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"countersign/billing/evidence"
)

func TestLocal(t *testing.T) {
	t.Parallel()
	testStorage(t, func(t *testing.T) evidence.Storage { return openLocal(t, t.TempDir()) })
}

func openLocal(t *testing.T, dir string) *evidence.Local {
	t.Helper()
	s, err := evidence.NewLocal(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestLocalFiles(t *testing.T) {
	t.Parallel()

	t.Run("are for their owner only", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "data", "evidence")
		s := openLocal(t, dir)
		if err := s.Put(t.Context(), key, streamed("receipt"), 7, evidence.TypePDF); err != nil {
			t.Fatal(err)
		}
		folder, _, _ := strings.Cut(key, "/")
		want := map[string]fs.FileMode{".": fs.ModeDir | 0o700, ".incoming": fs.ModeDir | 0o700, folder: fs.ModeDir | 0o700, key: 0o600}
		for _, name := range tree(t, dir) {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode() != want[name] {
				t.Errorf("%s: got %v, want %v", name, info.Mode(), want[name])
			}
			delete(want, name)
		}
		if len(want) > 0 {
			t.Errorf("not there: %v", want)
		}
	})

	t.Run("are still there after a restart", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := openLocal(t, dir).Put(t.Context(), key, streamed("receipt"), 7, evidence.TypePDF); err != nil {
			t.Fatal(err)
		}
		if got := string(read(t, openLocal(t, dir))); got != "receipt" {
			t.Errorf("got %q", got)
		}
	})

	t.Run("leave nothing behind when they fail", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		s := openLocal(t, dir)
		if err := s.Put(t.Context(), key, streamed("recei"), 7, evidence.TypePDF); err == nil {
			t.Error("stored a short file")
		}
		if got, want := tree(t, dir), []string{".", ".incoming"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})

	t.Run("do not appear for a caller who leaves meanwhile", func(t *testing.T) {
		t.Parallel()
		s := openLocal(t, t.TempDir())
		ctx, cancel := context.WithCancel(t.Context())
		leaving := io.MultiReader(streamed("rec"), readerFunc(func([]byte) (int, error) {
			cancel()
			return 0, io.EOF
		}), streamed("eipt"))
		if err := s.Put(ctx, key, leaving, 7, evidence.TypePDF); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		wantMissing(t, s)
	})

	t.Run("of a crash are removed, of a running upload are not", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		openLocal(t, dir)
		for name, age := range map[string]time.Duration{"CRASHED": 25 * time.Hour, "RUNNING": time.Minute} {
			file := filepath.Join(dir, ".incoming", name)
			if err := os.WriteFile(file, []byte("rec"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(file, time.Time{}, time.Now().Add(-age)); err != nil {
				t.Fatal(err)
			}
		}
		openLocal(t, dir)
		if got, want := tree(t, dir), []string{".", ".incoming", ".incoming/RUNNING"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})

	t.Run("stay inside their directory", func(t *testing.T) {
		t.Parallel()
		dir, outside := t.TempDir(), t.TempDir()
		s := openLocal(t, dir)
		folder, _, _ := strings.Cut(key, "/")
		if err := os.Symlink(outside, filepath.Join(dir, folder)); err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), key, streamed("receipt"), 7, evidence.TypePDF); err == nil {
			t.Error("followed a link out of the directory")
		}
		if got := tree(t, outside); len(got) != 1 {
			t.Errorf("wrote %v", got)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestNewLocal(t *testing.T) {
	t.Parallel()
	t.Run("refuses a directory that is a file", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := evidence.NewLocal(file); err == nil {
			t.Error("accepted")
		}
	})
}

// tree lists everything below dir, with dir itself as ".".
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, _ fs.DirEntry, err error) error {
		names = append(names, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
