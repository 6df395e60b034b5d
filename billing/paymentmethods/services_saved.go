package paymentmethods

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	"countersign/internal/audit"
	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/idempotency"
	"countersign/tenancy"
)

// What an account may note beside a saved method: enough to tell two banks apart, too little for a secret to hide in.
const (
	maxDetailEntries = 8
	maxDetailLength  = 200 // bytes
)

var detailKey = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// TokenKey is the detail under which a provider's token of a card or wallet stands, CustomerKey and GatewayKey those that
// say whose it is there, and which gateway made it. With a token the method can be charged (S1-04).
const (
	TokenKey    = "token"
	CustomerKey = "customer_id"
	GatewayKey  = "gateway"
)

// token is what providers call their tokens: tok_visa, pm_1Nv0Fs…. It is no secret without the tenant's own key, and it is
// sealed all the same. A PIN, a password or a card's number does not look like it.
var token = regexp.MustCompile(`^[a-z]{2,8}_[A-Za-z0-9_]{1,180}$`)

// secretKeys are parts of keys under which nobody keeps anything but a secret.
var secretKeys = regexp.MustCompile(`(^|_)(pin|pins|mpin|upin|password|passcode|passwd|secret|token|otp|cvv|cvc|cvv2|cvc2|pan|card_?number)(_|$)`)

// SaveInput is a method to save.
type SaveInput struct {
	// Account is whose method it is, by id or external id. A member's is his own, whatever stands here.
	Account     string
	Method      string
	DisplayName string
	Details     Details
	IsDefault   bool // the first one is the default in any case
	Once        *idempotency.Once
}

// Save adds a method to what an account has saved. It needs billing.create.
func (s *Service) Save(ctx context.Context, in SaveInput) (SavedResponse, error) {
	method, err := in.check()
	if err != nil {
		return SavedResponse{}, err
	}
	var saved SavedResponse
	err = tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		saved, err = idempotency.Do(ctx, tx, in.Once, func() (SavedResponse, error) {
			account, err := savingAccount(ctx, tx, in.Account)
			if err != nil {
				return SavedResponse{}, err
			}
			m := &Saved{TenantID: tenancy.ID(ctx), ID: uuid.Must(uuid.NewV7()), AccountID: account, Method: method,
				DisplayName: in.DisplayName, IsDefault: in.IsDefault}
			if err := s.setSaved(m, in.Details); err != nil {
				return SavedResponse{}, err
			}
			if err := s.save(ctx, tx, m); err != nil {
				return SavedResponse{}, err
			}
			return newSavedResponse(m), nil
		})
		return err
	})
	return saved, err
}

func (in SaveInput) check() (Method, error) {
	var fields errs.Fields
	method, err := ParseMethod(in.Method)
	if err != nil {
		fields.Add("payment_method", errs.As(err))
	}
	checkDetails(method, in.Details, &fields)
	return method, fields.Err()
}

func checkDetails(method Method, d Details, fields *errs.Fields) {
	refused := ErrDetail.With("entries", maxDetailEntries)
	if len(d) > maxDetailEntries {
		fields.Add("details", refused)
		return
	}
	for key, value := range d {
		text, isText := value.(string)
		switch {
		case !detailKey.MatchString(key), !isText, len(text) > maxDetailLength:
			fields.Add("details", refused)
		case key == TokenKey && method.isCharged() && (token.MatchString(text) || strings.HasPrefix(text, masked)): // setSaved knows whose mask it is
		case secretKeys.MatchString(key):
			fields.Add("details."+key, ErrSecretDetail)
		}
	}
}

// savingAccount gives the account whose methods the caller may change: a member's own, and for staff the named one.
func savingAccount(ctx context.Context, tx bun.Tx, reference string) (uuid.UUID, error) {
	p, err := auth.Require(ctx, "")
	if err != nil {
		return uuid.Nil, err
	}
	if p.IsMember() {
		return p.AccountID, nil
	}
	account, err := accounts.ResolveField(ctx, tx, "account_id", reference)
	if err != nil {
		return uuid.Nil, err
	}
	return account.ID, nil
}

func (s *Service) save(ctx context.Context, tx bun.Tx, m *Saved) error {
	if err := lockSaved(ctx, tx, m.AccountID); err != nil {
		return err
	}
	if !m.IsDefault {
		exists, err := savedOf(ctx, tx, m.AccountID).Exists(ctx)
		if err != nil {
			return fmt.Errorf("look for saved methods: %w", err)
		}
		m.IsDefault = !exists
	}
	if m.IsDefault {
		if err := clearDefault(ctx, tx, m.AccountID); err != nil {
			return err
		}
	}
	if _, err := tx.NewInsert().Model(m).Returning("created_at, updated_at").Exec(ctx); err != nil {
		return fmt.Errorf("insert saved method: %w", err)
	}
	return s.tellSaved(ctx, EventSaved, m, audit.Record{Action: "payment_method.save", After: savedFacts(m)})
}

// UpdateSavedInput names what changes of a saved method; nil leaves it as it is.
type UpdateSavedInput struct {
	DisplayName *string
	Details     Details
}

