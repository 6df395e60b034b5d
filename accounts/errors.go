package accounts

import "countersign/internal/errs"

var (
	// ErrAccountInactive means that an account takes no new invoice or payment (S2-23).
	ErrAccountInactive = errs.Conflict("account_inactive", "This account is inactive: it takes no new invoice or payment.")
	// ErrUnknownAccount blames a field of a body that names no account of the tenant (Z-36).
	ErrUnknownAccount = errs.Invalid("unknown_account", "There is no such account.")
	// ErrExternalIDTaken means that another account of the tenant has the external id.
	ErrExternalIDTaken = errs.Conflict("external_id_taken", "Another record has this external id.")
	// ErrUnknownKind names an unknown kind of account (S2-18).
	ErrUnknownKind = errs.Invalid("unknown_account_kind", "This is not a kind of account. Known are: {{.allowed}}.")
	// ErrUnknownMethod names an unknown payment method (S2-75).
	ErrUnknownMethod = errs.Invalid("unknown_payment_method", "This is not a payment method. Known are: {{.allowed}}.")
	// ErrMethodNotAllowed means that the default method is not among the account's methods (S2-76).
	ErrMethodNotAllowed = errs.Invalid("default_method_not_allowed", "The default payment method must be among the account's payment methods.")
	// ErrAddress means that an address is too large or holds a number that cannot be stored.
	ErrAddress = errs.Invalid("invalid_address", "The address is too large or holds a number that cannot be stored.")
	// ErrAliasesDiffer means that a field and its other name were both given and differ.
	ErrAliasesDiffer = errs.Invalid("aliases_differ", "This is given twice, as {{.one}} and as {{.other}}, with different values.")
	// ErrEmail means that a text is not an e-mail address.
	ErrEmail = errs.Invalid("invalid_email", "This is not an e-mail address.")
	errEmpty = errs.Invalid("required", "This field is required.")

	// ErrEmailTaken means that a login with the e-mail address exists, in this tenant or elsewhere.
	ErrEmailTaken = errs.Conflict("email_taken", "Somebody has a login with this e-mail address already.")
	// ErrAlreadyMember means that the user belongs to the tenant already.
	ErrAlreadyMember = errs.Conflict("already_member", "This user belongs to the tenant already.")
	// ErrUnknownRole names an unknown role.
	ErrUnknownRole = errs.Invalid("unknown_role", "This is not a role. Known are: {{.allowed}}.")
	// ErrAccountNeeded means that a member has no account, or somebody else has one.
	ErrAccountNeeded = errs.Invalid("account_for_members", "A member belongs to an account, and only a member does.")
	// ErrOwnersOnly means that somebody else than an owner would create or change an owner.
	ErrOwnersOnly = errs.Forbidden("owners_only", "Only an owner may create or change an owner.")
	// ErrNotYourself means that somebody would change his own role or deactivate himself.
	ErrNotYourself = errs.Conflict("not_yourself", "You cannot change your own role or deactivate yourself. Ask a colleague.")
	// ErrLastOwner means that the tenant would be left without an active owner.
	ErrLastOwner = errs.Conflict("last_owner", "This is the last active owner. Make somebody else an owner first.")
	// ErrManagedElsewhere means that name and password of the user are not this tenant's to change.
	ErrManagedElsewhere = errs.Conflict("user_managed_elsewhere", "This user belongs to several organisations. Only the operator can change the name or password.")

	// ErrOwnPassword sends somebody who would set his own password as a colleague's to where the present one is asked for.
	ErrOwnPassword = errs.Conflict("own_password", "Change your own password where your present one is asked for.")
	// ErrWrongPassword means that the present password, which proves who asks for a new one, is wrong.
	ErrWrongPassword = errs.Invalid("wrong_password", "This is not your present password.")
	// ErrPasswordsDiffer means that a new password was typed twice and not alike.
	ErrPasswordsDiffer = errs.Invalid("passwords_differ", "The two new passwords are not the same.")
	// ErrPasswordLength means that a password is too short or too long.
	ErrPasswordLength = errs.Invalid("password_length", "A password has 10 to 200 characters.")
	// ErrPasswordCommon means that a password is among the first that an attacker tries.
	ErrPasswordCommon = errs.Invalid("password_common", "This password is too well known. Choose another.")

	// ErrInvalidLogin covers unknown users and wrong passwords alike.
	ErrInvalidLogin = errs.Unauthenticated("invalid_login", "E-mail address or password is wrong.")
	// ErrTenantRequired asks somebody with several memberships which one he means.
	ErrTenantRequired = errs.Invalid("tenant_required", "You belong to several organisations. Say which one as tenant: {{.tenants}}.")
	// ErrTooManyAttempts means that an address or a user tried to log in too often.
	ErrTooManyAttempts = errs.RateLimited("too_many_attempts", "There were too many attempts to sign in. Wait and try again.")
	// ErrInvalidCredential means that a token or session is unknown, expired or revoked.
	ErrInvalidCredential = errs.Unauthenticated("invalid_token", "This token is not valid, or no longer. Sign in again.")
	// ErrUserInactive means that the credential is known, and its user or tenant was deactivated.
	ErrUserInactive = errs.Forbidden("user_inactive", "This user is not active. Ask your administrator.")
)
