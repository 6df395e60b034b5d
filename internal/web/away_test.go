package web_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"countersign/internal/database"
	"countersign/internal/web"
)

// TestAway: an outage of the database is told to the caller and, under a message that does not change, to the operator
// (S0D-22). It runs beside no other test, because it reads the log.
func TestAway(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	w := httptest.NewRecorder()
	web.Handle(func(http.ResponseWriter, *http.Request) error {
		return database.ErrUnavailable.Because(errors.New("connection refused"))
	}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "refused") {
		t.Errorf("the caller gets %d %s", w.Code, w.Body)
	}
	if said := log.String(); !strings.Contains(said, `level=ERROR msg="the database is away"`) || !strings.Contains(said, "connection refused") {
		t.Errorf("the log says %s", said)
	}
}
