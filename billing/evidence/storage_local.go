package evidence

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

const (
	// incomingDir holds files that are being written. No key can name it, because keys have no dots.
	incomingDir = ".incoming"
	// staleAfter is when a file in incomingDir can only be what a crash left behind. An upload takes minutes at most.
	staleAfter = 24 * time.Hour
)

// Local is a Storage in a directory. Files are 0600 and folders 0700, because receipts show names, account numbers
// and balances. Several processes may share one directory.
type Local struct {
	root *os.Root
}

var _ Storage = (*Local)(nil)

// NewLocal opens dir, which is created when it is missing, and removes what crashed uploads left in it. Close it in
// the end.
func NewLocal(dir string) (*Local, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create evidence directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open evidence directory: %w", err)
	}
	l := &Local{root: root}
	if err := l.prepareIncoming(); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare evidence directory: %w", err), root.Close())
	}
	return l, nil
}

func (l *Local) prepareIncoming() error {
	if err := l.root.MkdirAll(incomingDir, 0o700); err != nil {
		return err
	}
	entries, err := fs.ReadDir(l.root.FS(), incomingDir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || time.Since(info.ModTime()) < staleAfter {
			continue // in use, or just finished by another process
		}
		if err := l.root.Remove(path.Join(incomingDir, entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Close releases the directory. Readers that Open returned stay usable.
func (l *Local) Close() error { return l.root.Close() }

// Put implements Storage: the file appears under its key only when all of it is on disk.
func (l *Local) Put(ctx context.Context, key string, r io.Reader, size int64, _ string) error {
	stored, err := checkPut(ctx, l, key, size)
	if err != nil {
		return err
	}
	if stored {
		// Whoever renamed it may not have come to his own sync yet, and our caller goes on to commit a row.
		return l.syncFolders(path.Dir(key))
	}

	temp := path.Join(incomingDir, rand.Text())
	if err := l.write(temp, &exactReader{r: r, left: size}); err != nil {
		return errors.Join(fmt.Errorf("store %s: %w", key, err), l.discard(temp))
	}
	if err := l.publish(ctx, temp, key); err != nil {
		return errors.Join(fmt.Errorf("store %s: %w", key, err), l.discard(temp))
	}
	return nil
}

func (l *Local) write(temp string, r io.Reader) error {
	f, err := l.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

func (l *Local) publish(ctx context.Context, temp, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.root.MkdirAll(path.Dir(key), 0o700); err != nil {
		return err
	}
	if err := l.root.Rename(temp, key); err != nil {
		return err
	}
	return l.syncFolders(path.Dir(key))
}

func (l *Local) discard(temp string) error {
	if err := l.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncFolders makes the names in folder, and the folder's own name, survive a power failure.
func (l *Local) syncFolders(folder string) error {
	for _, name := range []string{folder, "."} {
		f, err := l.root.Open(name)
		if err != nil {
			return fmt.Errorf("sync folder: %w", err)
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("sync folder: %w", err)
		}
	}
	return nil
}

// Open implements Storage.
func (l *Local) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := errors.Join(checkKey(key), ctx.Err()); err != nil {
		return nil, err
	}
	f, err := l.root.Open(key)
	if err != nil {
		return nil, localError("open", key, err)
	}
	return f, nil
}

// Stat implements Storage.
func (l *Local) Stat(ctx context.Context, key string) (int64, error) {
	if err := errors.Join(checkKey(key), ctx.Err()); err != nil {
		return 0, err
	}
	info, err := l.root.Stat(key)
	if err != nil {
		return 0, localError("look up", key, err)
	}
	return info.Size(), nil
}

// Delete implements Storage.
func (l *Local) Delete(ctx context.Context, key string) error {
	if err := errors.Join(checkKey(key), ctx.Err()); err != nil {
		return err
	}
	err := l.root.Remove(key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return localError("delete", key, err)
	}
	return l.syncFolders(path.Dir(key))
}

func localError(doing, key string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s %s: %w", doing, key, ErrObjectMissing)
	}
	return fmt.Errorf("%s %s: %w", doing, key, err)
}
