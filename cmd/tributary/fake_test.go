package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"tributary/internal/control"
	"tributary/internal/gateway"
	"tributary/internal/nat"
)

// now is the time of every test.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// run is one command line; socket is what TRIBUTARY_SOCKET says.
func run(t *testing.T, ctx context.Context, socket string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = execute(ctx, testEnv(socket, &out, &errs), args)
	return code, out.String(), errs.String()
}

func testEnv(socket string, stdout, stderr io.Writer) *env {
	return &env{
		stdin: strings.NewReader(""), stdout: stdout, stderr: stderr,
		getenv: func(key string) string {
			if key == "TRIBUTARY_SOCKET" {
				return socket
			}
			return ""
		},
		now:     func() time.Time { return now },
		version: control.Version{Version: "v1.2.3", Commit: "abc", Go: "go1.26", OS: "linux/amd64"},
	}
}

// fakeGateway has the lines and uplinks of the test.
type fakeGateway struct {
	mu      sync.Mutex
	lines   []gateway.LineInfo
	uplinks []gateway.UplinkInfo
	events  chan gateway.Event

	sessions []gateway.SessionInfo
	pools    []gateway.PoolInfo
	reloaded control.Reload
	refused  error // of a reload
}

func (g *fakeGateway) Sessions() []gateway.SessionInfo { return g.sessions }
func (g *fakeGateway) Pools() []gateway.PoolInfo       { return g.pools }
func (g *fakeGateway) reload() (control.Reload, error) { return g.reloaded, g.refused }

func (g *fakeGateway) Lines() []gateway.LineInfo {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.lines)
}

func (g *fakeGateway) Line(name string) (gateway.LineInfo, bool) {
	for _, l := range g.Lines() {
		if l.Name == name {
			return l, true
		}
	}
	return gateway.LineInfo{}, false
}

func (g *fakeGateway) Uplinks() []gateway.UplinkInfo { return g.uplinks }

func (g *fakeGateway) Hangup(name string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lines = slices.DeleteFunc(g.lines, func(l gateway.LineInfo) bool { return l.Name == name })
	return nil
}

func (g *fakeGateway) Subscribe(int) subscription { return subscription{g} }

type subscription struct{ g *fakeGateway }

func (s subscription) C() <-chan gateway.Event { return s.g.events }
func (s subscription) Lost() uint64            { return 0 }
func (s subscription) Close() {
	defer func() { _ = recover() }() // the test may have closed it
	close(s.g.events)
}

// evil is text of a remote peer that would take over a terminal.
const evil = "\x1b]0;owned\a\x1b[2J\u202egpj\n\r"

