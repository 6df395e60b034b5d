package testkit

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"countersign/internal/database"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

const word = "+880 1711-223344 & “sons”"

func TestSpellings(t *testing.T) {
	t.Parallel()
	r := newRegister()
	r.secret(SecretPersonal, word)
	f := r.finder()
	count := func(line string) (n int) {
		f.find([]byte(line), func(int, int, string) { n++ })
		return n
	}
	quoted, _ := json.Marshal(word)
	for name, line := range map[string]string{
		"as it is":            "sent from " + word + ".",
		"without marks":       "x8801711223344“SONS”x",
		"in JSON":             string(quoted),
		"in HTML":             html.EscapeString(word),
		"in an address":       "/pay?from=" + url.QueryEscape(word),
		"in a path":           "/pay/" + url.PathEscape(word),
		"in bytes of a table": `\\x` + hex.EncodeToString([]byte("a"+word)),
		"in base64":           base64.StdEncoding.EncodeToString([]byte(word)),
		"in base64 of more":   base64.StdEncoding.EncodeToString([]byte("ab" + word + "c")),
		"in base64 of a list": base64.URLEncoding.EncodeToString([]byte(`["` + word + `","x"]`)),
	} {
		if count(line) == 0 {
			t.Errorf("%s it is not found: %s", name, line)
		}
	}
	for name, line := range map[string]string{"another": "8801711223345 sons", "a part": "8801711223344", "over two columns": "880 1711-22\t3344 & “sons”"} {
		if count(line) != 0 {
			t.Errorf("%s is taken for it: %s", name, line)
		}
	}
	if got, want := f.cover([]byte("from "+word+" to "+word+"\n")), "from +[a payer's number] to +[a payer's number]\n"; got != want {
		t.Errorf("covered: %q", got)
	}
	r.secret(SecretPersonal, "12345", "123456789", "ab-cd-e", "••••1234567890")
	if count("12345 123456789 abcde ••••1234567890") != 0 {
		t.Error("what is too short, or masked, is taken for a secret")
	}
}

// TestLeaks plants secrets where a program could leak them, and sees them named.
func TestLeaks(t *testing.T) {
	t.Parallel()
	r := newRegister()
	url := NewDatabase(t)
	db, err := database.Open(database.Config{URL: url, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	for _, statement := range []string{"CREATE SCHEMA more", "CREATE TABLE more.notes (id int, note text, raw bytea)", "CREATE TABLE clean (note text)", "INSERT INTO clean VALUES ('nothing')",
		"INSERT INTO more.notes SELECT n, 'a' || chr(9) || chr(10) || 'b\\', '' FROM generate_series(1, 1000) n", "INSERT INTO more.notes VALUES (0, 'my correct-horse', convert_to('{\"p\":\"4242424242424242\"}', 'UTF8'))",
		"CREATE TABLE payment_orders (source text, provider_id text)", "INSERT INTO payment_orders VALUES ('tok_of_somebody', 'tok_of_somebody')"} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(statement, err)
		}
	}
	c := &Client{t: t, heard: r, handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		if req.URL.Path == "/made/" {
			fmt.Fprintf(w, "cst_%s", strings.Repeat("made", 16))
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, "I do not like %s of %s", body, req.Header.Get("Authorization"))
	})}
	c.As("cst_"+strings.Repeat("sent", 16)).Post("/refused/", map[string]any{"new_password": "correct horse", "wallet_details": map[string]any{"wallet_number": "0171-000000-9"}})
	c.Post("/made/", map[string]any{"details": map[string]any{"sender_number": "01711-223344"}, "secrets": map[string]any{"any": "the processor's"}, "payment_source": "tok_of_somebody", "note": "4242-4242-4242-4242"})
	r.logger().Debug("signed in", "token", "cst_"+strings.Repeat("made", 16))
	r.voice(placeQueue).Write([]byte(`{"from":"01711 223344"}` + "\n"))

	leaks, err := r.searchDatabase(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, l := range append(leaks, r.searchVoices()...) {
		got[l.kind+" is in "+l.place] = true
		for _, secret := range []string{"correct", "sentsent", "mademade", "223344"} {
			if strings.Contains(l.String(), secret) {
				t.Errorf("the report gives it away: %s", l)
			}
		}
	}
	want := map[string]bool{"a password is in more.notes.note": true, "a card number is in more.notes.raw": true, "a payer's token is in payment_orders.provider_id": true,
		"a credential is in the answers of errors": true, "a credential is in the log": true, "a payer's number is in the queue": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestHarvestedCards: a card is registered however the request is encoded, and an id whose digits could be a card's in none.
func TestHarvestedCards(t *testing.T) {
	t.Parallel()
	const id, card = "01a20a56-ce04-7770-9201-315352338b20", "4242424242424242"
	for name, encode := range map[string]func(string) string{"UTF-8": func(text string) string { return text }, "UTF-16": func(text string) string {
		return "\xff\xfe" + strings.Join(strings.Split(text, ""), "\x00") + "\x00"
	}} {
		r := newRegister()
		sent := encode(`{"account_id":"` + id + `","note":"` + card + `"}`)
		r.harvest(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil), []byte(sent), http.StatusOK, nil)
		if diff := cmp.Diff(map[string]bool{SecretCard + card: true}, r.known); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
