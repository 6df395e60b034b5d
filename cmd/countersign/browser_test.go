package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/money"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/testkit"
)

// browserPassword is what all people of billingtest sign in with.
const browserPassword = "correct horse battery"

// step is how long one step in the browser may take.
const step = 20 * time.Second

// findChromium gives the browser's binary, or the test lacks it.
func findChromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	testkit.Lacks(t, "chromium: apt-get install chromium")
	return ""
}

// visit is a browser at a console that is really served.
type visit struct {
	t    *testing.T
	ctx  context.Context
	base string
	dir  string
}

// openBrowser serves w's program on a port of its own and opens a browser.
func openBrowser(t *testing.T, w *billingtest.World) *visit {
	t.Helper()
	chromium := findChromium(t)
	program(t, w)
	server := httptest.NewServer(w.Handler)
	t.Cleanup(server.Close)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.UserDataDir(t.TempDir()))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // chromium refuses to sandbox root
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(allocator)
	t.Cleanup(closeTab)
	v := &visit{t: t, ctx: ctx, base: server.URL, dir: t.TempDir()}
	if dir := os.Getenv("COUNTERSIGN_SCREENSHOTS"); dir != "" {
		v.dir = dir
	}
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1366, 900)); err != nil { // the first call starts the browser and has no deadline
		t.Fatal(err)
	}
	return v
}

// do runs steps in the page; what does not happen in time fails the test, with a picture of the page as it is.
func (v *visit) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, step)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		v.picture("failed")
		v.t.Fatalf("%s: %v", what, err)
	}
}

// text gives what the page shows.
func (v *visit) text() string {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, step)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("main")))
	if err != nil {
		v.t.Fatal(err)
	}
	return text
}

func (v *visit) shows(texts ...string) {
	v.t.Helper()
	got := v.text()
	for _, text := range texts {
		if !strings.Contains(got, text) {
			v.t.Errorf("the page does not show %q: %s", text, got)
		}
	}
}

// picture keeps a screenshot of the whole page.
func (v *visit) picture(name string) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, step)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		v.t.Logf("no picture of %s: %v", name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(v.dir, strings.ReplaceAll(v.t.Name(), "/", "-")+"-"+name+".png"), png, 0o644); err != nil {
		v.t.Error(err)
	}
}

// signIn goes to the start page, is asked who it is, and ends up at the queue.
func (v *visit) signIn(w *billingtest.World, p *billingtest.Person) {
	v.t.Helper()
	v.do("open the console", chromedp.Navigate(v.base+"/console/"), chromedp.WaitVisible(chromedp.CSS("#email")))
	v.do("say who", chromedp.SendKeys(chromedp.CSS("#email"), p.Email), chromedp.SendKeys(chromedp.CSS("#password"), browserPassword+"\r"), chromedp.WaitVisible(chromedp.CSS("#tenant")))
	v.shows("You belong to several organisations")
	v.do("say for whom", chromedp.SendKeys(chromedp.CSS("#tenant"), w.Tenant.Slug), chromedp.SendKeys(chromedp.CSS("#password"), browserPassword+"\r"),
		chromedp.WaitVisible(chromedp.CSS(".queue")))
}

// key presses a key as a keyboard does: one event that carries its text, so that a page that takes the key for itself
// gets no letter as well.
func key(r rune) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		encoded := kb.Encode(r)
		down, up := *encoded[0], *encoded[len(encoded)-1]
		down.Text = string(r)
		for _, event := range []input.DispatchKeyEventParams{down, up} {
			if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, event); err != nil {
				return err
			}
		}
		return nil
	})
}

// receipted is a claim with a picture of its receipt, sent the way a customer's program sends it.
func receipted(t *testing.T, w *billingtest.World, amount string) *payments.Payment {
	t.Helper()
	inv, reference := w.OpenInvoice(amount), w.Reference()
	image, err := demoReceipt("First customer", reference, amount+" USD")
	if err != nil {
		t.Fatal(err)
	}
	made := w.As(w.Member).PostFile(apiPrefix+"/billing/payments/manual/", "evidence", "receipt.png", image,
		map[string]string{"invoice_id": inv.ID.String(), "payment_method": "bank_transfer", "transaction_reference": reference}).Expect(http.StatusCreated)
	return w.Payment(uuid.MustParse(made.Text("data.id")))
}

