package main

import (
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"countersign/billing/billingtest"
	"countersign/billing/gateways"
	"countersign/internal/admin"
	"countersign/internal/testkit"
	"countersign/internal/web"
)

// The number that no other test of this package uses, as people write it and as it is looked for.
const (
	card       = "4242 4242 4242 4242"
	cardDigits = "4242424242424242"
)

// TestCards sends a card number to every route and every page of the console, in every place that a request has: every
// field of every body, query and form, also where an id or an amount is wanted, under keys that nobody knows, in keys,
// paths, file names and headers. It is always refused with card_data_rejected, changes nothing, and is given back by no answer and
// no file's name (S1-14, S1-65, S0D-24). That it is in no table and in no line of the log is seen when all tests have run, by the
// search for what they have used. A new route or page is in it by itself.
func TestCards(t *testing.T) {
	t.Parallel()
	testkit.Secret(testkit.SecretCard, card)
	e := newEstate(t)
	var sounds []soundRoute
	for _, route := range e.project.routes() {
		if route.Request != nil && route.Path != "/billing/evidence/" {
			sounds = append(sounds, soundRoute{route, soundFor(t, e, route, "UZ")})
		}
	}
	invoice := e.finalized(e.First)
	browser := e.Browse(e.Handler, e.Owner)
	rows, files := everything(t, e), e.files(t)
	t.Run("bodies", func(t *testing.T) {
		for _, s := range sounds {
			s.cardsInBody(t)
		}
	})
	t.Run("calls without a body", func(t *testing.T) { e.cardsWithoutBody(t) })
	t.Run("addresses", func(t *testing.T) { e.cardsInAddresses(t) })
	t.Run("forms with files", func(t *testing.T) { e.cardsInFiles(t, invoice) })
	t.Run("console", func(t *testing.T) { e.cardsInConsole(t, browser) })
	if diff := gocmp.Diff(rows, everything(t, e)); diff != "" {
		t.Errorf("something has changed: %s", diff)
	}
	if diff := gocmp.Diff(files, e.files(t)); diff != "" {
		t.Errorf("files have been kept: %s", diff)
	}

	t.Run("headers", func(t *testing.T) { // last, since they hinder no request where they are not kept
		refused := 0
		for _, s := range sounds {
			s.sound = soundFor(t, e, s.Route, "BD") // what was made before the others may have changed with them
			refused += s.cardsInHeaders(t)
		}
		if refused < 5 {
			t.Errorf("only %d calls keep an idempotency key", refused)
		}
	})
	t.Run("callbacks", func(t *testing.T) { e.cardsInCallbacks(t) }) // which are taken, and change what they are about
	for _, name := range e.files(t) {
		if strings.Contains(bare(name), cardDigits) {
			t.Errorf("the card number is in the file name %s", name)
		}
	}
}

// bare leaves of a text what a card number is made of, however it was written.
func bare(text string) string {
	return strings.NewReplacer(" ", "", "-", "", "+", "", "%20", "").Replace(text)
}

// rejected wants the refusal, with the field where one is given, and nothing of the number in it.
func rejected(t *testing.T, what string, a testkit.Answer, field string) {
	t.Helper()
	fields, _ := a.Body["errors"].(map[string]any)
	switch {
	case a.Status != http.StatusBadRequest || a.Body["code"] != "card_data_rejected":
		t.Errorf("%s: %d %.300s", what, a.Status, a.Raw)
	case len(fields) == 0 || field != "" && fields[field] == nil:
		t.Errorf("%s: the refusal does not name %s: %.300s", what, field, a.Raw)
	}
	for name, values := range a.Header {
		if strings.Contains(bare(strings.Join(values, " ")), cardDigits) {
			t.Errorf("%s: the header %s gives it back", what, name)
		}
	}
	if strings.Contains(bare(string(a.Raw)), cardDigits) {
		t.Errorf("%s: the answer gives it back: %.300s", what, a.Raw)
	}
}

// soundRoute is a route with a request that it would accept.
type soundRoute struct {
	web.Route
	sound
}

func (s soundRoute) String() string { return s.Method + " " + s.Path }

