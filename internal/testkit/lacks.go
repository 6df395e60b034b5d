package testkit

import (
	"os"
	"testing"
)

// Lacks skips a test for want of a part that this machine does not have, and says which. In CI it fails: .ci/run installs what tests need, and
// a test that is skipped there would be missed by nobody.
func Lacks(t testing.TB, part string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal("in CI every test must run, and this one lacks ", part)
	}
	t.Skip("SKIPPED: this test needs ", part)
}
