package accounts

import (
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/batch"
	"countersign/internal/outbox"
)

// Deps is what the service needs.
type Deps struct {
	DB     *bun.DB
	Outbox *outbox.Outbox
	Now    func() time.Time
	// SecretKey keys the hashes under which attempts to log in are counted; at least 32 bytes.
	SecretKey []byte
	// SecureCookies says that the console is reached by HTTPS.
	SecureCookies bool
	// Demo lets users have the demo's published password.
	Demo bool
}

// Service changes accounts and users, and gives out and ends credentials.
type Service struct {
	db        *bun.DB
	outbox    *outbox.Outbox
	now       func() time.Time
	secretKey []byte
	secure    bool
	passwords *passwords
	secrets   *batch.Group[uuid.UUID, presented, known]
}

// New gives the service. It panics with the name of what is missing.
func New(d Deps) *Service {
	switch {
	case d.DB == nil:
		panic("accounts: Deps.DB is missing")
	case d.Outbox == nil:
		panic("accounts: Deps.Outbox is missing")
	case d.Now == nil:
		panic("accounts: Deps.Now is missing")
	case len(d.SecretKey) < 32:
		panic("accounts: Deps.SecretKey is missing or shorter than 32 bytes")
	}
	s := &Service{db: d.DB, outbox: d.Outbox, now: d.Now, secretKey: d.SecretKey, secure: d.SecureCookies, passwords: newPasswords(d.Demo)}
	s.secrets = batch.NewGroup(maxTogether, enoughWait, s.authenticateTogether)
	return s
}
