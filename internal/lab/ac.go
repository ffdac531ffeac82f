package lab

import (
	"crypto/rand"
	"fmt"
	mrand "math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/ppp"
	"tributary/pppoe"
)

// ACConfig is an access concentrator. The zero value is one that serves anyone.
type ACConfig struct {
	Name     string   // AC-Name; "lab-ac"
	Services []string // Service-Names offered; none: any
	VLANs    ether.VLANs
	Auth     []ppp.AuthMethod                           // nil asks for no proof
	Secret   func(user string) (secret string, ok bool) // who may come in; the lab's own users
	// Address is a user's own address; the zero Addr, as a nil Address, takes
	// one of the pool.
	Address     func(user string) netip.Addr
	Local       netip.Addr    // our end of every session; 10.64.0.1
	Pool        netip.Prefix  // addresses for subscribers; 10.64.0.0/16
	Internet    netip.Addr    // the host behind us; 198.51.100.1
	DNS         [2]netip.Addr // told to who asks; the host behind us
	MaxSessions int           // 0: as many as there are addresses
	MaxPerMAC   int           // sessions of one address; 0 has no bound
	MaxPayload  int           // RFC 4638; 0 is 1492
	Echo        time.Duration // LCP Echo-Requests; 20 s, negative is never
	PADODelay   time.Duration
	// Event is told what happens, by one goroutine, and must not wait. May be nil.
	Event func(ACEvent)
}

// ACEvent is one thing that happened to a session.
type ACEvent struct {
	Kind    string // "open", "authenticated", "refused", "network", "closed"
	Session ACSession
	Message string
}

// ACSession is one session as the AC sees it, as a copy.
type ACSession struct {
	ID       uint16
	Peer     pppoe.MAC
	User     string
	Address  netip.Addr
	Line     pppoe.AccessLine // what TR-101 tags told of the line
	Service  string
	Since    time.Time
	PeerMRU  int
	Up, Down uint64 // IP packets from and to the subscriber
}

// ACCounters counts what an AC saw since it was made.
type ACCounters struct {
	Opened, Authenticated, Refused, Networks uint64
	ClosedByPADT                             uint64 // the other side sent PADT
	ClosedByPPP                              uint64 // PPP ended it, and we sent PADT
	Terminated                               uint64 // LCP Terminate-Requests from subscribers
	UnknownSession, Spoofed, NoAddress       uint64
	Discovery                                pppoe.ServerCounters
}

// AC is an access concentrator on an Ethernet port: PPPoE and PPP as servers,
// and a small internet behind them. One goroutine, loop, owns all protocol
// state; readPort carries data across beside it.
type AC struct {
	cfg    ACConfig
	port   ether.Port
	pool   *frame.Pool
	net    *internet
	server *pppoe.Server
	inbox  chan acFrame
	calls  chan func()
	quit   chan struct{}
	wg     sync.WaitGroup
	once   sync.Once
	lost   chan struct{} // closed: the port is read no more, and err is set
	err    error
	final  pppoe.ServerCounters // set before quit is closed

	mu     sync.RWMutex // the two tables, for readers beside the loop
	byID   map[acKey]*acSession
	byAddr map[netip.Addr]*acSession
	next   netip.Addr

	counters struct {
		opened, authenticated, refused, networks atomic.Uint64
		byPADT, byPPP, terminated                atomic.Uint64
		unknownSession, spoofed, noAddress       atomic.Uint64
	}
}

type acKey struct {
	peer pppoe.MAC
	sid  uint16
}

type acFrame struct {
	hdr ether.Header
	s   *acSession // nil: a discovery packet
	buf *frame.Buf
}

// acTick is how often the links are asked for what is due.
const acTick = 50 * time.Millisecond

