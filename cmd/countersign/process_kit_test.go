package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"countersign/internal/embedded"
	"countersign/internal/testkit"
)

// program is the binary that the tests run.
type program string

// buildProgram builds the binary as `make build` does.
func buildProgram(t *testing.T) program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "countersign")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program(path)
}

// requireParts skips the test where the machine has no PostgreSQL; in CI that is a failure.
func requireParts(t *testing.T) {
	t.Helper()
	if _, _, err := embedded.FindPostgres(t.Context(), os.Getenv("COUNTERSIGN_PG_BIN"), embedded.DefaultFetchDir()); err != nil {
		testkit.Lacks(t, "PostgreSQL: "+err.Error())
	}
}

// process is one running `countersign`. What it says is kept, stdout and stderr together.
type process struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	mu    sync.Mutex
	said  bytes.Buffer
	heard io.Writer
	ended chan struct{}
}

// Write takes output.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard.Write(b)
	return p.said.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// start runs a command with nothing of the test's own settings but env. It is killed at the end of the test.
func (b program) start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: strings.Join(args, " "), cmd: exec.Command(string(b), args...), heard: testkit.Hear("what countersign " + args[0] + " says"), ended: make(chan struct{})}
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); name == "COUNTERSIGN_PG_BIN" || !strings.HasPrefix(name, "COUNTERSIGN_") && name != "DATABASE_URL" && name != "REDIS_URL" {
			p.cmd.Env = append(p.cmd.Env, v)
		}
	}
	p.cmd.Env = append(append(p.cmd.Env, "COUNTERSIGN_ADDR=127.0.0.1:0"), env...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.WaitDelay = p, p, 5*time.Second
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			said := p.output()
			t.Logf("%s said at last:\n%s", p.name, said[max(0, len(said)-4000):])
		}
	})
	return p
}

// run runs a command to its end and gives what it said and its exit code.
func (b program) run(t *testing.T, env []string, args ...string) (string, int) {
	t.Helper()
	p := b.start(t, env, args...)
	code := p.wait()
	return p.output(), code
}

// expect runs a command and wants an exit code and a text in what it says.
func (b program) expect(t *testing.T, env []string, code int, pattern string, args ...string) string {
	t.Helper()
	said, got := b.run(t, env, args...)
	if got != code || !regexp.MustCompile(pattern).MatchString(said) {
		t.Errorf("countersign %s: exit %d, want %d and something like %q:\n%s", strings.Join(args, " "), got, code, pattern, said)
	}
	return said
}

// wait gives the exit code; -1 when a signal ended the process.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("%s does not end:\n%s", p.name, p.output())
		return 0
	}
}

func (p *process) interrupt() { p.cmd.Process.Signal(os.Interrupt) }

func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
}

// says waits until the process has said something and gives what the pattern's group matched.
func (p *process) says(pattern string) string {
	p.t.Helper()
	compiled := regexp.MustCompile(pattern)
	var found []string
	until(p.t, p.name+" says "+pattern, func() bool {
		found = compiled.FindStringSubmatch(p.output())
		select {
		case <-p.ended:
			if found == nil {
				p.t.Fatalf("%s ended without saying %q:\n%s", p.name, pattern, p.output())
			}
		default:
		}
		return found != nil
	})
	return found[len(found)-1]
}

// patience is how long anything that another process does may take on a busy machine.
const patience = 90 * time.Second

// until polls, as another process takes the time it takes.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen within %s: %s", patience, what)
		}
	}
}

// caller talks to the HTTP interface as somebody.
type caller struct {
	t     *testing.T
	base  func() string // asked for each request, as servers come and go
	token string
}

func newCaller(t *testing.T, base string) caller {
	return caller{t: t, base: func() string { return base }}
}

// browser does not keep connections: the servers behind them get killed.
var browser = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// reply is an answer. data is what its envelope holds.
type reply struct {
	status int
	header http.Header
	raw    string
	data   map[string]any
	list   []any
	code   string
}

func (r reply) text(name string) string { s, _ := r.data[name].(string); return s }

// try sends one request; the error is one of the network.
func (c caller) try(method, path string, header map[string]string, contentType string, body io.Reader) (reply, error) {
	c.t.Helper()
	if strings.HasPrefix(path, "/auth/") || strings.HasPrefix(path, "/billing/") || strings.HasPrefix(path, "/users/") || strings.HasPrefix(path, "/tenant/") {
		path = "/api/v1" + path
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base()+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := browser.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{}, err
	}
	testkit.Harvest(req, nil, res.StatusCode, raw) // but for the body: the demo's password is no secret
	r := reply{status: res.StatusCode, header: res.Header, raw: string(raw)}
	var envelope struct {
		Data    json.RawMessage
		Results []any
		Code    string
	}
	if json.Unmarshal(raw, &envelope) == nil {
		json.Unmarshal(envelope.Data, &r.data)
		r.list, r.code = envelope.Results, envelope.Code
	}
	return r, nil
}

