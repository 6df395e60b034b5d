package main

import (
	"encoding/base64"
	"flag"
	"net/http"
	"os"
	"testing"
	"time"

	"countersign/billing/billingtest"
	"countersign/internal/settings"
	"countersign/internal/testkit"
)

// update rewrites golden files and generated documents instead of comparing with them.
var update = flag.Bool("update", false, "rewrite golden files and generated documents")

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }

// program serves w's tenant as `countersign serve` does: all routes, middlewares, console and documents.
func program(t *testing.T, w *billingtest.World) *project {
	t.Helper()
	p, err := wire(settings.Settings{DataDir: t.TempDir(), SecretKey: base64.StdEncoding.EncodeToString(billingtest.Secret()),
		RequestTimeout: 30 * time.Second}, w.DB, w.Clock.Now, false)
	if err != nil {
		t.Fatal(err)
	}
	w.Handler = handlerOf(t, p)
	return p
}

func handlerOf(t *testing.T, p *project) http.Handler {
	t.Helper()
	h, err := p.handler()
	if err != nil {
		t.Fatal(err)
	}
	return h
}
