package stripe_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

type object = map[string]any

// fake is as much of Stripe as the adapter uses, with a memory: objects live behind the key of their account, and answers
// are kept by idempotency key.
type fake struct {
	*httptest.Server
	mu       sync.Mutex
	intents  map[string]object // by id
	owners   map[string]string // id → secret key
	answers  map[string]answer // secret key and idempotency key → what was answered
	dropped  map[string]int    // answers that were not sent, by idempotency key
	moved    map[string]int    // order → how often money was taken or held
	missing  []string          // POSTs without a key
	searches bool              // whether the search knows anything
	next     int
}

type answer struct {
	request string
	status  int
	body    object
}

func newFake(t testing.TB) *fake {
	f := &fake{intents: map[string]object{}, owners: map[string]string{}, answers: map[string]answer{}, dropped: map[string]int{}, moved: map[string]int{}, searches: true}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

// dropAfter is how many answers of a payer with tok_drop get lost: as many as the client makes attempts.
const dropAfter = 3

// ServeHTTP implements http.Handler.
func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if err := r.ParseForm(); err != nil || !ok || r.Header.Get("Stripe-Version") != "2023-10-16" {
		write(w, refused(http.StatusBadRequest, "bad_request", ""))
		return
	}
	if strings.HasSuffix(key, "_revoked") {
		write(w, refused(http.StatusUnauthorized, "api_key_expired", ""))
		return
	}
	if r.Method == http.MethodGet {
		write(w, f.read(key, r))
		return
	}
	once := r.Header.Get("Idempotency-Key")
	if once == "" {
		f.missing = append(f.missing, r.URL.Path)
	}
	request := r.URL.Path + "?" + r.PostForm.Encode()
	known, repeated := f.answers[key+once]
	switch {
	case repeated && known.request != request:
		write(w, answer{status: http.StatusBadRequest, body: object{"error": object{"type": "idempotency_error", "message": "Keys for idempotent requests can only be used with the same parameters."}}})
		return
	case !repeated:
		known = f.act(key, r)
		known.request = request
		f.answers[key+once] = known
	}
	if r.PostForm.Get("payment_method") == "pm_of_tok_drop" && f.dropped[once] < dropAfter {
		f.dropped[once]++
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			conn.Close()
		}
		return
	}
	write(w, known)
}

func write(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Request-Id", "req_fake")
	w.WriteHeader(a.status)
	json.NewEncoder(w).Encode(a.body)
}

func refused(status int, code, param string) answer {
	return answer{status: status, body: object{"error": object{"type": "invalid_request_error", "code": code, "param": param, "message": "refused by the fake",
		"payment_intent": object{"id": "pi_x", "client_secret": "pi_x_secret_hush"}}}}
}

func (f *fake) read(key string, r *http.Request) answer {
	id := strings.TrimPrefix(r.URL.Path, "/v1/payment_intents/")
	if id != "search" {
		return f.show(key, id)
	}
	found := []object{}
	for id, pi := range f.intents {
		if f.searches && f.owners[id] == key && r.Form.Get("query") == fmt.Sprintf("metadata['countersign_payment']:'%s'", pi["metadata"].(object)["countersign_payment"]) {
			found = append(found, pi)
		}
	}
	return answer{status: http.StatusOK, body: object{"object": "search_result", "data": found, "has_more": false, "url": "/v1/payment_intents/search"}}
}

func (f *fake) show(key, id string) answer {
	if f.owners[id] != key {
		return refused(http.StatusNotFound, "resource_missing", "intent")
	}
	return answer{status: http.StatusOK, body: copied(f.intents[id])}
}

// copied keeps an answer from changing with the object.
func copied(o object) (c object) {
	raw, err := json.Marshal(o)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil {
		panic(err)
	}
	return c
}

func (f *fake) act(key string, r *http.Request) answer {
	form, path := r.PostForm, strings.TrimPrefix(r.URL.Path, "/v1/")
	parts := strings.Split(path, "/")
	switch {
	case path == "payment_methods":
		if form.Get("card[token]") == "tok_nobody_knows" {
			return refused(http.StatusBadRequest, "resource_missing", "card[token]")
		}
		return answer{status: http.StatusOK, body: object{"id": "pm_of_" + form.Get("card[token]"), "object": "payment_method", "type": "card"}}
	case path == "payment_intents":
		return f.create(key, form)
	case path == "refunds":
		return f.refund(key, form)
	case len(parts) == 3 && f.owners[parts[1]] == key:
		return f.change(f.intents[parts[1]], parts[2], form)
	}
	return refused(http.StatusNotFound, "resource_missing", "intent")
}

