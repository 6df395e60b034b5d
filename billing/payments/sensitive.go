package payments

import (
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
	whole := map[string]any{}
	maps.Copy(whole, p.wholeDetails())
	maps.Copy(whole, more)
	sorted, err := sortDetails(p.Gateway, whole, refused)
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
	for _, t := range sorted.terms {
		terms = append(terms, s.keys.Index(p.TenantID, sealedDetails.Purpose(), t))
	}
	return terms, nil
}

var insertTerms = database.NewRows("insert the terms of payments", `
INSERT INTO payment_terms (tenant_id, term, payment_id, account_id) SELECT DISTINCT * FROM unnest($1::uuid[], $2::bytea[], $3::uuid[], $4::uuid[]) ON CONFLICT DO NOTHING`)

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
