package main

import (
	"io"
	"time"

	"github.com/spf13/cobra"

	"tributary/internal/config"
	"tributary/internal/control"
	"tributary/internal/ether"
	"tributary/internal/frame"
)

// env is the world of a command, so that a test can make one up.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
	version        control.Version
	openEther      func(name string, pool *frame.Pool) (ether.Port, error) // nil: real interfaces
}

// socketFlag gives c the flag --socket.
func (e *env) socketFlag(c *cobra.Command) *string {
	socket := e.getenv("TRIBUTARY_SOCKET")
	if socket == "" {
		socket = config.DefaultSocket
	}
	return c.Flags().String("socket", socket, "control socket at `PATH`, or TRIBUTARY_SOCKET")
}

// jsonFlag gives c the flag --json.
func jsonFlag(c *cobra.Command) *bool {
	return c.Flags().Bool("json", false, "print JSON")
}

// configFlag gives c the flag -c.
func configFlag(c *cobra.Command) *string {
	return c.Flags().StringP("config", "c", config.DefaultPath, "configuration `FILE`")
}
