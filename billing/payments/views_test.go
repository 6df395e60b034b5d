package payments_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/paymentmethods"
	"countersign/billing/payments"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// everyStatus gives the tenant one payment in each status. Most are out of reach for manual payments, so the rows are
// written as the owner of the schema.
func everyStatus(t *testing.T, w *billingtest.World) map[payments.Status]uuid.UUID {
	t.Helper()
	w.Configure(tenancy.UpdateInput{AllowParallelClaims: ptr(true)})
	inv := w.OpenInvoice("1000.00")
	ids := map[payments.Status]uuid.UUID{}
	for _, s := range payments.Statuses() {
		ids[s] = w.Submit(inv.ID).ID
		force(t, `UPDATE payments SET status = ?, applied_minor = CASE WHEN ? = 'succeeded' THEN amount_minor END, excess_minor = CASE WHEN ? = 'succeeded' THEN 0 END,
			processed_at = now() WHERE tenant_id = ? AND id = ?`, s, s, s, w.Tenant.ID, ids[s])
	}
	return ids
}

// listed gives the ids of a list's rows.
func listed(a testkit.Answer) []string {
	ids := []string{}
	for _, row := range a.Expect(http.StatusOK).List("results") {
		ids = append(ids, row.(map[string]any)["id"].(string))
	}
	return ids
}

func TestStatusWords(t *testing.T) { // S3-07, S3-46, C-01, model.md 5.3
	t.Parallel()
	w := billingtest.New(t)
	ids := everyStatus(t, w)
	c := w.As(w.Viewer)
	check := func(path, word string, want ...payments.Status) {
		t.Helper()
		got := listed(c.Get(path + "?status=" + url.QueryEscape(word)))
		wanted := []string{}
		for _, s := range want {
			wanted = append(wanted, ids[s].String())
		}
		slices.Sort(got)
		slices.Sort(wanted)
		equal(t, path+" "+word, got, wanted)
		if strings.HasPrefix(path, list) { // S0-102
			equal(t, "count of "+word, c.Get(path+"count/?status="+url.QueryEscape(word)).Expect(http.StatusOK).Int("data.count"), int64(len(want)))
		}
	}
	for _, s := range payments.Statuses() {
		check(list, string(s), s)
		if s != payments.StatusCreated && s != payments.StatusFailed {
			check(list, strings.ToUpper(string(s)), s)
		}
	}
	// the two words of seed 001 that are canonical ones too: in its capital letters they mean what its lifecycle says (S1-29)
	check(list, "CREATED", payments.StatusCreated, payments.StatusPending, payments.StatusPendingApproval, payments.StatusProcessing)
	check(list, "FAILED", payments.StatusFailed, payments.StatusCancelled, payments.StatusExpired)
	check(list, "Failed", payments.StatusFailed)
	for word, want := range map[string][]payments.Status{
		"completed": {payments.StatusSucceeded}, "Completed": {payments.StatusSucceeded}, "success": {payments.StatusSucceeded},
		"canceled": {payments.StatusCancelled}, "failure": {payments.StatusFailed},
		"PartiallyRefunded": {payments.StatusPartiallyRefunded}, "partially-refunded": {payments.StatusPartiallyRefunded},
		"CAPTURED": {payments.StatusSucceeded, payments.StatusPartiallyRefunded}, "SETTLED": {},
	} {
		check(list, word, want...)
	}
	check(list, "open", payments.StatusCreated, payments.StatusPending, payments.StatusPendingApproval, payments.StatusProcessing)

	transactions := base + "/transactions/" // S0-19
	pending := []payments.Status{payments.StatusCreated, payments.StatusPending, payments.StatusPendingApproval, payments.StatusProcessing, payments.StatusAuthorized}
	canceled := []payments.Status{payments.StatusFailed, payments.StatusCancelled, payments.StatusExpired}
	check(transactions, "Pending", pending...)
	check(transactions, "Completed", payments.StatusSucceeded)
	check(transactions, "Canceled", canceled...)
	check(transactions, "cancelled", canceled...)
	check(transactions, "Refunded", payments.StatusRefunded)
	check(transactions, "PartiallyRefunded", payments.StatusPartiallyRefunded)
	check(transactions, "partially_refunded", payments.StatusPartiallyRefunded)

	t.Run("an unknown word names the allowed ones", func(t *testing.T) {
		for path, allowed := range map[string]string{list: "pending_approval", transactions: "completed"} {
			a := c.Get(path+"?status=paid").Refused(http.StatusBadRequest, "validation_failed")
			if text := a.Text("errors.status.0"); !strings.Contains(text, allowed) {
				t.Errorf("the refusal names no allowed word: %s", text)
			}
		}
		c.Get(list+"count/?status=paid").Refused(http.StatusBadRequest, "validation_failed")
		c.Get(transactions+"?status=processing").Refused(http.StatusBadRequest, "validation_failed")
	})

	t.Run("each status in the words of every seed", func(t *testing.T) {
		for _, s := range payments.Statuses() {
			a := c.Get(one(ids[s], "status/")).Expect(http.StatusOK)
			equal(t, "status", a.Text("data.status"), string(s))
			lifecycle, transaction := "CREATED", "pending"
			switch s {
			case payments.StatusAuthorized:
				lifecycle = "AUTHORIZED"
			case payments.StatusSucceeded:
				lifecycle, transaction = "CAPTURED", "completed"
			case payments.StatusPartiallyRefunded:
				lifecycle, transaction = "CAPTURED", "partially_refunded"
			case payments.StatusRefunded:
				lifecycle, transaction = "REFUNDED", "refunded"
			case payments.StatusFailed, payments.StatusCancelled, payments.StatusExpired:
				lifecycle, transaction = "FAILED", "canceled"
			}
			equal(t, string(s), []string{a.Text("data.lifecycle"), a.Text("data.transaction_status")}, []string{lifecycle, transaction})
			equal(t, "transaction", c.Get(transactions+ids[s].String()+"/").Expect(http.StatusOK).Text("data.status"), transaction)
		}
		force(t, "UPDATE payments SET settlement_status = 'settled' WHERE tenant_id = ? AND id = ?", w.Tenant.ID, ids[payments.StatusSucceeded])
		equal(t, "settled", c.Get(one(ids[payments.StatusSucceeded], "status/")).Text("data.lifecycle"), "SETTLED")
		check(list, "settled", payments.StatusSucceeded)
	})
}

