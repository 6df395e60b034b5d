package credits

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/billing/ledger"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/web"
	"countersign/tenancy"
)

// transactionSpec is what the list of transactions allows.
var transactionSpec = &web.ListSpec{
	Filters: []web.Filter{
		web.Text("account", "The account, by id or external id. Staff must name one; members have their own."),
		web.Text("currency", "A currency, or credit."),
		web.Instant("created_after", "Changed at this time or later."),
		web.Instant("created_before", "Changed before this time."),
	},
	Ordering: map[string]string{"created_at": "transaction_id"},
	Default:  "-created_at",
	AdHoc:    true, // several ledger accounts at once
}

type views struct{ db *bun.DB }

func (v *views) balance(w http.ResponseWriter, r *http.Request) error {
	var b Balance
	err := tenancy.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) error {
		account, err := whose(ctx, tx, r.URL.Query().Get("account"))
		if err != nil {
			return err
		}
		b, err = BalanceOf(ctx, tx, account, nil)
		return err
	})
	if err != nil {
		return err
	}
	return web.OK(w, newBalanceResponse(b))
}

// ofAccount shows where an account stands; members see their own.
func (v *views) ofAccount(w http.ResponseWriter, r *http.Request) error {
	asOf, err := ledger.ParseAsOf(r)
	if err != nil {
		return err
	}
	var account uuid.UUID
	var b Balance
	err = tenancy.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) (err error) {
		if account, err = whose(ctx, tx, chi.URLParam(r, "id")); err != nil {
			return err
		}
		b, err = BalanceOf(ctx, tx, account, asOf)
		return err
	})
	if err != nil {
		return err
	}
	return web.OK(w, AccountBalanceResponse{AccountID: account.String(), AsOf: ledger.ShowAsOf(asOf), Due: newMoneyResponses(b.Due), Credit: newMoneyResponses(b.Money), Credits: b.Credits})
}

func (v *views) transactions(w http.ResponseWriter, r *http.Request) error {
	l, err := ledger.ParseEntryList(r, transactionSpec)
	if err != nil {
		return err
	}
	var page web.Page[ledger.PostedEntry]
	err = tenancy.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) error {
		named, _ := web.Value[string](l.List, "account")
		account, err := whose(ctx, tx, named)
		if err != nil {
			return err
		}
		page, err = transactionsOf(ctx, tx, account, l)
		return err
	})
	if err != nil {
		return err
	}
	return web.WritePage(w, page, newTransactionResponse)
}

// whose gives the account that a request is about: a member's own, or the one that staff name. An account that the
// caller does not see is not found.
func whose(ctx context.Context, tx bun.Tx, named string) (uuid.UUID, error) {
	if named == "" {
		p, err := auth.Require(ctx, auth.BillingView)
		if err != nil {
			return uuid.Nil, err
		}
		if !p.IsMember() {
			var fields errs.Fields
			fields.Add("account", ErrAccountRequired)
			return uuid.Nil, fields.Err()
		}
		return p.AccountID, nil
	}
	a, err := accounts.Resolve(ctx, tx, named)
	if err != nil {
		return uuid.Nil, err
	}
	return a.ID, nil
}
