package gateway

import (
	"sync/atomic"
	"time"

	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/ppp"
)

// What a router says itself: answers to what is for it, and ICMP errors about what
// it does not forward. First to users, then to the ISP's side.

// refused counts packets that were not forwarded by the verdict that package ip has
// of them.
type refused struct{ expired, tooBig, prohibited, malformed atomic.Uint64 }

func (r *refused) count(v ip.Verdict) {
	switch v {
	case ip.Expired:
		r.expired.Add(1)
	case ip.TooBig:
		r.tooBig.Add(1)
	case ip.SourceRoute:
		r.prohibited.Add(1)
	default:
		r.malformed.Add(1)
	}
}

// unheard is what the sender of a packet to the router itself is told, if nothing in
// the router takes it; ok is false if he is told nothing. RFC 1122 section 3.2.2.1:
// "A host SHOULD generate Destination Unreachable messages with code: 2 (Protocol
// Unreachable), when the designated transport protocol is not supported; or 3 (Port
// Unreachable), when the designated transport protocol (e.g., UDP) is unable to
// demultiplex the datagram".
func unheard(h *ip.Header4) (what ip.Problem, ok bool) {
	switch {
	case h.Fragment(), h.Protocol == ip.ProtoICMP:
		return 0, false
	case h.Protocol == ip.ProtoUDP, h.Protocol == ip.ProtoTCP:
		return ip.NoPort, true
	}
	return ip.NoProtocol, true
}

// unheard6 is unheard for IPv6, of what comes without extension headers.
func unheard6(h *ip.Header6) (what ip.Problem, ok bool) {
	return ip.NoPort, h.Next == ip.ProtoUDP || h.Next == ip.ProtoTCP
}

// errorBuf is a buffer for an ICMP error; nil if whoever has bucket has been told
// enough for now, or the trunk has told enough.
func (t *trunk) errorBuf(now time.Duration, bucket *ip.Bucket, noBuffer *atomic.Uint64) *frame.Buf {
	if !t.errors.Allow(now, bucket) {
		return nil
	}
	b := t.g.pool.Get()
	if b == nil {
		noBuffer.Add(1)
	}
	return b
}

// asFrame makes a PPP frame of pkt, which is in b's space.
func asFrame(b *frame.Buf, pkt []byte, p ppp.Protocol) bool {
	if !b.SetLen(len(pkt)) {
		return false
	}
	putProtocol(b, p)
	return true
}

// toRouter answers what is for the gateway itself.
func (u *subscriber) toRouter(now time.Duration, p *path, b *frame.Buf, pkt []byte, h *ip.Header4) {
	if ip.AnswerEcho4(pkt, h) {
		u.s.out.put(now, b)
		return
	}
	if what, ok := unheard(h); ok {
		u.tell(now, p, what, 0, pkt, h)
	}
	b.Put()
}

// toRouter6 is toRouter for IPv6.
func (u *subscriber) toRouter6(now time.Duration, p *path6, b *frame.Buf, pkt []byte, h *ip.Header6) {
	if ip.AnswerEcho6(pkt, h) {
		u.s.out.put(now, b)
		return
	}
	if what, ok := unheard6(h); ok {
		u.tell6(now, p, what, 0, pkt, h)
	}
	b.Put()
}

// toNobody ends a packet for an address of ours that no user has. RFC 1812 section
// 4.3.3.1: "If a packet is to be forwarded to a host on a network that is directly
// connected to the router (...) and the router has ascertained that there is no path
// to the destination host then the router MUST generate a Destination Unreachable,
// Code 1 (Host Unreachable) ICMP message."
func (u *subscriber) toNobody(now time.Duration, p *path, silent bool, b *frame.Buf, pkt []byte, h *ip.Header4) {
	u.drops.unreachable.Add(1)
	if !silent {
		u.tell(now, p, ip.NoHost, 0, pkt, h)
	}
	b.Put()
}

// toNobody6 is toNobody for a /64 that no user has.
func (u *subscriber) toNobody6(now time.Duration, p *path6, b *frame.Buf, pkt []byte, h *ip.Header6) {
	u.drops.unreachable.Add(1)
	u.tell6(now, p, ip.NoRoute, 0, pkt, h)
	b.Put()
}

// refuse counts a packet of the user's by its verdict, and tells him.
func (u *subscriber) refuse(now time.Duration, p *path, v ip.Verdict, mtu int, pkt []byte, h *ip.Header4) {
	if v == ip.Discard && !ip.Routable4(h.Dst) {
		u.drops.ignored.Add(1) // what stays on the user's link: it is well formed
		return
	}
	u.drops.count(v)
	if what, ok := v.Problem(); ok {
		u.tell(now, p, what, mtu, pkt, h)
	}
}

// refuse6 is refuse for IPv6.
func (u *subscriber) refuse6(now time.Duration, p *path6, v ip.Verdict, mtu int, pkt []byte, h *ip.Header6) {
	u.drops.count(v)
	if what, ok := v.Problem(); ok {
		u.tell6(now, p, what, mtu, pkt, h)
	}
}