func TestTransactionFields(t *testing.T) { // S0-17 to S0-25
	t.Parallel()
	w := billingtest.New(t)
	p := w.Submit(w.OpenInvoice("10.50").ID, func(in *payments.SubmitManualInput) { in.Details = map[string]string{"bank_name": "City"} })
	for _, a := range []testkit.Answer{w.As(w.Member).Get(base + "/transactions/" + p.ID.String() + "/")} {
		a.Expect(http.StatusOK)
		equal(t, "id", a.Text("data.id"), p.ID.String())
		equal(t, "tenant_id", a.Text("data.tenant_id"), w.Tenant.ID.String())
		equal(t, "status", a.Text("data.status"), "pending")
		equal(t, "quantity", a.Int("data.quantity"), int64(1050)) // S0-20
		equal(t, "currency", a.Text("data.currency"), "USD")
		equal(t, "gateway", a.Text("data.gateway"), "manual")
		equal(t, "details", a.Text("data.details.bank_name"), "City")
		for _, at := range []string{"data.created_at", "data.updated_at"} {
			if !strings.HasSuffix(a.Text(at), "Z") {
				t.Errorf("%s is not in UTC: %s", at, a.Text(at))
			}
		}
	}

	t.Run("created_at is set once and updated_at moves with every change", func(t *testing.T) { // S0-24, S0-25
		first := w.Payment(p.ID)
		w.Detail(p.ID)
		equal(t, "after a read", w.Payment(p.ID).UpdatedAt, first.UpdatedAt)
		steps := []func(){
			func() { w.As(w.Member).Patch(one(p.ID, ""), body("notes", "again")).Expect(http.StatusOK) },
			func() { w.Approve(p.ID, w.Approver) },
			w.SettleAll,
		}
		last := first
		for i, step := range steps {
			step()
			now := w.Payment(p.ID)
			if !now.UpdatedAt.After(last.UpdatedAt) || now.Version <= last.Version {
				t.Errorf("step %d: updated_at went from %s to %s, version from %d to %d", i, last.UpdatedAt, now.UpdatedAt, last.Version, now.Version)
			}
			equal(t, "created_at", now.CreatedAt, first.CreatedAt)
			last = now
		}
		if last.ProcessedAt.Before(last.ApprovedAt) {
			t.Errorf("processed at %s, before it was approved at %s", last.ProcessedAt, last.ApprovedAt)
		}
	})
	t.Run("nothing but notes can be changed", func(t *testing.T) { // S0-17, S0-22, S0D-01
		q := w.Submit(w.OpenInvoice("1.00").ID)
		for _, field := range []string{"id", "gateway", "status", "amount", "currency", "tenant_id", "transaction_reference"} {
			w.As(w.Member).Patch(one(q.ID, ""), body(field, "cash", "notes", "x")).Refused(http.StatusBadRequest, "validation_failed")
		}
		equal(t, "payment", w.Payment(q.ID), q)
	})
}

