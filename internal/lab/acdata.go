package lab

import (
	"net/netip"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/ppp"
	"tributary/pppoe"
)

// acBatch is how many frames are read from the port at once.
const acBatch = 64

// readPort carries what arrives, each frame where sort says, until the port
// fails or the end has come. bufs are to read into.
func (a *AC) readPort(bufs []*frame.Buf) error {
	defer putBufs(bufs)
	back := make([]*frame.Buf, 0, len(bufs))
	for {
		n, err := a.port.ReadBatch(bufs)
		for i, b := range bufs[:n] {
			f, to := a.sort(b)
			switch to {
			case toReflect:
				back = append(back, b)
			case toLoop:
				fresh := a.pool.Get()
				if fresh == nil {
					a.counters.noBuffer.Add(1) // the peer asks again
					continue
				}
				bufs[i] = fresh
				select {
				case a.inbox <- f:
				case <-a.quit:
					b.Put()
					return ether.ErrClosed
				}
			}
		}
		if len(back) > 0 {
			_, _ = a.port.WriteBatch(back) // counted by the port
			back = back[:0]
		}
		if err != nil {
			return err
		}
	}
}

// passes reports whether a frame is heard, or gets out.
func (a *AC) passes(d Direction, frame []byte) bool {
	return !a.away.Load() && a.trouble.Load().pass(d, frame)
}

// destination is what is left to do with a frame that has come.
type destination int

const (
	toNobody  destination = iota // nothing: it is done with, or dropped
	toLoop                       // a control packet
	toReflect                    // it was made into its own answer
)

// sort finds what a frame is for. A packet of the network is on its way when it
// returns.
func (a *AC) sort(b *frame.Buf) (f acFrame, to destination) {
	hdr, payload, ok := ether.Parse(b.Bytes())
	if !ok || hdr.VLANs != a.cfg.VLANs || hdr.Dst != a.mac() && hdr.Dst != pppoe.Broadcast {
		return f, toNobody
	}
	if !a.passes(FromSubscriber, b.Bytes()) {
		return f, toNobody
	}
	f = acFrame{hdr: hdr, buf: b}
	if hdr.Type == ether.TypeDiscovery {
		b.TrimFront(b.Len() - len(payload))
		return f, toLoop
	}
	h, inner, err := pppoe.ParseHeader(payload)
	if err != nil || hdr.Type != ether.TypeSession || h.Code != pppoe.SessionStage || hdr.Dst != a.mac() {
		return f, toNobody
	}
	a.mu.RLock()
	f.s = a.byID[acKey{hdr.Src, h.SessionID}]
	a.mu.RUnlock()
	if f.s == nil {
		a.counters.unknownSession.Add(1)
		return f, toNobody
	}
	p, packet, ok := ppp.Split(inner)
	switch {
	case !ok:
		return f, toNobody
	case p != ppp.ProtoIPv4 || !f.s.open.Load():
		// A packet that comes before the network is open may be behind the
		// control packet that opens it, so it stays behind it.
		b.TrimFront(b.Len() - len(payload) + pppoe.HeaderLen)
		b.SetLen(len(inner)) // without the padding of Ethernet
		return f, toLoop
	case !a.owns(f.s, packet):
		return f, toNobody
	}
	f.s.up.Add(1)
	if a.net != nil {
		a.route(packet)
		return f, toNobody
	}
	f.s.down.Add(1)
	reflectIP(packet)
	if a.cfg.Quirks.Padding > 0 {
		a.send(f.s, ppp.ProtoIPv4, packet)
		return f, toNobody
	}
	eth := b.Bytes()
	for i := range 6 {
		eth[i], eth[6+i] = eth[6+i], eth[i]
	}
	if !a.passes(ToSubscriber, eth) {
		return f, toNobody
	}
	return f, toReflect
}

// early is a packet of the network that came when the network was not open.
func (a *AC) early(s *acSession, packet []byte) {
	if !s.open.Load() || !a.owns(s, packet) {
		return
	}
	s.up.Add(1)
	if a.net != nil {
		a.route(packet)
		return
	}
	s.down.Add(1)
	reflectIP(packet)
	a.send(s, ppp.ProtoIPv4, packet)
}

