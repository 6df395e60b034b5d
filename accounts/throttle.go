package accounts

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"time"

	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/database"
)

// How often one may try to sign in within a window of fifteen minutes, from one address and as one user. An attempt that
// succeeds is not held against its address: a whole office may share one.
const (
	maxPerAddress = 50
	maxPerUser    = 10
)

// countAttempt counts for the address first and for the user only when the address is not over its limit: a blocked
// address must not be able to lock out others. $1 address, $2 user, $3 address's limit, $4 user's limit. A counter stops
// right above its limit. Windows go by the database's clock, which all replicas share.
const countAttempt = `
WITH address AS (
  INSERT INTO login_throttle AS l (subject, attempts, opens_at) VALUES ($1, 1, now() + interval '15 minutes')
  ON CONFLICT (subject) DO UPDATE SET
    attempts = CASE WHEN l.opens_at <= now() THEN 1 ELSE least(l.attempts, $3) + 1 END,
    opens_at = CASE WHEN l.opens_at <= now() THEN excluded.opens_at ELSE l.opens_at END
  RETURNING attempts, opens_at
), person AS (
  INSERT INTO login_throttle AS l (subject, attempts, opens_at) SELECT $2, 1, now() + interval '15 minutes' FROM address WHERE attempts <= $3
  ON CONFLICT (subject) DO UPDATE SET
    attempts = CASE WHEN l.opens_at <= now() THEN 1 ELSE least(l.attempts, $4) + 1 END,
    opens_at = CASE WHEN l.opens_at <= now() THEN excluded.opens_at ELSE l.opens_at END
  RETURNING attempts, opens_at
)
SELECT clock_timestamp(), address.attempts, address.opens_at, coalesce(person.attempts, 0), coalesce(person.opens_at, now())
FROM address LEFT JOIN person ON true`

// attempt is one that was counted and let in: against whom, and in which window of the address.
type attempt struct {
	address, user []byte
	opens         time.Time
}

// admit counts an attempt to sign in, before any password is looked at, and refuses it when there were too many. The
// counter is committed, so that parallel attempts at all replicas see each other.
func (s *Service) admit(ctx context.Context, ip, email string) (attempt, error) {
	a := attempt{address: s.subject("ip", network(ip)), user: s.subject("user", email)}
	var byAddress, byUser int
	var now, userOpens time.Time
	err := database.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		return database.Hot(tx).QueryRowContext(ctx, countAttempt, a.address, a.user, maxPerAddress, maxPerUser).
			Scan(&now, &byAddress, &a.opens, &byUser, &userOpens)
	})
	switch {
	case err != nil:
		return attempt{}, fmt.Errorf("count attempt to sign in: %w", err)
	case byAddress > maxPerAddress: // who waited for the counter may find the window over that it was in
		return attempt{}, ErrTooManyAttempts.After(max(time.Second, a.opens.Sub(now)))
	case byUser > maxPerUser:
		return attempt{}, ErrTooManyAttempts.After(max(time.Second, userOpens.Sub(now)))
	}
	return a, nil
}

// subject is what is stored of an address or a user.
func (s *Service) subject(kind, value string) []byte {
	mac := hmac.New(sha256.New, s.secretKey)
	mac.Write([]byte(kind + ":" + value))
	return mac.Sum(nil)
}

// network is what counts as one address: of IPv6 the /64 that a single customer of a provider has for himself.
func network(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Unmap().Is4() {
		return ip
	}
	return netip.PrefixFrom(addr.WithZone(""), 64).Masked().String()
}

// refundAddress takes back one attempt, and only in the window in which it was counted.
const refundAddress = `UPDATE login_throttle SET attempts = attempts - 1 WHERE subject = $1 AND opens_at = $2 AND attempts > 0`

const forgiveUser = `DELETE FROM login_throttle WHERE subject = $1`

// forgetWindows takes away counters whose window is over, some at a time, so that the table stays small.
const forgetWindows = `
DELETE FROM login_throttle WHERE subject IN (
  SELECT subject FROM login_throttle WHERE opens_at < now() - interval '15 minutes' ORDER BY opens_at LIMIT 100 FOR UPDATE SKIP LOCKED)`

// forgive clears the user's counter in the transaction of a log-in. Of the address's it takes back this one attempt and
// leaves the failed ones: who owns one login must not be able to go on guessing others. The address comes first, as in
// countAttempt, so that the two never wait for each other.
func (s *Service) forgive(ctx context.Context, a attempt) {
	database.SendWithCommit(ctx,
		database.Change("take an attempt back", refundAddress, a.address, a.opens),
		database.Change("forgive a user's attempts", forgiveUser, a.user),
		database.Change("forget old attempts", forgetWindows))
}

const writeNothing = `UPDATE login_throttle SET attempts = attempts WHERE subject = $1`

// spendCommit takes the time of a commit that writes a row, on the counter of the address, which the attempt has just written.
func (s *Service) spendCommit(ctx context.Context) error {
	err := database.InTx(ctx, s.db, func(ctx context.Context, _ bun.Tx) error {
		database.SendWithCommit(ctx, database.Change("write nothing", writeNothing, s.subject("ip", network(auth.RequestFrom(ctx).IP))))
		return nil
	})
	if err != nil {
		return fmt.Errorf("spend a commit: %w", err)
	}
	return nil
}
