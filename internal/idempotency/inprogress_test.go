package idempotency_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/internal/idempotency"
	"countersign/internal/testkit"
	"countersign/internal/web"
)

// TestInProgress repeats a request whose first run has not come to its end (S1-45).
func TestInProgress(t *testing.T) {
	t.Parallel()
	ctx := someone(t, uuid.Nil)
	var ran atomic.Int64
	// serve answers one request; within runs in the effect, after the key is claimed.
	serve := func(key, body string, within func()) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", nil)
		r.Header.Set("Idempotency-Key", key)
		web.Handle(func(w http.ResponseWriter, r *http.Request) error {
			once, err := idempotency.FromRequest(r, "s", uuid.Nil, body)
			if err != nil {
				return err
			}
			var got answer
			err = database.InTx(r.Context(), testkit.DB(t), func(ctx context.Context, tx bun.Tx) error {
				if _, err := tx.ExecContext(ctx, "SET LOCAL lock_timeout = '100ms'"); err != nil { // a request waits for 15 seconds
					return err
				}
				var err error
				got, err = idempotency.Do(ctx, tx, once, func() (answer, error) {
					if _, err := tx.ExecContext(ctx, "SELECT 1"); err != nil { // an effect begins with a statement, and the claim with it
						return answer{}, err
					}
					within()
					return answer{ran.Add(1)}, nil
				})
				return err
			})
			if err != nil {
				return err
			}
			return once.Answer(w, http.StatusOK, got, "")
		})(rec, r)
		return rec
	}
	running, release, first := make(chan struct{}), make(chan struct{}), make(chan *httptest.ResponseRecorder, 1)
	go func() { first <- serve("k", "body", func() { close(running); <-release }) }()
	<-running

	for name, body := range map[string]string{"the same request": "body", "another one with its key": "other"} { // nobody knows yet what the first is
		got := testkit.NewClient(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			rec := serve("k", body, func() { t.Errorf("%s: it runs beside the first", name) })
			for h, v := range rec.Header() {
				w.Header()[h] = v
			}
			w.WriteHeader(rec.Code)
			w.Write(rec.Body.Bytes())
		})).Post("/", nil)
		got.Refused(http.StatusConflict, "idempotency_in_progress")
		if after := got.Header.Get("Retry-After"); after != "1" {
			t.Errorf("%s: Retry-After is %q", name, after)
		}
	}
	if other := serve("k2", "body", func() {}); other.Code != http.StatusOK {
		t.Errorf("another key waits for it: %d %s", other.Code, other.Body)
	}
	close(release)
	done := <-first
	if done.Code != http.StatusOK || done.Header().Get("Idempotent-Replayed") != "" {
		t.Errorf("the first answers %d %v %s", done.Code, done.Header(), done.Body)
	}
	again := serve("k", "body", func() { t.Error("it runs again") })
	if again.Code != http.StatusOK || again.Header().Get("Idempotent-Replayed") != "true" || again.Body.String() != done.Body.String() {
		t.Errorf("after the first has ended, its repetition answers %d %v %s", again.Code, again.Header(), again.Body)
	}
	if ran.Load() != 2 {
		t.Errorf("%d effects of two keys", ran.Load())
	}
}
