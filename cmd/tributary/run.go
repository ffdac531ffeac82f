package main

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"tributary/internal/config"
	"tributary/internal/control"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/gateway"
	"tributary/internal/line"
)

// maxBuffers caps the packet buffers of one process, 2 KiB each: what all the
// floods of all lines and ports can take together.
const maxBuffers = 1 << 16

func newRunCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "run [-c FILE]",
		Short: "Run the gateway",
		Long: `Reads and checks the whole configuration, opens the Ethernet ports and then the
lines, and serves until it is told to stop (SIGINT, SIGTERM). It then ends
every session properly, at both ends. It stays in the foreground and logs to
standard error. SIGHUP has it read its users files again, as "tributary reload"
does.

Ethernet needs the capability CAP_NET_RAW, and CAP_NET_ADMIN for large buffers.`,
		Example: `  tributary run -c tributary.yaml
  systemctl start tributary`,
		Args: cobra.NoArgs,
	}
	path := configFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		// Before anything else: who asks for a reload means no harm, and unheard it ends us.
		hangups := make(chan os.Signal, 1)
		signal.Notify(hangups, syscall.SIGHUP)
		defer signal.Stop(hangups)
		cfg, err := config.Load(*path)
		if err != nil {
			return usageError{err}
		}
		warnings, err := gateway.CheckFiles(cfg)
		if err != nil {
			return usageError{err}
		}
		log := newLogger(e.stderr, cfg.Log)
		logWarnings(log, append(slices.Clone(cfg.Warnings), warnings...))
		tuneCollector()
		return e.runGateway(c.Context(), hangups, *path, cfg, log, func(name string, pool *frame.Pool) (ether.Port, error) {
			return ether.Open(name, pool, ether.Options{NoRing: func(err error) {
				log.Warn("the kernel gives no ring to receive from: the port is slower", "interface", name, "err", err)
			}})
		})
	}
	return c
}

// logWarnings is what check prints, for whoever starts without it.
func logWarnings(log *slog.Logger, warnings config.Errors) {
	for _, w := range warnings {
		at := *w
		at.Message = ""
		log.Warn("the configuration is probably not what is meant", "at", strings.TrimSuffix(at.Error(), ": "), "warning", w.Message)
	}
}

// openEthernet opens a real interface.
func openEthernet(name string, pool *frame.Pool) (ether.Port, error) {
	return ether.Open(name, pool, ether.Options{})
}

// tuneCollector has the heap grow by half between two collections, and not to twice
// its size. Carrying frames allocates nothing, so collections are as rare as
// users come and go, and what 50,000 idle lines hold is what counts. Who knows better
// sets GOGC.
func tuneCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

// runGateway runs a gateway with its control socket until ctx is done. It reads the
// files again, that of the configuration being at path, at each of hangups.
func (e *env) runGateway(ctx context.Context, hangups <-chan os.Signal, path string, cfg *config.Config, log *slog.Logger,
	open func(string, *frame.Pool) (ether.Port, error),
) error {
	socket, err := control.Listen(cfg.Control.Socket)
	if err != nil {
		return err
	}
	gw, err := newGateway(cfg, log, open)
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	files := &reloader{gw: gw, log: log, path: path, runs: cfg}
	server := control.New(gw, e.version, files.reload)
	served := make(chan error, 1)
	go func() { served <- server.Serve(socket) }()
	ended := make(chan struct{})
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		files.listen(ended, hangups)
	}()

	err = gw.Run(ctx)
	close(ended)
	<-listened
	return errors.Join(err, server.Close(), <-served)
}

// newGateway wires a gateway to the world.
func newGateway(cfg *config.Config, log *slog.Logger, open func(string, *frame.Pool) (ether.Port, error)) (*gateway.Gateway, error) {
	hostname, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("this host has no name: %w", err)
	}
	return gateway.New(gateway.Options{
		Config:   cfg,
		Log:      log,
		Pool:     frame.NewPool(maxBuffers),
		OpenPort: open,
		Listen:   line.Listen,
		Random:   func(b []byte) { _, _ = crand.Read(b) }, // never fails, by its contract
		Jitter:   rand.Int64N,
		Hostname: hostname,
	})
}
