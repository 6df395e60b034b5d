package gateways

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/internal/testkit"
)

// fault is a provider that misbehaves for its first attempts and then works. Like a real one it acts once for each key.
type fault struct {
	*httptest.Server
	attempts, effects atomic.Int64
	done              map[string]bool
	first             int64 // attempts that go wrong
	wrong             func(w http.ResponseWriter, r *http.Request)
}

func newFault(t *testing.T, first int64, wrong func(http.ResponseWriter, *http.Request)) *fault {
	f := &fault{done: map[string]bool{}, first: first, wrong: wrong}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := f.attempts.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method == http.MethodPost && string(body) != "amount=100" {
			t.Errorf("attempt %d has the body %q, %v", n, body, err)
		}
		if n <= f.first {
			f.wrong(w, r)
			return
		}
		if key := r.Header.Get("Idempotency-Key"); key == "" || !f.done[key] {
			f.done[key] = true
			f.effects.Add(1)
		}
		w.Write([]byte("ok"))
	}))
	t.Cleanup(f.Close)
	return f
}

// client is a client for the fault that does not really pause.
func (f *fault) client(pauses *[]time.Duration) *http.Client {
	c := NewLocalClient(f.Listener.Addr().String())
	c.Transport.(*outbound).sleep = func(ctx context.Context, d time.Duration) error {
		*pauses = append(*pauses, d)
		return ctx.Err()
	}
	return c
}

func post(t *testing.T, c *http.Client, url, key string) (string, int, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("amount=100"))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	answer, err := c.Do(r)
	if err != nil {
		return "", 0, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), answer.StatusCode, err
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
}

func TestClientRepeats(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		first    int64
		wrong    func(http.ResponseWriter, *http.Request)
		key      string
		attempts int64
		status   int // 0: an error
		known    error
	}{
		{"fails twice and then works: one effect, three attempts", 2, status(http.StatusBadGateway), "k", 3, 200, nil}, // S0D-20
		{"hangs up twice and then works", 2, hangUp, "k", 3, 200, nil},
		{"is too busy once", 1, status(http.StatusTooManyRequests), "k", 2, 200, nil},
		{"fails for ever", 100, status(http.StatusServiceUnavailable), "k", 3, 503, nil},
		{"hangs up for ever, and may have acted", 100, hangUp, "k", 3, 0, ErrUnknown},
		{"fails without a key", 1, status(http.StatusBadGateway), "", 1, 502, nil},
		{"hangs up without a key, and may have acted", 1, hangUp, "", 1, 0, ErrUnknown},
		{"refuses", 1, status(http.StatusPaymentRequired), "k", 1, 402, nil},
		{"redirects, which is not followed", 1, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, "k", 1, 302, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFault(t, tt.first, tt.wrong)
			var pauses []time.Duration
			_, code, err := post(t, f.client(&pauses), f.URL, tt.key)
			if code != tt.status || !errors.Is(err, tt.known) || (err == nil) != (tt.known == nil) {
				t.Errorf("got %d, %v", code, err)
			}
			if n := f.attempts.Load(); n != tt.attempts {
				t.Errorf("%d attempts", n)
			}
			if want := map[bool]int64{true: 1, false: 0}[tt.status == 200]; f.effects.Load() != want {
				t.Errorf("%d effects", f.effects.Load())
			}
			for i, d := range pauses {
				if longest := firstBackoff << (i + 1); d < longest/2 || d >= longest {
					t.Errorf("pause %d is %s", i+1, d)
				}
			}
			if int64(len(pauses)) != tt.attempts-1 {
				t.Errorf("%d pauses", len(pauses))
			}
		})
	}
	t.Run("is not called more often on a connection that was used before", func(t *testing.T) {
		t.Parallel()
		f := newFault(t, 100, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Idempotency-Key") != "first" {
				hangUp(w, r)
			}
		})
		var pauses []time.Duration
		c := f.client(&pauses)
		if _, code, err := post(t, c, f.URL, "first"); err != nil || code != http.StatusOK {
			t.Fatal(code, err)
		}
		if _, _, err := post(t, c, f.URL, "k"); !errors.Is(err, ErrUnknown) || f.attempts.Load() != 4 {
			t.Errorf("got %v at attempt %d", err, f.attempts.Load())
		}
	})
	t.Run("nobody there is no effect", func(t *testing.T) {
		t.Parallel()
		f := newFault(t, 0, nil)
		f.Close()
		var pauses []time.Duration
		if _, _, err := post(t, f.client(&pauses), f.URL, "k"); !errors.Is(err, ErrTransient) || errors.Is(err, ErrUnknown) || len(pauses) != 2 {
			t.Errorf("got %v after %d pauses", err, len(pauses))
		}
	})
	t.Run("nobody there any more may be an effect", func(t *testing.T) {
		t.Parallel()
		f := newFault(t, 1, hangUp)
		var pauses []time.Duration
		c := f.client(&pauses)
		c.Transport.(*outbound).sleep = func(context.Context, time.Duration) error { f.Close(); return nil }
		if _, _, err := post(t, c, f.URL, "k"); !errors.Is(err, ErrUnknown) || errors.Is(err, ErrTransient) {
			t.Errorf("got %v", err)
		}
	})
}

