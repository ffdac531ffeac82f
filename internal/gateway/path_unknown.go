package gateway

import (
	"time"

	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/ppp"
)

// Packets of network protocols that there is no way for, such as IPX or AppleTalk:
// whoever sends them is told, by his Link. RFC 1661 section 5.7: "Reception of a PPP
// packet with an unknown Protocol field indicates that the peer is attempting to use
// a protocol which is unsupported. [...] If the LCP automaton is in the Opened state,
// then this MUST be reported back to the peer by transmitting a Protocol-Reject."
//
// One Protocol-Reject is enough for a peer that listens; for one that does not, these
// are more than enough.
var rejectRate = ip.Rate{Every: time.Second, Burst: 5}

// carries reports whether packet b is of a protocol that users may have.
func (u *subscriber) carries(b *frame.Buf) bool {
	proto, _, ok := ppp.Split(b.Bytes())
	return ok && (proto == ppp.ProtoIPv4 || proto == ppp.ProtoIPv6 && u.six != nil)
}

// unknown is a packet of the user's that u does not carry.
func (u *subscriber) unknown(now time.Duration, b *frame.Buf) {
	if _, _, ok := ppp.Split(b.Bytes()); !ok {
		u.drops.malformed.Add(1)
		b.Put()
		return
	}
	u.drops.unknownProtocol.Add(1)
	if !u.rejects.Take(now, rejectRate) {
		b.Put()
		return
	}
	u.s.toOwner(b)
}

// unknown is a packet from the ISP that is of no protocol that users may have.
func (t *trunk) unknown(now time.Duration, b *frame.Buf) {
	defer b.Put()
	if _, _, ok := ppp.Split(b.Bytes()); !ok {
		t.drops.malformed.Add(1)
		return
	}
	t.drops.unknownProtocol.Add(1)
	if !t.rejects.Take(now, rejectRate) {
		return
	}
	if s := t.session.Load(); s != nil {
		if ln, ok := s.line.(*trunkLine); ok {
			ln.hear(b.Bytes())
		}
	}
}