// look opens a page, keeps a picture of it, and finds texts on it.
func (v *visit) look(name, path string, texts ...string) {
	v.t.Helper()
	v.do("open "+path, chromedp.Navigate(v.base+"/console/"+path), chromedp.WaitVisible(chromedp.CSS("h1")))
	v.picture(name)
	v.shows(texts...)
}

// shop is money that came in otherwise than by claims; all are ids.
type shop struct{ held, waiting, odd, cash, old, anomaly, conversion, subscription string }

func furnishShop(w *billingtest.World) (s shop) {
	owner := w.As(w.Owner)
	charged := func(token string, hold bool) string {
		body := charge(token)
		body["capture"], body["account_id"], body["prepayment"] = !hold, w.Account.ID.String(), true
		return owner.Post(base+"/charges/", body).Text("data.id")
	}
	s.held, s.waiting, s.odd = charged("tok_visa", true), charged("tok_3ds", false), charged("tok_wrong_amount", false)
	charged("tok_decline", false)
	s.anomaly = owner.Get(base + "/payments/" + s.odd + "/").Text("data.anomalies.0.id")
	s.cash = w.As(w.Join("till", auth.RoleCashier, nil)).Post(base+"/payments/", map[string]any{"gateway": "cash", "amount": "10.00", "currency": "USD",
		"account_id": w.Account.ID.String(), "reference": w.Reference()}).Expect(http.StatusCreated).Text("data.id")
	paid := w.Pay(w.OpenInvoice("90.00").ID)
	w.Tamper("UPDATE payments SET processed_at = now() - interval '91 days' WHERE tenant_id = ? AND id = ?", paid.ID)
	s.old = paid.ID.String()
	w.GiveCredit(w.Account.ID, money.New(10000, "EUR"))
	rate := w.As(w.Finance).Post(base+"/fx/rates/", map[string]any{"base": "EUR", "quote": "USD", "rate": "1.08", "source": "cbu.uz"}).Expect(http.StatusCreated).Text("data.id")
	s.conversion = keyed(owner).Post(base+"/fx/conversions/", map[string]any{"account_id": w.Account.ID.String(), "from_currency": "EUR", "to_currency": "USD", "from_amount": "10.00",
		"rate_id": rate}).Expect(http.StatusCreated).Text("data.id")
	s.subscription = subscribedTo(w, "tok_visa")
	subscribedTo(w, "tok_decline")
	for _, due := range []func(context.Context) error{w.Subscriptions.Renew, w.Subscriptions.Charge} {
		due(w.System) // what the pages show says whether it was done
	}
	return s
}

// subscribedTo is a subscription of the first customer's, from a card with a token.
func subscribedTo(w *billingtest.World, token string) string {
	owner := w.As(w.Owner)
	card := owner.Post(base+"/payment-methods/", map[string]any{"account_id": w.Account.ID.String(), "payment_method": "card", "display_name": "Company card",
		"details": map[string]any{"token": token}}).Expect(http.StatusCreated).Text("data.id")
	return keyed(owner).Post(base+"/subscriptions/", map[string]any{"account_id": w.Account.ID.String(), "description": "Hosting", "unit_price": "12.00", "payment_source": card}).Expect(http.StatusCreated).Text("data.id")
}

