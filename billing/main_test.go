package billing_test

import (
	"log/slog"
	"os"
	"testing"

	"countersign/internal/testkit"
)

func TestMain(m *testing.M) {
	slog.SetLogLoggerLevel(slog.LevelError + 1) // providers do on walks what programs warn of
	os.Exit(testkit.Main(m))
}
