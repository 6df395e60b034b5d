package accounts

import (
	"errors"
	"net/http"
	"strings"

	"countersign/internal/web"
	"countersign/tenancy"
)

// Middleware turns a bearer token into the Principal of the request's context. A token that does not work is refused at
// once, whatever the route asks for; without one the request is anonymous, and the route decides.
func (s *Service) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := r.Header.Values("Authorization")
		if len(given) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		scheme, token, found := strings.Cut(given[0], " ")
		if len(given) > 1 || !found || !strings.EqualFold(scheme, "Bearer") {
			web.WriteError(w, r, ErrInvalidCredential)
			return
		}
		p, err := s.Authenticate(r.Context(), token, KindToken)
		if err != nil {
			web.WriteError(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(tenancy.Enter(r.Context(), p)))
	})
}

// SessionFromCookie is Middleware for the console: a session that does not work, or no longer, is taken away from the
// browser, and the request is anonymous, so that the console asks to sign in. An outage is an error and not a log-out.
func (s *Service) SessionFromCookie(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie(s.cookieName())
		if err != nil {
			next.ServeHTTP(w, r)
			return
		}
		p, err := s.Authenticate(r.Context(), cookie.Value, KindSession)
		switch {
		case errors.Is(err, ErrInvalidCredential), errors.Is(err, ErrUserInactive):
			s.ClearSession(w)
			next.ServeHTTP(w, r)
		case err != nil:
			web.WriteError(w, r, err)
		default:
			next.ServeHTTP(w, r.WithContext(tenancy.Enter(r.Context(), p)))
		}
	})
}

// KeepSession gives a session to the browser.
func (s *Service) KeepSession(w http.ResponseWriter, session *Login) {
	s.setCookie(w, session.Secret, int(SessionLife.Seconds()))
}

// ClearSession takes the session away from the browser. Logout ends it.
func (s *Service) ClearSession(w http.ResponseWriter) { s.setCookie(w, "", -1) }

// cookieName has the prefix that makes browsers refuse the cookie from other hosts and without HTTPS, where there is any.
func (s *Service) cookieName() string {
	if s.secure {
		return "__Host-countersign_session"
	}
	return "countersign_session"
}

// setCookie: the path is / because the prefix __Host- demands it.
func (s *Service) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{Name: s.cookieName(), Value: value, Path: "/", MaxAge: maxAge, Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}
