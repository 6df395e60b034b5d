package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/apps"
	"countersign/internal/audit"
	"countersign/internal/keyring"
	"countersign/tenancy"
)

// keysCommand groups what looks after the keys that seal (S2-137).
type keysCommand struct {
	List   keysListCommand   `cmd:"" default:"1" help:"List the keys, and how many values each has sealed: one that seals none may be dropped."`
	Rotate keysRotateCommand `cmd:"" help:"Seal with the first key what others have sealed, or nobody yet, beside running traffic. It may be stopped and begun again."`
}

// sealBatch is how many values are read and sealed in one transaction.
const sealBatch = 200

type keysListCommand struct{}

// Run is called by kong.
func (keysListCommand) Run(ctx context.Context) error {
	return withProject(ctx, func(p *project) error {
		counts := map[string]int{}
		for _, id := range p.keys.IDs() {
			counts[id] = 0
		}
		if err := p.countSealed(ctx, counts); err != nil {
			return err
		}
		w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "KEY\tSEALED\t")
		missing := 0
		for _, id := range keyOrder(p.keys, counts) {
			fmt.Fprintf(w, "%s\t%d\t%s\n", id, counts[id], describeKey(p.keys, id))
			if !slices.Contains(p.keys.IDs(), id) {
				missing += counts[id]
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if missing > 0 {
			return fmt.Errorf("%d values cannot be opened: put their keys back into COUNTERSIGN_ENCRYPTION_KEYS", missing)
		}
		return nil
	})
}

// keyOrder is the ring's own, and behind it the keys that only stored values know.
func keyOrder(ring *keyring.Keyring, counts map[string]int) []string {
	order := ring.IDs()
	rest := []string{}
	for id := range counts {
		if !slices.Contains(order, id) {
			rest = append(rest, id)
		}
	}
	slices.Sort(rest)
	return append(order, rest...)
}

func describeKey(ring *keyring.Keyring, id string) string {
	switch {
	case id == ring.Current():
		return "seals"
	case !slices.Contains(ring.IDs(), id):
		return "NOT CONFIGURED"
	case id == keyring.DerivedID:
		return "opens; made from the secret key"
	default:
		return "opens"
	}
}

type keysRotateCommand struct{}

// Run is called by kong.
func (keysRotateCommand) Run(ctx context.Context) error {
	return withProject(ctx, func(p *project) error {
		resealed, err := p.rotate(ctx)
		fmt.Printf("Sealed %d values with key %s.\n", resealed, p.keys.Current())
		return err
	})
}

// sealed lists the sealed columns of all apps.
func (p *project) sealed() (columns []apps.SealedColumn) {
	for _, app := range p.apps {
		columns = append(columns, app.Sealed...)
	}
	return columns
}

// eachTenantEver is eachTenant for what must leave out nobody: a tenant that is switched off keeps what is his.
func (p *project) eachTenantEver(ctx context.Context, name string, do func(ctx context.Context, tenant uuid.UUID) error) error {
	var tenants []uuid.UUID
	err := tenancy.Observe(ctx, p.db, func(ctx context.Context, tx bun.Tx) (err error) {
		tenants, err = tenancy.AllEver(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	for _, tenant := range tenants {
		if err := do(tenancy.AsSystem(ctx, tenant, name), tenant); err != nil {
			return fmt.Errorf("tenant %s: %w", tenant, err)
		}
	}
	return nil
}

// countSealed adds how many values each key has sealed. The id of the key stands in front of the value, behind its length.
func (p *project) countSealed(ctx context.Context, counts map[string]int) error {
	return p.eachTenantEver(ctx, "command keys list", func(ctx context.Context, tenant uuid.UUID) error {
		return tenancy.Read(ctx, p.db, func(ctx context.Context, tx bun.Tx) error {
			for _, c := range p.sealed() {
				var found []struct {
					Key   string `bun:"key"`
					Count int    `bun:"count"`
				}
				err := tx.NewSelect().TableExpr("? AS t", bun.Ident(c.Table)).ColumnExpr("encode(substr(?0, 3, get_byte(?0, 1)), 'escape') AS key", bun.Ident(c.Column)).
					ColumnExpr("count(*) AS count").Where("t.tenant_id = ?", tenant).Where("? IS NOT NULL", bun.Ident(c.Column)).GroupExpr("1").Scan(ctx, &found)
				if err != nil {
					return fmt.Errorf("count %s: %w", c.Purpose(), err)
				}
				for _, f := range found {
					counts[f.Key] += f.Count
				}
			}
			return nil
		})
	})
}

// rotate seals with the first key what others have sealed, and what was stored in the clear before it was sealed at all, in
// all tenants, and gives how many values it has changed. A value that does not open holds back no other: the error says in
// the end which do not.
func (p *project) rotate(ctx context.Context) (resealed int, err error) {
	var shut []error
	err = p.eachTenantEver(ctx, "command keys rotate", func(ctx context.Context, tenant uuid.UUID) error {
		for _, app := range p.apps {
			if app.SealPlain == nil {
				continue
			}
			n, err := app.SealPlain(ctx)
			resealed += n
			if err != nil {
				return err
			}
		}
		for _, c := range p.sealed() {
			n, unopened, err := p.rotateColumn(ctx, tenant, c)
			resealed, shut = resealed+n, append(shut, unopened...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if more := len(shut) - shutNamed; more > 0 {
		shut = append(shut[:shutNamed], fmt.Errorf("and %d more values do not open", more))
	}
	return resealed, errors.Join(append(shut, err)...)
}

// shutNamed is of how many values that do not open is said which they are.
const shutNamed = 20

// sealedValue is a value of a sealed column.
type sealedValue struct {
	ID    uuid.UUID `bun:"id"`
	Value []byte    `bun:"value"`
}

// rotateColumn goes through a tenant's rows by id, so that a run that was stopped finds in the next one what is left. A
// value that somebody changes meanwhile is left alone: whoever writes now seals with the first key. shut says of each value
// that does not open why.
func (p *project) rotateColumn(ctx context.Context, tenant uuid.UUID, c apps.SealedColumn) (resealed int, shut []error, err error) {
	after := uuid.Nil
	for {
		var batch []sealedValue
		var unopened []error
		changed := 0
		err := tenancy.InTx(ctx, p.db, func(ctx context.Context, tx bun.Tx) (err error) {
			changed, unopened = 0, nil
			if batch, err = p.otherwiseSealed(ctx, tx, tenant, c, after); err != nil {
				return err
			}
			for _, v := range batch {
				fresh, err := p.keys.Reseal(keyring.Place{Tenant: tenant, Purpose: c.Purpose(), Row: v.ID}, v.Value)
				if err != nil {
					unopened = append(unopened, fmt.Errorf("tenant %s: row %s of %s: %w", tenant, v.ID, c.Purpose(), err))
					continue
				}
				res, err := tx.NewUpdate().TableExpr("? AS t", bun.Ident(c.Table)).Set("? = ?", bun.Ident(c.Column), fresh).
					Where("t.tenant_id = ?", tenant).Where("t.id = ?", v.ID).Where("t.? = ?", bun.Ident(c.Column), v.Value).Exec(ctx)
				if err != nil {
					return fmt.Errorf("seal row %s of %s: %w", v.ID, c.Purpose(), err)
				}
				n, _ := res.RowsAffected()
				changed += int(n)
			}
			if changed == 0 {
				return nil
			}
			return audit.Write(ctx, audit.Record{Action: "keys.rotate", ObjectType: "tenant", ObjectID: tenant,
				After: map[string]any{"column": c.Purpose(), "key": p.keys.Current(), "values": changed}})
		})
		if err != nil {
			return resealed, shut, err
		}
		resealed, shut = resealed+changed, append(shut, unopened...)
		if len(batch) < sealBatch {
			return resealed, shut, nil
		}
		after = batch[len(batch)-1].ID
	}
}

// otherwiseSealed reads the next values that the first key has not sealed.
func (p *project) otherwiseSealed(ctx context.Context, tx bun.Tx, tenant uuid.UUID, c apps.SealedColumn, after uuid.UUID) ([]sealedValue, error) {
	var batch []sealedValue
	err := tx.NewSelect().TableExpr("? AS t", bun.Ident(c.Table)).ColumnExpr("t.id, t.? AS value", bun.Ident(c.Column)).
		Where("t.tenant_id = ?", tenant).Where("t.id > ?", after).
		Where("substr(t.?0, 3, get_byte(t.?0, 1)) <> ?1", bun.Ident(c.Column), []byte(p.keys.Current())).
		OrderExpr("t.id").Limit(sealBatch).Scan(ctx, &batch)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.Purpose(), err)
	}
	return batch, nil
}
