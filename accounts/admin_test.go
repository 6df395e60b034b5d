package accounts_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"countersign/billing/billingtest"
	"countersign/internal/auth"
)

// everybodysPassword is what all people of billingtest have.
const everybodysPassword = "correct horse battery"

func TestConsoleSignIn(t *testing.T) {
	t.Parallel()
	form := func(w *billingtest.World, p *billingtest.Person, password string) url.Values {
		return url.Values{"email": {p.Email}, "password": {password}, "tenant": {w.Tenant.Slug}, "next": {"/console/invoices/?status=open"}}
	}
	t.Run("leads to where the reader wanted to go", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		b := w.Browse(w.Console(), nil)
		b.Get("login/?next=%2Fconsole%2Finvoices%2F").Expect(http.StatusOK).Shows(`value="/console/invoices/"`)
		if got := b.Post("login/", form(w, w.Owner, everybodysPassword)); got.Location != "/console/invoices/?status=open" {
			t.Errorf("got %d to %q", got.Status, got.Location)
		}
		b.Get("invoices/").Expect(http.StatusOK).Shows("Test owner")
		if got := b.Get("login/"); got.Location != "/console/" {
			t.Errorf("who is signed in is sent to %q", got.Location)
		}
		away := form(w, w.Owner, everybodysPassword)
		away.Set("next", "https://evil.test/")
		if got := w.Browse(w.Console(), nil).Post("login/", away); got.Location != "/console/" {
			t.Errorf("a link leads away to %q", got.Location)
		}
	})
	t.Run("says the same of a wrong password and of a stranger, and keeps no password in the form", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		b := w.Browse(w.Console(), nil)
		stranger := form(w, w.Owner, everybodysPassword)
		stranger.Set("email", "nobody-"+w.Tenant.Slug+"@people.test")
		for _, sent := range []url.Values{stranger, {"email": stranger["email"], "password": {"wrong password here"}}} {
			b.Post("login/", sent).Expect(http.StatusUnauthorized).Shows("E-mail address or password is wrong.").Hides("wrong password here", everybodysPassword)
		}
		b.Get("invoices/").Expect(http.StatusSeeOther)
	})
	t.Run("asks who belongs to several organisations which one he means", func(t *testing.T) {
		t.Parallel()
		w, other := billingtest.New(t), billingtest.New(t)
		b := w.Browse(w.Console(), nil)
		b.Post("login/", url.Values{"email": {w.Owner.Email}, "password": {everybodysPassword}}).Expect(http.StatusBadRequest).
			Shows("You belong to several organisations", w.Tenant.Slug, other.Tenant.Slug, `name="tenant"`)
	})
	t.Run("is throttled as the API is", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		b := w.Browse(w.Console(), nil)
		guess := url.Values{"email": {"guessed-" + w.Tenant.Slug + "@people.test"}, "password": {"not the password"}}
		for range 10 {
			b.Post("login/", guess).Expect(http.StatusUnauthorized)
		}
		got := b.Post("login/", guess).Expect(http.StatusTooManyRequests).Shows("too many attempts")
		if got.Header.Get("Retry-After") == "" {
			t.Error("it does not say how long to wait")
		}
	})
	t.Run("keeps customers out, who may sign out again", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		b := w.Browse(w.Console(), w.Member)
		b.Get("payments/").Expect(http.StatusForbidden).Shows("The console is for staff", "/console/logout/")
		b.Post("logout/", nil).Expect(http.StatusSeeOther)
	})
	t.Run("ends with signing out, in every copy of the cookie", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		b := w.Browse(w.Console(), w.Owner)
		copied := b.Copy()
		b.Post("logout/", nil).Expect(http.StatusSeeOther)
		for _, browser := range []*billingtest.Browser{b, copied} {
			if got := browser.Get("payments/"); !strings.HasPrefix(got.Location, "/console/login/") {
				t.Errorf("the session still works: %d", got.Status)
			}
		}
	})
	t.Run("does not follow from another site", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		b := w.Browse(w.Console(), nil)
		b.Headers["Sec-Fetch-Site"] = "cross-site"
		b.Post("login/", form(w, w.Owner, everybodysPassword)).Expect(http.StatusForbidden)
	})
	t.Run("brings along language and colours that were chosen in another browser", func(t *testing.T) {
		t.Parallel()
		w := billingtest.New(t)
		site := w.Console()
		p := w.Join("reader-"+w.Tenant.Slug, auth.RoleViewer, nil)
		w.Browse(site, p).Post("preferences/", url.Values{"language": {"ru"}, "theme": {"dark"}, "next": {"/console/"}}).Expect(http.StatusSeeOther)
		w.Browse(site, p).Get("payments/").Shows(`lang="ru" data-theme="dark"`)
	})
}

