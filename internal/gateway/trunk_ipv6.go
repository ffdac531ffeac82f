package gateway

import (
	"hash/fnv"
	"net/netip"
	"slices"
	"time"

	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/internal/ipv6"
	"tributary/ppp"
	"tributary/pppoe"
)

// trunkState6 is what users' IPv6 packets need of a trunk whose IPV6CP is open.
// It does not change.
type trunkState6 struct {
	session *session
	line    *trunkLine
	addrs   [][16]byte // our own towards the ISP, the link-local one last
	dns     []netip.Addr
	mtu     int // of IPv6 packets
}

// source is our address in what we tell the ISP's side: a global one. ok is false
// if there is none: a packet from a link-local address would end at the ISP.
func (st *trunkState6) source() (a [16]byte, ok bool) {
	a = st.addrs[0]
	return a, !ip.LinkLocal6(a)
}

// owns reports whether a is one of our addresses towards the ISP.
func (st *trunkState6) owns(a [16]byte) bool { return slices.Contains(st.addrs, a) }

// trunkIPv6 is IPv6 at our end of one line's life: it listens to the ISP's router,
// and asks for a prefix if a pool waits for one. The trunk's client owns it.
type trunkIPv6 struct {
	t     *trunk
	line  *trunkLine
	local uint64
	mtu   int
	host  *ipv6.Host       // nil while IPV6CP is not open
	pd    *ipv6.Delegation // nil as long as there is nothing to ask
	dns   []netip.Addr     // that DHCPv6 told of
}

// interfaceID is ours towards the ISP. RFC 5072 section 4.1 makes it of "an IEEE
// global identifier (EUI-48 or EUI-64)", if there is one: so our address there is
// the same after each redial.
func interfaceID(m pppoe.MAC) uint64 {
	return uint64(m[0]^0x02)<<56 | uint64(m[1])<<48 | uint64(m[2])<<40 | 0xfffe<<24 | uint64(m[3])<<16 | uint64(m[4])<<8 | uint64(m[5])
}

// duid is the gateway's name to DHCPv6 servers: the DUID-LL of RFC 8415 section 11.4,
// type 3, of hardware type 1, Ethernet. Unlike one that is drawn, it outlasts the
// loss of everything that the gateway could have written down.
func duid(m pppoe.MAC) []byte { return append([]byte{0, 3, 0, 1}, m[:]...) }

// iaid is the session's name among those of the gateway. RFC 9096 section 3.2 has
// it the same after each restart.
func iaid(session string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(session))
	return h.Sum32()
}

// up begins: IPV6CP is open.
func (x *trunkIPv6) up(now time.Time, u ppp.IPv6Up, mtu int) {
	t := x.t
	if fwd := t.session.Load().forward.Load(); fwd != nil {
		mtu = min(mtu, fwd.maxFrame-protocolLen) // as for IPv4
	}
	if t.cfg.MTU > 0 {
		mtu = min(mtu, t.cfg.MTU)
	}
	if mtu < ip.MinMTU6 {
		// RFC 8200 section 5: "IPv6 requires that every link in the Internet have an
		// MTU of 1280 octets or greater."
		t.g.log.Error("the session is too narrow for IPv6", "session", t.cfg.Name, "mtu", mtu)
		return
	}
	x.local, x.mtu = u.Local, mtu
	x.host = ipv6.NewHost(ipv6.HostConfig{Local: u.Local, MTU: mtu, Random: t.g.jitter})
	x.host.Start(now)
	if t.delegates != nil {
		x.ask(now, false)
	}
	x.publish()
}

// ask begins DHCPv6, for a prefix or for DNS servers only.
func (x *trunkIPv6) ask(now time.Time, stateless bool) {
	t := x.t
	x.pd = ipv6.NewDelegation(ipv6.DelegationConfig{
		DUID: duid(t.up.port.mac()), IAID: iaid(t.cfg.Name), Local: x.local, Hint: t.hint, Stateless: stateless, Random: t.g.jitter,
	})
	x.pd.Start(now)
}

// down ends: IPV6CP is closed, or the session is gone. The prefix is not given
// back: it is asked for again when the session is up again.
func (x *trunkIPv6) down() {
	if x.host == nil {
		return
	}
	x.host.Stop()
	x.host, x.pd, x.dns = nil, nil, nil
	x.t.mu.Lock() // who joins from now on finds that it is down
	x.t.state6.Store(nil)
	x.t.mu.Unlock()
	if x.t.delegates != nil {
		x.delegated(ipv6.Prefix{})
	}
	x.t.g.shared.users6.tell()
}

// input is a packet for us from the ISP's side.
func (x *trunkIPv6) input(now time.Time, b *frame.Buf) {
	defer b.Put()
	_, pkt, ok := ppp.Split(b.Bytes())
	if !ok || x.host == nil {
		return
	}
	x.host.Input(now, pkt)
	if x.pd != nil {
		x.pd.Input(now, pkt)
	}
	x.drain(now)
}

