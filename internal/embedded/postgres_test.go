package embedded_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"countersign/internal/embedded"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

func TestStartPostgres(t *testing.T) {
	t.Parallel()
	requirePostgres(t)

	t.Run("keeps the data from one start to the next", func(t *testing.T) {
		t.Parallel()
		dir := newDataDir(t)
		for want := 1; want <= 2; want++ {
			server := start(t, embedded.PostgresConfig{DataDir: dir})
			if got, err := addRow(t.Context(), server); err != nil || got != want {
				t.Fatalf("start %d: rows = %d, %v, want %d", want, got, err, want)
			}
			if got := ask(t, server, "SELECT current_setting('fsync') || current_setting('listen_addresses')"); got != "on" {
				t.Errorf("durable, and no TCP: got %q, want \"on\"", got)
			}
			stop(t, server)
			if err := server.Err(); err != nil {
				t.Errorf("Err after Stop = %v, want nil", err)
			}
		}
	})

	t.Run("trades durability for speed when asked", func(t *testing.T) {
		t.Parallel()
		server := start(t, embedded.PostgresConfig{DataDir: newDataDir(t), Fast: true})
		got := ask(t, server, "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'wal_segment_size')")
		if want := "fsync=off full_page_writes=off synchronous_commit=off wal_segment_size=1048576"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := ask(t, server, "SHOW server_version"); !strings.HasPrefix(got, server.Version()) {
			t.Errorf("Version() = %s, the server says %s", server.Version(), got)
		}
	})

	t.Run("refuses a directory that is in use", func(t *testing.T) {
		t.Parallel()
		dir := newDataDir(t)
		start(t, embedded.PostgresConfig{DataDir: dir, Fast: true})
		_, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{DataDir: dir, Fast: true})
		inUse, ok := errors.AsType[*embedded.InUseError](err)
		if !ok {
			t.Fatalf("error = %v, want an InUseError", err)
		}
		if diff := cmp.Diff(&embedded.InUseError{DataDir: dir, PID: os.Getpid()}, inUse); diff != "" {
			t.Error(diff)
		}
		if want := "already in use by pid " + strconv.Itoa(os.Getpid()); !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want it to contain %q", err, want)
		}
	})

	t.Run("follows a symbolic link and knows the directory by any name", func(t *testing.T) {
		t.Parallel()
		home := openDir(t)
		disk, link := filepath.Join(home, "disk"), filepath.Join(home, "link")
		if err := os.Mkdir(disk, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(disk, link); err != nil {
			t.Fatal(err)
		}
		server := start(t, embedded.PostgresConfig{DataDir: link, Fast: true})
		if server.DataDir() != disk {
			t.Errorf("DataDir() = %s, want %s", server.DataDir(), disk)
		}
		_, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{DataDir: disk, Fast: true})
		if _, ok := errors.AsType[*embedded.InUseError](err); !ok {
			t.Errorf("error = %v, want an InUseError", err)
		}
	})

	t.Run("leaves data of another major version alone", func(t *testing.T) {
		t.Parallel()
		dir := newDataDir(t)
		files := map[string]string{"PG_VERSION": "9\n", "precious": "the only copy"}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		writeFiles(t, dir, files)
		_, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{DataDir: dir})
		version, ok := errors.AsType[*embedded.VersionError](err)
		if !ok || version.DataMajor != "9" {
			t.Fatalf("error = %v, want a VersionError for 9", err)
		}
		if diff := cmp.Diff(files, readFiles(t, dir)); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("leaves a folder with other files alone", func(t *testing.T) {
		t.Parallel()
		dir := newDataDir(t)
		files := map[string]string{"letter.txt": "dear"}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		writeFiles(t, dir, files)
		_, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{DataDir: dir})
		if err == nil || !strings.Contains(err.Error(), "not empty and was not made by PostgreSQL") {
			t.Errorf("error = %v", err)
		}
		if diff := cmp.Diff(files, readFiles(t, dir)); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("is not hindered by an interrupted creation", func(t *testing.T) {
		t.Parallel()
		dir := newDataDir(t)
		stage := dir + ".tmp-initdb"
		if err := os.Mkdir(stage, 0o700); err != nil {
			t.Fatal(err)
		}
		writeFiles(t, stage, map[string]string{"PG_VERSION": "15\n"})
		start(t, embedded.PostgresConfig{DataDir: dir, Fast: true})
		if _, err := os.Stat(stage); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", stage, err)
		}
	})

	t.Run("is not hindered by a pid file that names a stranger", func(t *testing.T) {
		t.Parallel()
		dir := newDataDir(t)
		stop(t, start(t, embedded.PostgresConfig{DataDir: dir, Fast: true}))
		writeFiles(t, dir, map[string]string{"postmaster.pid": strconv.Itoa(os.Getppid()) + "\n" + dir + "\n"})
		start(t, embedded.PostgresConfig{DataDir: dir, Fast: true})
	})

	for why, name := range map[string]string{
		"is too long for one": strings.Repeat("long", 25),
		"has a comma":         "money, more money",
	} {
		t.Run("puts the socket elsewhere when the path "+why, func(t *testing.T) {
			t.Parallel()
			server := start(t, embedded.PostgresConfig{DataDir: filepath.Join(openDir(t), name, "pg"), Fast: true})
			dsn, err := url.Parse(server.DSN(embedded.Superuser, embedded.MaintenanceDatabase))
			if err != nil {
				t.Fatal(err)
			}
			socketDir := dsn.Query().Get("host")
			info, err := os.Stat(socketDir)
			if err != nil || info.Mode().Perm() != 0o700 {
				t.Fatalf("socket folder %s: %v, %v, want it closed to others", socketDir, info, err)
			}
			stop(t, server)
			if _, err := os.Stat(socketDir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is still there: %v", socketDir, err)
			}
		})
	}

	t.Run("listens on the loopback interface when given a port", func(t *testing.T) {
		t.Parallel()
		port := freePort(t)
		start(t, embedded.PostgresConfig{DataDir: newDataDir(t), Fast: true, Port: port})
		conn, err := pgx.Connect(t.Context(), "postgres://countersign@127.0.0.1:"+strconv.Itoa(port)+"/postgres")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
	})

	t.Run("quotes the server's own words when it does not start", func(t *testing.T) {
		t.Parallel()
		dir := newDataDir(t)
		stop(t, start(t, embedded.PostgresConfig{DataDir: dir, Fast: true}))
		writeFiles(t, dir, map[string]string{"postgresql.conf": "no_such_setting = 1\n"})
		_, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{DataDir: dir, Fast: true})
		if err == nil || !strings.Contains(err.Error(), `unrecognized configuration parameter "no_such_setting"`) {
			t.Errorf("error = %v", err)
		}
	})

	t.Run("gives up with its context and leaves no server", func(t *testing.T) {
		t.Parallel()
		dir := newDataDir(t)
		stop(t, start(t, embedded.PostgresConfig{DataDir: dir, Fast: true}))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := embedded.StartPostgres(ctx, embedded.PostgresConfig{DataDir: dir, Fast: true}); !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v, want context.Canceled", err)
		}
		start(t, embedded.PostgresConfig{DataDir: dir, Fast: true})
	})

	t.Run("refuses a programs folder without programs", func(t *testing.T) {
		t.Parallel()
		_, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{DataDir: newDataDir(t), BinDir: t.TempDir(), Fetch: true})
		if err == nil || !strings.Contains(err.Error(), "COUNTERSIGN_PG_BIN") {
			t.Errorf("error = %v, want it to name COUNTERSIGN_PG_BIN", err)
		}
	})

	t.Run("keeps what people typed out of the server's log", func(t *testing.T) {
		t.Parallel()
		home := openDir(t)
		server := start(t, embedded.PostgresConfig{DataDir: filepath.Join(home, "pg"), Fast: true})
		conn, err := pgx.Connect(t.Context(), server.DSN(embedded.Superuser, embedded.MaintenanceDatabase))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		for _, statement := range []string{
			"CREATE TABLE receipt (reference text UNIQUE)",
			"INSERT INTO receipt VALUES ('TRX-SECRET-77')",
			"INSERT INTO receipt VALUES ('TRX-SECRET-77')",
		} {
			_, err = conn.Exec(t.Context(), statement)
		}
		if err == nil {
			t.Fatal("the second row of one reference was accepted")
		}
		log, err := os.ReadFile(filepath.Join(home, "postgres.log"))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(log), "duplicate key") || strings.Contains(string(log), "TRX-SECRET-77") {
			t.Errorf("the log should have the error without the reference:\n%s", log)
		}
	})
}

