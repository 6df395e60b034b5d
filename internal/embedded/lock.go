package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// leftoverGrace is how long the server of a killed process may take to finish:
// it still writes what it has in memory to the disk.
const leftoverGrace = 30 * time.Second

// InUseError says that another process has the data directory.
type InUseError struct {
	DataDir string
	PID     int // the process to look at; 0 when it could not be read
}

// Error names the directory and the process.
func (e *InUseError) Error() string {
	return fmt.Sprintf("the data directory %s is already in use by pid %d. Stop that process, or choose another data directory", e.DataDir, e.PID)
}

// dirLock is held from before the first look at a data directory until its
// server has ended. The kernel drops it when the process dies.
type dirLock struct{ file *os.File }

// lockDataDir takes the lock beside the data directory, or returns *InUseError.
func lockDataDir(dataDir string) (*dirLock, error) {
	f, err := os.OpenFile(dataDir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("lock the data directory: %w. Run as the owner of %s, or choose another data directory", err, filepath.Dir(dataDir))
	}
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			holder, _ := os.ReadFile(f.Name())
			pid, _ := strconv.Atoi(string(bytes.TrimSpace(holder)))
			return nil, &InUseError{DataDir: dataDir, PID: pid}
		}
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	// The content only serves the message of whoever comes second.
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if _, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	return &dirLock{file: f}, nil
}

// release frees the directory. The file stays: removing it would let two
// processes lock two files of one name. Closing alone would not do, as a child
// that is just being forked has a copy of the file until it executes.
func (l *dirLock) release() {
	syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN)
	l.file.Close()
}

// clearLeftovers makes sure that no server works in dir and that the traces of
// one that was killed do not hinder the next. A server whose parent was killed
// is shutting down, so it is waited for; one that stays was started by somebody
// else, who is named in the *InUseError.
func clearLeftovers(ctx context.Context, dir string, log func(string)) error {
	deadline := time.Now().Add(leftoverGrace)
	for told := false; ; told = true {
		pids, err := serversIn(dir)
		if err != nil {
			return err
		}
		if len(pids) == 0 {
			break
		}
		if !told {
			log(fmt.Sprintf("Waiting for the previous server (pid %d) to end.", pids[0]))
		}
		if time.Now().After(deadline) {
			return &InUseError{DataDir: dir, PID: pids[0]}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the previous server (pid %d) to end: %w", pids[0], ctx.Err())
		case <-time.After(pollEvery):
		}
	}
	// A pid file left by kill -9 or a power failure names a process that may by
	// now be anything; PostgreSQL would refuse to start if it is alive.
	err := os.Remove(filepath.Join(dir, "postmaster.pid"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("remove the pid file of a killed server: %w", err)
	}
	return nil
}

// serversIn lists the PostgreSQL processes that work in dir, the one of the pid
// file first. PostgreSQL's processes have their data directory as working
// directory, which tells them from a stranger with a recycled pid.
func serversIn(dir string) ([]int, error) {
	want, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for a running server: %w", err)
	}
	postmaster := pidFileProcess(dir)
	entries, err := os.ReadDir("/proc")
	if err != nil {
		// No such folder outside Linux: believe the pid file.
		if postmaster != 0 && syscall.Kill(postmaster, 0) == nil {
			return []int{postmaster}, nil
		}
		return nil, nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !isPostgres(pid) {
			continue
		}
		cwd, err := os.Stat(filepath.Join("/proc", e.Name(), "cwd"))
		if err != nil || !os.SameFile(cwd, want) {
			continue
		}
		pids = append(pids, pid)
		if pid == postmaster {
			pids[0], pids[len(pids)-1] = pid, pids[0]
		}
	}
	return pids, nil
}

func isPostgres(pid int) bool {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return err == nil && strings.TrimSpace(string(name)) == "postgres"
}

// pidFileProcess is the pid in the first line of postmaster.pid, or 0.
func pidFileProcess(dir string) int {
	b, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, _ := strconv.Atoi(strings.TrimSpace(line))
	return pid
}
