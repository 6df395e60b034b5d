package payments

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/web"
	"countersign/tenancy"
)

// maxQueue is how many undecided claims the queue reads, the oldest first. Filters and totals are about these; a note
// says so when there are more.
const maxQueue = 1000

// queuePage is the page payments/queue.
type queuePage struct {
	Count     int
	CountText string
	Shown     int
	Oldest    time.Time
	Totals    []money.Money
	Filters   admin.Filters
	Rows      []queueRow
	Pager     admin.Pager
	Note      string
	BulkURL   string
}

type queueRow struct {
	ID, URL, Account, AccountNote, Invoice, InvoiceNote, Method, Reference, SubmittedBy string

	SubmittedAt time.Time
	Amount      money.Money
	Signals     []admin.Tag
	Approvals   admin.Approvals
	Blocked     string
}

// noSignal is the word of the filter that leaves the claims without any signal.
const noSignal = "none"

// queueSpec is what the queue can be filtered by. Nothing is chosen unless the reader chooses it.
func queueSpec() *web.ListSpec {
	methods, signals, bands := map[string]paymentmethods.Method{}, map[string]string{noSignal: noSignal}, map[string]band{}
	for _, m := range paymentmethods.Methods() {
		methods[string(m)] = m
	}
	for _, code := range SignalCodes() {
		signals[code] = code
	}
	for _, b := range amountBands() {
		bands[b.word] = b
	}
	return &web.ListSpec{
		Filters: []web.Filter{
			web.Choice("payment_method", "What the payer used", methods),
			{Name: "currency", Doc: "ISO 4217 code", Parse: func(raw string) (any, error) { return money.ParseCurrency(raw) }},
			web.Choice("amount", "How much is claimed", bands),
			web.Choice("signal", "What is noticeable", signals),
			web.Text("search", "Account, invoice or reference"),
		},
		Ordering: map[string]string{"created_at": "id"},
		Default:  "created_at",
	}
}

// band is a range of amounts in major units, whatever the currency: the lower end belongs to it. To zero is no end.
type band struct {
	word, label string
	from, to    int64
}

func amountBands() []band {
	return []band{{"0-100", "below 100", 0, 100}, {"100-1000", "100 to 1,000", 100, 1000}, {"1000-10000", "1,000 to 10,000", 1000, 10_000},
		{"10000-100000", "10,000 to 100,000", 10_000, 100_000}, {"100000", "100,000 and more", 100_000, 0}}
}

func (b band) holds(m money.Money) bool {
	amount := m.Decimal()
	return amount.GreaterThanOrEqual(decimal.NewFromInt(b.from)) && (b.to == 0 || amount.LessThan(decimal.NewFromInt(b.to)))
}

// queued is what the queue knows of a claim before it asks for signals.
type queued struct {
	payment *Payment
	account *accounts.Account
	invoice *invoices.Invoice
}

// matches applies all filters but the one for signals.
func (w queued) matches(l web.List) bool {
	if m, ok := web.Value[paymentmethods.Method](l, "payment_method"); ok && m != w.payment.Method {
		return false
	}
	if c, ok := web.Value[money.Currency](l, "currency"); ok && c != w.payment.Currency {
		return false
	}
	if b, ok := web.Value[band](l, "amount"); ok && !b.holds(w.payment.Amount()) {
		return false
	}
	text, ok := web.Value[string](l, "search")
	if !ok || text == "" {
		return true
	}
	text = strings.ToLower(text)
	candidates := []string{w.payment.Reference, w.payment.ID.String()}
	if w.account != nil {
		candidates = append(candidates, w.account.Holder, w.account.Number, w.account.ExternalID)
	}
	if w.invoice != nil {
		candidates = append(candidates, w.invoice.Number)
	}
	found := slices.ContainsFunc(candidates, func(c string) bool { return strings.Contains(strings.ToLower(c), text) })
	norm := normalise(text)
	return found || norm != "" && strings.HasPrefix(w.payment.ReferenceNorm, norm)
}

// queue is what the queue's page is made of.
type queue struct {
	count      int
	currencies []money.Currency // of all that wait
	matching   []queued
	claims     []*claimed // of the page asked for
	cut        bool       // there are more than were read
}

// readQueue asks for signals of what the page shows, and of everything only when the reader filters by signal: looking
// for receipts that look alike is the dear part.
func (c *console) readQueue(ctx context.Context, tx bun.Tx, l web.List) (q queue, err error) {
	list, err := Undecided(ctx, tx, maxQueue)
	if err != nil {
		return q, err
	}
	q.count = len(list)
	if len(list) == maxQueue {
		if q.count, err = CountUndecided(ctx, tx); err != nil {
			return q, err
		}
		q.cut = q.count > maxQueue
	}
	owners, err := accountsOf(ctx, tx, list)
	if err != nil {
		return q, err
	}
	ids, seen := make([]uuid.UUID, len(list)), map[money.Currency]bool{}
	for i, p := range list {
		ids[i], seen[p.Currency] = p.InvoiceID, true
	}
	q.currencies = slices.Sorted(maps.Keys(seen))
	invs, err := invoices.ByIDs(ctx, tx, ids...)
	if err != nil {
		return q, err
	}
	for _, p := range list {
		w := queued{payment: p, account: owners[p.AccountID], invoice: invs[p.InvoiceID]}
		if w.matches(l) {
			q.matching = append(q.matching, w)
		}
	}
	if signal, ok := web.Value[string](l, "signal"); ok {
		return q, c.narrow(ctx, tx, &q, l, signal)
	}
	from, to := pageOf(l, len(q.matching))
	shown := make([]*Payment, 0, to-from)
	for _, w := range q.matching[from:to] {
		shown = append(shown, w.payment)
	}
	q.claims, err = c.claims(ctx, tx, shown...)
	return q, err
}