func newFake() *fakeGateway {
	g := &fakeGateway{events: make(chan gateway.Event, 16)}
	g.lines = []gateway.LineInfo{{
		Name: "virtual/1", Group: "virtual", Kind: "tcp", Remote: "192.0.2.7:40112", State: "up", Phase: "network",
		Since: now.Add(-75 * time.Minute), Uplink: "isp", SessionID: 4711, ACName: "bras1", ACMAC: "02:00:5e:00:00:01",
		OurMAC: "02:00:5e:00:00:02", VLANs: []uint16{100, 7}, SetUp: 120 * time.Millisecond, User: "anna@isp.example", Auth: "CHAP MD5",
		Address: "198.51.100.7", Peer: "198.51.100.1", DNS: []string{"198.51.100.53"}, SendACCM: 0xa0000, PFC: true,
	}, {
		Name: "bank/ttyUSB0", Group: "bank", Kind: "serial", Remote: "/dev/ttyUSB0", State: "waiting", Since: now.Add(-5 * time.Second),
	}, {
		Name: "virtual/2", State: "up", Phase: "authenticate", SessionID: 1, User: evil + strings.Repeat("x", 200), Message: evil, Remote: evil,
		Since: now.Add(-50 * time.Hour),
	}, {
		Name: "shop/1", Mode: "shared", State: "up", Phase: "network", User: "carl", Address: "198.51.100.9", Uplink: "office", Since: now,
	}, {
		Name: "shop/2", Mode: "shared", State: "up", Phase: "network", User: "dora", Message: "no session with the ISP is up", Since: now,
	}, {
		Name: "shop/3", Mode: "shared", State: "up", Phase: "network", User: "emil", Prefix: "2001:db8:0:7::/64", Uplink: "office",
		Message: "no session with the ISP has IPv4", Since: now,
	}}
	g.sessions = []gateway.SessionInfo{{
		Name: "office", Line: "session/office", Uplink: "isp", User: "office@isp", State: gateway.SessionUp, Since: now.Add(-time.Hour), Dials: 3,
		Failure: &gateway.SessionFailure{Time: now.Add(-61 * time.Minute), Reason: gateway.ReasonPADT, Message: "maintenance" + evil},
		Address: "203.0.113.10", DNS: []string{"203.0.113.53"}, MTU: 1492, SessionID: 815, ACName: "bras1", ACMAC: "02:00:5e:00:00:01",
		Users: 3, MaxUsers: 126, Dropped: map[string]uint64{"no_user": 5, "too_big": 0},
		NAT: &nat.Stats{Users: 3, Sessions: 40, Mappings: 38, MappingsTCP: 30, MappingsUDP: 7, MappingsICMP: 1, BlocksFree: 123, BlocksResting: 2, Blocks: 126, Dropped: map[string]uint64{"no-mapping": 7}}, NATLogLost: 5,
	}, {
		Name: "spare", Line: "session/spare", Uplink: "isp", State: gateway.SessionWaiting, Since: now.Add(-18 * time.Second), NextDial: now.Add(12 * time.Second),
		Dials: 9, InVain: 9, Failure: &gateway.SessionFailure{Time: now.Add(-18 * time.Second), Reason: gateway.ReasonAuthFailed, Message: "account unpaid" + evil},
	}, {
		Name: "old", Line: "session/old", Uplink: "isp", State: gateway.SessionUnused, Since: now,
	}}
	g.pools = []gateway.PoolInfo{
		{Name: "customers", Prefix: "198.51.100.0/24", Size: 253, Taken: 250, Remembered: 3, IPv6: &gateway.PoolInfo6{DelegatedBy: "office"}},
		{Name: "guests", Prefix: "10.0.0.0/16", Size: 65534, Taken: 1, IPv6: &gateway.PoolInfo6{Prefix: "2001:db8::/56", Size: 255, Taken: 255}},
	}
	g.reloaded = control.Reload{Users: gateway.UsersReload{Files: 1, Users: 5, Added: 2}, Restart: []string{"lines", "pools"}}
	g.lines[0].Session.UpOctets, g.lines[0].Session.DownOctets = 1234, 56_789_012
	g.lines[0].Line.RxFrames = 12
	g.uplinks = []gateway.UplinkInfo{{
		Name: "isp", Interface: "eth1", MAC: "02:00:5e:00:00:02", MTU: 1500, Sessions: 2, Dropped: map[string]uint64{"unknown": 3},
		ACs: []gateway.ACInfo{{Name: "bras1" + evil, MAC: "02:00:5e:00:00:01", Offers: 9, LastSeen: now.Add(-3 * time.Second), Message: evil}},
	}}
	return g
}

// serve puts g behind a socket, and gives its path.
func serve(t *testing.T, g *fakeGateway) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := control.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := control.New(g, control.Version{Version: "v9"}, g.reload)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), <-done); err != nil {
			t.Error(err)
		}
	})
	return path
}

// checkTerminal holds text to what a terminal may be sent: one line is one line,
// nothing is a control character, nothing is wider than it should be.
func checkTerminal(t *testing.T, out string, width int) {
	t.Helper()
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if printable(line) != line {
			t.Errorf("not fit for a terminal: %q", line)
		}
		if n := utf8.RuneCountInString(line); width > 0 && n > width {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}
