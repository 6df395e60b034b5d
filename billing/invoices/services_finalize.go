package invoices

import (
	"context"
	"fmt"
	"regexp"

	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/ledger"
	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/idempotency"
	"countersign/internal/outbox"
	"countersign/tenancy"
)

// FinalizeInput names the draft that becomes due.
type FinalizeInput struct {
	Invoice string // id or external id
	Once    *idempotency.Once
}

// Finalize makes a draft an open invoice: it gets its number, its amounts are posted, and it never changes again. An
// invoice over nothing is paid at once, and one that the customer's credit covers where the tenant says so. It needs billing.invoices.manage, and billing.approve as well when it gives
// service credits away.
func (s *Service) Finalize(ctx context.Context, in FinalizeInput) (Response, error) {
	var answer Response
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (Response, error) { return s.finalize(ctx, tx, in.Invoice) })
		return err
	})
	return answer, err
}

// Bill makes an invoice and finalises it, in the transaction of the program that bills. It locks like Finalize. Errors: those of Create
// and Finalize.
func (s *Service) Bill(ctx context.Context, tx bun.Tx, in CreateInput) (Response, error) {
	made, err := s.create(ctx, tx, in)
	if err != nil {
		return Response{}, err
	}
	return s.finalize(ctx, tx, made.ID)
}

func (s *Service) finalize(ctx context.Context, tx bun.Tx, ref string) (Response, error) {
	inv, err := find(ctx, tx, ref, true)
	if err != nil {
		return Response{}, err
	}
	if inv.Status != StatusDraft {
		return Response{}, ErrNotDraft
	}
	if _, err := accounts.Lock(ctx, tx, inv.AccountID); err != nil {
		return Response{}, err
	}
	tenant, err := tenancy.Current(ctx, tx)
	if err != nil {
		return Response{}, err
	}
	lines, err := linesOf(ctx, tx, inv.ID)
	if err != nil {
		return Response{}, err
	}
	if err := checkGift(ctx, lines); err != nil {
		return Response{}, err
	}
	before := facts(inv)
	now := s.now()
	inv.FinalizedAt, inv.Status = now, StatusOpen
	postings := finalPosting(inv)
	if inv.TotalMinor == 0 {
		inv.Status, inv.PaidAt = StatusPaid, now
		if inv.grantable() > 0 {
			postings = append(postings, grantCredits(inv))
		}
	}
	// taken last, because others wait for the series until this transaction ends
	if err := s.open(ctx, tx, inv, tenant); err != nil {
		return Response{}, err
	}
	var a *act // in which the customer's credit pays; begun before anything is posted, for the order of locks
	if tenant.ApplyCreditAutomatically && inv.BalanceMinor > 0 {
		if a, err = s.begin(ctx, tx, inv); err != nil {
			return Response{}, err
		}
	}
	if err := ledger.Post(ctx, tx, postings...); err != nil {
		return Response{}, fmt.Errorf("post invoice %s: %w", inv.ID, err)
	}
	if err := s.tell(ctx, "invoice.finalize", EventFinalized, inv, before, ""); err != nil {
		return Response{}, err
	}
	if a != nil && a.credit() > 0 {
		if err := s.spendCredit(ctx, tx, a, min(a.credit(), inv.BalanceMinor)); err != nil {
			return Response{}, err
		}
	}
	if inv.TotalMinor == 0 {
		if err := s.tellPaid(ctx, inv); err != nil {
			return Response{}, err
		}
	}
	return s.respond(ctx, tx, inv, draft{lines: lines}, tenant)
}

// checkGift asks for the permission to approve where service credits are given for nothing: on a line that costs
// nothing, by its price or by its discount, no payment will be approved for them. Programs do what they were made for.
func checkGift(ctx context.Context, lines []LineItem) error {
	for _, line := range lines {
		if line.Credits == 0 || line.TotalMinor > 0 {
			continue
		}
		if p, _ := auth.From(ctx); p.Kind == auth.KindSystem {
			return nil
		}
		_, err := auth.Require(ctx, auth.BillingApprove)
		return err
	}
	return nil
}

// open writes the state with the next number of the series.
func (s *Service) open(ctx context.Context, tx bun.Tx, inv *Invoice, tenant *tenancy.Tenant) error {
	if inv.NumberIsOurs {
		year := inv.FinalizedAt.In(tenant.Location()).Year()
		n, err := tenancy.NextNumber(ctx, tx, "invoice:"+tenant.InvoicePrefix, year)
		if err != nil {
			return err
		}
		inv.Number = fmt.Sprintf("%s-%d-%06d", tenant.InvoicePrefix, year, n)
	}
	err := tx.NewUpdate().Model(inv).Column("number", "status", "finalized_at", "paid_at").
		Set("version = version + 1").Set("updated_at = now()").
		Where("i.tenant_id = ? AND i.id = ?", inv.TenantID, inv.ID).Returning("version, updated_at").Scan(ctx)
	if err != nil {
		return fmt.Errorf("finalise invoice: %w", err)
	}
	return nil
}

// seriesNumber is the form of every number that finalisation gives, whatever the tenant's prefix is, was or will be.
var seriesNumber = regexp.MustCompile(`^[A-Z0-9]{1,12}-[0-9]{4}-[0-9]{6,}$`)

// finalPosting is what finalising means to the books: the customer owes the total; revenue is shown gross, and what
// was given away beside it (model.md 5.6). An invoice over nothing that gives nothing away moves nothing.
func finalPosting(inv *Invoice) []ledger.Posting {
	if inv.SubtotalMinor == 0 {
		return nil
	}
	return []ledger.Posting{{Cause: finalizeCause(inv), Kind: ledger.KindInvoiceFinalized, CustomerID: inv.AccountID, InvoiceID: inv.ID,
		Entries: []ledger.Entry{
			{Account: ledger.Receivable(inv.AccountID, inv.Currency), AmountMinor: inv.TotalMinor},
			{Account: ledger.Discounts(inv.Currency), AmountMinor: inv.DiscountMinor},
			{Account: ledger.Revenue(inv.Currency), AmountMinor: -inv.SubtotalMinor},
			{Account: ledger.TaxPayable(inv.Currency), AmountMinor: -inv.TaxMinor},
		}}}
}

func finalizeCause(inv *Invoice) string { return "invoice:" + inv.ID.String() + ":finalize" }

// tellPaid is for an invoice over nothing, which no payment will pay.
func (s *Service) tellPaid(ctx context.Context, inv *Invoice) error {
	events := []outbox.Event{newEvent(EventPaid, inv)}
	if inv.Credits > 0 {
		events = append(events, newCreditsEvent(inv))
		if err := audit.Write(ctx, audit.Record{Action: "credits.grant", ObjectType: "invoice", ObjectID: inv.ID, AccountID: inv.AccountID,
			After: map[string]any{"credits": inv.Credits}}); err != nil {
			return err
		}
	}
	return s.outbox.Emit(ctx, events...)
}
