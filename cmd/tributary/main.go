// Command tributary is a PPP access gateway, and the tools around it.
//
// Each command is one file with one constructor; root.go has them all. What a
// command does is elsewhere: here are flags, wiring, output and exit codes.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end; after that, the next one has
	// its usual effect, for the day the orderly end takes too long.
	context.AfterFunc(ctx, stop)
	code := execute(ctx, &env{
		stdin:   os.Stdin,
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		getenv:  os.Getenv,
		now:     time.Now,
		version: thisVersion(),
	}, os.Args[1:])
	stop()
	os.Exit(code)
}
