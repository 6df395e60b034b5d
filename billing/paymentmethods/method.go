package paymentmethods

import (
	"strings"

	"countersign/accounts"
)

// Method is what a payer pays with, in lower case.
type Method string

// The methods of C-07.
const (
	Cash          Method = "cash"
	Card          Method = "card"
	MobileBanking Method = "mobile_banking"
	Voucher       Method = "voucher"
	BankTransfer  Method = "bank_transfer"
	LocalWallet   Method = "local_wallet"
	PayPal        Method = "paypal"
	GatewayLink   Method = "gateway_link"
	Other         Method = "other"
)

// Methods lists all methods.
func Methods() []Method {
	return []Method{Cash, Card, MobileBanking, Voucher, BankTransfer, LocalWallet, PayPal, GatewayLink, Other}
}

// ParseMethod reads a method in any case ("BANK_TRANSFER" is bank_transfer). It fails with
// accounts.ErrUnknownMethod.
func ParseMethod(text string) (Method, error) {
	for _, m := range Methods() {
		// Length first: some letters outside ASCII fold to ASCII ones.
		if len(text) == len(m) && strings.EqualFold(text, string(m)) {
			return m, nil
		}
	}
	return "", accounts.ErrUnknownMethod.With("allowed", strings.Join(accounts.Methods(), ", "))
}

// IsManual says whether a payment by this method is a claim that people decide: nobody but the payer tells us of it.
func (m Method) IsManual() bool { return GatewayOf(m) == GatewayManual }

// isCharged says whether a provider may be asked for a payment by this method.
func (m Method) isCharged() bool { return !m.IsManual() && m != Cash && m != Voucher }

// Gateway names the adapter that carries out a payment.
type Gateway string

// The gateways that a method alone can name.
const (
	GatewayManual  Gateway = "manual"
	GatewayCash    Gateway = "cash"
	GatewayStripe  Gateway = "stripe"
	GatewayPayPal  Gateway = "paypal"
	GatewayVoucher Gateway = "voucher"
)

// GatewayOf gives the gateway that serves a method. It is empty for mobile_banking, gateway_link and other, where the
// payment itself names it (S2-89).
func GatewayOf(m Method) Gateway {
	switch m {
	case BankTransfer, LocalWallet:
		return GatewayManual
	case Cash:
		return GatewayCash
	case Card:
		return GatewayStripe
	case PayPal:
		return GatewayPayPal
	case Voucher:
		return GatewayVoucher
	default:
		return ""
	}
}

// Label is the English name of a method, for people.
func Label(m Method) string { return accounts.MethodLabel(string(m)) }
