package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/tenancy"
)

const (
	// TokenLife is how long a bearer token works. Programs renew it by signing in again.
	TokenLife = 30 * 24 * time.Hour
	// SessionLife is how long a console session works at most: a working day.
	SessionLife = 12 * time.Hour
	// SessionIdle is how long a console session works after its last request.
	SessionIdle = time.Hour
	// renewEvery is how much a session's end must move before it is written: at most one UPDATE in this time.
	renewEvery = 5 * time.Minute
)

const (
	secretBytes = 32
	secretText  = (16 + secretBytes) * 4 / 3 // in base64, which comes out even
)

// prefixes make a leaked secret recognisable, by kind.
var prefixes = map[Kind]string{KindToken: "cst_", KindSession: "css_"}

// newSecret makes a secret that says in which tenant it is looked up. A forged tenant finds nothing there.
func newSecret(kind Kind, tenant uuid.UUID) string {
	raw := make([]byte, 16+secretBytes)
	copy(raw, tenant[:])
	rand.Read(raw[16:]) // never fails
	return prefixes[kind] + base64.RawURLEncoding.EncodeToString(raw)
}

// tenantOf reads the tenant out of a secret of the kind; ok is false for what we never gave out.
func tenantOf(kind Kind, secret string) (tenant uuid.UUID, ok bool) {
	text, found := strings.CutPrefix(secret, prefixes[kind])
	if !found || len(text) != secretText {
		return uuid.Nil, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != 16+secretBytes {
		return uuid.Nil, false
	}
	tenant = uuid.UUID(raw[:16])
	return tenant, tenant != uuid.Nil
}

// hashSecret is what is stored of a secret. It needs no salt and no slowness: the secret is 256 random bits. The lookup
// by hash is also what makes the comparison safe: how long it takes says nothing about the secret.
func hashSecret(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// expiry is when a credential made at created ends, if it is used now and then not again.
func (k Kind) expiry(created, now time.Time) time.Time {
	if k == KindToken {
		return created.Add(TokenLife)
	}
	end, idle := created.Add(SessionLife), now.Add(SessionIdle)
	if idle.Before(end) {
		return idle
	}
	return end
}

// authenticate is the hottest statement of the program: it runs before every request, for all that come together.
const authenticate = `
SELECT c.secret_hash, c.kind, c.id, c.created_at, c.expires_at, c.revoked_at IS NOT NULL, m.id, m.role, m.account_id, m.is_active AND u.is_active AND t.is_active,
  u.id, u.email, u.name, coalesce(u.language, '')
FROM credentials AS c
JOIN memberships AS m ON m.tenant_id = c.tenant_id AND m.id = c.membership_id
JOIN users AS u ON u.id = m.user_id
JOIN tenants AS t ON t.id = c.tenant_id
WHERE c.tenant_id = $1 AND c.secret_hash = ANY($2::bytea[])`

// presented is the hash of a secret that somebody shows.
type presented [sha256.Size]byte

// known is what is stored about a secret; a zero id says that nothing is.
type known struct {
	auth.Principal
	kind             Kind
	created, expires time.Time
	revoked, active  bool
}

// maxTogether is how many requests are authenticated by one statement, and enoughWait how many must wait for a second one
// to go beside the first.
const (
	maxTogether = 100
	enoughWait  = 8
)

// authenticateTogether looks up the secrets of requests to one tenant that came at the same time.
func (s *Service) authenticateTogether(ctx context.Context, tenant uuid.UUID, secrets []presented) ([]known, error) {
	found := make(map[presented]known, len(secrets))
	hashes := make([][]byte, len(secrets))
	for i := range secrets {
		hashes[i] = secrets[i][:]
	}
	err := tenancy.Fetch(tenancy.AsSystem(ctx, tenant, "authenticate"), s.db, database.Select("look up credentials", authenticate, func(row database.Row) error {
		var hash []byte
		var account uuid.NullUUID
		k := known{Principal: auth.Principal{Kind: auth.KindUser, TenantID: tenant}}
		err := row.Scan(&hash, &k.kind, &k.CredentialID, &k.created, &k.expires, &k.revoked, &k.MembershipID, &k.Role, &account, &k.active, &k.UserID, &k.Label, &k.Name, &k.Language)
		if err == nil {
			k.AccountID, k.Permissions = account.UUID, auth.PermissionsOf(k.Role)
			found[presented(hash)] = k
		}
		return err
	}, tenant, hashes))
	if err != nil {
		return nil, err
	}
	list := make([]known, len(secrets))
	for i, secret := range secrets {
		list[i] = found[secret]
	}
	return list, nil
}

// Authenticate gives who acts with a secret: one statement in one round trip, which requests to a tenant share when they
// come at the same time. Nothing is cached, and what is read was not yet asked for when the caller came, so that a revoked
// secret is dead for every replica at once. Unknown, expired and revoked secrets are ErrInvalidCredential. A deactivation
// revokes as well; its victim is told so, with ErrUserInactive.
func (s *Service) Authenticate(ctx context.Context, secret string, kind Kind) (auth.Principal, error) {
	tenant, ok := tenantOf(kind, secret)
	if !ok {
		return auth.Principal{}, ErrInvalidCredential
	}
	k, err := s.secrets.Do(ctx, tenant, presented(hashSecret(secret)))
	now := s.now()
	switch {
	case err != nil:
		return auth.Principal{}, err
	case k.CredentialID == uuid.Nil || k.kind != kind:
		return auth.Principal{}, ErrInvalidCredential
	case !k.active:
		return auth.Principal{}, ErrUserInactive
	case k.revoked || !now.Before(k.expires):
		return auth.Principal{}, ErrInvalidCredential
	}
	if end := kind.expiry(k.created, now); end.Sub(k.expires) >= renewEvery {
		return k.Principal, s.renew(tenancy.AsSystem(ctx, tenant, "authenticate"), k.CredentialID, end)
	}
	return k.Principal, nil
}

// renew moves the end of a session that is in use.
func (s *Service) renew(ctx context.Context, credential uuid.UUID, end time.Time) error {
	return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*Credential)(nil)).Set("expires_at = ?", end).
			Where("c.tenant_id = ?", tenancy.ID(ctx)).Where("c.id = ?", credential).
			Where("c.revoked_at IS NULL").Where("c.expires_at < ?", end).Exec(ctx)
		if err != nil {
			return fmt.Errorf("renew session: %w", err)
		}
		return nil
	})
}

