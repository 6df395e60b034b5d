package paymentmethods

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
	"countersign/tenancy"
)

type views struct {
	service *Service
}

// available answers what the caller's account, or for staff any account or country, may pay with.
func (v *views) available(w http.ResponseWriter, r *http.Request) error {
	params, err := parameters(r, "account", "country")
	if err != nil {
		return err
	}
	if p, _ := auth.From(r.Context()); p.IsMember() {
		if len(params) > 0 {
			return web.ErrStaffOnly
		}
		q, offers, err := v.own(r.Context(), p.AccountID)
		if err != nil {
			return err
		}
		return v.show(w, r, q, offers)
	}
	var q Query
	var offers []Offer
	err = tenancy.Read(r.Context(), v.service.db, func(ctx context.Context, tx bun.Tx) (err error) {
		if q, err = query(ctx, tx, params); err != nil {
			return err
		}
		offers, err = Available(ctx, tx, q)
		return err
	})
	if err != nil {
		return err
	}
	return v.show(w, r, q, offers)
}

// show answers with offers, and with the public keys of those that a gateway's own form takes.
func (v *views) show(w http.ResponseWriter, r *http.Request, q Query, offers []Offer) error {
	hasForm := func(o Offer) bool { g := GatewayOf(o.Method); return g == GatewayStripe || g == GatewayPayPal }
	if v.service.publicKeys != nil && slices.ContainsFunc(offers, hasForm) {
		keys, err := v.service.publicKeys(r.Context())
		if err != nil {
			return err
		}
		for i, o := range offers {
			offers[i].PublishableKey = keys[string(GatewayOf(o.Method))]
		}
	}
	return web.OK(w, newAvailableResponse(q, offers))
}

// own gives the offers to a member's account, about which he says nothing himself.
func (v *views) own(ctx context.Context, account uuid.UUID) (Query, []Offer, error) {
	found, among := map[uuid.UUID]*accounts.Account{}, Candidates{}
	if err := tenancy.Fetch(ctx, v.service.db, accounts.SelectByIDs(ctx, found, account), SelectCandidates(ctx, &among, "", account)); err != nil {
		return Query{}, nil, err
	}
	if found[account] == nil {
		return Query{}, nil, web.ErrNotFound
	}
	q := QueryOf(found[account])
	return q, among.Offers(q), nil
}

// query is what staff ask: about an account, a country, or an account as if it were in another country; a country alone
// means any currency, and nothing means the tenant's own country.
func query(ctx context.Context, tx bun.Tx, params map[string]string) (Query, error) {
	var q Query
	if reference := params["account"]; reference != "" {
		account, err := accounts.Resolve(ctx, tx, reference)
		if err != nil {
			return Query{}, err
		}
		q = QueryOf(account)
	}
	if text := params["country"]; text != "" {
		country, err := tenancy.ParseCountry(text)
		if err != nil {
			return Query{}, tenancy.ErrCountry.At("country")
		}
		q.Country = country
	}
	if q.Country == "" {
		tenant, err := tenancy.Current(ctx, tx)
		if err != nil {
			return Query{}, err
		}
		q.Country = tenant.Country
	}
	return q, nil
}

// parameters reads the query string of a call that knows only the allowed names.
func parameters(r *http.Request, allowed ...string) (map[string]string, error) {
	var fields errs.Fields
	values := map[string]string{}
	for name, given := range r.URL.Query() {
		if !slices.Contains(allowed, name) {
			fields.Add(name, web.ErrUnknownParameter.With("allowed", strings.Join(allowed, ", ")))
		}
		values[name] = given[len(given)-1]
	}
	return values, fields.Err()
}

func (v *views) listConfigs(w http.ResponseWriter, r *http.Request) error {
	l, err := web.ParseList(r, configList)
	if err != nil {
		return err
	}
	var page web.Page[*Config]
	err = tenancy.Read(r.Context(), v.service.db, func(ctx context.Context, tx bun.Tx) (err error) {
		page, err = ListConfigs(ctx, tx, l)
		return err
	})
	if err != nil {
		return err
	}
	return web.WritePage(w, page, newConfigResponse)
}