func TestListFilters(t *testing.T) { // W-32, S0-100
	t.Parallel()
	w := billingtest.New(t)
	mine := w.Submit(w.OpenInvoice("10.00").ID, func(in *payments.SubmitManualInput) { in.Reference = "FT-2026/001" })
	wallet := w.Submit(w.OpenInvoice("20.00", func(in *invoices.CreateInput) { in.Currency = "BDT" }).ID, func(in *payments.SubmitManualInput) {
		in.Method, in.Reference = paymentmethods.LocalWallet, "8N7A6B"
	})
	otherInvoice := w.OpenInvoice("30.00", func(in *invoices.CreateInput) { in.Account = w.Other.ID.String() })
	made, err := w.Payments.SubmitManual(w.OtherMember.Ctx, w.Claim(otherInvoice.ID))
	if err != nil {
		t.Fatal(err)
	}
	theirs := w.Payment(uuid.MustParse(made.ID))
	c := w.As(w.Viewer)
	after := url.QueryEscape(wallet.CreatedAt.Format(time.RFC3339Nano))
	for query, want := range map[string][]*payments.Payment{
		"":                                        {theirs, wallet, mine},
		"ordering=created_at":                     {mine, wallet, theirs},
		"payment_method=local_wallet":             {wallet},
		"payment_method=card":                     {},
		"gateway=manual":                          {theirs, wallet, mine}, // S0-22
		"gateway=click":                           {},
		"currency=bdt":                            {wallet},
		"invoice=" + otherInvoice.ID.String():     {theirs},
		"account=" + w.Other.ID.String():          {theirs},
		"account=" + uuid.NewString():             {},
		"created_after=" + after:                  {theirs, wallet},
		"created_before=" + after:                 {mine},
		"search=ft%202026":                        {mine}, // the beginning, in any spelling
		"search=FT-2026/001":                      {mine},
		"search=2026":                             {}, // not the middle
		"search=" + wallet.ID.String():            {wallet},
		"search=%25":                              {}, // no wildcard
		"search=_T":                               {},
		"search=8n7&payment_method=bank_transfer": {},
		"search=":                                 {theirs, wallet, mine},
	} {
		ids := []string{}
		for _, p := range want {
			ids = append(ids, p.ID.String())
		}
		a := c.Get(list + "?" + query)
		equal(t, query, listed(a), ids)
		if strings.Contains(query, "ordering=") {
			continue // a number has no order, so counting does not know the parameter
		}
		equal(t, "count of "+query, c.Get(list+"count/?"+query).Expect(http.StatusOK).Int("data.count"), a.Int("count")) // S0-102
	}
	for _, query := range []string{"state=open", "ordering=amount", "payment_method=gold", "gateway=visa", "currency=XXZ", "invoice=1",
		"created_after=yesterday", "page=0", "page_size=101", "cursor=nonsense", "search=" + strings.Repeat("x", 201)} {
		c.Get(list+"?"+query).Refused(http.StatusBadRequest, "validation_failed")
	}

	t.Run("members see their own account only", func(t *testing.T) { // S3-06, S3-50, S3-51
		m := w.As(w.OtherMember)
		equal(t, "list", listed(m.Get(list)), []string{theirs.ID.String()})
		equal(t, "transactions", listed(m.Get(base+"/transactions/")), []string{theirs.ID.String()})
		equal(t, "count", m.Get(list+"count/").Int("data.count"), int64(1))
		for _, query := range []string{"search=FT-2026/001", "search=" + mine.ID.String(), "account=" + w.Account.ID.String(), "invoice=" + mine.InvoiceID.String()} {
			equal(t, query, listed(m.Get(list+"?"+query)), []string{})
		}
	})
	t.Run("the payments of one invoice", func(t *testing.T) {
		equal(t, "staff", listed(c.Get(base+"/invoices/"+otherInvoice.ID.String()+"/payments/")), []string{theirs.ID.String()})
		equal(t, "member", listed(w.As(w.OtherMember).Get(base+"/invoices/"+otherInvoice.ID.String()+"/payments/")), []string{theirs.ID.String()})
		equal(t, "filtered", listed(c.Get(base+"/invoices/"+otherInvoice.ID.String()+"/payments/?status=failed")), []string{})
	})
}

