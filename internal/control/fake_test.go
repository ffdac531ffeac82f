package control

import (
	"cmp"
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tributary/internal/gateway"
)

var _ Gateway[*gateway.Subscription] = (*gateway.Gateway)(nil)

// fakeGateway is a gateway of two lines. Its events come from the test.
type fakeGateway struct {
	mu     sync.Mutex
	lines  map[string]gateway.LineInfo
	broken error // what Hangup says of lines that are there
	sub    *fakeSubscription

	sessions  []gateway.SessionInfo
	reloaded  Reload
	reloadErr error
}

type fakeSubscription struct {
	c    chan gateway.Event
	lost atomic.Uint64
	once sync.Once
}

func (s *fakeSubscription) C() <-chan gateway.Event { return s.c }
func (s *fakeSubscription) Lost() uint64            { return s.lost.Load() }
func (s *fakeSubscription) Close()                  { s.once.Do(func() { close(s.c) }) }

func newFake() *fakeGateway {
	g := &fakeGateway{lines: map[string]gateway.LineInfo{}}
	for _, l := range []gateway.LineInfo{
		{Name: "virtual/1", Group: "virtual", Kind: "tcp", State: "up", SessionID: 7, User: "anna@isp.example", SetUp: time.Millisecond},
		{Name: "bank/tty USB#0?", Group: "bank", Kind: "serial", State: "waiting"},
	} {
		g.lines[l.Name] = l
	}
	return g
}

func (g *fakeGateway) Lines() (all []gateway.LineInfo) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.lines {
		all = append(all, l)
	}
	return all
}

func (g *fakeGateway) Line(name string) (gateway.LineInfo, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l, ok := g.lines[name]
	return l, ok
}

func (g *fakeGateway) Sessions() []gateway.SessionInfo { return g.sessions }

func (g *fakeGateway) Pools() []gateway.PoolInfo {
	return []gateway.PoolInfo{{Name: "customers", Size: 253, Taken: 7}}
}

func (g *fakeGateway) reload() (Reload, error) { return g.reloaded, g.reloadErr }

func (g *fakeGateway) Uplinks() []gateway.UplinkInfo { return nil }

func (g *fakeGateway) Hangup(name string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.lines[name]; !ok {
		return gateway.ErrNoLine
	}
	if g.broken != nil {
		return g.broken
	}
	delete(g.lines, name)
	return nil
}

func (g *fakeGateway) Subscribe(buffer int) *fakeSubscription {
	g.sub = &fakeSubscription{c: make(chan gateway.Event, buffer)}
	return g.sub
}

// emit is what the gateway does: it never waits.
func (g *fakeGateway) emit(kind string) {
	select {
	case g.sub.c <- gateway.Event{Kind: kind}:
	default:
		g.sub.lost.Add(1)
	}
}

// serve is a server of g on a socket of its own, and a client of it.
func serve(t *testing.T, g *fakeGateway) (*Server, *Client) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run", "control.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	s := New(g, Version{Version: "v1.2.3", Go: "go1"}, g.reload)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	c := Dial(path)
	t.Cleanup(func() {
		c.Close()
		if err := cmp.Or(s.Close(), <-served); err != nil {
			t.Errorf("Close: %v", err)
		}
		var gone *Unreachable
		if _, err := c.Version(context.Background()); !errors.As(err, &gone) {
			t.Errorf("after Close, Version gives %v, want Unreachable", err)
		}
		if _, err := net.Dial("unix", path); err == nil {
			t.Errorf("the socket is still there")
		}
	})
	return s, c
}
