package gateway

import (
	"time"

	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/internal/nat"
	"tributary/ppp"
)

// push puts a frame for the user in the queue of his line. The outbox, if there is
// one, must be flushed by the caller.
func (u *subscriber) push(now time.Duration, b *frame.Buf, n int) *outbox {
	if !u.down.pass(now, n) {
		u.drops.policedDown.Add(1)
		b.Put()
		return nil
	}
	octets := b.Len()
	ok, mine := u.s.out.push(now, b)
	if ok {
		u.s.stats.downFrames.Add(1)
		u.s.stats.downOctets.Add(uint64(octets))
	}
	if mine {
		return &u.s.out
	}
	return nil
}

// downstream carries one packet from the ISP to the user whose address it is for.
// It is called by the port's reader and never waits. The outbox, if there is one,
// must be flushed by the caller, soon.
func (t *trunk) downstream(now time.Duration, b *frame.Buf) *outbox {
	proto, pkt, _ := ppp.Split(b.Bytes())
	switch proto {
	case ppp.ProtoIPv4:
	case ppp.ProtoIPv6:
		return t.downstream6(now, b, pkt)
	default:
		t.unknown(now, b)
		return nil
	}
	st := t.state.Load()
	if st == nil {
		t.drops.notOpen.Add(1)
		b.Put()
		return nil
	}
	h, ok := ip.Parse4(pkt)
	if !ok {
		t.drops.malformed.Add(1)
		b.Put()
		return nil
	}
	pkt = trim(b, pkt, h.Total, ppp.ProtoIPv4)
	var asSent [quoted]byte // what an ICMP error has to quote, before NAT changes it
	var login uint32        // whom NAT has it for
	if st.nat != nil {
		copy(asSent[:], pkt)
		var v nat.Verdict
		switch login, v = st.nat.In(now, pkt, &h); {
		case v == nat.ToRouter:
			t.toRouter(now, st, b, pkt, &h)
			return nil
		case v != nat.Forward:
			t.drops.translated.Add(1)
			b.Put()
			return nil
		}
	} else if h.Dst == st.addr {
		t.toRouter(now, st, b, pkt, &h)
		return nil
	}
	to := t.g.shared.routes.lookup(h.Dst)
	if to == &t.g.shared.routes.router {
		t.toRouter(now, st, b, pkt, &h)
		return nil
	}
	var p *path
	if to != nil {
		p = to.sub.path.Load()
	}
	if p != nil && !p.takes(t, st, login) {
		p = nil
	}
	if p == nil {
		t.toNobody(now, st, b, pkt, &h, &asSent)
		return nil
	}
	switch v := ip.Forward4(pkt, &h, p.mtu); v {
	case ip.Forward:
		ip.ClampMSS4(pkt, &h, min(st.mtu, p.mtu))
		return to.sub.push(now, b, len(pkt))
	case ip.Split:
		if !t.g.deliverPieces(now, to, pkt, &h, p.mtu) {
			t.drops.noBuffer.Add(1)
		}
	default:
		t.refuse(now, st, v, p.mtu, pkt, &h, &asSent)
	}
	b.Put()
	return nil
}

// takes reports whether what comes by trunk t, and is for login if that has NAT, is
// this user's. Nothing goes past the NAT of his own trunk, and what was translated
// is his who was meant: whoever has the address since is another.
func (p *path) takes(t *trunk, st *trunkState, login uint32) bool {
	if st.nat == nil {
		return p.login == 0
	}
	return p.trunk == t && p.login == login
}

// sendOn sends one frame of the gateway's own on a trunk's session; b stays the caller's.
func sendOn(s *session, b *frame.Buf) {
	if fwd := s.forward.Load(); fwd != nil && fwd.upstream(b) {
		s.stats.sentUp(fwd, []*frame.Buf{b})
	}
}
