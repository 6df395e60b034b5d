package payments

import (
	"net/http"

	"github.com/google/uuid"

	"countersign/billing/paymentmethods"
	"countersign/internal/idempotency"
	"countersign/internal/web"
	"countersign/tenancy"
)

// create makes a payment by whatever gateway serves it.
func (v *Views) create(w http.ResponseWriter, r *http.Request) error {
	var req CreateRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	key := req.IdempotencyKey
	req.IdempotencyKey = ""
	once, err := idempotency.FromBody(r, key, "payments.create", uuid.Nil, req)
	if err != nil {
		return err
	}
	if err := req.check(); err != nil {
		return err
	}
	gateway, err := req.gateway()
	if err != nil {
		return err
	}
	switch gateway {
	case string(paymentmethods.GatewayCash), string(paymentmethods.GatewayManual):
		return v.record(w, r, gateway, req, once)
	}
	in, err := req.charge(gateway, once)
	if err != nil {
		return err
	}
	reply, err := v.service.Charge(r.Context(), in)
	if err != nil {
		return err
	}
	return reply.write(w, once)
}

// record makes a payment that no provider is asked for.
func (v *Views) record(w http.ResponseWriter, r *http.Request, gateway string, req CreateRequest, once *idempotency.Once) error {
	ctx := r.Context()
	var t tenancy.Tenant
	if err := tenancy.Fetch(ctx, v.service.db, tenancy.SelectCurrent(ctx, &t)); err != nil {
		return err
	}
	var made Response
	if gateway == string(paymentmethods.GatewayCash) {
		in, err := req.cash(once)
		if err != nil {
			return err
		}
		if made, err = v.service.TakeCash(ctx, in); err != nil {
			return err
		}
	} else {
		in, err := req.manual(once)
		if err != nil {
			return err
		}
		if made, err = v.service.SubmitManual(ctx, in); err != nil {
			return err
		}
	}
	return once.Answer(w, http.StatusCreated, plain(made, t.TestMode), "")
}

func (v *Views) complete(w http.ResponseWriter, r *http.Request) error {
	in, err := stepInput(r, "payments.complete", idempotency.FromRequest)
	if err != nil {
		return err
	}
	p, err := v.service.Complete(r.Context(), in)
	if err != nil {
		return err
	}
	return in.Once.Answer(w, http.StatusOK, p, "")
}
