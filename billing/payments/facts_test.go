package payments_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/decisions"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/tenancy"
)

// Decisions bind: whatever was on the screen and is different now stops the decision, and nothing happens.
func TestDrift(t *testing.T) {
	t.Parallel()
	type scene struct {
		*billingtest.World
		inv *invoices.Invoice
		p   *payments.Payment
	}
	for name, change := range map[string]func(t *testing.T, s scene){
		"the notes were edited": func(t *testing.T, s scene) {
			s.As(s.Member).Patch(one(s.p.ID, ""), body("notes", "other")).Expect(http.StatusOK)
		},
		"another claim was settled on the invoice": func(t *testing.T, s scene) {
			s.Pay(s.inv.ID, func(in *payments.SubmitManualInput) { in.Amount = fixed(100) })
		},
		"the account was renamed": func(t *testing.T, s scene) {
			force(t, "UPDATE accounts SET holder = 'Somebody Else', holder_key = 'somebody else' WHERE tenant_id = ? AND id = ?", s.Tenant.ID, s.Account.ID)
		},
		"the account was switched off": func(t *testing.T, s scene) {
			force(t, "UPDATE accounts SET is_active = false WHERE tenant_id = ? AND id = ?", s.Tenant.ID, s.Account.ID)
		},
		"another claim for the invoice came in": func(t *testing.T, s scene) {
			s.Submit(s.inv.ID, func(in *payments.SubmitManualInput) { in.Amount = fixed(100) })
		},
		"somebody else approved first": func(t *testing.T, s scene) {
			s.Approve(s.p.ID, s.Finance)
		},
		"the reference was used for another claim": func(t *testing.T, s scene) {
			s.Submit(s.OpenInvoice("9.00").ID, func(in *payments.SubmitManualInput) { in.Reference = s.p.Reference })
		},
		"the reference was used in another tenant": func(t *testing.T, s scene) {
			elsewhere := billingtest.New(t)
			elsewhere.Submit(elsewhere.OpenInvoice("9.00").ID, func(in *payments.SubmitManualInput) { in.Reference = s.p.Reference })
		},
		"its receipt was used for another claim": func(t *testing.T, s scene) {
			s.Submit(s.OpenInvoice("9.00").ID, func(in *payments.SubmitManualInput) {
				in.Evidence = []uuid.UUID{uuid.MustParse(s.Detail(s.p.ID).Text("data.evidence.0.id"))}
			})
		},
		"a receipt was added": func(t *testing.T, s scene) {
			id := s.As(s.Member).PostFile(base+"/evidence/", "file", "b.pdf", pdf("another"), nil).Expect(http.StatusCreated).Text("data.id")
			force(t, "INSERT INTO payment_evidence (tenant_id, payment_id, evidence_id, account_id) VALUES (?, ?, ?, ?)", s.Tenant.ID, s.p.ID, id, s.Account.ID)
		},
		"the threshold was lifted, so that one approval is enough": func(t *testing.T, s scene) {
			s.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: ptr(int64(99_999_999))})
		},
		"the ladder was changed": func(t *testing.T, s scene) {
			ladder(t, s.World, decisions.Policy{Rank: 1, Approvals: 2, RequiresEvidence: true, Permission: auth.BillingApprove})
		},
		"the invoice's number came to be named by the reference": func(t *testing.T, s scene) {
			s.OpenInvoice("1.00", func(in *invoices.CreateInput) { in.Number = "OLD-7700" })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := billingtest.New(t)
			w.Configure(tenancy.UpdateInput{AllowParallelClaims: ptr(true), TwoApprovalThresholdMinor: ptr(int64(1))})
			// a rung of its own for the small claims of the scenes, so that one approval settles them
			inv := w.OpenInvoice("150.00")
			receipt := w.As(w.Member).PostFile(base+"/evidence/", "file", "a.pdf", pdf(name), nil).Expect(http.StatusCreated).Text("data.id")
			p := w.Submit(inv.ID, func(in *payments.SubmitManualInput) {
				in.Reference, in.Evidence = w.Reference()+" for OLD-7700", []uuid.UUID{uuid.MustParse(receipt)}
			})
			if name == "another claim was settled on the invoice" {
				w.Configure(tenancy.UpdateInput{TwoApprovalThresholdMinor: ptr(int64(0))})
			}
			digest := w.Digest(p.ID)
			change(t, scene{w, inv, p})
			if w.Digest(p.ID) == digest {
				t.Error("the digest is the same")
			}
			before := w.Snapshot()
			_, err := w.Payments.Approve(w.Approver.Ctx, payments.ApproveInput{ID: p.ID, Digest: digest})
			refusal(t, err, payments.ErrChanged)
			_, err = w.Payments.Reject(w.Approver.Ctx, payments.RejectInput{ID: p.ID, Digest: digest, Reason: "no"})
			refusal(t, err, payments.ErrChanged)
			unchanged(t, w, before)
			w.Approve(p.ID, w.Approver) // who looks again may decide
		})
	}
}

func fixed(minor int64) func(money.Currency) (*money.Money, error) {
	return func(c money.Currency) (*money.Money, error) { m := money.New(minor, c); return &m, nil }
}

func TestWhatIsNoDrift(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := w.Submit(w.OpenInvoice("150.00").ID)
	digest := w.Digest(p.ID)
	w.Pay(w.OpenInvoice("10.00").ID) // it is no longer the account's first payment
	w.Clock.Move(48 * time.Hour)
	if _, err := w.Payments.Approve(w.Approver.Ctx, payments.ApproveInput{ID: p.ID, Digest: digest}); err != nil {
		t.Error(err)
	}
}
