package outbox_test

import (
	"net/http"
	"regexp"
	"testing"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/internal/testkit"
)

func TestConsole(t *testing.T) {
	t.Parallel()
	w, neighbour := billingtest.New(t), billingtest.New(t)
	dead := uuid.Must(uuid.NewV7())
	_, err := testkit.OwnerDB(t).ExecContext(t.Context(), `INSERT INTO outbox (tenant_id, id, task, cause, attempts, dead_at, last_error)
		VALUES (?, ?, 'integrity.prove', 'tick:x', 12, now(), 'connection refused')`, w.Tenant.ID, dead)
	if err != nil {
		t.Fatal(err)
	}
	p := w.Submit(w.OpenInvoice("150.00").ID)
	site := w.Console()

	v := w.Browse(site, w.Viewer)
	v.Get("jobs/").Expect(http.StatusOK).Shows("connection refused", "integrity.prove", "daily at").Hides("Run again", "Run now")
	v.Post("jobs/"+dead.String()+"/restart/", nil).Expect(http.StatusForbidden)
	v.Post("jobs/tasks/integrity.prove/run/", nil).Expect(http.StatusForbidden)
	neighbour.Browse(neighbour.Console(), neighbour.Owner).Post("jobs/"+dead.String()+"/restart/", nil).Expect(http.StatusNotFound)

	b := w.Browse(site, w.Owner)
	b.Get("job-runs/?state=dead").Shows("connection refused")
	b.Follow(b.Post("jobs/"+dead.String()+"/restart/", nil)).Shows("The job is tried again").Hides("Run again")
	b.Post("jobs/"+dead.String()+"/restart/", nil).Expect(http.StatusConflict)
	b.Follow(b.Post("jobs/tasks/integrity.prove/run/", nil)).Shows("The task will run as soon as a worker is free.")
	b.Post("jobs/tasks/no.such/run/", nil).Expect(http.StatusNotFound)
	b.Get("job-runs/?state=waiting&task=integrity.prove").Shows("manual:")

	events := b.Get("events/?object_id="+p.ID.String()).Shows("payment.submitted", w.Member.Email)
	event := regexp.MustCompile(`/console/events/[0-9a-f-]{36}/`).FindString(events.Body)
	b.Get(event).Shows("Payload", "amount_minor", "15000").Hides(p.Reference)
	neighbour.Browse(neighbour.Console(), neighbour.Owner).Get(event).Expect(http.StatusNotFound)
}
