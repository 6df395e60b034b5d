package invoices_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"countersign/billing/billingtest"
	"countersign/billing/invoices"
)

// lines are rows of the form, five values a row: description, quantity, unit price, discount, tax.
func lines(rows ...[5]string) url.Values {
	form := url.Values{}
	for _, row := range rows {
		for i, name := range []string{"description", "quantity", "unit_price", "discount", "tax"} {
			form.Add(name, row[i])
		}
		form.Add("credits", "")
	}
	return form
}

func TestConsole(t *testing.T) {
	t.Parallel()
	t.Run("makes a draft, changes it, finalises it and voids it, without a script", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		b := w.Browse(w.Console(), w.Finance)
		b.Get("invoices/").Shows("No invoices yet", "New invoice")
		b.Get("invoices/new/?account=" + w.Account.ID.String()).Shows(`value="` + w.Account.ID.String() + `" selected`)

		form := lines([5]string{"Plan", "2", "50.00", "", "15"}, [5]string{"", "", "", "", ""}, [5]string{"Support", "1", "12.345678", "1.00", ""})
		form.Set("account_id", w.Account.ID.String())
		form.Set("more", "5")
		b.Post("invoices/new/", form).Expect(http.StatusOK).Shows(`value="Plan"`, `aria-label="Description 8"`)
		form.Del("more")
		bad := lines([5]string{"", "", "", "", ""}, [5]string{"Plan", "two", "50.00", "", "150"})
		bad.Set("account_id", w.Account.ID.String())
		b.Post("invoices/new/", bad).Expect(http.StatusBadRequest).Shows("Quantity: ", `value="two"`, `aria-invalid="true"`)
		made := b.Post("invoices/new/", form)
		b.Follow(made).Shows("The draft was saved", "Draft", "Plan", "Support", "15 %", "126.35", "Finalise")
		page := strings.TrimPrefix(made.Location, "/console/")

		b.Get(page+"edit/").Shows(`value="Support"`, `value="15"`)
		b.Follow(b.Post(page+"edit/", lines([5]string{"Plan", "1", "150.00", "", ""}))).Shows("Saved.", "150.00").Hides("Support")
		b.Get(page+"finalize/").Shows("The invoice gets its number", "150.00")
		b.Follow(b.Post(page+"finalize/", nil)).Shows("The invoice is finalised.", "INV-2026-000001", "Open").Hides("/finalize/")
		b.Get(page + "edit/").Expect(http.StatusConflict)
		b.Post(page+"edit/", lines([5]string{"Plan", "1", "1.00", "", ""})).Expect(http.StatusConflict)

		b.Post(page+"void/", url.Values{"reason": {""}}).Expect(http.StatusBadRequest).Shows("This field is required.")
		b.Follow(b.Post(page+"void/", url.Values{"reason": {"Issued twice"}})).Shows("The invoice is void.", "Voided: Issued twice")
		b.Get("invoices/?status=void").Shows("INV-2026-000001")
		b.Get("invoices/?status=open").Hides("INV-2026-000001")
	})
	t.Run("shows what is paid and what is only claimed, and refuses to void what is claimed", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv := w.OpenInvoice("100.00")
		p := w.Submit(inv.ID)
		b := w.Browse(w.Console(), w.Finance)
		page := "invoices/" + inv.ID.String() + "/"
		b.Get(page).Shows("0 % paid, 100 % claimed", p.Reference, "The due date is paused", "Ledger entries")
		b.Post(page+"void/", url.Values{"reason": {"no"}}).Expect(http.StatusConflict).Shows("already waiting")
		w.Approve(p.ID, w.Approver)
		w.SettleAll()
		b.Get(page).Shows("100 % paid, 0 % claimed", "Paid in full").Hides("/void/")
	})
	t.Run("lowers an invoice in every way, and takes it back", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		overpay(t, w, 3000)
		inv := w.OpenInvoice("100.00")
		b := w.Browse(w.Console(), w.Finance)
		page := "invoices/" + inv.ID.String() + "/"
		b.Get(page).Shows("The customer has 30.00", "/apply-credit/", "/credit-note/", "/write-off/", "/mark-uncollectible/", "/void/").Hides("/take-back/", "/reopen/")
		key := b.Get(page + "apply-credit/").Hidden("key")
		b.Post(page+"apply-credit/", url.Values{"key": key, "amount": {"a lot"}}).Expect(http.StatusBadRequest).Shows(`value="a lot"`, key[0])
		b.Follow(b.Post(page+"apply-credit/", url.Values{"key": key, "amount": {""}})).Shows("The credit is applied.", "Paid with credit: 30.00", "30 % paid", "/take-back/").Hides("/apply-credit/", "/void/")
		b.Follow(b.Post(page+"credit-note/", url.Values{"key": {"note"}, "amount": {"10.00"}, "reason": {"One day less"}})).Shows("The credit note is issued.", "Credit note over 10.00", "One day less")
		b.Post(page+"write-off/", url.Values{"key": {"write-off"}, "amount": {"61.00"}, "reason": {"Bankrupt"}}).Expect(http.StatusBadRequest).Shows("above what is owed")
		b.Follow(b.Post(page+"mark-uncollectible/", url.Values{"reason": {"Gone"}})).Shows("The invoice is marked uncollectible.", "Uncollectible", "/reopen/")
		b.Follow(b.Post(page+"reopen/", url.Values{"reason": {"Back"}})).Shows("The invoice is open again.", "Partly paid")
		undo := b.Get(page+"take-back/").Shows("30.00 USD", "10.00 USD")
		id := w.As(w.Finance).Get(billingtest.Base + "/billing/invoices/" + inv.ID.String() + "/").Text("data.adjustments.0.id")
		undo.Shows(id)
		b.Post(page+"take-back/", url.Values{"adjustment_id": {""}, "reason": {"x"}}).Expect(http.StatusBadRequest)
		b.Follow(b.Post(page+"take-back/", url.Values{"adjustment_id": {id}, "reason": {"A mistake"}})).Shows("It is taken back.", "Credit taken back: 30.00", "A mistake")
		b.Post(page+"take-back/", url.Values{"adjustment_id": {id}, "reason": {"A mistake"}}).Expect(http.StatusNotFound)
		stands(t, w, inv.ID, "open: 0 paid, 1000 credited, 0 by credit, 0 written off, 9000 left")
	})
	t.Run("lowers an invoice once by a form that is sent twice", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		overpay(t, w, 3000)
		tolerating(w, "20.00")
		inv := w.OpenInvoice("100.00")
		b := w.Browse(w.Console(), w.Finance)
		for action, done := range map[string]string{"apply-credit/": "The credit is applied.", "credit-note/": "The credit note is issued.", "write-off/": "It is written off."} {
			page := "invoices/" + inv.ID.String() + "/" + action
			form := url.Values{"key": b.Get(page).Hidden("key"), "amount": {"10.00"}, "reason": {"A part"}}
			for range 2 {
				b.Follow(b.Post(page, form)).Shows(done)
			}
			form.Set("amount", "11.00")
			b.Post(page, form).Expect(http.StatusConflict)
			form.Del("key")
			b.Post(page, form).Expect(http.StatusBadRequest)
		}
		stands(t, w, inv.ID, "partially_paid: 0 paid, 1000 credited, 1000 by credit, 1000 written off, 7000 left")
	})
	t.Run("lets a second person decide about a write-off, and not the first", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		inv := w.OpenInvoice("100.00")
		site := w.Console()
		first, second := w.Browse(site, w.Finance), w.Browse(site, w.Approver)
		first.Get("write-offs/").Shows("No write-offs")
		first.Follow(first.Post("invoices/"+inv.ID.String()+"/write-off/", url.Values{"key": {"write-off"}, "amount": {""}, "reason": {"Bankrupt"}})).Shows("Somebody else must decide about the write-off.", "Open")
		id := w.As(w.Viewer).Get(writeOffs).Expect(http.StatusOK).Text("results.0.id")
		page := "write-offs/" + id + "/"
		first.Get("write-offs/?status=pending").Shows("First customer", "Awaiting approval", "100.00")
		first.Get(page).Shows("Somebody else than who asked", "Bankrupt").Hides("/approve/", "/reject/", "/reverse/")
		second.Get(page).Shows("/approve/", "/reject/")
		form := second.Get(page+"approve/").Shows("becomes a loss", "Bankrupt")
		digest := form.Hidden("digest")
		if len(digest) != 1 {
			t.Fatalf("the form has the digests %v", digest)
		}
		first.Post(page+"approve/", url.Values{"digest": digest}).Expect(http.StatusForbidden)
		second.Post(page+"approve/", url.Values{"digest": {noDigest}}).Expect(http.StatusConflict).Shows("has changed since you opened it")
		second.Post(page+"reject/", url.Values{"digest": digest, "reason": {""}}).Expect(http.StatusBadRequest)
		second.Follow(second.Post(page+"approve/", url.Values{"digest": digest, "reason": {"Seen the letter"}})).Shows("It is written off.", "Seen the letter", w.Approver.Email, "/reverse/").Hides("/approve/")
		stands(t, w, inv.ID, "uncollectible: 0 paid, 0 credited, 0 by credit, 10000 written off, 0 left")
		first.Get("invoices/"+inv.ID.String()+"/").Shows("Written off: 100.00", "Uncollectible").Hides("/reopen/")
		first.Follow(first.Post(page+"reverse/", url.Values{"reason": {"He came back"}})).Shows("It is taken back.", "Taken back")
		stands(t, w, inv.ID, "open: 0 paid, 0 credited, 0 by credit, 0 written off, 10000 left")
		again := w.OpenInvoice("10.00")
		refused := ask(w, again.ID, nil)
		second.Follow(second.Post("write-offs/"+refused.Text("data.id")+"/reject/", url.Values{"digest": {refused.Text("data.digest")}, "reason": {"Ask him"}})).Shows("The write-off is rejected.", "Ask him", "Rejected")
	})
	t.Run("needs the permission and keeps neighbours apart", func(t *testing.T) {
		t.Parallel()
		w, neighbour := billingtest.New(t), billingtest.New(t)
		inv := w.DraftInvoice("100.00")
		page := "invoices/" + inv.ID.String() + "/"
		site := w.Console()
		w.Browse(site, nil).Get(page).Expect(http.StatusSeeOther)
		v := w.Browse(site, w.Viewer)
		v.Get(page).Expect(http.StatusOK).Hides("/finalize/", "/void/")
		v.Get("invoices/new/").Expect(http.StatusForbidden)
		v.Post(page+"finalize/", nil).Expect(http.StatusForbidden)
		n := neighbour.Browse(neighbour.Console(), neighbour.Owner)
		for _, path := range []string{"", "edit/", "finalize/", "void/"} {
			n.Get(page + path).Expect(http.StatusNotFound)
		}
		n.Post(page+"finalize/", nil).Expect(http.StatusNotFound)
		b := w.Browse(site, w.Owner)
		b.Headers["Sec-Fetch-Site"] = "cross-site"
		b.Post(page+"finalize/", nil).Expect(http.StatusForbidden)
		if got := w.Invoice(inv.ID).Status; got != invoices.StatusDraft {
			t.Errorf("the invoice is %s", got)
		}
	})
}

// noDigest is well formed and nobody's.
const noDigest = "0000000000000000000000000000000000000000000000000000000000000000"
