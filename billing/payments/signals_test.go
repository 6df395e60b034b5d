package payments_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/billing/decisions"
	"countersign/billing/invoices"
	"countersign/billing/payments"
	"countersign/internal/auth"
)

// receipt uploads a file as a member and gives its id.
func receipt(w *billingtest.World, by *billingtest.Person, content []byte) func(*payments.SubmitManualInput) {
	id := uuid.MustParse(w.As(by).PostFile(base+"/evidence/", "file", "receipt", content, nil).Expect(http.StatusCreated).Text("data.id"))
	return func(in *payments.SubmitManualInput) { in.Evidence = append(in.Evidence, id) }
}

func referring(text string) func(*payments.SubmitManualInput) {
	return func(in *payments.SubmitManualInput) { in.Reference = text }
}

// picture paints squares whose places follow from seed, and writes them with a compression.
func picture(t *testing.T, seed int, level png.CompressionLevel) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, 160, 160))
	for y := range 160 {
		for x := range 160 {
			shade := uint8((x/20*37 + y/20*91) * (seed + 3) % 251)
			img.Set(x, y, color.NRGBA{shade, shade, shade, 255})
		}
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: level}).Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSignals(t *testing.T) {
	t.Parallel()
	// quiet is what a claim of an unknown customer without a receipt has.
	quiet := []string{payments.SignalFirstPayment, payments.SignalNoEvidence}
	with := func(codes ...string) []string { return append(codes, quiet...) }
	withReceipt := func(codes ...string) []string { return append(codes, payments.SignalFirstPayment) }
	for name, c := range map[string]struct {
		claim func(t *testing.T, w *billingtest.World) uuid.UUID
		want  []string
	}{
		"nothing to say": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			return w.Submit(w.OpenInvoice("10.00").ID).ID
		}, quiet},
		"a receipt and a customer who has paid before": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			w.Pay(w.OpenInvoice("10.00").ID)
			return w.Submit(w.OpenInvoice("10.00").ID, receipt(w, w.Member, pdf("mine"))).ID
		}, []string{}},
		"another customer has paid before": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			submitOther(t, w, true)
			return w.Submit(w.OpenInvoice("10.00").ID).ID
		}, quiet},
		"the amount differs": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			return w.Submit(w.OpenInvoice("10.00").ID, func(in *payments.SubmitManualInput) { in.Amount = fixed(999) }).ID
		}, []string{payments.SignalAmountDiffers, payments.SignalFirstPayment, payments.SignalNoEvidence}},
		"the reference was used, in another spelling": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			w.Submit(w.OpenInvoice("10.00").ID, referring("ft-abc/x"))
			return w.Submit(w.OpenInvoice("10.00").ID, referring("FT ABC X")).ID
		}, with(payments.SignalReferenceUsed)},
		"the reference was used by another account": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			submitOther(t, w, false, referring("SAME WORDS"))
			return w.Submit(w.OpenInvoice("10.00").ID, referring("same-words")).ID
		}, with(payments.SignalReferenceUsed)},
		"a reference that only begins alike": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			w.Submit(w.OpenInvoice("10.00").ID, referring("LIKE A"))
			return w.Submit(w.OpenInvoice("10.00").ID, referring("LIKE AB")).ID
		}, quiet},
		"the reference names another invoice": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			other := w.OpenInvoice("10.00")
			return w.Submit(w.OpenInvoice("10.00").ID, referring("for "+strings.ToLower(other.Number)+", thanks")).ID
		}, with(payments.SignalOtherInvoice)},
		"the reference names its own invoice": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			inv := w.OpenInvoice("10.00")
			return w.Submit(inv.ID, referring(inv.Number)).ID
		}, quiet},
		"the same receipt": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			file := picture(t, 1, png.DefaultCompression)
			w.Submit(w.OpenInvoice("10.00").ID, receipt(w, w.Member, file))
			return w.Submit(w.OpenInvoice("10.00").ID, receipt(w, w.Member, file)).ID
		}, withReceipt(payments.SignalSameReceipt)},
		"one upload for two claims": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			file := receipt(w, w.Member, picture(t, 2, png.DefaultCompression))
			w.Submit(w.OpenInvoice("10.00").ID, file)
			return w.Submit(w.OpenInvoice("10.00").ID, file).ID
		}, withReceipt(payments.SignalSameReceipt)},
		"the same receipt from another account": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			file := picture(t, 3, png.DefaultCompression)
			submitOther(t, w, false, receipt(w, w.OtherMember, file))
			return w.Submit(w.OpenInvoice("10.00").ID, receipt(w, w.Member, file)).ID
		}, withReceipt(payments.SignalSameReceipt)},
		"the same pixels in another file": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			w.Submit(w.OpenInvoice("10.00").ID, receipt(w, w.Member, picture(t, 4, png.BestSpeed)))
			return w.Submit(w.OpenInvoice("10.00").ID, receipt(w, w.Member, picture(t, 4, png.NoCompression))).ID
		}, withReceipt(payments.SignalSamePixels)},
		"two files of one claim that are alike": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			return w.Submit(w.OpenInvoice("10.00").ID, receipt(w, w.Member, picture(t, 5, png.BestSpeed)), receipt(w, w.Member, picture(t, 5, png.NoCompression))).ID
		}, withReceipt()},
		"a receipt that was uploaded and never used": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			file := picture(t, 6, png.DefaultCompression)
			receipt(w, w.OtherMember, file)
			return w.Submit(w.OpenInvoice("10.00").ID, receipt(w, w.Member, file)).ID
		}, withReceipt()},
		"the same receipt with a neighbour": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			file := picture(t, 7, png.DefaultCompression)
			n := billingtest.New(t)
			n.Submit(n.OpenInvoice("10.00").ID, receipt(n, n.Member, file))
			return w.Submit(w.OpenInvoice("10.00").ID, receipt(w, w.Member, file)).ID
		}, withReceipt()},
		"four submissions in an hour": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			return submitMany(w, 4)
		}, quiet},
		"five submissions in an hour": {func(t *testing.T, w *billingtest.World) uuid.UUID {
			return submitMany(w, 5)
		}, []string{payments.SignalManySubmissions, payments.SignalFirstPayment, payments.SignalNoEvidence}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := billingtest.New(t)
			equal(t, "signals", signals(w.Detail(c.claim(t, w))), c.want)
		})
	}
}

