package errs_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign/internal/errs"
)

var (
	errLimit = errs.Invalid("too_long", "At most {{.limit}}.")
	errCause = errors.New("cause")
)

func TestError(t *testing.T) {
	t.Parallel()
	t.Run("is the same error with parameters, a field, a cause or a time to wait", func(t *testing.T) {
		t.Parallel()
		for _, made := range []*errs.Error{errLimit.With("limit", 3), errLimit.At("name"), errLimit.Because(errCause), errLimit.After(time.Second)} {
			if !errors.Is(made, errLimit) || !errors.Is(fmt.Errorf("do: %w", made), errLimit) {
				t.Errorf("%v is another error", made)
			}
		}
		if errors.Is(errLimit, errs.ErrValidation) || errors.Is(errLimit, errCause) {
			t.Error("other errors are the same")
		}
	})
	t.Run("never changes what it was made from", func(t *testing.T) {
		t.Parallel()
		first := errLimit.With("limit", 3)
		second := first.With("limit", 4).At("name").Because(errCause)
		if errLimit.Params != nil || first.Params["limit"] != 3 || first.Fields != nil || errors.Is(first, errCause) {
			t.Errorf("%v and %v were changed by %v", errLimit, first, second)
		}
	})
	t.Run("fills its sentence", func(t *testing.T) {
		t.Parallel()
		if got := errLimit.With("limit", 3).Sentence(); got != "At most 3." {
			t.Errorf("got %q", got)
		}
	})
	t.Run("tells logs its cause", func(t *testing.T) {
		t.Parallel()
		err := errLimit.Because(errCause)
		if !errors.Is(err, errCause) || !strings.Contains(err.Error(), "cause") || strings.Contains(err.Sentence(), "cause") {
			t.Errorf("got %q and %q", err.Error(), err.Sentence())
		}
	})
	t.Run("is found below other errors, and only there", func(t *testing.T) {
		t.Parallel()
		if errs.As(fmt.Errorf("do: %w", errLimit)) != errLimit || errs.As(errCause) != nil || errs.As(nil) != nil {
			t.Error("it is not")
		}
	})
}

func TestFields(t *testing.T) {
	t.Parallel()
	var fields errs.Fields
	if fields.Err() != nil {
		t.Error("nothing wrong is an error")
	}
	fields.Add("a", errLimit.With("limit", 1))
	fields.Add("a", errLimit.With("limit", 2))
	fields.Add("a", errLimit.With("limit", 2)) // has been said
	fields.Add("b", errLimit)
	got := errs.As(fields.Err())
	if !errors.Is(got, errs.ErrValidation) || len(got.Fields) != 2 || len(got.Fields["a"]) != 2 || got.Fields["a"][1].Sentence() != "At most 2." {
		t.Errorf("got %v", got)
	}
	if errs.ErrValidation.Fields != nil {
		t.Error("the shared error was changed")
	}
}

// A body of nothing but faults must not make an answer larger than itself.
func TestFields_bounds(t *testing.T) {
	t.Parallel()
	var fields errs.Fields
	for i := range 1000 {
		if fields.Full() != (i >= 100) {
			t.Fatalf("after %d fields it says that it is full: %t", i, fields.Full())
		}
		fields.Add(fmt.Sprint(i), errLimit)
		fields.Add("0", errLimit)
	}
	if got := errs.As(fields.Err()).Fields; len(got) != 100 || len(got["0"]) != 1 {
		t.Errorf("blames %d fields, and the first %d times", len(got), len(got["0"]))
	}
}
