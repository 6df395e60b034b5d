package gateways

import (
	"net/url"
	"strings"
)

// MaxURL is how long an address may be, in bytes: what browsers and providers take.
const MaxURL = 2000

// IsReturnURL says whether a payer's browser can be sent back to an address: a whole one by HTTPS, without a name and password
// in it. HTTP is enough on the machine itself, where a site is being made.
func IsReturnURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || len(text) > MaxURL || u.Host == "" || u.User != nil || u.Opaque != "" {
		return false
	}
	local := u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"
	return strings.EqualFold(u.Scheme, "https") || strings.EqualFold(u.Scheme, "http") && local
}
