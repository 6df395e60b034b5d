package keyring_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"countersign/internal/keyring"
)

var secret = []byte(strings.Repeat("s", 32))

// key is a key of the list under an id; all bytes are the letter.
func key(id, letter string) string {
	return id + ":" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 32)))
}

func ring(t testing.TB, list string) *keyring.Keyring {
	t.Helper()
	keys, err := keyring.Parse(list)
	if err != nil {
		t.Fatal(err)
	}
	return keyring.New(keys, secret)
}

func place() keyring.Place {
	return keyring.Place{Tenant: uuid.New(), Purpose: "payments.sensitive", Row: uuid.New()}
}

func TestSeal(t *testing.T) {
	t.Parallel()
	t.Run("opens where it was sealed, and only there", func(t *testing.T) {
		t.Parallel()
		k := ring(t, key("a", "a"))
		rapid.Check(t, func(t *rapid.T) {
			plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
			at := place()
			sealed := k.Seal(at, plain)
			got, err := k.Open(at, sealed)
			if err != nil || !bytes.Equal(got, plain) {
				t.Fatalf("got %q, %v", got, err)
			}
			if len(plain) > 8 && bytes.Contains(sealed, plain) {
				t.Fatal("the text shows")
			}
			for what, other := range map[string]keyring.Place{
				"another tenant":  {Tenant: uuid.New(), Purpose: at.Purpose, Row: at.Row},
				"another purpose": {Tenant: at.Tenant, Purpose: at.Purpose + "s", Row: at.Row},
				"another row":     {Tenant: at.Tenant, Purpose: at.Purpose, Row: uuid.New()},
			} {
				if _, err := k.Open(other, sealed); !errors.Is(err, keyring.ErrDamaged) {
					t.Fatalf("%s: %v", what, err)
				}
			}
		})
	})
	t.Run("every changed byte is seen", func(t *testing.T) {
		t.Parallel()
		k, at := ring(t, key("a", "a")+","+key("b", "b")), place()
		sealed := k.Seal(at, []byte("01712345678"))
		for i := range sealed {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1
			if _, err := k.Open(at, changed); err == nil {
				t.Errorf("byte %d", i)
			}
			if _, err := k.Open(at, sealed[:i]); err == nil {
				t.Errorf("the first %d bytes", i)
			}
		}
	})
	t.Run("is different each time", func(t *testing.T) {
		t.Parallel()
		k, at := ring(t, ""), place()
		if bytes.Equal(k.Seal(at, []byte("x")), k.Seal(at, []byte("x"))) {
			t.Error("the nonce is the same")
		}
	})
}

func TestKeys(t *testing.T) {
	t.Parallel()
	at := place()
	plain := []byte("01712345678")
	t.Run("the first seals, all open", func(t *testing.T) {
		t.Parallel()
		old := ring(t, key("old", "o")).Seal(at, plain)
		both := ring(t, key("new", "n")+", "+key("old", "o"))
		if got, err := both.Open(at, old); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("got %q, %v", got, err)
		}
		if id, _ := keyring.KeyID(both.Seal(at, plain)); id != "new" || both.Current() != "new" || strings.Join(both.IDs(), ",") != "new,old,0" {
			t.Errorf("sealed with %s of %v", id, both.IDs())
		}
	})
	t.Run("without a list the secret's own key seals, and opens ever after", func(t *testing.T) {
		t.Parallel()
		sealed := ring(t, "").Seal(at, plain)
		if id, _ := keyring.KeyID(sealed); id != keyring.DerivedID {
			t.Errorf("sealed with %q", id)
		}
		if got, err := ring(t, key("a", "a")).Open(at, sealed); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("got %q, %v", got, err)
		}
		if _, err := keyring.New(nil, []byte("another secret")).Open(at, sealed); !errors.Is(err, keyring.ErrDamaged) {
			t.Errorf("another secret: %v", err)
		}
	})
	t.Run("a dropped key is missed by name", func(t *testing.T) {
		t.Parallel()
		sealed := ring(t, key("old", "o")).Seal(at, plain)
		if _, err := ring(t, key("new", "n")).Open(at, sealed); !errors.Is(err, keyring.ErrUnknownKey) || !strings.Contains(err.Error(), "old") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another key under the same id does not open", func(t *testing.T) {
		t.Parallel()
		sealed := ring(t, key("a", "a")).Seal(at, plain)
		if _, err := ring(t, key("a", "b")).Open(at, sealed); !errors.Is(err, keyring.ErrDamaged) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("resealing changes the key once", func(t *testing.T) {
		t.Parallel()
		both := ring(t, key("new", "n")+","+key("old", "o"))
		fresh, err := both.Reseal(at, ring(t, key("old", "o")).Seal(at, plain))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ring(t, key("new", "n")).Open(at, fresh); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("got %q, %v", got, err)
		}
		if again, err := both.Reseal(at, fresh); again != nil || err != nil {
			t.Errorf("resealed again: %v", err)
		}
		if _, err := both.Reseal(at, []byte("never sealed")); !errors.Is(err, keyring.ErrDamaged) {
			t.Errorf("got %v", err)
		}
	})
}

func TestIndex(t *testing.T) {
	t.Parallel()
	tenant := uuid.New()
	k := ring(t, key("a", "a"))
	want := k.Index(tenant, "payments.mobile", "01712345678")
	if len(want) != 32 || !bytes.Equal(want, ring(t, key("b", "b")).Index(tenant, "payments.mobile", "01712345678")) {
		t.Error("the index changes with the keys that seal")
	}
	for what, got := range map[string][]byte{
		"another tenant":  k.Index(uuid.New(), "payments.mobile", "01712345678"),
		"another purpose": k.Index(tenant, "payments.voucher", "01712345678"),
		"another value":   k.Index(tenant, "payments.mobile", "01712345679"),
		"another secret":  keyring.New(nil, []byte("another secret")).Index(tenant, "payments.mobile", "01712345678"),
	} {
		if bytes.Equal(got, want) {
			t.Errorf("%s has the same index", what)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	short := base64.StdEncoding.EncodeToString([]byte("short and private"))
	for name, list := range map[string]string{
		"no id": key("", "a"), "no key": "a", "an id with blanks": key("a b", "a"), "the derived key's id": key(keyring.DerivedID, "a"), "an id twice": key("a", "a") + "," + key("a", "b"),
		"a short key": "a:" + short, "no base64": "a:%%%", "an empty entry": key("a", "a") + ",", "an endless id": key(strings.Repeat("a", 33), "a"),
	} {
		t.Run("refuses "+name, func(t *testing.T) {
			t.Parallel()
			_, err := keyring.Parse(list)
			if err == nil || strings.Contains(err.Error(), short) || strings.Contains(err.Error(), "YWFh") {
				t.Errorf("got %v", err)
			}
		})
	}
	if keys, err := keyring.Parse(" "); keys != nil || err != nil {
		t.Errorf("nothing gives %v, %v", keys, err)
	}
}

func FuzzOpen(f *testing.F) {
	k := keyring.New(nil, secret)
	at := keyring.Place{Purpose: "fuzz"}
	real := k.Seal(at, []byte("text"))
	f.Add(real)
	f.Add([]byte{})
	f.Add([]byte{1, 255})
	f.Add([]byte{1, 1, '0'})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		plain, err := k.Open(at, sealed)
		if err == nil && !bytes.Equal(sealed, real) && string(plain) != "text" {
			t.Errorf("%x opens as %q", sealed, plain)
		}
		keyring.KeyID(sealed)
	})
}
