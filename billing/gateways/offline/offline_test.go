package offline_test

import (
	"testing"

	"countersign/billing/gateways"
	"countersign/billing/gateways/gatewaystest"
	"countersign/billing/gateways/offline"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	for _, g := range []gateways.Gateway{offline.Cash(), offline.Manual()} {
		t.Run(g.Name(), func(t *testing.T) {
			gatewaystest.Suite(t, func(testing.TB) gatewaystest.Fixture { return gatewaystest.Fixture{Gateway: g} })
		})
	}
}
