package decisions

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Digest identifies what somebody saw. It travels as 64 hexadecimal digits.
type Digest [32]byte

// NewDigest digests facts, a struct: encoding/json writes its fields in their order and maps by key, so equal facts
// give equal digests.
func NewDigest(facts any) (Digest, error) {
	raw, err := json.Marshal(facts)
	if err != nil {
		return Digest{}, fmt.Errorf("digest facts: %w", err)
	}
	return sha256.Sum256(raw), nil
}

// String gives the 64 digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest reads the 64 digits. Whatever is not a digest cannot be the digest of anything that was seen.
func ParseDigest(text string) (Digest, bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 32 {
		return Digest{}, false
	}
	return Digest(raw), true
}
