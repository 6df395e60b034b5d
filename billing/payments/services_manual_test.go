package payments_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"countersign/accounts"
	"countersign/billing/billingtest"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/paymentmethods"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// The bodies of seed 003, unchanged.
func TestGolden(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	inv := w.OpenInvoice("139.00")

	t.Run("G-08: a bank transfer with transaction_reference", func(t *testing.T) {
		a := submit(w, w.Member, body("invoice_id", inv.ID.String(), "payment_method", "bank_transfer", "transaction_reference", " FT26021XYZ ", "notes", "Paid by our bank")).
			Expect(http.StatusCreated) // S3-20
		want := map[string]string{"invoice_id": inv.ID.String(), "invoice_number": inv.Number, "amount": "139.00", "currency": "USD",
			"payment_method": "bank_transfer", "transaction_reference": "FT26021XYZ", "status": "pending_approval", "notes": "Paid by our bank"}
		for field, value := range want { // S3-29, S3-30
			equal(t, field, a.Text("data."+field), value)
		}
		equal(t, "payment_id", a.At("data.payment_id"), a.At("data.id"))
		equal(t, "amount_minor", a.Int("data.amount_minor"), int64(13900))
		equal(t, "request_id", a.Text("request_id"), a.Header.Get("X-Request-ID"))

		row := w.As(w.Member).Get(list).Expect(http.StatusOK) // S3-08 to S3-15
		for field, value := range want {
			equal(t, "listed "+field, row.Text("results.0."+field), value)
		}
		equal(t, "failure_reason", row.At("results.0.failure_reason"), nil)
		for _, field := range []string{"created_at", "updated_at", "submitted_at"} { // S3-12
			if _, err := time.Parse(time.RFC3339Nano, row.Text("results.0."+field)); err != nil {
				t.Error(err)
			}
		}
		for _, field := range []string{"approved_at", "processed_at", "failed_at", "cancelled_at", "refunded_at"} {
			equal(t, field, row.At("results.0."+field), nil)
		}
	})

	t.Run("G-09: a local wallet with reference", func(t *testing.T) {
		other := w.OpenInvoice("20.00")
		a := submit(w, w.Member, body("invoice_id", other.ID.String(), "payment_method", "local_wallet", "reference", "TrxID 9AB7C", "notes", "")).Expect(http.StatusCreated)
		equal(t, "reference", a.Text("data.transaction_reference"), "TrxID 9AB7C") // S3-24
		equal(t, "method", a.Text("data.payment_method"), "local_wallet")
	})
}

