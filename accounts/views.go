package accounts

import (
	"context"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/idempotency"
	"countersign/internal/web"
	"countersign/tenancy"
)

type views struct {
	db      *bun.DB
	service *Service
}

func (v *views) listAccounts(w http.ResponseWriter, r *http.Request) error {
	l, err := web.ParseList(r, accountList)
	if err != nil {
		return err
	}
	var page web.Page[*Account]
	err = tenancy.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) error {
		page, err = ListAccounts(ctx, tx, l)
		return err
	})
	if err != nil {
		return err
	}
	return web.WritePage(w, page, newAccountResponse)
}

func (v *views) createAccount(w http.ResponseWriter, r *http.Request) error {
	var req CreateAccountRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	in, err := req.input()
	if err != nil {
		return err
	}
	if in.Once, err = idempotency.FromRequest(r, "accounts.create", uuid.Nil, req); err != nil {
		return err
	}
	a, err := v.service.CreateAccount(r.Context(), in)
	if err != nil {
		return err
	}
	return in.Once.Answer(w, http.StatusCreated, newAccountResponse(a), "")
}

// reference is the path's id or external id, which may hold characters that a path escapes.
func reference(r *http.Request) (string, error) {
	text := chi.URLParam(r, "id")
	if r.URL.RawPath == "" { // the router matched the decoded path
		return text, nil
	}
	text, err := url.PathUnescape(text)
	if err != nil {
		return "", web.ErrNotFound
	}
	return text, nil
}

func (v *views) getAccount(w http.ResponseWriter, r *http.Request) error {
	text, err := reference(r)
	if err != nil {
		return err
	}
	var a *Account
	err = tenancy.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) error {
		a, err = Resolve(ctx, tx, text)
		return err
	})
	if err != nil {
		return err
	}
	return web.OK(w, newAccountResponse(a))
}

func (v *views) updateAccount(w http.ResponseWriter, r *http.Request) error {
	text, err := reference(r)
	if err != nil {
		return err
	}
	var req UpdateAccountRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	in, err := req.input()
	if err != nil {
		return err
	}
	a, err := v.service.UpdateAccount(r.Context(), text, in)
	if err != nil {
		return err
	}
	return web.OK(w, newAccountResponse(a))
}

func (v *views) listUsers(w http.ResponseWriter, r *http.Request) error {
	l, err := web.ParseList(r, userList)
	if err != nil {
		return err
	}
	var page web.Page[*Person]
	err = tenancy.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) error {
		page, err = ListUsers(ctx, tx, l)
		return err
	})
	if err != nil {
		return err
	}
	return web.WritePage(w, page, newUserResponse)
}

func (v *views) createUser(w http.ResponseWriter, r *http.Request) error {
	var req CreateUserRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	p, err := v.service.CreateUser(r.Context(), req.input())
	if err != nil {
		return err
	}
	return web.Created(w, newUserResponse(p))
}

func (v *views) getUser(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	var p *Person
	err = tenancy.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) error {
		p, err = GetPerson(ctx, tx, id)
		return err
	})
	if err != nil {
		return err
	}
	return web.OK(w, newUserResponse(p))
}

func (v *views) updateUser(w http.ResponseWriter, r *http.Request) error {
	id, err := web.ID(r)
	if err != nil {
		return err
	}
	var req UpdateUserRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	p, err := v.service.UpdateUser(r.Context(), id, req.input())
	if err != nil {
		return err
	}
	return web.OK(w, newUserResponse(p))
}

func (v *views) createToken(w http.ResponseWriter, r *http.Request) error {
	var req LoginRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	login, err := v.service.Login(r.Context(), LoginInput{Email: req.Email, Password: req.Password, Tenant: req.Tenant, Kind: KindToken})
	if err != nil {
		return err
	}
	return web.OK(w, newTokenResponse(login))
}

func (v *views) deleteToken(w http.ResponseWriter, r *http.Request) error {
	if err := v.service.Logout(r.Context()); err != nil {
		return err
	}
	return web.NoContent(w)
}

func (v *views) changePassword(w http.ResponseWriter, r *http.Request) error {
	var req ChangePasswordRequest
	if err := web.Decode(r, &req); err != nil {
		return err
	}
	if err := v.service.ChangePassword(r.Context(), req.input()); err != nil {
		return err
	}
	return web.NoContent(w)
}

func (v *views) me(w http.ResponseWriter, r *http.Request) error {
	i, err := v.service.Me(r.Context())
	if err != nil {
		return err
	}
	return web.OK(w, newMeResponse(i))
}

func (v *views) permissions(w http.ResponseWriter, r *http.Request) error {
	return web.OK(w, newPermissionsResponse())
}
