package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/evidence"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/billing/payments"
	"countersign/internal/auth"
	"countersign/tenancy"
)

// demoPassword opens every log-in of the demo. The program refuses it everywhere else.
const demoPassword = "countersign-demo"

// demoTenant is one business of the demo.
type demoTenant struct {
	tenancy.CreateInput
	Threshold int64 // in major units; above it two people approve
	Method    paymentmethods.Method
	Accounts  [2]string // holders
	Service   string
	Price     string
	TaxRate   string
	Credits   int64
	Dollar    string // what one US dollar is worth
}

// demoTenants are a software company, a clinic and a market: three countries, three currencies. They take no real money, so
// that the sandbox can serve them.
func demoTenants() []demoTenant {
	return []demoTenant{
		{CreateInput: tenancy.CreateInput{Slug: "acme-cloud", Name: "Acme Cloud", Country: "PK", DefaultCurrency: "PKR", Timezone: "Asia/Karachi", Locale: "en", TestMode: true},
			Threshold: 100000, Method: paymentmethods.BankTransfer, Accounts: [2]string{"Lahore Textiles Ltd", "Karachi Logistics"}, Service: "Growth plan, one month", Price: "27900.00", TaxRate: "0", Credits: 500, Dollar: "281.35"},
		{CreateInput: tenancy.CreateInput{Slug: "dhaka-clinic", Name: "Dhaka Clinic", Country: "BD", DefaultCurrency: "BDT", Timezone: "Asia/Dhaka", Locale: "bn", TestMode: true},
			Threshold: 20000, Method: paymentmethods.LocalWallet, Accounts: [2]string{"রহিমা খাতুন", "Karim Traders"}, Service: "Consultation and laboratory", Price: "800.00", TaxRate: "0.15", Dollar: "122.4"},
		{CreateInput: tenancy.CreateInput{Slug: "tashkent-market", Name: "Tashkent Market", Country: "UZ", DefaultCurrency: "UZS", Timezone: "Asia/Tashkent", Locale: "uz", TestMode: true},
			Threshold: 10000000, Method: paymentmethods.BankTransfer, Accounts: [2]string{"Samarqand Savdo MChJ", "ООО «Чилонзор»"}, Service: "Stall rent, one month", Price: "1450000.00", TaxRate: "0.12", Dollar: "12085.5"},
	}
}

// loadDemo fills an empty database with the demo; in one that has a tenant it does nothing.
func (p *project) loadDemo(ctx context.Context) error {
	var tenants []uuid.UUID
	err := tenancy.Observe(ctx, p.db, func(ctx context.Context, tx bun.Tx) (err error) {
		tenants, err = tenancy.All(ctx, tx)
		return err
	})
	if err != nil || len(tenants) > 0 {
		return err
	}
	say("loading the demo")
	for _, t := range demoTenants() {
		if err := p.loadDemoTenant(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t.Slug, err)
		}
	}
	return nil
}

// demoStage is a tenant's demo while it is played: who acts, and for whom.
type demoStage struct {
	*project
	demoTenant
	customer  [2]context.Context
	finance   context.Context
	approver  context.Context
	accountID [2]uuid.UUID
	settled   uuid.UUID // a payment that will have brought money
}

