package invoices

import (
	"context"
	"fmt"
	"regexp"

	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/ledger"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// FinalizeInput names the draft that becomes due.
type FinalizeInput struct {
	Invoice string // id or external id
	Once    *idempotency.Once
}

// Finalize makes a draft an open invoice: it gets its number, its amounts are posted, and it never changes again. An
// invoice over nothing is paid at once. It needs billing.invoices.manage.
func (s *Service) Finalize(ctx context.Context, in FinalizeInput) (Response, error) {
	var answer Response
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		answer, err = idempotency.Do(ctx, tx, in.Once, func() (Response, error) { return s.finalize(ctx, tx, in.Invoice) })
		return err
	})
	return answer, err
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
	before := facts(inv)
	now := s.now()
	inv.FinalizedAt, inv.Status = now, StatusOpen
	postings := finalPosting(inv)
	if inv.TotalMinor == 0 {
		inv.Status, inv.PaidAt = StatusPaid, now
		if inv.Credits > 0 {
			postings = append(postings, grantCredits(inv))
		}
	}
	// taken last, because others wait for the series until this transaction ends
	if err := s.open(ctx, tx, inv, tenant); err != nil {
		return Response{}, err
	}
	if err := ledger.Post(ctx, tx, postings...); err != nil {
		return Response{}, fmt.Errorf("post invoice %s: %w", inv.ID, err)
	}
	if err := s.tell(ctx, "invoice.finalize", EventFinalized, inv, before, ""); err != nil {
		return Response{}, err
	}
	if inv.Status == StatusPaid {
		if err := s.tellPaid(ctx, inv); err != nil {
			return Response{}, err
		}
	}
	return s.respond(ctx, tx, inv, draft{lines: lines}, tenant)
}

// open writes the state with the next free number of the series.
func (s *Service) open(ctx context.Context, tx bun.Tx, inv *Invoice, tenant *tenancy.Tenant) error {
	year := inv.FinalizedAt.In(tenant.Location()).Year()
	for {
		if inv.NumberIsOurs {
			n, err := tenancy.NextNumber(ctx, tx, "invoice:"+tenant.InvoicePrefix, year)
			if err != nil {
				return err
			}
			inv.Number = fmt.Sprintf("%s-%d-%06d", tenant.InvoicePrefix, year, n)
		}
		q := tx.NewUpdate().Model(inv).Column("number", "status", "finalized_at", "paid_at").
			Set("version = version + 1").Set("updated_at = now()").
			Where("i.tenant_id = ? AND i.id = ? AND i.status = ?", inv.TenantID, inv.ID, StatusDraft)
		if inv.NumberIsOurs {
			// A client's number stands in the way when the tenant has changed its prefix since: that number is not free.
			q = q.Where("NOT EXISTS (SELECT FROM invoices AS other WHERE other.tenant_id = ? AND other.number = ?)", inv.TenantID, inv.Number)
		}
		res, err := q.Returning("version, updated_at").Exec(ctx)
		if err != nil {
			return taken(err, "finalise invoice")
		}
		if n, _ := res.RowsAffected(); n == 1 {
			return nil
		}
		if !inv.NumberIsOurs {
			return ErrNotDraft
		}
	}
}

var seriesTail = regexp.MustCompile(`^-[0-9]{4}-[0-9]{6,}$`)

// isSeriesNumber says whether a number looks like one that finalisation gives.
func isSeriesNumber(number, prefix string) bool {
	return len(number) > len(prefix) && number[:len(prefix)] == prefix && seriesTail.MatchString(number[len(prefix):])
}

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
	var news settlementNews
	news.events = append(news.events, newEvent(EventPaid, inv))
	if inv.Credits > 0 {
		news.granted(inv)
	}
	return news.publish(ctx, s.outbox)
}