func TestClientRefuses(t *testing.T) {
	t.Parallel()
	served := newFault(t, 0, nil)
	host := served.Listener.Addr().String()
	get := func(ctx context.Context, c *http.Client, url string) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := c.Do(r)
		if err == nil {
			defer answer.Body.Close()
			_, err = io.Copy(io.Discard, answer.Body)
		}
		return err
	}
	for name, tt := range map[string]struct {
		client *http.Client
		url    string
		want   error
	}{
		"another host":               {NewLocalClient("api.example.com"), "http://" + host, errHost},
		"another port":               {NewLocalClient("127.0.0.1"), "http://" + host, errHost},
		"plain HTTP":                 {NewClient(host), "http://" + host, errPlain},
		"this machine":               {NewClient(host), "https://" + host, errPrivate},
		"this machine by name":       {NewClient("localhost"), "https://localhost", errPrivate},
		"the cloud's own address":    {NewClient("169.254.169.254"), "https://169.254.169.254", errPrivate},
		"a private network":          {NewClient("10.0.0.1"), "https://10.0.0.1", errPrivate},
		"this machine in other dots": {NewClient("[::ffff:127.0.0.1]"), "https://[::ffff:127.0.0.1]", errPrivate},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := get(t.Context(), tt.client, tt.url); !errors.Is(err, tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("inside a transaction", func(t *testing.T) { // W-13
		t.Parallel()
		ctx := database.WithScope(t.Context(), database.Scope{TenantID: uuid.New()})
		err := database.InTx(ctx, testkit.DB(t), func(ctx context.Context, _ bun.Tx) error { return get(ctx, NewLocalClient(host), "http://"+host) })
		if !errors.Is(err, errInTransaction) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an answer without an end", func(t *testing.T) {
		t.Parallel()
		f := newFault(t, 1, func(w http.ResponseWriter, _ *http.Request) {
			for range maxAnswer>>20 + 1 {
				w.Write(make([]byte, 1<<20))
			}
		})
		if err := get(t.Context(), NewLocalClient(f.Listener.Addr().String()), f.URL); !errors.Is(err, errTooLong) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("old TLS", func(t *testing.T) {
		t.Parallel()
		for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
			s := httptest.NewUnstartedServer(http.NotFoundHandler())
			s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version}
			s.Config.ErrorLog = nil
			s.StartTLS()
			t.Cleanup(s.Close)
			c := NewLocalClient(s.Listener.Addr().String())
			roots := x509.NewCertPool()
			roots.AddCert(s.Certificate())
			c.Transport.(*outbound).wire.(*http.Transport).TLSClientConfig.RootCAs = roots
			if err := get(t.Context(), c, s.URL); (err == nil) != ok {
				t.Errorf("%s: %v", tls.VersionName(version), err)
			}
		}
	})
	if served.attempts.Load() != 0 {
		t.Error("something was called")
	}
}

func TestIsPublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"8.8.8.8": true, "2606:4700::1111": true, "127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false, "0.1.2.3": false, "255.255.255.255": false, "224.0.0.1": false, "240.0.0.1": false,
		"::1": false, "fe80::1": false, "fd00::1": false, "::": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "::ffff:10.0.0.1": false} {
		if got := isPublic(netip.MustParseAddr(text).Unmap()); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}

func TestClientTimesOut(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	f := newFault(t, 1, func(http.ResponseWriter, *http.Request) { <-over })
	defer close(over)
	c := NewLocalClient(f.Listener.Addr().String())
	if after := c.Transport.(*outbound).timeout; after != 30*time.Second {
		t.Errorf("the time-out is %s", after)
	}
	c.Transport.(*outbound).timeout = 50 * time.Millisecond
	if _, _, err := post(t, c, f.URL, "k"); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
	if n := f.attempts.Load(); n != 1 {
		t.Errorf("%d attempts", n)
	}
}