func TestPages(t *testing.T) { // S0-100
	t.Parallel()
	w := billingtest.New(t)
	w.Configure(tenancy.UpdateInput{AllowParallelClaims: ptr(true)})
	inv := w.OpenInvoice("1000.00")
	for range 7 {
		w.Submit(inv.ID)
	}
	c := w.As(w.Member)
	whole := listed(c.Get(list))
	first := c.Get(list + "?page=1&page_size=3&ordering=-created_at").Expect(http.StatusOK)
	second := c.Get(first.Text("next")).Expect(http.StatusOK)
	third := c.Get(second.Text("next")).Expect(http.StatusOK)
	equal(t, "pages", slices.Concat(listed(first), listed(second), listed(third)), whole)
	equal(t, "count", second.Int("count"), int64(7))
	equal(t, "previous of the first", first.At("previous"), nil)
	equal(t, "next of the last", third.At("next"), nil)
	equal(t, "back", listed(c.Get(second.Text("previous"))), listed(first))
	c.Get(list+"?page=101&page_size=100").Refused(http.StatusBadRequest, "validation_failed")

	t.Run("the cursor reads everything once while rows are added", func(t *testing.T) {
		for _, ordering := range []string{"-created_at", "created_at"} {
			before := listed(c.Get(list + "?page_size=100"))
			next := list + "?cursor=&page_size=2&ordering=" + ordering
			seen := map[string]int{}
			for next != "" {
				a := c.Get(next).Expect(http.StatusOK)
				for _, id := range listed(a) {
					seen[id]++
				}
				next, _ = a.At("next").(string)
				if len(seen) < 6 {
					w.Submit(inv.ID)
				}
			}
			for _, id := range before {
				if seen[id] != 1 {
					t.Errorf("%s: %s was read %d times", ordering, id, seen[id])
				}
			}
			for id, n := range seen {
				if n != 1 {
					t.Errorf("%s: %s was read %d times", ordering, id, n)
				}
			}
		}
	})
}

// A list costs the same number of statements for one row and for many.
func TestListStatements(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	statements := func(path string) int64 {
		ctx, counted := testkit.Count(w.Viewer.Ctx)
		w.Anonymous().Do(httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil)).Expect(http.StatusOK)
		return counted.Load()
	}
	paths := []string{list, list + "?cursor=", base + "/transactions/"}
	few := map[string]int64{}
	w.Submit(w.OpenInvoice("10.00").ID)
	for _, path := range paths {
		few[path] = statements(path)
	}
	for range 9 {
		w.Submit(w.OpenInvoice("10.00").ID)
	}
	for _, path := range paths {
		equal(t, "statements of "+path, statements(path), few[path])
	}
}

func TestDetail(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := w.Submit(w.OpenInvoice("150.00").ID)

	t.Run("the customer sees his claim and nothing of the review", func(t *testing.T) {
		a := w.As(w.Member).Get(one(p.ID, "")).Expect(http.StatusOK) // S0-99
		equal(t, "reference", a.Text("data.transaction_reference"), p.Reference)
		data := a.At("data").(map[string]any)
		for _, field := range []string{"digest", "signals", "approvals", "approvals_required", "evidence", "submitted_by", "set_aside"} {
			if _, found := data[field]; found {
				t.Errorf("a member sees %s", field)
			}
		}
	})
	t.Run("staff see what they decide on", func(t *testing.T) {
		a := w.As(w.Viewer).Get(one(p.ID, "")).Expect(http.StatusOK)
		equal(t, "digest", len(a.Text("data.digest")), 64)
		equal(t, "approvals_required", a.Int("data.approvals_required"), int64(1))
		equal(t, "approvals", len(a.List("data.approvals")), 0)
		equal(t, "submitted_by", a.Text("data.submitted_by"), w.Member.ID.String())
		equal(t, "signals", signals(a), []string{payments.SignalFirstPayment, payments.SignalNoEvidence})
		equal(t, "twice", w.As(w.Approver).Get(one(p.ID, "")).Text("data.digest"), a.Text("data.digest"))
	})
	t.Run("a reader's language does not change what is decided on", func(t *testing.T) {
		russian := w.As(w.Viewer).With("Accept-Language", "ru").Get(one(p.ID, ""))
		equal(t, "code", russian.Text("data.signals.0.code"), payments.SignalFirstPayment)
		equal(t, "digest", russian.Text("data.digest"), w.Digest(p.ID))
	})
}

func signals(a testkit.Answer) []string {
	codes := []string{}
	for _, s := range a.List("data.signals") {
		codes = append(codes, s.(map[string]any)["code"].(string))
	}
	return codes
}
