package embedded

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// rootDataHome is where data of root go when the server's account cannot reach
// the configured directory.
const rootDataHome = "/var/lib/countersign"

// cluster is a data directory that is ready to be served.
type cluster struct {
	dataDir  string
	programs programs
	account  account
}

// realPath makes the folder above a data directory and resolves symbolic links,
// so that one directory has one name, and one lock.
func realPath(dataDir string) (string, error) {
	dataDir, err := filepath.Abs(dataDir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dataDir), 0o755); err != nil {
		return "", err
	}
	if _, err := os.Lstat(dataDir); err == nil {
		return filepath.EvalSymlinks(dataDir)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(dataDir))
	return filepath.Join(parent, filepath.Base(dataDir)), err
}

// prepareCluster finds programs and account for a data directory and creates
// the directory when it is not there yet.
func prepareCluster(ctx context.Context, cfg PostgresConfig, dataDir string) (cluster, error) {
	elsewhere := filepath.Join(rootDataHome, pathDigest(dataDir), filepath.Base(dataDir))
	if os.Getuid() == 0 && !isCluster(dataDir) && isCluster(elsewhere) {
		dataDir = elsewhere
	}
	major, err := clusterMajor(dataDir)
	if err != nil {
		return cluster{}, err
	}
	found, err := findOrFetch(ctx, cfg, major)
	if err != nil {
		return cluster{}, err
	}
	if major != "" && found.major() != major {
		return cluster{}, &VersionError{DataDir: dataDir, DataMajor: major, ProgramsMajor: found.major(), BinDir: found.dir}
	}
	c := cluster{dataDir: dataDir, programs: found}
	c.account, err = accountFor(ctx, found, dataDir)
	if errors.Is(err, errUnreachable) && cfg.Fast {
		if err := openTemporaryParents(dataDir); err != nil {
			return cluster{}, err
		}
		c.account, err = accountFor(ctx, found, dataDir)
	}
	if major != "" {
		return c, err
	}
	if errors.Is(err, errUnreachable) && os.Getuid() == 0 {
		cfg.Log(fmt.Sprintf("This machine forbids user namespaces and %s cannot be entered by an ordinary account, so the data go to %s.", filepath.Dir(dataDir), elsewhere))
		if err := os.MkdirAll(filepath.Dir(elsewhere), 0o755); err != nil {
			return cluster{}, fmt.Errorf("data directory of PostgreSQL: %w", err)
		}
		c.dataDir = elsewhere
		c.account, err = accountFor(ctx, found, elsewhere)
	}
	if err != nil {
		return cluster{}, err
	}
	cfg.Log("Creating the private database in " + c.dataDir + ".")
	return c, c.create(ctx, cfg)
}

// create runs initdb beside the data directory and renames the result, so that
// a crash in the middle leaves nothing that looks finished.
func (c cluster) create(ctx context.Context, cfg PostgresConfig) error {
	if entries, err := os.ReadDir(c.dataDir); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty and was not made by PostgreSQL: choose another data directory or move these files away", c.dataDir)
	}
	stage := c.dataDir + ".tmp-initdb"
	if err := clearLeftovers(ctx, stage, cfg.Log); err != nil {
		return err
	}
	if err := os.RemoveAll(stage); err != nil {
		return fmt.Errorf("remove the rest of an interrupted start: %w", err)
	}
	if err := os.Mkdir(stage, 0o700); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	defer os.RemoveAll(stage)
	if err := c.account.own(stage); err != nil {
		return err
	}
	if err := c.initdb(ctx, stage, cfg.Fast); err != nil {
		return err
	}
	// An empty folder may stand there; Remove refuses any other.
	if err := os.Remove(c.dataDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("put the new data directory in place: %w", err)
	}
	if err := os.Rename(stage, c.dataDir); err != nil {
		return fmt.Errorf("put the new data directory in place: %w", err)
	}
	if cfg.Fast {
		return nil
	}
	parent, err := os.Open(filepath.Dir(c.dataDir))
	if err != nil {
		return fmt.Errorf("sync the new data directory: %w", err)
	}
	defer parent.Close()
	if err := parent.Sync(); err != nil {
		return fmt.Errorf("sync the new data directory: %w", err)
	}
	return nil
}

