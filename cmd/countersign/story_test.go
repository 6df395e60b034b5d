package main_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"countersign/internal/testkit"
)

var (
	storyBlock   = regexp.MustCompile("(?s)## The story in curl\n.*?```sh\n(.*?)```")
	sandboxBlock = regexp.MustCompile("(?s)## Charge a card in the sandbox\n.*?```sh\n(.*?)```")
)

// TestStory does what README.md tells a newcomer to do, letter by letter but for the address, against the program as
// `make run` starts it, and looks at what has come of it.
func TestStory(t *testing.T) {
	t.Parallel()
	requireParts(t)
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			testkit.Lacks(t, tool)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block, cards := storyBlock.FindSubmatch(readme), sandboxBlock.FindSubmatch(readme)
	if block == nil || cards == nil || bytes.Count(block[1], []byte("127.0.0.1:8080")) != 1 {
		t.Fatal("README.md has no story in curl, or one with another address than that of `make run`")
	}
	p := buildProgram(t).start(t, []string{"COUNTERSIGN_DATA_DIR=" + shortDir(t)}, "run")
	address := p.says(`Console\s+http://(\S+)/console/`)
	p.says("Stop with Ctrl-C")
	said := tell(t, strings.Replace(string(block[1])+string(cards[1]), "127.0.0.1:8080", address, 1))

	customer, approver := newCaller(t, "http://"+address).login("customer@acme-cloud.test", demoLogin), newCaller(t, "http://"+address).login("approver@acme-cloud.test", demoLogin)
	found := approver.get("/billing/payments/?search=FT-2026-0001")
	if len(found.list) != 1 {
		t.Fatalf("the story made %d payments: %s\n%s", len(found.list), found.raw, said)
	}
	id := found.list[0].(map[string]any)["id"].(string)
	payment := approver.get("/billing/payments/" + id + "/")
	if payment.text("status") != "succeeded" {
		t.Errorf("the payment is %s", payment.raw)
	}
	if files, _ := payment.data["evidence"].([]any); len(files) != 1 || files[0].(map[string]any)["filename"] != "receipt.png" {
		t.Errorf("the receipt is not with the payment: %v", payment.data["evidence"])
	}
	if approved, settled := instant(t, payment, "approved_at"), instant(t, payment, "processed_at"); settled.Before(approved) {
		t.Errorf("settled %s before the approval", approved.Sub(settled))
	}
	for _, status := range []string{`"status":"pending_approval"`, `"status":"processing"`, `"status":"succeeded"`, `"code":"card_declined"`, `"next_action":{"type":"redirect"`,
		`"received_amount":"25.00"`, `"refundable_amount":"20.00"`, `"amount":"5.00"`} {
		if !strings.Contains(said, status) {
			t.Errorf("the story does not show %s:\n%s", status, said)
		}
	}
	invoice := customer.get("/billing/invoices/" + payment.text("invoice_id") + "/")
	if invoice.text("status") != "paid" || invoice.data["balance_amount_minor"] != 0.0 || invoice.data["paid_amount_minor"] != payment.data["amount_minor"] {
		t.Errorf("the invoice is not paid by this: %s", invoice.raw)
	}
	if granted, promised := customer.grants(invoice.text("id")), credits(invoice); len(granted) != 1 || granted[0] != promised || promised == 0 {
		t.Errorf("credits granted for the invoice: %v, want %v once", granted, promised)
	}
	var sum float64
	entries := approver.get("/billing/ledger/entries/?payment_id=" + id)
	for _, e := range entries.list {
		entry := e.(map[string]any)
		if entry["kind"] == "payment_settled" {
			amount := entry["amount_minor"].(float64)
			if entry["direction"] == "credit" {
				amount = -amount
			}
			sum += amount
		}
	}
	if len(entries.list) < 2 || sum != 0 {
		t.Errorf("the payment's entries add up to %v: %s", sum, entries.raw)
	}
	approver.balanced()
}

// tell runs a script as somebody would who pastes it, in a folder of its own, and gives what it printed.
func tell(t *testing.T, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-u", "-c", script)
	cmd.Dir, cmd.WaitDelay = t.TempDir(), 5*time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the story ends with %v:\n%s", errors.Join(err, ctx.Err()), out)
	}
	return string(out)
}

func instant(t *testing.T, r reply, name string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, r.text(name))
	if err != nil {
		t.Fatalf("%s: %v: %s", name, err, r.raw)
	}
	return at
}

// grants are the amounts of service credits that the customer got for an invoice.
func (c caller) grants(invoice string) []float64 {
	c.t.Helper()
	var found []float64
	for _, row := range c.get("/billing/credits/transactions/?currency=credit").list {
		if one := row.(map[string]any); one["reference_id"] == invoice {
			found = append(found, one["amount_minor"].(float64))
		}
	}
	return found
}

// credits are what the lines of an invoice promise.
func credits(invoice reply) float64 {
	var sum float64
	lines, _ := invoice.data["line_items"].([]any)
	for _, line := range lines {
		sum += line.(map[string]any)["credits"].(float64)
	}
	return sum
}
