package main

import (
	"log/slog"
	"os"

	"countersign/internal/carddata"
	"countersign/internal/settings"
)

// setUpLog sends structured logs to stderr: text for people, JSON for machines, and to neither a card number.
func setUpLog(s settings.Settings) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewTextHandler(os.Stderr, options)
	if s.LogFormat == "json" {
		handler = slog.NewJSONHandler(os.Stderr, options)
	}
	slog.SetDefault(slog.New(carddata.Logs(handler)))
}
