package outbox_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/auth"
	"countersign/internal/outbox"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// office is a tenant with its outbox, and a way in over HTTP as whoever the test chooses.
type office struct {
	t      *testing.T
	db     *bun.DB
	box    *outbox.Outbox
	tenant uuid.UUID
	who    auth.Principal
	client *testkit.Client
}

func newOffice(t *testing.T) *office {
	t.Helper()
	t.Parallel()
	db := testkit.DB(t)
	tenant, err := tenancy.New(db).Create(t.Context(), "test", tenancy.CreateInput{Slug: "o" + uuid.NewString()[:12], Name: "Test", Country: "BD", DefaultCurrency: "BDT"})
	if err != nil {
		t.Fatal(err)
	}
	run := func(context.Context, apps.Job) error { return nil }
	box := outbox.New([]apps.App{{Tasks: []apps.Task{
		{Name: "mail.send", On: []string{"payment.submitted"}, Run: run},
		{Name: "books.check", DailyAt: "02:30", Run: run},
		{Name: "books.report", After: "books.check", Run: run},
	}}}, outbox.NewBell(db))
	o := &office{t: t, db: db, box: box, tenant: tenant.ID}
	o.who = auth.Principal{Kind: auth.KindUser, UserID: uuid.New(), TenantID: tenant.ID, Permissions: auth.PermissionsOf(auth.RoleOwner), Label: "owner@x.test"}
	router := web.NewRouter()
	router.Use(web.RequestID(nil), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(tenancy.Enter(r.Context(), o.who)))
		})
	})
	web.Mount(router, box.App(db).URLs)
	o.client = testkit.NewClient(t, router)
	return o
}

func (o *office) emit(types ...string) {
	o.t.Helper()
	o.tx(func(ctx context.Context, _ bun.Tx) error {
		for _, name := range types {
			object, _, _ := strings.Cut(name, ".")
			if err := o.box.Emit(ctx, outbox.Event{Type: name, ObjectType: object, ObjectID: uuid.New(), Payload: map[string]any{"state": "new"}}); err != nil {
				return err
			}
		}
		return nil
	})
}

func (o *office) tx(fn func(ctx context.Context, tx bun.Tx) error) {
	o.t.Helper()
	if err := tenancy.InTx(tenancy.AsSystem(o.t.Context(), o.tenant, "test"), o.db, fn); err != nil {
		o.t.Fatal(err)
	}
}

// begin claims and starts the only waiting row of a task.
func (o *office) begin(task string) (run outbox.Run) {
	o.t.Helper()
	o.tx(func(ctx context.Context, tx bun.Tx) error {
		list, err := outbox.Claim(ctx, tx, []string{task}, time.Minute, 10)
		if err != nil || len(list) != 1 {
			o.t.Fatalf("claimed %d rows of %s, %v", len(list), task, err)
		}
		run, err = outbox.Start(ctx, tx, list[0], time.Minute)
		return err
	})
	return run
}

func (o *office) die(task string) {
	o.t.Helper()
	run := o.begin(task)
	o.tx(func(ctx context.Context, tx bun.Tx) error { return outbox.Bury(ctx, tx, run, "it cannot be") })
}