func (p *project) loadDemoTenant(ctx context.Context, t demoTenant) error {
	tenant, err := p.tenancy.Create(ctx, "demo", t.CreateInput)
	if err != nil {
		return err
	}
	system := tenancy.AsSystem(ctx, tenant.ID, "demo")
	threshold, err := money.Parse(fmt.Sprint(t.Threshold), tenant.DefaultCurrency)
	if err != nil {
		return err
	}
	price, err := money.Parse(t.Price, tenant.DefaultCurrency)
	if err != nil {
		return err
	}
	tolerance := price.Minor / 2
	if _, err := p.tenancy.Update(system, tenancy.UpdateInput{TwoApprovalThresholdMinor: &threshold.Minor, TwoRefundApprovalsAboveMinor: &tolerance, WriteOffToleranceMinor: &tolerance}); err != nil {
		return err
	}
	if err := p.openSandbox(system); err != nil {
		return err
	}
	if err := p.billing.Methods.LoadFixtures(system, "*", t.Country); err != nil {
		return err
	}
	stage := &demoStage{project: p, demoTenant: t}
	for i, holder := range t.Accounts {
		account, err := p.accounts.CreateAccount(system, accounts.CreateAccountInput{Kind: "organization", Holder: holder, Country: t.Country, Currency: t.DefaultCurrency,
			ExternalID: fmt.Sprintf("%s-%d", t.Slug, i+1)})
		if err != nil {
			return err
		}
		stage.accountID[i] = account.ID
	}
	for _, u := range []struct{ name, role string }{{"owner", auth.RoleOwner}, {"finance", auth.RoleFinance}, {"approver", auth.RoleFinance}, {"viewer", auth.RoleViewer}} {
		as, err := stage.person(system, tenant.ID, u.name, u.role, uuid.Nil)
		if err != nil {
			return err
		}
		switch u.name {
		case "finance":
			stage.finance = as
		case "approver":
			stage.approver = as
		}
	}
	for i, name := range []string{"customer", "customer2"} {
		if stage.customer[i], err = stage.person(system, tenant.ID, name, auth.RoleMember, stage.accountID[i]); err != nil {
			return err
		}
	}
	return stage.play(system)
}

// reference is a transfer's number as this tenant's bank would print it.
func (d *demoStage) reference(number string) string {
	return strings.ToUpper(d.Slug[:2]) + "-" + number
}

// person makes a log-in and gives the context in which he acts.
func (d *demoStage) person(system context.Context, tenant uuid.UUID, name, role string, account uuid.UUID) (context.Context, error) {
	in := accounts.CreateUserInput{Email: name + "@" + d.Slug + ".test", Name: demoNames()[name], Password: demoPassword, Role: role}
	if account != uuid.Nil {
		in.Account = account.String()
	}
	person, err := d.accounts.CreateUser(system, in)
	if err != nil {
		return nil, err
	}
	return tenancy.Enter(system, auth.Principal{Kind: auth.KindUser, UserID: person.UserID, Label: in.Email, Name: in.Name, Role: role, TenantID: tenant, AccountID: account,
		Permissions: auth.PermissionsOf(role)}), nil
}

func demoNames() map[string]string {
	return map[string]string{"owner": "Olga Owner", "finance": "Farid Finance", "approver": "Amina Approver", "viewer": "Victor Viewer", "customer": "Celine Customer", "customer2": "Cyrus Customer"}
}