func TestPostgresEnd(t *testing.T) {
	t.Parallel()
	requirePostgres(t)

	t.Run("by itself is reported, and the next start has the data", func(t *testing.T) {
		t.Parallel()
		dir := newDataDir(t)
		server := start(t, embedded.PostgresConfig{DataDir: dir})
		if _, err := addRow(t.Context(), server); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(server.PID(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-server.Done()
		if err := server.Err(); err == nil || !strings.Contains(err.Error(), "ended by itself: signal: killed") {
			t.Errorf("Err = %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, "postmaster.pid")); err != nil {
			t.Fatalf("this test wants a pid file left behind: %v", err)
		}
		again := start(t, embedded.PostgresConfig{DataDir: dir})
		if rows, err := addRow(t.Context(), again); err != nil || rows != 2 {
			t.Errorf("rows = %d, %v, want 2", rows, err)
		}
	})

	t.Run("comes at once when the context of Stop is over", func(t *testing.T) {
		t.Parallel()
		dir := newDataDir(t)
		server := start(t, embedded.PostgresConfig{DataDir: dir})
		if _, err := addRow(t.Context(), server); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := server.Stop(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Stop = %v", err)
		}
		if !gone(server.PID()) {
			t.Error("the server is still there")
		}
		again := start(t, embedded.PostgresConfig{DataDir: dir})
		if rows, err := addRow(t.Context(), again); err != nil || rows != 2 {
			t.Errorf("rows = %d, %v, want 2", rows, err)
		}
	})
}

func TestPostgresAndItsParent(t *testing.T) {
	t.Parallel()
	requirePostgres(t)
	program := testProgram(t)

	accounts := map[string]*syscall.Credential{"this account": nil}
	if os.Getuid() == 0 {
		accounts["an ordinary account"] = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	for name, credential := range accounts {
		// The folder belongs to whoever runs the process.
		serve := func(t *testing.T) (dir string, start func() *process) {
			home := openDir(t)
			if credential != nil {
				if err := os.Chown(home, int(credential.Uid), int(credential.Gid)); err != nil {
					t.Fatal(err)
				}
			}
			dir = filepath.Join(home, "data", "pg")
			return dir, func() *process {
				return startProcess(t, program, serveVar+"="+dir, &syscall.SysProcAttr{Setpgid: true, Credential: credential})
			}
		}

		t.Run(name+": kill -9 of the parent leaves no server and loses nothing", func(t *testing.T) {
			t.Parallel()
			_, start := serve(t)
			parent := start()
			first, _ := parent.serving(t)
			parent.kill()
			// At once, while the orphan may still be on its way out.
			_, rows := start().serving(t)
			if rows != 2 {
				t.Errorf("rows = %d, want 2", rows)
			}
			until(t, "the first server is gone", func() bool { return gone(first) })
		})

		t.Run(name+": another process is told who has the directory", func(t *testing.T) {
			t.Parallel()
			_, start := serve(t)
			parent := start()
			parent.serving(t)
			output, err := start().wait()
			if want := "already in use by pid " + strconv.Itoa(parent.cmd.Process.Pid); err == nil || !strings.Contains(output, want) {
				t.Errorf("%v, want %q in:\n%s", err, want, output)
			}
		})

		t.Run(name+": Ctrl-C leaves the order of the end to the parent", func(t *testing.T) {
			t.Parallel()
			_, start := serve(t)
			parent := start()
			server, _ := parent.serving(t)
			if group, err := syscall.Getpgid(server); err != nil || group != server {
				t.Errorf("process group of the server = %d, %v, want its own, %d", group, err, server)
			}
			if err := syscall.Kill(-parent.cmd.Process.Pid, syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			output, err := parent.wait()
			if err != nil || !strings.Contains(output, "answers after the interrupt") {
				t.Errorf("%v:\n%s", err, output)
			}
			if !gone(server) {
				t.Error("the server outlived its parent's Stop")
			}
		})
	}
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func readFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(b)
	}
	return files
}

// freePort gives a port on which nobody listens, below those that the kernel gives to whoever dials: between now and its use
// others dial.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.IntN(20_000)
		if l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}
