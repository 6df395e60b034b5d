package decisions

import (
	"context"
	"net/http"

	"github.com/uptrace/bun"

	"countersign/internal/admin"
	"countersign/internal/apps"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
	"countersign/tenancy"
)

// App hands the ladder's routes and console pages to the project.
func (s *Service) App() apps.App {
	return apps.App{Name: "decisions", Admin: []admin.Section{s.section()}, URLs: []web.Route{
		{Method: http.MethodGet, Path: "/billing/approval-policies/", Staff: true, Permission: auth.BillingView, Handler: s.getLadder,
			Tag: "Approval", Summary: "Which payments need how many approvals", Response: LadderResponse{}},
		{Method: http.MethodPut, Path: "/billing/approval-policies/", Staff: true, Permission: auth.TenantManage, Handler: s.putLadder,
			Tag: "Approval", Summary: "Replace the whole approval ladder", Request: LadderRequest{}, Response: LadderResponse{},
			Errors: []*errs.Error{ErrPolicyRank}},
	}}
}

func (s *Service) getLadder(w http.ResponseWriter, r *http.Request) error {
	var rungs []Policy
	err := tenancy.Read(r.Context(), s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		rungs, err = Ladder(ctx, tx, SubjectPayment)
		return err
	})
	if err != nil {
		return err
	}
	return web.OK(w, LadderResponse{facts(rungs)})
}

func (s *Service) putLadder(w http.ResponseWriter, r *http.Request) error {
	var req LadderRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	rungs, err := req.input()
	if err != nil {
		return err
	}
	saved, err := s.SetLadder(r.Context(), rungs)
	if err != nil {
		return err
	}
	return web.OK(w, LadderResponse{facts(saved)})
}