func (s soundRoute) cardsInBody(t *testing.T) {
	t.Helper()
	send := s.sender(t, s.Route)
	for _, at := range slots(reflect.TypeOf(s.Request), nil) {
		for raw, inner := range map[string]string{quoted(card): "", quoted("my card: 4242-4242-4242-4242, thanks"): "", quoted("৪২৪২৪২৪২৪২৪২৪২৪২"): "", cardDigits: "",
			`{"deep":[{"a":` + quoted(card) + `}]}`: ".deep.0.a", `{` + quoted(card) + `:1}`: ".[card number]", `[` + quoted(card) + `]`: ".0", `{"cardNumber":"4242 4242 4242 4241"}`: ".cardNumber"} {
			rejected(t, s.String()+" with "+raw+" as "+at.name(), send(jsonType, at.with(t, s.body, raw)), at.name()+inner)
		}
	}
	right := jsonOf(t, s.body)
	for what, more := range map[string]string{"nonsense": `"nonsense":` + quoted(card), "nonsense.a": `"nonsense":{"a":` + quoted(card) + `}`, "[card number]": quoted(card) + `:1`, "cvv": `"cvv":"123"`,
		"nonsense.CVC2": `"nonsense":{"CVC2":123}`} {
		rejected(t, s.String()+" with "+what, send(jsonType, strings.Replace(strings.Replace(right, "{", "{"+more+",", 1), ",}", "}", 1)), what)
	}
}

// cardsInHeaders sends what is right with a card number in headers, and says whether the idempotency key was refused.
func (s soundRoute) cardsInHeaders(t *testing.T) (refused int) {
	t.Helper()
	s.client = s.client.With("User-Agent", "Browser/1.0 "+card).With("X-Request-ID", cardDigits).With("Referer", "https://shop.test/?q="+cardDigits).With("Accept-Language", cardDigits)
	right := jsonOf(t, s.body)
	keyed := s
	keyed.client = s.client.With("Idempotency-Key", "pay-"+cardDigits)
	if got := keyed.sender(t, s.Route)(jsonType, right); got.Status >= 300 {
		rejected(t, s.String()+" with an idempotency key", got, "Idempotency-Key")
		refused++
		if got := s.sender(t, s.Route)(jsonType, right); got.Status >= 300 {
			t.Errorf("%s with headers that are nobody's business: %d %.300s", s, got.Status, got.Raw)
		}
	}
	return refused
}

// cardsWithoutBody sends a body to calls that have none.
func (e *estate) cardsWithoutBody(t *testing.T) {
	t.Helper()
	for _, route := range e.project.routes() {
		if route.Method == http.MethodGet || route.Method == http.MethodDelete || route.Request != nil || route.Files != "" {
			continue
		}
		r := httptest.NewRequestWithContext(t.Context(), route.Method, e.addressOf(t, route), strings.NewReader(`{"notes":`+quoted(card)+`}`))
		r.Header.Set("Content-Type", jsonType)
		rejected(t, route.Method+" "+route.Path, e.As(e.Owner).Do(r), "notes")
	}
}

func (e *estate) addressOf(t *testing.T, route web.Route) string {
	t.Helper()
	path := strings.ReplaceAll(apiPrefix+route.Path, "{name}", e.Task)
	if strings.Contains(path, "{id}") {
		path = strings.ReplaceAll(path, "{id}", e.id(t, route.Path, e.First))
	}
	return path
}

// cardsInAddresses puts the number in every part of every path and in every parameter, and does so as nobody too.
func (e *estate) cardsInAddresses(t *testing.T) {
	t.Helper()
	for _, client := range []*testkit.Client{e.As(e.Owner), e.As(e.Member), e.Anonymous()} {
		send := func(what, method, address, field string) {
			t.Helper()
			rejected(t, what+" "+address, client.Do(httptest.NewRequestWithContext(t.Context(), method, address, nil)), field)
		}
		for _, route := range e.project.routes() {
			if pattern := apiPrefix + route.Path; strings.Contains(pattern, "{") {
				for _, written := range []string{cardDigits, url.PathEscape(card), "ref-" + cardDigits} {
					send(route.Method, route.Method, strings.NewReplacer("{id}", written, "{name}", written).Replace(pattern), "path")
				}
			}
			names := []string{"search", "nonsense"}
			for _, spec := range []*web.ListSpec{route.List, route.Query} {
				if spec != nil {
					names = append(names, "page", "page_size", "cursor", "ordering")
					for _, f := range spec.Filters {
						names = append(names, f.Name)
					}
				}
			}
			address := e.addressOf(t, route) + "?"
			for _, name := range names {
				send(route.Method, route.Method, address+name+"="+url.QueryEscape(card), name)
			}
			send(route.Method, route.Method, address+"page=1&search=a&search="+cardDigits, "search")
			send(route.Method, route.Method, address+url.QueryEscape(card)+"=1", "[card number]")
			send(route.Method, route.Method, address+"cvv=123", "cvv")
		}
		for _, address := range []string{"/" + cardDigits, "/api/v1/" + cardDigits + "/", "/api/docs/?q=" + cardDigits, "/api/schema/?q=" + cardDigits, "/healthz?q=" + cardDigits, "/readyz?q=" + cardDigits,
			"/version?q=" + cardDigits, "/metrics?q=" + cardDigits, "/?q=" + cardDigits} {
			send("GET", http.MethodGet, address, "")
		}
	}
}