// submitOther submits, and perhaps settles, a payment of the other account.
func submitOther(t *testing.T, w *billingtest.World, settle bool, change ...func(*payments.SubmitManualInput)) {
	t.Helper()
	inv := w.OpenInvoice("10.00", func(in *invoices.CreateInput) { in.Account = w.Other.ID.String() })
	p, err := w.Payments.SubmitManual(w.OtherMember.Ctx, w.Claim(inv.ID, change...))
	if err != nil {
		t.Fatal(err)
	}
	if settle {
		w.Approve(uuid.MustParse(p.ID), w.Approver)
		w.SettleAll()
	}
}

func submitMany(w *billingtest.World, n int) (last uuid.UUID) {
	for range n {
		last = w.Submit(w.OpenInvoice("10.00").ID).ID
	}
	return last
}

// An approver learns that a reference was used with another business, and nobody learns with which.
func TestReferenceUsedElsewhere(t *testing.T) {
	t.Parallel()
	w, n := billingtest.New(t), billingtest.New(t)
	reference := w.Reference()
	theirs := n.Submit(n.OpenInvoice("70700707.07").ID, referring(reference)) // as long as no digest of the answer holds it by chance
	mine := w.Submit(w.OpenInvoice("10.00").ID, referring(reference))
	a := w.Detail(mine.ID)
	if !slices.Contains(signals(a), payments.SignalReferenceSeen) {
		t.Errorf("the signals are %v", signals(a))
	}
	for _, secret := range []string{theirs.ID.String(), n.Tenant.ID.String(), n.Tenant.Slug, n.Account.ID.String(), "70700707.07", "7070070707"} {
		if strings.Contains(string(a.Raw), secret) {
			t.Errorf("the answer tells %s of a neighbour", secret)
		}
	}
	if own := count(t, "SELECT count(*) FROM reference_sightings WHERE position(convert_to(?, 'UTF8') IN reference) > 0 OR position(uuid_send(?::uuid) IN seen_by) > 0",
		mine.ReferenceNorm, w.Tenant.ID); own > 0 {
		t.Error("a sighting holds the reference or the tenant in the clear")
	}
	t.Run("once refused, it counts still", func(t *testing.T) {
		w.Reject(mine.ID, w.Approver, "not ours")
		third := billingtest.New(t)
		p := third.Submit(third.OpenInvoice("1.00").ID, referring(reference))
		equal(t, "seen", slices.Contains(signals(third.Detail(p.ID)), payments.SignalReferenceSeen), true)
	})
}