// NewAC starts an access concentrator on port, which it closes at its end.
func NewAC(port ether.Port, pool *frame.Pool, cfg ACConfig) (*AC, error) {
	cfg = cfg.withDefaults()
	a := &AC{
		cfg: cfg, port: port, pool: pool,
		inbox: make(chan acFrame, 4096), calls: make(chan func()), quit: make(chan struct{}), lost: make(chan struct{}),
		byID: make(map[acKey]*acSession), byAddr: make(map[netip.Addr]*acSession), next: cfg.Local,
	}
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails, by its contract
	a.server = pppoe.NewServer(pppoe.ServerConfig{
		ACName: cfg.Name, Services: cfg.Services, MAC: port.MAC(), CookieKey: key,
		MaxSessions: cfg.MaxSessions, Random: mrand.Int64N, MaxPerMAC: cfg.MaxPerMAC, MaxPayload: cfg.MaxPayload, PADODelay: cfg.PADODelay,
	})
	var err error
	if a.net, err = newInternet(cfg.Internet, ppp.PPPoEMRU, a.toSubscriber, a.describe); err != nil {
		return nil, err
	}
	if err := addAddress(a.net.stack, cfg.Local); err != nil {
		a.net.shutdown()
		return nil, err
	}
	a.wg.Go(a.loop)
	a.wg.Go(func() {
		a.err = a.readPort()
		close(a.lost)
	})
	return a, nil
}

func (c ACConfig) withDefaults() ACConfig {
	if c.Name == "" {
		c.Name = "lab-ac"
	}
	if !c.Local.IsValid() {
		c.Local = netip.MustParseAddr("10.64.0.1")
	}
	if !c.Pool.IsValid() {
		c.Pool = netip.MustParsePrefix("10.64.0.0/16")
	}
	if !c.Internet.IsValid() {
		c.Internet = netip.MustParseAddr("198.51.100.1")
	}
	if !c.DNS[0].IsValid() {
		c.DNS[0] = c.Internet
	}
	if c.Echo == 0 {
		c.Echo = 20 * time.Second
	}
	if c.Address == nil {
		c.Address = func(string) netip.Addr { return netip.Addr{} }
	}
	if c.Secret == nil {
		c.Secret = Secret
	}
	if c.Event == nil {
		c.Event = func(ACEvent) {}
	}
	return c
}

// Close ends every session with its PADT, and the AC.
func (a *AC) Close() {
	a.once.Do(func() {
		a.call(func() {
			for _, s := range a.byID {
				s.link.Close(time.Now())
				a.drainLink(time.Now(), s)
				a.end(s, "the access concentrator goes down")
			}
			a.final = a.server.Counters()
		})
		close(a.quit)
		a.port.Close()
		a.wg.Wait()
		a.net.shutdown()
	})
}

// Lost is closed when the port no longer works, or is closed; Err says why.
func (a *AC) Lost() <-chan struct{} { return a.lost }

// Err is why the port no longer works; valid once Lost is closed.
func (a *AC) Err() error { return a.err }

// call runs f in the loop's turn and waits for it; false after the end.
func (a *AC) call(f func()) bool {
	done := make(chan struct{})
	select {
	case a.calls <- func() { f(); close(done) }:
		<-done
		return true
	case <-a.quit:
		return false
	}
}

// Sessions are the sessions that are open now.
func (a *AC) Sessions() (all []ACSession) {
	a.call(func() {
		for _, s := range a.byID {
			all = append(all, s.info())
		}
	})
	return all
}

// Counters is what happened so far.
func (a *AC) Counters() ACCounters {
	c := &a.counters
	out := ACCounters{
		Opened: c.opened.Load(), Authenticated: c.authenticated.Load(), Refused: c.refused.Load(), Networks: c.networks.Load(),
		ClosedByPADT: c.byPADT.Load(), ClosedByPPP: c.byPPP.Load(), Terminated: c.terminated.Load(),
		UnknownSession: c.unknownSession.Load(), Spoofed: c.spoofed.Load(), NoAddress: c.noAddress.Load(),
	}
	if !a.call(func() { out.Discovery = a.server.Counters() }) {
		out.Discovery = a.final
	}
	return out
}

// Terminate ends one session from the AC's side: with LCP first, or rudely with
// nothing but a PADT that carries text.
func (a *AC) Terminate(peer pppoe.MAC, sid uint16, rude bool, text string) (ok bool) {
	a.call(func() {
		s := a.byID[acKey{peer, sid}]
		if ok = s != nil; !ok {
			return
		}
		if rude {
			a.end(s, text)
			return
		}
		s.link.Close(time.Now())
		a.drainLink(time.Now(), s)
	})
	return ok
}

// Forget drops every session without a word, as a reboot does.
func (a *AC) Forget() {
	a.call(func() {
		for _, s := range a.byID {
			a.remove(s)
			a.server.CloseSession(time.Now(), s.key.peer, s.key.sid, "")
		}
		for _, ok := a.server.Next(); ok; _, ok = a.server.Next() {
			// the PADTs that a reboot does not send
		}
	})
}

