package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"tributary/internal/config"
	"tributary/internal/lab"
)

// What the lab's mode shared has: one session at the ISP, and a prefix of
// addresses for users that the ISP routes to it. RFC 2544 appendix C.2.2 keeps
// 198.18.0.0/15 for measurements, so nobody is there.
const (
	labSession = "office"
	labPool    = "customers"
)

var labPrefix = netip.MustParsePrefix("198.18.0.0/16")

// labModes are the values of --mode.
const (
	labRelay  = "relay"
	labShared = "shared"
	labBoth   = "both"
)

// labGroup is a group of lines, and those of the lab's users who dial in there.
type labGroup struct {
	name   string
	mode   config.Mode
	among  config.UserToUser // mode shared
	what   string            // for the reader
	first  int               // number of its first user
	users  int
	hops   int // routers between one user of it and another
	listen string
	addr   string // where they dial in at, once it is known
}

// labGroups are the groups of lines that mode asks for, with their users.
func labGroups(mode string, users int) (groups []*labGroup) {
	add := func(g labGroup, users int) {
		if n := len(groups); n > 0 {
			g.first = groups[n-1].first + groups[n-1].users
		}
		g.users = users
		groups = append(groups, &g)
	}
	shared := users
	switch mode {
	case labRelay:
		shared = 0
	case labBoth:
		shared = users / 2
	}
	if mode != labShared {
		add(labGroup{name: "virtual", mode: config.ModeRelay, what: "a PPPoE session each"}, users-shared)
	}
	if mode == labRelay {
		return groups
	}
	across := 0
	if shared >= 4 { // or nobody would have a neighbour
		across = shared / 2
	}
	add(labGroup{
		name: "shared", mode: config.ModeShared, among: config.UserToUserISP, hops: 3,
		what: "one session for all; to each other through the ISP",
	}, shared-across)
	add(labGroup{
		name: "local", mode: config.ModeShared, among: config.UserToUserLocal, hops: 1,
		what: "the same session; to each other straight across",
	}, across)
	return groups
}

// group is where user i dials in.
func (l *labRun) group(i int) *labGroup {
	for _, g := range l.groups {
		if i < g.first+g.users {
			return g
		}
	}
	return l.groups[len(l.groups)-1]
}

// neighbour is the next user of the same group, for those who share a session:
// in relay they have nothing to do with each other that is the gateway's.
func (l *labRun) neighbour(i int) (int, bool) {
	g := l.group(i)
	if g.mode != config.ModeShared || g.users < 2 {
		return 0, false
	}
	return g.first + (i-g.first+1)%g.users, true
}

// sharing is how many users share a session.
func (l *labRun) sharing() (n int) {
	for _, g := range l.groups {
		if g.mode == config.ModeShared {
			n += g.users
		}
	}
	return n
}

// shares reports whether the lab has a session that users share.
func (l *labRun) shares() bool { return l.o.mode != labRelay }

// place says where each group listens: at the address that was asked for and the
// ports behind it; all at port 0 if that one is.
func place(groups []*labGroup, listen string) error {
	host, text, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return fmt.Errorf("port %q is no number up to 65535", text)
	}
	if port > 0 && int(port)+len(groups)-1 > 65535 {
		return fmt.Errorf("port %d leaves no room for %d groups of lines", port, len(groups))
	}
	for i, g := range groups {
		p := port
		if p > 0 {
			p += uint64(i)
		}
		g.listen = net.JoinHostPort(host, strconv.FormatUint(p, 10))
	}
	return nil
}

// configure is the gateway's configuration. What it needs of files is in dir.
func (l *labRun) configure(dir string, up config.Uplink) (*config.Config, error) {
	cfg := config.Default()
	cfg.Uplinks, cfg.StateDir = []config.Uplink{up}, filepath.Join(dir, "state")
	users := filepath.Join(dir, "users.yaml")
	for _, g := range l.groups {
		lines := config.NewLines(g.name, up.Name)
		lines.TCP = config.NewTCP(g.listen)
		lines.TCP.Max = 2*l.o.users + 64
		if g.mode == config.ModeShared {
			lines.Mode, lines.Uplink, lines.Open = g.mode, "", ""
			lines.Shared = config.NewShared(labPool, users, labSession)
			lines.Shared.UserToUser = g.among
		}
		cfg.Lines = append(cfg.Lines, lines)
	}
	if !l.shares() {
		return cfg, nil
	}
	session := config.NewSession(labSession, up.Name)
	session.User, session.PasswordFile = labSession, filepath.Join(dir, "office.secret")
	session.Auth = []config.Auth{config.AuthCHAPMD5}
	cfg.Sessions = []config.Session{session}
	cfg.Pools = []config.Pool{config.NewPool(labPool, labPrefix)}
	return cfg, errors.Join(
		os.WriteFile(session.PasswordFile, []byte(l.office.secret+"\n"), 0o600),
		os.WriteFile(users, l.usersFile(), 0o600),
	)
}

// labStrangers is how many accounts the users file has beside the crowd's.
const labStrangers = 64

// usersFile is who may come in where the gateway asks: whom the lab's ISP lets in
// otherwise, as far as a file can say it.
func (l *labRun) usersFile() []byte {
	var b strings.Builder
	b.WriteString("users:\n")
	any := false
	for i := range l.o.users + labStrangers {
		name, _ := lab.Account(i)
		if secret, ok := l.o.secret(name); ok {
			fmt.Fprintf(&b, "  - {name: %s, password: %s}\n", name, secret)
			any = true
		}
	}
	if !any {
		return []byte("users: []\n")
	}
	return []byte(b.String())
}

// labOffice is the session that users share, as the access concentrator sees it.
type labOffice struct {
	secret   string
	networks atomic.Uint64 // how often it came up with the users' addresses behind it
	first    chan struct{} // closed: it came up for the first time
	up, down atomic.Uint64 // IP packets, once it is over
}

// event is told what happens at the access concentrator.
func (o *labOffice) event(ev lab.ACEvent) {
	s := &ev.Session
	switch {
	case s.User != labSession:
	case ev.Kind == "network" && slices.Contains(s.Routes, labPrefix):
		if o.networks.Add(1) == 1 {
			close(o.first)
		}
	case ev.Kind == "closed":
		o.up.Add(s.Up)
		o.down.Add(s.Down)
	}
}

// acSecret is whom the access concentrator lets in: the session that users share,
// and in relay the users.
func (l *labRun) acSecret(user string) (string, bool) {
	if l.shares() && user == labSession {
		return l.office.secret, true
	}
	return l.o.secret(user)
}

// acRoutes are the users' addresses, which lie behind the session they share.
func (l *labRun) acRoutes(user string) []netip.Prefix {
	if l.shares() && user == labSession {
		return []netip.Prefix{labPrefix}
	}
	return nil
}
