package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/billing/billingtest"
	"countersign/internal/admin"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// TestEachPermission calls every route and opens every page as somebody who holds every permission but one, and as
// somebody who holds none. No role of ours is like that, so the principal is put into the request's context, where a
// credential puts it (S0-103 to S0-109).
func TestEachPermission(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := program(t, w)
	var all []string
	for _, permission := range auth.Permissions() {
		all = append(all, permission.Name)
	}
	before, asked := w.Snapshot(), map[string]int{}
	call := func(t *testing.T, lacks string, held []string) {
		ctx := tenancy.Enter(t.Context(), auth.Principal{Kind: auth.KindUser, UserID: uuid.New(), TenantID: w.Tenant.ID, Label: "nobody@people.test", Permissions: held})
		client := testkit.NewClient(t, within(ctx, w.Handler))
		for _, route := range p.routes() {
			if route.Public || route.Method == http.MethodDelete && route.Path == "/auth/token/" || slices.Contains(held, route.Permission) {
				continue
			}
			got := request(client, route, unknown, map[string]any{})
			if route.Permission == "" {
				if got.Status == http.StatusForbidden {
					t.Errorf("without %s %s %s answers %d, and asks for no permission", lacks, route.Method, route.Path, got.Status)
				}
				continue
			}
			asked[route.Method+" "+route.Permission]++
			if got.Status != http.StatusForbidden || got.Body["code"] != "permission_denied" || !strings.Contains(got.Text("error"), route.Permission) {
				t.Errorf("without %s %s %s answers %d: %s", lacks, route.Method, route.Path, got.Status, got.Raw)
			}
		}
		for _, page := range p.pages() {
			if page.Public || page.Permission == "" || slices.Contains(held, page.Permission) {
				continue
			}
			r := httptest.NewRequestWithContext(ctx, page.Method, page.at(unknown, unknown), nil)
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			if got := client.Do(r); got.Status != http.StatusForbidden || !strings.Contains(string(got.Raw), page.Permission) {
				t.Errorf("without %s %s answers %d", lacks, page, got.Status)
			}
		}
	}
	for _, lacks := range all {
		t.Run(lacks, func(t *testing.T) {
			call(t, lacks, slices.DeleteFunc(slices.Clone(all), func(name string) bool { return name == lacks }))
		})
	}
	t.Run("any", func(t *testing.T) { call(t, "any permission", nil) })
	if asked["GET "+auth.BillingView] < 40 || asked["POST "+auth.BillingCreate] < 8 {
		t.Errorf("too little was asked: %v", asked)
	}
	if diff := gocmp.Diff(before, w.Snapshot()); diff != "" {
		t.Error(diff)
	}
}

// within puts what ctx holds into every request.
func within(ctx context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.WithContext(ctx)) })
}

// TestOthersClaims: who may submit claims may not touch those of others; that takes billing.cancel, and notes are the
// submitter's alone (S0-107).
func TestOthersClaims(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	p := program(t, w)
	cashier := w.Join(auth.RoleCashier, auth.RoleCashier, nil)
	claim := w.Submit(w.OpenInvoice("150.00").ID)
	path := base + "/payments/" + claim.ID.String() + "/"
	browser := w.Browse(handlerOf(t, p), cashier)
	client, finance, viewer := w.As(cashier), w.As(w.Finance), w.As(w.Viewer)
	before := w.Snapshot()
	client.Post(path+"cancel/", map[string]any{}).Refused(http.StatusForbidden, "not_submitter")
	client.Patch(path, map[string]any{"notes": "Changed"}).Refused(http.StatusForbidden, "not_submitter")
	client.Delete(path).Refused(http.StatusForbidden, "not_submitter")
	finance.Patch(path, map[string]any{"notes": "Changed"}).Refused(http.StatusForbidden, "not_submitter")
	viewer.Post(path+"cancel/", map[string]any{}).Refused(http.StatusForbidden, "permission_denied")
	browser.Post(admin.IDURL("payments", claim.ID, "cancel"), nil).Expect(http.StatusForbidden)
	if diff := gocmp.Diff(before, w.Snapshot()); diff != "" {
		t.Error(diff)
	}
	mine := client.Post(base+"/payments/manual/", map[string]any{"invoice_id": w.OpenInvoice("20.00").ID, "payment_method": "bank_transfer", "transaction_reference": w.Reference()}).
		Expect(http.StatusCreated).Text("data.id")
	client.Post(base+"/payments/"+mine+"/cancel/", map[string]any{}).Expect(http.StatusOK)
	finance.Post(path+"cancel/", map[string]any{}).Expect(http.StatusOK)
}

