package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errUnreachable means that no account was found that may run the server and
// can enter the directory.
var errUnreachable = errors.New("no account can run PostgreSQL there")

// account is who a child process runs as. PostgreSQL refuses to be root, and
// initdb wants an account that has a name. The zero value is this process's own.
type account struct {
	name string
	uid  int // on this machine, also the owner of the files
	gid  int
	// shownAs is not 0 when the child sees itself under this uid in a user
	// namespace of its own, while its files belong to uid.
	shownAs int
	// switched is set when the child runs as uid although this process does not.
	switched bool
}

// accountFor chooses who runs the server on dataDir, which need not exist yet.
// Each candidate has to show that it can enter the folder and run the programs.
func accountFor(ctx context.Context, p programs, dataDir string) (account, error) {
	candidates, err := candidatesFor(dataDir)
	if err != nil {
		return account{}, err
	}
	parent := filepath.Dir(dataDir)
	var reasons []string
	for _, a := range candidates {
		if err := a.canRun(ctx, p, parent); err != nil {
			reasons = append(reasons, fmt.Sprintf("as %s: %v", a.name, err))
			continue
		}
		if isCluster(dataDir) {
			return a, a.ownTree(dataDir)
		}
		return a, nil
	}
	if err := ctx.Err(); err != nil {
		return account{}, fmt.Errorf("choose the account of PostgreSQL: %w", err)
	}
	return account{}, fmt.Errorf("run %s in %s: %w (%s)", p.path("postgres"), parent, errUnreachable, strings.Join(reasons, "; "))
}

// candidatesFor lists the accounts worth trying, best first. Existing data are
// served by their owner; so is a folder that an ordinary user made, which stays
// usable for him after one `sudo`.
func candidatesFor(dataDir string) ([]account, error) {
	place := dataDir
	if !isCluster(dataDir) {
		place = filepath.Dir(dataDir)
	}
	owner, err := ownerOf(place)
	if err != nil {
		return nil, err
	}
	uid, gid := os.Getuid(), os.Getgid()
	if uid != 0 {
		if place == dataDir && owner.uid != uid {
			return nil, fmt.Errorf("the data in %s belong to %s, and this is uid %d: run as that user, or choose another data directory", dataDir, owner.name, uid)
		}
		if hasName(uid) {
			return []account{{name: fmt.Sprintf("uid %d", uid), uid: uid, gid: gid}}, nil
		}
		return renamed(uid, gid), nil
	}
	if place == dataDir && owner.uid != 0 {
		return []account{owner}, nil
	}
	var candidates []account
	if owner.uid != 0 && hasName(owner.uid) {
		candidates = append(candidates, owner)
	}
	candidates = append(candidates, renamed(0, 0)...)
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			candidates = append(candidates, switchedTo(u))
		}
	}
	return candidates, nil
}

// hasName tells whether initdb would accept the account.
func hasName(uid int) bool {
	_, err := user.LookupId(strconv.Itoa(uid))
	return err == nil
}

// renamed is the account uid under a name that PostgreSQL accepts, by a user
// namespace. Empty where the system has no such thing.
func renamed(uid, gid int) []account {
	if runtime.GOOS != "linux" {
		return nil
	}
	for _, name := range []string{"postgres", "nobody", "daemon"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		shown, err := strconv.Atoi(u.Uid)
		if err != nil || shown == 0 {
			continue
		}
		return []account{{name: fmt.Sprintf("uid %d in a user namespace", uid), uid: uid, gid: gid, shownAs: shown}}
	}
	return nil
}

func switchedTo(u *user.User) account {
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	return account{name: u.Username, uid: uid, gid: gid, switched: true}
}

// canRun starts the server's program for a moment, in dir and as the account.
func (a account) canRun(ctx context.Context, p programs, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.path("postgres"), "--version")
	cmd.Dir = dir
	cmd.Env = p.environment()
	cmd.SysProcAttr = a.attributes()
	ended, err := startOnOwnThread(cmd)
	if err != nil {
		return err
	}
	return <-ended
}

// own gives one file or folder that this process created to the account.
func (a account) own(path string) error {
	if !a.switched {
		return nil
	}
	if err := os.Lchown(path, a.uid, a.gid); err != nil {
		return fmt.Errorf("give %s to %s: %w", path, a.name, err)
	}
	return nil
}

// ownTree gives an existing data directory to the account, when it was made by
// root under a kernel that allowed user namespaces and this one does not.
func (a account) ownTree(dir string) error {
	if owner, err := ownerOf(dir); err != nil || owner.uid == a.uid {
		return err
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("give %s to %s: %w", path, a.name, err)
		}
		return a.own(path)
	})
}

// ownerOf is the account that a file belongs to.
func ownerOf(path string) (account, error) {
	info, err := os.Stat(path)
	if err != nil {
		return account{}, fmt.Errorf("owner of %s: %w", path, err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	uid := int(stat.Uid)
	return account{name: fmt.Sprintf("uid %d", uid), uid: uid, gid: int(stat.Gid), switched: uid != os.Getuid()}, nil
}

// killGroup ends a child and what it started.
func killGroup(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }

// startOnOwnThread starts a command from an OS thread that lives until the
// command has ended, and reports its end. The kernel delivers a parent-death
// signal when the *thread* that forked ends, not only the process; Go ends and
// reuses threads as it likes, except those a goroutine is locked to.
func startOnOwnThread(cmd *exec.Cmd) (<-chan error, error) {
	started := make(chan error, 1)
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return ended, nil
}
