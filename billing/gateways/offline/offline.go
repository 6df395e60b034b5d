// Package offline holds the gateways without anybody outside: money that people take with their hands, and that people
// report. Nobody is asked and nobody calls, so every operation is somebody's own: staff complete, cancel and refund
// (S0-39 to S0-41).
package offline

import "countersign/billing/gateways"

// Gateway is money that staff or the payer report.
type Gateway struct {
	gateways.Unsupported

	name string
}

// Cash is money in the till.
func Cash() *Gateway { return &Gateway{name: "cash"} }

// Manual is a transfer or a wallet payment that the payer claims and staff decide.
func Manual() *Gateway { return &Gateway{name: "manual"} }

// Name implements gateways.Gateway.
func (g *Gateway) Name() string { return g.name }

// Capabilities implements gateways.Gateway: refunds are paid by hand, whole or in parts, and nothing else is asked for.
func (g *Gateway) Capabilities() gateways.Capabilities {
	return gateways.Capabilities{Refunds: gateways.RefundByHand, PartRefund: true, Modes: []gateways.Mode{gateways.Live, gateways.Test}, NeedsNoConfig: true}
}
