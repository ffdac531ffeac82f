package gateway

import (
	"net/netip"
	"sync/atomic"
	"time"

	"tributary/hdlc"
	"tributary/internal/aaa"
	"tributary/internal/config"
	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/ppp"
)

// subscriber is the user of a line in mode shared: PPP ends here. The session's
// owner alone touches it, but for path and what is atomic.
type subscriber struct {
	s     *session
	group *sharedGroup
	link  *ppp.Link
	six   *subscriberIPv6 // nil without IPv6

	user    *aaa.User // who was authenticated; nil for anyone
	counted bool      // in the tally of his sessions
	name    string
	method  ppp.AuthMethod

	peerMRU   int              // of his LCP; 0 before it has opened
	verifying bool             // the Verifier has a request of this line's
	next      *ppp.AuthRequest // the newest that waits for that, nil if none does
	authID    uint32           // the AuthRequest whose answer is awaited, 0 if none is
	asked     uint32           // the AddressRequest that waits for a trunk, 0 if none does
	askedName string
	wish      netip.Addr
	pool      *addressPool
	local     netip.Addr // our address towards him
	addr      netip.Addr // his
	dnsTold   [2]netip.Addr
	trunk     *trunk
	waits     bool // for a trunk; the session's message says why there is none

	path     atomic.Pointer[path] // nil while no packet may pass
	up, down policer
	icmp     ip.Bucket
	rejects  ip.Bucket
	drops    subscriberDrops

	loginBy time.Time
	endAt   time.Time // of the time that he may stay
	idleAt  time.Time // the next look whether he is idle
	idle    time.Duration
	frames  uint64 // his at the last look
}

// path is how a user's packets travel: what readers need, in one value that does
// not change.
type path struct {
	trunk *trunk
	login uint32 // who he is behind the trunk's NAT; 0 without
	addr  uint32
	local uint32 // our address towards him
	mtu   int    // of IP packets to him
	among config.UserToUser
}

// subscriberDrops counts packets of one user that were not forwarded, upstream.
type subscriberDrops struct {
	refused
	spoofed, unknownProtocol, notOpen, translated atomic.Uint64
	policed, policedDown, noBuffer                atomic.Uint64
	unreachable                                   atomic.Uint64 // for an address of ours that nobody has
	ignored                                       atomic.Uint64 // to our end of his link, or to all on it, and nothing to us
}

// dummyAddr is our address towards users where none is configured and no session is
// up yet. RFC 7600 section 4.8: "192.0.0.8/32 [is] an IPv4 dummy address". Nobody
// sends to it but for a ping.
var dummyAddr = netip.AddrFrom4([4]byte{192, 0, 0, 8})

func (d *subscriberDrops) values() map[string]uint64 {
	return map[string]uint64{
		"spoofed": d.spoofed.Load(), "malformed": d.malformed.Load(), "unknown_protocol": d.unknownProtocol.Load(), "not_open": d.notOpen.Load(),
		"expired": d.expired.Load(), "too_big": d.tooBig.Load(), "prohibited": d.prohibited.Load(), "nat": d.translated.Load(),
		"policed_up": d.policed.Load(), "policed_down": d.policedDown.Load(), "no_buffer": d.noBuffer.Load(),
		"unreachable": d.unreachable.Load(), "ignored": d.ignored.Load(),
	}
}

func newSubscriber(s *session, g *sharedGroup) *subscriber {
	u := &subscriber{s: s, group: g}
	c := g.cfg
	local := g.pool.gatewayOf(g.anyUp())
	if !local.IsValid() {
		local = dummyAddr
	}
	u.local = local
	if c.IPv6 {
		u.six = new(subscriberIPv6)
	}
	u.link = ppp.NewLink(ppp.LinkConfig{
		Async: true, ACCM: s.info.ACCM, PFC: true, ACFC: true,
		MRU: c.MTU, MaxMRU: c.MTU,
		Auth: g.auth, SystemName: s.g.hostname,
		IPv4:         &ppp.IPv4Config{Local: local, AssignPeer: true},
		IPv6:         g.ipv6Config(),
		EchoInterval: c.UserEcho.Interval, EchoFailures: c.UserEcho.Failures,
		Random: s.g.random,
	})
	return u
}

