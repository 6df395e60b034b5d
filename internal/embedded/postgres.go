package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Superuser is the role that initdb creates. It logs in without a password,
// through the socket that only this system account can reach.
const Superuser = "countersign"

// MaintenanceDatabase exists from the beginning. Connect to it to create others.
const MaintenanceDatabase = "postgres"

const (
	defaultPort   = 5432
	maxSocketPath = 107 // bytes, sun_path without its final NUL
	pollEvery     = 20 * time.Millisecond
	quitGrace     = 5 * time.Second // from SIGQUIT to SIGKILL
	maxLogSize    = 8 << 20         // bytes, then the log is put aside at the next start
)

// PostgresConfig says which server to start. Only DataDir is required.
type PostgresConfig struct {
	// DataDir holds the database between runs. It is created when it does not
	// exist; an existing one must be empty or made by PostgreSQL.
	DataDir string
	// BinDir holds postgres and initdb (COUNTERSIGN_PG_BIN). Empty: they are looked for.
	BinDir string
	// Fetch allows to download PostgreSQL when the machine has none.
	Fetch bool
	// FetchDir is where a downloaded copy lives. Empty: DefaultFetchDir.
	FetchDir string
	// Port makes the server listen on 127.0.0.1 as well, without a password for
	// anyone on this machine. Zero: the Unix socket only.
	Port int
	// Fast gives up durability for speed. For tests only: after a power failure
	// the data may be broken.
	Fast bool
	// SharedBuffers is how much memory it keeps pages in, as PostgreSQL writes it. Empty: 256MB.
	SharedBuffers string
	// Log receives sentences for the user, one at a time. Nil: they are dropped.
	Log func(sentence string)
}

// Postgres is a running server. Its methods may be called from any goroutine.
type Postgres struct {
	dataDir   string
	socketDir string
	logPath   string
	port      int
	version   string
	process   *os.Process
	done      chan struct{}

	mu       sync.Mutex
	stopping bool
	err      error
}

// StartPostgres starts a server on cfg.DataDir and returns when it answers
// queries. It takes as long as crash recovery takes; ctx ends the wait, and has
// no influence on a server that was returned.
//
// It returns an *InUseError when another process uses the directory, and
// ErrNoPostgres when no programs were found and none could be fetched.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	if cfg.DataDir == "" {
		return nil, errors.New("start PostgreSQL: no data directory is set")
	}
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	dataDir, err := realPath(cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("data directory of PostgreSQL: %w", err)
	}
	lock, err := lockDataDir(dataDir)
	if err != nil {
		return nil, err
	}
	p, err := startLocked(ctx, cfg, dataDir, lock)
	if err != nil {
		lock.release()
		return nil, err
	}
	return p, nil
}

// startLocked is StartPostgres after the directory belongs to this process. The
// lock passes to the server's goroutine with success.
func startLocked(ctx context.Context, cfg PostgresConfig, dataDir string, lock *dirLock) (*Postgres, error) {
	c, err := prepareCluster(ctx, cfg, dataDir)
	if err != nil {
		return nil, err
	}
	if err := clearLeftovers(ctx, c.dataDir, cfg.Log); err != nil {
		return nil, err
	}
	socketDir, temporary, err := socketDirFor(c)
	if err != nil {
		return nil, err
	}
	p := &Postgres{
		dataDir:   c.dataDir,
		socketDir: socketDir,
		logPath:   filepath.Join(filepath.Dir(c.dataDir), "postgres.log"),
		port:      defaultPort,
		version:   c.programs.version,
		done:      make(chan struct{}),
	}
	if cfg.Port != 0 {
		p.port = cfg.Port
	}
	logFile, err := openLog(p.logPath)
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	for _, f := range []*os.File{logFile, lock.file} {
		if err := c.account.own(f.Name()); err != nil {
			return nil, err
		}
	}
	logStart, err := logFile.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("log of PostgreSQL: %w", err)
	}

	cmd := exec.Command(c.programs.path("postgres"), p.arguments(cfg)...)
	cmd.Dir = c.dataDir
	cmd.Env = c.programs.environment()
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = c.account.attributes()
	ended, err := startOnOwnThread(cmd)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p.process = cmd.Process
	go func() {
		p.ended(<-ended, logStart)
		if temporary {
			os.RemoveAll(socketDir)
		}
		lock.release()
		close(p.done)
	}()
	if err := p.awaitReady(ctx, cfg.Log); err != nil {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), quitGrace)
		defer cancel()
		p.Stop(stopCtx)
		return nil, err
	}
	return p, nil
}

