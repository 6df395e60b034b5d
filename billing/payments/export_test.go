package payments

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/internal/errs"
	"countersign/internal/keyring"
	"countersign/tenancy"
)

// Which requests come at the same time is chance; a test chooses.

// Approval is an approval as one person gives it.
type Approval struct {
	By context.Context
	In ApproveInput
}

// Submission is a claim as one person makes it.
type Submission struct {
	By context.Context
	In SubmitManualInput
}

// Outcome is what a set has for one of its requests.
type Outcome[T any] struct {
	Answer T
	Err    error
	Alone  bool // it is to be done again, in a transaction of its own
}

// DecideTogether gives what becomes of approvals in one tenant that are one set.
func (s *Service) DecideTogether(t testing.TB, set ...Approval) []Outcome[Detail] {
	t.Helper()
	list := make([]verdict, len(set))
	for i, r := range set {
		v, err := s.approval(r.In).signed(r.By)
		if err != nil {
			t.Fatalf("approval %d comes into no set: %v", i, err)
		}
		list[i] = v
	}
	out, err := s.decideTogether(set[0].By, list[0].by.TenantID, list)
	return outcomes(t, len(set), out, err)
}

// SubmitTogether gives what becomes of claims in one tenant that are one set.
func (s *Service) SubmitTogether(t testing.TB, set ...Submission) []Outcome[Response] {
	t.Helper()
	var who crowd
	list := make([]manualClaim, len(set))
	for i, r := range set {
		p, _ := auth.From(r.By)
		mine := crowd{p.TenantID, p.IsMember()}
		if i > 0 && mine != who {
			t.Fatalf("claim %d comes into another set", i)
		}
		who, list[i] = mine, manualClaim{r.In, normalise(r.In.Reference), sign(r.By)}
	}
	out, err := s.submitTogether(set[0].By, who, list)
	return outcomes(t, len(set), out, err)
}

func outcomes[T any](t testing.TB, n int, list []outcome[T], err error) []Outcome[T] {
	t.Helper()
	if err != nil && !errors.Is(err, errAlone) {
		t.Fatal(err)
	}
	out := make([]Outcome[T], n)
	for i := range out {
		if err != nil {
			out[i] = Outcome[T]{Err: err, Alone: true}
			continue
		}
		out[i] = Outcome[T]{list[i].answer, list[i].err, errors.Is(list[i].err, errAlone)}
	}
	return out
}

// Insert stores a payment with details as a gateway has given them, and says what was left out of them.
func (s *Service) Insert(t testing.TB, ctx context.Context, p *Payment, details map[string]any) (refused error) {
	t.Helper()
	var fields errs.Fields
	err := tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		terms, err := s.addDetails(ctx, p, details, &fields)
		if err != nil {
			return err
		}
		if _, err := tx.NewInsert().Model(p).Exec(ctx); err != nil {
			return err
		}
		p.sendTerms(ctx, terms)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fields.Err()
}

// AddDetails is what a provider's next answer does to a payment's details.
func (s *Service) AddDetails(t testing.TB, ctx context.Context, id uuid.UUID, more map[string]any) error {
	t.Helper()
	return tenancy.InTx(ctx, s.db, func(ctx context.Context, tx bun.Tx) error {
		p, err := lock(ctx, tx, id)
		if err != nil {
			return err
		}
		return s.keepDetails(ctx, p, more)
	})
}

// WithKeys is the service of a process with another ring.
func (s *Service) WithKeys(keys *keyring.Keyring) *Service {
	other := *s
	other.keys = keys
	return &other
}

// Whole gives a payment's details as who decides sees them, and the digest that binds him.
func (s *Service) Whole(t testing.TB, ctx context.Context, id uuid.UUID) (map[string]any, string) {
	t.Helper()
	f, err := s.look(ctx, id.String())
	if err != nil {
		t.Fatal(err)
	}
	return f.Payment.wholeDetails(), f.Digest.String()
}

// Place is where a payment's sealed details stand.
func (p *Payment) Place() keyring.Place { return p.place() }

// MaxSearched is how many payments a search reads without an index.
const MaxSearched = maxSearched

// Pausing gives the service as Deps.Pause makes it.
func (s *Service) Pausing(pause func(ctx context.Context, point string)) *Service {
	c := *s
	c.pause = pause
	return &c
}
