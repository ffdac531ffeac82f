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
		// A packet may come right behind the control frame that opens the network.
		// While the owner has that frame, the packet stays behind it.
		if isControl(b) || s.sub.path.Load() == nil && s.unheard.Load() > 0 {
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
	case proto == ppp.ProtoIPv4:
		return u.upstream4(now, p, st, b, pkt)
	default:
		u.drops.unknownProtocol.Add(1)
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
	if h.Dst == p.local || h.Dst == st.addr && st.nat == nil {
		u.toRouter(now, b, pkt, &h)
		return nil, false
	}
	if to := u.s.g.shared.routes.lookup(h.Dst); to != nil && p.among != config.UserToUserISP {
		if p.among == config.UserToUserNone {
			u.drops.prohibited.Add(1)
			u.tell(now, p, ip.Prohibited, 0, pkt, &h)
			b.Put()
			return nil, false
		}
		u.across(now, to, b, pkt, &h)
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
	to, v := st.nat.Out(now, p.addr, pkt, h)
	switch v {
	case nat.Forward:
		return true
	case nat.Hairpin:
		if s := u.s.g.shared.routes.lookup(to); s != nil && p.among != config.UserToUserNone {
			u.hairpin(now, s, b, pkt, h)
			return false
		}
		u.drops.prohibited.Add(1)
	case nat.ToRouter:
		u.toRouter(now, b, pkt, h)
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
	if proto == ppp.ProtoIPv6 {
		return t.downstream6(now, b, pkt)
	}
	st := t.state.Load()
	if st == nil {
		t.drops.notOpen.Add(1)
		b.Put()
		return nil
	}
	if proto != ppp.ProtoIPv4 {
		t.drops.unknownProtocol.Add(1)
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
	if st.nat != nil {
		copy(asSent[:], pkt)
		switch _, v := st.nat.In(now, pkt, &h); {
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
	var p *path
	if to != nil {
		p = to.sub.path.Load()
	}
	if p != nil && p.trunk != t && (st.nat != nil || p.trunk.cfg.NAT) {
		p = nil // behind another session's NAT, which nothing goes past
	}
	if p == nil {
		t.drops.noUser.Add(1)
		t.tell(now, st, ip.NoHost, 0, pkt, &h)
		b.Put()
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
	case ip.Expired:
		t.drops.expired.Add(1)
		t.tellSender(now, st, ip.HopLimit, 0, pkt, &h, &asSent)
	case ip.TooBig:
		t.drops.tooBig.Add(1)
		t.tellSender(now, st, ip.PacketTooBig, p.mtu, pkt, &h, &asSent)
	case ip.SourceRoute:
		t.drops.prohibited.Add(1)
		t.tellSender(now, st, ip.SourceRouteFailed, 0, pkt, &h, &asSent)
	default:
		t.drops.malformed.Add(1)
	}
	b.Put()
	return nil
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

// toRouter answers what the ISP's side has for the gateway itself.
func (t *trunk) toRouter(now time.Duration, st *trunkState, b *frame.Buf, pkt []byte, h *ip.Header4) {
	if ip.AnswerEcho4(pkt, h) {
		t.send(st, b)
	}
	b.Put()
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

// send sends one packet of the gateway's own to the ISP; b stays the caller's.
func (t *trunk) send(st *trunkState, b *frame.Buf) {
	sendOn(st.session, b)
}

// sendOn sends one frame of the gateway's own on a trunk's session; b stays the caller's.
func sendOn(s *session, b *frame.Buf) {
	if fwd := s.forward.Load(); fwd != nil && fwd.upstream(b) {
		s.stats.sentUp(fwd, []*frame.Buf{b})
	}
}
