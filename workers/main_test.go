package workers_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/embedded"
	"countersign/internal/outbox"
	"countersign/internal/testkit"
	"countersign/tenancy"
	"countersign/workers"
)

// These variables turn the test program into a worker that a test may kill.
const (
	childTask     = "WORKERS_TEST_TASK"
	childDatabase = "WORKERS_TEST_DATABASE"
	childRedis    = "WORKERS_TEST_REDIS"
)

func TestMain(m *testing.M) {
	if os.Getenv(childTask) != "" {
		if err := workUntilKilled(os.Getenv(childTask)); err != nil {
			fmt.Println("error:", err)
		}
		os.Exit(1)
	}
	os.Exit(testkit.Main(m))
}

// workUntilKilled says when it has begun a job or a doorbell's work, and never ends it.
func workUntilKilled(name string) error {
	db, err := database.Open(database.Config{URL: os.Getenv(childDatabase), Role: database.AppRole})
	if err != nil {
		return err
	}
	queue, err := workers.Open(os.Getenv(childRedis))
	if err != nil {
		return err
	}
	app := apps.App{Name: "test"}
	if strings.HasPrefix(name, "bell") {
		hang := func(context.Context) error { fmt.Println("begun"); select {} }
		app.Doorbells = []apps.Doorbell{{Name: name, On: []string{"any"}, Run: hang, Waiting: nobody}}
	} else {
		hang := func(context.Context, apps.Job) error { fmt.Println("begun"); select {} }
		app.Tasks = []apps.Task{{Name: name, Run: hang, Timeout: 300 * time.Millisecond}}
	}
	list := []apps.App{app}
	cfg := quick(db, os.Getenv(childDatabase), queue)
	cfg.Apps, cfg.Outbox = list, outbox.New(list, outbox.NewBell(db))
	return workers.Run(context.Background(), cfg)
}

func nobody(context.Context, bun.Tx) ([]uuid.UUID, error) { return nil, nil }

// quick is a configuration in which everything that takes time takes little.
func quick(db *bun.DB, databaseURL string, queue *workers.Queue) workers.Config {
	return workers.Config{DB: db, DatabaseURL: databaseURL, Queue: queue, Logger: testkit.Logger(), Concurrency: 4,
		Poll: 100 * time.Millisecond, Fetch: 10 * time.Millisecond, Handover: 1500 * time.Millisecond, Grace: 200 * time.Millisecond,
		Backoff: func(int) time.Duration { return 20 * time.Millisecond }, Pause: 100 * time.Millisecond, BellLock: 300 * time.Millisecond,
		Shutdown: 2 * time.Second}
}

// site is an installation with a tenant, a Redis of its own, and work that no other test knows.
type site struct {
	t      *testing.T
	db     *bun.DB
	redis  *proxy
	box    *outbox.Outbox
	apps   []apps.App
	tenant uuid.UUID
	suffix string
}