// arguments are the server's settings. They win over postgresql.conf, so an old
// data directory runs with the settings of today's program.
func (p *Postgres) arguments(cfg PostgresConfig) []string {
	settings := []string{
		"max_connections=100",
		// The planner's estimates seldom justify compiling the short queries of
		// an application, and a fetched copy may lack the compiler.
		"jit=off",
		// Known to the server without any time zone files on the machine.
		"timezone=GMT", "log_timezone=GMT",
		"log_checkpoints=off",
		// Statements and error details carry payment references and names.
		"log_min_error_statement=panic", "log_error_verbosity=terse",
	}
	if cfg.Fast {
		settings = append(settings, "shared_buffers=32MB", "fsync=off", "full_page_writes=off",
			"synchronous_commit=off", "wal_level=minimal", "max_wal_senders=0")
	} else {
		settings = append(settings, "shared_buffers="+cmp.Or(cfg.SharedBuffers, "256MB"), "maintenance_work_mem=128MB")
	}
	listen := ""
	if cfg.Port != 0 {
		listen = "127.0.0.1"
	}
	args := []string{"-D", p.dataDir, "-p", strconv.Itoa(p.port), "-k", p.socketDir, "-c", "listen_addresses=" + listen}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	return args
}

// awaitReady returns when a query was answered, or why none ever will be.
func (p *Postgres) awaitReady(ctx context.Context, log func(string)) error {
	slow := time.NewTimer(5 * time.Second)
	defer slow.Stop()
	for {
		if p.answers(ctx) {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("PostgreSQL did not start: %w", p.Err())
		case <-ctx.Done():
			return fmt.Errorf("wait for PostgreSQL to answer: %w%s", ctx.Err(), lastLines(p.logPath, 0))
		case <-slow.C:
			log("PostgreSQL is still starting; after a crash it first replays its journal.")
		case <-time.After(pollEvery):
		}
	}
}

func (p *Postgres) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.DSN(Superuser, MaintenanceDatabase))
	if err != nil {
		return false
	}
	defer conn.Close(ctx)
	return conn.Ping(ctx) == nil
}

// ended records why the server is gone. No error after Stop.
func (p *Postgres) ended(cause error, logStart int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopping {
		return
	}
	reason := "exit status 0"
	if cause != nil {
		reason = cause.Error()
	}
	p.err = fmt.Errorf("PostgreSQL ended by itself: %s%s", reason, lastLines(p.logPath, logStart))
}

// DSN is a connection URL over the Unix socket, for any Go process of the same
// system account while the server runs.
func (p *Postgres) DSN(user, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(user),
		Path:     "/" + database,
		RawQuery: url.Values{"host": {p.socketDir}, "port": {strconv.Itoa(p.port)}}.Encode(),
	}
	return u.String()
}

// DataDir is where the data really are. It differs from the configured
// directory only for root on a machine that refuses user namespaces, when the
// server's account cannot enter the configured one.
func (p *Postgres) DataDir() string { return p.dataDir }

// Version is the server's version, such as "15.18".
func (p *Postgres) Version() string { return p.version }

// PID is the process id of the server.
func (p *Postgres) PID() int { return p.process.Pid }

// Done is closed when the server has ended, by Stop or by itself.
func (p *Postgres) Done() <-chan struct{} { return p.done }

// Err says why the server ended by itself, with the last lines of its log. Nil
// while it runs and after Stop.
func (p *Postgres) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Stop ends the server in order: clients are disconnected, open transactions
// rolled back, the data flushed. When ctx ends first, the server is told to drop
// everything; nothing committed is lost, and the next start replays the journal.
// A second call waits for the first.
func (p *Postgres) Stop(ctx context.Context) error {
	p.mu.Lock()
	p.stopping = true
	p.mu.Unlock()
	if err := p.signalAndWait(ctx, syscall.SIGINT); err == nil {
		return nil
	}
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL} {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), quitGrace)
		err := p.signalAndWait(grace, sig)
		cancel()
		if err == nil {
			return fmt.Errorf("PostgreSQL did not stop in time and was ended with %s: %w", sig, ctx.Err())
		}
	}
	return fmt.Errorf("PostgreSQL (pid %d) cannot be ended: %w", p.PID(), ctx.Err())
}

func (p *Postgres) signalAndWait(ctx context.Context, sig syscall.Signal) error {
	if err := p.process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s: %w", sig, err)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// openLog opens the server's log for appending. One big old log is kept aside.
func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > maxLogSize {
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, fmt.Errorf("log of PostgreSQL: %w", err)
		}
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of PostgreSQL: %w", err)
	}
	return f, nil
}

// lastLines quotes the end of what was logged after the given offset, indented
// under an error's sentence. Empty when there is nothing.
func lastLines(path string, from int64) string {
	const keepBytes, keepLines = 16 << 10, 12
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return ""
	}
	from = max(from, size-keepBytes)
	buf := make([]byte, max(0, size-from))
	n, _ := f.ReadAt(buf, from)
	return indentLast(string(buf[:n]), keepLines)
}

// indentLast returns up to n last lines of text, each on its own indented line.
func indentLast(text string, n int) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	lines := strings.Split(text, "\n")
	return "\n    " + strings.Join(lines[max(0, len(lines)-n):], "\n    ")
}
