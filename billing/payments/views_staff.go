package payments

import (
	"cmp"
	"context"
	"net/http"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
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
	gateway, method, err := req.gateway()
	if err != nil {
		return err
	}
	refusal := req.fits(gateway, method)
	switch gateway {
	case string(paymentmethods.GatewayCash), string(paymentmethods.GatewayManual):
		if refusal != nil {
			return refusal
		}
		return req.amount().blame(v.record(w, r, gateway, req, once))
	}
	if refusal == nil && once.IsEmpty() { // a provider is asked once for each key, as for a charge (S1-16)
		refusal = idempotency.ErrRequired.At("idempotency_key")
	}
	in, err := req.charge(gateway, once)
	if err != nil {
		return err
	}
	if refusal != nil { // of a gateway that there is
		_, err := v.service.gatewayFor(r.Context(), in)
		return cmp.Or(err, refusal)
	}
	reply, err := v.service.Charge(r.Context(), in)
	if err != nil {
		return req.amount().blame(err)
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
		if in.Account, err = v.account(ctx, req.AccountID); err != nil {
			return err
		}
		if made, err = v.service.SubmitManual(ctx, in); err != nil {
			return err
		}
	}
	return once.Answer(w, http.StatusCreated, plain(made, t.TestMode), "")
}

// account finds the customer that a request names; zero: it names none.
func (v *Views) account(ctx context.Context, name string) (id uuid.UUID, err error) {
	if name == "" {
		return uuid.Nil, nil
	}
	err = tenancy.Read(ctx, v.service.db, func(ctx context.Context, tx bun.Tx) error {
		named, err := accounts.ResolveField(ctx, tx, "account_id", name)
		if err == nil {
			id = named.ID
		}
		return err
	})
	return id, err
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
