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
	trunk     *trunk

	path     atomic.Pointer[path] // nil while no packet may pass
	up, down policer
	icmp     ip.Bucket
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
	addr  uint32
	local uint32 // our address towards him
	mtu   int    // of IP packets to him
	among config.UserToUser
}

// subscriberDrops counts packets of one user that were not forwarded, upstream.
type subscriberDrops struct {
	spoofed, malformed, unknownProtocol, notOpen atomic.Uint64
	expired, tooBig, prohibited, translated      atomic.Uint64
	policed, policedDown, noBuffer               atomic.Uint64
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
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	return at
}

func (u *subscriber) tick(now time.Time) {
	due := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	if due(u.link.Deadline()) {
		u.link.Tick(now)
		u.drain(now)
	}
	u.tick6(now)
	switch {
	case due(u.loginBy):
		u.loginBy = time.Time{}
		why := ""
		if u.asked != 0 {
			why = u.group.whyNoTrunk()
		}
		u.s.teardown(now, ReasonLoginTimeout, why)
	case due(u.endAt):
		u.endAt = time.Time{}
		u.s.teardown(now, ReasonSessionTimeout, "")
	case due(u.idleAt):
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
			u.ipv6Down()
		case ppp.LCPDown:
			u.letGo()
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

// authenticate asks who the user is; the answer is an event.
func (u *subscriber) authenticate(now time.Time, r ppp.AuthRequest) {
	r.Challenge, r.Response = append([]byte(nil), r.Challenge...), append([]byte(nil), r.Response...)
	u.authID = r.ID
	if u.verifying {
		u.next = &r // one line has one hash computed at a time
		return
	}
	s := u.s
	ok := u.group.shared.verifier.Verify(u.group.users.Load(), r, func(res aaa.Result) {
		s.owner.post(event{s: s, kind: evAnswer, aux: authAnswer{r.ID, r.Name, res}})
	})
	u.verifying = ok
	if !ok {
		u.answer(now, authAnswer{r.ID, r.Name, aaa.Result{Message: "busy, try again", Reason: "too many logins at once"}})
	}
}

// authAnswer is what the users file says of an AuthRequest.
type authAnswer struct {
	id     uint32
	name   string
	result aaa.Result
}

func (u *subscriber) answer(now time.Time, a authAnswer) {
	u.verifying = false
	if a.id != u.authID {
		// LCP has come down since: whoever he is now, he proves it anew.
		if r := u.next; r != nil {
			u.next = nil
			u.authenticate(now, *r)
		}
		return
	}
	u.authID = 0
	r := a.result
	why := string(r.Reason)
	if r.OK && !u.counted {
		if u.group.shared.tally.Begin(r.User) {
			u.user, u.counted = r.User, true
		} else {
			r.OK, r.Message, why = false, "too many sessions", "has as many sessions as he may have"
		}
	}
	if !r.OK {
		u.s.authFailed, u.s.message = true, why
		u.s.g.emit(Event{Time: now, Kind: EventAuthFailed, Line: u.s.info.Name, User: ppp.Printable([]byte(a.name)), Message: why})
	} else {
		u.s.authFailed, u.s.message = false, ""
	}
	u.link.AuthResult(now, a.id, r.OK, r.Message)
	u.drain(now)
}

// assign answers the AddressRequest, once there is a session for the user's
// packets to travel on.
func (u *subscriber) assign(now time.Time) {
	if u.trunk == nil && !u.waitForTrunk() {
		return
	}
	u.pool = u.group.poolOf(u.user)
	var fixed netip.Addr
	if u.user != nil {
		fixed = u.user.Address
	}
	addr, err := u.pool.pool.Take(u.askedName, u.wish, fixed)
	id := u.asked
	u.asked = 0
	var a ppp.Assignment
	if err != nil {
		u.s.message = err.Error()
		u.s.g.log.Warn("no address for a user", "line", u.s.info.Name, "user", u.askedName, "pool", u.pool.cfg.Name, "err", err)
		u.s.g.emit(Event{Time: now, Kind: EventNoAddress, Line: u.s.info.Name, User: u.askedName, Message: err.Error()})
	} else {
		u.addr = addr
		a = ppp.Assignment{Peer: addr, DNS: u.dns()}
	}
	u.link.Address(now, id, a)
}

// dns is the name servers a user is told of: the configuration's, else the ISP's.
func (u *subscriber) dns() (d [2]netip.Addr) {
	n := 0
	for _, a := range u.group.cfg.DNS {
		if a.Is4() && n < len(d) {
			d[n] = a
			n++
		}
	}
	if n > 0 {
		return d
	}
	if st := u.trunk.state.Load(); st != nil {
		return st.dns
	}
	return d
}

// waitForTrunk gives the user a trunk, or has him told when there is one.
func (u *subscriber) waitForTrunk() bool {
	if u.chooseTrunk() {
		return true
	}
	// One may have come up before anybody knew that it was waited for.
	u.group.wait(u.s)
	if !u.chooseTrunk() {
		return false
	}
	u.group.unwait(u.s)
	return true
}

// chooseTrunk takes the session with the most room of those that are up.
func (u *subscriber) chooseTrunk() bool {
	tried := make(map[*trunk]bool)
	for {
		var best *trunk
		room := 0
		for _, t := range u.group.trunks {
			if free := t.free(); !tried[t] && t.state.Load() != nil && free > room {
				best, room = t, free
			}
		}
		if best == nil {
			return false
		}
		if best.join(u.s) {
			u.trunk = best
			return true
		}
		tried[best] = true // somebody was faster
	}
}

// networkUp opens the data path.
func (u *subscriber) networkUp(now time.Time) {
	if u.trunk == nil || !u.addr.IsValid() {
		return
	}
	if !u.s.g.shared.routes.set(ip.Addr4(u.addr), u.s) {
		u.s.teardown(now, ReasonLocalLimits, "the address "+u.addr.String()+" is another line's")
		return
	}
	u.enter(now)
	u.publishPath()
	u.s.changed, u.s.authFailed = true, false
	u.s.g.emit(Event{Time: now, Kind: EventNetworkUp, Line: u.s.info.Name, Uplink: u.trunk.cfg.Name, User: u.shownName(), Message: u.addr.String()})
}

// enter begins what holds for a user who has an address, of either kind.
func (u *subscriber) enter(now time.Time) {
	u.loginBy = time.Time{}
	limits := u.group.limits(u.user)
	if limits.Session > 0 && u.endAt.IsZero() {
		u.endAt = now.Add(limits.Session)
	}
	if u.idle = limits.Idle; u.idle > 0 {
		u.frames, u.idleAt = u.s.stats.upFrames.Load(), now.Add(u.idle)
	}
	var rate aaa.Rate
	if u.user != nil {
		rate = u.user.Rate
	}
	u.up.set(rate.Up)
	u.down.set(rate.Down)
}

// publishPath says how the user's packets travel. His trunk may be down again by
// now: then they are dropped until trunkDown decides.
func (u *subscriber) publishPath() {
	u.path.Store(&path{trunk: u.trunk, addr: ip.Addr4(u.addr), local: ip.Addr4(u.local), mtu: u.mtu(), among: u.group.cfg.UserToUser})
}

func (u *subscriber) networkDown(time.Time) {
	u.path.Store(nil)
	u.s.changed = true
	if !u.open6() {
		u.idleAt = time.Time{}
	}
	if u.addr.IsValid() {
		u.s.g.shared.routes.clear(ip.Addr4(u.addr), u.s)
	}
}

// letGo gives back what an open link had.
func (u *subscriber) letGo() {
	u.ipv6Down()
	u.networkDown(time.Time{})
	u.authID, u.asked, u.next, u.endAt = 0, 0, nil, time.Time{}
	u.group.unwait(u.s)
	if u.trunk != nil {
		if st := u.trunk.state.Load(); st != nil && st.nat != nil && u.addr.IsValid() {
			st.nat.Drop(clock(), ip.Addr4(u.addr))
		}
		u.trunk.leave(u.s)
		u.trunk = nil
	}
	if u.addr.IsValid() {
		u.pool.pool.Release(u.addr)
		u.addr = netip.Addr{}
	}
	if u.counted {
		u.group.shared.tally.End(u.user)
		u.counted, u.user = false, nil
	}
}

// trunkUp may be what an AddressRequest has waited for.
func (u *subscriber) trunkUp(now time.Time) {
	if u.asked == 0 && !u.waits6() {
		u.group.wakeOne()
		return
	}
	if u.asked != 0 {
		u.assign(now)
		u.drain(now)
	}
	u.refresh6(now)
}

// trunkDown moves the user to another session, or hangs him up when his does not
// come up again. Until then his packets are dropped.
func (u *subscriber) trunkDown(now time.Time, l trunkLoss) {
	old := u.trunk
	if old != l.trunk {
		return
	}
	if u.group.cfg.OnSessionLoss == config.LossMove && u.chooseTrunk() {
		if u.trunk == old {
			return // it has come up meanwhile
		}
		old.leave(u.s)
		if u.path.Load() != nil {
			u.publishPath()
		}
		u.refresh6(now)
		u.s.changed = true
		u.s.g.emit(Event{Time: now, Kind: EventMoved, Line: u.s.info.Name, Uplink: u.trunk.cfg.Name, User: u.shownName(), Message: "from " + old.cfg.Name})
		return
	}
	if l.forGood {
		u.s.teardown(now, ReasonTrunkDown, old.cfg.Name)
	}
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
	u.letGo()
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
	case !isControl(b):
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
		if ev.kind == evTrunkUp {
			s.sub.group.wakeOne()
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
	case evTrunkDown:
		if l, ok := ev.aux.(trunkLoss); ok {
			s.sub.trunkDown(now, l)
		}
	}
}
