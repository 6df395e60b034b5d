package evidence_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/evidence"
	"countersign/internal/database"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

func TestForSubmission(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	account, other, neighbour := w.account(), w.account(), newWorld(t)
	a, b := w.upload(account, []byte(smallPDF)), w.upload(account, []byte(smallPDF+"\n"))
	tests := []struct {
		name string
		ids  []uuid.UUID
		want []uuid.UUID
		err  error
	}{
		{"gives nothing for nothing", nil, nil, nil},
		{"keeps the order and drops repetitions", []uuid.UUID{b, a, b}, []uuid.UUID{b, a}, nil},
		{"refuses an unknown id", []uuid.UUID{a, uuid.New()}, nil, evidence.ErrUnknownEvidence},
		{"refuses another account's", []uuid.UUID{a, w.upload(other, []byte(smallPDF))}, nil, evidence.ErrUnknownEvidence},
		{"refuses another tenant's", []uuid.UUID{neighbour.upload(neighbour.account(), []byte(smallPDF))}, nil, evidence.ErrUnknownEvidence},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []uuid.UUID
			err := tenancy.InTx(w.owner, w.db, func(ctx context.Context, _ bun.Tx) error {
				found := map[uuid.UUID]*evidence.Evidence{}
				if err := database.Send(ctx, evidence.SelectByIDs(ctx, found, tt.ids...)); err != nil {
					return err
				}
				list, err := evidence.ForSubmission(found, account.ID, tt.ids)
				for _, e := range list {
					got = append(got, e.ID)
				}
				return err
			})
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// use has a payment use each upload, without there being one: evidence does not look at it.
func (w *world) use(ids ...uuid.UUID) {
	w.t.Helper()
	err := testkit.OwnerDB(w.t).RunInTx(w.t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.ExecContext(ctx, "SET LOCAL session_replication_role = replica"); err != nil { // foreign keys
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO payment_evidence (tenant_id, payment_id, evidence_id, account_id) SELECT tenant_id, gen_random_uuid(), id, account_id FROM evidence WHERE id IN (?)", bun.List(ids))
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// twins gives what is like id, each as its likeness and which upload it is.
func (w *world) twins(id uuid.UUID, names map[uuid.UUID]string) []string {
	w.t.Helper()
	var found []string
	err := tenancy.Read(w.owner, w.db, func(ctx context.Context, _ bun.Tx) error {
		var twins []evidence.Twin
		err := database.Send(ctx, evidence.SelectTwins(ctx, &twins, id))
		for _, twin := range twins {
			if twin.Of != id || twin.AccountID == uuid.Nil || twin.CreatedAt.IsZero() {
				w.t.Errorf("got %+v", twin)
			}
			found = append(found, string(twin.Likeness)+" "+names[twin.ID])
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

func TestTwins(t *testing.T) {
	t.Parallel()

	t.Run("are found by file, by pixels and by looks, the strongest first", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		account, other, neighbour := w.account(), w.account(), newWorld(t)
		original := photo(7, 400, 300)
		receipt := asPNG(t, original)
		id := w.upload(account, receipt)
		names := map[uuid.UUID]string{
			w.upload(other, asJPEG(t, scaled(original, 200, 150), 40)): "small",
			w.upload(other, withComment(receipt, "second use")):        "rewritten",
			w.upload(other, receipt):                                   "again",
			w.upload(account, asPNG(t, photo(8, 400, 300))):            "another picture",
			w.upload(account, []byte(smallPDF)):                        "document",
		}
		w.use(slices.Collect(maps.Keys(names))...)
		neighbour.use(neighbour.upload(neighbour.account(), receipt))
		if diff := cmp.Diff([]string{"same_file again", "same_pixels rewritten", "looks_alike small"}, w.twins(id, names)); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("of a document are the same file only", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		id := w.upload(w.account(), []byte(smallPDF))
		names := map[uuid.UUID]string{w.upload(w.account(), []byte(smallPDF)): "again", w.upload(w.account(), []byte(smallPDF+"\n")): "longer"}
		w.use(slices.Collect(maps.Keys(names))...)
		if diff := cmp.Diff([]string{"same_file again"}, w.twins(id, names)); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("of an empty sheet are not all other empty sheets", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		id := w.upload(w.account(), asPNG(t, scannedPaper(1, 100, 140)))
		names := map[uuid.UUID]string{w.upload(w.account(), asPNG(t, scannedPaper(2, 100, 140))): "another sheet"}
		w.use(slices.Collect(maps.Keys(names))...)
		if got := w.twins(id, names); len(got) > 0 {
			t.Errorf("got %v", got)
		}
	})

	t.Run("are used by payments: copies that nobody uses hide none, and neither do twins of another file", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		account := w.account()
		used, loud := w.upload(account, []byte(smallPDF)), w.upload(account, []byte(smallPDF+"\n"))
		id := w.upload(account, []byte(smallPDF))
		w.use(used)
		for _, copies := range []struct {
			of   uuid.UUID
			used bool
		}{{id, false}, {loud, true}} {
			var ids []uuid.UUID
			err := testkit.OwnerDB(t).NewRaw(`INSERT INTO evidence (tenant_id, id, account_id, sha256, size_bytes, content_type, filename, storage_key, uploaded_by)
				SELECT tenant_id, gen_random_uuid(), account_id, sha256, size_bytes, content_type, filename, storage_key, uploaded_by FROM evidence, generate_series(1, 120) WHERE id = ? RETURNING id`, copies.of).
				Scan(t.Context(), &ids)
			if err != nil {
				t.Fatal(err)
			}
			if copies.used {
				w.use(ids...)
			}
		}
		var of []uuid.UUID
		err := tenancy.Read(w.owner, w.db, func(ctx context.Context, _ bun.Tx) error {
			var twins []evidence.Twin
			err := database.Send(ctx, evidence.SelectTwins(ctx, &twins, id, loud))
			for _, twin := range twins {
				if twin.Of == id {
					of = append(of, twin.ID)
				}
			}
			return err
		})
		if err != nil || len(of) != 1 || of[0] != used {
			t.Errorf("got %v, want %v (%v)", of, used, err)
		}
	})

	t.Run("of nothing are nothing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		err := tenancy.Read(w.owner, w.db, func(ctx context.Context, _ bun.Tx) error {
			var twins []evidence.Twin
			err := database.Send(ctx, evidence.SelectTwins(ctx, &twins))
			if len(twins) > 0 {
				t.Errorf("got %v", twins)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// Among twenty thousand rows, five years of a tenant, nothing is found by reading the table.
func TestTwinsUseIndexes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	account := w.account()
	id := w.upload(account, asPNG(t, photo(1, 60, 80)))
	owner := testkit.OwnerDB(t)
	_, err := owner.NewRaw(`INSERT INTO evidence (tenant_id, id, account_id, sha256, pixel_hash, looks_hash, size_bytes, content_type, filename, storage_key, uploaded_by, created_at)
		SELECT tenant_id, gen_random_uuid(), account_id, sha256(n::text::bytea), sha256(n::text::bytea), n * 7919, 1, content_type, filename, storage_key, uploaded_by, now() - n * interval '2 hours'
		FROM evidence, generate_series(1, 20000) AS n WHERE tenant_id = ? AND id = ?`, w.tenant.ID, id).Exec(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := owner.ExecContext(t.Context(), "ANALYZE evidence"); err != nil {
		t.Fatal(err)
	}
	err = tenancy.Read(w.owner, w.db, func(ctx context.Context, tx bun.Tx) error {
		plan, err := evidence.PlanOfTwins(ctx, tx, id)
		for _, index := range []string{"evidence_sha256_idx", "evidence_pixel_hash_idx", "evidence_looks_idx", "evidence_account_idx"} {
			if !strings.Contains(plan, index) {
				t.Errorf("%s is not used", index)
			}
		}
		if strings.Contains(plan, "Seq Scan on evidence") || t.Failed() {
			t.Errorf("the plan is:\n%s", plan)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
