package payments

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"runtime"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/evidence"
	"countersign/billing/gateways"
	"countersign/billing/invoices"
	"countersign/billing/paymentmethods"
	"countersign/internal/batch"
	"countersign/internal/database"
	"countersign/internal/keyring"
	"countersign/internal/outbox"
)

// Deps are what the service works with; all but Pause are required.
type Deps struct {
	DB       *bun.DB
	Outbox   *outbox.Outbox
	Invoices *invoices.Service
	Evidence *evidence.Service
	Gateways *gateways.Service
	Methods  *paymentmethods.Service
	// Secret keys the fingerprints by which references are recognised across tenants without being told. Changing it
	// forgets what was seen.
	Secret []byte
	Keys   *keyring.Keyring // seals what is personal in details
	Now    func() time.Time
	// Pause, which only tests set, is called at the points between a key that is claimed and its answer.
	Pause func(ctx context.Context, point string)
}

// Service changes payments. The API, the console, the worker and commands all call it.
type Service struct {
	db        *bun.DB
	outbox    *outbox.Outbox
	invoices  *invoices.Service
	evidence  *evidence.Service
	gateways  *gateways.Service
	methods   *paymentmethods.Service
	pause     func(ctx context.Context, point string)
	secret    []byte
	keys      *keyring.Keyring
	now       func() time.Time
	reads     *batch.Group[database.Scope, uuid.UUID, *Payment]
	claims    *batch.Group[crowd, manualClaim, outcome[Response]]
	approvals *batch.Group[uuid.UUID, verdict, outcome[Detail]] // by tenant
	settling  chan struct{}                                     // sets that are being settled
}

// New gives the service; it panics when something is missing, which shows at start-up.
func New(d Deps) *Service {
	switch {
	case d.DB == nil:
		panic("payments: Deps.DB is missing")
	case d.Outbox == nil:
		panic("payments: Deps.Outbox is missing")
	case d.Invoices == nil:
		panic("payments: Deps.Invoices is missing")
	case d.Evidence == nil:
		panic("payments: Deps.Evidence is missing")
	case d.Gateways == nil:
		panic("payments: Deps.Gateways is missing")
	case d.Methods == nil:
		panic("payments: Deps.Methods is missing")
	case len(d.Secret) == 0:
		panic("payments: Deps.Secret is missing")
	case d.Keys == nil:
		panic("payments: Deps.Keys is missing")
	case d.Now == nil:
		panic("payments: Deps.Now is missing")
	}
	s := &Service{db: d.DB, outbox: d.Outbox, invoices: d.Invoices, evidence: d.Evidence, gateways: d.Gateways, methods: d.Methods, pause: d.Pause, secret: d.Secret, keys: d.Keys, now: d.Now}
	s.settling = make(chan struct{}, runtime.GOMAXPROCS(0)+1) // one more than cores: while one waits for the disk, another works
	s.reads = batch.NewGroup(maxTogether, enoughReads, s.readTogether)
	s.claims = batch.NewGroup(maxTogether, enoughWrites, s.submitTogether)
	s.approvals = batch.NewGroup(maxTogether, enoughWrites, s.decideTogether)
	return s
}

// fingerprint is a keyed hash: the same text gives the same 32 bytes, and nobody without the key can tell which text.
func (s *Service) fingerprint(kind, text string) []byte {
	mac := hmac.New(sha256.New, s.secret)
	mac.Write([]byte(kind + "\x00" + text))
	return mac.Sum(nil)
}
