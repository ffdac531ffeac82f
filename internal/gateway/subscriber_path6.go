package gateway

import (
	"time"

	"tributary/internal/config"
	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/internal/ipv6"
	"tributary/ppp"
)

// IPv6 on the data path of shared mode: what subscriber_path.go is for IPv4, less
// fragments and NAT. Downstream is in trunk_ipv6.go.

// upstream6 decides about one IPv6 packet of the user's, as upstream does.
func (u *subscriber) upstream6(now time.Duration, b *frame.Buf, pkt []byte) (fwd *forward, ok bool) {
	h, ok := ip.Parse6(pkt)
	if !ok {
		u.drops.malformed.Add(1)
		b.Put()
		return nil, false
	}
	pkt = trim(b, pkt, h.Total, ppp.ProtoIPv6)
	if ipv6.Local(pkt) {
		u.toLink(b, &h)
		return nil, false
	}
	p := u.six.path.Load()
	var st *trunkState6
	if p != nil {
		st = p.trunk.state6.Load()
	}
	switch {
	case st == nil:
		u.drops.notOpen.Add(1)
	case !u.up.pass(now, len(pkt)):
		u.drops.policed.Add(1)
	case upper(h.Src) != p.link:
		// RFC 2827, as for IPv4: only from the /64 that was given.
		u.drops.spoofed.Add(1)
	default:
		return u.forward6(now, p, st, b, pkt, &h)
	}
	b.Put()
	return nil, false
}

// toLink is what stays on the user's link: the owner has the router that answers. It
// speaks Neighbor Discovery and answers pings, all of which is ICMPv6; what else a
// host says to everybody around ends here.
func (u *subscriber) toLink(b *frame.Buf, h *ip.Header6) {
	if up, ok := h.Upper(b.Bytes()[protocolLen:]); ok && up.Protocol == ip.ProtoICMPv6 && !up.Fragment {
		u.s.toOwner(b)
		return
	}
	u.six.ignored.Add(1)
	b.Put()
}

// forward6 is a router's way with a packet of the user's own address.
func (u *subscriber) forward6(now time.Duration, p *path6, st *trunkState6, b *frame.Buf, pkt []byte, h *ip.Header6) (*forward, bool) {
	link := upper(h.Dst)
	switch {
	case h.Dst == p.router, link == p.link && lower(h.Dst) == 0, st.owns(h.Dst):
		u.toRouter6(now, p, b, pkt, h)
		return nil, false
	case link == p.link:
		// RFC 4443 section 3.1: a packet for an address on the point-to-point link that it
		// came from is not sent back there, and its sender is told with code 3.
		u.six.unreachable.Add(1)
		u.tell6(now, p, ip.NoHost, 0, pkt, h)
		b.Put()
		return nil, false
	}
	if p.among != config.UserToUserISP {
		if to, table := u.s.g.shared.routes6.lookup(link); table != nil {
			u.among6(now, p, to, table, b, pkt, h)
			return nil, false
		}
	}
	if v := ip.Forward6(pkt, h, st.mtu); v != ip.Forward {
		u.refuse6(now, p, v, st.mtu, pkt, h)
		b.Put()
		return nil, false
	}
	ip.ClampMSS6(pkt, h, min(st.mtu, p.mtu))
	return u.ready(st.session, b)
}

// among6 is a packet for the users' prefixes that does not go to the ISP.
func (u *subscriber) among6(now time.Duration, p *path6, to *session, table *prefixTable, b *frame.Buf, pkt []byte, h *ip.Header6) {
	switch {
	case h.Dst == table.router:
		u.toRouter6(now, p, b, pkt, h)
		return
	case p.among == config.UserToUserNone:
		u.drops.prohibited.Add(1)
		u.tell6(now, p, ip.Prohibited, 0, pkt, h)
		b.Put()
		return
	}
	var theirs *path6
	if to != nil {
		theirs = to.sub.six.path.Load()
	}
	if theirs == nil {
		u.six.unreachable.Add(1)
		u.tell6(now, p, ip.NoRoute, 0, pkt, h)
		b.Put()
		return
	}
	if v := ip.Forward6(pkt, h, theirs.mtu); v != ip.Forward {
		u.refuse6(now, p, v, theirs.mtu, pkt, h)
		b.Put()
		return
	}
	ip.ClampMSS6(pkt, h, min(p.mtu, theirs.mtu))
	u.s.stats.upFrames.Add(1)
	u.s.stats.upOctets.Add(uint64(b.Len()))
	u.s.g.deliver(now, to, b, len(pkt))
}

// toRouter6 answers what is for the gateway itself.
func (u *subscriber) toRouter6(now time.Duration, p *path6, b *frame.Buf, pkt []byte, h *ip.Header6) {
	switch {
	case ip.AnswerEcho6(pkt, h):
		u.s.out.put(now, b)
		return
	case h.Next == ip.ProtoUDP, h.Next == ip.ProtoTCP:
		u.tell6(now, p, ip.NoPort, 0, pkt, h)
	}
	b.Put()
}

// refuse6 tells the user what became of his packet.
func (u *subscriber) refuse6(now time.Duration, p *path6, v ip.Verdict, mtu int, pkt []byte, h *ip.Header6) {
	switch v {
	case ip.Expired:
		u.drops.expired.Add(1)
		u.tell6(now, p, ip.HopLimit, 0, pkt, h)
	case ip.TooBig:
		u.drops.tooBig.Add(1)
		u.tell6(now, p, ip.PacketTooBig, mtu, pkt, h)
	default:
		u.drops.malformed.Add(1)
	}
}

// tell6 sends the user an ICMPv6 error about his packet.
func (u *subscriber) tell6(now time.Duration, p *path6, what ip.Problem, mtu int, pkt []byte, h *ip.Header6) {
	if !p.trunk.errors.Allow(now, &u.icmp) {
		return
	}
	b := u.s.g.pool.Get()
	if b == nil {
		u.drops.noBuffer.Add(1)
		return
	}
	if answer, ok := ip.AppendError6(b.Space()[:0], what, mtu, p.router, pkt, h); ok && b.SetLen(len(answer)) {
		putProtocol(b, ppp.ProtoIPv6)
		u.s.out.put(now, b)
		return
	}
	b.Put()
}

// dropped is the packets of the user's that were not forwarded, by reason.
func (u *subscriber) dropped() map[string]uint64 {
	m := u.drops.values()
	if u.six != nil {
		m["unreachable"], m["ignored"] = u.six.unreachable.Load(), u.six.ignored.Load()
	}
	return m
}
