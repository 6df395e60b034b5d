package web

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/google/uuid"

	"countersign/internal/auth"
	"countersign/internal/carddata"
	"countersign/internal/i18n"
)

// RequestID gives each request an id of our own making, in the answer's header, in every envelope, in the log and in
// the audit record. A client's own id is not taken over: it could be anybody's.
func RequestID(trustedProxies []netip.Prefix) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := uuid.Must(uuid.NewV7()).String()
			w.Header().Set("X-Request-ID", id)
			ctx := auth.WithRequest(r.Context(), auth.Request{ID: id, IP: clientIP(r, trustedProxies), UserAgent: carddata.Excerpt(r.UserAgent(), 300)})
			ctx = i18n.With(ctx, i18n.Choose(r.Header.Get("Accept-Language")))
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

// clientIP believes X-Forwarded-For only as far as trusted proxies have written it: the last address that is not one
// of theirs is the client (S2-110).
func clientIP(r *http.Request, trusted []netip.Prefix) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	hops := strings.Split(r.Header.Get("X-Forwarded-For"), ",")
	for i := len(hops) - 1; i >= 0 && isTrusted(host, trusted); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		host = hop.String()
	}
	return host
}

func isTrusted(host string, trusted []netip.Prefix) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	for _, p := range trusted {
		if p.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

func cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "")
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "")
	}
	return s
}

// Recover turns a panic into the envelope of an internal error and logs where it happened.
func Recover(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if v == http.ErrAbortHandler {
				panic(v)
			}
			slog.ErrorContext(r.Context(), "panic", "value", v, "stack", string(debug.Stack()))
			WriteError(w, r, ErrInternal)
		}()
		next.ServeHTTP(w, r)
	})
}

// Timeout ends the request's context after d; the handler's database work ends with it.
func Timeout(d time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), d)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

// Slash adds the trailing slash that Django's URLs have. It rewrites instead of redirecting, because a redirected POST
// loses its body.
func Slash(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/") {
			u := *r.URL
			u.Path += "/"
			if u.RawPath != "" {
				u.RawPath += "/"
			}
			r2 := *r
			r2.URL = &u
			r = &r2
		}
		next.ServeHTTP(w, r)
	})
}

// Sane refuses addresses with characters that no id, word or text of ours has and PostgreSQL cannot store: a path with
// them names nothing, a parameter with them is wrong.
func Sane(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !utf8.ValidString(r.URL.Path) || strings.ContainsFunc(r.URL.Path, isControl) {
			WriteError(w, r, ErrNotFound)
			return
		}
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil { // a pair that cannot be read would otherwise be dropped, and a list show more than was asked for
			WriteError(w, r, ErrBadText)
			return
		}
		for name, values := range query {
			for _, v := range append(values, name) {
				if !utf8.ValidString(v) || strings.ContainsFunc(v, isControl) {
					WriteError(w, r, ErrBadText)
					return
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// callbackToken is the part of a callback's path that only its provider was told.
var callbackToken = regexp.MustCompile(`\bgwe_[A-Za-z0-9_-]+`)

// Log writes one line for each request: who, what, how long. Never a body, a query value, a header, a card number or what
// only a provider knows.
func Log(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		next.ServeHTTP(ww, r)
		slog.InfoContext(r.Context(), "request", "method", r.Method, "path", carddata.Mask(callbackToken.ReplaceAllString(r.URL.Path, "gwe_…")), "status", ww.Status(),
			"bytes", ww.BytesWritten(), "took", time.Since(start), "request_id", ww.Header().Get("X-Request-ID"))
	})
}

// SecureHeaders sets what every answer needs; the console adds its own content policy.
func SecureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}