func TestSubmitForms(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	invoice := func(currency string) uuid.UUID {
		return w.OpenInvoice("1500.00", func(in *invoices.CreateInput) { in.Currency = currency }).ID
	}
	pairs := func(p ...any) []any { return p }
	for _, c := range []struct {
		name     string
		pairs    []any
		currency string
		minor    int64
	}{
		{"without an amount it is the balance", pairs(), "USD", 150000}, // S3-30
		{"amount as a text", pairs("amount", "10.50"), "USD", 1050},     // S0-20, S1-55
		{"amount as a number", pairs("amount", 10.5), "USD", 1050},
		{"amount in minor units", pairs("amount_minor", 1050), "USD", 1050},
		{"both forms that agree", pairs("amount", "10.5", "amount_minor", 1050), "USD", 1050},
		{"a currency in small letters", pairs("amount", "7", "currency", "usd"), "USD", 700}, // S0-21
		{"a currency without decimals", pairs("amount", "1499"), "UZS", 149900},
		{"more than the invoice", pairs("amount", "1600"), "USD", 160000},
		{"both references that agree", pairs("transaction_reference", "A 1", "reference", "A 1"), "USD", 150000}, // S3-24
		{"null is absent", pairs("amount", nil, "notes", nil), "USD", 150000},
		{"method in capitals", pairs("payment_method", "BANK_TRANSFER"), "USD", 150000},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := submit(w, w.Member, claim(w, invoice(c.currency), c.pairs...)).Expect(http.StatusCreated)
			equal(t, "amount", a.Int("data.amount_minor"), c.minor)
			equal(t, "currency", a.Text("data.currency"), c.currency) // S1-56
		})
	}

	t.Run("camelCase keys", func(t *testing.T) { // C-03
		id := invoice("USD")
		a := submit(w, w.Member, body("invoiceId", id.String(), "paymentMethod", "bank_transfer", "transactionReference", "CC 1",
			"amountMinor", 500, "paidAt", "2026-01-20", "details", body("payer_name", "Rahim"))).Expect(http.StatusCreated)
		equal(t, "amount", a.Text("data.amount"), "5.00")
		equal(t, "paid_at", a.Text("data.paid_at"), "2026-01-20T00:00:00.000000Z")
		equal(t, "details", a.Text("data.details.payer_name"), "Rahim")
	})

	t.Run("currencies with no and with three decimals", func(t *testing.T) { // S0-21
		for currency, want := range map[string]string{"JPY": "1500", "KWD": "1500.000", "BDT": "1500.00"} {
			id := w.OpenInvoice("1500", func(in *invoices.CreateInput) { in.Currency = currency }).ID
			equal(t, currency, submit(w, w.Member, claim(w, id)).Expect(http.StatusCreated).Text("data.amount"), want)
		}
	})

	t.Run("the invoice by its external id, without the slash at the end", func(t *testing.T) { // S3-05, Z-36
		w.OpenInvoice("10.00", func(in *invoices.CreateInput) { in.ExternalID = "inv-123456" })
		a := w.As(w.Member).Post(base+"/payments/manual", claim(w, uuid.Nil, "invoice_id", "inv-123456")).Expect(http.StatusCreated)
		equal(t, "amount", a.Text("data.amount"), "10.00")
	})

	t.Run("a form with two receipts", func(t *testing.T) {
		id := invoice("USD")
		a := w.As(w.Member).PostFile(list+"manual/", "evidence", "receipt.pdf", pdf("one"),
			map[string]string{"invoice_id": id.String(), "payment_method": "bank_transfer", "reference": w.Reference(), "amount": "12.00", "notes": "with paper"}).
			Expect(http.StatusCreated)
		d := w.Detail(idOf(a))
		equal(t, "file", d.Text("data.evidence.0.filename"), "receipt.pdf")
		equal(t, "type", d.Text("data.evidence.0.content_type"), "application/pdf")
		file := w.As(w.Finance).Get(d.Text("data.evidence.0.url")).Expect(http.StatusOK)
		equal(t, "content", string(file.Raw), string(pdf("one")))
	})

	t.Run("evidence that was uploaded before", func(t *testing.T) {
		uploaded := w.As(w.Member).PostFile(base+"/evidence/", "file", "a.pdf", pdf("two"), nil).Expect(http.StatusCreated).Text("data.id")
		a := submit(w, w.Member, claim(w, invoice("USD"), "evidence_ids", []string{uploaded})).Expect(http.StatusCreated)
		equal(t, "evidence", w.Detail(idOf(a)).Text("data.evidence.0.id"), uploaded)
	})

	t.Run("staff submit for a customer", func(t *testing.T) { // S3-28
		a := submit(w, w.Finance, claim(w, invoice("USD"))).Expect(http.StatusCreated)
		equal(t, "account", a.Text("data.account_id"), w.Account.ID.String())
	})
}

