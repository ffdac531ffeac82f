package gateway

import (
	"time"

	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/internal/ipv6"
	"tributary/ppp"
)

// downstream6 carries one IPv6 packet from the ISP to the user whose /64 it is for.
func (t *trunk) downstream6(now time.Duration, b *frame.Buf, pkt []byte) *outbox {
	st := t.state6.Load()
	if st == nil && !t.cfg.IPv6 {
		t.unknown(now, b)
		return nil
	}
	if st == nil {
		t.drops.notOpen.Add(1)
		b.Put()
		return nil
	}
	h, ok := ip.Parse6(pkt)
	if !ok {
		t.drops.malformed.Add(1)
		b.Put()
		return nil
	}
	pkt = trim(b, pkt, h.Total, ppp.ProtoIPv6)
	if ipv6.Local(pkt) || st.owns(h.Dst) {
		t.toHost(now, st, b, pkt, &h)
		return nil
	}
	to, table := t.g.shared.routes6.lookup(upper(h.Dst))
	if table != nil && (h.Dst == table.router || to != nil && lower(h.Dst) == 0) {
		// RFC 4291 section 2.6.1: "All routers are required to support the
		// Subnet-Router anycast addresses for the subnets to which they have
		// interfaces."
		t.toRouter6(now, st, b, pkt, &h)
		return nil
	}
	var p *path6
	if to != nil {
		p = to.sub.six.path.Load()
	}
	if p == nil {
		// RFC 7084 section 4.2 WPD-5, as upstream.
		t.drops.noUser.Add(1)
		t.tell6(now, st, table, ip.NoRoute, 0, pkt, &h)
		b.Put()
		return nil
	}
	if v := ip.Forward6(pkt, &h, p.mtu); v != ip.Forward {
		t.refuse6(now, st, table, v, p.mtu, pkt, &h)
		b.Put()
		return nil
	}
	ip.ClampMSS6(pkt, &h, min(st.mtu, p.mtu))
	return to.sub.push(now, b, len(pkt))
}

// toHost hands our own machines what is for us, and answers pings right here.
func (t *trunk) toHost(now time.Duration, st *trunkState6, b *frame.Buf, pkt []byte, h *ip.Header6) {
	switch {
	case ip.AnswerEcho6(pkt, h):
		sendOn(st.session, b)
	case h.Next == ip.ProtoUDP && !ip.LinkLocal6(h.Dst), h.Next == ip.ProtoTCP:
		t.tell6(now, st, nil, ip.NoPort, 0, pkt, h)
	case st.line.take(b):
		return // it is the client's now
	default:
		st.session.stats.inboxFull.Add(1)
	}
	b.Put()
}