// lineUp begins PPP: the gateway is the one to speak first as well as the user.
func (u *subscriber) lineUp(now time.Time) {
	u.waitForLogin(now)
	u.link.Open(now)
	u.link.Up(now)
	u.drain(now)
}

// waitForLogin begins the time in which the user is to have an address.
func (u *subscriber) waitForLogin(now time.Time) {
	if t := u.group.cfg.LoginTimeout; t > 0 {
		u.loginBy = now.Add(t)
	}
}

func (u *subscriber) input(now time.Time, b *frame.Buf) {
	u.link.Input(now, b.Bytes())
	u.drain(now)
}

func (u *subscriber) deadline() time.Time {
	at := u.link.Deadline()
	for _, t := range [...]time.Time{u.loginBy, u.endAt, u.idleAt, u.deadline6()} {
		at = earliest(at, t)
	}
	return at
}

func (u *subscriber) tick(now time.Time) {
	if due(now, u.link.Deadline()) {
		u.link.Tick(now)
		u.drain(now)
	}
	u.tick6(now)
	switch {
	case due(now, u.loginBy):
		u.loginBy = time.Time{}
		why := ""
		if u.asked != 0 {
			why = u.group.whyNoTrunk()
		}
		u.s.teardown(now, ReasonLoginTimeout, why)
	case due(now, u.endAt):
		u.endAt = time.Time{}
		u.s.teardown(now, ReasonSessionTimeout, "")
	case due(now, u.idleAt):
		u.lookIdle(now)
	}
}

// lookIdle ends a session whose user has sent nothing for too long.
func (u *subscriber) lookIdle(now time.Time) {
	if n := u.s.stats.upFrames.Load(); n != u.frames {
		u.frames, u.idleAt = n, now.Add(u.idle)
		return
	}
	u.idleAt = time.Time{}
	u.s.teardown(now, ReasonIdle, "")
}

// drain does what the Link asks for.
func (u *subscriber) drain(now time.Time) {
	for out, ok := u.link.Next(); ok; out, ok = u.link.Next() {
		switch out := out.(type) {
		case ppp.SendFrame:
			u.s.toUser(out.Frame)
		case ppp.Params:
			u.s.line.SetParams(hdlc.Params{ACCM: out.Line.SendACCM, PFC: out.Line.SendPFC, ACFC: out.Line.SendACFC}, out.Line.RecvACCM)
			u.peerMRU = out.SendMRU
		case ppp.AuthRequest:
			u.authenticate(now, out)
		case ppp.Authenticated:
			u.name, u.method, u.s.changed = out.Name, out.Method, true
		case ppp.AddressRequest:
			u.asked, u.askedName, u.wish = out.ID, out.Name, out.Asked
			u.assign(now)
		case ppp.NetworkUp:
			u.networkUp(now)
		case ppp.NetworkDown:
			u.networkDown(now)
		case ppp.IPv6Up:
			u.ipv6Up(now, out)
		case ppp.IPv6Down:
			u.ipv6Down(now)
		case ppp.LCPDown:
			u.letGo(now)
			if u.loginBy.IsZero() { // he was in; whoever never was has no more time
				u.waitForLogin(now)
			}
		case ppp.LCPUp:
			// Whoever it was before, he proves it anew.
			u.name, u.method, u.s.changed = "", ppp.AuthNone, true
		case ppp.Finished:
			u.finished(now, out)
		}
	}
}

// mtu is how large a packet to the user may be.
func (u *subscriber) mtu() int {
	if u.peerMRU <= 0 {
		return u.group.cfg.MTU
	}
	return min(u.group.cfg.MTU, u.peerMRU)
}

// finished is the Link's end, whichever side brought it about.
func (u *subscriber) finished(now time.Time, f ppp.Finished) {
	reason, ok := linkReasons[f.Reason]
	if !ok {
		reason = ReasonUserTerm
	}
	message := f.Message
	if message == "" {
		message = u.s.message
	}
	u.s.teardown(now, reason, message)
}

