package payments

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/evidence"
	"countersign/billing/invoices"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/tenancy"
)

// Signal is something an approver should know before he decides. It never decides by itself. Sentence is English;
// translations are looked up under "signal." + Code.
type Signal struct {
	Code     string         `json:"code"`
	Sentence string         `json:"sentence"`
	Params   map[string]any `json:"params,omitempty"`
}

// The signals.
const (
	SignalSameReceipt       = "same_receipt"
	SignalSamePixels        = "same_pixels"
	SignalSimilarReceipt    = "similar_receipt"
	SignalReferenceUsed     = "reference_used"
	SignalReferenceSeen     = "reference_used_elsewhere"
	SignalOtherInvoice      = "reference_of_another_invoice"
	SignalAmountDiffers     = "amount_differs"
	SignalFirstPayment      = "first_payment"
	SignalManySubmissions   = "many_submissions"
	SignalNoEvidence        = "no_evidence"
	manySubmissions         = 5 // in an hour, this one included
	manySubmissionsInterval = time.Hour
)

// SignalCodes lists the signals, the weightiest first. It is also the order in which they are shown.
func SignalCodes() []string {
	return []string{SignalSameReceipt, SignalSamePixels, SignalReferenceUsed, SignalReferenceSeen, SignalOtherInvoice, SignalSimilarReceipt,
		SignalAmountDiffers, SignalManySubmissions, SignalFirstPayment, SignalNoEvidence}
}

// sentences are the English texts of the signals.
func sentences() map[string]string {
	return map[string]string{
		SignalSameReceipt:     "The same receipt file was used for {{.count}} other payment(s).",
		SignalSamePixels:      "A receipt with exactly the same picture was used for {{.count}} other payment(s).",
		SignalSimilarReceipt:  "A receipt that looks much alike was used for {{.count}} other payment(s). Look at both.",
		SignalReferenceUsed:   "The same reference was used for {{.count}} other payment(s).",
		SignalReferenceSeen:   "The same reference was used with another business on this installation.",
		SignalOtherInvoice:    "The reference names another invoice: {{.numbers}}.",
		SignalAmountDiffers:   "The amount differs from the open balance of {{.balance}}.",
		SignalManySubmissions: "This account has submitted {{.count}} payments within an hour.",
		SignalFirstPayment:    "This is the first payment of this account.",
		SignalNoEvidence:      "No receipt is attached.",
	}
}

func newSignal(code string, params map[string]any) Signal {
	text := errs.Problem{Text: sentences()[code], Params: params}
	return Signal{Code: code, Sentence: text.Sentence(), Params: params}
}

// sightings asks, for a set of payments at once, what the payments table and the installation know about references
// and accounts. Counts stop at 100: nobody needs to know more.
const sightings = `
SELECT q.id,
  (SELECT count(*) FROM (SELECT 1 FROM payments o WHERE o.tenant_id = $1 AND o.reference_norm = q.reference_norm AND o.reference_norm <> ''
     AND o.id <> q.id AND o.deleted_at IS NULL LIMIT 100) x),
  EXISTS (SELECT 1 FROM reference_sightings s WHERE s.reference = q.fingerprint AND s.seen_by <> $2),
  NOT EXISTS (SELECT 1 FROM payments o WHERE o.tenant_id = $1 AND o.account_id = q.account_id AND o.status IN ('succeeded', 'partially_refunded', 'refunded')),
  (SELECT count(*) FROM (SELECT o.created_at FROM payments o WHERE o.tenant_id = $1 AND o.account_id = q.account_id
     AND o.id <= q.id ORDER BY o.id DESC LIMIT 100) x WHERE x.created_at > q.created_at - interval '1 hour')
FROM unnest($3::uuid[], $4::text[], $5::bytea[], $6::uuid[], $7::timestamptz[]) AS q(id, reference_norm, fingerprint, account_id, created_at)`

// Signals gives what approvers should know about each of the payments, with a number of statements that does not
// depend on how many they are. invs holds the payments' invoices, files their evidence.
func (s *Service) Signals(ctx context.Context, tx bun.Tx, list []*Payment, invs map[uuid.UUID]*invoices.Invoice, files map[uuid.UUID][]*evidence.Evidence) (map[uuid.UUID][]Signal, error) {
	out := map[uuid.UUID][]Signal{}
	if len(list) == 0 {
		return out, nil
	}
	add := func(id uuid.UUID, code string, params map[string]any) {
		out[id] = append(out[id], newSignal(code, params))
	}
	if err := s.receiptSignals(ctx, tx, list, files, add); err != nil {
		return nil, err
	}
	if err := s.sightingSignals(ctx, tx, list, add); err != nil {
		return nil, err
	}
	if err := otherInvoiceSignals(ctx, tx, list, add); err != nil {
		return nil, err
	}
	for _, p := range list {
		inv := invs[p.InvoiceID]
		if inv != nil && p.AmountMinor != inv.BalanceMinor {
			add(p.ID, SignalAmountDiffers, map[string]any{"balance": inv.Balance().String() + " " + string(inv.Currency)})
		}
		if len(files[p.ID]) == 0 {
			add(p.ID, SignalNoEvidence, nil)
		}
	}
	order := SignalCodes()
	for id := range out {
		slices.SortStableFunc(out[id], func(a, b Signal) int { return slices.Index(order, a.Code) - slices.Index(order, b.Code) })
	}
	return out, nil
}

