package main

import (
	"log/slog"
	"os"

	"countersign/internal/settings"
)

// setUpLog sends structured logs to stderr: text for people, JSON for machines.
func setUpLog(s settings.Settings) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "json" {
		slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, options)))
		return
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, options)))
}
