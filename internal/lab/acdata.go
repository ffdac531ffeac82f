package lab

import (
	"net/netip"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/ppp"
	"tributary/pppoe"
)

// readPort carries what arrives: packets of the network straight to the
// internet, everything else to the loop.
func (a *AC) readPort() error {
	bufs := make([]*frame.Buf, 64)
	for i := range bufs {
		bufs[i] = a.pool.Get()
	}
	defer func() {
		for _, b := range bufs {
			b.Put()
		}
	}()
	for {
		n, err := a.port.ReadBatch(bufs)
		for i, b := range bufs[:n] {
			f, ok := a.sort(b)
			if !ok {
				continue
			}
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
		if err != nil {
			return err
		}
	}
}

// sort finds what a frame is for; it reports false when nothing is left to do.
func (a *AC) sort(b *frame.Buf) (f acFrame, ok bool) {
	hdr, payload, ok := ether.Parse(b.Bytes())
	if !ok || hdr.VLANs != a.cfg.VLANs || !a.trouble.Load().pass(FromSubscriber, b.Bytes()) {
		return f, false
	}
	f = acFrame{hdr: hdr, buf: b}
	if hdr.Type == ether.TypeDiscovery {
		return f, b.TrimFront(hdr.Len())
	}
	h, inner, err := pppoe.ParseHeader(payload)
	if err != nil || hdr.Dst != a.port.MAC() {
		return f, false
	}
	a.mu.RLock()
	f.s = a.byID[acKey{hdr.Src, h.SessionID}]
	a.mu.RUnlock()
	if f.s == nil {
		a.counters.unknownSession.Add(1)
		return f, false
	}
	p, packet, ok := ppp.Split(inner)
	if !ok {
		return f, false
	}
	if p != ppp.ProtoIPv4 {
		return f, b.TrimFront(hdr.Len()+pppoe.HeaderLen) && b.SetLen(len(inner))
	}
	a.fromSubscriber(f.s, packet)
	return f, false
}

// fromSubscriber is one IP packet on its way up. What does not come from the
// address that was given is dropped (RFC 2827).
func (a *AC) fromSubscriber(s *acSession, packet []byte) {
	if len(packet) < 20 || !s.open.Load() {
		return
	}
	a.mu.RLock()
	own := a.byAddr[netip.AddrFrom4([4]byte(packet[12:16]))] == s
	a.mu.RUnlock()
	if !own {
		a.counters.spoofed.Add(1)
		return
	}
	s.up.Add(1)
	if a.net == nil {
		a.reflect(s, packet)
		return
	}
	a.net.wire.in(packet)
}

// reflect sends a packet back to where it came from. Its checksums stay right,
// since they do not know the order of the two addresses.
func (a *AC) reflect(s *acSession, packet []byte) {
	var from [4]byte
	copy(from[:], packet[12:16])
	copy(packet[12:16], packet[16:20])
	copy(packet[16:20], from[:])
	s.down.Add(1)
	a.send(s, ppp.ProtoIPv4, packet)
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
		a.complain(packet, icmpHostUnreachable, 0)
	case len(packet) > int(s.maxPacket.Load()):
		a.counters.tooBig.Add(1)
		a.complain(packet, icmpFragNeeded, uint16(s.maxPacket.Load()))
	default:
		s.down.Add(1)
		a.send(s, ppp.ProtoIPv4, packet)
	}
}

// subscriber is who has addr now, and can be sent to.
func (a *AC) subscriber(addr netip.Addr) *acSession {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if s := a.byAddr[addr]; s != nil && s.open.Load() {
		return s
	}
	return nil
}

// complain tells whoever sent packet that it did not arrive (RFC 792).
func (a *AC) complain(packet []byte, code byte, mtu uint16) {
	to, text := icmpError(a.cfg.Local, packet, code, mtu)
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
	a.sendTo(s.key.peer, ether.TypeSession, b)
}

func (a *AC) sendTo(dst pppoe.MAC, etherType uint16, b *frame.Buf) {
	ether.Prepend(b, &ether.Header{Dst: dst, Src: a.port.MAC(), VLANs: a.cfg.VLANs, Type: etherType})
	if !a.trouble.Load().pass(ToSubscriber, b.Bytes()) {
		return
	}
	_, _ = a.port.WriteBatch([]*frame.Buf{b}) // counted by the port
}
