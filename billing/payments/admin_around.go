package payments

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/decisions"
	"countersign/billing/money"
	"countersign/internal/admin"
	"countersign/internal/audit"
	"countersign/internal/outbox"
	"countersign/tenancy"
)

// around is what stands around a claim on its page.
type around struct {
	tenant  *tenancy.Tenant
	people  map[uuid.UUID]*accounts.Person
	retryOf *Payment
	tallies []Tally
	latest  []*Payment
	numbers map[uuid.UUID]string // of the invoices of latest
	events  []outbox.Told
	reasons map[string]string // that people gave, by request
}

// around reads what stands around a claim on its page: who, when, and how the account has paid so far.
func (c *console) around(ctx context.Context, tx bun.Tx, f *claimed) (a around, err error) {
	p := f.Payment
	if a.tenant, err = tenancy.Current(ctx, tx); err != nil {
		return a, err
	}
	a.people = f.people
	if p.RetryOf != uuid.Nil {
		if a.retryOf, err = Get(ctx, tx, p.RetryOf.String()); err != nil {
			return a, err
		}
	}
	if a.tallies, err = Tallies(ctx, tx, p.AccountID); err != nil {
		return a, err
	}
	if a.latest, err = Latest(ctx, tx, p.AccountID, 6); err != nil {
		return a, err
	}
	if a.numbers, err = invoiceNumbers(ctx, tx, a.latest); err != nil {
		return a, err
	}
	if a.events, err = outbox.EventsOf(ctx, tx, p.ID); err != nil {
		return a, err
	}
	a.reasons, err = audit.Reasons(ctx, tx, p.ID)
	return a, err
}

// name is how a person is called; his label when he is nobody of the tenant's any more.
func (a around) name(id uuid.UUID, label string) string {
	if p := a.people[id]; p != nil {
		return p.Name
	}
	return label
}

func (a around) verdicts(f *Facts) []verdictLine {
	var list []verdictLine
	for _, d := range f.Decisions {
		line := verdictLine{Verdict: "approved", Who: a.name(d.UserID, d.UserLabel), Note: d.Note, At: d.CreatedAt}
		if d.Verdict == decisions.Reject {
			line.Verdict = "rejected"
		}
		if d.ReceivedMinor != nil && *d.ReceivedMinor != f.Payment.AmountMinor {
			line.Received = amountPointer(d.ReceivedMinor, f.Payment.Currency)
		}
		list = append(list, line)
	}
	if len(list) > 0 && f.Payment.Status == StatusPendingApproval {
		list = append(list, verdictLine{Verdict: "open"})
	}
	return list
}

func (a around) history(p *Payment) accountHistory {
	var h accountHistory
	paid := map[money.Currency]money.Money{}
	for _, t := range a.tallies {
		h.Claims += t.Count
		switch t.Status {
		case StatusFailed:
			h.Rejected += t.Count
		case StatusSucceeded, StatusPartiallyRefunded, StatusRefunded:
			h.Succeeded += t.Count
			sum, err := money.New(t.Minor, t.Currency).Add(money.New(paid[t.Currency].Minor, t.Currency))
			if err != nil {
				continue // more than fits is not worth a page that fails
			}
			paid[t.Currency] = sum
			h.Paid = slices.DeleteFunc(h.Paid, func(m money.Money) bool { return m.Currency == t.Currency })
			h.Paid = append(h.Paid, sum)
		}
	}
	var urls []string
	var rows [][]admin.Cell
	for _, other := range a.latest {
		if other.ID == p.ID || len(rows) == 5 {
			continue
		}
		urls = append(urls, admin.IDURL(section, other.ID))
		rows = append(rows, []admin.Cell{admin.Text(orReference(a.numbers[other.InvoiceID], other)), admin.Amount(other.Amount()), admin.Status(shownStatus(other)), admin.Age(other.CreatedAt)})
	}
	h.Table = admin.NewTable("", []string{"Invoice", "Claimed", "Status", "Submitted"}, urls, rows)
	return h
}

func orReference(number string, p *Payment) string {
	switch {
	case number != "":
		return number
	case p.Reference != "":
		return p.Reference
	}
	return "…" + p.ID.String()[24:] // the end: ids begin with their time
}

// timeline tells what happened, the newest first.
func (a around) timeline(r admin.Reader, f *Facts) []admin.Event {
	var list []admin.Event
	for _, told := range a.events {
		var payload Snapshot
		if err := json.Unmarshal(told.Payload, &payload); err != nil {
			continue // an event of another form than ours says nothing here
		}
		tone, text := eventText(told.Type, f.Payment, payload)
		if text == "" {
			continue
		}
		amount := payload.AmountMinor
		switch {
		case told.Type == EventPartiallyRefunded || told.Type == EventRefunded:
			amount = payload.RefundedMinor
		case payload.ReceivedMinor != nil:
			amount = *payload.ReceivedMinor
		}
		list = append(list, admin.Event{At: told.CreatedAt, Tone: tone, Text: r.Say(text, "amount", r.Money(money.New(amount, f.Payment.Currency))), By: told.Actor,
			Note: a.reasons[told.RequestID]})
	}
	slices.Reverse(list)
	return list
}