func TestSubmitRefusals(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	open := w.OpenInvoice("150.00")
	paid := w.OpenInvoice("10.00")
	w.Pay(paid.ID)
	draft := w.DraftInvoice("10.00")
	voided := w.OpenInvoice("10.00")
	if _, err := w.Invoices.Void(w.Owner.Ctx, invoices.VoidInput{Invoice: voided.ID.String(), Reason: "wrong"}); err != nil {
		t.Fatal(err)
	}
	foreign := w.OpenInvoice("10.00", func(in *invoices.CreateInput) { in.Account = w.Other.ID.String() })
	theirs := w.As(w.OtherMember).PostFile(base+"/evidence/", "file", "a.pdf", pdf("x"), nil).Expect(http.StatusCreated).Text("data.id")
	w.Offer("PK", paymentmethods.LocalWallet, func(in *paymentmethods.ConfigInput) { in.RequiresEvidence = ptr(true) })
	w.Offer("PK", paymentmethods.BankTransfer, func(in *paymentmethods.ConfigInput) {
		in.Currency, in.MinAmount, in.MaxAmount = ptr("USD"), ptr("10.00"), ptr("500.00")
	})
	pk := w.NewAccount(accounts.CreateAccountInput{Holder: "Karachi", Country: "PK"})
	pkInvoice := w.OpenInvoice("900.00", func(in *invoices.CreateInput) { in.Account = pk.ID.String() })
	shut := w.NewAccount(accounts.CreateAccountInput{Holder: "Closed"})
	shutInvoice := w.OpenInvoice("10.00", func(in *invoices.CreateInput) { in.Account = shut.ID.String() })
	if _, err := w.Accounts.UpdateAccount(w.Owner.Ctx, shut.ID.String(), accounts.UpdateAccountInput{IsActive: ptr(false)}); err != nil {
		t.Fatal(err)
	}
	w.As(w.Member)
	w.As(w.Finance) // sign in first: that is audited too
	before := w.Snapshot()

	for _, c := range []struct {
		name   string
		pairs  []any
		status int
		code   string
		field  string
	}{
		{"no invoice", []any{"invoice_id", nil}, 400, "validation_failed", "invoice_id"},                               // S3-21, S3-47
		{"no method", []any{"payment_method", nil}, 400, "validation_failed", "payment_method"},                        // S3-22
		{"method cash", []any{"payment_method", "cash"}, 400, "validation_failed", "payment_method"},                   // S3-22
		{"method stripe", []any{"payment_method", "stripe"}, 400, "validation_failed", "payment_method"},               // S3-22
		{"no reference", []any{"transaction_reference", nil}, 400, "validation_failed", "transaction_reference"},       // S3-23
		{"a blank reference", []any{"transaction_reference", "  "}, 400, "validation_failed", "transaction_reference"}, // S3-23
		{"a reference of nothing but dashes", []any{"transaction_reference", "--"}, 400, "reference_without_content", "transaction_reference"},
		{"two references that differ", []any{"reference", "other"}, 400, "validation_failed", "reference"},             // S3-24
		{"notes too long", []any{"notes", strings.Repeat("n", 1001)}, 400, "validation_failed", "notes"},               // S3-25
		{"a card number in the notes", []any{"notes", "card 4111 1111 1111 1111"}, 400, "card_data_rejected", "notes"}, // S3-25, S3-56
		{"a card number as reference", []any{"transaction_reference", "4111111111111111"}, 400, "card_data_rejected", "transaction_reference"},
		{"a card number as reference, far apart", []any{"transaction_reference", "4111 - - 1111 - - 1111 - - 1111"}, 400, "card_data_rejected", "transaction_reference"},
		{"a card number as reference, in words", []any{"transaction_reference", "4111, 1111; 1111 / 1111"}, 400, "card_data_rejected", "transaction_reference"},
		{"a card number in the details", []any{"details", body("payer_name", "4111-1111-1111-1111")}, 400, "card_data_rejected", "details.payer_name"},
		{"a card number in a sealed detail, far apart", []any{"details", body("sender_number", "4111 - - 1111 - - 1111 - - 1111")}, 400, "validation_failed", "details.sender_number"},
		{"details nobody knows", []any{"details", body("click_trans_id", "1")}, 400, "validation_failed", "details.click_trans_id"}, // S0-23
		{"more digits than dollars have", []any{"amount", "10.505"}, 400, "too_many_digits", "amount"},                              // S0-20
		{"an amount of nothing", []any{"amount", "0.00"}, 400, "amount_not_positive", "amount"},
		{"a negative amount", []any{"amount_minor", -5}, 400, "amount_not_positive", "amount"},
		{"an amount that is no number", []any{"amount", "ten"}, 400, "invalid_amount", "amount"},
		{"an amount in exponents", []any{"amount", "1e3"}, 400, "invalid_amount", "amount"},
		{"minor units in decimals", []any{"amount_minor", 10.5}, 400, "validation_failed", "amount_minor"},
		{"minor units as a text", []any{"amount_minor", "10"}, 400, "validation_failed", "amount_minor"},
		{"an amount that cannot be stored", []any{"amount", "92233720368547758.08"}, 400, "amount_overflow", "amount"},
		{"two amounts that differ", []any{"amount", "10", "amount_minor", 1}, 400, "amounts_differ", "amount"},
		{"euros for dollars", []any{"amount", "10", "currency", "EUR"}, 400, "currency_mismatch", ""},   // S1-57
		{"euros for dollars without an amount", []any{"currency", "EUR"}, 400, "currency_mismatch", ""}, // S1-57
		{"no currency at all", []any{"currency", "XXZ"}, 400, "validation_failed", "currency"},          // S0-21
		{"paid tomorrow", []any{"paid_at", "2026-01-22T06:00:00Z"}, 400, "paid_in_future", "paid_at"},
		{"paid some day", []any{"paid_at", "yesterday"}, 400, "validation_failed", "paid_at"},
		{"an account of the client's choice", []any{"account_id", w.Other.ID.String()}, 400, "validation_failed", "account_id"}, // S3-33
		{"an id of the client's choice", []any{"id", uuid.NewString()}, 400, "validation_failed", "id"},                         // S0-17
		{"a status of the client's choice", []any{"status", "succeeded"}, 400, "validation_failed", "status"},                   // S3-57
		{"a gateway of the client's choice", []any{"gateway", "cash"}, 400, "validation_failed", "gateway"},                     // S0-22
		{"an invoice that is paid", []any{"invoice_id", paid.ID.String()}, 400, "invoice_already_paid", ""},                     // S3-27, S3-48
		{"an invoice that is void", []any{"invoice_id", voided.ID.String()}, 400, "invoice_void", ""},                           // S3-27
		{"an invoice that is a draft", []any{"invoice_id", draft.ID.String()}, 404, "invoice_not_found", ""},
		{"an unknown invoice", []any{"invoice_id", uuid.NewString()}, 404, "invoice_not_found", ""}, // S3-26, S3-49
		{"an invoice that no id could name", []any{"invoice_id", "../1"}, 404, "invoice_not_found", ""},
		{"another account's invoice", []any{"invoice_id", foreign.ID.String()}, 404, "invoice_not_found", ""}, // S3-26
		{"evidence of another account", []any{"evidence_ids", []string{theirs}}, 400, "unknown_evidence", "evidence_ids"},
		{"evidence that is not there", []any{"evidence_ids", []string{uuid.NewString()}}, 400, "unknown_evidence", "evidence_ids"},
		{"a retry of nothing", []any{"retry_of", uuid.NewString()}, 400, "invalid_retry", "retry_of"},
	} {
		t.Run("refuses "+c.name, func(t *testing.T) {
			a := submit(w, w.Member, claim(w, open.ID, c.pairs...)).Refused(c.status, c.code)
			if _, found := a.At("errors").(map[string]any)[c.field]; c.field != "" && !found {
				t.Errorf("no word about %s: %s", c.field, a.Raw)
			}
		})
	}

	for _, c := range []struct {
		name    string
		invoice uuid.UUID
		pairs   []any
		code    string
	}{
		{"a draft, and tells staff why", draft.ID, nil, "invoice_not_finalized"},
		{"less than the method takes", pkInvoice.ID, []any{"amount", "9.99"}, "amount_below_minimum"},
		{"more than the method takes", pkInvoice.ID, nil, "amount_above_maximum"}, // S3-17
		{"a wallet without a receipt where one is required", pkInvoice.ID, []any{"payment_method", "local_wallet"}, "evidence_required"},
	} {
		t.Run("refuses "+c.name, func(t *testing.T) {
			submit(w, w.Finance, claim(w, c.invoice, c.pairs...)).Refused(http.StatusBadRequest, c.code)
		})
	}
	t.Run("refuses a customer who is switched off", func(t *testing.T) {
		submit(w, w.Finance, claim(w, shutInvoice.ID)).Refused(http.StatusConflict, "account_inactive")
	})
	unchanged(t, w, before) // no row, no event, no audit record of what was refused (S0-72)
}

