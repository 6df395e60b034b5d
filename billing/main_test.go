package billing_test

import (
	"os"
	"testing"

	"countersign/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }
