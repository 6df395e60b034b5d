package accounts

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"

	"countersign/internal/errs"
)

// DemoPassword is the published password of the demo's users. It is refused everywhere else.
const DemoPassword = "countersign-demo"

// hashing is what OWASP recommends as the least: 19 MiB, two passes, one lane.
var hashing = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// commonPasswords are the most used ones that are long enough to be allowed otherwise.
var commonPasswords = []string{
	"1234567890", "12345678910", "0123456789", "0987654321", "1111111111", "0000000000", "1234512345", "1122334455",
	"qwertyuiop", "qwerty12345", "qwerty123456", "1q2w3e4r5t", "1qaz2wsx3edc", "q1w2e3r4t5", "asdfghjkl1", "zaq12wsxcde3",
	"password12", "password123", "password1234", "passw0rd123", "p@ssw0rd123", "mypassword", "password!1", "passwordpassword",
	"administrator", "admin12345", "letmein123", "welcome123", "welcome1234", "changeme123", "iloveyou123", "abcdefghij",
	"football123", "sunshine123", "princess123", "superman123", "countersign", "countersign123",
}

// passwords hashes and compares. Each hash takes 19 MiB and a core for some 60 ms, so only so many run at a time:
// a burst of log-ins waits instead of taking the machine's memory.
type passwords struct {
	slots chan struct{}
	demo  bool
	// dummy is the hash of a password that nobody knows. Comparing with it takes the time of a wrong password.
	dummy string
}

func newPasswords(demo bool) *passwords {
	p := &passwords{slots: make(chan struct{}, 2*runtime.GOMAXPROCS(0)), demo: demo}
	dummy, err := argon2id.CreateHash(rand.Text(), hashing)
	if err != nil {
		panic("accounts: " + err.Error()) // no randomness at start-up
	}
	p.dummy = dummy
	return p
}

// trim leaves out the spaces around a password, which JSON bodies lose as well: typed or pasted, it stays one password.
func trim(password string) string { return strings.TrimSpace(password) }

// check refuses what must not become a password.
func (p *passwords) check(password string) *errs.Error {
	password = trim(password)
	switch n := utf8.RuneCountInString(password); {
	case n < 10 || n > 200:
		return ErrPasswordLength
	case slices.Contains(commonPasswords, strings.ToLower(password)):
		return ErrPasswordCommon
	case !p.demo && strings.EqualFold(password, DemoPassword):
		return ErrPasswordCommon
	}
	return nil
}

// hash checks a new password and gives what is stored of it. It never runs inside a transaction. A refusal blames the
// field.
func (p *passwords) hash(ctx context.Context, field, password string) (string, error) {
	if err := p.check(password); err != nil {
		return "", err.At(field)
	}
	if err := p.enter(ctx); err != nil {
		return "", err
	}
	defer p.leave()
	hash, err := argon2id.CreateHash(trim(password), hashing)
	if err != nil {
		return "", fmt.Errorf("hash password: %w", err)
	}
	return hash, nil
}

// matches compares a password with a stored hash; without one it takes the same time and says no.
func (p *passwords) matches(ctx context.Context, password, hash string) (bool, error) {
	if err := p.enter(ctx); err != nil {
		return false, err
	}
	defer p.leave()
	known := hash != ""
	if !known {
		hash = p.dummy
	}
	ok, err := argon2id.ComparePasswordAndHash(trim(password), hash)
	if err != nil {
		return false, fmt.Errorf("compare password: %w", err)
	}
	return ok && known, nil
}

func (p *passwords) enter(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *passwords) leave() { <-p.slots }