func (s *Service) sightingSignals(ctx context.Context, tx bun.Tx, list []*Payment, add func(uuid.UUID, string, map[string]any)) error {
	n := len(list)
	ids, accounts := make([]uuid.UUID, n), make([]uuid.UUID, n)
	norms, prints, times := make([]string, n), make([][]byte, n), make([]time.Time, n)
	for i, p := range list {
		ids[i], norms[i], prints[i], accounts[i], times[i] = p.ID, p.ReferenceNorm, s.fingerprint("reference", p.ReferenceNorm), p.AccountID, p.CreatedAt
	}
	tenant := tenancy.ID(ctx)
	rows, err := database.Hot(tx).QueryContext(ctx, sightings, tenant, s.fingerprint("tenant", tenant.String()), ids, norms, prints, accounts, times)
	if err != nil {
		return fmt.Errorf("read what is known of references: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		var used, submissions int
		var elsewhere, first bool
		if err := rows.Scan(&id, &used, &elsewhere, &first, &submissions); err != nil {
			return fmt.Errorf("read what is known of references: %w", err)
		}
		if used > 0 {
			add(id, SignalReferenceUsed, map[string]any{"count": used})
		}
		if elsewhere {
			add(id, SignalReferenceSeen, nil)
		}
		if first {
			add(id, SignalFirstPayment, nil)
		}
		if submissions >= manySubmissions {
			add(id, SignalManySubmissions, map[string]any{"count": submissions})
		}
	}
	return rows.Err()
}

const paymentsOfEvidence = `SELECT evidence_id, payment_id FROM payment_evidence WHERE tenant_id = $1 AND evidence_id = ANY($2::uuid[])`

// receiptSignals looks for the payments that use the same file, the same pixels, or a picture that looks alike.
func (s *Service) receiptSignals(ctx context.Context, tx bun.Tx, list []*Payment, files map[uuid.UUID][]*evidence.Evidence, add func(uuid.UUID, string, map[string]any)) error {
	var ids []uuid.UUID
	for _, p := range list {
		for _, e := range files[p.ID] {
			ids = append(ids, e.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	twins, err := evidence.Twins(ctx, tx, ids)
	if err != nil {
		return err
	}
	all := slices.Clone(ids)
	for _, t := range twins {
		all = append(all, t.ID)
	}
	users, err := usersOf(ctx, tx, all)
	if err != nil {
		return err
	}
	code := map[evidence.Likeness]string{evidence.SameFile: SignalSameReceipt, evidence.SamePixels: SignalSamePixels, evidence.LooksAlike: SignalSimilarReceipt}
	for _, p := range list {
		others := map[string]map[uuid.UUID]bool{}
		note := func(code string, used []uuid.UUID) {
			for _, other := range used {
				if other == p.ID {
					continue
				}
				if others[code] == nil {
					others[code] = map[uuid.UUID]bool{}
				}
				others[code][other] = true
			}
		}
		for _, e := range files[p.ID] {
			note(SignalSameReceipt, users[e.ID])
			for _, t := range twins {
				if t.Of == e.ID {
					note(code[t.Likeness], users[t.ID])
				}
			}
		}
		for _, c := range []string{SignalSameReceipt, SignalSamePixels, SignalSimilarReceipt} {
			if n := len(others[c]); n > 0 {
				add(p.ID, c, map[string]any{"count": n})
			}
		}
	}
	return nil
}

func usersOf(ctx context.Context, tx bun.Tx, evidenceIDs []uuid.UUID) (map[uuid.UUID][]uuid.UUID, error) {
	rows, err := database.Hot(tx).QueryContext(ctx, paymentsOfEvidence, tenancy.ID(ctx), evidenceIDs)
	if err != nil {
		return nil, fmt.Errorf("read which payments use a file: %w", err)
	}
	defer rows.Close()
	users := map[uuid.UUID][]uuid.UUID{}
	for rows.Next() {
		var file, payment uuid.UUID
		if err := rows.Scan(&file, &payment); err != nil {
			return nil, fmt.Errorf("read which payments use a file: %w", err)
		}
		users[file] = append(users[file], payment)
	}
	return users, rows.Err()
}

// otherInvoiceSignals finds references that hold the number of an invoice which is not the claim's own.
func otherInvoiceSignals(ctx context.Context, tx bun.Tx, list []*Payment, add func(uuid.UUID, string, map[string]any)) error {
	var candidates []string
	for _, p := range list {
		candidates = append(candidates, numbersIn(p.Reference)...)
	}
	if len(candidates) == 0 {
		return nil
	}
	found, err := invoices.ByNumbers(ctx, tx, candidates)
	if err != nil {
		return err
	}
	for _, p := range list {
		var numbers []string
		for _, n := range numbersIn(p.Reference) {
			if id, ok := found[n]; ok && id != p.InvoiceID && !slices.Contains(numbers, n) {
				numbers = append(numbers, n)
			}
		}
		if len(numbers) > 0 {
			add(p.ID, SignalOtherInvoice, map[string]any{"numbers": strings.Join(numbers, ", ")})
		}
	}
	return nil
}