// narrow leaves the claims with a signal, or those without any.
func (c *console) narrow(ctx context.Context, tx bun.Tx, q *queue, l web.List, signal string) error {
	all := make([]*Payment, len(q.matching))
	for i, w := range q.matching {
		all[i] = w.payment
	}
	claims, err := c.claims(ctx, tx, all...)
	if err != nil {
		return err
	}
	var matching []queued
	var kept []*claimed
	for i, f := range claims {
		if signal == noSignal && len(f.Signals) == 0 || hasSignal(f.Signals, signal) {
			matching, kept = append(matching, q.matching[i]), append(kept, f)
		}
	}
	from, to := pageOf(l, len(kept))
	q.matching, q.claims = matching, kept[from:to]
	return nil
}

func pageOf(l web.List, n int) (from, to int) {
	from = min((l.Page-1)*l.Size, n)
	return from, min(from+l.Size, n)
}

func (c *console) queueView(w http.ResponseWriter, r *http.Request) error {
	l, err := web.ParseList(r, queueSpec())
	if err != nil {
		return err
	}
	var q queue
	err = tenancy.Read(r.Context(), c.service.db, func(ctx context.Context, tx bun.Tx) error {
		q, err = c.readQueue(ctx, tx, l)
		return err
	})
	if err != nil {
		return err
	}
	page, err := newQueuePage(r, l, q)
	if err != nil {
		return err
	}
	return admin.Render(w, r, "payments/queue", page)
}

func newQueuePage(r *http.Request, l web.List, q queue) (queuePage, error) {
	reader := admin.ReaderOf(r)
	principal, _ := auth.From(r.Context())
	page := queuePage{Count: q.count, CountText: admin.CountText(r, q.count), Shown: len(q.matching), Totals: totals(q.matching), Rows: make([]queueRow, len(q.claims))}
	var err error
	if page.Filters, err = queueFilters(r, q); err != nil {
		return page, err
	}
	if len(q.matching) > 0 {
		page.Oldest = q.matching[0].payment.CreatedAt
	}
	if q.cut {
		page.Note = reader.Say("These are the oldest {{.n}}. The others follow as these are decided.", "n", maxQueue)
	}
	if principal.Can(auth.BillingApprove) {
		page.BulkURL = admin.URL(section, "bulk")
	}
	for i, f := range q.claims {
		page.Rows[i] = newQueueRow(reader, principal, f)
	}
	from, to := pageOf(l, len(q.matching))
	next, previous := "", ""
	if to < len(q.matching) {
		next = pageURL(r, l.Page+1)
	}
	if l.Page > 1 {
		previous = pageURL(r, l.Page-1)
	}
	page.Pager = admin.PagerOf(r, l, len(q.matching), to-from, next, previous)
	return page, nil
}

func pageURL(r *http.Request, page int) string {
	query := r.URL.Query()
	query.Set("page", strconv.Itoa(page))
	return r.URL.Path + "?" + query.Encode()
}

// totals sums up what is claimed, by currency. A sum that does not fit is left out.
func totals(list []queued) []money.Money {
	sums := map[money.Currency]money.Money{}
	for _, w := range list {
		amount := w.payment.Amount()
		sum, ok := sums[amount.Currency]
		if !ok {
			sum = money.New(0, amount.Currency)
		}
		if next, err := sum.Add(amount); err == nil {
			sums[amount.Currency] = next
		}
	}
	var out []money.Money
	for _, currency := range slices.Sorted(maps.Keys(sums)) {
		out = append(out, sums[currency])
	}
	return out
}

func queueFilters(r *http.Request, q queue) (admin.Filters, error) {
	var currencies, bands []admin.Option
	for _, currency := range q.currencies {
		currencies = append(currencies, admin.Option{Value: string(currency), Label: string(currency)})
	}
	for _, b := range amountBands() {
		bands = append(bands, admin.Option{Value: b.word, Label: b.label})
	}
	signals := append([]admin.Option{{Value: noSignal, Label: "none"}}, SignalOptions()...)
	return admin.FiltersOf(r, "Account, invoice or reference", []admin.Filter{
		{Name: "payment_method", Label: "Method", Options: methodOptions(paymentmethods.BankTransfer, paymentmethods.LocalWallet)},
		{Name: "currency", Label: "Currency", Options: currencies},
		{Name: "amount", Label: "Amount", Options: bands},
		{Name: "signal", Label: "Signal", Options: signals},
	})
}

func newQueueRow(r admin.Reader, principal auth.Principal, f *claimed) queueRow {
	p := f.Payment
	row := queueRow{ID: p.ID.String(), URL: admin.IDURL(section, p.ID), Method: paymentmethods.Label(p.Method), Reference: p.Reference, SubmittedAt: p.CreatedAt,
		Amount: p.Amount(), Signals: signalTags(r, f.Signals), Approvals: admin.Approvals{Done: f.Approvals(), Needed: f.Requirement.Approvals},
		Blocked: whyNotApprove(r, principal, f.Facts)}
	if f.Account != nil {
		row.Account, row.AccountNote = f.Account.Holder, accountNote(r, f.Account)
	}
	if f.Invoice != nil {
		row.Invoice = f.Invoice.Number
		if f.Invoice.BalanceMinor != p.AmountMinor {
			row.InvoiceNote = r.Say("{{.amount}} open", "amount", r.Money(f.Invoice.Balance()))
		}
	}
	return row
}

func accountNote(r admin.Reader, a *accounts.Account) string {
	return a.Country + " · " + r.Say(accounts.KindLabel(a.Kind))
}
