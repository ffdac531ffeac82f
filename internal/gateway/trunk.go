package gateway

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tributary/internal/config"
	"tributary/internal/ip"
	"tributary/internal/line"
	"tributary/internal/nat"
	"tributary/ppp"
)

// trunk is one PPPoE session that many users share: kept up from the start of the
// gateway to its end. It is a listener as well: of its own line, which comes up
// again whenever it has gone down, after a wait that grows.
type trunk struct {
	g      *Gateway
	cfg    *config.Session
	up     *uplink
	group  config.Lines // what its line is to the rest of the gateway
	secret atomic.Pointer[string]

	state    atomic.Pointer[trunkState]  // nil while no packet may pass
	state6   atomic.Pointer[trunkState6] // the same of IPv6
	session  atomic.Pointer[session]     // of the line
	drops    trunkDrops
	status   trunkStatus
	errors   ip.ErrorLimit
	icmp     ip.Bucket
	rejects  ip.Bucket
	stop     chan struct{}
	stopOnce sync.Once

	last   *trunkLine // Accept's
	wait   time.Duration
	worked atomic.Bool // the last line's network phase was open

	// IPv6: the pool that has its prefix from this session's ISP, if there is one, and
	// the prefix it had last. The client's.
	delegates *prefixPool
	hint      netip.Prefix

	mu        sync.Mutex
	members   map[*session]nat.User // users whose packets travel here, and who they are behind NAT
	nat       *nat.NAT              // the last address's; nil without NAT
	natDone   chan struct{}         // closed with it
	lastLogin uint32                // the newest nat.User's ID
	natLost   atomic.Uint64         // lines about blocks that were not logged
}

// trunkState is what users' packets need of a trunk that is up. It does not change.
type trunkState struct {
	session  *session
	local    netip.Addr
	addr     uint32 // local, as a number
	dns      [2]netip.Addr
	mtu      int            // of IP packets
	nat      *nat.NAT       // nil: users have addresses that the ISP routes here
	reserved []*addressPool // those that local is of
	routed   bool           // addr is the gateway's own in its routes
}

// trunkDrops counts packets of a trunk that were not forwarded, downstream.
type trunkDrops struct {
	refused
	notOpen, unknownProtocol, noBuffer atomic.Uint64
	noUser                             atomic.Uint64 // for an address that nobody has
	translated                         atomic.Uint64 // NAT refused it; its own counters say why
}

func (d *trunkDrops) values() map[string]uint64 {
	return map[string]uint64{
		"not_open": d.notOpen.Load(), "malformed": d.malformed.Load(), "unknown_protocol": d.unknownProtocol.Load(),
		"no_user": d.noUser.Load(), "expired": d.expired.Load(), "too_big": d.tooBig.Load(), "no_buffer": d.noBuffer.Load(),
		"prohibited": d.prohibited.Load(), "nat": d.translated.Load(),
	}
}

// ICMP errors: a router's share, and one user's.
var (
	icmpRate  = ip.Rate{Every: time.Millisecond, Burst: 100}
	icmpShare = ip.Rate{Every: 50 * time.Millisecond, Burst: 10}
)

// maxDialRequests is how often a trunk's LCP asks: the first goes out while
// discovery may still be looking for an AC.
const maxDialRequests = 40

func newTrunk(g *Gateway, cfg *config.Session, up *uplink, secret string) *trunk {
	t := &trunk{
		g: g, cfg: cfg, up: up, stop: make(chan struct{}), status: trunkStatus{state: SessionDown, since: time.Now()},
		group: config.Lines{
			Name: config.SessionGroup, Mode: config.ModeRelay, Uplink: cfg.Uplink, Open: config.OpenConnect,
			Queue: config.Queue{Frames: trunkQueue, Delay: time.Second},
		},
		errors:  ip.ErrorLimit{All: icmpRate, Share: icmpShare},
		members: make(map[*session]nat.User),
	}
	t.secret.Store(&secret)
	return t
}

// Accept waits until the line it yielded before is closed, and then a while.
func (t *trunk) Accept() (line.Line, error) {
	if t.last != nil {
		select {
		case <-t.last.ended:
		case <-t.stop:
			return nil, line.ErrClosed
		}
		if t.worked.Swap(false) {
			t.wait = 0
		}
		t.wait = min(max(2*t.wait, t.cfg.Redial.Min), t.cfg.Redial.Max)
		t.g.log.Warn("the session is down; it is dialled again", "session", t.cfg.Name, "in", t.wait)
		// Jitter: the sessions of many gateways must not dial in step.
		wait, now := t.wait+time.Duration(t.g.jitter(int64(t.wait)/4+1)), time.Now()
		t.status.waits(now, now.Add(wait))
		pause := time.NewTimer(wait)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-t.stop:
			return nil, line.ErrClosed
		}
	}
	t.last = newTrunkLine(line.Info{Name: t.Addr(), Group: t.group.Name, Kind: "session", Remote: t.cfg.Uplink}, t.g.pool)
	ln := t.last
	t.status.dial(time.Now())
	t.g.readers.Go(func() { t.client(ln) })
	return ln, nil
}

