package payments

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"github.com/google/uuid"

	"countersign/accounts"
	"countersign/billing/evidence"
	"countersign/billing/invoices"
	"countersign/billing/paymentmethods"
	"countersign/internal/database"
	"countersign/tenancy"
)

// prepared is a claim that its invoice would take.
type prepared struct {
	*Payment
	invoice *invoices.Invoice
	in      SubmitManualInput
	terms   [][]byte // by what its details are found

	refused bool // the payment that is tried again came to nothing
	// same is the live claim with the same invoice, method and reference; its ID is zero when there is none
	same      Payment
	sameFiles map[uuid.UUID][]byte // its evidence: hashes by id
}

// claimChecks is what the checks of claims need besides the invoices.
type claimChecks struct {
	tenant   tenancy.Tenant
	accounts map[uuid.UUID]*accounts.Account
	methods  map[string]paymentmethods.Candidates // by country
	files    map[uuid.UUID]*evidence.Evidence     // named by claims
}

func newClaimChecks() *claimChecks {
	return &claimChecks{accounts: map[uuid.UUID]*accounts.Account{}, methods: map[string]paymentmethods.Candidates{}, files: map[uuid.UUID]*evidence.Evidence{}}
}

const liveClaim = `SELECT ` + paymentColumns + ` FROM payments WHERE tenant_id = $1 AND invoice_id = $2 AND method = $3 AND live_reference = $4 LIMIT 1`

// read asks everything that the checks of claims need, behind first and in one round trip, and in further ones for the
// receipts of claims that may be repeated. Claims that were refused before are nil.
func (k *claimChecks) read(ctx context.Context, first database.Statement, claims []*prepared) error {
	ask := []database.Statement{first}
	var payers, files []uuid.UUID
	for _, c := range claims {
		if c == nil {
			continue
		}
		payers, files = append(payers, c.AccountID), append(files, c.in.Evidence...)
		if c.RetryOf != uuid.Nil {
			read := func(row database.Row) error { return row.Scan(&c.refused) }
			ask = append(ask, database.Select("look for the refused payment", refusedAttempt, read, c.followed()...))
		}
		if c.invoice.PendingClaims > 0 || c.invoice.PaidMinor > 0 {
			c.same.TenantID = c.TenantID
			read := func(row database.Row) error { return c.same.scan(row) }
			ask = append(ask, database.Select("look for the same claim", liveClaim, read, c.TenantID, c.InvoiceID, c.Method, c.ReferenceNorm))
		}
	}
	if len(payers) > 0 {
		ask = append(ask, tenancy.SelectCurrent(ctx, &k.tenant), accounts.SelectByIDs(ctx, k.accounts, payers...), paymentmethods.SelectForAccounts(ctx, k.methods, payers...))
	}
	if len(files) > 0 {
		ask = append(ask, evidence.SelectByIDs(ctx, k.files, files...))
	}
	if err := database.Send(ctx, ask...); err != nil {
		return err
	}
	for _, c := range claims {
		if c != nil && c.same.ID != uuid.Nil {
			if err := c.readSameFiles(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *prepared) readSameFiles(ctx context.Context) error {
	links, files := map[uuid.UUID][]uuid.UUID{}, map[uuid.UUID]*evidence.Evidence{}
	if err := database.Send(ctx, selectLinks(ctx, links, c.same.ID)); err != nil || len(links) == 0 {
		return err
	}
	if err := database.Send(ctx, evidence.SelectByIDs(ctx, files, links[c.same.ID]...)); err != nil {
		return err
	}
	c.sameFiles = map[uuid.UUID][]byte{}
	for id, f := range files {
		c.sameFiles[id] = f.SHA256
	}
	return nil
}

// repeated gives the undecided claim that this one repeats word for word; nil when there is none or it says something else.
func (c *prepared) repeated(ctx context.Context, s *Service) *Payment {
	s.open(ctx, &c.same)
	if c.same.ID == uuid.Nil || c.same.Status != StatusPendingApproval || c.same.AmountMinor != c.AmountMinor || c.same.SubmittedBy != c.SubmittedBy || c.same.Notes != c.Notes ||
		!c.same.PaidAt.Equal(c.PaidAt) || !sameDetails(c.same.Details, c.Details) || !sameDetails(c.same.Opened, c.Opened) || len(c.sameFiles) != len(c.in.Evidence)+len(c.in.Files) {
		return nil
	}
	for _, id := range c.in.Evidence {
		if _, ok := c.sameFiles[id]; !ok {
			return nil
		}
	}
	for _, f := range c.in.Files {
		if !slices.ContainsFunc(slices.Collect(maps.Values(c.sameFiles)), func(hash []byte) bool { return bytes.Equal(hash, f.SHA256()) }) {
			return nil
		}
	}
	return &c.same
}

// check says why the claim cannot be taken, or gives the evidence that it names. Whether the method is offered is asked
// of the one function that also makes the list of methods (S3-17).
func (c *prepared) check(k *claimChecks) ([]*evidence.Evidence, error) {
	if c.invoice.PendingClaims > 0 && !k.tenant.AllowParallelClaims {
		return nil, ErrPending
	}
	account := k.accounts[c.AccountID]
	if account == nil || !account.IsActive {
		return nil, accounts.ErrAccountInactive
	}
	offer, err := k.methods[account.Country].Check(paymentmethods.QueryOf(account), c.Method, c.Amount())
	if err != nil {
		return nil, err
	}
	if offer.RequiresEvidence && len(c.in.Evidence)+len(c.in.Files) == 0 {
		return nil, ErrEvidenceRequired.At("evidence_ids")
	}
	if c.RetryOf != uuid.Nil && !c.refused {
		return nil, ErrRetryOf.At("retry_of")
	}
	files, err := evidence.ForSubmission(k.files, c.AccountID, c.in.Evidence)
	if err == nil && c.same.ID != uuid.Nil { // the unique index would say so, to the whole transaction
		if err = ErrPending; c.same.Status != StatusPendingApproval && c.same.Status != StatusProcessing {
			err = ErrReferenceCounted.At("transaction_reference")
		}
	}
	return files, err
}
