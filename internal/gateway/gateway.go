// Package gateway is the middle of Tributary: the sessions between users' lines
// and the ISP's access concentrators, and the tables that tie them together.
//
// In the order of an upstream packet: readLine (session.go), relay.go for
// control packets or forward.go for data, the port. Downstream: readPort
// (port.go), table.go, downstream (session.go), outbox.go, the line.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/line"
)

// ErrNoLine is what is returned for a line that is not there.
var ErrNoLine = errors.New("no such line")

// Options are the world as a gateway sees it. Everything it touches comes in
// here, so that two gateways fit in one process and a test can run one without
// privileges.
type Options struct {
	Config *config.Config
	Log    *slog.Logger
	Pool   *frame.Pool
	// OpenPort opens an Ethernet interface by name.
	OpenPort func(name string, pool *frame.Pool) (ether.Port, error)
	// Listen opens the listeners of one group of lines.
	Listen func(cfg config.Lines, pool *frame.Pool, log *slog.Logger) ([]line.Listener, error)
	// Random fills b with octets that nobody can predict.
	Random func(b []byte)
	// Jitter returns a number in [0, n).
	Jitter func(n int64) int64
	// Hostname is what {hostname} stands for in circuit_id and remote_id.
	Hostname string
}

// Gateway is one running gateway.
type Gateway struct {
	cfg      *config.Config
	log      *slog.Logger
	pool     *frame.Pool
	batches  *sync.Pool // of *batch, for the writers
	random   func([]byte)
	jitter   func(int64) int64
	hostname string
	openPort func(string, *frame.Pool) (ether.Port, error)
	journal  *journal
	shared   *shared
	services services

	ports     []*port
	uplinks   []*uplink
	listeners []groupListener
	owners    []*owner

	born   time.Time
	hub    hub
	uniqs  atomic.Uint32 // Host-Uniqs given out
	begun  atomic.Uint32 // lines begun
	ending sync.Map      // Reason -> *atomic.Uint64: sessions ended

	mu       sync.Mutex
	lines    map[string]*session
	up       sync.WaitGroup // every line, until it is down
	users    sync.WaitGroup // of these, those that share sessions
	searches atomic.Int64   // client machines that are not done: open sessions, searches, late PADSs awaited
	accepts  sync.WaitGroup
	readers  sync.WaitGroup
	stopping atomic.Bool
}

type groupListener struct {
	line.Listener
	group *config.Lines
	up    *uplink
}

// New opens everything the configuration names: the ports, the journal, then
// the listeners. What fails is said before any user is let in, and what was
// opened is closed again.
func New(o Options) (*Gateway, error) {
	g := &Gateway{
		cfg: o.Config, log: o.Log, pool: o.Pool, random: o.Random, jitter: o.Jitter, hostname: o.Hostname, openPort: o.OpenPort,
		lines: make(map[string]*session), batches: newBatches(), born: time.Now(),
	}
	if err := g.open(o.Listen); err != nil {
		g.closeAll()
		return nil, err
	}
	return g, nil
}

func (g *Gateway) open(listen func(config.Lines, *frame.Pool, *slog.Logger) ([]line.Listener, error)) error {
	if err := g.openPorts(); err != nil {
		return err
	}
	var left []journalEntry
	if g.cfg.StateDir != "" {
		var err error
		if g.journal, left, err = openJournal(g.cfg.StateDir, g.journalFailed); err != nil {
			return err
		}
	}
	if err := g.openShared(); err != nil {
		return err
	}
	for i := range g.cfg.Lines {
		group := &g.cfg.Lines[i]
		up := g.uplink(group.Uplink)
		if up == nil && group.Shared == nil {
			return fmt.Errorf("lines %s: there is no uplink %q", group.Name, group.Uplink)
		}
		ls, err := listen(*group, g.pool, g.log)
		if err != nil {
			return fmt.Errorf("lines %s: %w", group.Name, err)
		}
		for _, l := range ls {
			g.listeners = append(g.listeners, groupListener{l, group, up})
		}
	}
	g.endOrphans(left)
	return nil
}

// openPorts opens each interface once, however many uplinks use it.
func (g *Gateway) openPorts() error {
	byName := make(map[string]*port)
	for i := range g.cfg.Uplinks {
		cfg := &g.cfg.Uplinks[i]
		p := byName[cfg.Interface]
		if p == nil {
			ep, err := g.openPort(cfg.Interface, g.pool)
			if err != nil {
				return fmt.Errorf("uplink %s: %w", cfg.Name, err)
			}
			p = &port{name: cfg.Interface, pool: g.pool}
			p.members.init()
			if _, err := p.set(ep); err != nil {
				return err
			}
			byName[cfg.Interface] = p
			g.ports = append(g.ports, p)
		}
		u, err := newUplink(cfg, p, g.log)
		if err != nil {
			return err
		}
		g.uplinks = append(g.uplinks, u)
	}
	return nil
}

