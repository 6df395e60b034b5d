package ledger

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
	"countersign/tenancy"
)

type views struct{ db *bun.DB }

func (v *views) accounts(w http.ResponseWriter, r *http.Request) error {
	l, err := web.ParseList(r, accountSpec)
	if err != nil {
		return err
	}
	var page web.Page[AccountBalance]
	err = tenancy.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) error {
		page, err = Accounts(ctx, tx, l)
		return err
	})
	if err != nil {
		return err
	}
	return web.WritePage(w, page, newAccountResponse)
}

// balanceOf reads an account and its balance at ?as_of=.
func (v *views) balanceOf(r *http.Request, asOf *time.Time) (a *Account, minor Sum, err error) {
	id, err := web.ID(r)
	if err != nil {
		return nil, Sum{}, err
	}
	err = tenancy.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) error {
		if a, err = GetAccount(ctx, tx, id); err != nil {
			return err
		}
		minor, err = Balance(ctx, tx, id, asOf)
		return err
	})
	return a, minor, err
}

func (v *views) account(w http.ResponseWriter, r *http.Request) error {
	a, minor, err := v.balanceOf(r, nil)
	if err != nil {
		return err
	}
	return web.OK(w, newAccountResponse(AccountBalance{Account: *a, BalanceMinor: minor}))
}

func (v *views) balance(w http.ResponseWriter, r *http.Request) error {
	asOf, err := ParseAsOf(r)
	if err != nil {
		return err
	}
	a, minor, err := v.balanceOf(r, asOf)
	if err != nil {
		return err
	}
	return web.OK(w, newBalanceResponse(a, minor, asOf))
}

// ParseAsOf reads ?as_of=; nil means now.
func ParseAsOf(r *http.Request) (*time.Time, error) {
	raw := r.URL.Query().Get("as_of")
	if raw == "" {
		return nil, nil
	}
	at, err := web.ParseInstant(raw)
	if err != nil {
		var fields errs.Fields
		fields.Add("as_of", errs.As(err))
		return nil, fields.Err()
	}
	return &at, nil
}

func (v *views) entries(w http.ResponseWriter, r *http.Request) error {
	l, err := ParseEntryList(r, entrySpec)
	if err != nil {
		return err
	}
	var page web.Page[PostedEntry]
	err = tenancy.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) error {
		if id, ok := web.Value[uuid.UUID](l.List, "account"); ok {
			if l.AccountIDs, err = AccountsOf(ctx, tx, id); err != nil {
				return err
			}
		}
		page, err = Entries(ctx, tx, l)
		return err
	})
	if err != nil {
		return err
	}
	return web.WritePage(w, page, newEntryResponse)
}

func (v *views) trialBalance(w http.ResponseWriter, r *http.Request) error {
	asOf, err := ParseAsOf(r)
	if err != nil {
		return err
	}
	var t Trial
	err = tenancy.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) error {
		t, err = TrialBalance(ctx, tx, asOf)
		return err
	})
	if err != nil {
		return err
	}
	return web.OK(w, newTrialResponse(t, asOf))
}

func (v *views) rebuild(w http.ResponseWriter, r *http.Request) error {
	if _, err := auth.Require(r.Context(), auth.BillingLedgerView); err != nil {
		return err
	}
	once, err := idempotency.FromRequest(r, "ledger.rebuild", uuid.Nil, nil)
	if err != nil {
		return err
	}
	done, err := Rebuild(r.Context(), v.db, once)
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusOK, newRebuildResponse(done), "")
}