func units(form url.Values, name string) int64 {
	n, err := strconv.ParseInt(form.Get(name), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func (f *fake) create(key string, form url.Values) answer {
	f.next++
	id := fmt.Sprintf("pi_%d", f.next)
	order, amount := form.Get("metadata[countersign_payment]"), units(form, "amount")
	pi := object{"id": id, "object": "payment_intent", "amount": amount, "amount_capturable": 0, "amount_received": amount, "currency": form.Get("currency"), "status": "succeeded",
		"metadata": object{"countersign_payment": order}, "client_secret": id + "_secret_hush", "latest_charge": object{"id": "ch_" + id, "object": "charge", "currency": form.Get("currency"), "amount_refunded": 0}}
	f.intents[id], f.owners[id] = pi, key
	switch form.Get("payment_method") {
	case "pm_of_tok_decline", "pm_of_tok_poor", "pm_of_tok_old":
		code := map[string][2]string{"pm_of_tok_decline": {"card_declined", "generic_decline"}, "pm_of_tok_poor": {"card_declined", "insufficient_funds"}, "pm_of_tok_old": {"expired_card", ""}}[form.Get("payment_method")]
		failed := object{"type": "card_error", "code": code[0], "decline_code": code[1], "message": "Your card was declined."}
		pi["status"], pi["amount_received"], pi["last_payment_error"] = "requires_payment_method", 0, failed
		shown := copied(failed)
		shown["payment_intent"] = copied(pi)
		return answer{status: http.StatusPaymentRequired, body: object{"error": shown}}
	case "pm_of_tok_3ds":
		pi["status"], pi["amount_received"] = "requires_action", 0
		pi["next_action"] = object{"type": "redirect_to_url", "redirect_to_url": object{"url": "https://hooks.stripe.com/3ds/" + id, "return_url": form.Get("return_url")}}
		return answer{status: http.StatusOK, body: copied(pi)}
	}
	f.moved[order]++
	if form.Get("capture_method") == "manual" {
		pi["status"], pi["amount_received"], pi["amount_capturable"] = "requires_capture", 0, amount
	}
	return answer{status: http.StatusOK, body: copied(pi)}
}

func (f *fake) change(pi object, what string, form url.Values) answer {
	wrongState := refused(http.StatusBadRequest, "payment_intent_unexpected_state", "")
	switch what {
	case "capture":
		amount := units(form, "amount_to_capture")
		if pi["status"] != "requires_capture" {
			return wrongState
		}
		if amount > pi["amount_capturable"].(int64) {
			return refused(http.StatusBadRequest, "amount_too_large", "amount_to_capture")
		}
		pi["status"], pi["amount_received"], pi["amount_capturable"] = "succeeded", amount, 0
	case "cancel":
		if pi["status"] == "succeeded" || pi["status"] == "canceled" {
			return wrongState
		}
		pi["status"], pi["amount_capturable"] = "canceled", 0
	}
	return answer{status: http.StatusOK, body: copied(pi)}
}

func (f *fake) refund(key string, form url.Values) answer {
	id := form.Get("payment_intent")
	if f.owners[id] != key {
		return refused(http.StatusNotFound, "resource_missing", "payment_intent")
	}
	pi := f.intents[id]
	charge := pi["latest_charge"].(object)
	amount, before := units(form, "amount"), toInt(charge["amount_refunded"])
	if pi["status"] != "succeeded" || amount <= 0 || before+amount > toInt(pi["amount_received"]) {
		return refused(http.StatusBadRequest, "charge_already_refunded", "amount")
	}
	charge["amount_refunded"] = before + amount
	f.next++
	return answer{status: http.StatusOK, body: object{"id": fmt.Sprintf("re_%d", f.next), "object": "refund", "amount": amount, "status": "succeeded", "payment_intent": copied(pi)}}
}

func toInt(v any) int64 {
	switch v := v.(type) {
	case int:
		return int64(v)
	case int64:
		return v
	}
	return -1
}
