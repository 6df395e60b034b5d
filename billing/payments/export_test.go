package payments

import (
	"context"
	"errors"
	"testing"

	"countersign/internal/auth"
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