func TestBrowser(t *testing.T) {
	t.Parallel()
	findChromium(t)

	t.Run("an approver signs in, opens a claim beside its receipt and approves it with the keyboard", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		v := openBrowser(t, w)
		p := receipted(t, w, "150.00")
		v.signIn(w, w.Approver)
		v.shows(p.Reference, "First customer", "150.00")
		v.picture("queue")

		v.do("open the first row", key('j'), key('\r'), chromedp.WaitVisible(chromedp.CSS("#decide")))
		v.shows("This is the first payment of this account.", "receipt.png")
		loaded, err := chromedp.Run(v.ctx, chromedp.Poll[bool](`(() => { const i = document.querySelector(".evidence img"); return i.complete && i.naturalWidth > 0 })()`))
		if err != nil || !loaded {
			t.Errorf("the receipt is not shown: %v", err)
		}
		v.picture("payment")

		v.do("say what was received and approve", key('a'), chromedp.KeyEvent("149.50"), key('\t'), chromedp.KeyEvent("bank took a fee"), key('\r'), chromedp.WaitVisible(chromedp.CSS(".flash")))
		v.shows("Approved. The worker posts it next.", "Approved, being posted", "bank took a fee", "149.50")
		v.picture("approved")
		if got := w.Payment(p.ID); got.Status != payments.StatusProcessing || *got.ReceivedMinor != 14950 {
			t.Errorf("the payment is %s", got.Status)
		}
		w.SettleAll()
		v.do("look again", chromedp.Reload(), chromedp.WaitVisible(chromedp.CSS("h1")))
		v.shows("Succeeded", "Posted to the ledger: 149.50")
		v.picture("succeeded")
	})

	t.Run("a colleague refuses a claim with a reason", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		v := openBrowser(t, w)
		p := receipted(t, w, "80.00")
		v.signIn(w, w.Finance)
		v.do("open the claim", chromedp.Click(chromedp.CSS(".queue .row-link")), chromedp.WaitVisible(chromedp.CSS("#decide")))
		v.do("refuse", key('r'), chromedp.WaitVisible(chromedp.CSS("#reason")), chromedp.KeyEvent("The transfer is not on our statement."))
		v.picture("refusing")
		v.do("send it", chromedp.Click(chromedp.CSS("details.reject .danger")), chromedp.WaitVisible(chromedp.CSS(".flash")))
		v.shows("Refused.", "The transfer is not on our statement.", "the invoice is open again")
		v.picture("refused")
		if got := w.Payment(p.ID); got.Status != payments.StatusFailed || got.FailureReason != "The transfer is not on our statement." {
			t.Errorf("the payment is %s because %q", got.Status, got.FailureReason)
		}
	})

	t.Run("a colleague takes what is held, looks into what does not fit, and converts credit", func(t *testing.T) {
		t.Parallel()
		w := billingtest.NewInTestMode(t)
		w.EnableSandbox()
		v := openBrowser(t, w)
		shop := furnishShop(w)
		receipted(t, w, "150.00") // the queue is where everybody arrives
		v.signIn(w, w.Owner)
		v.look("payments", "payment-list/", "At the provider", "Held", "Waiting for the payer", "Declined", "sandbox")
		v.look("held", "payments/"+shop.held+"/", "The money is held and not taken yet.", "Not real money", "Release the hold")
		v.do("ask to take it", chromedp.Click(chromedp.CSS(".head-actions .primary")), chromedp.WaitVisible(chromedp.CSS("#f-amount")))
		v.picture("capture")
		v.do("take a part", chromedp.SendKeys(chromedp.CSS("#f-amount"), "7.50\r"), chromedp.WaitVisible(chromedp.CSS(".flash")))
		v.shows("The money is taken.", "7.50", "Posted to the ledger")
		v.picture("captured")
		v.look("waiting", "payments/"+shop.waiting+"/", "The payer must act")
		v.look("odd", "payments/"+shop.odd+"/", "What does not fit", "Another amount")
		v.look("cash", "payments/"+shop.cash+"/", "It is paid", "R-2026-")
		v.look("anomalies", "anomalies/", "Another amount", "Unresolved")
		v.do("open the anomaly", chromedp.Click(chromedp.CSS(".row-link")), chromedp.WaitVisible(chromedp.CSS(".head-actions .primary")))
		v.picture("anomaly")
		v.do("resolve it", chromedp.Click(chromedp.CSS(".head-actions .primary")), chromedp.WaitVisible(chromedp.CSS("#f-note")))
		v.picture("resolve")
		v.do("say how", chromedp.SendKeys(chromedp.CSS("#f-note"), "The provider has given it back."), chromedp.Click(chromedp.CSS(".form-foot .primary")), chromedp.WaitVisible(chromedp.CSS(".flash")))
		v.shows("It is resolved.", "The provider has given it back.")
		v.picture("resolved")
		v.look("refund", "payments/"+shop.old+"/refund/", "Although the time for refunds is over")
		v.look("rates", "fx-rates/", "1 EUR = 1.08 USD", "cbu.uz")
		v.look("conversions", "conversions/", "Converted", "First customer")
		v.look("new-conversion", "conversions/new/", "Recorded rate")
		v.look("conversion", "conversions/"+shop.conversion+"/", "1 EUR = 1.08 USD")
		v.look("subscriptions", "subscriptions/", "Hosting", "Active")
		v.look("new-subscription", "subscriptions/new/", "First customer · Company card")
		v.look("subscription", "subscriptions/"+shop.subscription+"/", "Months", "Paid", "Payment")
		v.look("cancel-subscription", "subscriptions/"+shop.subscription+"/cancel/", "No further month is billed.")
	})

	t.Run("nothing is wider than a phone, in any language and both colours", func(t *testing.T) {
		t.Parallel()
		w := billingtest.NewInTestMode(t)
		w.EnableSandbox()
		v := openBrowser(t, w)
		shop := furnishShop(w)
		p := receipted(t, w, "150.00")
		w.Approve(receipted(t, w, "75.00").ID, w.Second)
		v.signIn(w, w.Join("polyglot", auth.RoleOwner, nil)) // a language is a person's, and others read the same pages in English
		v.do("hold a phone", chromedp.EmulateViewport(360, 800))
		for _, look := range []struct{ language, theme string }{{"en", "light"}, {"ru", "dark"}, {"uz", "light"}, {"bn", "dark"}} {
			form := url.Values{"language": {look.language}, "theme": {look.theme}, "next": {"/console/"}}
			script := fmt.Sprintf(`fetch("/console/preferences/", {method: "POST", body: new URLSearchParams(%q)}).then(r => r.status)`, form.Encode())
			if _, err := chromedp.Run(v.ctx, chromedp.Evaluate[int](script, chromedp.EvalAwaitPromise)); err != nil {
				t.Fatal(err)
			}
			for name, path := range map[string]string{"queue": "payments/", "payment": "payments/" + p.ID.String() + "/", "payments": "payment-list/", "invoices": "invoices/",
				"invoice": "invoices/" + p.InvoiceID.String() + "/", "new-invoice": "invoices/new/", "account": "accounts/" + p.AccountID.String() + "/", "users": "users/", "rules": "approval-rules/edit/",
				"methods": "methods/", "settings": "settings/", "jobs": "jobs/", "events": "events/", "audit": "audit/", "ledger": "ledger/", "entries": "ledger-entries/", "integrity": "integrity/",
				"held": "payments/" + shop.held + "/", "capture": "payments/" + shop.held + "/capture/", "odd": "payments/" + shop.odd + "/", "cash": "payments/" + shop.cash + "/",
				"anomalies": "anomalies/", "anomaly": "anomalies/" + shop.anomaly + "/", "resolve": "anomalies/" + shop.anomaly + "/resolve/", "refund": "payments/" + shop.old + "/refund/",
				"rates": "fx-rates/", "new-rate": "fx-rates/new/", "conversions": "conversions/", "conversion": "conversions/" + shop.conversion + "/", "new-conversion": "conversions/new/", "subscriptions": "subscriptions/", "subscription": "subscriptions/" + shop.subscription + "/", "new-subscription": "subscriptions/new/",
				"statement": "statements/" + p.AccountID.String() + "/?month=" + time.Now().UTC().Format("2006-01")} {
				v.do("open "+path, chromedp.Navigate(v.base+"/console/"+path), chromedp.WaitVisible(chromedp.CSS("h1")))
				width, err := chromedp.Run(v.ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth`))
				if err != nil || width > 360 {
					t.Errorf("%s in %s is %d wide: %v", path, look.language, width, err)
				}
				v.picture(name + "-" + look.language)
			}
		}
	})
}
