package gateway

import (
	"time"

	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/ppp"
)

// toRouter answers what is for the gateway itself.
func (u *subscriber) toRouter(now time.Duration, b *frame.Buf, pkt []byte, h *ip.Header4) {
	if ip.AnswerEcho4(pkt, h) {
		u.s.out.put(now, b)
		return
	}
	if p := u.path.Load(); p != nil && !h.Fragment() {
		u.tell(now, p, ip.NoPort, 0, pkt, h)
	}
	b.Put()
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

// refuse tells the user what became of his packet.
func (u *subscriber) refuse(now time.Duration, p *path, v ip.Verdict, mtu int, pkt []byte, h *ip.Header4) {
	switch v {
	case ip.Expired:
		u.drops.expired.Add(1)
		u.tell(now, p, ip.HopLimit, 0, pkt, h)
	case ip.TooBig:
		u.drops.tooBig.Add(1)
		u.tell(now, p, ip.PacketTooBig, mtu, pkt, h)
	case ip.SourceRoute:
		u.drops.prohibited.Add(1)
		u.tell(now, p, ip.SourceRouteFailed, 0, pkt, h)
	default:
		u.drops.malformed.Add(1)
	}
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

// tell sends the user an ICMP error about his packet.
func (u *subscriber) tell(now time.Duration, p *path, what ip.Problem, mtu int, pkt []byte, h *ip.Header4) {
	if !p.trunk.errors.Allow(now, &u.icmp) {
		return
	}
	b := u.s.g.pool.Get()
	if b == nil {
		u.drops.noBuffer.Add(1)
		return
	}
	if answer, ok := ip.AppendError4(b.Space()[:0], what, mtu, p.local, pkt, h); ok && b.SetLen(len(answer)) {
		putProtocol(b, ppp.ProtoIPv4)
		u.s.out.put(now, b)
		return
	}
	b.Put()
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

// toRouter answers what the ISP's side has for the gateway itself.
func (t *trunk) toRouter(now time.Duration, st *trunkState, b *frame.Buf, pkt []byte, h *ip.Header4) {
	if ip.AnswerEcho4(pkt, h) {
		t.send(st, b)
	}
	b.Put()
}

// toRouter6 answers what is for our address in the users' prefix.
func (t *trunk) toRouter6(now time.Duration, st *trunkState6, b *frame.Buf, pkt []byte, h *ip.Header6) {
	switch {
	case ip.AnswerEcho6(pkt, h):
		sendOn(st.session, b)
	case h.Next == ip.ProtoUDP, h.Next == ip.ProtoTCP:
		t.tell6(now, st, nil, ip.NoPort, 0, pkt, h)
	}
	b.Put()
}

// quoted is the longest header, and the eight octets behind it that every ICMP error
// has (RFC 792): addresses and ports.
const quoted = 60 + 8

// tellSender is tell about a packet that NAT has translated: its sender is told of
// the one that he sent. RFC 5508 section 4.2: what an error quotes is translated back.
func (t *trunk) tellSender(now time.Duration, st *trunkState, what ip.Problem, mtu int, pkt []byte, h *ip.Header4, asSent *[quoted]byte) {
	if st.nat != nil {
		copy(pkt[:min(len(pkt), h.Len+8)], asSent[:])
		var ok bool
		if *h, ok = ip.Parse4(pkt); !ok {
			return
		}
	}
	t.tell(now, st, what, mtu, pkt, h)
}

// tell sends an ICMP error towards the ISP.
func (t *trunk) tell(now time.Duration, st *trunkState, what ip.Problem, mtu int, pkt []byte, h *ip.Header4) {
	if !t.errors.Allow(now, &t.icmp) {
		return
	}
	b := t.g.pool.Get()
	if b == nil {
		t.drops.noBuffer.Add(1)
		return
	}
	defer b.Put()
	if answer, ok := ip.AppendError4(b.Space()[:0], what, mtu, st.addr, pkt, h); ok && b.SetLen(len(answer)) {
		putProtocol(b, ppp.ProtoIPv4)
		t.send(st, b)
	}
}

// tell6 sends an ICMPv6 error towards the ISP, from our address in the prefix that
// the packet was for, if we have one there.
func (t *trunk) tell6(now time.Duration, st *trunkState6, table *prefixTable, what ip.Problem, mtu int, pkt []byte, h *ip.Header6) {
	src, ok := st.source()
	if table != nil && table.router != ([16]byte{}) {
		src, ok = table.router, true
	}
	if !ok || !t.errors.Allow(now, &t.icmp) {
		return
	}
	b := t.g.pool.Get()
	if b == nil {
		t.drops.noBuffer.Add(1)
		return
	}
	defer b.Put()
	if answer, ok := ip.AppendError6(b.Space()[:0], what, mtu, src, pkt, h); ok && b.SetLen(len(answer)) {
		putProtocol(b, ppp.ProtoIPv6)
		sendOn(st.session, b)
	}
}
