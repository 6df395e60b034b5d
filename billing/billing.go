package billing

import (
	"slices"
	"time"

	"github.com/uptrace/bun"

	"countersign/billing/credits"
	"countersign/billing/decisions"
	"countersign/billing/evidence"
	"countersign/billing/fx"
	"countersign/billing/gateways"
	"countersign/billing/gateways/integrator"
	"countersign/billing/gateways/offline"
	"countersign/billing/gateways/sandbox"
	"countersign/billing/gateways/stripe"
	"countersign/billing/invoices"
	"countersign/billing/ledger"
	"countersign/billing/paymentmethods"
	"countersign/billing/payments"
	"countersign/billing/statements"
	"countersign/billing/subscriptions"
	"countersign/internal/apps"
	"countersign/internal/keyring"
	"countersign/internal/outbox"
)

// Deps are what the billing apps work with; all are required.
type Deps struct {
	DB     *bun.DB
	Outbox *outbox.Outbox
	Files  evidence.Storage
	Secret []byte // at least 32 bytes
	Keys   *keyring.Keyring
	Now    func() time.Time
	// Providers are the gateways that call somebody outside. Those that do not are there in any case.
	Providers []gateways.Gateway
}

// Providers gives the adapters of all providers of this build, at their own addresses.
func Providers(now func() time.Time) []gateways.Gateway {
	return []gateways.Gateway{stripe.New(gateways.NewClient(stripe.Host), stripe.URL, now)}
}

// Billing holds the services of the billing apps.
type Billing struct {
	Methods       *paymentmethods.Service
	Gateways      *gateways.Service
	Sandbox       *sandbox.Gateway
	Evidence      *evidence.Service
	Decisions     *decisions.Service
	Invoices      *invoices.Service
	Payments      *payments.Service
	FX            *fx.Service
	Subscriptions *subscriptions.Service
	ledger        apps.App
	credits       apps.App
	statements    apps.App
}

// New builds the services, the lowest first.
func New(d Deps) *Billing {
	b := &Billing{}
	b.Sandbox = sandbox.New(d.DB, d.Now)
	b.Gateways = gateways.New(gateways.Deps{DB: d.DB, Outbox: d.Outbox, Keys: d.Keys, Now: d.Now,
		Registry: gateways.NewRegistry(append([]gateways.Gateway{offline.Cash(), offline.Manual(), integrator.New(), b.Sandbox}, d.Providers...)...)})
	b.Methods = paymentmethods.New(d.DB, d.Outbox, d.Keys)
	b.Methods.KnowPublicKeys(b.Gateways.PublicKeys)
	b.Evidence = evidence.New(d.DB, d.Files, d.Outbox)
	b.Decisions = decisions.New(d.DB, d.Outbox)
	b.Decisions.KnowSignals(payments.SignalOptions())
	b.Invoices = invoices.New(invoices.Deps{DB: d.DB, Outbox: d.Outbox, Now: d.Now, Payments: payments.OfInvoice})
	b.Payments = payments.New(payments.Deps{DB: d.DB, Outbox: d.Outbox, Invoices: b.Invoices, Evidence: b.Evidence, Gateways: b.Gateways, Methods: b.Methods, Secret: d.Secret, Keys: d.Keys, Now: d.Now})
	b.FX = fx.New(d.DB, d.Outbox, d.Now)
	b.Subscriptions = subscriptions.New(subscriptions.Deps{DB: d.DB, Outbox: d.Outbox, Methods: b.Methods, Invoices: b.Invoices, Payments: b.Payments, Now: d.Now})
	b.ledger = ledger.App(d.DB, Kinds())
	b.credits = credits.App(d.DB)
	b.statements = statements.App(d.DB, d.Now)
	return b
}

// Kinds are all kinds of ledger transactions that the billing apps post.
func Kinds() []ledger.Kind { return slices.Concat(invoices.Kinds(), fx.Kinds(), payments.Kinds()) }

// Apps lists what the billing apps bring along.
func (b *Billing) Apps() []apps.App {
	return []apps.App{b.ledger, b.credits, b.Gateways.App(), b.Sandbox.App(b.Sandbox.Deliveries(b.Gateways.Open, b.Payments.Callback)), b.Methods.App(), b.Evidence.App(), b.Decisions.App(), b.Invoices.App(), b.FX.App(),
		b.Payments.App(), b.Subscriptions.App(), b.statements}
}