func TestConsoleAccounts(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	site := w.Console()
	b := w.Browse(site, w.Finance)
	list := func() billingtest.Page { return b.Get("accounts/").Expect(http.StatusOK) }

	list().Shows("First customer", "Second customer", "New account")
	b.Post("accounts/new/", url.Values{"holder": {""}, "kind": {"organization"}, "country": {"Nowhere"}, "currency": {"USD"}}).Expect(http.StatusBadRequest).
		Shows("This field is required.", "This is not a country code", `value="Nowhere"`)
	made := b.Post("accounts/new/", url.Values{"holder": {"Third customer"}, "kind": {"organization"}, "country": {"Pakistan"}, "currency": {"pkr"},
		"billing_address": {"city: Lahore\nstreet: Mall Road"}, "method_bank_transfer": {"true"}, "default_payment_method": {"bank_transfer"}})
	b.Follow(made).Shows("The account was created.", "Third customer", "Pakistan", "PKR", "city: Lahore", "Bank transfer")
	b.Post("accounts/new/", url.Values{"holder": {"Card 4111111111111111"}, "kind": {"organization"}, "country": {"PK"}, "currency": {"PKR"}}).Expect(http.StatusBadRequest)
	edit := strings.TrimPrefix(made.Location, "/console/") + "edit/"
	b.Get(edit).Shows(`value="Third customer"`, "street: Mall Road")
	b.Follow(b.Post(edit, url.Values{"holder": {"Third & sons"}, "kind": {"organization"}, "country": {"PK"}, "currency": {"PKR"}, "billing_address": {"city: Karachi"}})).
		Shows("Saved.", "Third & sons", "city: Karachi", "All that the country offers").Hides("Mall Road")
	off := strings.TrimPrefix(made.Location, "/console/") + "deactivate/"
	b.Get(off).Shows("The account takes no new invoice or payment")
	b.Follow(b.Post(off, nil)).Shows("The account is inactive.")
	b.Get("accounts/?is_active=false").Shows("Third & sons").Hides("First customer")
	b.Get("accounts/?search=third").Shows("Third & sons").Hides("Second customer")

	v := w.Browse(site, w.Viewer)
	v.Get("accounts/").Expect(http.StatusOK).Hides("New account")
	v.Get(edit).Expect(http.StatusForbidden)
	v.Post("accounts/new/", url.Values{"holder": {"X"}}).Expect(http.StatusForbidden)
	neighbour := billingtest.New(t)
	n := neighbour.Browse(neighbour.Console(), neighbour.Owner)
	n.Get(made.Location).Expect(http.StatusNotFound)
	n.Post(off, nil).Expect(http.StatusNotFound)
	n.Get("accounts/").Hides("Third & sons")
}

