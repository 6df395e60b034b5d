package payments

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/decisions"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/internal/auth"
	"countersign/internal/carddata"
	"countersign/internal/database"
	"countersign/internal/idempotency"
	"countersign/internal/web"
	"countersign/tenancy"
)

// CashInput is money that somebody has put on the counter.
type CashInput struct {
	Account    string // id or external id; empty: the invoice's, or nobody who is known here
	Invoice    string
	Amount     func(money.Currency) (*money.Money, error)
	Currency   money.Currency
	Reference  string // of the receipt or the cheque (S0D-12)
	Details    map[string]any
	Notes      string
	PaidAt     time.Time // zero: not said
	Prepayment bool
	Force      bool
	// AllowCredit takes what is above the invoice's balance as the customer's credit.
	AllowCredit bool
	RetryOf     uuid.UUID // the payment that this one follows, which came to nothing; zero: none
	Once        *idempotency.Once
}

// TakeCash records cash, with a receipt number (S0-39). Nobody outside is asked (S0-40). Who may approve payments has
// decided with that, and it is posted at once; for others, and where a claim would need two people, it is pending until somebody else
// completes it (C-09). The
// caller is staff with billing.create. Errors: those of Charge that need no provider, ErrReferenceRequired and
// ErrReferenceCounted.
func (s *Service) TakeCash(ctx context.Context, in CashInput) (Response, error) {
	norm := normalise(in.Reference)
	switch {
	case in.Reference == "":
		return Response{}, ErrReceiptRequired.At("reference")
	case norm == "":
		return Response{}, ErrReferenceEmpty.At("reference")
	case carddata.Holds(norm): // it is stored as well, and joins what stood far apart (S1-14)
		return Response{}, web.ErrCardData.At("reference")
	case in.PaidAt.After(s.now().Add(time.Hour)):
		return Response{}, ErrPaidInFuture.At("paid_at")
	}
	var answer Response
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (Response, error) {
			p := &Payment{TenantID: tenancy.ID(ctx), ID: uuid.Must(uuid.NewV7()), Gateway: string(paymentmethods.GatewayCash), Method: paymentmethods.Cash, Currency: in.Currency,
				Status: StatusCreated, Reference: in.Reference, ReferenceNorm: norm, Notes: in.Notes, PaidAt: in.PaidAt, Prepayment: in.Prepayment, RetryOf: in.RetryOf}
			return s.takeCash(ctx, tx, p, in)
		})
		return err
	})
	return answer, idempotency.InProgress(err, in.Once)
}

func (s *Service) takeCash(ctx context.Context, tx bun.Tx, p *Payment, in CashInput) (Response, error) {
	inv, err := s.address(ctx, tx, p, in.Account, in.Invoice)
	if err != nil {
		return Response{}, err
	}
	if err := p.demand(in.Amount); err != nil {
		return Response{}, err
	}
	if err := p.fits(ctx, inv, in.AllowCredit); err != nil {
		return Response{}, err
	}
	p.follow(ctx)
	if err := s.limit(ctx, tx, p, in.Force); err != nil {
		return Response{}, err
	}
	t, err := tenancy.Current(ctx, tx)
	if err != nil {
		return Response{}, err
	}
	year := s.now().In(t.Location()).Year()
	n, err := tenancy.NextNumber(ctx, tx, "receipt", year)
	if err != nil {
		return Response{}, err
	}
	p.ReceiptNumber = fmt.Sprintf("R-%d-%06d", year, n)
	if err := s.insertPayment(ctx, p, in.Details); err != nil {
		return Response{}, err
	}
	var h history
	h.created(p, "payment.take_cash")
	taken := locked{Payment: p, at: p.CreatedAt, fresh: true}
	ladder, err := decisions.Ladder(ctx, tx, decisions.SubjectPayment)
	if err != nil {
		return Response{}, err
	}
	need := required(ladder, t, p)
	if by, _ := auth.From(ctx); by.Can(need.Permission) && need.Approvals < 2 {
		err = s.collect(ctx, tx, taken, ledger.Cash(p.Currency), p.AmountMinor, "take_cash", &h)
	} else {
		if inv != nil {
			if err := invoices.AddClaim(ctx, tx, inv, s.now()); err != nil {
				return Response{}, err
			}
		}
		before := p.state()
		err = taken.move(ctx, StatusPending)
		h.changed(EventUpdated, "payment.take_cash", before, p, "")
	}
	if err != nil {
		return Response{}, err
	}
	if err := h.write(ctx, s.outbox); err != nil {
		return Response{}, err
	}
	return s.shown(ctx, tx, p)
}

