package gateway

import (
	"time"

	"tributary/internal/config"
	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/internal/ipv6"
	"tributary/ppp"
)

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
	u.drops.ignored.Add(1)
	b.Put()
}

// forward6 is a router's way with a packet of the user's own address.
func (u *subscriber) forward6(now time.Duration, p *path6, st *trunkState6, b *frame.Buf, pkt []byte, h *ip.Header6) (*forward, bool) {
	link := upper(h.Dst)
	to, table := u.s.g.shared.routes6.lookup(link)
	switch {
	case h.Dst == p.router, link == p.link && lower(h.Dst) == 0, table != nil && h.Dst == table.router, st.owns(h.Dst):
		u.toRouter6(now, p, b, pkt, h)
		return nil, false
	case link == p.link:
		// RFC 4443 section 3.1: a packet for an address on the point-to-point link that it
		// came from is not sent back there, and its sender is told with code 3.
		u.drops.unreachable.Add(1)
		u.tell6(now, p, ip.NoHost, 0, pkt, h)
		b.Put()
		return nil, false
	case table != nil && to == nil:
		// RFC 7084 section 4.2 WPD-5: what is for a part of the prefix that nobody has
		// ends here, or it would go back and forth between the ISP and us.
		u.toNobody6(now, p, b, pkt, h)
		return nil, false
	case to != nil && p.among != config.UserToUserISP:
		u.across6(now, p, to, b, pkt, h)
		return nil, false
	}
	if v := ip.Forward6(pkt, h, st.mtu); v != ip.Forward {
		u.refuse6(now, p, v, st.mtu, pkt, h)
		b.Put()
		return nil, false
	}
	ip.ClampMSS6(pkt, h, min(st.mtu, p.mtu))
	return u.ready(st.session, b)
}
