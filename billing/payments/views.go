package payments

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/evidence"
	"countersign/billing/invoices"
	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/i18n"
	"countersign/internal/idempotency"
	"countersign/internal/outbox"
	"countersign/internal/web"
	"countersign/tenancy"
)

// Views answers HTTP requests about payments.
type Views struct {
	service *Service
}

// maxFiles is how many receipts a submission may carry.
const maxFiles = 10

func (v *Views) list(w http.ResponseWriter, r *http.Request) error {
	return v.page(w, r, listSpec(words()), uuid.Nil, func(p *Payment, inv *invoices.Invoice) any { return newResponse(p, inv) })
}

func (v *Views) transactions(w http.ResponseWriter, r *http.Request) error {
	return v.page(w, r, listSpec(transactionWords()), uuid.Nil, func(p *Payment, _ *invoices.Invoice) any { return newTransaction(p) })
}

// ofInvoice lists the payments for one invoice that the caller sees.
func (v *Views) ofInvoice(w http.ResponseWriter, r *http.Request) error {
	var id uuid.UUID
	err := tenancy.Read(r.Context(), v.service.db, func(ctx context.Context, tx bun.Tx) (err error) {
		id, err = invoices.ResolveID(ctx, tx, chi.URLParam(r, "id"))
		return err
	})
	if err != nil {
		return err
	}
	return v.page(w, r, listSpec(words()), id, func(p *Payment, inv *invoices.Invoice) any { return newResponse(p, inv) })
}

func (v *Views) page(w http.ResponseWriter, r *http.Request, spec *web.ListSpec, invoice uuid.UUID, show func(*Payment, *invoices.Invoice) any) error {
	l, err := web.ParseList(r, spec)
	if err != nil {
		return err
	}
	principal, _ := auth.From(r.Context())
	var page web.Page[*Payment]
	var invs map[uuid.UUID]*invoices.Invoice
	err = tenancy.Read(r.Context(), v.service.db, func(ctx context.Context, tx bun.Tx) (err error) {
		if page, err = List(ctx, tx, l, principal.AccountID, invoice); err != nil {
			return err
		}
		invs, err = besides(ctx, page.Items)
		return err
	})
	if err != nil {
		return err
	}
	return web.WritePage(w, page, func(p *Payment) any { return show(p, invs[p.InvoiceID]) })
}

func (v *Views) count(w http.ResponseWriter, r *http.Request) error {
	l, err := web.ParseList(r, listSpec(words()))
	if err != nil {
		return err
	}
	principal, _ := auth.From(r.Context())
	var n int64
	err = tenancy.Read(r.Context(), v.service.db, func(ctx context.Context, tx bun.Tx) (err error) {
		n, err = Count(ctx, tx, l, principal.AccountID)
		return err
	})
	if err != nil {
		return err
	}
	return web.OK(w, CountResponse{n})
}

