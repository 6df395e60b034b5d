package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"countersign/internal/embedded"
	"countersign/internal/testkit"

	"github.com/jackc/pgx/v5"
)

// These variables turn the test program into a process that a test may kill.
const (
	serveVar = "EMBEDDED_TEST_SERVE" // a data directory to serve
	fetchVar = "EMBEDDED_TEST_FETCH" // a folder to fetch into, on a machine without PostgreSQL
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(serveVar) != "":
		exitWith(serveUntilInterrupted(os.Getenv(serveVar)))
	case os.Getenv(fetchVar) != "":
		exitWith(fetchWithoutPostgres(os.Getenv(fetchVar)))
	}
	os.Exit(m.Run())
}

func exitWith(err error) {
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serveUntilInterrupted adds a row and says how many there are, the server's pid
// and, after an interrupt, whether the server still answers.
func serveUntilInterrupted(dataDir string) error {
	interrupted, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, err := embedded.StartPostgres(ctx, embedded.PostgresConfig{DataDir: dataDir, Log: func(s string) { fmt.Println("log:", s) }})
	if err != nil {
		return err
	}
	rows, err := addRow(ctx, server)
	if err != nil {
		return err
	}
	fmt.Printf("serving pid=%d rows=%d\n", server.PID(), rows)
	<-interrupted.Done()
	if _, err := addRow(ctx, server); err != nil {
		return fmt.Errorf("after the interrupt: %w", err)
	}
	fmt.Println("answers after the interrupt")
	return server.Stop(ctx)
}

func addRow(ctx context.Context, server *embedded.Postgres) (rows int, err error) {
	conn, err := pgx.Connect(ctx, server.DSN(embedded.Superuser, embedded.MaintenanceDatabase))
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS marker (note text UNIQUE)"); err != nil {
		return 0, err
	}
	if _, err := conn.Exec(ctx, "INSERT INTO marker VALUES (clock_timestamp()::text)"); err != nil {
		return 0, err
	}
	err = conn.QueryRow(ctx, "SELECT count(*) FROM marker").Scan(&rows)
	return rows, err
}

// process is this test program, started again.
type process struct {
	cmd    *exec.Cmd
	output *bufio.Scanner
	seen   []string
	server int // pid, once it serves
}

// startProcess runs the test program in a process group of its own with one
// variable set. Whatever of it is left at the end of the test is killed.
func startProcess(t *testing.T, program, variable string, attr *syscall.SysProcAttr, env ...string) *process {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Dir = filepath.Dir(program)
	cmd.Env = append(append(os.Environ(), variable), env...)
	cmd.SysProcAttr = attr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, output: bufio.NewScanner(out)}
	t.Cleanup(func() {
		p.kill()
		// The folder cannot be removed while an orphan still writes to it.
		until(t, "the server is gone", func() bool { return p.server == 0 || gone(p.server) })
	})
	return p
}

// line returns the next line of output that begins as wanted.
func (p *process) line(t *testing.T, prefix string) string {
	t.Helper()
	for p.output.Scan() {
		p.seen = append(p.seen, p.output.Text())
		if rest, ok := strings.CutPrefix(p.output.Text(), prefix); ok {
			return rest
		}
	}
	t.Fatalf("the process ended without saying %q:\n%s", prefix, strings.Join(p.seen, "\n"))
	return ""
}

// serving returns what the process says about its server.
func (p *process) serving(t *testing.T) (pid, rows int) {
	t.Helper()
	if _, err := fmt.Sscanf(p.line(t, "serving "), "pid=%d rows=%d", &pid, &rows); err != nil {
		t.Fatal(err)
	}
	p.server = pid
	return pid, rows
}

func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// wait reads the output to its end and returns it with the exit error.
func (p *process) wait() (string, error) {
	for p.output.Scan() {
		p.seen = append(p.seen, p.output.Text())
	}
	err := p.cmd.Wait()
	return strings.Join(p.seen, "\n"), err
}

// testProgram is this test program at a place that every account can reach.
func testProgram(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	path := filepath.Join(openDir(t), "embedded.test")
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// openDir is a temporary folder that every account may enter.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "embedded-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// newDataDir is the path of a data directory that does not exist yet.
func newDataDir(t *testing.T) string {
	t.Helper()
	return filepath.Join(openDir(t), "pg")
}

// requirePostgres is for tests that need PostgreSQL's programs.
func requirePostgres(t *testing.T) {
	t.Helper()
	if _, _, err := embedded.FindPostgres(t.Context(), "", ""); err != nil {
		testkit.Lacks(t, "PostgreSQL: "+err.Error())
	}
}

// start starts a server for the length of the test.
func start(t *testing.T, cfg embedded.PostgresConfig) *embedded.Postgres {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	server, err := embedded.StartPostgres(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, server) })
	return server
}

func stop(t *testing.T, server *embedded.Postgres) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := server.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// ask returns the one value that a query yields.
func ask(t *testing.T, server *embedded.Postgres, query string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), server.DSN(embedded.Superuser, embedded.MaintenanceDatabase))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var answer string
	if err := conn.QueryRow(t.Context(), query).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// until polls a condition, as a process takes the time it takes.
func until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("after 20 seconds still not: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// gone tells whether a process has ended. A zombie has.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ")
}