// cardsInFiles sends forms with the number in every part but the content of a file.
func (e *estate) cardsInFiles(t *testing.T, invoice string) {
	t.Helper()
	receipt := string(picture(t))
	send := func(path string, parts ...part) testkit.Answer {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, base+path, strings.NewReader(multipartOf(parts...)))
		r.Header.Set("Content-Type", `multipart/form-data; boundary="`+boundary+`"`)
		return e.As(e.Member).With("Idempotency-Key", "cards").Do(r)
	}
	for path, field := range map[string]string{"/evidence/": "file", "/payments/manual/": "evidence"} {
		whole := []part{file(field, "a.png", receipt)}
		if field == "evidence" {
			whole = append(whole, value("invoice_id", invoice), value("payment_method", "bank_transfer"), value("transaction_reference", "CARDS 1"))
		}
		for _, name := range []string{cardDigits + ".png", "scan " + card + ".png", "a_4242-4242-4242-4242_b.png", "dir/" + cardDigits + ".png", cardDigits} {
			rejected(t, path+" with a file "+name, send(path, append(slices.Clone(whole), file(field, name, receipt))...), field)
		}
		rejected(t, path+" with a file in a field of that name", send(path, append(slices.Clone(whole), file(card, "a.png", receipt))...), "[card number]")
		rejected(t, path+" with a field of that name", send(path, append(slices.Clone(whole), value(card, "1"))...), "[card number]")
		for _, name := range []string{"nonsense", "account_id", "invoice_id", "payment_method", "transaction_reference", "notes", "amount", "amount_minor", "currency", "paid_at", "evidence_ids", "retry_of", "details"} {
			parts := slices.DeleteFunc(slices.Clone(whole), func(p part) bool { return strings.Contains(p.head, `"`+name+`"`) })
			rejected(t, path+" with "+name, send(path, append(parts, value(name, card))...), name)
		}
		rejected(t, path+" with a security code", send(path, append(slices.Clone(whole), value("cvv", "123"))...), "cvv")
	}
}