// UpdateSaved changes the name or the details of a saved method of the caller's account; staff may change any. It
// needs billing.create.
func (s *Service) UpdateSaved(ctx context.Context, id uuid.UUID, in UpdateSavedInput) (*Saved, error) {
	return s.changeSaved(ctx, id, func(ctx context.Context, tx bun.Tx, m *Saved) error {
		var fields errs.Fields
		checkDetails(m.Method, in.Details, &fields)
		if err := fields.Err(); err != nil {
			return err
		}
		before := savedFacts(m)
		set(&m.DisplayName, in.DisplayName)
		if in.Details != nil {
			if err := s.setSaved(m, in.Details); err != nil {
				return err
			}
		}
		_, err := tx.NewUpdate().Model(m).
			Column("display_name", "details", "sensitive").Set("updated_at = now()").
			Where("apm.tenant_id = ?", m.TenantID).Where("apm.id = ?", m.ID).
			Returning("updated_at").Exec(ctx)
		if err != nil {
			return fmt.Errorf("update saved method %s: %w", m.ID, err)
		}
		return s.tellSaved(ctx, EventUpdated, m, audit.Record{Action: "payment_method.update", Before: before, After: savedFacts(m)})
	})
}

// SetDefault makes a saved method the default of its account; when it is already, nothing happens. It needs
// billing.create.
func (s *Service) SetDefault(ctx context.Context, id uuid.UUID) (*Saved, error) {
	return s.changeSaved(ctx, id, func(ctx context.Context, tx bun.Tx, m *Saved) error {
		if m.IsDefault {
			return nil
		}
		if err := clearDefault(ctx, tx, m.AccountID); err != nil {
			return err
		}
		return s.makeDefault(ctx, tx, m)
	})
}

// DeleteSaved removes a saved method. When it was the default, the oldest of the others takes its place. It needs
// billing.create.
func (s *Service) DeleteSaved(ctx context.Context, id uuid.UUID) error {
	_, err := s.changeSaved(ctx, id, func(ctx context.Context, tx bun.Tx, m *Saved) error {
		_, err := tx.NewDelete().Model(m).Where("apm.tenant_id = ?", m.TenantID).Where("apm.id = ?", m.ID).Exec(ctx)
		if err != nil {
			return fmt.Errorf("delete saved method %s: %w", m.ID, err)
		}
		if err := s.tellSaved(ctx, EventDeleted, m, audit.Record{Action: "payment_method.delete", Before: savedFacts(m)}); err != nil {
			return err
		}
		if !m.IsDefault {
			return nil
		}
		var heirs []*Saved
		if err := savedOf(ctx, tx, m.AccountID).OrderExpr("apm.created_at, apm.id").Limit(1).Scan(ctx, &heirs); err != nil {
			return fmt.Errorf("look for another default: %w", err)
		}
		for _, heir := range heirs {
			return s.makeDefault(ctx, tx, heir)
		}
		return nil
	})
	return err
}

// changeSaved runs change on a saved method, read again under its account's lock.
func (s *Service) changeSaved(ctx context.Context, id uuid.UUID, change func(ctx context.Context, tx bun.Tx, m *Saved) error) (*Saved, error) {
	var m *Saved
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) (err error) {
		if m, err = GetSaved(ctx, tx, id); err != nil {
			return err
		}
		if err := lockSaved(ctx, tx, m.AccountID); err != nil {
			return err
		}
		if m, err = GetSaved(ctx, tx, id); err != nil {
			return err
		}
		return change(ctx, tx, m)
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// lockSaved lets one transaction at a time change what an account has saved. Locking the rows would not do: a row that
// is being added cannot be locked, and a second first method would be a second default.
func lockSaved(ctx context.Context, tx bun.Tx, account uuid.UUID) error {
	_, err := tx.NewRaw("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", "account_payment_methods:"+account.String()).Exec(ctx)
	if err != nil {
		return fmt.Errorf("lock saved methods of account %s: %w", account, err)
	}
	return nil
}

func savedOf(ctx context.Context, tx bun.Tx, account uuid.UUID) *bun.SelectQuery {
	return saved(ctx, tx).Where("apm.account_id = ?", account)
}

func clearDefault(ctx context.Context, tx bun.Tx, account uuid.UUID) error {
	_, err := tx.NewUpdate().Model((*Saved)(nil)).
		Set("is_default = false").Set("updated_at = now()").
		Where("apm.tenant_id = ?", tenancy.ID(ctx)).Where("apm.account_id = ?", account).Where("apm.is_default").
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("clear the default of account %s: %w", account, err)
	}
	return nil
}

func (s *Service) makeDefault(ctx context.Context, tx bun.Tx, m *Saved) error {
	m.IsDefault = true
	_, err := tx.NewUpdate().Model(m).
		Column("is_default").Set("updated_at = now()").
		Where("apm.tenant_id = ?", m.TenantID).Where("apm.id = ?", m.ID).
		Returning("updated_at").Exec(ctx)
	if err != nil {
		return fmt.Errorf("make saved method %s the default: %w", m.ID, err)
	}
	return s.tellSaved(ctx, EventDefaultChanged, m, audit.Record{Action: "payment_method.set_default", After: savedFacts(m)})
}

func (s *Service) tellSaved(ctx context.Context, event string, m *Saved, record audit.Record) error {
	record.ObjectType, record.ObjectID, record.AccountID = "payment_method", m.ID, m.AccountID
	if err := audit.Write(ctx, record); err != nil {
		return err
	}
	return s.outbox.Emit(ctx, savedEvent(event, m))
}

// savedFacts is what the audit log keeps of a saved method: of the customer's own texts only which there were.
func savedFacts(m *Saved) map[string]any {
	keys := []string{}
	for key := range m.Details {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return map[string]any{"payment_method": m.Method, "is_default": m.IsDefault, "details": keys}
}
