package gateway

import (
	"time"

	"tributary/internal/config"
	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/internal/nat"
	"tributary/ppp"
)

// The data path of shared mode. Upstream runs on the goroutine of the user's line,
// downstream on that of the port. Both are a router's way with a packet, and end
// in the same two things as relay's: forward.upstream and outbox.push.

// readShared carries what one read of the user's line gave. What is ready for the
// same session goes out together.
func (s *session) readShared(in []*frame.Buf) {
	now := clock()
	k := 0
	var out *forward
	for _, b := range in {
		// A packet may come right behind the control frame that opens its network.
		// While the owner has that frame, the packet stays behind it.
		if isControl(b) || s.unheard.Load() > 0 && !s.sub.open(b) {
			s.toOwner(b)
			continue
		}
		fwd, ok := s.sub.upstream(now, b)
		if !ok {
			continue
		}
		if fwd != out {
			s.sendUp(out, in[:k])
			out, k = fwd, 0
		}
		in[k] = b
		k++
	}
	s.sendUp(out, in[:k])
}

// open reports whether the network that packet b is of is open: IPv4's or IPv6's.
func (u *subscriber) open(b *frame.Buf) bool {
	switch proto, _, _ := ppp.Split(b.Bytes()); {
	case !u.carries(b):
		return true // nothing would open it
	case proto == ppp.ProtoIPv6:
		return u.six.path.Load() != nil
	}
	return u.path.Load() != nil
}

// fragments is how many pieces a packet has at most: 1,500 octets on a link that
// takes 576, or MinMTU4 with room to spare.
const fragments = 32

// upstream decides about one packet of the user's. If it is true, b is ready to be
// sent on the trunk; otherwise it has been taken over, or dropped and counted.
func (u *subscriber) upstream(now time.Duration, b *frame.Buf) (fwd *forward, ok bool) {
	proto, pkt, _ := ppp.Split(b.Bytes())
	if proto == ppp.ProtoIPv6 && u.six != nil {
		return u.upstream6(now, b, pkt)
	}
	if proto != ppp.ProtoIPv4 {
		u.unknown(now, b)
		return nil, false
	}
	p := u.path.Load()
	if p == nil {
		u.drops.notOpen.Add(1)
		b.Put()
		return nil, false
	}
	st := p.trunk.state.Load()
	switch {
	case st == nil:
		u.drops.notOpen.Add(1)
	case !u.up.pass(now, len(pkt)):
		u.drops.policed.Add(1)
	default:
		return u.upstream4(now, p, st, b, pkt)
	}
	b.Put()
	return nil, false
}

func (u *subscriber) upstream4(now time.Duration, p *path, st *trunkState, b *frame.Buf, pkt []byte) (*forward, bool) {
	h, ok := ip.Parse4(pkt)
	if !ok {
		u.drops.malformed.Add(1)
		b.Put()
		return nil, false
	}
	pkt = trim(b, pkt, h.Total, ppp.ProtoIPv4)
	if h.Src != p.addr {
		// RFC 2827: what does not come from the address that was given is not
		// let in, so that nobody is answered for what another has sent.
		u.drops.spoofed.Add(1)
		b.Put()
		return nil, false
	}
	routes := &u.s.g.shared.routes
	switch to := routes.lookup(h.Dst); {
	case to == &routes.router, h.Dst == p.local && h.Dst != st.addr, h.Dst == st.addr && st.nat == nil:
		u.toRouter(now, p, b, pkt, &h)
		return nil, false
	case to == nil:
		// What is for an address of ours that nobody has ends here: the ISP would only
		// send it back, or NAT carry it to somebody else's network.
		if pooled, silent := routes.pooled(h.Dst); pooled && h.Dst != st.addr {
			u.toNobody(now, p, silent, b, pkt, &h)
			return nil, false
		}
	case p.among != config.UserToUserISP:
		u.across(now, p, to, b, pkt, &h)
		return nil, false
	}
	var pieces [fragments]*frame.Buf
	switch v := ip.Forward4(pkt, &h, st.mtu); v {
	case ip.Forward:
	case ip.Split:
		all, ok := ip.Fragment4(pieces[:0], pkt, &h, st.mtu, u.s.g.pool)
		b.Put()
		if !ok {
			u.drops.noBuffer.Add(1)
			return nil, false
		}
		u.sendPieces(now, p, st, all)
		return nil, false
	default:
		u.refuse(now, p, v, st.mtu, pkt, &h)
		b.Put()
		return nil, false
	}
	ip.ClampMSS4(pkt, &h, min(st.mtu, p.mtu))
	if st.nat != nil && !u.translate(now, p, st, b, pkt, &h) {
		return nil, false
	}
	return u.ready(st.session, b)
}

// translate is the way out through NAT. It is false if b has gone another way.
func (u *subscriber) translate(now time.Duration, p *path, st *trunkState, b *frame.Buf, pkt []byte, h *ip.Header4) bool {
	var asSent [quoted]byte // what an ICMP error has to quote, before NAT changes it
	if h.Dst == st.addr {
		copy(asSent[:], pkt)
	}
	to, v := st.nat.Out(now, p.login, pkt, h)
	switch v {
	case nat.Forward:
		return true
	case nat.Hairpin:
		u.hairpin(now, p, to, b, pkt, h, &asSent)
		return false
	case nat.ToRouter:
		u.toRouter(now, p, b, pkt, h)
		return false
	default:
		u.drops.translated.Add(1)
	}
	b.Put()
	return false
}

// ready puts the headers of the trunk's session in front.
func (u *subscriber) ready(s *session, b *frame.Buf) (*forward, bool) {
	fwd := s.forward.Load()
	if fwd == nil {
		u.drops.notOpen.Add(1)
		b.Put()
		return nil, false
	}
	if !fwd.upstream(b) {
		u.drops.tooBig.Add(1)
		b.Put()
		return nil, false
	}
	return fwd, true
}

// sendPieces sends the fragments of a packet, each with its Protocol field.
func (u *subscriber) sendPieces(now time.Duration, p *path, st *trunkState, pieces []*frame.Buf) {
	for _, b := range pieces {
		putProtocol(b, ppp.ProtoIPv4)
		if st.nat != nil {
			pkt := b.Bytes()[protocolLen:]
			h, ok := ip.Parse4(pkt)
			if !ok || !u.translate(now, p, st, b, pkt, &h) {
				continue
			}
		}
		if fwd, ok := u.ready(st.session, b); ok {
			u.s.stats.sentUp(fwd, []*frame.Buf{b})
			b.Put()
		}
	}
}

// protocolLen is the length of a PPP Protocol field, uncompressed.
const protocolLen = 2

// trim cuts b, a frame whose information is pkt, to total octets of it, which it
// returns. What follows is padding. The Protocol field is two octets from then on:
// an AC may send one, and whoever writes it again counts on two.
func trim(b *frame.Buf, pkt []byte, total int, p ppp.Protocol) []byte {
	if head := b.Len() - len(pkt); head != protocolLen {
		b.TrimFront(head)
		putProtocol(b, p)
	}
	b.SetLen(protocolLen + total)
	return pkt[:total]
}

func putProtocol(b *frame.Buf, p ppp.Protocol) {
	h := b.Prepend(protocolLen)
	h[0], h[1] = byte(p>>8), byte(p)
}