// newSite names each task and doorbell of app so that workers of other tests leave them alone.
func newSite(t *testing.T, app func(s *site) apps.App) *site {
	t.Helper()
	t.Parallel()
	s := &site{t: t, db: testkit.DB(t), redis: newRedis(t), suffix: "." + uuid.NewString()[:8]}
	s.tenant = s.newTenant()
	bell := outbox.NewBell(s.db)
	s.apps = []apps.App{app(s)}
	s.box = outbox.New(s.apps, bell)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { bell.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	return s
}

func (s *site) newTenant() uuid.UUID {
	s.t.Helper()
	tenant, err := tenancy.New(s.db).Create(s.t.Context(), "test", tenancy.CreateInput{Slug: "w" + uuid.NewString()[:12], Name: "Test", Country: "BD", DefaultCurrency: "BDT"})
	if err != nil {
		s.t.Fatal(err)
	}
	return tenant.ID
}

// start runs a worker until the test ends or the returned function is called, which waits for Run to return.
func (s *site) start(change ...func(*workers.Config)) (stop func()) {
	s.t.Helper()
	queue := s.queue()
	cfg := quick(s.db, testkit.OwnerURL(), queue)
	cfg.Apps, cfg.Outbox = s.apps, s.box
	for _, c := range change {
		c(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- workers.Run(ctx, cfg) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(stop)
	return stop
}

func (s *site) queue() *workers.Queue {
	s.t.Helper()
	queue, err := workers.Open("redis://" + s.redis.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { queue.Close() })
	return queue
}

func (s *site) staff(ctx context.Context) context.Context {
	return tenancy.Enter(ctx, auth.Principal{Kind: auth.KindUser, UserID: uuid.New(), TenantID: s.tenant, Permissions: auth.PermissionsOf("owner"), Label: "owner@x.test"})
}

// tell commits n events.
func (s *site) tell(event string, n int) {
	s.t.Helper()
	s.tellIn(s.tenant, event, n)
}

func (s *site) tellIn(tenant uuid.UUID, event string, n int) {
	s.t.Helper()
	err := tenancy.InTx(tenancy.AsSystem(s.t.Context(), tenant, "test"), s.db, func(ctx context.Context, _ bun.Tx) error {
		for range n {
			if err := s.box.Emit(ctx, outbox.Event{Type: event, ObjectType: "test", ObjectID: uuid.New(), Payload: map[string]any{}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// effect commits something that can be counted, together with the job's mark.
func (s *site) effect(ctx context.Context, job apps.Job) error {
	return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		if err := audit.Write(ctx, audit.Record{Action: job.Task, ObjectType: "job", ObjectID: job.ID}); err != nil {
			return err
		}
		return job.Done(ctx, tx)
	})
}

// effects counts what effect has committed: all, and for how many different jobs.
func (s *site) effects(task string) (all, jobs int) {
	s.t.Helper()
	err := testkit.OwnerDB(s.t).NewRaw("SELECT count(*), count(DISTINCT object_id) FROM audit_log WHERE tenant_id = ? AND action = ?", s.tenant, task).
		Scan(s.t.Context(), &all, &jobs)
	if err != nil {
		s.t.Fatal(err)
	}
	return all, jobs
}

// row is what the outbox says of the only row of a task.
type row struct {
	Cause     string
	Attempts  int
	Done      bool
	Dead      bool
	LastError string
}

func (s *site) rows(task string) []row {
	s.t.Helper()
	return s.rowsIn(s.tenant, task)
}

func (s *site) rowsIn(tenant uuid.UUID, task string) []row {
	s.t.Helper()
	rows := []row{}
	err := testkit.OwnerDB(s.t).NewRaw(`SELECT cause, attempts, done_at IS NOT NULL AS done, dead_at IS NOT NULL AS dead, last_error
		FROM outbox WHERE tenant_id = ? AND task = ? ORDER BY created_at, id`, tenant, task).Scan(s.t.Context(), &rows)
	if err != nil {
		s.t.Fatal(err)
	}
	return rows
}

// eventuallyDone waits until n jobs of a task are done. It is more patient than testkit.Eventually: hundreds of jobs
// through a Redis in this process take their time on a busy machine.
func (s *site) eventuallyDone(task string, n int) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		rows := s.rows(task)
		done := 0
		for _, r := range rows {
			if r.Done {
				done++
			}
		}
		if done == n {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d of %d jobs of %s are done after a minute: %+v", done, n, task, rows)
		}
	}
}

// kill9 starts a worker process, waits until it has begun the work named by name, and kills it. begin makes the work.
func (s *site) kill9(name string, begin func()) {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childTask+"="+name, childDatabase+"="+testkit.OwnerURL(), childRedis+"=redis://"+s.redis.addr)
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	begin()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "begun\n" {
		s.t.Fatalf("the worker process said %q, %v", line, err)
	}
}

// ringUntilHeard announces work until a worker hears it, which cannot happen before it listens.
func (s *site) ringUntilHeard() {
	s.t.Helper()
	client := redis.NewClient(&redis.Options{Addr: s.redis.upstream})
	defer client.Close()
	testkit.Eventually(s.t, "a worker has heard the bell", func() bool {
		if _, err := s.db.ExecContext(s.t.Context(), "SELECT pg_notify(?, ?)", outbox.Channel, outbox.Announcement{Tenant: s.tenant, What: s.bell()}.String()); err != nil {
			s.t.Fatal(err)
		}
		keys, err := client.Keys(s.t.Context(), "countersign:doorbell:*"+s.tenant.String()+"*").Result()
		return err == nil && len(keys) > 0
	})
}

// proxy stands before a Redis, so that a test can cut the line and mend it again.
type proxy struct {
	t        *testing.T
	addr     string
	upstream string
	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
}

func newRedis(t *testing.T) *proxy {
	t.Helper()
	var server *embedded.Redis
	var err error
	if binary, ok := embedded.FindRedisServer(); ok && os.Getenv("COUNTERSIGN_TEST_REDIS") == "real" {
		server, err = embedded.StartRealRedis(t.Context(), binary)
	} else {
		server, err = embedded.StartRedis()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	p := &proxy{t: t, addr: "127.0.0.1:0", upstream: server.Addr(), conns: map[net.Conn]bool{}}
	p.up()
	t.Cleanup(p.down)
	return p
}

func (p *proxy) up() {
	p.t.Helper()
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.listener, p.addr = l, l.Addr().String()
	p.mu.Unlock()
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go p.carry(in)
		}
	}()
}

func (p *proxy) carry(in net.Conn) {
	out, err := net.Dial("tcp", p.upstream)
	if err != nil {
		in.Close()
		return
	}
	p.mu.Lock()
	p.conns[in], p.conns[out] = true, true
	p.mu.Unlock()
	go func() { io.Copy(io.MultiWriter(testkit.Hear("the queue"), out), in); out.Close(); in.Close() }()
	io.Copy(in, out)
	in.Close()
	out.Close()
	p.mu.Lock()
	delete(p.conns, in)
	delete(p.conns, out)
	p.mu.Unlock()
}

func (p *proxy) down() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for c := range p.conns {
		c.Close()
	}
}

// flush empties Redis.
func (p *proxy) flush() {
	p.t.Helper()
	client := redis.NewClient(&redis.Options{Addr: p.upstream})
	defer client.Close()
	if err := client.FlushAll(p.t.Context()).Err(); err != nil {
		p.t.Fatal(err)
	}
}
