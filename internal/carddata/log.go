package carddata

import (
	"context"
	"fmt"
	"log/slog"
)

// Logs gives a handler that masks card numbers in messages and values before next writes them. It is the second wall:
// whatever reaches a log has been asked before, but for errors of others and what a panic throws. A record without a
// card number is passed on as it is.
func Logs(next slog.Handler) slog.Handler { return masking{next} }

type masking struct{ next slog.Handler }

// Enabled is part of slog.Handler.
func (m masking) Enabled(ctx context.Context, level slog.Level) bool {
	return m.next.Enabled(ctx, level)
}

// Handle is part of slog.Handler.
func (m masking) Handle(ctx context.Context, r slog.Record) error {
	dirty := Holds(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		dirty = dirty || isDirty(a)
		return !dirty
	})
	if !dirty {
		return m.next.Handle(ctx, r)
	}
	clean := slog.NewRecord(r.Time, r.Level, Mask(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(maskAttr(a))
		return true
	})
	return m.next.Handle(ctx, clean)
}

// WithAttrs is part of slog.Handler.
func (m masking) WithAttrs(attrs []slog.Attr) slog.Handler {
	return masking{m.next.WithAttrs(maskAttrs(attrs))}
}

// WithGroup is part of slog.Handler.
func (m masking) WithGroup(name string) slog.Handler { return masking{m.next.WithGroup(Mask(name))} }

func isDirty(a slog.Attr) bool {
	v := a.Value.Resolve()
	if v.Kind() != slog.KindGroup {
		return Holds(a.Key) || Field(a.Key, textOf(v))
	}
	for _, inner := range v.Group() {
		if isDirty(inner) {
			return true
		}
	}
	return Holds(a.Key)
}

func maskAttr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	key := Mask(a.Key)
	switch text := textOf(v); {
	case v.Kind() == slog.KindGroup:
		return slog.Attr{Key: key, Value: slog.GroupValue(maskAttrs(v.Group())...)}
	case Named(a.Key, text):
		return slog.String(key, Masked)
	case Holds(text):
		return slog.String(key, Mask(text))
	}
	return slog.Attr{Key: key, Value: v}
}

func maskAttrs(attrs []slog.Attr) []slog.Attr {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = maskAttr(a)
	}
	return clean
}

// textOf gives what a handler would write of a value, and an empty text for what cannot hold a card number, which is
// found without writing it.
func textOf(v slog.Value) string {
	const low, high = -1_000_000_000_000, 1_000_000_000_000 // fewer digits than a card number has
	switch v.Kind() {
	case slog.KindString:
		return v.String()
	case slog.KindInt64:
		if n := v.Int64(); n > low && n < high {
			return ""
		}
		return v.String()
	case slog.KindUint64:
		if v.Uint64() < high {
			return ""
		}
		return v.String()
	case slog.KindAny:
		if raw, ok := v.Any().([]byte); ok {
			return string(raw)
		}
		return fmt.Sprintf("%+v", v.Any())
	}
	return "" // times, durations and flags; floats, which no identifier is
}