// What is offered and what is taken are one decision (S3-17).
func TestMethodThatIsNotOffered(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	w.Offer("BD", paymentmethods.LocalWallet, func(in *paymentmethods.ConfigInput) { in.IsEnabled = ptr(false) })
	inv := w.OpenInvoice("10.00")
	offered := w.As(w.Member).Get(base + "/payment-methods/available/").Expect(http.StatusOK)
	equal(t, "methods", offered.Int("data.count"), int64(1))
	submit(w, w.Member, claim(w, inv.ID, "payment_method", "local_wallet")).Refused(http.StatusBadRequest, "payment_method_unavailable")
	submit(w, w.Member, claim(w, inv.ID)).Expect(http.StatusCreated)
}

func TestSubmitNeedsSomebody(t *testing.T) { // S3-32
	t.Parallel()
	w := billingtest.New(t)
	inv := w.OpenInvoice("10.00")
	w.Anonymous().Post(list+"manual/", claim(w, inv.ID)).Refused(http.StatusUnauthorized, "authentication_required")
	w.Anonymous().As("nonsense").Post(list+"manual/", claim(w, inv.ID)).Expect(http.StatusUnauthorized)
	submit(w, w.Viewer, claim(w, inv.ID)).Refused(http.StatusForbidden, "permission_denied")

	t.Run("an inactive user", func(t *testing.T) {
		w := billingtest.New(t)
		c := w.As(w.Member)
		if _, err := w.Accounts.UpdateUser(w.Owner.Ctx, w.Member.ID, accounts.UpdateUserInput{IsActive: ptr(false)}); err != nil {
			t.Fatal(err)
		}
		c.Post(list+"manual/", claim(w, w.OpenInvoice("1.00").ID)).Expect(http.StatusForbidden)
	})
	t.Run("a token that has expired", func(t *testing.T) {
		w := billingtest.New(t)
		c := w.As(w.Member)
		w.Clock.Move(400 * 24 * time.Hour)
		c.Post(list+"manual/", claim(w, w.OpenInvoice("1.00").ID)).Expect(http.StatusUnauthorized)
	})
}