// linkReasons are the ends of PPP in the gateway's words.
var linkReasons = map[ppp.Reason]Reason{
	ppp.ReasonPeerTerminated: ReasonUserTerm,
	ppp.ReasonNoAnswer:       ReasonFirstFrame,
	ppp.ReasonNotConverging:  ReasonNoLCP,
	ppp.ReasonLoopback:       ReasonLoopback,
	ppp.ReasonEchoTimeout:    ReasonUserSilent,
	ppp.ReasonAuthRefused:    ReasonAuthFailed,
	ppp.ReasonAuthFailed:     ReasonAuthFailed,
	ppp.ReasonAuthTimedOut:   ReasonAuthFailed,
	ppp.ReasonNoAddress:      ReasonNoAddress,
	ppp.ReasonNoNetwork:      ReasonNoAddress,
}

// close is the subscriber's part of teardown: PPP says good-bye, unless it has.
func (u *subscriber) close(now time.Time, reason Reason) {
	u.link.Close(now)
	for out, ok := u.link.Next(); ok; out, ok = u.link.Next() {
		if f, ok := out.(ppp.SendFrame); ok && !u.s.lineGone {
			u.s.toUser(withReason(f.Frame, reason))
		}
	}
	u.link.Down(now)
	for _, ok := u.link.Next(); ok; _, ok = u.link.Next() {
	}
	u.loginBy, u.endAt = time.Time{}, time.Time{}
	u.letGo(now)
}

// withReason has a Terminate-Request of LCP's say why, in words for the user. RFC 1661
// section 5.5: "The Data field is zero or more octets, and contains
// uninterpreted data for use by the sender." pppd logs it. Other frames stay as they are.
func withReason(f []byte, reason Reason) []byte {
	words := userWords[reason]
	proto, info, ok := ppp.Split(f)
	if words == "" || !ok || proto != ppp.ProtoLCP {
		return f
	}
	if p, err := ppp.ParsePacket(info); err == nil && p.Code == ppp.TerminateRequest {
		return ppp.AppendTerminateRequest(nil, p.ID, words)
	}
	return f
}

// shownName is the user as the operator sees him.
func (u *subscriber) shownName() string { return ppp.Printable([]byte(u.name)) }

// show is what the operator sees of the user.
func (u *subscriber) show(v *view) {
	v.auth, v.address, v.peer = "", u.addr, u.local
	if u.method != ppp.AuthNone {
		v.auth = u.method.String()
	}
}

// fromSubscriber is a control frame from a user whose PPP ends here, or a packet
// that came behind one.
func (s *session) fromSubscriber(now time.Time, b *frame.Buf) {
	switch {
	case s.state != stateUp:
		s.stats.notOpen.Add(1)
	case s.sub.onLink(b):
		s.sub.inputIPv6(now, b)
	case !isControl(b) && s.sub.carries(b):
		if fwd, ok := s.sub.upstream(clock(), b); ok {
			s.sendUp(fwd, []*frame.Buf{b})
		}
		return
	default:
		s.sub.input(now, b)
	}
	b.Put()
}

// subscriberEvent is what only sessions in mode shared are told.
func (s *session) subscriberEvent(now time.Time, ev event) {
	switch {
	case s.sub == nil:
		return
	case s.state != stateUp:
		switch ev.kind {
		case evTrunkUp:
			s.sub.group.waiting.wakeOne(event{kind: evTrunkUp})
		case evPrefixFree:
			wakeNext6(ev)
		}
		return
	}
	switch ev.kind {
	case evAnswer:
		if a, ok := ev.aux.(authAnswer); ok {
			s.sub.answer(now, a)
		}
	case evTrunkUp:
		s.sub.trunkUp(now)
	case evIPv6:
		s.sub.refresh6(now)
	case evPrefixFree:
		s.sub.prefixFree(now, ev)
	case evTrunkDown:
		if l, ok := ev.aux.(trunkLoss); ok {
			s.sub.trunkDown(now, l)
		}
	}
}