func (x *trunkIPv6) deadline() (at time.Time) {
	if x.host != nil {
		at = x.host.Deadline()
	}
	if x.pd != nil {
		at = earliest(at, x.pd.Deadline())
	}
	return at
}

func (x *trunkIPv6) tick(now time.Time) {
	if x.host == nil {
		return
	}
	x.host.Tick(now)
	if x.pd != nil {
		x.pd.Tick(now)
	}
	x.drain(now)
}

// drain does what the machines ask for.
func (x *trunkIPv6) drain(now time.Time) {
	if x.host == nil {
		return
	}
	changed := false
	for out, ok := x.host.Next(); ok; out, ok = x.host.Next() {
		switch out := out.(type) {
		case ipv6.Send:
			x.send(out.Packet)
		case ipv6.HostChanged:
			changed = true
			// RFC 4861 section 4.2: the O flag "indicates that other configuration
			// information is available via DHCPv6", and M makes it redundant.
			if x.pd == nil && (out.State.Other || out.State.Managed) {
				x.ask(now, true)
			}
		}
	}
	if x.pd != nil {
		for out, ok := x.pd.Next(); ok; out, ok = x.pd.Next() {
			changed = x.learn(now, out) || changed
		}
	}
	if changed {
		x.publish()
	}
}

// learn is one word of the delegation's; true if users are to hear of it.
func (x *trunkIPv6) learn(now time.Time, out ipv6.DelegationOut) bool {
	t := x.t
	switch out := out.(type) {
	case ipv6.Send:
		x.send(out.Packet)
		return false
	case ipv6.DelegationLearned:
		x.dns = out.DNS
	case ipv6.DelegationGranted:
		x.dns = out.Lease.DNS
		x.delegated(t.choose(now, out.Lease.Prefixes))
	case ipv6.DelegationLost:
		t.g.log.Warn("the ISP's prefix is lost", "session", t.cfg.Name, "reason", out.Reason)
		x.delegated(ipv6.Prefix{})
	case ipv6.DelegationRefused:
		t.g.log.Warn("the ISP delegates no prefix", "session", t.cfg.Name, "status", out.Status, "message", out.Message)
		return false
	}
	return true
}

// choose is the prefix to use of those delegated: the one in use as long as it is
// among them, so that users need not renumber.
func (t *trunk) choose(now time.Time, all []ipv6.Prefix) (p ipv6.Prefix) {
	for _, c := range all {
		if c.Prefix.Bits() > 64 || !c.Valid.IsZero() && !now.Before(c.Valid) {
			continue
		}
		if !p.Prefix.IsValid() || c.Prefix == t.hint {
			p = c
		}
	}
	return p
}

// delegated puts the prefix that the ISP has delegated in force; the zero Prefix: none.
func (x *trunkIPv6) delegated(p ipv6.Prefix) {
	t := x.t
	if t.delegates == nil {
		return
	}
	before := t.delegates.current.Load()
	if err := t.delegates.set(p); err != nil {
		t.g.log.Error("what the ISP delegates is of no use", "session", t.cfg.Name, "prefix", p.Prefix, "err", err)
		_ = t.delegates.set(ipv6.Prefix{}) // taking away cannot fail
		return
	}
	switch {
	case p.Prefix.IsValid() && (before == nil || before.Prefix.Prefix != p.Prefix):
		t.hint = p.Prefix
		t.g.emit(Event{Time: time.Now(), Kind: EventPrefix, Line: t.Addr(), Uplink: t.cfg.Uplink, Message: p.Prefix.String()})
	case !p.Prefix.IsValid() && before != nil:
		t.g.emit(Event{Time: time.Now(), Kind: EventPrefixLost, Line: t.Addr(), Uplink: t.cfg.Uplink, Message: before.Prefix.Prefix.String()})
	}
}

// publish lets users' packets pass by what is known now, and has the users told.
func (x *trunkIPv6) publish() {
	known := x.host.State()
	st := &trunkState6{session: x.t.session.Load(), line: x.line, mtu: min(x.mtu, known.MTU)}
	for _, a := range append(known.Addresses, ipv6.LinkLocal(x.local)) {
		st.addrs = append(st.addrs, a.As16())
	}
	for _, d := range append(known.DNS, x.dns...) {
		if !slices.Contains(st.dns, d) {
			st.dns = append(st.dns, d)
		}
	}
	x.t.state6.Store(st)
	x.t.g.shared.users6.tell()
}

// send sends a packet of our own to the ISP.
func (x *trunkIPv6) send(pkt []byte) {
	b := x.t.g.pool.Get()
	if b == nil {
		x.t.drops.noBuffer.Add(1)
		return
	}
	defer b.Put()
	if s := x.t.session.Load(); s != nil && b.SetBytes(pkt) {
		putProtocol(b, ppp.ProtoIPv6)
		sendOn(s, b)
	}
}
