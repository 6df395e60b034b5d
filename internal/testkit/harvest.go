package testkit

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"countersign/internal/carddata"
)

// Harvest registers the secrets of a request and its answer, and hears the answer of an error. A body that was read is
// given as it was sent.
func Harvest(r *http.Request, sent []byte, status int, answer []byte) {
	heard.harvest(r, sent, status, answer)
}

func (r *register) harvest(req *http.Request, sent []byte, status int, answer []byte) {
	if bearer, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer "); ok && len(bearer) > 20 { // shorter ones are nobody's
		r.secret(SecretToken, bearer)
	}
	switch contentType := req.Header.Get("Content-Type"); {
	case strings.HasPrefix(contentType, "application/x-www-form-urlencoded"):
		if form, err := url.ParseQuery(string(sent)); err == nil {
			for name, values := range form {
				if ofTenant(name) {
					continue
				}
				r.secret(kindOf(name), values...)
			}
		}
	default:
		r.body(sent)
	}
	narrow := strings.ReplaceAll(string(sent), "\x00", "") // in UTF-16 an id comes in single digits, and may look like a card's
	for _, text := range []string{narrow, req.URL.Path, req.URL.RawQuery} {
		for start, end, ok := carddata.Find(text); ok; start, end, ok = carddata.Find(text) {
			r.secret(SecretCard, text[start:end])
			text = text[end:]
		}
	}
	if status < 400 {
		r.secret(SecretToken, credential.FindAllString(string(answer), -1)...)
		return
	}
	place := placeAnswers
	if bytes.HasPrefix(bytes.TrimSpace(answer), []byte("<")) {
		place = placePages
	}
	r.keep(place, append(bytes.ReplaceAll(answer, []byte("\n"), []byte(" ")), '\n'))
}

// credential is the form of what the program gives out: tokens, sessions, and the addresses for callbacks.
var credential = regexp.MustCompile(`\b(?:cst|css|gwe)_[A-Za-z0-9_-]{64}`)

// body registers what stands in a JSON body under keys of secrets.
func (r *register) body(raw []byte) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var body any
	if dec.Decode(&body) == nil {
		r.walk(body, "")
	}
}

// walk goes through a body; kind is what all below is, if anything.
func (r *register) walk(node any, kind string) {
	switch node := node.(type) {
	case map[string]any:
		for key, below := range node {
			inner := kind
			if ofTenant(key) {
				continue
			}
			if named := kindOf(key); named != "" {
				inner = named
			}
			r.walk(below, inner)
		}
	case []any:
		for _, below := range node {
			r.walk(below, kind)
		}
	case string:
		r.secret(kind, node)
	case json.Number:
		r.secret(kind, node.String())
	}
}

// names are what secrets are called in requests.
var names = []struct {
	pattern *regexp.Regexp
	kind    string
}{
	{regexp.MustCompile(`password`), SecretPassword},
	{regexp.MustCompile(`secret|apikey`), SecretGateway},
	{regexp.MustCompile(`^paymentsource$`), SecretSource},
	{regexp.MustCompile(`sendernumber|phone|walletnumber|walletid|accountnumber|vouchernumber|msisdn|^iban$`), SecretPersonal},
}

// ofTenant says that a field tells where the tenant is paid, which he shows to whoever pays.
func ofTenant(name string) bool { return bare(name) == "bankdetails" || bare(name) == "walletdetails" }

func kindOf(name string) string {
	for _, n := range names {
		if n.pattern.MatchString(bare(name)) {
			return n.kind
		}
	}
	return ""
}

// recorded is a request's body, and what was read of it.
type recorded struct {
	io.ReadCloser
	read bytes.Buffer
}

// Read is the body's.
func (b *recorded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Write(p[:n])
	return n, err
}
