package carddata_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"countersign/internal/carddata"
)

type account struct{ Number string }

// LogValue says that a log shows the number behind a name.
func (a account) LogValue() slog.Value { return slog.GroupValue(slog.String("number", a.Number)) }

func TestLogs(t *testing.T) {
	t.Parallel()
	const card = "4242 4242 4242 4242"
	for name, write := range map[string]func(*slog.Logger){
		"in a message":                func(l *slog.Logger) { l.Info("paid with " + card) },
		"in a text":                   func(l *slog.Logger) { l.Info("m", "path", "/"+card) },
		"in the name of a value":      func(l *slog.Logger) { l.Info("m", card, "x") },
		"in an error":                 func(l *slog.Logger) { l.Info("m", "error", errors.New("declined: "+card)) },
		"in a number":                 func(l *slog.Logger) { l.Info("m", "n", int64(4242424242424242)) },
		"in a number without a sign":  func(l *slog.Logger) { l.Info("m", "n", uint64(4242424242424242)) },
		"in a struct":                 func(l *slog.Logger) { l.Info("m", "v", struct{ A []string }{[]string{card}}) },
		"in what a panic throws":      func(l *slog.Logger) { l.Info("m", "value", any([]byte(card))) },
		"in a group":                  func(l *slog.Logger) { l.Info("m", slog.Group("g", slog.Group("h", "a", card))) },
		"in what shows itself":        func(l *slog.Logger) { l.Info("m", "account", account{card}) },
		"in what each line has":       func(l *slog.Logger) { l.With("a", card).Info("m") },
		"in what a group's lines say": func(l *slog.Logger) { l.WithGroup(card).Info("m", "a", 1) },
		"under a card's own name":     func(l *slog.Logger) { l.Info("m", "card_number", "4242 4242 4242 4241") },
	} {
		t.Run("masks a number "+name, func(t *testing.T) {
			t.Parallel()
			for _, handler := range []func(io.Writer) slog.Handler{
				func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
				func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
			} {
				var out bytes.Buffer
				write(slog.New(carddata.Logs(handler(&out))))
				digits := strings.NewReplacer(" ", "", "-", "").Replace(out.String())
				if strings.Contains(digits, "424242424242424") || carddata.Holds(out.String()) || !strings.Contains(out.String(), "[card number]") && !strings.Contains(name, "group's") {
					t.Errorf("the log says %s", out.String())
				}
			}
		})
	}

	t.Run("leaves everything else as it is", func(t *testing.T) {
		t.Parallel()
		write := func(h slog.Handler) {
			l := slog.New(h).With("a", 1).WithGroup("g")
			l.Info("request", "path", "/api/v1/", "took", 1234*time.Microsecond, "at", time.Unix(1700000000, 0).UTC(), "n", int64(1_700_000_000_000_000_000), "share", 0.25, "none", nil,
				"error", errors.New("no"), "pointer", (*account)(nil), slog.Group("h", "yes", true), "id", "019b5bdb-3e6a-7a5e-9d2c-3c1c2f5b1f10")
			l.Debug("nobody hears this")
		}
		options := &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}
		var got, want bytes.Buffer
		write(carddata.Logs(slog.NewJSONHandler(&got, options)))
		write(slog.NewJSONHandler(&want, options))
		if got.String() != want.String() || got.Len() == 0 {
			t.Errorf("got %s, want %s", got.String(), want.String())
		}
	})
}

// ns/op is the cost of the line that each request writes, without and with the wall.
func BenchmarkLogs(b *testing.B) {
	for name, h := range map[string]slog.Handler{"without": slog.NewJSONHandler(io.Discard, nil), "with": carddata.Logs(slog.NewJSONHandler(io.Discard, nil))} {
		b.Run(name, func(b *testing.B) {
			l, ctx := slog.New(h), context.Background()
			b.ReportAllocs()
			for b.Loop() {
				l.InfoContext(ctx, "request", "method", "POST", "path", "/api/v1/billing/payments/019b5bdb-3e6a-7a5e-9d2c-3c1c2f5b1f10/approve/", "status", 200, "bytes", 1234,
					"took", 3*time.Millisecond, "request_id", "019b5bdb-3e6a-7a5e-9d2c-3c1c2f5b1f10")
			}
		})
	}
}