// tell sends the user an ICMP error about his packet.
func (u *subscriber) tell(now time.Duration, p *path, what ip.Problem, mtu int, pkt []byte, h *ip.Header4) {
	b := p.trunk.errorBuf(now, &u.icmp, &u.drops.noBuffer)
	if b == nil {
		return
	}
	if e, ok := ip.AppendError4(b.Space()[:0], what, mtu, p.local, pkt, h); ok && asFrame(b, e, ppp.ProtoIPv4) {
		u.s.out.put(now, b)
		return
	}
	b.Put()
}

// tell6 is tell for IPv6.
func (u *subscriber) tell6(now time.Duration, p *path6, what ip.Problem, mtu int, pkt []byte, h *ip.Header6) {
	b := p.trunk.errorBuf(now, &u.icmp, &u.drops.noBuffer)
	if b == nil {
		return
	}
	if e, ok := ip.AppendError6(b.Space()[:0], what, mtu, p.router, pkt, h); ok && asFrame(b, e, ppp.ProtoIPv6) {
		u.s.out.put(now, b)
		return
	}
	b.Put()
}

// toRouter answers what the ISP's side has for the gateway itself.
func (t *trunk) toRouter(now time.Duration, st *trunkState, b *frame.Buf, pkt []byte, h *ip.Header4) {
	if ip.AnswerEcho4(pkt, h) {
		sendOn(st.session, b)
	} else if what, ok := unheard(h); ok {
		t.tell(now, st, what, 0, pkt, h)
	}
	b.Put()
}

// toRouter6 answers what is for our address in the users' prefix.
func (t *trunk) toRouter6(now time.Duration, st *trunkState6, b *frame.Buf, pkt []byte, h *ip.Header6) {
	if ip.AnswerEcho6(pkt, h) {
		sendOn(st.session, b)
	} else if what, ok := unheard6(h); ok {
		t.tell6(now, st, nil, what, 0, pkt, h)
	}
	b.Put()
}

// toNobody ends a packet from the ISP for an address that no user has.
func (t *trunk) toNobody(now time.Duration, st *trunkState, b *frame.Buf, pkt []byte, h *ip.Header4, asSent *[quoted]byte) {
	t.drops.noUser.Add(1)
	if _, silent := t.g.shared.routes.pooled(h.Dst); !silent && ip.Routable4(h.Dst) {
		t.tellSender(now, st, ip.NoHost, 0, pkt, h, asSent)
	}
	b.Put()
}

// refuse counts a packet from the ISP by its verdict, and tells its sender.
func (t *trunk) refuse(now time.Duration, st *trunkState, v ip.Verdict, mtu int, pkt []byte, h *ip.Header4, asSent *[quoted]byte) {
	t.drops.count(v)
	if what, ok := v.Problem(); ok {
		t.tellSender(now, st, what, mtu, pkt, h, asSent)
	}
}

// refuse6 is refuse for IPv6.
func (t *trunk) refuse6(now time.Duration, st *trunkState6, table *prefixTable, v ip.Verdict, mtu int, pkt []byte, h *ip.Header6) {
	t.drops.count(v)
	if what, ok := v.Problem(); ok {
		t.tell6(now, st, table, what, mtu, pkt, h)
	}
}

// quoted is the longest header, and the eight octets behind it that every ICMP error
// has (RFC 792): addresses and ports.
const quoted = 60 + 8

// tellSender is tell about a packet that NAT has translated: its sender is told of
// the one that he sent. RFC 5508 section 4.2: what an error quotes is translated back.
func (t *trunk) tellSender(now time.Duration, st *trunkState, what ip.Problem, mtu int, pkt []byte, h *ip.Header4, asSent *[quoted]byte) {
	if st.nat == nil || restore(pkt, h, asSent) {
		t.tell(now, st, what, mtu, pkt, h)
	}
}

// restore makes a packet that NAT has translated what it was, as far as every ICMP
// error quotes it.
func restore(pkt []byte, h *ip.Header4, asSent *[quoted]byte) (ok bool) {
	copy(pkt[:min(len(pkt), h.Len+8)], asSent[:])
	*h, ok = ip.Parse4(pkt)
	return ok
}

// tell sends an ICMP error towards the ISP.
func (t *trunk) tell(now time.Duration, st *trunkState, what ip.Problem, mtu int, pkt []byte, h *ip.Header4) {
	b := t.errorBuf(now, &t.icmp, &t.drops.noBuffer)
	if b == nil {
		return
	}
	if e, ok := ip.AppendError4(b.Space()[:0], what, mtu, st.addr, pkt, h); ok && asFrame(b, e, ppp.ProtoIPv4) {
		sendOn(st.session, b)
	}
	b.Put()
}

// tell6 is tell for IPv6, from our address in the prefix that the packet was for, if
// we have one there.
func (t *trunk) tell6(now time.Duration, st *trunkState6, table *prefixTable, what ip.Problem, mtu int, pkt []byte, h *ip.Header6) {
	src, ok := st.source()
	if table != nil && table.router != ([16]byte{}) {
		src, ok = table.router, true
	}
	if !ok {
		return
	}
	b := t.errorBuf(now, &t.icmp, &t.drops.noBuffer)
	if b == nil {
		return
	}
	if e, ok := ip.AppendError6(b.Space()[:0], what, mtu, src, pkt, h); ok && asFrame(b, e, ppp.ProtoIPv6) {
		sendOn(st.session, b)
	}
	b.Put()
}
