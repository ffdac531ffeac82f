package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tributary/internal/config"
	"tributary/internal/control"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/gateway"
	"tributary/internal/lab"
	"tributary/internal/line"
	"tributary/ppp"
	"tributary/pppoe"
)

// labListen is where users dial in at, if it is free; further groups of lines have
// the ports behind it.
const labListen = "127.0.0.1:2323"

// labStop bounds each step of the end. What takes longer hangs.
const labStop = 15 * time.Second

// labOptions are the flags of tributary lab.
type labOptions struct {
	users  int
	until  time.Duration
	socket string
	listen string
	mode   string
	loss   float64
	seed   uint64
	log    string

	secret func(user string) (string, bool) // nil: the lab's own
}

func newLabCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "lab",
		Short: "Run an ISP, a gateway and dialling users in one process",
		Long: `Runs a whole ISP in memory, without privileges: an access concentrator with a
small internet behind it, the gateway before it, and users who dial in over TCP
on loopback, log in with CHAP, ping, download and upload, and check every octet.
Others may dial in as well, with pppd or tributary dial, as user uN with the
password pN.

With --mode relay each user has a PPPoE session of his own, and the ISP asks who
he is. With --mode shared the gateway asks, gives him an address of 198.18.0.0/16,
and carries all users on one session, which the ISP routes that prefix to; users
ping each other too, some of them through the ISP and some straight across. With
--mode both, half of the users do the one and half the other.

It runs until it is interrupted, or for as long as --for says. Then all hang up,
and the last line says what was proven. The exit code is 1 if anything that was
promised did not happen.`,
		Example: `  tributary lab --for 10s
  tributary lab --mode shared --users 200 --listen 127.0.0.1:0
  tributary lab --socket /tmp/lab.sock &
  tributary lines --socket /tmp/lab.sock`,
		Args: cobra.NoArgs,
	}
	var o labOptions
	f := c.Flags()
	f.IntVar(&o.users, "users", 8, "so many users `N` dial in")
	f.DurationVar(&o.until, "for", 0, "end after this time (default: when interrupted)")
	f.StringVar(&o.socket, "socket", "", "control socket at `PATH` (default: in a temporary directory)")
	f.StringVar(&o.listen, "listen", "", "users dial in at `HOST:PORT` (default "+labListen+", or another port if that is taken)")
	f.StringVar(&o.mode, "mode", labRelay, "relay: each user has his own PPPoE session; shared: all have one; both")
	f.Float64Var(&o.loss, "loss", 0, "lose this part of the packets (0 to 0.5) between gateway and ISP")
	f.Uint64Var(&o.seed, "seed", 1, "which packets are lost: the same `NUMBER` loses the same ones")
	f.StringVar(&o.log, "log", "warn", "the gateway's log level: debug, info, warn or error")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := o.check(); err != nil {
			return usageError{err}
		}
		return e.runLab(c.Context(), o)
	}
	return c
}

func (o *labOptions) check() error {
	switch {
	case o.mode != labRelay && o.mode != labShared && o.mode != labBoth:
		return fmt.Errorf("--mode %q: want relay, shared or both", o.mode)
	case o.users < 0 || o.users > 10_000:
		return errors.New("--users takes a number from 0 to 10000")
	case o.until < 0:
		return errors.New("--for takes a time that is not negative")
	case !(o.loss >= 0 && o.loss <= 0.5):
		return errors.New("--loss takes a number from 0 to 0.5")
	}
	return new(slog.LevelVar).UnmarshalText([]byte(o.log))
}

// labRun is one running lab.
type labRun struct {
	e        *env
	o        labOptions
	internet netip.Addr
	pool     *frame.Pool // of the access concentrator and the users
	acPort   ether.Port
	ac       *lab.AC
	gw       *gateway.Gateway
	gwPool   *frame.Pool
	faults   *ether.Faulty // nil: none
	groups   []*labGroup   // one at least
	office   labOffice
	crowd    *lab.Crowd
	began    time.Time
}

// runLab builds everything from the ISP down to the users, lets it run, and
// takes it down again in the opposite order.
func (e *env) runLab(ctx context.Context, o labOptions) (err error) {
	dir, err := os.MkdirTemp("", "tributary-lab-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.socket == "" {
		o.socket = filepath.Join(dir, "control.sock")
	}
	if o.secret == nil {
		o.secret = lab.Secret
	}
	l := &labRun{
		e: e, o: o, groups: labGroups(o.mode, o.users), internet: netip.MustParseAddr("198.51.100.1"), began: time.Now(),
		// What waits in the users' and the concentrator's queues at the most.
		pool: frame.NewPool(1<<14 + o.users*512),
	}
	l.office.secret, l.office.first = rand.Text(), make(chan struct{})
	hub := ether.NewHub()
	l.acPort = hub.Port("lab-isp", pppoe.MAC{0x02, 0, 0x5e, 0, 0, 0x01}, l.pool)
	cfg := lab.ACConfig{Auth: []ppp.AuthMethod{ppp.AuthCHAPMD5}, Secret: l.acSecret, Routes: l.acRoutes, Internet: l.internet, Event: l.office.event}
	if o.loss > 0 {
		cfg.Echo = time.Second // a PADT may be lost: who is gone is found out soon
	}
	l.ac, err = lab.NewAC(l.acPort, l.pool, cfg)
	if err != nil {
		return errors.Join(err, l.acPort.Close())
	}
	defer l.ac.Close()
	socket, err := control.Listen(o.socket)
	if err != nil {
		return err
	}
	if err := l.newGateway(hub, dir); err != nil {
		return errors.Join(err, socket.Close())
	}
	server := control.New(l.gw, e.version, nil)
	served := make(chan error, 1)
	go func() { served <- server.Serve(socket) }()
	stop, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- l.gw.Run(stop) }()

	err = l.greet()
	var before labLosses
	var users error
	if err == nil {
		before, users = l.letRun(ctx)
	}
	cancel()
	select {
	case gwErr := <-ran:
		err = errors.Join(err, gwErr)
	case <-time.After(labStop):
		err = errors.Join(err, errors.New("the gateway does not stop"))
	}
	err = errors.Join(err, server.Close(), <-served)
	if err != nil {
		return err
	}
	return l.prove(users, before)
}