// TestAuditOfAClaim reads over the API what the audit log says of each change of a claim: what it was before and after
// (S0-73).
func TestAuditOfAClaim(t *testing.T) {
	t.Parallel()
	type state = map[string]any
	pending := func(version int) state {
		return state{"status": "pending_approval", "amount_minor": json.Number("15000"), "currency": "USD", "version": number(version)}
	}
	with := func(s state, more state) state {
		for k, v := range more {
			s[k] = v
		}
		return s
	}
	decision := func(w *billingtest.World, id, verb string, more map[string]any) testkit.Answer {
		return w.As(w.Approver).Post(base+"/payments/"+id+"/"+verb+"/", with(state{"digest": w.Digest(uuid.MustParse(id))}, more)).Expect(http.StatusOK)
	}
	tests := []struct {
		name, action, reason, actor string
		do                          func(w *billingtest.World, id string)
		before, after               state
	}{
		{"submitted", "payment.submit", "", "member@people.test", func(*billingtest.World, string) {}, nil, pending(1)},
		{"edited", "payment.edit_notes", "", "member@people.test", func(w *billingtest.World, id string) {
			w.As(w.Member).Patch(base+"/payments/"+id+"/", state{"notes": "From my brother's account"}).Expect(http.StatusOK)
		}, pending(1), pending(2)},
		{"approved", "payment.approve", "Seen in the bank", "approver@people.test", func(w *billingtest.World, id string) {
			decision(w, id, "approve", state{"note": "Seen in the bank", "received_amount": "140.00"})
		}, pending(1), with(pending(2), state{"status": "processing", "received_minor": json.Number("14000")})},
		{"rejected", "payment.reject", "No such transfer", "approver@people.test", func(w *billingtest.World, id string) {
			decision(w, id, "reject", state{"reason": "No such transfer"})
		}, pending(1), with(pending(2), state{"status": "failed", "failure_code": "rejected"})},
		{"withdrawn", "payment.cancel", "", "member@people.test", func(w *billingtest.World, id string) {
			w.As(w.Member).Post(base+"/payments/"+id+"/cancel/", "{}").Expect(http.StatusOK)
		}, pending(1), with(pending(2), state{"status": "cancelled"})},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := billingtest.New(t)
			program(t, w)
			id := w.As(w.Member).Post(base+"/payments/manual/", state{"invoice_id": w.OpenInvoice("150.00").ID, "payment_method": "bank_transfer",
				"transaction_reference": w.Reference(), "notes": "Secret of the customer"}).Expect(http.StatusCreated).Text("data.id")
			test.do(w, id)
			log := w.As(w.Owner).Get(base + "/audit-log/?object_id=" + id).Expect(http.StatusOK)
			record := log.At("results.0").(map[string]any)
			got := map[string]any{"action": record["action"], "actor": log.Text("results.0.actor.label"), "reason": record["reason"], "before": record["before"], "after": record["after"]}
			want := map[string]any{"action": test.action, "actor": test.actor, "reason": test.reason, "before": nil, "after": test.after}
			if test.before != nil {
				want["before"] = test.before
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			for _, secret := range []string{"Secret of the customer", "my brother", strings.ToUpper(w.Tenant.Slug)} {
				if bytes.Contains(log.Raw, []byte(secret)) {
					t.Errorf("the log tells %q", secret)
				}
			}
		})
	}
}

func number(n int) json.Number {
	raw, _ := json.Marshal(n)
	return json.Number(raw)
}

// TestTenantsStay: a tenant with rows is never deleted, and takes no money with it, whoever tries (W-29). It takes a
// guard away, in a transaction that is rolled back, so it does not run beside other tests.
func TestTenantsStay(t *testing.T) {
	w := billingtest.New(t)
	paid := w.Pay(w.OpenInvoice("150.00").ID)
	before := w.Snapshot()
	attempts := []struct{ name, setup, statement string }{
		{"the program", "SET LOCAL ROLE countersign_app", "DELETE FROM tenants WHERE id = ?0"},
		{"the owner", "", "DELETE FROM tenants WHERE id = ?0"},
		{"the owner without the guard", "ALTER TABLE tenants DISABLE TRIGGER tenants_stay", "DELETE FROM tenants WHERE id = ?0"},
		{"the program deletes a payment", "SET LOCAL ROLE countersign_app", "DELETE FROM payments WHERE tenant_id = ?0 AND id = ?1"},
		{"the owner deletes a payment", "", "DELETE FROM payments WHERE tenant_id = ?0 AND id = ?1"},
		{"the program deletes an invoice", "SET LOCAL ROLE countersign_app", "DELETE FROM invoices WHERE tenant_id = ?0 AND id = ?2"},
		{"the owner deletes what is posted", "", "DELETE FROM ledger_transactions WHERE tenant_id = ?0 AND payment_id = ?1"},
	}
	for _, a := range attempts {
		t.Run(a.name, func(t *testing.T) {
			var rows int64
			var refused error
			err := testkit.OwnerDB(t).RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
				if a.setup != "" {
					if _, err := tx.ExecContext(ctx, a.setup); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := tx.ExecContext(ctx, "SET LOCAL app.tenant_id = '"+w.Tenant.ID.String()+"'"); err != nil {
					t.Fatal(err)
				}
				var res sql.Result
				if res, refused = tx.ExecContext(ctx, a.statement, w.Tenant.ID, paid.ID, paid.InvoiceID); refused == nil {
					rows, _ = res.RowsAffected()
				}
				return errRollback
			})
			if err != errRollback {
				t.Fatal(err)
			}
			if refused == nil {
				t.Errorf("%d rows are deleted", rows)
			}
		})
	}
	if diff := gocmp.Diff(before, w.Snapshot()); diff != "" {
		t.Error(diff)
	}
}

// TestPaymentsTag: the three routes of the payments module are one group of the documentation (S3-01).
func TestPaymentsTag(t *testing.T) {
	t.Parallel()
	tags := map[string]string{}
	for _, route := range program(t, billingtest.New(t)).routes() {
		tags[route.Method+" "+route.Path] = route.Tag
	}
	for _, name := range []string{"GET /billing/payments/", "POST /billing/payments/manual/", "GET /billing/payment-methods/available/"} {
		if tags[name] != "Payments" {
			t.Errorf("%s has the tag %q", name, tags[name])
		}
	}
}
