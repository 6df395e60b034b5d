package tenancy

import "countersign/internal/errs"

var (
	// ErrNoTenant means that code ran outside any tenant: a bug, or an anonymous caller.
	ErrNoTenant = errs.Unauthenticated("authentication_required", "Sign in first: this call needs a bearer token.")
	// ErrSlugTaken means that another tenant has the slug.
	ErrSlugTaken = errs.Conflict("slug_taken", "Another tenant has this short name.")
	// ErrUnknownSlug means that no tenant has the short name.
	ErrUnknownSlug = errs.NotFound("unknown_tenant", "There is no tenant with the short name {{.slug}}.")
	// ErrTimezone names an unknown time zone.
	ErrTimezone = errs.Invalid("unknown_timezone", "This is not a time zone such as Asia/Dhaka.")
	// ErrCountry names an unknown country.
	ErrCountry = errs.Invalid("unknown_country", "This is not a country code such as BD.")
)