func (c cluster) initdb(ctx context.Context, dir string, fast bool) error {
	args := []string{"-D", dir, "-U", Superuser, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-instructions"}
	if fast {
		args = append(args, "--no-sync", "--wal-segsize=1")
	}
	cmd := exec.CommandContext(ctx, c.programs.path("initdb"), args...)
	var output bytes.Buffer
	cmd.Dir = dir
	cmd.Env = c.programs.environment()
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = c.account.attributes()
	cmd.Cancel = func() error { return killGroup(cmd.Process.Pid) }
	cmd.WaitDelay = time.Second
	ended, err := startOnOwnThread(cmd)
	if err == nil {
		err = <-ended
	}
	if err != nil {
		return fmt.Errorf("create the database with %s: %w%s", cmd.Path, errors.Join(ctx.Err(), err), indentLast(output.String(), 12))
	}
	return nil
}

// VersionError says that a data directory was made by another major version.
// Nothing has been changed.
type VersionError struct {
	DataDir       string
	DataMajor     string
	ProgramsMajor string
	BinDir        string
}

// Error explains the two ways out.
func (e *VersionError) Error() string {
	return fmt.Sprintf("the data in %s were made by PostgreSQL %s, but the programs in %s are version %s. Nothing was changed. "+
		"Install PostgreSQL %s and name its folder in COUNTERSIGN_PG_BIN, or choose another data directory",
		e.DataDir, e.DataMajor, e.BinDir, e.ProgramsMajor, e.DataMajor)
}

// clusterMajor is the major version that made dir, or "" when dir is no data
// directory yet.
func clusterMajor(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the data directory's version: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

func isCluster(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "PG_VERSION"))
	return err == nil
}

// socketDirFor chooses where the socket lives: in the data directory, which
// nobody else can enter, or under the temporary directory when its path is none
// for a socket.
func socketDirFor(c cluster) (dir string, temporary bool, err error) {
	if takesSocket(c.dataDir) {
		return c.dataDir, false, nil
	}
	for _, home := range []string{os.TempDir(), "/tmp"} {
		dir := filepath.Join(home, "countersign-"+pathDigest(c.dataDir))
		if !takesSocket(dir) {
			continue
		}
		// The lock on the data directory makes a directory of this name ours,
		// left by a killed process. One of another account cannot be removed.
		if err := os.RemoveAll(dir); err != nil {
			return "", false, fmt.Errorf("socket directory of PostgreSQL: %w", err)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			return "", false, fmt.Errorf("socket directory of PostgreSQL: %w", err)
		}
		return dir, true, c.account.own(dir)
	}
	return "", false, fmt.Errorf("neither %s nor /tmp can hold a Unix socket: choose a data directory with a shorter path without commas", c.dataDir)
}

// takesSocket tells whether a socket can be made and named in a folder. A comma
// separates several folders for the server and several hosts for the client.
func takesSocket(dir string) bool {
	return len(filepath.Join(dir, ".s.PGSQL.65535")) <= maxSocketPath && !strings.Contains(dir, ",")
}

// openTemporaryParents lets other accounts pass through the folders that a test
// made for its data, up to the temporary directory.
func openTemporaryParents(dataDir string) error {
	home := filepath.Clean(os.TempDir())
	for dir := filepath.Dir(dataDir); strings.HasPrefix(dir, home+"/"); dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err == nil {
			err = os.Chmod(dir, info.Mode().Perm()|0o011)
		}
		if err != nil {
			return fmt.Errorf("make %s passable: %w", dir, err)
		}
	}
	return nil
}

func pathDigest(path string) string {
	sum := sha256.Sum256([]byte(path))
	return hex.EncodeToString(sum[:6])
}
