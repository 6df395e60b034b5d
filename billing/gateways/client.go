package gateways

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"countersign/internal/database"
)

const (
	callTimeout  = 30 * time.Second // of a call with all its attempts
	maxAnswer    = 8 << 20          // bytes
	callAttempts = 3
	firstBackoff = 200 * time.Millisecond
)

// keyHeaders are where providers look for an idempotency key. Only a call that carries one is made again.
var keyHeaders = []string{"Idempotency-Key", "PayPal-Request-Id"}

var (
	errInTransaction = errors.New("gateways: nobody outside is called inside a database transaction")
	errHost          = errors.New("gateways: this host is not one that the adapter calls")
	errPlain         = errors.New("gateways: providers are called by HTTPS only")
	errPrivate       = errors.New("gateways: this address is not on the public network")
	errTooLong       = errors.New("gateways: the answer is too long")
)

// NewClient gives the client with which an adapter calls its provider, and nobody else (S1-39): these hosts, by HTTPS with
// TLS 1.2 or newer, on public addresses, without following redirects, never inside a database transaction (W-13), for at
// most 30 seconds and 8 MiB of answer. A call that carries an idempotency key is made up to three times, with growing
// pauses, when the provider could not be reached, was too busy or failed; any other is made once (S0D-20).
//
// The error of a call says in errors.Is what is known of it: ErrTransient that it never reached the provider, ErrUnknown
// that it may have.
func NewClient(hosts ...string) *http.Client { return newClient(false, hosts) }

// NewLocalClient is NewClient for a fake provider on this machine or in a private network: plain HTTP and private addresses
// are allowed. The program itself never uses it.
func NewLocalClient(hosts ...string) *http.Client { return newClient(true, hosts) }

func newClient(local bool, hosts []string) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	if !local {
		dialer.Control = refusePrivate
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &outbound{hosts: hosts, local: local, timeout: callTimeout, sleep: pause, wire: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: 10 * time.Second,
			ResponseHeaderTimeout: callTimeout, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 16, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 1 << 20}},
	}
}

// refusePrivate looks at the address that is really dialled, behind all names: who controls a name cannot lead us inside.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !isPublic(to.Addr().Unmap()) {
		return errPrivate
	}
	return nil
}

// reserved are networks that look public to net/netip and lead inside, or nowhere.
var reserved = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("2002::/16"),
}

func isPublic(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(reserved, func(p netip.Prefix) bool { return p.Contains(a) })
}

// outbound keeps the rules of NewClient. The time-out is here and not in http.Client, which would hide what is known.
type outbound struct {
	hosts   []string
	local   bool
	timeout time.Duration
	wire    http.RoundTripper
	sleep   func(ctx context.Context, d time.Duration) error
}

// RoundTrip implements http.RoundTripper.
func (o *outbound) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case database.InTransaction(r.Context()):
		return nil, refuse(r, errInTransaction)
	case !slices.Contains(o.hosts, r.URL.Host):
		return nil, refuse(r, errHost)
	case r.URL.Scheme != "https" && !o.local:
		return nil, refuse(r, errPlain)
	}
	ctx, cancel := context.WithTimeout(r.Context(), o.timeout)
	answer, err := o.repeat(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	answer.Body = &answerBody{answer.Body, maxAnswer, cancel}
	return answer, nil
}

// repeat makes the call until it has an answer, or there is no sense in another attempt.
func (o *outbound) repeat(r *http.Request) (*http.Response, error) {
	sent := false // something may have reached the provider
	for attempt := 1; ; attempt++ {
		again, err := rewound(r, attempt)
		if err != nil {
			return nil, err
		}
		answer, err := o.wire.RoundTrip(again)
		sent = sent || !neverSent(err)
		if attempt == callAttempts || !mayRepeat(r) || !isTransient(answer, err) {
			return answer, classify(err, sent)
		}
		if answer != nil {
			io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection is used again
			answer.Body.Close()
		}
		if err := o.sleep(r.Context(), backoff(attempt)); err != nil {
			return nil, classify(err, sent)
		}
	}
}

// refuse closes the body, as a RoundTripper must, and gives why the call was never made.
func refuse(r *http.Request, why error) error {
	if r.Body != nil {
		r.Body.Close()
	}
	return why
}

// rewound is the request for an attempt, with its body from the beginning. Without GetBody the transport makes no attempts
// of its own, which it would for calls with an idempotency key: nobody could count them.
func rewound(r *http.Request, attempt int) (*http.Request, error) {
	again := r.Clone(r.Context())
	again.GetBody = nil
	if attempt == 1 || r.Body == nil {
		return again, nil
	}
	body, err := r.GetBody()
	if err != nil {
		return nil, fmt.Errorf("send the body again: %w", err)
	}
	again.Body = body
	return again, nil
}

func mayRepeat(r *http.Request) bool {
	return (r.Body == nil || r.GetBody != nil) && slices.ContainsFunc(keyHeaders, func(name string) bool { return r.Header.Get(name) != "" })
}

func isTransient(answer *http.Response, err error) bool {
	if err != nil {
		return !errors.Is(err, errPrivate) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
	}
	return answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode >= 500 && answer.StatusCode != http.StatusNotImplemented
}

// neverSent says that no connection came about, so that nothing was sent.
func neverSent(err error) bool {
	dial, ok := errors.AsType[*net.OpError](err)
	return ok && dial.Op == "dial"
}

// classify says what an error means for the money.
func classify(err error, sent bool) error {
	switch {
	case err == nil || errors.Is(err, errPrivate):
		return err
	case !sent:
		return fmt.Errorf("%w: %w", ErrTransient, err)
	default:
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
}

// backoff grows and is spread, so that callers who failed together do not come back together.
func backoff(attempt int) time.Duration {
	longest := firstBackoff << attempt
	return longest/2 + rand.N(longest/2)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// answerBody ends the call's time when it is closed, and makes reading more than is allowed an error, not a short answer.
type answerBody struct {
	io.ReadCloser
	left   int64
	cancel context.CancelFunc
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLong
	}
	return n, err
}

// Close implements io.Closer.
func (b *answerBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