// Close stops dialling. The line that is up is ended like all others.
func (t *trunk) Close() error {
	t.stopOnce.Do(func() { close(t.stop) })
	return nil
}

// Addr is what it is for the log.
func (t *trunk) Addr() string { return config.SessionGroup + "/" + t.cfg.Name }

// linkConfig is the client's PPP. It sends no Echo-Requests: an AC that has gone
// is found as for every other session, see watch.
func (t *trunk) linkConfig() ppp.LinkConfig {
	c := ppp.LinkConfig{
		MRU: t.up.maxPayload, MaxMRU: t.up.maxPayload,
		IPv4:         &ppp.IPv4Config{AskDNS: true},
		MaxConfigure: maxDialRequests, Random: t.g.random,
	}
	if t.cfg.IPv6 {
		c.IPv6 = &ppp.IPv6Config{Local: interfaceID(t.up.port.mac())}
	}
	if t.cfg.User != "" {
		c.Name, c.Secret, c.Accept = t.cfg.User, *t.secret.Load(), methods(t.cfg.Auth)
	}
	return c
}

// client owns the PPP of one line's life.
func (t *trunk) client(ln *trunkLine) {
	defer close(ln.ended)
	defer ln.drain()
	defer ln.Close()
	link, six := ppp.NewLink(t.linkConfig()), &trunkIPv6{t: t, line: ln}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	mtu := 0
	had4 := false        // an ISP may give IPv6 only, and users live with it
	var lostAt time.Time // when users are told that it does not come up again
	drain := func(now time.Time) {
		for out, ok := link.Next(); ok; out, ok = link.Next() {
			switch out := out.(type) {
			case ppp.SendFrame:
				ln.send(out.Frame)
			case ppp.Params:
				mtu = out.SendMRU
			case ppp.LCPUp:
				ln.why.Store(nil) // what ended before has begun anew
			case ppp.LCPDown:
				ln.because(out.Reason, out.Message)
			case ppp.NetworkUp:
				t.networkUp(now, ln, out, mtu)
				had4, lostAt = true, time.Time{}
			case ppp.NetworkDown:
				t.networkDown(now)
				lostAt = now.Add(trunkGrace)
			case ppp.IPv6Up:
				six.up(now, out, mtu)
				if six.host != nil && !had4 {
					t.worked.Store(true)
					t.status.networkUp(now)
					lostAt = time.Time{}
				}
			case ppp.IPv6Down:
				if six.host != nil && !had4 {
					t.status.networkDown(now)
					lostAt = now.Add(trunkGrace)
				}
				six.down()
			case ppp.Finished:
				if !t.g.stopping.Load() { // else it is we who end it
					t.g.log.Warn("PPP of the session has ended", "session", t.cfg.Name, "reason", out.Reason, "message", out.Message)
				}
				ln.because(out.Reason, out.Message)
				ln.Close()
			}
		}
		six.drain(now)
		at := earliest(earliest(link.Deadline(), six.deadline()), lostAt)
		if at.IsZero() {
			timer.Stop()
			return
		}
		timer.Reset(time.Until(at))
	}
	now := time.Now()
	link.Open(now)
	link.Up(now)
	drain(now)
	for {
		select {
		case b := <-ln.fromAC:
			now := time.Now()
			link.Input(now, b.Bytes())
			b.Put()
			drain(now)
		case b := <-ln.ipv6:
			now := time.Now()
			six.input(now, b)
			drain(now)
		case <-timer.C:
			now := time.Now()
			link.Tick(now)
			six.tick(now)
			if due(now, lostAt) {
				t.tellMembers(true)
				lostAt = time.Time{}
			}
			drain(now)
		case <-ln.done:
			now := time.Now()
			link.Down(now)
			drain(now)
			t.tellMembers(true)
			return
		}
	}
}

