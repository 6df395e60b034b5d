package payments

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"countersign/billing/paymentmethods"
	"countersign/internal/apps"
	"countersign/internal/carddata"
	"countersign/internal/database"
	"countersign/internal/errs"
	"countersign/internal/keyring"
)

// sealedDetails is the column that only the ring opens: what is personal in the details, as a JSON object of values by
// their paths. It is null when nothing is.
var sealedDetails = apps.SealedColumn{Table: "payments", Column: "sensitive"}

var errSealed = errors.New("the details of the payment cannot be opened, and so not added to")

func (p *Payment) place() keyring.Place {
	return keyring.Place{Tenant: p.TenantID, Purpose: sealedDetails.Purpose(), Row: p.ID}
}

// addDetails adds to the details of a payment, whose tenant, id and gateway are known, what somebody says of it: sorted, and
// sealed where it is personal. It writes nothing; it returns by what the details are found, which sendTerms writes beside
// the payment. refused names what is left out: who submits is told, what a provider says is kept without it.
func (s *Service) addDetails(ctx context.Context, p *Payment, more map[string]any, refused *errs.Fields) (terms [][]byte, err error) {
	if s.open(ctx, p); len(p.Sensitive) > 0 && p.Opened == nil {
		return nil, errSealed // what cannot be read must not be written over
	}
	sorted, err := sortDetails(p.Gateway, merged(p.wholeDetails(), more), refused)
	if err != nil {
		return nil, err
	}
	p.Details, p.Sensitive, p.Opened = sorted.plain, nil, nil
	if len(sorted.hidden) > 0 {
		text, err := json.Marshal(sorted.hidden)
		if err != nil {
			return nil, fmt.Errorf("write sealed details: %w", err)
		}
		p.Sensitive, p.Opened = s.keys.Seal(p.place(), text), sorted.hidden
	}
	return s.indexed(p, sorted), nil
}

// merged is what two have said: what more says, and where it says nothing, what old said. Objects are merged key by key,
// and everything else is one value (S0-44).
func merged(old, more map[string]any) map[string]any {
	whole := maps.Clone(old)
	if whole == nil {
		whole = map[string]any{}
	}
	for key, value := range more {
		was, both := whole[key].(map[string]any)
		if is, ok := value.(map[string]any); both && ok {
			value = merged(was, is)
		}
		whole[key] = value
	}
	return whole
}

// indexed are the terms as they are stored.
func (s *Service) indexed(p *Payment, sorted sortedDetails) (terms [][]byte) {
	for _, t := range sorted.terms {
		terms = append(terms, s.keys.Index(p.TenantID, sealedDetails.Purpose(), t))
	}
	return terms
}

const (
	keepDetails = `UPDATE payments SET details = $3::jsonb, sensitive = $4 WHERE tenant_id = $1 AND id = $2`
	dropTerms   = `DELETE FROM payment_terms WHERE tenant_id = $1 AND payment_id = $2 AND term = ANY($3::bytea[])`
)

// keepDetails adds what a provider says of a payment to its details, as far as the gateway's shape knows it. From then on
// the payment is found by what its details say now. It travels with COMMIT.
func (s *Service) keepDetails(ctx context.Context, p locked, said map[string]any) error {
	if len(said) == 0 {
		return nil
	}
	raw, err := json.Marshal(said)
	if err != nil {
		return fmt.Errorf("read the details of payment %s: %w", p.ID, err)
	}
	var plain paymentmethods.Details
	if err := plain.Scan(raw); err != nil {
		return fmt.Errorf("read the details of payment %s: %w", p.ID, err)
	}
	s.open(ctx, p.Payment)
	var left errs.Fields
	before, err := sortDetails(p.Gateway, p.wholeDetails(), &left)
	if err != nil {
		return err
	}
	left = errs.Fields{}
	terms, err := s.addDetails(ctx, p.Payment, carddata.Clean(map[string]any(plain)).(map[string]any), &left)
	if err != nil {
		return err
	}
	if err := left.Err(); err != nil {
		slog.InfoContext(ctx, "some details of a provider are not kept", "payment_id", p.ID, "error", err)
	}
	gone := slices.DeleteFunc(s.indexed(p.Payment, before), func(t []byte) bool {
		return slices.ContainsFunc(terms, func(kept []byte) bool { return bytes.Equal(kept, t) })
	})
	if len(gone) > 0 {
		database.SendWithCommit(ctx, database.Change("drop the terms of a payment", dropTerms, p.TenantID, p.ID, gone))
	}
	database.SendWithCommit(ctx, database.Change("keep the details of a payment", keepDetails, p.TenantID, p.ID, p.Details, p.Sensitive))
	p.sendTerms(ctx, terms)
	return nil
}

var insertTerms = database.NewRows("insert the terms of payments", `
INSERT INTO payment_terms (tenant_id, term, payment_id, account_id) SELECT DISTINCT unnest($1::uuid[]), unnest($2::bytea[]), unnest($3::uuid[]), unnest($4::uuid[]) ON CONFLICT DO NOTHING`)

// sendTerms writes by what a payment's details are found, behind the payment itself. It travels with COMMIT.
func (p *Payment) sendTerms(ctx context.Context, terms [][]byte) {
	for _, t := range terms {
		database.SendRowWithCommit(ctx, insertTerms, p.TenantID, t, p.ID, database.Nullable(p.AccountID))
	}
}

// open reads what is sealed in a payment. What cannot be opened, because its key is not configured any more, stays hidden
// and is logged: the payment itself can still be seen.
func (s *Service) open(ctx context.Context, p *Payment) {
	if len(p.Sensitive) == 0 || p.Opened != nil {
		return
	}
	text, err := s.keys.Open(p.place(), p.Sensitive)
	var hidden paymentmethods.Details
	if err == nil {
		err = hidden.Scan(text)
	}
	if err != nil {
		slog.ErrorContext(ctx, "the details of a payment cannot be opened: configure their key again", "payment_id", p.ID, "error", err)
		return
	}
	p.Opened = hidden
}

// wholeDetails are the details with what is sealed in them, which the payment must have been opened for. They are for who
// decides, and compares them with a receipt; they are never stored, told or logged.
func (p *Payment) wholeDetails() paymentmethods.Details {
	if len(p.Opened) == 0 {
		return p.Details
	}
	var whole any = map[string]any(p.Details)
	for path, value := range p.Opened {
		whole = replaced(whole, strings.Split(path[1:], "/"), value)
	}
	return whole.(map[string]any)
}

var pointerUnescapes = strings.NewReplacer("~1", "/", "~0", "~")

// replaced is a copy of tree with another value at a path; without that place it is tree.
func replaced(tree any, path []string, value any) any {
	if len(path) == 0 {
		return value
	}
	key := pointerUnescapes.Replace(path[0])
	switch tree := tree.(type) {
	case map[string]any:
		if old, ok := tree[key]; ok {
			tree = maps.Clone(tree)
			tree[key] = replaced(old, path[1:], value)
			return tree
		}
	case []any:
		var i int
		if _, err := fmt.Sscan(key, &i); err == nil && i >= 0 && i < len(tree) {
			tree = slices.Clone(tree)
			tree[i] = replaced(tree[i], path[1:], value)
			return tree
		}
	}
	return tree
}