// Logout ends the credential with which ctx was authenticated. Ending it twice is no error.
func (s *Service) Logout(ctx context.Context) error {
	p, err := auth.Require(ctx, "")
	if err != nil {
		return err
	}
	return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		res, err := tx.NewUpdate().Model((*Credential)(nil)).Set("revoked_at = ?", s.now()).
			Where("c.tenant_id = ?", tenancy.ID(ctx)).Where("c.id = ?", p.CredentialID).Where("c.revoked_at IS NULL").Exec(ctx)
		if err != nil {
			return fmt.Errorf("revoke credential: %w", err)
		}
		if n, _ := res.RowsAffected(); n == 0 {
			return nil
		}
		return audit.Write(ctx, audit.Record{Action: "auth.logout", ObjectType: "user", ObjectID: p.UserID, AccountID: p.AccountID})
	})
}

// revokeAll ends every credential of a membership.
func (s *Service) revokeAll(ctx context.Context, tx bun.Tx, membership uuid.UUID) error {
	_, err := tx.NewUpdate().Model((*Credential)(nil)).Set("revoked_at = ?", s.now()).
		Where("c.tenant_id = ?", tenancy.ID(ctx)).Where("c.membership_id = ?", membership).Where("c.revoked_at IS NULL").Exec(ctx)
	if err != nil {
		return fmt.Errorf("revoke credentials: %w", err)
	}
	return nil
}
