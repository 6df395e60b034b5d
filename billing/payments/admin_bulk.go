package payments

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

// maxBulk is how many payments are approved at once, as in the API.
const maxBulk = 100

// bulkPage is the page payments/bulk.
type bulkPage struct {
	Action, Back, Error string
	Items, Blocked      []bulkItem
	Totals              []money.Money
	Notes               []admin.Note
}

type bulkItem struct {
	ID, Digest, URL, Account, Invoice, Method, Reference string

	Amount, Balance money.Money
	Signals         []admin.Tag
	Approvals       admin.Approvals
	Final           bool
	Why             string
}

// bulkResultPage is the page payments/bulk_result.
type bulkResultPage struct {
	Back         string
	Done, Failed int
	Items        []bulkOutcome
}

type bulkOutcome struct {
	Account, Invoice, URL, Status, Error string
	Amount                               money.Money
}

// bulkView shows what was chosen once more. The digests of what is shown go with the form.
func (c *console) bulkView(w http.ResponseWriter, r *http.Request) error {
	var ids []uuid.UUID
	for _, text := range r.URL.Query()["id"] {
		if id, err := web.ParseID(text); err == nil && len(ids) < maxBulk {
			ids = append(ids, id)
		}
	}
	var list []*claimed
	err := tenancy.Read(r.Context(), c.service.db, func(ctx context.Context, tx bun.Tx) error {
		found, err := ByIDs(ctx, tx, ids...)
		if err != nil {
			return err
		}
		list, err = c.claims(ctx, tx, found...)
		return err
	})
	if err != nil {
		return err
	}
	return admin.Render(w, r, "payments/bulk", newBulkPage(r, list))
}

func newBulkPage(r *http.Request, list []*claimed) bulkPage {
	reader := admin.ReaderOf(r)
	principal, _ := auth.From(r.Context())
	page := bulkPage{Action: admin.URL(section, "bulk"), Back: admin.URL(section)}
	var chosen []queued
	striking := 0
	for _, f := range list {
		item := newBulkItem(reader, f)
		item.Why = whyNotApprove(reader, principal, f.Facts)
		if f.Payment.Status != StatusPendingApproval {
			item.Why = reader.Say("It has been decided meanwhile.")
		}
		if item.Why != "" {
			page.Blocked = append(page.Blocked, item)
			continue
		}
		page.Items = append(page.Items, item)
		chosen = append(chosen, queued{payment: f.Payment})
		if slices.ContainsFunc(item.Signals, func(t admin.Tag) bool { return t.Tone == admin.ToneBad || t.Tone == admin.ToneWait }) {
			striking++
		}
	}
	page.Totals = totals(chosen)
	if striking > 0 {
		page.Notes = append(page.Notes, admin.Note{Tone: admin.ToneWait, Text: reader.Say("Something is noticeable about {{.n}} of these. Open those by themselves first.", "n", striking)})
	}
	return page
}

func newBulkItem(r admin.Reader, f *claimed) bulkItem {
	p := f.Payment
	item := bulkItem{ID: p.ID.String(), Digest: f.Digest.String(), URL: admin.IDURL(section, p.ID), Method: paymentmethods.Label(p.Method), Reference: p.Reference,
		Amount: p.Amount(), Balance: money.New(0, p.Currency), Signals: signalTags(r, f.Signals),
		Approvals: admin.Approvals{Done: f.Approvals(), Needed: f.Requirement.Approvals}, Final: f.Approvals()+1 >= f.Requirement.Approvals}
	if f.Account != nil {
		item.Account = f.Account.Holder
	}
	if f.Invoice != nil {
		item.Invoice, item.Balance = f.Invoice.Number, f.Invoice.Balance()
	}
	return item
}

// bulkApprove approves each payment that was shown, bound to what was shown of it, and tells what became of each.
func (c *console) bulkApprove(w http.ResponseWriter, r *http.Request) error {
	form, err := admin.FormValues(w, r)
	if err != nil {
		return err
	}
	var items []BulkItem
	for _, text := range form["item"] {
		id, digest, _ := strings.Cut(text, ":")
		parsed, err := web.ParseID(id)
		if err != nil {
			return err
		}
		items = append(items, BulkItem{ID: parsed, Digest: digest})
	}
	if len(items) == 0 || len(items) > maxBulk {
		return admin.ErrBadForm
	}
	// the note passes the same checks as one that comes with a single approval
	var req ApproveRequest
	if err := web.DecodeForm(map[string][]string{"note": {form.Get("note")}}, &req); err != nil {
		return err
	}
	outcomes := c.service.BulkApprove(r.Context(), items, req.Note)
	page, err := c.bulkResult(r, outcomes)
	if err != nil {
		return err
	}
	return admin.Render(w, r, "payments/bulk_result", page)
}

func (c *console) bulkResult(r *http.Request, outcomes []BulkOutcome) (bulkResultPage, error) {
	page := bulkResultPage{Back: admin.URL(section)}
	ids := make([]uuid.UUID, len(outcomes))
	for i, o := range outcomes {
		ids[i] = o.ID
	}
	after := map[uuid.UUID]*claimed{}
	err := tenancy.Read(r.Context(), c.service.db, func(ctx context.Context, tx bun.Tx) error {
		found, err := ByIDs(ctx, tx, ids...)
		if err != nil {
			return err
		}
		list, err := c.claims(ctx, tx, found...)
		for _, f := range list {
			after[f.Payment.ID] = f
		}
		return err
	})
	if err != nil {
		return page, err
	}
	for _, o := range outcomes {
		line := bulkOutcome{Account: o.ID.String(), URL: admin.IDURL(section, o.ID)}
		if f := after[o.ID]; f != nil {
			item := newBulkItem(admin.ReaderOf(r), f)
			line.Account, line.Invoice, line.Amount, line.Status = item.Account, item.Invoice, item.Amount, string(f.Payment.Status)
		}
		if o.Err == nil {
			page.Done++
		} else {
			page.Failed++
			line.Error = admin.Sentence(r, web.Public(r, o.Err))
		}
		page.Items = append(page.Items, line)
	}
	return page, nil
}
