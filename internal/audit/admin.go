package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/database"
	"countersign/internal/web"
)

func (v *views) section() admin.Section {
	return admin.ModelAdmin[Entry]{
		Name: "audit", Title: "Audit log", Description: "Everything that was done, by whom. Nothing here can be changed or removed.", Icon: "audit",
		Group: admin.GroupSystem, Place: 30, Permission: auth.BillingAuditView,
		Spec: &entriesSpec,
		ListFilter: []admin.Filter{
			{Name: "object_type", Label: "Object", Options: objectOptions()},
			{Name: "action", Label: "What", Describe: asItIs}, {Name: "actor", Label: "Who", Describe: asItIs}, {Name: "object_id", Label: "Object", Describe: asItIs},
		},
		ListDisplay: []admin.Column[Entry]{
			{Title: "When", OrderBy: "created_at", Value: func(e Entry) admin.Cell { return admin.When(e.CreatedAt) }},
			{Title: "What", Value: func(e Entry) admin.Cell { return admin.Text(e.Action) }},
			{Title: "Who", Value: func(e Entry) admin.Cell {
				return admin.LinkTo(e.ActorLabel, admin.URL("audit")+"?actor="+url.QueryEscape(e.ActorLabel))
			}},
			{Title: "Object", Value: func(e Entry) admin.Cell { return ObjectCell(e.ObjectType, e.ObjectID) }},
			{Title: "Reason", Value: func(e Entry) admin.Cell { return admin.Text(e.Reason) }},
		},
		List: func(ctx context.Context, l web.List) (page web.Page[Entry], err error) {
			err = database.Read(ctx, v.db, func(ctx context.Context, tx bun.Tx) error {
				page, err = Entries(ctx, tx, l)
				return err
			})
			return page, err
		},
		Key: func(e Entry) uuid.UUID { return e.ID },
		Get: func(ctx context.Context, id uuid.UUID) (e Entry, err error) {
			err = database.Read(ctx, v.db, func(ctx context.Context, tx bun.Tx) error {
				e, err = EntryByID(ctx, tx, id)
				return err
			})
			return e, err
		},
		Detail: entryPage,
	}.Section()
}

func asItIs(_ context.Context, text string) string { return text }

func objectOptions() []admin.Option {
	return []admin.Option{{Value: "payment", Label: "Payments"}, {Value: "invoice", Label: "Invoices"}, {Value: "account", Label: "Accounts"}, {Value: "user", Label: "Users"},
		{Value: "evidence", Label: "Receipts"}, {Value: "payment_method_config", Label: "Payment methods"}, {Value: "tenant", Label: "Settings"}, {Value: "job", Label: "Background work"}}
}

// ObjectCell names an object and leads to its page in the console, where it has one.
func ObjectCell(objectType string, id uuid.UUID) admin.Cell {
	sections := map[string]string{"payment": "payments", "invoice": "invoices", "account": "accounts", "user": "users", "payment_method_config": "methods", "evidence": "evidence"}
	text := objectType + "\u00a0" + id.String()[:8] + "…"
	if section, ok := sections[objectType]; ok {
		return admin.LinkTo(text, admin.IDURL(section, id))
	}
	if objectType == "tenant" {
		return admin.LinkTo(objectType, admin.URL("settings"))
	}
	return admin.Text(text)
}

func entryPage(_ context.Context, r admin.Reader, e Entry) (admin.DetailPage, error) {
	facts := []admin.Fact{{Label: "When", Value: admin.When(e.CreatedAt)}, {Label: "Who", Value: admin.Text(e.ActorLabel)}, {Label: "Object", Value: ObjectCell(e.ObjectType, e.ObjectID)}}
	add := func(label, text string) {
		if text != "" {
			facts = append(facts, admin.Fact{Label: label, Value: admin.Text(text)})
		}
	}
	add("Reason", e.Reason)
	add("From address", e.IP)
	add("With", e.UserAgent)
	add("Request", e.RequestID)
	sealed := admin.Word("not yet, a few seconds after the change")
	if e.ChainSeq != nil {
		sealed = admin.Text("№ " + strconv.FormatInt(*e.ChainSeq, 10))
	}
	facts = append(facts, admin.Fact{Label: "Sealed in the chain", Value: sealed})
	return admin.DetailPage{Title: e.Action, Subtitle: r.DateTime(e.CreatedAt), Groups: []admin.FactGroup{{Title: "Details", Facts: facts}},
		Tables: []admin.Table{changeTable(e)}}, nil
}

// changeTable shows what was before beside what is after, name by name.
func changeTable(e Entry) admin.Table {
	before, after := object(e.Before), object(e.After)
	names := slices.Sorted(maps.Keys(before))
	for name := range after {
		if _, ok := before[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var rows [][]admin.Cell
	for _, name := range names {
		rows = append(rows, []admin.Cell{admin.Code(name), admin.Text(before[name]), admin.Text(after[name])})
	}
	t := admin.NewTable("What changed", []string{"Name", "Before", "After"}, nil, rows)
	t.Empty = "Nothing was recorded beside the action itself."
	return t
}

// Values shows a JSON object as a table of names and values.
func Values(title string, raw json.RawMessage) admin.Table {
	texts := object(raw)
	var rows [][]admin.Cell
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		rows = append(rows, []admin.Cell{admin.Code(name), admin.Text(texts[name])})
	}
	t := admin.NewTable(title, []string{"Name", "Value"}, nil, rows)
	t.Empty = "Nothing."
	return t
}

// object gives the values of a JSON object as they are written.
func object(raw json.RawMessage) map[string]string {
	values := map[string]json.RawMessage{}
	if len(raw) == 0 || json.Unmarshal(raw, &values) != nil {
		return nil
	}
	texts := map[string]string{}
	for name, value := range values {
		var text string
		if json.Unmarshal(value, &text) == nil {
			texts[name] = text
			continue
		}
		var compact bytes.Buffer
		if json.Compact(&compact, value) == nil {
			texts[name] = strings.ReplaceAll(compact.String(), `,"`, `, "`) // so that it can be broken into lines
		}
	}
	return texts
}