// cardsInConsole opens every page with the number in its address, and sends every form with it in every field.
func (e *estate) cardsInConsole(t *testing.T, browser *billingtest.Browser) {
	t.Helper()
	refused := func(what string, p billingtest.Page) {
		t.Helper()
		if p.Status != http.StatusBadRequest || !strings.Contains(html.UnescapeString(p.Body), web.ErrCardData.Text) && !strings.Contains(p.Body, "card_data_rejected") {
			t.Errorf("%s: %d to %q: %.300s", what, p.Status, p.Location, p.Text())
		}
		if strings.Contains(bare(html.UnescapeString(p.Body)+p.Location+strings.Join(p.Header["Set-Cookie"], "")), cardDigits) {
			t.Errorf("%s gives it back: %.300s", what, p.Text())
		}
	}
	fields := map[string]map[string]bool{} // of every form, by where it goes
	for _, p := range e.project.pages() {
		address := p.at(e.pageID(t, p.Path, e.First), e.Task)
		if p.Method == http.MethodPost {
			if fields[address] == nil {
				fields[address] = map[string]bool{}
			}
			continue
		}
		for _, visitor := range []*billingtest.Browser{browser, e.Browse(e.Handler, nil)} {
			for _, name := range []string{"search", "status", "account", "id", "next", "nonsense"} {
				refused("GET "+address+" with "+name, visitor.Get(address+"?"+name+"="+url.QueryEscape(card)))
			}
		}
		if strings.Contains(p.Path, "{id}") {
			refused("GET "+p.Path, browser.Get(p.at(cardDigits, cardDigits)))
		}
		if p.Public || p.Path == admin.Base {
			continue
		}
		for _, f := range formsOf(answer{browser.Get(address)}) {
			if fields[f.action] == nil {
				fields[f.action] = map[string]bool{}
			}
			for _, in := range f.fields {
				fields[f.action][in.name] = true
			}
		}
	}
	sent := 0
	for action, names := range fields {
		for _, name := range slices.Sorted(maps.Keys(names)) {
			refused("POST "+action+" with "+name, browser.Post(action, url.Values{name: {card}}))
			sent++
		}
		refused("POST "+action+" with an unknown field", browser.Post(action, url.Values{"nonsense": {"a", card}}))
		refused("POST "+action+" with a name", browser.Post(action, url.Values{card: {"a"}}))
		refused("POST "+action+" with a security code", browser.Post(action, url.Values{"cvv": {"123"}}))
	}
	if sent < 50 {
		t.Errorf("only %d fields of forms were found", sent)
	}
	for _, path := range []string{"login/", "preferences/"} {
		for _, name := range []string{"email", "password", "tenant", "next", "language", "theme"} {
			refused("POST "+path+" with "+name, e.Browse(e.Handler, nil).Post(path, url.Values{name: {card}}))
		}
	}
}

// cardsInCallbacks has a tenant's own processor say card data in every place that a message has, of payments that fail and
// of one that is paid. What it says otherwise counts.
func (e *estate) cardsInCallbacks(t *testing.T) {
	t.Helper()
	owner := e.As(e.Owner)
	const secret = "the secret of acme's own processor"
	path := owner.Get(base + "/gateways/acme/").Expect(http.StatusOK).Text("data.callback_path")
	tell := func(format string) string {
		t.Helper()
		made := owner.With("Idempotency-Key", uuid.NewString()).Post(base+"/payments/", map[string]any{"gateway": "acme", "amount": "10.00", "currency": "USD"}).Expect(http.StatusCreated)
		id := made.Text("data.id")
		text := strings.NewReplacer("ID", id, "CARD", card, "DIGITS", cardDigits).Replace(format)
		client := e.Anonymous().With("Countersign-Signature", gateways.Sign(secret, e.Clock.Now(), []byte(text))).With("X-Note", card)
		for range 2 { // and once more, which finds it
			client.Post(path, text).Expect(http.StatusOK)
		}
		return id
	}
	for field, more := range map[string]string{"id": `"id":"DIGITS"`, "reference": `"reference":"CARD"`, "error_code": `"error_code":"DIGITS"`, "error_code as a number": `"error_code":DIGITS`,
		"error_note": `"error_note":"CARD cvv 987"`, "unknown ones": `"cvv":"987","pan":"DIGITS","x":{"DIGITS":"CARD"}`} {
		id := tell(`{"payment_id":"ID","status":"failed",` + more + `}`)
		got := owner.Get(base + "/payments/" + id + "/").Expect(http.StatusOK)
		if reason, _ := got.At("data.failure_reason").(string); got.Text("data.status") != "failed" || strings.Contains(reason, "987") {
			t.Errorf("%s: %s", field, got.Raw)
		}
	}
	id := tell(`{"payment_id":"ID","status":"paid","reference":"DIGITS","data":{"cvv":"987","CVC":987,"DIGITS":"a","order":"A-1","card":"CARD","n":DIGITS,"list":["CARD",{"text":"cvv 987"}]}}`)
	got := owner.Get(base + "/payments/" + id + "/").Expect(http.StatusOK)
	want := map[string]any{"data": map[string]any{"[card number]": "a", "order": "A-1", "card": "[card number]", "n": "[card number]", "list": []any{"[card number]", map[string]any{"text": "cvv [security code]"}}}}
	if diff := gocmp.Diff(want, got.At("data.details")); diff != "" || got.Text("data.status") != "succeeded" {
		t.Errorf("%s: %s", got.Text("data.status"), diff)
	}
}
