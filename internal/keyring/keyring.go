// Package keyring seals what is stored encrypted (S2-137): AES-256-GCM under keys of the installation's own, of which
// several may be in use at once, so that they can be changed beside running traffic. It knows no table and no setting.
//
// A sealed value is bytes for a bytea column:
//
//	1 byte   format, now 1
//	1 byte   length n of the key's id
//	n bytes  the key's id, ASCII
//	12 bytes nonce
//	rest     ciphertext and its tag of 16 bytes
//
// Each tenant and purpose has a key of its own, made from the installation's by HKDF-SHA256, and the tenant, the purpose
// and the row are authenticated with the text: what is moved to another row, column or tenant does not open.
package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// DerivedID is the id of the key that is made from the installation's secret. It seals while no other keys are set, and
// opens afterwards what it has sealed.
const DerivedID = "0"

const (
	format   = 1
	keyBytes = 32
	overhead = 12 + 16 // nonce and tag
)

var (
	// ErrUnknownKey means that a value was sealed with a key that is not on the ring any more.
	ErrUnknownKey = errors.New("the value was sealed with a key that is not configured")
	// ErrDamaged means that a value is not what was sealed for this place: it was changed, moved, or never sealed.
	ErrDamaged = errors.New("the value was not sealed for this place, or was changed since")
)

// Place is where a sealed value stands. It opens nowhere else.
type Place struct {
	Tenant  uuid.UUID
	Purpose string // table.column
	Row     uuid.UUID
}

// Key is one key of the installation, under the id that stands in front of what it has sealed.
type Key struct {
	ID     string
	secret []byte
}

// Keyring seals with its first key and opens with each of them. It is safe for concurrent use.
type Keyring struct {
	keys  []Key
	index []byte
}

var validID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// Parse reads keys as id:base64, separated by commas; nothing gives none. Its errors do not show the keys.
func Parse(list string) ([]Key, error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	var keys []Key
	seen := map[string]bool{DerivedID: true}
	for i, entry := range strings.Split(list, ",") {
		id, text, ok := strings.Cut(strings.TrimSpace(entry), ":")
		if !ok || !validID.MatchString(id) {
			return nil, fmt.Errorf("key %d of the list: expected id:base64, the id of up to 32 letters, digits, - and _", i+1)
		}
		if seen[id] {
			return nil, fmt.Errorf("key %s: the id is taken, and %s stands for the secret key", id, DerivedID)
		}
		seen[id] = true
		secret, err := decode(text)
		if err != nil || len(secret) != keyBytes {
			return nil, fmt.Errorf("key %s: expected 32 bytes as base64; make one with: head -c 32 /dev/urandom | base64", id)
		}
		keys = append(keys, Key{ID: id, secret: secret})
	}
	return keys, nil
}

func decode(text string) ([]byte, error) {
	if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
		return raw, nil
	}
	return base64.RawURLEncoding.DecodeString(text)
}

// New makes a ring of keys, the first of which seals, and of the one that is made from the installation's secret, which
// seals when there are no others. The secret also keys what Index gives, which therefore never changes with the keys.
func New(keys []Key, secret []byte) *Keyring {
	return &Keyring{keys: append(keys[:len(keys):len(keys)], Key{ID: DerivedID, secret: derive(secret, "countersign sealing key")}),
		index: derive(secret, "countersign index key")}
}

func derive(secret []byte, info string) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, info, keyBytes)
	if err != nil { // only for lengths that nobody asks for
		panic("keyring: " + err.Error())
	}
	return key
}

// Current is the id of the key that seals.
func (k *Keyring) Current() string { return k.keys[0].ID }

// IDs gives the ids of all keys, the one that seals first.
func (k *Keyring) IDs() []string {
	ids := make([]string, len(k.keys))
	for i, key := range k.keys {
		ids[i] = key.ID
	}
	return ids
}

// Seal encrypts plain for a place. The same text is sealed to other bytes each time.
func (k *Keyring) Seal(at Place, plain []byte) []byte {
	key := k.keys[0]
	head := append([]byte{format, byte(len(key.ID))}, key.ID...)
	return key.cipher(at).Seal(head, nil, plain, at.bind(head))
}

// Open decrypts what was sealed for the place. It fails with ErrUnknownKey or ErrDamaged.
func (k *Keyring) Open(at Place, sealed []byte) ([]byte, error) {
	id, ok := KeyID(sealed)
	if !ok {
		return nil, ErrDamaged
	}
	head, body := sealed[:2+len(id)], sealed[2+len(id):]
	for _, key := range k.keys {
		if key.ID != id {
			continue
		}
		plain, err := key.cipher(at).Open([]byte{}, nil, body, at.bind(head))
		if err != nil {
			return nil, ErrDamaged
		}
		return plain, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknownKey, id)
}

// Reseal gives a value sealed with the first key. fresh is nil when it is already.
func (k *Keyring) Reseal(at Place, sealed []byte) (fresh []byte, err error) {
	if id, ok := KeyID(sealed); ok && id == k.Current() {
		return nil, nil
	}
	plain, err := k.Open(at, sealed)
	if err != nil {
		return nil, err
	}
	return k.Seal(at, plain), nil
}

// KeyID gives the id of the key that a value says it was sealed with; ok is false for what was never sealed.
func KeyID(sealed []byte) (id string, ok bool) {
	if len(sealed) < 2 || sealed[0] != format {
		return "", false
	}
	end := 2 + int(sealed[1])
	if len(sealed) < end+overhead {
		return "", false
	}
	id = string(sealed[2:end])
	return id, validID.MatchString(id)
}

// Index gives what equality of a sealed value can be looked up by: 32 bytes that are the same for the same value of one
// tenant and purpose, and say nothing else about it. It is keyed by the installation's secret and not by the keys that
// seal, so that changing those leaves it alone.
func (k *Keyring) Index(tenant uuid.UUID, purpose, value string) []byte {
	mac := hmac.New(sha256.New, derive(k.index, info("index", tenant, purpose)))
	mac.Write([]byte(value))
	return mac.Sum(nil)
}

// cipher is AES-256-GCM, with random nonces, under the key of the place's tenant and purpose.
func (key Key) cipher(at Place) cipher.AEAD {
	block, err := aes.NewCipher(derive(key.secret, info("seal", at.Tenant, at.Purpose)))
	if err != nil {
		panic("keyring: " + err.Error()) // the key has the right length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("keyring: " + err.Error())
	}
	return aead
}

// info names a key that is made from another. Its parts have lengths that are known or stand last.
func info(use string, tenant uuid.UUID, purpose string) string {
	return "countersign " + use + "\x00" + string(tenant[:]) + purpose
}

// bind is what is authenticated with the text: what stands in front of it, and its place.
func (at Place) bind(head []byte) []byte {
	bound := append([]byte{}, head...)
	bound = append(bound, at.Tenant[:]...)
	bound = append(bound, at.Row[:]...)
	return append(bound, at.Purpose...)
}