// describe is what the web server tells a subscriber of himself.
func (a *AC) describe(addr netip.Addr) string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	s := a.byAddr[addr]
	if s == nil {
		return "not a subscriber of this access concentrator."
	}
	return fmt.Sprintf("user %q, PPPoE session %d, through %v.", s.user, s.key.sid, s.key.peer)
}

// readPort carries what arrives: packets of the network straight to the
// internet, everything else to the loop.
func (a *AC) readPort() error {
	bufs := make([]*frame.Buf, 64)
	for i := range bufs {
		bufs[i] = a.pool.Get()
	}
	defer func() {
		for _, b := range bufs {
			b.Put()
		}
	}()
	for {
		n, err := a.port.ReadBatch(bufs)
		for i, b := range bufs[:n] {
			f, ok := a.sort(b)
			if !ok {
				continue
			}
			fresh := a.pool.Get()
			if fresh == nil {
				continue // as a full concentrator does: the peer asks again
			}
			bufs[i] = fresh
			select {
			case a.inbox <- f:
			case <-a.quit:
				b.Put()
				return ether.ErrClosed
			}
		}
		if err != nil {
			return err
		}
	}
}

// sort finds what a frame is for; it reports false when nothing is left to do.
func (a *AC) sort(b *frame.Buf) (f acFrame, ok bool) {
	hdr, payload, ok := ether.Parse(b.Bytes())
	if !ok || hdr.VLANs != a.cfg.VLANs {
		return f, false
	}
	f = acFrame{hdr: hdr, buf: b}
	if hdr.Type == ether.TypeDiscovery {
		return f, b.TrimFront(hdr.Len())
	}
	h, inner, err := pppoe.ParseHeader(payload)
	if err != nil || hdr.Dst != a.port.MAC() {
		return f, false
	}
	a.mu.RLock()
	f.s = a.byID[acKey{hdr.Src, h.SessionID}]
	a.mu.RUnlock()
	if f.s == nil {
		a.counters.unknownSession.Add(1)
		return f, false
	}
	p, packet, ok := ppp.Split(inner)
	if !ok {
		return f, false
	}
	if p != ppp.ProtoIPv4 {
		return f, b.TrimFront(hdr.Len()+pppoe.HeaderLen) && b.SetLen(len(inner))
	}
	a.fromSubscriber(f.s, packet)
	return f, false
}

// fromSubscriber is one IP packet on its way up. What does not come from the
// address that was given is dropped (RFC 2827).
func (a *AC) fromSubscriber(s *acSession, packet []byte) {
	if len(packet) < 20 || !s.open.Load() {
		return
	}
	a.mu.RLock()
	own := a.byAddr[netip.AddrFrom4([4]byte(packet[12:16]))] == s
	a.mu.RUnlock()
	if !own {
		a.counters.spoofed.Add(1)
		return
	}
	s.up.Add(1)
	a.net.wire.in(packet)
}

// toSubscriber is one IP packet on its way down.
func (a *AC) toSubscriber(packet []byte) {
	if len(packet) < 20 {
		return
	}
	a.mu.RLock()
	s := a.byAddr[netip.AddrFrom4([4]byte(packet[16:20]))]
	a.mu.RUnlock()
	if s == nil || !s.open.Load() {
		a.counters.noAddress.Add(1)
		return
	}
	s.down.Add(1)
	a.send(s, ppp.ProtoIPv4, packet)
}

// send sends one PPP frame: the protocol, or none if f has its own, and f.
func (a *AC) send(s *acSession, p ppp.Protocol, f []byte) {
	b := a.pool.Get()
	if b == nil {
		return
	}
	defer b.Put()
	if !b.SetBytes(f) {
		return
	}
	if p != 0 {
		ppp.AppendProtocol(b.Prepend(2)[:0], p)
	}
	pppoe.PutHeader(b.Prepend(pppoe.HeaderLen), pppoe.SessionStage, s.key.sid, b.Len()-pppoe.HeaderLen)
	a.sendTo(s.key.peer, ether.TypeSession, b)
}

func (a *AC) sendTo(dst pppoe.MAC, etherType uint16, b *frame.Buf) {
	ether.Prepend(b, &ether.Header{Dst: dst, Src: a.port.MAC(), VLANs: a.cfg.VLANs, Type: etherType})
	_, _ = a.port.WriteBatch([]*frame.Buf{b}) // counted by the port
}