func (g *Gateway) uplink(name string) *uplink {
	for _, u := range g.uplinks {
		if u.cfg.Name == name {
			return u
		}
	}
	return nil
}

// Run serves until ctx is done, and then ends every session properly. It
// returns nil after that, or the error that made going on senseless.
func (g *Gateway) Run(ctx context.Context) error {
	for range runtime.GOMAXPROCS(0) {
		o := newOwner()
		g.owners = append(g.owners, o)
		go o.run()
	}
	for _, p := range g.ports {
		g.readers.Go(func() { g.serve(ctx, p) })
		g.readers.Go(func() { g.retryOrphans(ctx, p) })
		g.readers.Go(func() { p.members.run(ctx, p.ether, g.memberFailed(p)) })
	}
	for _, u := range g.uplinks {
		g.readers.Go(func() { u.gate.run(ctx) })
	}
	for _, l := range g.listeners {
		g.accepts.Go(func() { g.accept(l) })
	}
	g.log.Info("running", "uplinks", len(g.uplinks), "listeners", len(g.listeners))
	<-ctx.Done()
	g.stop()
	return nil
}

// serve reads one port until the gateway stops. A port that fails takes its
// sessions with it; it is opened again when its interface is back, since nobody
// may be there to restart the gateway.
func (g *Gateway) serve(ctx context.Context, p *port) {
	for {
		err := p.readPort()
		if ctx.Err() != nil || errors.Is(err, ether.ErrClosed) {
			return
		}
		p.down.Store(true)
		p.ether().Close()
		g.log.Error("the port is lost; its sessions end", "interface", p.name, "err", err)
		g.portEvent(p, EventUplinkDown, err.Error())
		for _, s := range g.snapshot() {
			if s.up != nil && s.up.port == p {
				s.owner.post(event{s: s, kind: evEnd, aux: ending{reason: ReasonUplinkDown, message: err.Error()}})
			}
		}
		if !g.reopen(ctx, p) {
			return
		}
		p.down.Store(false)
		g.portEvent(p, EventUplinkUp, "")
	}
}

// reopen tries to open a lost port until it can or ctx is done.
func (g *Gateway) reopen(ctx context.Context, p *port) bool {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
		ep, err := g.openPort(p.name, g.pool)
		if err == nil {
			var open bool
			if open, err = p.set(ep); !open {
				return false // the gateway stops
			}
			if err != nil {
				g.log.Error("the port did not close well", "interface", p.name, "err", err)
			}
			g.endOrphans(p.takeOrphans())
			return true
		}
		g.log.Warn("the port is still lost", "interface", p.name, "err", err)
	}
}

// memberFailed is told of a line's address that a port cannot receive for, and for
// which nobody waits: its sessions are open, and deaf.
func (g *Gateway) memberFailed(p *port) func(error) {
	return func(err error) {
		g.log.Error("a line's address is not received for", "interface", p.name, "err", err)
	}
}

func (g *Gateway) portEvent(p *port, kind, message string) {
	for _, u := range g.uplinks {
		if u.port == p {
			g.emit(Event{Time: time.Now(), Kind: kind, Uplink: u.cfg.Name, Message: message})
		}
	}
}

// accept takes the lines of one listener in.
func (g *Gateway) accept(l groupListener) {
	for {
		ln, err := l.Accept()
		if err != nil {
			if !errors.Is(err, line.ErrClosed) {
				g.log.Error("no more lines are taken", "group", l.group.Name, "addr", l.Addr(), "err", err)
			}
			return
		}
		g.begin(l, ln)
	}
}

