package main

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"countersign/internal/testkit"
)

// part is one part of a multipart form, as its bytes are.
type part struct{ head, body string }

func value(name, text string) part { return part{`form-data; name="` + name + `"`, text} }

func file(name, filename, content string) part {
	return part{`form-data; name="` + name + `"; filename="` + filename + `"`, content}
}

const boundary = "----a-boundary"

// multipartOf writes a form by hand, because the library's writer makes only right ones.
func multipartOf(parts ...part) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("--" + boundary + "\r\nContent-Disposition: " + p.head + "\r\n\r\n" + p.body + "\r\n")
	}
	return b.String() + "--" + boundary + "--\r\n"
}

type wrongForm struct{ path, contentType, body string }

// TestBadForms sends wrong forms to both calls that take receipts. None leaves a row or a file.
func TestBadForms(t *testing.T) {
	t.Parallel()
	e := newEstate(t)
	j := judge{codes: listedCodes(t)}
	invoice, receipt := e.finalized(e.First), string(picture(t))
	send := func(path, contentType, body string) testkit.Answer {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, base+path, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		return e.As(e.Member).Do(r)
	}
	form := `multipart/form-data; boundary="` + boundary + `"`
	claim := func(more ...part) []part {
		return append([]part{value("invoice_id", invoice), value("payment_method", "bank_transfer"), value("transaction_reference", "FORM 1")}, more...)
	}
	var eleven []part
	for range 11 {
		eleven = append(eleven, file("evidence", "a.png", receipt))
	}
	cases := map[string]wrongForm{}
	for name, parts := range map[string][]part{
		"an unknown part":                    claim(value("nonsense", "1")),
		"an unknown part with a file":        claim(file("nonsense", "a.png", receipt)),
		"a file in a field of text":          claim(file("notes", "a.png", receipt)),
		"a part without a name":              claim(part{"form-data", "1"}),
		"a part that is no form data":        claim(part{"attachment; filename=a.png", receipt}),
		"a text for a file":                  claim(value("evidence", "receipt.png")),
		"a file that is empty":               claim(file("evidence", "a.png", "")),
		"a page that says it is a PNG":       claim(file("evidence", "a.png", "<html><script>alert(1)</script></html>")),
		"an SVG that says it is a PNG":       claim(file("evidence", "a.png", `<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`)),
		"more files than are allowed":        claim(eleven...),
		"one good file and one bad":          claim(file("evidence", "a.png", receipt), file("evidence", "b.png", "<html>")),
		"a NUL in a text":                    claim(value("notes", "a\x00b")),
		"bytes that are no text":             claim(value("notes", "a\xffb")),
		"a text that is too long":            claim(value("notes", strings.Repeat("x", 1001))),
		"a text of a megabyte":               claim(value("notes", strings.Repeat("x", 1<<20))),
		"a field twice":                      claim(value("payment_method", "local_wallet")),
		"an amount with an exponent":         claim(value("amount", "1e2")),
		"an amount with too many digits":     claim(value("amount", "1.001")),
		"a whole number that is none":        claim(value("amount_minor", "1.5")),
		"a whole number with a sign":         claim(value("amount_minor", "+150")),
		"a list of ids that are none":        claim(value("evidence_ids", "x"), value("evidence_ids", "y")),
		"an object":                          claim(value("details", `{"bank_name":"x"}`)),
		"a key as PHP writes it":             claim(value("details[bank_name]", "x")),
		"a card number":                      claim(value("notes", "4111 1111 1111 1111")),
		"no invoice":                         {value("payment_method", "bank_transfer"), value("transaction_reference", "FORM 1"), file("evidence", "a.png", receipt)},
		"nothing":                            {},
		"a hundred and one parts":            claim(make([]part, 101)...),
		"a file's name with a path and HTML": claim(file("evidence", "../../etc/a.png", "<html>")),
		"a file's name with a path":          claim(file("evidence", "../../etc/a.png", receipt)),
	} {
		cases["a submission with "+name] = wrongForm{"/payments/manual/", form, multipartOf(parts...)}
	}
	whole := multipartOf(claim(file("evidence", "a.png", receipt))...)
	for name, c := range map[string]struct{ contentType, body string }{
		"another boundary":               {"multipart/form-data; boundary=another", whole},
		"no boundary":                    {"multipart/form-data", whole},
		"a boundary that is none":        {`multipart/form-data; boundary=""`, whole},
		"a boundary that is too long":    {"multipart/form-data; boundary=" + strings.Repeat("b", 100), whole},
		"no end":                         {form, strings.TrimSuffix(whole, "--"+boundary+"--\r\n")},
		"half a file":                    {form, whole[:len(whole)-len(receipt)/2]},
		"half a head":                    {form, whole[:60]},
		"nothing at all":                 {form, ""},
		"JSON that says it is a form":    {form, `{"invoice_id":"x"}`},
		"a form that says it is JSON":    {jsonType, whole},
		"mixed parts":                    {strings.Replace(form, "form-data", "mixed", 1), whole},
		"a head that never ends":         {form, "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + strings.Repeat("n", 1<<20)},
		"a form of a browser's old kind": {"application/x-www-form-urlencoded", "invoice_id=" + invoice},
	} {
		cases["a submission with "+name] = wrongForm{"/payments/manual/", c.contentType, c.body}
		if name != "a form that says it is JSON" {
			cases["an upload with "+name] = wrongForm{"/evidence/", c.contentType, strings.ReplaceAll(c.body, `name="evidence"`, `name="file"`)}
		}
	}
	for name, parts := range map[string][]part{
		"two files":                  {file("file", "a.png", receipt), file("file", "b.png", receipt)},
		"no file":                    {},
		"an empty file":              {file("file", "a.png", "")},
		"an unknown part":            {file("file", "a.png", receipt), value("nonsense", "1")},
		"the file in another field":  {file("evidence", "a.png", receipt)},
		"an account of his own":      {file("file", "a.png", receipt), value("account_id", e.Second.Account)},
		"a page that says it is PNG": {file("file", "a.png", "<!doctype html>")},
		"a path as its name":         {file("file", "../../etc/passwd.png", receipt)},
		"a path of another system":   {file("file", `C:\\Users\\me\\receipt.png`, receipt)},
	} {
		cases["an upload with "+name] = wrongForm{"/evidence/", form, multipartOf(parts...)}
	}
	rows, kept := everything(t, e), e.files(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { j.refused(t, name, send(c.path, c.contentType, c.body), "") })
	}
	if diff := gocmp.Diff(rows, everything(t, e)); diff != "" {
		t.Errorf("something has changed: %s", diff)
	}
	if diff := gocmp.Diff(kept, e.files(t)); diff != "" {
		t.Errorf("files have been kept: %s", diff)
	}

	t.Run("a file without a name is as good", func(t *testing.T) {
		got := send("/payments/manual/", form, multipartOf(claim(value("evidence", string(picture(t))))...)).Expect(http.StatusCreated)
		if got.Text("data.status") != "pending_approval" {
			t.Errorf("got %s", got.Raw)
		}
	})
}

// files are those that the program has stored.
func (e *estate) files(t *testing.T) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(os.DirFS(e.project.settings.DataDir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, filepath.Join(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("there is no file where the estate's receipts should be")
	}
	return found
}
