package gateway

import (
	"time"

	"tributary/internal/config"
	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/ppp"
)

// across carries a packet to another user of this gateway.
func (u *subscriber) across(now time.Duration, to *session, b *frame.Buf, pkt []byte, h *ip.Header4) {
	p, theirs := u.path.Load(), to.sub.path.Load()
	if p == nil || theirs == nil {
		u.drops.notOpen.Add(1)
		b.Put()
		return
	}
	if theirs.among == config.UserToUserNone { // his group's answer counts as well
		u.drops.prohibited.Add(1)
		u.tell(now, p, ip.Prohibited, 0, pkt, h)
		b.Put()
		return
	}
	switch v := ip.Forward4(pkt, h, theirs.mtu); v {
	case ip.Forward:
		ip.ClampMSS4(pkt, h, min(p.mtu, theirs.mtu))
		u.countUp(b)
		u.s.g.deliver(now, to, b, len(pkt))
		return
	case ip.Split:
		u.countUp(b)
		if !u.s.g.deliverPieces(now, to, pkt, h, theirs.mtu) {
			u.drops.noBuffer.Add(1)
		}
	default:
		u.refuse(now, p, v, theirs.mtu, pkt, h)
	}
	b.Put()
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

// hairpin is across for what NAT has translated both ways. The hop was counted
// before, and what the other user's line does not take cannot be told in an ICMP
// error: the sender would not know his packet again.
func (u *subscriber) hairpin(now time.Duration, to *session, b *frame.Buf, pkt []byte, h *ip.Header4) {
	theirs := to.sub.path.Load()
	switch {
	case theirs == nil:
		u.drops.notOpen.Add(1)
	case len(pkt) <= theirs.mtu:
		ip.ClampMSS4(pkt, h, theirs.mtu)
		u.countUp(b)
		u.s.g.deliver(now, to, b, len(pkt))
		return
	case h.DF:
		u.drops.tooBig.Add(1)
	default:
		u.countUp(b)
		if !u.s.g.deliverPieces(now, to, pkt, h, theirs.mtu) {
			u.drops.noBuffer.Add(1)
		}
	}
	b.Put()
}

// countUp counts a packet of the user's that leaves by another user's line.
func (u *subscriber) countUp(b *frame.Buf) {
	u.s.stats.upFrames.Add(1)
	u.s.stats.upOctets.Add(uint64(b.Len()))
}

// deliverPieces fragments a packet for a user. It is false if there were no buffers.
func (g *Gateway) deliverPieces(now time.Duration, to *session, pkt []byte, h *ip.Header4, mtu int) bool {
	var pieces [fragments]*frame.Buf
	all, ok := ip.Fragment4(pieces[:0], pkt, h, mtu, g.pool)
	for _, f := range all {
		n := f.Len()
		putProtocol(f, ppp.ProtoIPv4)
		g.deliver(now, to, f, n)
	}
	return ok
}

// deliver puts a packet in a user's queue, and writes it.
func (g *Gateway) deliver(now time.Duration, to *session, b *frame.Buf, n int) {
	if o := to.sub.push(now, b, n); o != nil {
		o.flush()
	}
}
