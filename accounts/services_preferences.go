package accounts

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"countersign/internal/auth"
	"countersign/tenancy"
)

// SetPreferences keeps how who acts wants the console: a language, and a theme of light, dark or system. An empty text
// leaves what is there.
func (s *Service) SetPreferences(ctx context.Context, language, theme string) error {
	p, err := auth.Require(ctx, "")
	if err != nil {
		return err
	}
	return tenancy.InTx(asOneself(ctx, p.UserID), s.db, func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.NewUpdate().Model((*User)(nil)).Set("language = coalesce(nullif(?, ''), u.language)", language).
			Set("theme = coalesce(nullif(?, ''), u.theme)", theme).Where("u.id = ?", p.UserID).Exec(ctx)
		if err != nil {
			return fmt.Errorf("keep preferences: %w", err)
		}
		return nil
	})
}