// get shows a payment: to its account the claim, to staff also what they need to decide.
func (v *Views) get(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	if principal, _ := auth.From(ctx); principal.IsMember() {
		p, err := v.service.read(r.Context(), chi.URLParam(r, "id"))
		if err != nil {
			return err
		}
		invs, o := map[uuid.UUID]*invoices.Invoice{}, &order{}
		ask := []database.Statement{invoices.SelectByIDs(ctx, invs, p.InvoiceID)}
		if p.Status == StatusPending {
			ask = append(ask, selectOrder(ctx, o, p.ID))
		}
		if err := tenancy.Fetch(ctx, v.service.db, ask...); err != nil {
			return err
		}
		return web.OK(w, OwnResponse{newResponse(p, invs[p.InvoiceID]), nextAction(p, o.Redirect)})
	}
	f, err := v.service.look(ctx, chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	answer, err := newDetail(f)
	if err != nil {
		return err
	}
	if principal, _ := auth.From(ctx); principal.Can(auth.BillingApprove) { // who decides compares numbers with receipts
		answer.Details = f.Payment.wholeDetails()
	}
	answer.Signals = translated(i18n.From(ctx), answer.Signals)
	return web.OK(w, answer)
}

// translated puts the signals' sentences into a language; their codes and parameters stay.
func translated(lang string, signals []Signal) []Signal {
	out := make([]Signal, len(signals))
	for i, s := range signals {
		out[i] = s
		out[i].Sentence = i18n.Text(lang, "signal."+s.Code, sentences()[s.Code], s.Params)
	}
	return out
}

func (v *Views) status(w http.ResponseWriter, r *http.Request) error {
	p, err := v.service.read(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	return web.OK(w, StatusResponse{ID: p.ID.String(), Status: string(p.Status), Lifecycle: lifecycle(p), Transaction: transactionWord(p.Status),
		SettlementStatus: p.SettlementStatus, UpdatedAt: web.Time(p.UpdatedAt)})
}

// events tells what happened to a payment and its refunds: to its account as well, but not who of the staff did it.
func (v *Views) events(w http.ResponseWriter, r *http.Request) error {
	principal, _ := auth.From(r.Context())
	var told []outbox.Told
	var reasons map[string]string
	err := tenancy.Read(r.Context(), v.service.db, func(ctx context.Context, tx bun.Tx) error {
		p, err := Get(ctx, tx, chi.URLParam(r, "id"))
		if err != nil {
			return err
		}
		about, err := withRefunds(ctx, tx, p.ID)
		if err != nil {
			return err
		}
		if told, err = outbox.EventsOf(ctx, tx, about...); err != nil || principal.IsMember() {
			return err
		}
		reasons, err = audit.Reasons(ctx, tx, p.ID)
		return err
	})
	if err != nil {
		return err
	}
	return web.OK(w, newEvents(told, reasons, !principal.IsMember()))
}

func (v *Views) transaction(w http.ResponseWriter, r *http.Request) error {
	p, err := v.service.read(r.Context(), chi.URLParam(r, "id"))
	if err != nil {
		return err
	}
	return web.OK(w, newTransaction(p))
}

// submitManual takes a claim as JSON, or as a form with its receipts in the field evidence.
func (v *Views) submitManual(w http.ResponseWriter, r *http.Request) error {
	var req SubmitManualRequest
	form := &evidence.Form{}
	if evidence.IsForm(r) {
		received, err := evidence.ReceiveForm(r, "evidence", maxFiles)
		if err != nil {
			return err
		}
		form = received
		defer form.Close()
		if err := web.DecodeForm(form.Values, &req); err != nil {
			return err
		}
	} else if err := web.Decode(r, &req); err != nil {
		return err
	}
	whole := submission{Request: req}
	for _, f := range form.Files {
		whole.Files = append(whole.Files, f.SHA256[:])
	}
	once, err := idempotency.FromRequest(r, "payments.manual", uuid.Nil, whole)
	if err != nil {
		return err
	}
	in, err := req.input(once)
	if err != nil {
		return err
	}
	// receipts go to the object store before the claim's transaction begins: no network inside it
	for _, f := range form.Files {
		stored, err := v.service.evidence.Store(r.Context(), f)
		if err != nil {
			return err
		}
		in.Files = append(in.Files, stored)
	}
	p, err := v.service.SubmitManual(r.Context(), in)
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusCreated, p, "")
}

// submission is what an idempotency key stands for: the fields and the files.
type submission struct {
	Request SubmitManualRequest
	Files   [][]byte
}

func (v *Views) edit(w http.ResponseWriter, r *http.Request) error {
	var req EditRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	p, err := v.service.EditNotes(r.Context(), id, *req.Notes)
	if err != nil {
		return err
	}
	return web.OK(w, p)
}

func (v *Views) delete(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	if err := v.service.Delete(r.Context(), id); err != nil {
		return err
	}
	return web.NoContent(w)
}

func (v *Views) cancel(w http.ResponseWriter, r *http.Request) error {
	in, err := stepInput(r, "payments.cancel", idempotency.FromRequest)
	if err != nil {
		return err
	}
	p, err := v.service.Cancel(r.Context(), in)
	if err != nil {
		in.Once.Mark(w) // that it cannot be taken back any more is an answer too
		return err
	}
	return in.Once.Answer(w, http.StatusOK, p, "")
}

func (v *Views) approve(w http.ResponseWriter, r *http.Request) error {
	var req ApproveRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	once, err := idempotency.FromRequest(r, "payments.approve", id, req)
	if err != nil {
		return err
	}
	p, err := v.service.Approve(r.Context(), ApproveInput{ID: id, Digest: req.Digest, Note: req.Note,
		Received: amountOf("received_amount", req.ReceivedAmount, req.ReceivedAmountMinor), Once: once})
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusOK, p, "")
}

func (v *Views) reject(w http.ResponseWriter, r *http.Request) error {
	var req RejectRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	once, err := idempotency.FromRequest(r, "payments.reject", id, req)
	if err != nil {
		return err
	}
	p, err := v.service.Reject(r.Context(), RejectInput{ID: id, Digest: req.Digest, Reason: req.Reason, Once: once})
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusOK, p, "")
}

func (v *Views) bulkApprove(w http.ResponseWriter, r *http.Request) error {
	var req BulkApproveRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	items := make([]BulkItem, len(req.Items))
	for i, item := range req.Items {
		id, err := web.ParseID(item.ID)
		if err != nil {
			return errs.As(err).At("items")
		}
		items[i] = BulkItem{ID: id, Digest: item.Digest}
	}
	answer := BulkApproveResponse{Results: []BulkOutcomeResponse{}}
	for _, o := range v.service.BulkApprove(r.Context(), items, req.Note) {
		result := BulkOutcomeResponse{ID: o.ID.String(), Success: o.Err == nil}
		if o.Err == nil {
			answer.Approved++
			result.Status = o.Payment.Status
		} else {
			answer.Refused++
			body := web.NewErrorBody(r, o.Err)
			result.Code, result.Error, result.Errors = body.Code, body.Error, body.Errors
		}
		answer.Results = append(answer.Results, result)
	}
	return web.OK(w, answer)
}

func (v *Views) resume(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	p, err := v.service.Resume(r.Context(), id)
	if err != nil {
		return err
	}
	return web.OK(w, p)
}
