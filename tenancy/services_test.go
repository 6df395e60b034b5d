package tenancy_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

// A command has no body that was looked at (S1-14).
func TestCreate_cards(t *testing.T) {
	t.Parallel()
	service := tenancy.New(testkit.DB(t))
	for name, in := range map[string]tenancy.CreateInput{
		"name": {Slug: "t" + uuid.NewString()[:12], Name: "4242 4242 4242 4242", Country: "BD", DefaultCurrency: "BDT"},
		"slug": {Slug: "4242-4242-4242-4242", Name: "Shop", Country: "BD", DefaultCurrency: "BDT"},
	} {
		if _, err := service.Create(t.Context(), "test", in); !errors.Is(err, web.ErrCardData) {
			t.Errorf("a card number as %s: %v", name, err)
		}
	}
}