// networkUp lets users' packets pass.
func (t *trunk) networkUp(now time.Time, ln *trunkLine, n ppp.NetworkUp, mtu int) {
	s := t.session.Load()
	if fwd := s.forward.Load(); fwd != nil {
		// An AC that says nothing of its MRU takes 1500 octets (RFC 1661 section
		// 6.1), but PPPoE carries 1492 unless both ends agreed on more (RFC 4638).
		mtu = min(mtu, fwd.maxFrame-protocolLen)
	}
	if t.cfg.MTU > 0 {
		mtu = min(mtu, t.cfg.MTU)
	}
	st := &trunkState{session: s, local: n.Local, addr: ip.Addr4(n.Local), dns: n.DNS, mtu: mtu}
	if t.cfg.NAT {
		var err error
		if st.nat, err = t.natOf(n.Local); err != nil {
			t.g.log.Error("the session cannot be shared", "session", t.cfg.Name, "err", err)
			ln.because(ppp.ReasonNoAddress, err.Error())
			ln.Close()
			return
		}
	}
	st.reserved = t.g.shared.reserve(t, n.Local)
	// Users of other sessions ping it as well. With NAT it is also theirs behind it.
	st.routed = st.nat == nil && t.g.shared.routes.set(st.addr, &t.g.shared.routes.router)
	t.worked.Store(true)
	t.state.Store(st)
	t.status.networkUp(now)
	t.g.emit(Event{Time: now, Kind: EventTrunkUp, Line: t.Addr(), Uplink: t.cfg.Uplink, User: t.cfg.User, Message: n.Local.String()})
	t.g.shared.trunkUp()
}

// trunkGrace is how long PPP of a session may take to come up again before its
// users are hung up. One Configure-Ack that got lost has the other end negotiate once
// more (RFC 1661 section 4.1: in Opened, RCR+ is "tld,scr,sca"), and so does an ISP that
// was configured anew; a thousand users need not dial again for that.
const trunkGrace = 10 * time.Second

// networkDown holds users' packets back, and tells their owners, who may know a
// better way.
func (t *trunk) networkDown(now time.Time) {
	t.mu.Lock() // who joins from now on finds that it is down
	st := t.state.Swap(nil)
	t.mu.Unlock()
	if st == nil {
		return
	}
	t.status.networkDown(now)
	for _, p := range st.reserved {
		p.pool.Release(st.local)
	}
	if st.routed {
		t.g.shared.routes.clear(st.addr, &t.g.shared.routes.router)
	}
	t.g.emit(Event{Time: now, Kind: EventTrunkDown, Line: t.Addr(), Uplink: t.cfg.Uplink})
	t.tellMembers(false)
}

// trunkLoss is what users are told of a trunk whose network is down.
type trunkLoss struct {
	trunk   *trunk
	forGood bool // it does not come up again by itself
}

func (t *trunk) tellMembers(forGood bool) {
	t.mu.Lock()
	members := make([]*session, 0, len(t.members))
	for s := range t.members {
		members = append(members, s)
	}
	t.mu.Unlock()
	for _, s := range members {
		s.owner.post(event{s: s, kind: evTrunkDown, aux: trunkLoss{t, forGood}})
	}
}

// carries reports whether packets may pass: IPv4's, or without v4 those of either kind.
func (t *trunk) carries(v4 bool) bool {
	return t.state.Load() != nil || !v4 && t.state6.Load() != nil
}

// join counts s among the users, and reports whether it could: the trunk is up
// and has room.
func (t *trunk) join(s *session, v4 bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, is := t.members[s]; is {
		return t.carries(v4)
	}
	if !t.carries(v4) || t.room() <= 0 {
		return false
	}
	t.members[s] = nat.User{}
	return true
}

func (t *trunk) leave(s *session) {
	t.mu.Lock()
	if u := t.members[s]; u.ID != 0 && t.nat != nil {
		t.nat.Leave(clock(), u.ID)
	}
	delete(t.members, s)
	t.mu.Unlock()
	if t.mostUsers() > 0 {
		t.wake()
	}
}

// wake tells as many of those who wait as there is room for.
func (t *trunk) wake() {
	if !t.carries(false) {
		return
	}
	for range t.free() {
		if !t.g.shared.trunkFree(t) {
			return
		}
	}
}

// free is how many more users it takes: what spreads them.
func (t *trunk) free() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.room()
}

// room is free under the lock. Behind NAT there is none without a block of ports for
// each, the first ones of all others not counted.
func (t *trunk) room() int {
	most := t.mostUsers()
	if most == 0 {
		most = maxUsers
	}
	room := most - len(t.members)
	if t.nat != nil {
		room = min(room, t.nat.Room(len(t.members)))
	}
	return room
}

// maxUsers is the bound of a trunk that is given none: what a pool can have.
const maxUsers = 1 << 16

// methods are the ways to prove oneself, as ppp has them.
func methods(auth []config.Auth) (m []ppp.AuthMethod) {
	m = []ppp.AuthMethod{}
	for _, a := range auth {
		if method, ok := ppp.ParseAuthMethod(string(a)); ok {
			m = append(m, method)
		}
	}
	return m
}
