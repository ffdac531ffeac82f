package main

import (
	"io"
	"log/slog"

	"tributary/internal/config"
)

// newLogger logs to w as the configuration says.
func newLogger(w io.Writer, c config.Log) *slog.Logger {
	level := new(slog.LevelVar) // info
	// The configuration has been checked; text that is no level leaves info.
	_ = level.UnmarshalText([]byte(c.Level))
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
