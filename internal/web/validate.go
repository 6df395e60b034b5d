package web

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/go-playground/validator/v10"

	"countersign/internal/errs"
)

// The sentences for validator tags. A tag that is not here would reach the caller as invalid_value; a test keeps the
// tags that are used and this list together.
var (
	// ErrRequired names a field that is missing.
	ErrRequired = errs.Invalid("required", "This field is required.")
	errTooLong  = errs.Invalid("too_long", "This is too long: at most {{.limit}}.")
	errTooShort = errs.Invalid("too_short", "This is too short: at least {{.limit}}.")
	errLength   = errs.Invalid("wrong_length", "This has exactly {{.length}} characters.")
	errTooSmall = errs.Invalid("too_small", "This must be at least {{.limit}}.")
	errTooLarge = errs.Invalid("too_large", "This must be at most {{.limit}}.")
	errOneOf    = errs.Invalid("not_a_choice", "This must be one of: {{.allowed}}.")
	errEmail    = errs.Invalid("invalid_email", "This is not an e-mail address.")
	errUUID     = errs.Invalid("invalid_id", "This is not an id.")
	errValue    = errs.Invalid("invalid_value", "This value does not fit here.")
	// ErrNotADate means that a text is no day of the calendar, or one of a year that nobody means.
	ErrNotADate = errs.Invalid("invalid_date", "This is not a date such as 2026-01-31, of a year from 1900 to 9999.")
	// ErrNotATime means that a text is no time of RFC 3339, or one of a year that nobody means.
	ErrNotATime = errs.Invalid("invalid_time", "This is not a time such as 2026-01-31T13:45:00Z, of a year from 1900 to 9999.")
)

var validate = sync.OnceValue(func() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		return name
	})
	// the validator's own datetime takes the year 0
	if err := v.RegisterValidation("datetime", isDatetime); err != nil {
		panic(err)
	}
	return v
})

func isDatetime(f validator.FieldLevel) bool {
	if f.Param() == time.DateOnly {
		_, err := ParseDate(f.Field().String())
		return err == nil
	}
	_, err := ParseInstant(f.Field().String())
	return err == nil
}

// Validate checks the validator tags of a request struct and reports every fault under the field's JSON path.
func Validate(request any) error {
	err := validate().Struct(request)
	if err == nil {
		return nil
	}
	faults, ok := errors.AsType[validator.ValidationErrors](err)
	if !ok {
		return err
	}
	var fields errs.Fields
	for _, f := range faults {
		_, path, _ := strings.Cut(f.Namespace(), ".")
		path = strings.NewReplacer("[", ".", "]", "").Replace(path)
		fields.Add(path, problem(f))
	}
	return fields.Err()
}

func problem(f validator.FieldError) *errs.Error {
	sized := f.Kind() == reflect.String || f.Kind() == reflect.Slice || f.Kind() == reflect.Map
	switch f.Tag() {
	case "required", "required_without", "required_if":
		return ErrRequired
	case "max", "lte":
		if sized {
			return errTooLong.With("limit", f.Param())
		}
		return errTooLarge.With("limit", f.Param())
	case "min", "gte", "gt":
		if sized {
			return errTooShort.With("limit", f.Param())
		}
		return errTooSmall.With("limit", f.Param())
	case "len":
		return errLength.With("length", f.Param())
	case "oneof":
		return errOneOf.With("allowed", strings.Join(strings.Fields(f.Param()), ", "))
	case "email":
		return errEmail
	case "uuid":
		return errUUID
	case "datetime":
		if f.Param() == time.DateOnly {
			return ErrNotADate
		}
		return ErrNotATime
	default:
		return errValue
	}
}
