// Package offline holds the gateways without anybody outside: money that people take with their hands, and that people
// report. Nobody is asked and nobody calls, so every operation is somebody's own: staff complete, cancel and refund
// (S0-39 to S0-41).
package offline

import (
	"context"

	"countersign/billing/gateways"
)

// Gateway is money that staff or the payer report.
type Gateway struct {
	name string
}

// Cash is money in the till.
func Cash() *Gateway { return &Gateway{"cash"} }

// Manual is a transfer or a wallet payment that the payer claims and staff decide.
func Manual() *Gateway { return &Gateway{"manual"} }

// Name implements gateways.Gateway.
func (g *Gateway) Name() string { return g.name }

// Capabilities implements gateways.Gateway: refunds are paid by hand, whole or in parts, and nothing else is asked for.
func (g *Gateway) Capabilities() gateways.Capabilities {
	return gateways.Capabilities{Refunds: gateways.RefundByHand, PartRefund: true, Modes: []gateways.Mode{gateways.Live, gateways.Test}, NeedsNoConfig: true}
}

// Begin is not supported.
func (g *Gateway) Begin(context.Context, gateways.Credentials, gateways.Order) (gateways.Result, error) {
	return gateways.Result{}, gateways.ErrUnsupported
}

// Capture is not supported.
func (g *Gateway) Capture(context.Context, gateways.Credentials, gateways.Operation) (gateways.Result, error) {
	return gateways.Result{}, gateways.ErrUnsupported
}

// Release is not supported.
func (g *Gateway) Release(context.Context, gateways.Credentials, gateways.Operation) (gateways.Result, error) {
	return gateways.Result{}, gateways.ErrUnsupported
}

// Refund is not supported: somebody pays, and gives us the reference of the payout.
func (g *Gateway) Refund(context.Context, gateways.Credentials, gateways.Operation) (gateways.Result, error) {
	return gateways.Result{}, gateways.ErrUnsupported
}

// FetchStatus is not supported.
func (g *Gateway) FetchStatus(context.Context, gateways.Credentials, gateways.Query) (gateways.Result, error) {
	return gateways.Result{}, gateways.ErrUnsupported
}

// HandleCallback is not supported.
func (g *Gateway) HandleCallback(context.Context, gateways.Credentials, gateways.Callback) (gateways.Message, error) {
	return gateways.Message{}, gateways.ErrUnsupported
}
