package gateway

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"tributary/internal/config"
	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/internal/ipv6"
	"tributary/ppp"
)

// subscriberIPv6 is the IPv6 of a user in mode shared. The session's owner alone
// touches it, but for what is atomic.
type subscriberIPv6 struct {
	router *ipv6.Router // nil while IPV6CP is not open
	local  uint64       // our interface identifier on his link

	// His /64, which he keeps as long as its prefix is in force.
	table  *prefixTable
	prefix netip.Prefix
	short  *prefixTable // had none for him, and knows that he waits; nil if none does

	path atomic.Pointer[path6] // nil while no packet may pass
}

// path6 is how a user's IPv6 packets travel, in one value that does not change.
type path6 struct {
	trunk  *trunk
	link   uint64   // the upper half of his addresses
	router [16]byte // our address towards him
	mtu    int      // of IPv6 packets to him
	among  config.UserToUser
}

// routerID is our interface identifier on users' links, unless a user has it: our
// address is fe80::1 there.
const routerID = 1

// ipv6Config is how IPV6CP is spoken with users: nil where there is no IPv6.
func (g *sharedGroup) ipv6Config() *ppp.IPv6Config {
	if !g.cfg.IPv6 {
		return nil
	}
	return &ppp.IPv6Config{Local: routerID}
}

// ipv6Up begins to be the user's router. What he is told depends on the trunk and
// on the prefix; both may come and go.
func (u *subscriber) ipv6Up(now time.Time, up ppp.IPv6Up) {
	x := u.six
	mtu := u.mtu()
	if mtu < ip.MinMTU6 {
		u.s.g.log.Warn("the user's link is too narrow for IPv6", "line", u.s.info.Name, "mtu", mtu)
		return
	}
	x.local = up.Local
	x.router = ipv6.NewRouter(ipv6.RouterConfig{Local: up.Local, MTU: mtu, Random: u.s.g.jitter})
	u.group.shared.users6.join(u.s)
	u.refresh6(now) // first, so that one advertisement says it all
	if x.router != nil {
		x.router.Start(now)
	}
	u.drain6()
}

// ipv6Down ends it. The user is not told: his IPV6CP is down as well.
func (u *subscriber) ipv6Down(now time.Time) {
	if u.six == nil || u.six.router == nil {
		return
	}
	u.group.shared.users6.leave(u.s)
	u.six.router = nil
	u.closePath6(now)
	u.giveBack6()
	u.needNoPrefix()
	u.s.changed = true
}

// closePath6 lets no packet pass.
func (u *subscriber) closePath6(now time.Time) {
	if p := u.six.path.Swap(nil); p != nil {
		u.tellDown(now, linkPrefix(p.link).String())
	}
}

// giveBack6 gives the user's /64 back.
func (u *subscriber) giveBack6() {
	x := u.six
	if x.table == nil {
		return
	}
	x.table.slot(upper(x.prefix.Addr().As16())).CompareAndSwap(u.s, nil)
	x.table.leases.Release(x.prefix)
	x.table.short.wakeOne(event{kind: evPrefixFree, aux: x.table})
	x.table, x.prefix = nil, netip.Prefix{}
}

// refresh6 has the user know what holds now, whatever has changed.
func (u *subscriber) refresh6(now time.Time) {
	x := u.six
	if x == nil || x.router == nil {
		return
	}
	var up *trunkState6
	if u.trunk != nil || u.waitForTrunk(false) {
		up = u.trunk.state6.Load()
	}
	var holds *grant
	if p := u.group.poolOf(u.user).six; p != nil {
		holds = p.current.Load()
	}
	if x.table != nil && (holds == nil || holds.table != x.table) {
		u.closePath6(now)
		u.giveBack6()
	}
	// RFC 7084 section 4.1 G-4 has a router not advertise itself as long as it has no
	// way to the ISP, nor G-5 if there is nothing to have addresses of.
	if up == nil || holds == nil || x.table == nil && !u.take6(now, holds.table) {
		if up == nil || holds == nil {
			u.needNoPrefix()
		}
		u.closePath6(now)
		// The zero Prefix is no error.
		_ = x.router.SetPrefix(now, ipv6.Prefix{})
		u.drain6()
		return
	}
	mine := holds.Prefix
	mine.Prefix = x.prefix
	if err := x.router.SetPrefix(now, mine); err != nil {
		u.s.g.log.Error("a user's prefix is none", "line", u.s.info.Name, "prefix", x.prefix, "err", err)
	}
	x.router.SetDNS(now, u.dns6(up))
	next := &path6{
		trunk: u.trunk, link: upper(x.prefix.Addr().As16()), router: x.table.router, mtu: u.mtu(), among: u.group.cfg.UserToUser,
	}
	if next.router == ([16]byte{}) {
		next.router = ipv6.LinkLocal(x.local).As16()
	}
	before := x.path.Swap(next)
	if before == nil {
		u.enter(now)
		u.s.changed, u.s.authFailed = true, false
		u.s.g.emit(Event{Time: now, Kind: EventNetworkUp, Line: u.s.info.Name, Uplink: u.trunk.cfg.Name, User: u.shownName(), Message: x.prefix.String()})
	}
	u.drain6()
}

