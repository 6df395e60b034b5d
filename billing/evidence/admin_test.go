package evidence_test

import (
	"net/http"
	"strings"
	"testing"

	"countersign/billing/billingtest"
)

func TestConsole(t *testing.T) {
	t.Parallel()
	w, neighbour := billingtest.New(t), billingtest.New(t)
	upload := func(content []byte, name string) string {
		return w.As(w.Member).PostFile(billingtest.Base+"/billing/evidence/", "file", name, content, nil).Expect(http.StatusCreated).Text("data.id")
	}
	picture, document := upload(asPNG(t, photo(7, 64, 64)), "receipt.png"), upload([]byte("%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer<<>>\n%%EOF\n"), "order.pdf")
	site := w.Console()
	b := w.Browse(site, w.Viewer)
	got := b.Get("evidence/" + picture + "/?inline=1").Expect(http.StatusOK)
	for name, want := range map[string]string{"Content-Type": "image/png", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'",
		"Cross-Origin-Resource-Policy": "same-origin"} {
		if got.Header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Header.Get(name), want)
		}
	}
	if disposition := got.Header.Get("Content-Disposition"); !strings.HasPrefix(disposition, "inline") {
		t.Errorf("a picture beside a claim is sent as %q", disposition)
	}
	if disposition := b.Get("evidence/" + document + "/?inline=1").Header.Get("Content-Disposition"); !strings.HasPrefix(disposition, "attachment") {
		t.Errorf("a document is sent as %q", disposition)
	}
	w.Browse(site, nil).Get("evidence/" + picture + "/").Expect(http.StatusSeeOther)
	w.Browse(site, w.Member).Get("evidence/" + picture + "/").Expect(http.StatusForbidden)
	neighbour.Browse(neighbour.Console(), neighbour.Owner).Get("evidence/" + picture + "/").Expect(http.StatusNotFound)
}
