package billingtest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/invoices"
	"countersign/billing/paymentmethods"
	"countersign/billing/payments"
	"countersign/internal/testkit"
)

// OpenInvoice makes a finalised invoice of one line over amount for w.Account, or as change says.
func (w *World) OpenInvoice(amount string, change ...func(*invoices.CreateInput)) *invoices.Invoice {
	w.t.Helper()
	draft := w.DraftInvoice(amount, change...)
	_, err := w.Invoices.Finalize(w.Owner.Ctx, invoices.FinalizeInput{Invoice: draft.ID.String()})
	w.must(err)
	return w.Invoice(draft.ID)
}

// DraftInvoice is OpenInvoice before it is finalised.
func (w *World) DraftInvoice(amount string, change ...func(*invoices.CreateInput)) *invoices.Invoice {
	w.t.Helper()
	in := invoices.CreateInput{Account: w.Account.ID.String(), Lines: []invoices.LineInput{{Description: "Work", Quantity: "1", UnitPrice: amount}}}
	for _, f := range change {
		f(&in)
	}
	made, err := w.Invoices.Create(w.Owner.Ctx, in)
	w.must(err)
	return w.Invoice(uuid.MustParse(made.ID))
}

// Invoice reads an invoice as it is now.
func (w *World) Invoice(id uuid.UUID) *invoices.Invoice {
	w.t.Helper()
	var inv *invoices.Invoice
	w.Read(func(ctx context.Context, tx bun.Tx) (err error) {
		inv, err = invoices.Get(ctx, tx, id.String())
		return err
	})
	return inv
}

// Claim is what Submit submits: a bank transfer over the invoice's balance, with a reference that no other world has.
func (w *World) Claim(invoice uuid.UUID, change ...func(*payments.SubmitManualInput)) payments.SubmitManualInput {
	in := payments.SubmitManualInput{Invoice: invoice.String(), Method: paymentmethods.BankTransfer, Reference: w.Reference()}
	for _, f := range change {
		f(&in)
	}
	return in
}

// Reference gives a reference that was never used. Approvers are told when one was, also elsewhere in the installation.
func (w *World) Reference() string {
	return fmt.Sprintf("%s %d", strings.ToUpper(w.Tenant.Slug), w.references.Add(1))
}

// Submit claims a payment of an invoice, as w.Member.
func (w *World) Submit(invoice uuid.UUID, change ...func(*payments.SubmitManualInput)) *payments.Payment {
	w.t.Helper()
	made, err := w.Payments.SubmitManual(w.Member.Ctx, w.Claim(invoice, change...))
	w.must(err)
	return w.Payment(uuid.MustParse(made.ID))
}

// Payment reads a payment as it is now.
func (w *World) Payment(id uuid.UUID) *payments.Payment {
	w.t.Helper()
	var p *payments.Payment
	w.Read(func(ctx context.Context, tx bun.Tx) (err error) {
		p, err = payments.Get(ctx, tx, id.String())
		return err
	})
	return p
}

// Detail is what staff see of a payment, over HTTP.
func (w *World) Detail(id uuid.UUID) testkit.Answer {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.Viewer.Ctx, http.MethodGet, Base+"/billing/payments/"+id.String()+"/", nil)
	return w.Anonymous().Do(r).Expect(http.StatusOK)
}

// Digest is what a decision about the payment is bound to now.
func (w *World) Digest(id uuid.UUID) string {
	w.t.Helper()
	return w.Detail(id).Text("data.digest")
}

// Approve approves what is there now.
func (w *World) Approve(id uuid.UUID, by *Person, change ...func(*payments.ApproveInput)) *payments.Payment {
	w.t.Helper()
	in := payments.ApproveInput{ID: id, Digest: w.Digest(id)}
	for _, f := range change {
		f(&in)
	}
	_, err := w.Payments.Approve(by.Ctx, in)
	w.must(err)
	return w.Payment(id)
}

// Reject refuses what is there now.
func (w *World) Reject(id uuid.UUID, by *Person, reason string) *payments.Payment {
	w.t.Helper()
	_, err := w.Payments.Reject(by.Ctx, payments.RejectInput{ID: id, Digest: w.Digest(id), Reason: reason})
	w.must(err)
	return w.Payment(id)
}

// SettleAll settles what is approved, as the worker does.
func (w *World) SettleAll() {
	w.t.Helper()
	w.must(w.Payments.Settle(w.System))
}

// Pay submits, approves and settles a payment of an invoice.
func (w *World) Pay(invoice uuid.UUID, change ...func(*payments.SubmitManualInput)) *payments.Payment {
	w.t.Helper()
	p := w.Submit(invoice, change...)
	w.Approve(p.ID, w.Approver)
	w.SettleAll()
	return w.Payment(p.ID)
}
