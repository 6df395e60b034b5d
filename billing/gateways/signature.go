package gateways

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SignatureTolerance is how far the time of a signed callback may be from ours, in either direction.
const SignatureTolerance = 300 * time.Second

// Sign gives the signature of our own callbacks, in Stripe's manner: t=<unix seconds>,v1=<hex of HMAC-SHA256 of t.body>.
func Sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	return "t=" + t + ",v1=" + hex.EncodeToString(digest(secret, t, body))
}

func digest(secret, t string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

// Verify checks what Sign gives. Any one of several v1 parts may be right, so that a secret can be changed. It fails with
// ErrNotGenuine, or ErrConfiguration when there is no secret: an empty one would sign anything.
func Verify(secret, signature string, body []byte, now time.Time) error {
	if secret == "" {
		return fmt.Errorf("%w: no secret to verify callbacks with", ErrConfiguration)
	}
	var at string
	var given []string
	for part := range strings.SplitSeq(signature, ",") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(part), "="); name {
		case "t":
			at = value
		case "v1":
			given = append(given, value)
		}
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: no time in the signature", ErrNotGenuine)
	}
	want := digest(secret, at, body)
	for _, text := range given {
		if sum, err := hex.DecodeString(text); err == nil && hmac.Equal(sum, want) {
			if age := now.Sub(time.Unix(seconds, 0)); age > SignatureTolerance || age < -SignatureTolerance {
				return fmt.Errorf("%w: signed %s ago", ErrNotGenuine, age.Round(time.Second))
			}
			return nil
		}
	}
	return fmt.Errorf("%w: the signature is wrong", ErrNotGenuine)
}