// S3-40: a claim is not yet money.
func TestSubmissionChangesNothingButTheClock(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	inv := w.OpenInvoice("150.00", func(in *invoices.CreateInput) { in.Lines[0].Credits = 500 })
	before := w.Snapshot()
	p := w.Submit(inv.ID)

	after := w.Invoice(inv.ID)
	if diff := cmp.Diff(inv, after, cmpopts.IgnoreFields(invoices.Invoice{}, "PendingClaims", "ClockPausedAt", "Version", "UpdatedAt")); diff != "" {
		t.Errorf("the invoice changed:\n%s", diff)
	}
	equal(t, "claims", after.PendingClaims, 1)
	equal(t, "clock", after.ClockPausedAt.UTC(), billingtest.Start)
	moved := w.Snapshot()
	for _, table := range []string{"ledger_transactions", "ledger_entries", "ledger_balances", "decisions", "outbox", "idempotency_keys"} {
		equal(t, table, moved[table], before[table])
	}
	equal(t, "credits", w.Balance(ledger.Credits(w.Account.ID)), int64(0)) // S3-53
	equal(t, "events", events(w), []string{"created", "submitted"})        // S0-72
	equal(t, "audit", w.Audited("payment."), []string{"payment.submit"})
	status(t, w, p.ID, payments.StatusPendingApproval)
	w.AssertBooks(t)

	t.Run("its events say nothing of references and notes", func(t *testing.T) {
		raw := string(w.As(w.Finance).Get(base + "/events/?object_id=" + p.ID.String()).Expect(http.StatusOK).Raw)
		if strings.Contains(raw, p.Reference) {
			t.Errorf("an event holds the reference: %s", raw)
		}
	})

	t.Run("time under review does not make the invoice overdue", func(t *testing.T) {
		w.Clock.Move(365 * 24 * time.Hour)
		if w.Invoice(inv.ID).IsOverdue(w.Clock.Now(), time.UTC) {
			t.Error("the invoice is overdue although its claim waits")
		}
	})
}