// do sends a request with a JSON body, or none, and wants a status.
func (c caller) do(want int, method, path string, body any) reply {
	c.t.Helper()
	var content io.Reader
	contentType := ""
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		content, contentType = bytes.NewReader(raw), "application/json"
	}
	r, err := c.try(method, path, nil, contentType, content)
	if err != nil {
		c.t.Fatal(err)
	}
	if r.status != want {
		c.t.Fatalf("%s %s: %d, want %d: %s", method, path, r.status, want, r.raw)
	}
	return r
}

func (c caller) get(path string) reply { c.t.Helper(); return c.do(http.StatusOK, "GET", path, nil) }

// login gives the same caller as somebody.
func (c caller) login(email, password string) caller {
	c.t.Helper()
	r := c.do(http.StatusOK, "POST", "/auth/token/", map[string]string{"email": email, "password": password})
	c.token = r.text("access_token")
	if c.token == "" {
		c.t.Fatalf("no token in %s", r.raw)
	}
	return c
}

// claim submits a bank transfer for an invoice with a receipt, as a form.
func (c caller) claim(invoice, reference, notes string) reply {
	c.t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	for name, value := range map[string]string{"invoice_id": invoice, "payment_method": "bank_transfer", "transaction_reference": reference,
		"notes": notes} {
		w.WriteField(name, value)
	}
	file, err := w.CreateFormFile("evidence", "receipt.png")
	if err != nil {
		c.t.Fatal(err)
	}
	picture := image.NewRGBA(image.Rect(0, 0, 64, 64))
	for i, b := range []byte(reference) {
		picture.Set(i%64, i/64, color.RGBA{b, 255 - b, b, 255})
	}
	if err := errors.Join(png.Encode(file, picture), w.Close()); err != nil {
		c.t.Fatal(err)
	}
	r, err := c.try("POST", "/billing/payments/manual/", nil, w.FormDataContentType(), &form)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// approve approves what it sees.
func (c caller) approve(payment string) {
	c.t.Helper()
	seen := c.get("/billing/payments/" + payment + "/")
	if got := c.do(http.StatusOK, "POST", "/billing/payments/"+payment+"/approve/", map[string]string{"digest": seen.text("digest")}).text("status"); got != "processing" && got != "succeeded" {
		c.t.Fatalf("approved, and its status is %q", got)
	}
}

func (c caller) status(payment string) string {
	c.t.Helper()
	return c.get("/billing/payments/" + payment + "/").text("status")
}

// balanced wants a trial balance that adds up to zero in each currency, and at least one of them.
func (c caller) balanced() {
	c.t.Helper()
	trial := c.get("/billing/ledger/trial-balance/")
	totals, _ := trial.data["totals"].([]any)
	if trial.data["balanced"] != true || len(totals) == 0 {
		c.t.Errorf("the books do not balance: %s", trial.raw)
	}
	for _, total := range totals {
		if sum := total.(map[string]any)["sum_minor"]; sum != float64(0) {
			c.t.Errorf("the books do not balance: %v", total)
		}
	}
}

// silent wants none of the secrets in what a process said.
func silent(t *testing.T, said string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if secret == "" {
			t.Error("there is nothing to look for")
		} else if i := strings.Index(said, secret); i >= 0 {
			t.Errorf("a secret is in the log: …%s…", said[max(0, i-120):min(len(said), i+len(secret)+40)])
		}
	}
}

// shortDir is a temporary folder with a name short enough for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "csp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // PostgreSQL may run as another account
		t.Fatal(err)
	}
	return dir
}

// refuses says that nobody listens at a URL's address any more.
func refuses(base string) bool {
	conn, err := net.DialTimeout("tcp", strings.TrimPrefix(base, "http://"), time.Second)
	if err == nil {
		conn.Close()
	}
	return err != nil
}

// postgresIn starts a PostgreSQL for a test in dir; the caller may stop it and start it there again.
func postgresIn(t *testing.T, dir string) *embedded.Postgres {
	t.Helper()
	pg, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{DataDir: filepath.Join(dir, "pg"), BinDir: os.Getenv("COUNTERSIGN_PG_BIN"), Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, pg) })
	return pg
}

func stop(t *testing.T, pg *embedded.Postgres) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := pg.Stop(ctx); err != nil {
		t.Error(fmt.Errorf("stop PostgreSQL: %w", err))
	}
}