// required is what the ladder of claims asks for cash: nobody is exempt by paying in notes.
func required(ladder []decisions.Policy, t *tenancy.Tenant, p *Payment) decisions.Requirement {
	above := decisions.Threshold{Above: t.TwoApprovalThresholdMinor, Currency: t.DefaultCurrency}
	return decisions.Require(ladder, above, decisions.Claim{PaymentMethod: string(p.Method), Amount: p.Amount()})
}

// Complete says that cash which somebody else has taken is there, and posts it (S0-10, S0-89). The caller is staff who may
// approve, or a cashier where a claim would need one person, and has not taken it himself: four eyes. Errors: ErrNotFound, ErrFourEyes,
// ErrPasswordReset, ErrIllegalTransition.
func (s *Service) Complete(ctx context.Context, in StepInput) (Response, error) {
	by, _ := auth.From(ctx)
	if !by.Can(auth.BillingApprove) && by.Role != auth.RoleCashier {
		return Response{}, auth.ErrForbidden.With("permission", auth.BillingApprove)
	}
	answer, err := s.change(ctx, in.ID, in.Once, func(ctx context.Context, tx bun.Tx, p locked) error {
		if p.Gateway != string(paymentmethods.GatewayCash) || p.Status != StatusPending {
			return illegal(p.Payment, StatusSucceeded)
		}
		if p.SubmittedBy == by.UserID {
			return ErrFourEyes
		}
		if err := s.checkCompleter(ctx, by.UserID, p.Payment); err != nil {
			return err
		}
		var h history
		if err := s.collect(ctx, tx, p, ledger.Cash(p.Currency), p.AmountMinor, "complete", &h); err != nil {
			return err
		}
		if in.Reason != "" {
			h.records[len(h.records)-1].Reason = in.Reason
		}
		return h.write(ctx, s.outbox)
	})
	return answer, s.traced(ctx, in.ID, StatusSucceeded, err)
}

// checkCompleter refuses who may not say that cash is there: whose role, as it is by now, does not do for what the ladder asks,
// and where it asks for two people, who may be the same person as the one who took it.
func (s *Service) checkCompleter(ctx context.Context, id uuid.UUID, p *Payment) error {
	var t tenancy.Tenant
	var ladder []decisions.Policy
	people := map[uuid.UUID]*accounts.Person{}
	err := database.Send(ctx, tenancy.SelectCurrent(ctx, &t), decisions.SelectLadder(ctx, &ladder, decisions.SubjectPayment),
		accounts.SelectPeopleByIDs(ctx, people, id, p.SubmittedBy))
	if err != nil {
		return err
	}
	need, who := required(ladder, &t, p), people[id]
	alone := need.Approvals < 2 && need.Permission == auth.BillingApprove // would be enough for a claim
	if who == nil || !who.IsActive || !slices.Contains(auth.PermissionsOf(who.Role), need.Permission) && !(alone && who.Role == auth.RoleCashier) {
		return auth.ErrForbidden.With("permission", need.Permission)
	}
	if need.Approvals < 2 { // who could have taken the money alone needs nobody beside him
		return nil
	}
	shared, err := accounts.ShareLogin(ctx, people, s.now(), id, p.SubmittedBy)
	if err != nil {
		return err
	}
	if shared {
		return ErrPasswordReset
	}
	return nil
}

// freeDetails are the gateways whose payments take any JSON object with them (S0-44); others have none of the sender's.
func freeDetails(gateway string) bool {
	return slices.Contains([]string{"cash", "integrator"}, gateway)
}
