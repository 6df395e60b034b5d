package payments

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"countersign/internal/idempotency"
	"countersign/internal/web"
)

// refund gives money back. Without a key nothing happens; it is another operation's than that of a charge (S1-47).
func (v *Views) refund(w http.ResponseWriter, r *http.Request) error {
	var req RefundRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	once, err := idempotency.Required(r, "payments.refund", id, req)
	if err != nil {
		return err
	}
	in, err := req.input(id, once)
	if err != nil {
		return err
	}
	reply, err := v.service.Refund(r.Context(), in)
	if err != nil {
		return req.amount().blame(err)
	}
	return reply.write(w, once)
}

func (v *Views) refunds(w http.ResponseWriter, r *http.Request) error {
	return v.refundPage(w, r, uuid.Nil)
}

func (v *Views) refundsOfPayment(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	return v.refundPage(w, r, id)
}

func (v *Views) refundPage(w http.ResponseWriter, r *http.Request, payment uuid.UUID) error {
	l, err := web.ParseList(r, RefundSpec)
	if err != nil {
		return err
	}
	page, err := v.service.Refunds(r.Context(), l, payment)
	if err != nil {
		return err
	}
	return web.WritePage(w, page, func(r RefundResponse) RefundResponse { return r })
}

func (v *Views) getRefund(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return ErrRefundNotFound
	}
	answer, err := v.service.LookAtRefund(r.Context(), id)
	if err != nil {
		return err
	}
	return web.OK(w, answer)
}

func (v *Views) approveRefund(w http.ResponseWriter, r *http.Request) error {
	var req ApproveRefundRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	return stepOfRefund(w, r, "refunds.approve", req, func(ctx context.Context, id uuid.UUID, once *idempotency.Once) (RefundResponse, error) {
		return v.service.ApproveRefund(ctx, DecideRefundInput{ID: id, Digest: req.Digest, Note: req.Note, Once: once})
	})
}

func (v *Views) rejectRefund(w http.ResponseWriter, r *http.Request) error {
	var req RejectRefundRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	return stepOfRefund(w, r, "refunds.reject", req, func(ctx context.Context, id uuid.UUID, once *idempotency.Once) (RefundResponse, error) {
		return v.service.RejectRefund(ctx, DecideRefundInput{ID: id, Digest: req.Digest, Note: req.Reason, Once: once})
	})
}

func (v *Views) cancelRefund(w http.ResponseWriter, r *http.Request) error {
	return stepOfRefund(w, r, "refunds.cancel", nil, v.service.CancelRefund)
}

func (v *Views) completeRefund(w http.ResponseWriter, r *http.Request) error {
	var req CompleteRefundRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	return stepOfRefund(w, r, "refunds.complete", req, func(ctx context.Context, id uuid.UUID, once *idempotency.Once) (RefundResponse, error) {
		return v.service.CompleteRefund(ctx, CompleteRefundInput{ID: id, PayoutReference: req.PayoutReference, Once: once})
	})
}

func (v *Views) reverseRefund(w http.ResponseWriter, r *http.Request) error {
	var req ReverseRefundRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	return stepOfRefund(w, r, "refunds.reverse", req, func(ctx context.Context, id uuid.UUID, once *idempotency.Once) (RefundResponse, error) {
		return v.service.ReverseRefund(ctx, ReverseRefundInput{ID: id, Reason: req.Reason, Once: once})
	})
}

func stepOfRefund(w http.ResponseWriter, r *http.Request, scope string, req any, do func(context.Context, uuid.UUID, *idempotency.Once) (RefundResponse, error)) error {
	id, err := web.ID(r)
	if err != nil {
		return ErrRefundNotFound
	}
	once, err := idempotency.FromRequest(r, scope, id, req)
	if err != nil {
		return err
	}
	answer, err := do(r.Context(), id, once)
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusOK, answer, "")
}