// route takes a packet from a subscriber to wherever it goes.
func (a *AC) route(packet []byte) {
	to := netip.AddrFrom4([4]byte(packet[16:20]))
	// RFC 1812 section 5.3.1: "If the TTL is reduced to zero (or less), the
	// packet MUST be discarded". The netstack would send it on with zero.
	if packet[8] <= 1 && to != a.cfg.Local && to != a.cfg.Internet {
		a.complain(packet, icmpExceeded, 0, 0)
		return
	}
	a.net.wire.in(packet)
}

// owns reports whether packet comes from an address that is s's. RFC 2827
// section 3: "an input traffic filter on the ingress (input) link [...] to
// restrict [...] to only those source addresses" that are the customer's.
func (a *AC) owns(s *acSession, packet []byte) bool {
	if len(packet) < ipv4HeaderLen {
		return false
	}
	a.mu.RLock()
	own := a.behind(netip.AddrFrom4([4]byte(packet[12:16]))) == s
	a.mu.RUnlock()
	if !own {
		a.counters.spoofed.Add(1)
	}
	return own
}

// reflectIP exchanges a packet's source and destination. All checksums stay
// right, since they do not know the order of the two.
func reflectIP(packet []byte) {
	for i := 12; i < 16; i++ {
		packet[i], packet[4+i] = packet[4+i], packet[i]
	}
}

// toSubscriber is one IP packet on its way down.
func (a *AC) toSubscriber(packet []byte) {
	if len(packet) < 20 {
		return
	}
	s := a.subscriber(netip.AddrFrom4([4]byte(packet[16:20])))
	switch {
	case s == nil:
		a.counters.noAddress.Add(1)
		a.complain(packet, icmpUnreachable, icmpHostUnreachable, 0)
	case len(packet) > int(s.maxPacket.Load()):
		a.counters.tooBig.Add(1)
		a.complain(packet, icmpUnreachable, icmpFragNeeded, uint16(s.maxPacket.Load()))
	default:
		s.down.Add(1)
		a.send(s, ppp.ProtoIPv4, packet)
	}
}

// subscriber is whom what is for addr can be sent to now.
func (a *AC) subscriber(addr netip.Addr) *acSession {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if s := a.behind(addr); s != nil && s.open.Load() {
		return s
	}
	return nil
}

// complain tells whoever sent packet that it did not arrive (RFC 792).
func (a *AC) complain(packet []byte, kind, code byte, mtu uint16) {
	to, text := icmpError(a.cfg.Local, packet, kind, code, mtu)
	if text == nil {
		return
	}
	if to == a.cfg.Internet || to == a.cfg.Local {
		a.net.wire.in(text)
	} else if s := a.subscriber(to); s != nil {
		s.down.Add(1)
		a.send(s, ppp.ProtoIPv4, text)
	}
}

// send sends one PPP frame: the protocol, or none if f has its own, and f.
func (a *AC) send(s *acSession, p ppp.Protocol, f []byte) {
	b := a.pool.Get()
	if b == nil {
		a.counters.noBuffer.Add(1)
		return
	}
	defer b.Put()
	if !b.SetBytes(f) {
		return // longer than any frame
	}
	if p != 0 {
		ppp.AppendProtocol(b.Prepend(2)[:0], p)
	}
	pppoe.PutHeader(b.Prepend(pppoe.HeaderLen), pppoe.SessionStage, s.key.sid, b.Len()-pppoe.HeaderLen)
	a.transmit(a.mac(), s.key.peer, ether.TypeSession, b)
}

// transmit sends what is in b, from the PPPoE header on.
func (a *AC) transmit(src, dst pppoe.MAC, etherType uint16, b *frame.Buf) {
	if n := min(a.cfg.Quirks.Padding, a.port.MTU()-b.Len()); n > 0 && b.SetLen(b.Len()+n) {
		garbage(b.Bytes()[b.Len()-n:], a.cfg.Seed, a.padded.Add(1))
	}
	ether.Prepend(b, &ether.Header{Dst: dst, Src: src, VLANs: a.cfg.VLANs, Type: etherType})
	if !a.passes(ToSubscriber, b.Bytes()) {
		return
	}
	_, _ = a.port.WriteBatch([]*frame.Buf{b}) // counted by the port
}