func (v *views) createConfig(w http.ResponseWriter, r *http.Request) error {
	var req CreateConfigRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	c, err := v.service.CreateConfig(r.Context(), req.input())
	if err != nil {
		return err
	}
	return web.Created(w, newConfigResponse(c))
}

func (v *views) getConfig(w http.ResponseWriter, r *http.Request) error {
	c, err := read(r, v.service.db, GetConfig)
	if err != nil {
		return err
	}
	return web.OK(w, newConfigResponse(c))
}

// read gives the object that the path names.
func read[T any](r *http.Request, db *bun.DB, get func(context.Context, bun.IDB, uuid.UUID) (*T, error)) (*T, error) {
	id, err := web.ID(r)
	if err != nil {
		return nil, err
	}
	var found *T
	err = tenancy.Read(r.Context(), db, func(ctx context.Context, tx bun.Tx) (err error) {
		found, err = get(ctx, tx, id)
		return err
	})
	return found, err
}

func (v *views) updateConfig(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	var req UpdateConfigRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	c, err := v.service.UpdateConfig(r.Context(), id, req.input())
	if err != nil {
		return err
	}
	return web.OK(w, newConfigResponse(c))
}

func (v *views) deleteConfig(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	if err := v.service.DeleteConfig(r.Context(), id); err != nil {
		return err
	}
	return web.NoContent(w)
}

func (v *views) listSaved(w http.ResponseWriter, r *http.Request) error {
	l, err := web.ParseList(r, savedList)
	if err != nil {
		return err
	}
	var page web.Page[*Saved]
	err = tenancy.Read(r.Context(), v.service.db, func(ctx context.Context, tx bun.Tx) error {
		account, err := filterAccount(ctx, tx, l)
		if err != nil {
			return err
		}
		page, err = ListSaved(ctx, tx, l, account)
		return err
	})
	if err != nil {
		return err
	}
	return web.WritePage(w, page, newSavedResponse)
}

// filterAccount gives the account that staff filter by, or zero.
func filterAccount(ctx context.Context, tx bun.Tx, l web.List) (uuid.UUID, error) {
	reference, ok := web.Value[string](l, "account")
	if !ok {
		return uuid.Nil, nil
	}
	if p, _ := auth.From(ctx); p.IsMember() {
		return uuid.Nil, web.ErrStaffOnly
	}
	account, err := accounts.Resolve(ctx, tx, reference)
	if err != nil {
		return uuid.Nil, err
	}
	return account.ID, nil
}

func (v *views) save(w http.ResponseWriter, r *http.Request) error {
	var req SaveRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	if err := req.check(r.Context()); err != nil {
		return err
	}
	once, err := idempotency.FromRequest(r, "payment_methods.save", uuid.Nil, req)
	if err != nil {
		return err
	}
	m, err := v.service.Save(r.Context(), SaveInput{Account: req.AccountID, Method: req.PaymentMethod, DisplayName: req.DisplayName,
		Details: Details(req.Details), IsDefault: req.IsDefault, Once: once})
	if err != nil {
		return err
	}
	return once.Answer(w, http.StatusCreated, m, "")
}

func (v *views) getSaved(w http.ResponseWriter, r *http.Request) error {
	m, err := read(r, v.service.db, GetSaved)
	if err != nil {
		return err
	}
	return web.OK(w, newSavedResponse(m))
}

func (v *views) updateSaved(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	var req UpdateSavedRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	m, err := v.service.UpdateSaved(r.Context(), id, UpdateSavedInput{DisplayName: req.DisplayName, Details: Details(req.Details)})
	if err != nil {
		return err
	}
	return web.OK(w, newSavedResponse(m))
}

func (v *views) deleteSaved(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	if err := v.service.DeleteSaved(r.Context(), id); err != nil {
		return err
	}
	return web.NoContent(w)
}

func (v *views) setDefault(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	m, err := v.service.SetDefault(r.Context(), id)
	if err != nil {
		return err
	}
	return web.OK(w, newSavedResponse(m))
}