// begin gives a line its session.
func (g *Gateway) begin(l groupListener, ln line.Line) {
	s := &session{
		g: g, up: l.up, group: l.group, line: ln, info: ln.Info(), timerIndex: -1, changed: true,
		owner: g.owners[int(g.begun.Add(1))%len(g.owners)],
	}
	if t, ok := l.Listener.(*trunk); ok {
		s.trunk = t
		t.session.Store(s)
	}
	if sg := g.shared.groups[l.group.Name]; sg != nil && l.group.Shared != nil {
		s.sub = newSubscriber(s, sg)
	}
	s.out.init(ln, queueConfig{frames: l.group.Queue.Frames, delay: l.group.Queue.Delay, speed: s.info.Speed}, g.batches)
	s.publish() // before anyone can find it
	g.mu.Lock()
	if g.stopping.Load() {
		g.mu.Unlock()
		ln.Close()
		return
	}
	// A name is free as soon as its line is closed; the session that had it
	// before may still be on its way out, and no longer needs the name.
	g.lines[s.info.Name] = s
	g.up.Add(1)
	if s.sub != nil {
		g.users.Add(1)
	}
	g.mu.Unlock()
	// The owners outlive every line, so there is always one to tell.
	s.owner.post(event{s: s, kind: evLineUp})
	go s.readLine()
}

// forget takes a line that is down off the list; its name is free again.
func (g *Gateway) forget(s *session) {
	g.mu.Lock()
	if g.lines[s.info.Name] == s {
		delete(g.lines, s.info.Name)
	}
	g.mu.Unlock()
}

// gone counts a line no longer, of which all is said: a stop waits for that.
func (g *Gateway) gone(s *session) {
	if s.sub != nil {
		g.users.Done()
	}
	g.up.Done()
}

func (g *Gateway) snapshot() []*session {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]*session, 0, len(g.lines))
	for _, s := range g.lines {
		all = append(all, s)
	}
	return all
}

func (g *Gateway) emit(e Event) {
	g.hub.emit(e)
	level := slog.LevelInfo
	if e.Kind == EventLineUp || e.Kind == EventDiscovering {
		level = slog.LevelDebug
	}
	if !g.log.Enabled(context.Background(), level) {
		return
	}
	attrs := []any{"line", e.Line}
	add := func(k, v string) {
		if v != "" {
			attrs = append(attrs, k, v)
		}
	}
	add("uplink", e.Uplink)
	if e.SID != 0 {
		attrs = append(attrs, "sid", e.SID)
	}
	add("mac", e.MAC)
	add("user", e.User)
	add("reason", string(e.Reason))
	add("message", e.Message)
	g.log.Log(context.Background(), level, e.Kind, attrs...)
}

// count notes a session's end under its reason.
func (g *Gateway) count(r Reason) {
	n, _ := g.ending.LoadOrStore(r, new(atomic.Uint64))
	n.(*atomic.Uint64).Add(1)
}

func (g *Gateway) journalFailed(err error) {
	g.log.Error("a crash from now on may leave sessions open at the AC", "err", err)
}

// Lines are all lines, by name.
func (g *Gateway) Lines() []LineInfo {
	all := g.snapshot()
	infos := make([]LineInfo, len(all))
	for i, s := range all {
		infos[i] = s.lineInfo()
	}
	sort.Slice(infos, func(i, j int) bool { return naturalLess(infos[i].Name, infos[j].Name) })
	return infos
}

// Line is one line by its name.
func (g *Gateway) Line(name string) (LineInfo, bool) {
	g.mu.Lock()
	s := g.lines[name]
	g.mu.Unlock()
	if s == nil {
		return LineInfo{}, false
	}
	return s.lineInfo(), true
}

// Uplinks are all uplinks, in the configuration's order.
func (g *Gateway) Uplinks() []UplinkInfo {
	infos := make([]UplinkInfo, len(g.uplinks))
	for i, u := range g.uplinks {
		infos[i] = u.info()
	}
	return infos
}

// Endings is how many sessions have ended, by reason.
func (g *Gateway) Endings() map[Reason]uint64 {
	m := make(map[Reason]uint64)
	g.ending.Range(func(k, v any) bool {
		m[k.(Reason)] = v.(*atomic.Uint64).Load()
		return true
	})
	return m
}

// Hangup ends a line in the operator's name.
func (g *Gateway) Hangup(name string) error {
	g.mu.Lock()
	s := g.lines[name]
	g.mu.Unlock()
	if s == nil {
		return fmt.Errorf("%w: %q", ErrNoLine, name)
	}
	if !s.owner.post(event{s: s, kind: evEnd, aux: ending{reason: ReasonAdmin}}) {
		return errors.New("the gateway is stopping")
	}
	return nil
}

// Subscribe yields events from now on; buffer is how many may wait.
func (g *Gateway) Subscribe(buffer int) *Subscription { return g.hub.subscribe(buffer) }

// Addrs is where each group's users reach it.
func (g *Gateway) Addrs() map[string][]string {
	m := make(map[string][]string)
	for _, l := range g.listeners {
		m[l.group.Name] = append(m[l.group.Name], l.Addr())
	}
	return m
}