// newGateway makes the gateway, at the usual ports if they are free.
func (l *labRun) newGateway(hub *ether.Hub, dir string) (err error) {
	up := config.NewUplink("isp", "lab-gateway")
	up.OfferWait = 10 * time.Millisecond // the hub has one concentrator
	open := func(name string, pool *frame.Pool) (ether.Port, error) {
		l.gwPool = pool
		port := hub.Port(name, pppoe.MAC{0x02, 0, 0x5e, 0, 0, 0x02}, pool)
		if l.o.loss == 0 {
			return port, nil
		}
		loss := ether.Faults{Loss: l.o.loss}
		l.faults = ether.NewFaulty(port, pool, l.o.seed, loss, loss)
		return l.faults, nil
	}
	log := newLogger(l.e.stderr, config.Log{Level: l.o.log})
	try := func(listen string) error {
		if err := place(l.groups, listen); err != nil {
			return fmt.Errorf("listen %s: %w", listen, err)
		}
		cfg, err := l.configure(dir, up)
		if err != nil {
			return err
		}
		l.gw, err = newGateway(cfg, log, open)
		return err
	}
	if l.o.listen != "" {
		err = try(l.o.listen)
	} else if err = try(labListen); errors.Is(err, syscall.EADDRINUSE) {
		host, _, _ := net.SplitHostPort(labListen)
		err = try(net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return err
	}
	for _, g := range l.groups {
		g.addr = l.gw.Addrs()[g.name][0]
	}
	l.crowd = lab.NewCrowd(lab.CrowdConfig{
		Users: l.o.users, Async: true, Pool: l.pool, Internet: l.internet, Neighbour: l.neighbour,
		Dial: func(ctx context.Context, i int) (line.Line, error) {
			return line.Dial(ctx, "tcp:"+l.group(i).addr, l.pool, line.DialOptions{})
		},
	})
	return nil
}

// greet says what runs, and how to join in.
func (l *labRun) greet() error {
	addr := l.groups[0].addr
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	var where strings.Builder
	for _, g := range l.groups {
		if len(l.groups) > 1 {
			fmt.Fprintf(&where, "  %-13s %s: %d users, %s\n", g.addr, g.name, g.users, g.what)
		}
	}
	user, secret := lab.Account(l.o.users)
	other, otherSecret := lab.Account(l.o.users + 1)
	_, err = fmt.Fprintf(l.e.stdout, `An ISP, a gateway and %d users, in this process. Users dial in at %s.
%s  look inside   tributary lines --socket %s
  dial in       tributary dial tcp:%s --user %s --password %s --ping %v
  with pppd     pppd pty "nc %s %s" user %s password %s noauth nodetach local noccp
  web server    http://%v/ and /bytes/N, for those who have dialled in

`, l.o.users, addr, where.String(), l.o.socket, addr, user, secret, l.internet, host, port, other, otherSecret, l.internet)
	return err
}

// awaitOffice waits for the session that users share, where frames are lost on
// purpose. PPP needs seconds for each that it misses of its own, and a ping does not
// wait that long. Where none is lost, users who are early wait in their log-in.
func (l *labRun) awaitOffice() {
	if l.sharing() == 0 || l.o.loss == 0 {
		return
	}
	select {
	case <-l.office.first:
	case <-time.After(4 * labStop):
	}
}

// letRun runs the users until the end, and shows how they do. What was lost by
// then is counted before they hang up, since a line takes its counters with it.
func (l *labRun) letRun(ctx context.Context) (labLosses, error) {
	if l.o.until > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.o.until)
		defer cancel()
	}
	run, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	over := make(chan error, 1)
	go func() {
		l.awaitOffice()
		over <- l.crowd.Run(run)
	}()
	view := newLabView(l)
	tick := time.NewTicker(view.interval())
	defer tick.Stop()
	end := ctx.Done()
	var losses labLosses
	for {
		select {
		case <-tick.C:
			view.show()
		case <-end:
			end = nil
			view.show()
			losses = l.losses()
			hangUp()
		case err := <-over:
			if l.o.users == 0 && end != nil {
				over = nil // only strangers dial in
				break
			}
			if end != nil {
				losses = l.losses() // all have failed
			}
			view.done()
			return losses, err
		}
		if over == nil && end == nil {
			view.done()
			return losses, nil
		}
	}
}
