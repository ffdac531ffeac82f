package lab

import (
	"context"
	"crypto/rand"
	"encoding/binary"
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

// AC is an access concentrator on an Ethernet port: PPPoE and PPP as servers,
// and a small internet behind them. One goroutine, loop, owns all protocol
// state; readPort carries data across beside it.
type AC struct {
	cfg    ACConfig
	port   ether.Port
	pool   *frame.Pool
	net    *internet // nil: Reflect
	server *pppoe.Server
	inbox  chan acFrame
	calls  chan func()
	quit   chan struct{}
	wg     sync.WaitGroup
	once   sync.Once
	lost   chan struct{} // closed: the port is read no more, and err is set
	err    error
	final  pppoe.ServerCounters // set before quit is closed

	// The loop's.
	past    pppoe.ServerCounters // of servers before the last reboot
	held    []heldPacket         // see Trouble.PADSDelay
	idle    []chan struct{}      // closed when there is no session
	clock   acClock
	chance  *mrand.Rand
	perMAC  map[pppoe.MAC]int       // sessions of each peer
	padiAt  map[pppoe.MAC]time.Time // see tooEarly
	cookies cookieJar
	backAt  time.Time // the end of a reboot

	trouble atomic.Pointer[Trouble]
	own     atomic.Pointer[pppoe.MAC] // our address
	away    atomic.Bool               // a reboot
	padded  atomic.Uint64             // frames with garbage behind them

	mu     sync.RWMutex // the tables, for readers beside the loop
	byID   map[acKey]*acSession
	byAddr map[netip.Addr]*acSession
	routes acRoutes
	next   netip.Addr

	counters struct {
		opened, authenticated, refused, networks atomic.Uint64
		byPADT, byUs, terminated                 atomic.Uint64
		unknownSession, spoofed, noAddress       atomic.Uint64
		tooBig, noBuffer                         atomic.Uint64
		earlyPADI, wrongUniq, silent, oldCookie  atomic.Uint64
		turnedAway, flood                        atomic.Uint64
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

// NewAC starts an access concentrator on port, which it closes at its end. If it
// fails, the port is as it was.
func NewAC(port ether.Port, pool *frame.Pool, cfg ACConfig) (*AC, error) {
	cfg = cfg.withDefaults()
	a := &AC{
		cfg: cfg, port: port, pool: pool,
		inbox: make(chan acFrame, 4096), calls: make(chan func()), quit: make(chan struct{}), lost: make(chan struct{}),
		byID: make(map[acKey]*acSession), byAddr: make(map[netip.Addr]*acSession), next: cfg.Local,
	}
	var key [32]byte
	if binary.BigEndian.PutUint64(key[:], cfg.Seed); cfg.Seed == 0 {
		_, _ = rand.Read(key[:]) // never fails, by its contract
	}
	a.chance = mrand.New(mrand.NewChaCha8(key))
	a.perMAC, a.padiAt = make(map[pppoe.MAC]int), make(map[pppoe.MAC]time.Time)
	a.cookies.life = cfg.Quirks.CookieLife
	own := port.MAC()
	a.own.Store(&own)
	a.server = a.newServer()
	a.trouble.Store(new(Trouble))
	bufs := getBufs(pool, acBatch)
	if bufs == nil {
		return nil, errNoBuffers
	}
	if !cfg.Reflect {
		var err error
		if a.net, err = newInternet(cfg.Internet, max(cfg.MaxPayload, ppp.PPPoEMRU), a.toSubscriber, a.describe); err != nil {
			putBufs(bufs)
			return nil, err
		}
		if err := addAddress(a.net.stack, cfg.Local); err != nil {
			a.net.shutdown()
			putBufs(bufs)
			return nil, err
		}
	}
	a.wg.Go(a.loop)
	a.wg.Go(func() {
		a.err = a.readPort(bufs)
		close(a.lost)
	})
	return a, nil
}

// newServer makes a discovery server that knows of no session.
func (a *AC) newServer() *pppoe.Server {
	c := &a.cfg
	cfg := pppoe.ServerConfig{
		ACName: c.Name, Services: c.Services, MAC: a.mac(), Random: a.chance.Int64N, LowestID: c.Quirks.ReuseIDs,
		MaxPayload: c.MaxPayload, PADODelay: c.PADODelay, CookieLife: max(c.Quirks.CookieLife, pppoe.DefaultCookieLife),
	}
	if c.Quirks.Full == nil {
		cfg.MaxSessions, cfg.MaxPerMAC = c.MaxSessions, c.MaxPerMAC
	}
	for i := range cfg.CookieKey {
		cfg.CookieKey[i] = byte(a.chance.Uint64())
	}
	return pppoe.NewServer(cfg)
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
			a.final = sum(a.past, a.server.Counters())
		})
		close(a.quit)
		a.port.Close()
		a.wg.Wait()
		for len(a.inbox) > 0 {
			(<-a.inbox).buf.Put()
		}
		if a.net != nil {
			a.net.shutdown()
		}
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

// Idle waits until there is no session, or ctx is done.
func (a *AC) Idle(ctx context.Context) error {
	idle := make(chan struct{})
	if !a.call(func() {
		a.idle = append(a.idle, idle)
		a.tellIdle()
	}) {
		return nil // after the end there is none
	}
	select {
	case <-idle:
		return nil
	case <-a.quit:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tellIdle tells those who wait for it that there is no session.
func (a *AC) tellIdle() {
	if len(a.byID) > 0 {
		return
	}
	for _, c := range a.idle {
		close(c)
	}
	a.idle = nil
}

// Counters is what happened so far.
func (a *AC) Counters() ACCounters {
	c := &a.counters
	out := ACCounters{
		Opened: c.opened.Load(), Authenticated: c.authenticated.Load(), Refused: c.refused.Load(), Networks: c.networks.Load(),
		ClosedByPADT: c.byPADT.Load(), ClosedByUs: c.byUs.Load(), Terminated: c.terminated.Load(),
		UnknownSession: c.unknownSession.Load(), Spoofed: c.spoofed.Load(), NoAddress: c.noAddress.Load(),
		TooBig: c.tooBig.Load(), NoBuffer: c.noBuffer.Load(),
		EarlyPADI: c.earlyPADI.Load(), WrongHostUniq: c.wrongUniq.Load(), SilentToStale: c.silent.Load(),
		OldCookie: c.oldCookie.Load(), TurnedAway: c.turnedAway.Load(), Flood: c.flood.Load(),
	}
	if !a.call(func() { out.Discovery = sum(a.past, a.server.Counters()) }) {
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

// describe is what the web server tells a subscriber of himself.
func (a *AC) describe(addr netip.Addr) string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	s := a.behind(addr)
	if s == nil {
		return "not a subscriber of this access concentrator."
	}
	return fmt.Sprintf("user %q, PPPoE session %d, through %v.", s.user, s.key.sid, s.key.peer)
}
