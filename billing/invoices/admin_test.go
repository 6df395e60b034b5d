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
