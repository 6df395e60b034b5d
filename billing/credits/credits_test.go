package credits_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts/accountstest"
	"countersign/billing/credits"
	"countersign/billing/ledger"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/internal/web"
	"countersign/tenancy"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// client calls the routes as somebody with a role; account makes him a member.
func client(t *testing.T, tenant uuid.UUID, role string, account uuid.UUID) *testkit.Client {
	p := auth.Principal{Kind: auth.KindUser, UserID: uuid.Must(uuid.NewV7()), TenantID: tenant, AccountID: account, Permissions: auth.PermissionsOf(role), Label: role + "@x.test"}
	r := web.NewRouter()
	r.Use(web.RequestID(nil), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.WithContext(tenancy.Enter(r.Context(), p))) })
	})
	web.Mount(r, credits.App(testkit.DB(t)).URLs)
	return testkit.NewClient(t, r)
}

func post(t *testing.T, ctx context.Context, postings ...ledger.Posting) {
	t.Helper()
	err := tenancy.InTx(ctx, testkit.DB(t), func(ctx context.Context, tx bun.Tx) error { return ledger.Post(ctx, tx, postings...) })
	if err != nil {
		t.Fatal(err)
	}
}
