package accounts

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/mail"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/money"
	"countersign/internal/audit"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/internal/web"
	"countersign/tenancy"
)

// maxAddress is how many bytes of JSON an address may take.
const maxAddress = 8 << 10

// CreateAccountInput is what a new account needs. Kind, country and currency may be empty: organization, and what the
// address or the tenant says.
type CreateAccountInput struct {
	Kind                 string
	Holder               string
	Country              string // code or name
	Currency             string
	ExternalID           string
	Email                string
	PatientID            string
	BillingAddress       web.FreeForm
	PaymentMethods       []string // empty: all that the country offers
	DefaultPaymentMethod string
	Inactive             bool
	Once                 *idempotency.Once
}

// CreateAccount makes an account of the caller's tenant. It needs billing.accounts.manage.
func (s *Service) CreateAccount(ctx context.Context, in CreateAccountInput) (*Account, error) {
	var a *Account
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		a, err = idempotency.Do(ctx, tx, in.Once, func() (*Account, error) { return s.createAccount(ctx, tx, in) })
		return err
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

func (s *Service) createAccount(ctx context.Context, tx bun.Tx, in CreateAccountInput) (*Account, error) {
	tenant, err := tenancy.Current(ctx, tx)
	if err != nil {
		return nil, err
	}
	addressCountry, _ := in.BillingAddress["country"].(string)
	a := &Account{TenantID: tenant.ID, ID: uuid.Must(uuid.NewV7()), ExternalID: in.ExternalID, Kind: first(in.Kind, KindOrganization), Holder: in.Holder,
		Country: first(in.Country, addressCountry, tenant.Country), Currency: money.Currency(first(in.Currency, string(tenant.DefaultCurrency))),
		Email: in.Email, PatientID: in.PatientID, PaymentMethods: in.PaymentMethods, DefaultPaymentMethod: in.DefaultPaymentMethod, IsActive: !in.Inactive}
	if err := a.normalize(&in.BillingAddress); err != nil {
		return nil, err
	}
	// last, because the series stays locked until the commit
	n, err := tenancy.NextNumber(ctx, tx, "account", 0)
	if err != nil {
		return nil, err
	}
	a.Number = fmt.Sprintf("ACC-%06d", n)
	if _, err := tx.NewInsert().Model(a).Returning("created_at, updated_at").Exec(ctx); err != nil {
		return nil, translateAccount("insert account", err)
	}
	if err := s.outbox.Emit(ctx, accountEvent(EventAccountCreated, a)); err != nil {
		return nil, err
	}
	return a, audit.Write(ctx, audit.Record{Action: "account.create", ObjectType: "account", ObjectID: a.ID, AccountID: a.ID, After: accountFacts(a)})
}

func first(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func translateAccount(doing string, err error) error {
	if database.IsUnique(err, "accounts_external_id_key") {
		return ErrExternalIDTaken.At("external_id")
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// normalize brings what people write into the form that is stored and reports everything that is wrong with it.
// address is nil when it stays as it is.
func (a *Account) normalize(address *web.FreeForm) error {
	var fields errs.Fields
	a.Kind = strings.ToLower(a.Kind)
	if !slices.Contains(Kinds(), a.Kind) {
		fields.Add("kind", ErrUnknownKind.With("allowed", strings.Join(Kinds(), ", ")))
	}
	if a.Holder == "" {
		fields.Add("holder", errEmpty)
	}
	a.HolderKey = fold(a.Holder)
	if country, err := tenancy.ParseCountry(a.Country); err != nil {
		fields.Add("country", tenancy.ErrCountry)
	} else {
		a.Country = country
	}
	if currency, err := money.ParseCurrency(string(a.Currency)); err != nil {
		fields.Add("currency", money.ErrUnknownCurrency)
	} else {
		a.Currency = currency
	}
	if a.Email != "" {
		email, err := normalizeEmail(a.Email)
		if err != nil {
			fields.Add("email", ErrEmail)
		}
		a.Email = email
	}
	a.normalizeMethods(&fields)
	if address != nil {
		a.normalizeAddress(*address, &fields)
	}
	return fields.Err()
}

// normalizeMethods accepts methods in any case and keeps each once (C-07).
func (a *Account) normalizeMethods(fields *errs.Fields) {
	unknown := ErrUnknownMethod.With("allowed", strings.Join(Methods(), ", "))
	methods := []string{} // never null in the database
	for i, m := range a.PaymentMethods {
		m = strings.ToLower(m)
		switch {
		case !slices.Contains(Methods(), m):
			fields.Add(fmt.Sprintf("payment_methods.%d", i), unknown)
		case !slices.Contains(methods, m):
			methods = append(methods, m)
		}
	}
	a.PaymentMethods = methods
	a.DefaultPaymentMethod = strings.ToLower(a.DefaultPaymentMethod)
	switch {
	case a.DefaultPaymentMethod == "":
	case !slices.Contains(Methods(), a.DefaultPaymentMethod):
		fields.Add("default_payment_method", unknown)
	case !a.Allows(a.DefaultPaymentMethod):
		fields.Add("default_payment_method", ErrMethodNotAllowed)
	}
}

// normalizeAddress keeps the address in the tenant's own form; only a country in it is brought to its code (Z-37).
func (a *Account) normalizeAddress(address web.FreeForm, fields *errs.Fields) {
	stored := map[string]any{}
	for key, value := range address {
		stored[key] = value
	}
	if name, ok := stored["country"].(string); ok && name != "" {
		country, err := tenancy.ParseCountry(name)
		if err != nil {
			fields.Add("billing_address.country", tenancy.ErrCountry)
		}
		stored["country"] = country
	}
	raw, err := json.Marshal(stored)
	if err != nil || len(raw) > maxAddress || !storable(stored) {
		fields.Add("billing_address", ErrAddress)
		return
	}
	a.BillingAddress = raw
}

// storable refuses numbers that PostgreSQL cannot hold, such as 1e999999.
func storable(value any) bool {
	switch v := value.(type) {
	case json.Number:
		return len(v) <= 40 && !strings.ContainsAny(v.String(), "eE")
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !storable(e) })
	case map[string]any:
		for _, e := range v {
			if !storable(e) {
				return false
			}
		}
	}
	return true
}

// normalizeEmail gives an e-mail address in the form in which it is stored and compared.
func normalizeEmail(text string) (string, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	parsed, err := mail.ParseAddress(text)
	_, domain, _ := strings.Cut(text, "@")
	ascii := !strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' })
	if err != nil || parsed.Address != text || !ascii || len(text) > 254 || !strings.Contains(domain, ".") {
		return "", ErrEmail
	}
	return text, nil
}

// UpdateAccountInput names what changes; nil leaves it as it is. An empty text takes an optional value away.
type UpdateAccountInput struct {
	Kind                 *string
	Holder               *string
	Country              *string
	Currency             *string
	ExternalID           *string
	Email                *string
	PatientID            *string
	BillingAddress       *web.FreeForm
	PaymentMethods       *[]string
	DefaultPaymentMethod *string
	IsActive             *bool
}

// UpdateAccount changes the account that text names, as Resolve reads it. It needs billing.accounts.manage.
func (s *Service) UpdateAccount(ctx context.Context, text string, in UpdateAccountInput) (*Account, error) {
	var a *Account
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		found, err := Resolve(ctx, tx, text)
		if err != nil {
			return err
		}
		a, err = one(ctx, tx, func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("a.id = ?", found.ID).For("NO KEY UPDATE") })
		if err != nil {
			return err
		}
		before := *a
		in.apply(a)
		if err := a.normalize(in.BillingAddress); err != nil {
			return err
		}
		changes := changed(&before, a)
		if len(changes) == 0 {
			return nil
		}
		err = tx.NewUpdate().Model(a).
			Column("kind", "holder", "holder_key", "country", "currency", "external_id", "email", "patient_id", "billing_address",
				"payment_methods", "default_payment_method", "is_active").
			Set("updated_at = now()").Where("a.tenant_id = ?", a.TenantID).Where("a.id = ?", a.ID).Returning("updated_at").Scan(ctx)
		if err != nil {
			return translateAccount("update account", err)
		}
		if err := s.outbox.Emit(ctx, accountEvent(EventAccountUpdated, a)); err != nil {
			return err
		}
		after := accountFacts(a)
		after["changed"] = changes
		return audit.Write(ctx, audit.Record{Action: "account.update", ObjectType: "account", ObjectID: a.ID, AccountID: a.ID,
			Before: accountFacts(&before), After: after})
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

func (in UpdateAccountInput) apply(a *Account) {
	set(&a.Kind, in.Kind)
	set(&a.Holder, in.Holder)
	set(&a.Country, in.Country)
	if in.Currency != nil {
		a.Currency = money.Currency(*in.Currency)
	}
	set(&a.ExternalID, in.ExternalID)
	set(&a.Email, in.Email)
	set(&a.PatientID, in.PatientID)
	set(&a.PaymentMethods, in.PaymentMethods)
	set(&a.DefaultPaymentMethod, in.DefaultPaymentMethod)
	set(&a.IsActive, in.IsActive)
}

func set[T any](dst *T, value *T) {
	if value != nil {
		*dst = *value
	}
}

// changed names the fields in which two states of an account differ.
func changed(a, b *Account) []string {
	var names []string
	for _, field := range []struct {
		name string
		same bool
	}{
		{"kind", a.Kind == b.Kind},
		{"holder", a.Holder == b.Holder},
		{"country", a.Country == b.Country},
		{"currency", a.Currency == b.Currency},
		{"external_id", a.ExternalID == b.ExternalID},
		{"email", a.Email == b.Email},
		{"patient_id", a.PatientID == b.PatientID},
		{"billing_address", sameJSON(a.BillingAddress, b.BillingAddress)},
		{"payment_methods", slices.Equal(a.PaymentMethods, b.PaymentMethods)},
		{"default_payment_method", a.DefaultPaymentMethod == b.DefaultPaymentMethod},
		{"is_active", a.IsActive == b.IsActive},
	} {
		if !field.same {
			names = append(names, field.name)
		}
	}
	return names
}

// sameJSON compares what two texts say; PostgreSQL orders the keys of an object in its own way.
func sameJSON(a, b json.RawMessage) bool {
	return reflect.DeepEqual(decodeJSON(a), decodeJSON(b))
}

func decodeJSON(raw json.RawMessage) (v any) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return err
	}
	return v
}

// accountFacts is what the audit log keeps of an account: what decides, and nothing about the person.
func accountFacts(a *Account) map[string]any {
	return map[string]any{"number": a.Number, "kind": a.Kind, "country": a.Country, "currency": a.Currency, "payment_methods": a.PaymentMethods,
		"default_payment_method": a.DefaultPaymentMethod, "is_active": a.IsActive}
}
