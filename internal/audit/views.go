package audit

import (
	"context"
	"net/http"

	"github.com/uptrace/bun"

	"countersign/internal/database"
	"countersign/internal/web"
)

type views struct{ db *bun.DB }

func (v *views) list(w http.ResponseWriter, r *http.Request) error {
	list, err := web.ParseList(r, &entriesSpec)
	if err != nil {
		return err
	}
	var page web.Page[Entry]
	err = database.Read(r.Context(), v.db, func(ctx context.Context, tx bun.Tx) error {
		page, err = Entries(ctx, tx, list)
		return err
	})
	if err != nil {
		return err
	}
	return web.WritePage(w, page, newEntryResponse)
}
