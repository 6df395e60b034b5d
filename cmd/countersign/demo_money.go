package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"countersign/billing/fx"
	"countersign/billing/gateways"
	"countersign/billing/gateways/sandbox"
	"countersign/billing/invoices"
	"countersign/billing/money"
	"countersign/billing/paymentmethods"
	"countersign/billing/payments"
	"countersign/billing/subscriptions"
)

// openSandbox switches the sandbox on, as somebody would in the settings.
func (p *project) openSandbox(system context.Context) error {
	on := true
	_, err := p.billing.Gateways.Configure(system, gateways.ConfigureInput{Name: sandbox.Name, IsEnabled: &on})
	return err
}

// rate records what a dollar is worth.
func (d *demoStage) rate() error {
	rate, err := money.ParseDecimal(d.Dollar, 10, 10)
	if err != nil {
		return err
	}
	_, err = d.billing.FX.RecordRate(d.finance, fx.RateInput{Base: "USD", Quote: money.Currency(d.DefaultCurrency), Rate: rate, Source: "Demo Bank"})
	return err
}

// charges are cards in the sandbox: one that pays an invoice, one that is declined, one that waits for its payer, money that
// is held, and money of which the provider says something else than what was asked for.
func (d *demoStage) charges() error {
	inv, err := d.invoice(0, 1)
	if err != nil {
		return err
	}
	owed := inv.BalanceAmountMinor
	cards := []struct {
		as    context.Context
		in    payments.ChargeInput
		ended string
	}{
		{d.customer[0], payments.ChargeInput{Invoice: inv.ID, Source: "tok_decline", Description: "Monthly payment"}, "failed"},
		{d.customer[0], payments.ChargeInput{Invoice: inv.ID, Source: "tok_visa", Description: "Monthly payment"}, "succeeded"},
		{d.finance, payments.ChargeInput{Account: d.accountID[1].String(), Source: "tok_visa", Hold: true, Prepayment: true, Description: "Deposit, taken when the order is delivered"}, "authorized"},
		{d.customer[1], payments.ChargeInput{Source: "tok_3ds", Prepayment: true, Description: "Payment in advance"}, "pending"},
		{d.customer[1], payments.ChargeInput{Source: "tok_wrong_amount", Prepayment: true, Description: "Payment in advance"}, "processing"},
	}
	for _, c := range cards {
		c.in.Currency = money.Currency(d.DefaultCurrency)
		c.in.Amount = func(currency money.Currency) (*money.Money, error) {
			m := money.New(owed, currency)
			return &m, nil
		}
		reply, err := d.billing.Payments.Charge(c.as, c.in)
		if err != nil {
			return err
		}
		if reply.Charge.Status != c.ended {
			return fmt.Errorf("the charge of %s is %s, not %s", c.in.Source, reply.Charge.Status, c.ended)
		}
	}
	return nil
}

// subscribed are two customers who are billed each month: the card of one pays, and that of the other is declined.
func (d *demoStage) subscribed(system context.Context) error {
	for i, token := range []string{"tok_visa", "tok_decline"} {
		card, err := d.billing.Methods.Save(d.customer[i], paymentmethods.SaveInput{Method: "card", DisplayName: "Company card", Details: paymentmethods.Details{"token": token}})
		if err != nil {
			return err
		}
		source, err := uuid.Parse(card.ID)
		if err != nil {
			return err
		}
		_, err = d.billing.Subscriptions.Create(system, subscriptions.CreateInput{Account: d.accountID[i].String(), PaymentSource: source,
			Line: invoices.LineInput{Description: d.Service, Quantity: "1", UnitPrice: d.Price, TaxRate: d.TaxRate, Credits: d.Credits}})
		if err != nil {
			return err
		}
	}
	if err := d.billing.Subscriptions.Renew(system); err != nil {
		return err
	}
	return d.billing.Subscriptions.Charge(system)
}

// givenUp are two write-offs: a small one, and one about which a second person has to decide.
func (d *demoStage) givenUp() error {
	for _, share := range []int64{4, 1} {
		inv, err := d.invoice(1, 1)
		if err != nil {
			return err
		}
		part := inv.BalanceAmountMinor / share
		in := invoices.WriteOffInput{Invoice: inv.ID, Amount: invoices.Stated{Minor: &part}, Reason: "The customer has closed his business."}
		if _, err := d.billing.Invoices.WriteOff(d.finance, in); err != nil {
			return err
		}
	}
	return nil
}

// givingBack leaves a refund that waits for a second person.
func (d *demoStage) givingBack() error {
	if d.settled == uuid.Nil {
		return fmt.Errorf("no payment was settled")
	}
	_, err := d.billing.Payments.Refund(d.finance, payments.RefundInput{PaymentID: d.settled, Reason: payments.RefundItemReturn, Note: "Cancelled in the first week."})
	return err
}
