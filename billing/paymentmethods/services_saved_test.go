package paymentmethods_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"countersign/accounts"
	pm "countersign/billing/paymentmethods"
	"countersign/internal/auth"
	"countersign/internal/testkit"
	"countersign/tenancy"
)

// saved gives the display names of an account's saved methods, oldest first, the default with a star.
func (w *world) saved(a *accounts.Account) []string {
	w.t.Helper()
	var names []string
	err := tenancy.Read(w.owner, w.db, func(ctx context.Context, tx bun.Tx) error {
		return tx.NewRaw(`SELECT display_name || CASE WHEN is_default THEN '*' ELSE '' END FROM account_payment_methods
			WHERE tenant_id = ? AND account_id = ? ORDER BY created_at, id`, w.tenant.ID, a.ID).Scan(ctx, &names)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return names
}

func TestSavedMethods(t *testing.T) {
	t.Parallel()

	t.Run("have one default from the first to the last", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		a := w.account("PK", "PKR")
		member := w.asMember(a)
		var paths []string
		save := func(body string) {
			paths = append(paths, savedPath+member.Post(savedPath, body).Expect(201).Text("data.id")+"/")
		}
		want := func(names ...string) {
			t.Helper()
			if diff := cmp.Diff(names, w.saved(a)); diff != "" {
				t.Error(diff)
			}
		}
		save(`{"payment_method":"BANK_TRANSFER","display_name":"a","details":{"bank_name":"HBL"}}`)
		want("a*")
		save(`{"payment_method":"cash","display_name":"b"}`)
		want("a*", "b")
		save(`{"payment_method":"cash","display_name":"c","is_default":true}`)
		want("a", "b", "c*")
		if got := member.Post(paths[1]+"set_default/", "").Expect(200).At("data.is_default"); got != true {
			t.Errorf("got %v", got)
		}
		want("a", "b*", "c")
		member.Patch(paths[2], `{"display_name":"C","details":{"label":"home"}}`).Expect(200)
		want("a", "b*", "C")
		member.Delete(paths[1]).Expect(204)
		want("a*", "C")
		member.Delete(paths[2]).Expect(204)
		want("a*")
		member.Delete(paths[0]).Expect(204)
		want()
		actions, events := w.history()
		if diff := cmp.Diff([]string{"payment_method.save", "payment_method.save", "payment_method.save", "payment_method.set_default", "payment_method.update",
			"payment_method.delete", "payment_method.set_default", "payment_method.delete", "payment_method.delete"}, actions); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{pm.EventSaved, pm.EventSaved, pm.EventSaved, pm.EventDefaultChanged, pm.EventUpdated,
			pm.EventDeleted, pm.EventDefaultChanged, pm.EventDeleted, pm.EventDeleted}, events); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("repeated under one key are saved once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		a := w.account("PK", "PKR")
		member := w.asMember(a).With("Idempotency-Key", "k")
		first := member.Post(savedPath, `{"payment_method":"cash","display_name":"a"}`).Expect(201)
		again := member.Post(savedPath, `{"paymentMethod":"cash","displayName":"a"}`).Expect(201)
		if diff := cmp.Diff(first.At("data"), again.At("data")); diff != "" || len(w.saved(a)) != 1 {
			t.Errorf("%s, saved %v", diff, w.saved(a))
		}
		member.Post(savedPath, `{"payment_method":"cash","display_name":"b"}`).Refused(409, "idempotency_key_reused")
	})

	t.Run("of an account are its members' and the staff's", func(t *testing.T) {
		t.Parallel()
		w, elsewhere := newWorld(t), newWorld(t)
		a, b := w.account("PK", "PKR"), w.account("PK", "PKR", func(a *accounts.Account) { a.ExternalID = "b" })
		path := savedPath + w.asOwner().Post(savedPath, `{"account_id":"b","payment_method":"cash","display_name":"b's"}`).Expect(201).Text("data.id") + "/"
		w.asMember(a).Post(savedPath, `{"payment_method":"cash","display_name":"a's"}`).Expect(201)
		for name, stranger := range map[string]*testkit.Client{"another account": w.asMember(a), "another tenant": elsewhere.asOwner()} {
			stranger.Get(path).Refused(404, "not_found")
			stranger.Patch(path, `{"display_name":"mine"}`).Refused(404, "not_found")
			stranger.Post(path+"set_default/", "").Refused(404, "not_found")
			stranger.Delete(path).Refused(404, "not_found")
			if diff := cmp.Diff([]string{"b's*"}, w.saved(b)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		viewer := w.as(w.staff(auth.RoleViewer))
		for query, want := range map[string]int64{"": 2, "?account=b": 1, "?account=" + a.ID.String(): 1, "?payment_method=card": 0} {
			if got := viewer.Get(savedPath + query).Expect(200).Int("count"); got != want {
				t.Errorf("staff %s: got %d, want %d", query, got, want)
			}
		}
		if got := w.asMember(a).Get(savedPath).Expect(200); got.Int("count") != 1 || got.Text("results.0.display_name") != "a's" {
			t.Errorf("member: got %s", got.Raw)
		}
		viewer.Get(savedPath+"?account=unknown").Refused(404, "not_found")
		viewer.Post(savedPath, `{"account_id":"b","payment_method":"cash","display_name":"x"}`).Refused(403, "permission_denied")
		w.asMember(a).Get(savedPath+"?account=b").Refused(403, "staff_only")
	})

	t.Run("keep a provider's token sealed, and can be charged with it (S1-04)", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		member := w.asMember(w.account("PK", "PKR"))
		made := member.Post(savedPath, `{"payment_method":"card","display_name":"a","details":{"token":"pm_1Nv0FsAbCdEfGh"}}`).Expect(201)
		path := savedPath + made.Text("data.id") + "/"
		if got := made.Text("data.details.token"); got != "••••EFGH" {
			t.Errorf("the token is shown as %s", got)
		}
		member.Patch(path, `{"details":{"token":"••••EFGH","brand":"Visa"}}`).Expect(200)
		member.Patch(path, `{"details":{"token":"••••EFGX","brand":"Visa"}}`).Refused(400, "secret_detail_rejected")
		for _, body := range []string{
			`{"payment_method":"card","display_name":"a","details":{"token":"1234"}}`,
			`{"payment_method":"card","display_name":"a","details":{"token":"my password"}}`,
			`{"payment_method":"card","display_name":"a","details":{"pin_token":"tok_visa"}}`,
			`{"payment_method":"bank_transfer","display_name":"a","details":{"token":"tok_visa"}}`,
			`{"payment_method":"cash","display_name":"a","details":{"token":"tok_visa"}}`,
		} {
			member.Post(savedPath, body).Refused(400, "validation_failed")
		}
	})
	t.Run("refuse bad input and secrets", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		a := w.account("PK", "PKR")
		member, owner := w.asMember(a), w.asOwner()
		for body, field := range map[string]string{
			`{}`: "payment_method",
			`{"payment_method":"stripe","display_name":"x"}`:                                                                                   "payment_method",
			`{"payment_method":"cash","display_name":"x","account_id":"b"}`:                                                                    "account_id",
			`{"payment_method":"cash","display_name":"x","details":{"pin":"1234"}}`:                                                            "details.pin",
			`{"payment_method":"cash","display_name":"x","details":{"wallet_mpin":"1234"}}`:                                                    "details.wallet_mpin",
			`{"payment_method":"cash","display_name":"x","details":{"number":"4242424242424242"}}`:                                             "details.number",
			`{"payment_method":"cash","display_name":"x","details":{"number":"4242.4242.4242.4242"}}`:                                          "details.number",
			`{"payment_method":"cash","display_name":"４２４２/４２４２/４２４２/４２４２"}`:                                                                   "display_name",
			`{"payment_method":"cash","display_name":"4242424242424242"}`:                                                                      "display_name",
			`{"payment_method":"cash","display_name":"x","details":{"a":{"b":"c"}}}`:                                                           "details",
			`{"payment_method":"cash","display_name":"x","details":{"a b":"c"}}`:                                                               "details",
			`{"payment_method":"cash","display_name":"x","details":{"a":"1","b":"1","c":"1","d":"1","e":"1","f":"1","g":"1","h":"1","i":"1"}}`: "details",
		} {
			if errors, _ := member.Post(savedPath, body).Expect(400).At("errors").(map[string]any); errors[field] == nil {
				t.Errorf("%s: blames %v, want %s", body, errors, field)
			}
		}
		owner.Post(savedPath, `{"payment_method":"cash","display_name":"x"}`).Refused(400, "validation_failed")
		owner.Post(savedPath, `{"account_id":"`+uuid.NewString()+`","payment_method":"cash","display_name":"x"}`).Refused(400, "unknown_account")
		if got := w.saved(a); len(got) > 0 {
			t.Errorf("saved %v", got)
		}
	})
}

func TestSavedMethodsInParallel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.account("PK", "PKR")
	member := tenancy.Enter(t.Context(), w.member(a))
	parallel := func(n int, do func(i int) error) {
		t.Helper()
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				if err := do(i); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	oneDefault := func(when string) {
		t.Helper()
		names := w.saved(a)
		stars := len(names) - len(slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n[len(n)-1] == '*' }))
		if stars != min(1, len(names)) {
			t.Errorf("%s: %d defaults among %v", when, stars, names)
		}
	}

	ids := make([]uuid.UUID, 8)
	parallel(len(ids), func(i int) error {
		m, err := w.service.Save(member, pm.SaveInput{Method: "cash", DisplayName: "m"})
		if err == nil {
			ids[i] = uuid.MustParse(m.ID)
		}
		return err
	})
	oneDefault("after eight first methods at once")
	parallel(16, func(i int) error { _, err := w.service.SetDefault(member, ids[i%8]); return err })
	oneDefault("after sixteen set_default at once")
	parallel(8, func(i int) error {
		if i%2 == 0 {
			_, err := w.service.Save(member, pm.SaveInput{Method: "cash", DisplayName: "m", IsDefault: i == 4})
			return err
		}
		return w.service.DeleteSaved(member, ids[i])
	})
	oneDefault("after saving and deleting at once")
	if got := len(w.saved(a)); got != 8 {
		t.Errorf("%d are saved", got)
	}
}
