package payments

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"countersign/billing/evidence"
	"countersign/internal/errs"
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

// signals gives what approvers should know about p, the weightiest first.
func (k *known) signals(p *Payment) []Signal {
	var list []Signal
	add := func(code string, params map[string]any) { list = append(list, newSignal(code, params)) }
	k.receiptSignals(p, add)
	seen := k.sightings[p.ID]
	if seen.used > 0 {
		add(SignalReferenceUsed, map[string]any{"count": seen.used})
	}
	if seen.elsewhere {
		add(SignalReferenceSeen, nil)
	}
	if seen.first && p.AccountID != uuid.Nil {
		add(SignalFirstPayment, nil)
	}
	if seen.submissions >= manySubmissions {
		add(SignalManySubmissions, map[string]any{"count": seen.submissions})
	}
	if numbers := k.otherInvoices(p); len(numbers) > 0 {
		add(SignalOtherInvoice, map[string]any{"numbers": strings.Join(numbers, ", ")})
	}
	if inv := k.invoices[p.InvoiceID]; inv != nil && p.AmountMinor != inv.BalanceMinor {
		add(SignalAmountDiffers, map[string]any{"balance": inv.Balance().String() + " " + string(inv.Currency)})
	}
	if len(k.links[p.ID]) == 0 {
		add(SignalNoEvidence, nil)
	}
	order := SignalCodes()
	slices.SortStableFunc(list, func(a, b Signal) int { return slices.Index(order, a.Code) - slices.Index(order, b.Code) })
	return list
}

// receiptSignals tells how many other payments use the same file, the same pixels, or a picture that looks alike.
func (k *known) receiptSignals(p *Payment, add func(string, map[string]any)) {
	code := map[evidence.Likeness]string{evidence.SameFile: SignalSameReceipt, evidence.SamePixels: SignalSamePixels, evidence.LooksAlike: SignalSimilarReceipt}
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
	for _, file := range k.links[p.ID] {
		note(SignalSameReceipt, k.users[file])
		for _, t := range k.twins {
			if t.Of == file {
				note(code[t.Likeness], k.users[t.ID])
			}
		}
	}
	for _, c := range []string{SignalSameReceipt, SignalSamePixels, SignalSimilarReceipt} {
		if n := len(others[c]); n > 0 {
			add(c, map[string]any{"count": n})
		}
	}
}

// otherInvoices gives the numbers in a reference that belong to invoices which are not the claim's own.
func (k *known) otherInvoices(p *Payment) []string {
	var numbers []string
	for _, n := range numbersIn(p.Reference) {
		if id, ok := k.numbers[n]; ok && id != p.InvoiceID && !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	return numbers
}
