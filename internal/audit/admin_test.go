package audit_test

import (
	"net/http"
	"net/url"
	"regexp"
	"testing"

	"countersign/billing/billingtest"
)

func TestConsole(t *testing.T) {
	t.Parallel()
	w, neighbour := billingtest.New(t), billingtest.New(t)
	p := w.Submit(w.OpenInvoice("150.00").ID)
	w.Reject(p.ID, w.Approver, "not on the statement")
	site := w.Console()
	b := w.Browse(site, w.Owner)
	b.Get("audit/").Expect(http.StatusOK).Shows("payment.reject", "approver@people.test", "not on the statement", "/console/payments/"+p.ID.String()+"/")
	narrowed := b.Get("audit/?object_id=" + p.ID.String() + "&action=payment.reject&actor=" + url.QueryEscape(w.Approver.Email)).Shows("payment.reject").Hides("invoice.create")
	entry := regexp.MustCompile(`/console/audit/[0-9a-f-]{36}/`).FindString(narrowed.Body)
	b.Get(entry).Expect(http.StatusOK).Shows("What changed", "pending_approval", "failed", "not on the statement")

	w.Browse(site, w.Finance).Get("audit/").Expect(http.StatusForbidden)
	n := neighbour.Browse(neighbour.Console(), neighbour.Owner)
	n.Get(entry).Expect(http.StatusNotFound)
	n.Get("audit/?object_id=" + p.ID.String()).Hides("payment.reject")
}