// What an approver is told costs the same number of statements for one payment and for many; the sentences hold what
// is counted.
func TestSignalSentences(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	other := w.OpenInvoice("10.00")
	w.Submit(w.OpenInvoice("10.00").ID, referring("TWICE "+other.Number))
	p := w.Submit(w.OpenInvoice("12.00").ID, referring("twice "+other.Number), func(in *payments.SubmitManualInput) { in.Amount = fixed(100) })
	sentences := map[string]string{}
	for _, s := range w.Detail(p.ID).List("data.signals") {
		m := s.(map[string]any)
		sentences[m["code"].(string)] = m["sentence"].(string)
	}
	for code, want := range map[string]string{
		payments.SignalReferenceUsed: "The same reference was used for 1 other payment(s).",
		payments.SignalOtherInvoice:  "The reference names another invoice: " + other.Number + ".",
		payments.SignalAmountDiffers: "The amount differs from the open balance of 12.00 USD.",
	} {
		equal(t, code, sentences[code], want)
	}
	for code, sentence := range sentences {
		if strings.Contains(sentence, "{{") {
			t.Errorf("%s: a placeholder is left: %s", code, sentence)
		}
	}
}

// Copies that somebody uploads for nothing push no receipt out of sight: neither its own twin nor, in a set, that of
// another payment. What the ladder asks for because of a signal, it asks for alone and in a set.
func TestFloodsHideNoReceipt(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	_, err := w.Decisions.SetLadder(w.Owner.Ctx, []decisions.Policy{
		{Rank: 1, Signal: payments.SignalSameReceipt, Approvals: 2, Permission: auth.BillingApprove},
		{Rank: 2, Approvals: 1, Permission: auth.BillingApprove}})
	if err != nil {
		t.Fatal(err)
	}
	submit := func(content string) uuid.UUID {
		return w.Submit(w.OpenInvoice("10.00").ID, receipt(w, w.Member, pdf(content))).ID
	}
	submit("one transfer")
	again, loud := submit("one transfer"), submit("loud")
	force(t, `INSERT INTO evidence (tenant_id, id, account_id, sha256, size_bytes, content_type, filename, storage_key, uploaded_by)
		SELECT e.tenant_id, gen_random_uuid(), e.account_id, e.sha256, e.size_bytes, e.content_type, e.filename, e.storage_key, e.uploaded_by
		FROM evidence AS e JOIN payment_evidence AS pe ON pe.tenant_id = e.tenant_id AND pe.evidence_id = e.id, generate_series(1, 120) WHERE e.tenant_id = ? AND pe.payment_id IN (?)`,
		w.Tenant.ID, bun.List([]uuid.UUID{again, loud}))
	if !strings.Contains(string(w.Detail(again).Raw), payments.SignalSameReceipt) {
		t.Error("the signal is gone")
	}
	for _, o := range w.Payments.BulkApprove(w.Approver.Ctx, []payments.BulkItem{{ID: again, Digest: w.Digest(again)}, {ID: loud, Digest: w.Digest(loud)}}, "") {
		if o.Err != nil {
			t.Errorf("%s: %v", o.ID, o.Err)
		}
	}
	equal(t, "the doubled receipt after one approval", w.Payment(again).Status, payments.StatusPendingApproval)
	equal(t, "the other", w.Payment(loud).Status, payments.StatusProcessing)
}
