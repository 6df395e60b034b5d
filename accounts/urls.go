package accounts

import (
	"net/http"

	"countersign/billing/money"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
	"countersign/tenancy"
)

func (v *views) urls() []web.Route {
	accountErrors := []*errs.Error{ErrUnknownKind, ErrUnknownMethod, ErrMethodNotAllowed, ErrAddress, ErrAliasesDiffer, ErrEmail, ErrExternalIDTaken,
		tenancy.ErrCountry, money.ErrUnknownCurrency}
	userErrors := []*errs.Error{ErrUnknownRole, ErrAccountNeeded, ErrUnknownAccount, ErrOwnersOnly, ErrPasswordLength, ErrPasswordCommon}
	return []web.Route{
		{Method: http.MethodPost, Path: "/auth/token/", Public: true, Handler: v.createToken,
			Tag: "Authentication", Summary: "Sign in: a bearer token for e-mail address and password", Request: LoginRequest{}, Response: TokenResponse{},
			Errors: []*errs.Error{ErrInvalidLogin, ErrTenantRequired, ErrTooManyAttempts, ErrUserInactive}},
		{Method: http.MethodDelete, Path: "/auth/token/", Handler: v.deleteToken,
			Tag: "Authentication", Summary: "Sign out: the token is dead at once", Status: http.StatusNoContent},
		{Method: http.MethodPost, Path: "/auth/password/", Handler: v.changePassword,
			Tag: "Authentication", Summary: "Change your own password: everything else that you are signed in with ends", Request: ChangePasswordRequest{},
			Status: http.StatusNoContent, Errors: []*errs.Error{ErrWrongPassword, ErrPasswordLength, ErrPasswordCommon, ErrTooManyAttempts}},
		{Method: http.MethodGet, Path: "/auth/me/", Handler: v.me,
			Tag: "Authentication", Summary: "Who you are and what you may do", Response: MeResponse{}},

		{Method: http.MethodGet, Path: "/users/", Staff: true, Permission: auth.UsersManage, Handler: v.listUsers,
			Tag: "Users", Summary: "The users of your tenant", Response: UserResponse{}, List: userList},
		{Method: http.MethodPost, Path: "/users/", Staff: true, Permission: auth.UsersManage, Handler: v.createUser,
			Tag: "Users", Summary: "Create a user", Request: CreateUserRequest{}, Response: UserResponse{}, Status: http.StatusCreated,
			Errors: append([]*errs.Error{ErrEmail, ErrEmailTaken}, userErrors...)},
		{Method: http.MethodGet, Path: "/users/{id}/", Staff: true, Permission: auth.UsersManage, Handler: v.getUser,
			Tag: "Users", Summary: "One user", Response: UserResponse{}},
		{Method: http.MethodPatch, Path: "/users/{id}/", Staff: true, Permission: auth.UsersManage, Handler: v.updateUser,
			Tag: "Users", Summary: "Change a user's name, password, role, account or whether he may sign in", Request: UpdateUserRequest{}, Response: UserResponse{},
			Errors: append([]*errs.Error{ErrNotYourself, ErrOwnPassword, ErrLastOwner, ErrManagedElsewhere}, userErrors...)},

		{Method: http.MethodGet, Path: "/billing/accounts/", Staff: true, Permission: auth.BillingView, Handler: v.listAccounts,
			Tag: "Accounts", Summary: "The accounts of your customers", Response: AccountResponse{}, List: accountList},
		{Method: http.MethodPost, Path: "/billing/accounts/", Staff: true, Permission: auth.BillingAccountsManage, Handler: v.createAccount,
			Tag: "Accounts", Summary: "Create an account", Request: CreateAccountRequest{}, Response: AccountResponse{}, Status: http.StatusCreated,
			Errors: append([]*errs.Error{idempotency.ErrReused, idempotency.ErrInProgress}, accountErrors...)},
		{Method: http.MethodGet, Path: "/billing/accounts/{id}/", Permission: auth.BillingView, Handler: v.getAccount,
			Tag: "Accounts", Summary: "One account, by its id or external id; members see their own", Response: AccountResponse{}},
		{Method: http.MethodPatch, Path: "/billing/accounts/{id}/", Staff: true, Permission: auth.BillingAccountsManage, Handler: v.updateAccount,
			Tag: "Accounts", Summary: "Change an account", Request: UpdateAccountRequest{}, Response: AccountResponse{}, Errors: accountErrors},

		{Method: http.MethodGet, Path: "/billing/permissions/", Handler: v.permissions,
			Tag: "Users", Summary: "All permissions, and which role holds which", Response: PermissionsResponse{}},
	}
}