func TestConsoleUsers(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	site := w.Console()
	b := w.Browse(site, w.Owner)
	email := "clerk@" + w.Tenant.Slug + ".test"

	b.Post("users/new/", url.Values{"email": {email}, "name": {"Clerk"}, "role": {"finance"}, "password": {"short"}}).Expect(http.StatusBadRequest).
		Shows("A password has 10 to 200 characters.", `value="Clerk"`).Hides("short\"")
	made := b.Post("users/new/", url.Values{"email": {email}, "name": {"Clerk"}, "role": {"finance"}, "password": {everybodysPassword}})
	b.Follow(made).Shows("The user was created.", email, "finance", "Approve and reject submitted payments.")
	user := strings.TrimPrefix(made.Location, "/console/")
	clerk := &billingtest.Person{Email: email}
	session := w.Browse(site, clerk)
	session.Get("payments/").Expect(http.StatusOK)

	b.Follow(b.Post(user+"edit/", url.Values{"name": {"Head clerk"}, "role": {"viewer"}, "account_id": {""}})).Shows("Head clerk", "viewer")
	session.Get("payments/").Expect(http.StatusSeeOther) // a new role ends the old sessions
	b.Get(user + "password/").Shows("It stays on record that you set it.")
	b.Follow(b.Post(user+"password/", url.Values{"password": {"another horse battery"}})).Shows("The new password holds from now on.",
		"Password set by", "users/"+w.Owner.ID.String()+"/")
	w.Browse(site, nil).Post("login/", url.Values{"email": {email}, "password": {everybodysPassword}}).Expect(http.StatusUnauthorized)
	b.Follow(b.Post(user+"deactivate/", nil)).Shows("The user is inactive.")
	w.Browse(site, nil).Post("login/", url.Values{"email": {email}, "password": {"another horse battery"}}).Expect(http.StatusForbidden)
	b.Post("users/"+w.Owner.ID.String()+"/edit/", url.Values{"name": {"Test owner"}, "role": {"viewer"}, "account_id": {""}}).Expect(http.StatusConflict).
		Shows("You cannot change your own role")

	own := "users/" + w.Owner.ID.String() + "/"
	b.Get(own).Hides("Set a new password", "Password set by")
	b.Post(own+"password/", url.Values{"password": {"another horse battery"}}).Expect(http.StatusConflict).Shows("where your present one is asked for")

	w.Browse(site, w.Finance).Get("users/").Expect(http.StatusForbidden)
	neighbour := billingtest.New(t)
	neighbour.Browse(neighbour.Console(), neighbour.Owner).Get(user).Expect(http.StatusNotFound)
}

func TestConsolePassword(t *testing.T) {
	t.Parallel()
	w := billingtest.New(t)
	site := w.Console()
	email := "clerk@" + w.Tenant.Slug + ".test"
	w.Browse(site, w.Owner).Post("users/new/", url.Values{"email": {email}, "name": {"Clerk"}, "role": {"viewer"}, "password": {everybodysPassword}}).Expect(http.StatusSeeOther)
	b, elsewhere := w.Browse(site, &billingtest.Person{Email: email}), w.Browse(site, &billingtest.Person{Email: email})
	form := func(current, new, again string) url.Values {
		return url.Values{"current_password": {current}, "new_password": {new}, "repeated_password": {again}}
	}

	b.Get("payments/").Shows("/console/password/", "Your password")
	b.Get("password/").Expect(http.StatusOK).Shows("Present password", "you are signed out at once", `autocomplete="current-password"`)
	b.Post("password/", form("not the password", "a new battery", "a new battery")).Expect(http.StatusBadRequest).
		Shows("This is not your present password.").Hides("a new battery", "not the password")
	b.Post("password/", form(everybodysPassword, "a new battery", "a new batterie")).Expect(http.StatusBadRequest).Shows("The two new passwords are not the same.")
	b.Post("password/", form(everybodysPassword, "short", "short")).Expect(http.StatusBadRequest).Shows("A password has 10 to 200 characters.")
	elsewhere.Get("payments/").Expect(http.StatusOK)

	b.Post("password/", form(everybodysPassword, "a new battery", "a new battery")).Expect(http.StatusSeeOther)
	b.Get("payments/").Expect(http.StatusOK).Shows("The new password holds from now on.")
	if got := elsewhere.Get("payments/"); !strings.HasPrefix(got.Location, "/console/login/") {
		t.Errorf("another browser is still signed in: %d", got.Status)
	}
	w.Browse(site, nil).Post("login/", url.Values{"email": {email}, "password": {everybodysPassword}}).Expect(http.StatusUnauthorized)
	w.Browse(site, nil).Post("login/", url.Values{"email": {email}, "password": {"a new battery"}}).Expect(http.StatusSeeOther)

	w.Browse(site, w.Member).Get("password/").Expect(http.StatusForbidden)
	if got := w.Browse(site, nil).Post("password/", form(everybodysPassword, "a new battery", "a new battery")); !strings.HasPrefix(got.Location, "/console/login/") {
		t.Errorf("who is not signed in gets %d", got.Status)
	}
}