func TestClaim(t *testing.T) {
	t.Parallel()

	t.Run("a claimed row is not claimed again before its time", func(t *testing.T) {
		o := newOffice(t)
		o.emit("payment.submitted")
		o.tx(func(ctx context.Context, tx bun.Tx) error {
			for i, want := range []int{1, 0} {
				list, err := outbox.Claim(ctx, tx, []string{"mail.send"}, time.Minute, 10)
				if err != nil || len(list) != want {
					t.Errorf("claim %d: %d rows, %v, want %d", i, len(list), err, want)
				}
			}
			return nil
		})
	})

	t.Run("a task that nobody here knows is left alone", func(t *testing.T) {
		o := newOffice(t)
		o.emit("payment.submitted")
		o.tx(func(ctx context.Context, tx bun.Tx) error {
			list, err := outbox.Claim(ctx, tx, []string{"other.task"}, time.Minute, 10)
			if err != nil || len(list) != 0 {
				t.Errorf("%d rows, %v, want none", len(list), err)
			}
			return nil
		})
	})

	t.Run("rows that were put back are due after a while", func(t *testing.T) {
		o := newOffice(t)
		o.emit("payment.submitted")
		var list []outbox.Handover
		claim := func(ctx context.Context, tx bun.Tx) (err error) {
			list, err = outbox.Claim(ctx, tx, []string{"mail.send"}, time.Hour, 10)
			return err
		}
		o.tx(claim)
		o.tx(func(ctx context.Context, tx bun.Tx) error { return outbox.PutBack(ctx, tx, []uuid.UUID{list[0].ID}, 0) })
		o.tx(claim)
		if len(list) != 1 {
			t.Errorf("%d rows, want 1", len(list))
		}
	})

	t.Run("one handover is started once", func(t *testing.T) {
		o := newOffice(t)
		o.emit("payment.submitted")
		run := o.begin("mail.send")
		o.tx(func(ctx context.Context, tx bun.Tx) error {
			_, err := outbox.Start(ctx, tx, outbox.Handover{ID: run.ID, Task: run.Task, Attempts: 0}, time.Minute)
			if !errors.Is(err, outbox.ErrOvertaken) {
				t.Errorf("the second start: %v", err)
			}
			return nil
		})
	})

	t.Run("a run that was overtaken ends nothing", func(t *testing.T) {
		o := newOffice(t)
		o.emit("payment.submitted")
		first := o.begin("mail.send")
		o.tx(func(ctx context.Context, tx bun.Tx) error { return outbox.Fail(ctx, tx, first, "once", 0) })
		second := o.begin("mail.send")
		o.tx(func(ctx context.Context, tx bun.Tx) error {
			for name, end := range map[string]error{"finish": outbox.Finish(ctx, tx, first), "fail": outbox.Fail(ctx, tx, first, "x", 0),
				"bury": outbox.Bury(ctx, tx, first, "x"), "release": outbox.Release(ctx, tx, first)} {
				if !errors.Is(end, outbox.ErrOvertaken) {
					t.Errorf("%s: %v", name, end)
				}
			}
			return outbox.Finish(ctx, tx, second)
		})
	})

	for name, reason := range map[string]string{
		"whole":                               strings.Repeat("x", 490) + " declined: 4242 4242 4242 4242 12/28",
		"where it cuts a longer number":       strings.Repeat("x", 473) + " declined: 4242424242424242999999",
		"without the bytes that are left out": "declined: " + strings.ReplaceAll("4242 4242 4242 4242", " ", strings.Repeat("\x00", 4)),
	} {
		t.Run("an error keeps no card number "+name+" (S1-14)", func(t *testing.T) {
			o := newOffice(t)
			o.emit("payment.submitted")
			run := o.begin("mail.send")
			o.tx(func(ctx context.Context, tx bun.Tx) error { return outbox.Bury(ctx, tx, run, reason) })
			var kept string
			if err := testkit.OwnerDB(t).NewRaw("SELECT last_error FROM outbox WHERE tenant_id = ? AND id = ?", o.tenant, run.ID).Scan(t.Context(), &kept); err != nil {
				t.Fatal(err)
			}
			if want, _, _ := strings.Cut(reason, " 42"); kept[:min(len(kept), len(want))] != want || strings.Contains(kept, "42") {
				t.Errorf("it keeps %q", kept)
			}
		})
	}

	t.Run("the observer finds the tenants that wait, and only those", func(t *testing.T) {
		o := newOffice(t)
		idle, err := tenancy.New(o.db).Create(t.Context(), "test", tenancy.CreateInput{Slug: "i" + uuid.NewString()[:12], Name: "Idle", Country: "BD", DefaultCurrency: "BDT"})
		if err != nil {
			t.Fatal(err)
		}
		waiting := func() (here, there bool) {
			err := tenancy.Observe(t.Context(), o.db, func(ctx context.Context, tx bun.Tx) error {
				tenants, err := outbox.Waiting(ctx, tx, []string{"books.check"})
				for _, id := range tenants {
					here, there = here || id == o.tenant, there || id == idle.ID
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return here, there
		}
		o.tx(func(ctx context.Context, _ bun.Tx) error {
			o.box.Schedule(ctx, o.tenant, "books.check", "tick:1")
			o.box.Schedule(ctx, o.tenant, "books.check", "tick:1") // is there already
			return nil
		})
		if here, there := waiting(); !here || there {
			t.Errorf("waiting: %v, idle: %v", here, there)
		}
		o.begin("books.check")
		if here, _ := waiting(); here {
			t.Error("a running job waits")
		}
	})
}

func TestJobs(t *testing.T) {
	t.Parallel()

	t.Run("the list shows each state and filters by it", func(t *testing.T) {
		o := newOffice(t)
		states := []string{"done", "dead", "running", "waiting"}
		for _, state := range states {
			o.emit("payment.submitted")
			switch state {
			case "done":
				run := o.begin("mail.send")
				o.tx(func(ctx context.Context, tx bun.Tx) error { return outbox.Finish(ctx, tx, run) })
			case "dead":
				o.die("mail.send")
			case "running":
				o.begin("mail.send")
			}
		}
		all := o.client.Get("/billing/jobs/").Expect(http.StatusOK)
		for i, state := range states { // the newest first
			if got := all.Text("results." + string(rune('3'-i)) + ".state"); got != state {
				t.Errorf("job %d is %s, want %s", i, got, state)
			}
			one := o.client.Get("/billing/jobs/?task=mail.send&state=" + state).Expect(http.StatusOK)
			if one.Int("count") != 1 || one.Text("results.0.state") != state {
				t.Errorf("state=%s: %s", state, one.Raw)
			}
		}
		dead := o.client.Get("/billing/jobs/?state=dead")
		if dead.Text("results.0.last_error") != "it cannot be" || dead.At("results.0.next_at") != nil || dead.Int("results.0.attempts") != 1 {
			t.Errorf("dead job: %s", dead.Raw)
		}
		o.client.Get("/billing/jobs/?state=lost").Refused(http.StatusBadRequest, "validation_failed")
		if n := o.client.Get("/billing/jobs/?task=none").Int("count"); n != 0 {
			t.Errorf("%d jobs of no task", n)
		}
	})

	t.Run("a dead job is restarted once, audited and told", func(t *testing.T) {
		o := newOffice(t)
		o.emit("payment.submitted")
		o.die("mail.send")
		path := "/billing/jobs/" + o.client.Get("/billing/jobs/").Text("results.0.id") + "/restart/"
		got := o.client.Post(path, "").Expect(http.StatusOK)
		if got.Text("data.state") != "waiting" || got.Int("data.attempts") != 0 || got.At("data.dead_at") != nil {
			t.Errorf("restarted: %s", got.Raw)
		}
		o.client.Post(path, "").Refused(http.StatusConflict, "job_not_dead")
		o.begin("mail.send")
		if n := o.client.Get("/billing/events/?type=job.restarted").Int("count"); n != 1 {
			t.Errorf("%d events, want 1", n)
		}
		var actor string
		err := testkit.OwnerDB(t).NewRaw("SELECT actor_label FROM audit_log WHERE tenant_id = ? AND action = 'job.restart'", o.tenant).Scan(t.Context(), &actor)
		if err != nil || actor != "owner@x.test" {
			t.Errorf("audited for %q, %v", actor, err)
		}
	})

	t.Run("an unknown job, a malformed id and a neighbour's job are all not found", func(t *testing.T) {
		o := newOffice(t)
		var neighbour uuid.UUID
		tenant, err := tenancy.New(o.db).Create(t.Context(), "test", tenancy.CreateInput{Slug: "n" + uuid.NewString()[:12], Name: "N", Country: "BD", DefaultCurrency: "BDT"})
		if err != nil {
			t.Fatal(err)
		}
		err = testkit.OwnerDB(t).NewRaw("INSERT INTO outbox (tenant_id, id, task, cause, dead_at) VALUES (?, gen_random_uuid(), 'mail.send', 'x', now()) RETURNING id", tenant.ID).
			Scan(t.Context(), &neighbour)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range []string{uuid.NewString(), "x", neighbour.String()} {
			o.client.Post("/billing/jobs/"+id+"/restart/", "").Refused(http.StatusNotFound, "not_found")
		}
	})

	t.Run("a periodic task is run by hand, one that needs an event is not", func(t *testing.T) {
		o := newOffice(t)
		for range 2 {
			got := o.client.Post("/billing/jobs/tasks/books.check/run/", "").Expect(http.StatusAccepted)
			job := o.client.Get("/billing/jobs/?task=books.check")
			if job.Text("results.0.id") != got.Text("data.id") || !strings.HasPrefix(job.Text("results.0.cause"), "manual:") {
				t.Errorf("job: %s", job.Raw)
			}
		}
		if n := o.client.Get("/billing/jobs/?task=books.check").Int("count"); n != 2 {
			t.Errorf("%d jobs, want 2", n)
		}
		o.client.Post("/billing/jobs/tasks/mail.send/run/", "").Refused(http.StatusConflict, "task_needs_event")
		o.client.Post("/billing/jobs/tasks/none/run/", "").Refused(http.StatusNotFound, "not_found")
	})

	t.Run("the declared tasks say when they run and how they are doing", func(t *testing.T) {
		o := newOffice(t)
		o.emit("payment.submitted")
		o.die("mail.send")
		o.client.Post("/billing/jobs/tasks/books.check/run/", "")
		run := o.begin("books.check")
		o.tx(func(ctx context.Context, tx bun.Tx) error { return outbox.Finish(ctx, tx, run) })
		got := o.client.Get("/billing/jobs/tasks/").Expect(http.StatusOK)
		if got.Int("data.count") != 3 || got.Text("data.tasks.0.name") != "mail.send" || got.Int("data.tasks.0.dead_count") != 1 ||
			got.At("data.tasks.0.last_success_at") != nil || got.Text("data.tasks.0.on.0") != "payment.submitted" {
			t.Errorf("mail.send: %s", got.Raw)
		}
		if got.Text("data.tasks.1.daily_at") != "02:30" || got.Text("data.tasks.1.last_success_at") == "" || got.Text("data.tasks.2.after") != "books.check" {
			t.Errorf("books: %s", got.Raw)
		}
	})

	t.Run("members see nothing of it, viewers change nothing", func(t *testing.T) {
		o := newOffice(t)
		o.who.Permissions = auth.PermissionsOf(auth.RoleViewer)
		o.client.Get("/billing/jobs/").Expect(http.StatusOK)
		o.client.Post("/billing/jobs/tasks/books.check/run/", "").Refused(http.StatusForbidden, "permission_denied")
		o.client.Post("/billing/jobs/"+uuid.NewString()+"/restart/", "").Refused(http.StatusForbidden, "permission_denied")
		o.who.AccountID = uuid.New()
		for _, path := range []string{"/billing/jobs/", "/billing/jobs/tasks/", "/billing/events/"} {
			o.client.Get(path).Refused(http.StatusForbidden, "staff_only")
		}
	})
}

func TestEvents(t *testing.T) {
	t.Parallel()

	t.Run("are listed with payload and actor, the newest first", func(t *testing.T) {
		o := newOffice(t)
		o.emit("payment.submitted", "payment.approved")
		got := o.client.Get("/billing/events/?cursor=").Expect(http.StatusOK)
		if got.Text("results.0.type") != "payment.approved" || got.Text("results.1.type") != "payment.submitted" ||
			got.Text("results.0.payload.state") != "new" || got.Text("results.0.actor") != "test" || got.At("results.0.account_id") != nil {
			t.Errorf("events: %s", got.Raw)
		}
		id := got.Text("results.1.object_id")
		if n := o.client.Get("/billing/events/?object_type=payment&object_id=" + id).Int("count"); n != 1 {
			t.Errorf("%d events of the object, want 1", n)
		}
		if n := o.client.Get("/billing/events/?created_before=2020-01-01").Int("count"); n != 0 {
			t.Errorf("%d events before there were any", n)
		}
	})

	t.Run("are found by the first seed's words", func(t *testing.T) {
		o := newOffice(t)
		o.emit("payment.created", "payment.approved", "payment.updated", "invoice.paid")
		for word, want := range map[string][]string{
			"TransactionCreatedEvent": {"payment.created"},
			"TransactionUpdatedEvent": {"payment.updated"},
			"invoice.paid":            {"invoice.paid"},
			"transactioncreatedevent": {},
		} {
			got := []string{}
			for _, e := range o.client.Get("/billing/events/?type=" + word).Expect(http.StatusOK).List("results") {
				got = append(got, e.(map[string]any)["type"].(string))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("type=%s: %s", word, diff)
			}
		}
	})
}

func TestAnnouncement(t *testing.T) {
	t.Parallel()
	tenant := uuid.New()
	for text, want := range map[string]outbox.Announcement{
		outbox.Announcement{Tenant: tenant, What: outbox.Rows}.String():       {Tenant: tenant, What: outbox.Rows},
		outbox.Announcement{Tenant: tenant, What: "payments.settle"}.String(): {Tenant: tenant, What: "payments.settle"},
		tenant.String(): {Tenant: tenant}, // as it was once
	} {
		if got, err := outbox.ParseAnnouncement(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "rows", "nobody rows"} {
		if got, err := outbox.ParseAnnouncement(text); err == nil {
			t.Errorf("%q: got %v", text, got)
		}
	}
}
