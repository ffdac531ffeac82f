package gateway

import (
	"time"

	"tributary/internal/config"
	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/ppp"
)

// across carries a packet to another user of this gateway.
func (u *subscriber) across(now time.Duration, p *path, to *session, b *frame.Buf, pkt []byte, h *ip.Header4) {
	theirs := to.sub.path.Load()
	switch {
	case theirs == nil: // he is about to go, or to come
		u.toNobody(now, p, false, b, pkt, h)
		return
	case !mayCross(p.among, theirs.among):
		u.drops.prohibited.Add(1)
		u.tell(now, p, ip.Prohibited, 0, pkt, h)
		b.Put()
		return
	}
	switch v := ip.Forward4(pkt, h, theirs.mtu); v {
	case ip.Forward:
		ip.ClampMSS4(pkt, h, min(p.mtu, theirs.mtu))
		u.cross(now, to, b, len(pkt))
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

// across6 is across for IPv6, which no router fragments.
func (u *subscriber) across6(now time.Duration, p *path6, to *session, b *frame.Buf, pkt []byte, h *ip.Header6) {
	theirs := to.sub.six.path.Load()
	switch {
	case theirs == nil:
		u.toNobody6(now, p, b, pkt, h)
		return
	case !mayCross(p.among, theirs.among):
		u.drops.prohibited.Add(1)
		u.tell6(now, p, ip.Prohibited, 0, pkt, h)
		b.Put()
		return
	}
	if v := ip.Forward6(pkt, h, theirs.mtu); v != ip.Forward {
		u.refuse6(now, p, v, theirs.mtu, pkt, h)
		b.Put()
		return
	}
	ip.ClampMSS6(pkt, h, min(p.mtu, theirs.mtu))
	u.cross(now, to, b, len(pkt))
}

// mayCross reports whether a user of one group may send to one of another, without
// the ISP in between: each group's answer counts.
func mayCross(mine, theirs config.UserToUser) bool {
	return mine != config.UserToUserNone && theirs != config.UserToUserNone
}

// hairpin is across for what NAT has translated both ways, for the user that is
// login. The hop was counted before.
func (u *subscriber) hairpin(now time.Duration, p *path, login uint32, b *frame.Buf, pkt []byte, h *ip.Header4, asSent *[quoted]byte) {
	var theirs *path
	to := u.s.g.shared.routes.user(h.Dst)
	if to != nil {
		theirs = to.sub.path.Load()
	}
	switch {
	case theirs == nil || theirs.trunk != p.trunk || theirs.login != login:
		u.drops.unreachable.Add(1) // he has just gone
	case !mayCross(p.among, theirs.among):
		u.drops.prohibited.Add(1)
		if restore(pkt, h, asSent) {
			u.tell(now, p, ip.Prohibited, 0, pkt, h)
		}
	case len(pkt) <= theirs.mtu:
		ip.ClampMSS4(pkt, h, theirs.mtu)
		u.cross(now, to, b, len(pkt))
		return
	case h.DF:
		// His sender is told of the packet that he sent, and knows nothing of the address
		// behind the one that he sent it to.
		if restore(pkt, h, asSent) {
			u.refuse(now, p, ip.TooBig, theirs.mtu, pkt, h)
		}
	default:
		u.countUp(b)
		if !u.s.g.deliverPieces(now, to, pkt, h, theirs.mtu) {
			u.drops.noBuffer.Add(1)
		}
	}
	b.Put()
}

// cross counts a packet of the user's and delivers it to another.
func (u *subscriber) cross(now time.Duration, to *session, b *frame.Buf, n int) {
	u.countUp(b)
	u.s.g.deliver(now, to, b, n)
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