func TestSecondSubmission(t *testing.T) { // S3-31, C-08
	t.Parallel()
	w := billingtest.New(t)
	inv := w.OpenInvoice("150.00")
	first := claim(w, inv.ID, "transaction_reference", "TX-10/7", "details", body("bank_name", "City"))
	a := submit(w, w.Member, first).Expect(http.StatusCreated)

	t.Run("the same words give the first answer", func(t *testing.T) {
		before := w.Snapshot()
		again := submit(w, w.Member, first).Expect(http.StatusCreated)
		equal(t, "id", again.Text("data.id"), a.Text("data.id"))
		equal(t, "header", again.Header.Get("Idempotent-Replayed"), "true")
		unchanged(t, w, before)
	})
	t.Run("also through the service, without any key", func(t *testing.T) {
		in := w.Claim(inv.ID, func(in *payments.SubmitManualInput) {
			in.Reference, in.Notes, in.Details = "tx 10 7", "Paid at the counter", map[string]string{"bank_name": "City"}
		})
		again, err := w.Payments.SubmitManual(w.Member.Ctx, in)
		if err != nil || again.ID != a.Text("data.id") {
			t.Errorf("the answer is %v, %v", again.ID, err)
		}
	})
	for name, pairs := range map[string][]any{
		"another amount":    {"amount", "1.00"},
		"another note":      {"notes", "changed my mind"},
		"another reference": {"transaction_reference", "TX-11"},
		"another detail":    {"details", body("bank_name", "Other")},
		"another time":      {"paid_at", "2026-01-20"},
		"another method":    {"payment_method", "local_wallet"},
	} {
		t.Run(name+" has to wait", func(t *testing.T) {
			changed := claim(w, inv.ID, "transaction_reference", "TX-10/7", "details", body("bank_name", "City"))
			for k, v := range body(pairs...) {
				changed[k] = v
			}
			submit(w, w.Member, changed).Refused(http.StatusConflict, "payment_pending")
		})
	}
	t.Run("somebody else of the account has to wait", func(t *testing.T) {
		colleague := w.Join("colleague", auth.RoleMember, w.Account)
		submit(w, colleague, first).Refused(http.StatusConflict, "payment_pending")
	})
	t.Run("where a tenant allows several, only another reference is another claim", func(t *testing.T) {
		w.Configure(tenancy.UpdateInput{AllowParallelClaims: ptr(true)})
		submit(w, w.Member, claim(w, inv.ID)).Expect(http.StatusCreated)
		submit(w, w.Member, claim(w, inv.ID, "transaction_reference", "tx107")).Refused(http.StatusConflict, "payment_pending")
		equal(t, "claims", w.Invoice(inv.ID).PendingClaims, 2)
		w.AssertBooks(t)
	})
	t.Run("the same files are the same claim, and others are not", func(t *testing.T) {
		id := w.OpenInvoice("5.00").ID
		w.Configure(tenancy.UpdateInput{AllowParallelClaims: ptr(false)})
		send := func(content string) testkit.Answer {
			return w.As(w.Member).PostFile(list+"manual/", "evidence", "r.pdf", pdf(content),
				map[string]string{"invoice_id": id.String(), "payment_method": "bank_transfer", "reference": "WITH FILES"})
		}
		one := send("one").Expect(http.StatusCreated)
		equal(t, "id", send("one").Expect(http.StatusCreated).Text("data.id"), one.Text("data.id"))
		send("two").Refused(http.StatusConflict, "payment_pending")
	})
}

func pdf(text string) []byte {
	return []byte("%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n%" + text + "\ntrailer<</Root 1 0 R>>\n%%EOF\n")
}

func ptr[T any](v T) *T { return &v }