// take6 gives the user a /64.
func (u *subscriber) take6(now time.Time, t *prefixTable) bool {
	x, known := u.six, u.six.short == t
	prefix, err := t.leases.Take(u.name, netip.Prefix{}, netip.Prefix{})
	if err != nil {
		// One may be given back before anybody knows that it is waited for.
		u.needNoPrefix()
		t.short.add(u.s)
		x.short = t
		prefix, err = t.leases.Take(u.name, netip.Prefix{}, netip.Prefix{})
	}
	if err == nil {
		u.needNoPrefix()
		if slot := t.slot(upper(prefix.Addr().As16())); slot == nil || !slot.CompareAndSwap(nil, u.s) {
			t.leases.Release(prefix) // a pool that gives one away twice, or none of its own
			return false
		}
		x.table, x.prefix = t, prefix
		return true
	}
	if !known {
		u.s.g.log.Warn("no IPv6 prefix for a user", "line", u.s.info.Name, "user", u.shownName(), "err", err)
		u.s.g.emit(Event{Time: now, Kind: EventNoAddress, Line: u.s.info.Name, User: u.shownName(), Message: err.Error()})
	}
	return false
}

// needNoPrefix has nobody told of a /64 that comes free.
func (u *subscriber) needNoPrefix() {
	if x := u.six; x.short != nil {
		x.short.short.remove(u.s)
		x.short = nil
	}
}

// prefixFree may be what the user has waited for.
func (u *subscriber) prefixFree(now time.Time, ev event) {
	x, had := u.six, u.six.table != nil
	if x.short != nil {
		u.refresh6(now)
	}
	if x.short == nil && (had || x.table == nil) {
		wakeNext6(ev) // he has no use for it
	}
}

// wakeNext6 passes on that a /64 has come free.
func wakeNext6(ev event) {
	if t, ok := ev.aux.(*prefixTable); ok {
		t.short.wakeOne(ev)
	}
}

// dns6 is the name servers that the user is told of by Router Advertisements: the
// configuration's, else the ISP's.
func (u *subscriber) dns6(up *trunkState6) []netip.Addr {
	mine := slices.DeleteFunc(slices.Clone(u.group.cfg.DNS), func(a netip.Addr) bool { return !a.Is6() })
	if len(mine) > 0 {
		return mine
	}
	return up.dns
}

// drain6 sends what the router has to say.
func (u *subscriber) drain6() {
	if u.six.router == nil {
		return
	}
	for out, ok := u.six.router.Next(); ok; out, ok = u.six.router.Next() {
		if send, ok := out.(ipv6.Send); ok {
			u.sendIPv6(send.Packet)
		}
	}
}

func (u *subscriber) sendIPv6(pkt []byte) {
	b := u.s.g.pool.Get()
	if b == nil {
		u.s.stats.noBuffer.Add(1)
		return
	}
	if !b.SetBytes(pkt) {
		b.Put()
		return
	}
	putProtocol(b, ppp.ProtoIPv6)
	u.s.out.put(clock(), b)
}

// onLink reports whether b is an IPv6 packet that stays on the user's link.
func (u *subscriber) onLink(b *frame.Buf) bool {
	p, pkt, _ := ppp.Split(b.Bytes())
	return p == ppp.ProtoIPv6 && u.six != nil && ipv6.Local(pkt)
}

// inputIPv6 is a packet of the user's that stays on his link.
func (u *subscriber) inputIPv6(now time.Time, b *frame.Buf) {
	if u.six.router == nil {
		u.drops.notOpen.Add(1)
		return
	}
	_, pkt, _ := ppp.Split(b.Bytes())
	u.six.router.Input(now, pkt)
	u.drain6()
}

func (u *subscriber) deadline6() time.Time {
	if u.six == nil || u.six.router == nil {
		return time.Time{}
	}
	return u.six.router.Deadline()
}

func (u *subscriber) tick6(now time.Time) {
	if u.six == nil || u.six.router == nil {
		return
	}
	u.six.router.Tick(now)
	u.drain6()
}

// waits6 reports whether the user's IPv6 waits for a trunk.
func (u *subscriber) waits6() bool { return u.six != nil && u.six.router != nil && u.trunk == nil }

// open6 reports whether IPv6 packets may pass.
func (u *subscriber) open6() bool { return u.six != nil && u.six.path.Load() != nil }

// prefix6 is the user's /64 in words, for the operator.
func (s *session) prefix6() string {
	switch {
	case s.sub != nil && s.sub.six != nil:
		if p := s.sub.six.path.Load(); p != nil {
			return linkPrefix(p.link).String()
		}
	case s.trunk != nil && s.trunk.delegates != nil:
		if now := s.trunk.delegates.current.Load(); now != nil {
			return now.Prefix.Prefix.String()
		}
	}
	return ""
}