// play makes payments in each state: settled, rejected, withdrawn, waiting for one and for two approvals, with and
// without signals. It uses the services, so nothing in the demo could not have happened.
func (d *demoStage) play(system context.Context) error {
	steps := []func() error{
		d.rate,
		d.charges,
		func() error { return d.subscribed(system) },
		d.givenUp,
		func() error { return d.approved(0, 1, "") },
		func() error { return d.approved(1, 2, "0.5") },
		func() error { return d.rejected(0) },
		func() error { return d.withdrawn(1) },
		func() error { return d.waiting(0, 1, d.reference("26325001"), true) },
		func() error { return d.waiting(1, 8, d.reference("26325002"), true) },
		func() error { return d.waiting(0, 1, d.reference("26325001"), true) },
		func() error { return d.oneOfTwo(1, 8) },
		func() error { _, err := d.invoice(0, 3); return err },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	if err := d.billing.Payments.Settle(system); err != nil {
		return err
	}
	return d.givingBack()
}

// invoice opens an invoice over so many units of what the tenant sells.
func (d *demoStage) invoice(account, units int) (invoices.Response, error) {
	draft, err := d.billing.Invoices.Create(d.finance, invoices.CreateInput{Account: d.accountID[account].String(),
		Lines: []invoices.LineInput{{Description: d.Service, Quantity: fmt.Sprint(units), UnitPrice: d.Price, TaxRate: d.TaxRate, Credits: d.Credits * int64(units)}}})
	if err != nil {
		return draft, err
	}
	return d.billing.Invoices.Finalize(d.finance, invoices.FinalizeInput{Invoice: draft.ID})
}

// claim submits a payment for a new invoice, with a receipt when asked.
func (d *demoStage) claim(account, units int, reference string, receipt bool) (uuid.UUID, error) {
	inv, err := d.invoice(account, units)
	if err != nil {
		return uuid.Nil, err
	}
	in := payments.SubmitManualInput{Invoice: inv.ID, Method: d.Method, Reference: reference, PaidAt: time.Now().Add(-3 * time.Hour)}
	if receipt {
		picture, err := demoReceipt(d.Accounts[account], reference, inv.TotalAmount+" "+inv.Currency)
		if err != nil {
			return uuid.Nil, err
		}
		received, err := evidence.Receive(d.customer[account], bytes.NewReader(picture), evidence.MaxSize)
		if err != nil {
			return uuid.Nil, err
		}
		defer received.Close()
		stored, err := d.billing.Evidence.Store(d.customer[account], &evidence.Upload{Received: received, Filename: "receipt-" + reference + ".png"})
		if err != nil {
			return uuid.Nil, err
		}
		in.Files = []evidence.Stored{stored}
	}
	p, err := d.billing.Payments.SubmitManual(d.customer[account], in)
	if err != nil {
		return uuid.Nil, err
	}
	return uuid.Parse(p.ID)
}

func (d *demoStage) approved(account, units int, share string) error {
	id, err := d.claim(account, units, d.reference(fmt.Sprintf("2490%d", account)), true)
	if err != nil {
		return err
	}
	if account == 0 {
		d.settled = id
	}
	in := payments.ApproveInput{ID: id, Note: "Seen in the statement of today."}
	if share != "" { // the bank shows less than was claimed
		in.Received = func(c money.Currency) (*money.Money, error) {
			m, err := money.Parse(d.Price, c)
			return &m, err
		}
	}
	return d.approve(d.approver, in)
}

func (d *demoStage) approve(as context.Context, in payments.ApproveInput) error {
	seen, err := d.billing.Payments.Look(as, in.ID)
	if err != nil {
		return err
	}
	in.Digest = seen.Digest
	_, err = d.billing.Payments.Approve(as, in)
	return err
}

func (d *demoStage) rejected(account int) error {
	id, err := d.claim(account, 1, d.reference("25000"), true)
	if err != nil {
		return err
	}
	seen, err := d.billing.Payments.Look(d.approver, id)
	if err != nil {
		return err
	}
	_, err = d.billing.Payments.Reject(d.approver, payments.RejectInput{ID: id, Digest: seen.Digest, Reason: "No transfer with this reference reached our account. Please check with your bank."})
	return err
}

func (d *demoStage) withdrawn(account int) error {
	id, err := d.claim(account, 1, d.reference("25003"), true)
	if err != nil {
		return err
	}
	_, err = d.billing.Payments.Cancel(d.customer[account], payments.StepInput{ID: id})
	return err
}

func (d *demoStage) waiting(account, units int, reference string, receipt bool) error {
	_, err := d.claim(account, units, reference, receipt)
	return err
}

// oneOfTwo leaves a payment above the threshold with one of its two approvals.
func (d *demoStage) oneOfTwo(account, units int) error {
	id, err := d.claim(account, units, d.reference("26325009"), true)
	if err != nil {
		return err
	}
	seen, err := d.billing.Payments.Look(d.finance, id)
	if err != nil || seen.ApprovalsRequired != 2 {
		return err
	}
	return d.approve(d.finance, payments.ApproveInput{ID: id, Note: "Amount and reference agree with the receipt."})
}
