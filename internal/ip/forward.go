package ip

import "encoding/binary"

// Verdict is what becomes of a packet that is to be forwarded.
type Verdict uint8

const (
	// Forward: the packet may go. Its TTL or Hop Limit is counted down.
	Forward Verdict = iota
	// Split: the packet is larger than the MTU and may be fragmented, by
	// [Fragment4]. Its TTL is counted down.
	Split
	// Expired: its time is over; the sender is told by [HopLimit].
	Expired
	// TooBig: larger than the MTU and not to be fragmented; the sender is told by
	// [PacketTooBig]. The packet is as it was.
	TooBig
	// SourceRoute: the packet asks for a source route; the sender is told by
	// [SourceRouteFailed].
	SourceRoute
	// Discard: nothing that a router forwards. Nobody is told.
	Discard
)

// Problem is what the sender of a packet with that verdict is told; ok is false for
// verdicts of which nobody is told.
func (v Verdict) Problem() (p Problem, ok bool) {
	switch v {
	case Expired:
		return HopLimit, true
	case TooBig:
		return PacketTooBig, true
	case SourceRoute:
		return SourceRouteFailed, true
	}
	return 0, false
}

// Forward4 does to packet b, whose header is h, what every hop does: it counts
// the TTL down in place and compares its length with the mtu of the link that it
// leaves by. Only with Forward and Split is b changed, and h.TTL with it.
func Forward4(b []byte, h *Header4, mtu int) Verdict {
	if !Routable4(h.Dst) || linkLocal4(h.Src) {
		return Discard
	}
	if h.Len > 20 {
		ok, sourceRoute := options4(b[20:h.Len])
		switch {
		case !ok:
			return Discard
		case sourceRoute:
			// RFC 1812 section 5.2.4 lets a router route by it and allows a switch
			// to discard it; RFC 7126 section 4.3.5 has the switch on.
			return SourceRoute
		}
	}
	// RFC 1812 section 5.3.1: "If the TTL is reduced to zero (or less), the packet
	// MUST be discarded".
	if h.TTL <= 1 {
		return Expired
	}
	if h.Total > mtu && h.DF {
		return TooBig
	}
	h.TTL--
	// The TTL is the high octet of its word: 0100 less in it is 0100 more in the
	// checksum, RFC 1624.
	was := binary.BigEndian.Uint16(b[8:])
	b[8] = h.TTL
	sum := binary.BigEndian.Uint16(b[10:])
	binary.BigEndian.PutUint16(b[10:], Update16(sum, was, was-0x100))
	if h.Total > mtu {
		return Split
	}
	return Forward
}

// Routable4 reports whether a packet to a leaves the link it came from. RFC 1812
// section 5.3.7 has it not for invalid destinations, networks 0 and 127; section
// 5.3.5.1: "Limited broadcasts MUST NOT be forwarded". Multicast is not routed here.
func Routable4(a uint32) bool { return UnicastSource4(a) && !linkLocal4(a) }

// linkLocal4 is 169.254/16. RFC 3927 section 7: "A router MUST NOT forward a packet
// with an IPv4 Link-Local source or destination address".
func linkLocal4(a uint32) bool { return a>>16 == 169<<8|254 }

// Forward6 does the same to an IPv6 packet: it counts the Hop Limit down. There
// is no Split: RFC 8200 section 5, "unlike IPv4, fragmentation in IPv6 is
// performed only by source nodes, not by routers along a packet's delivery path".
func Forward6(b []byte, h *Header6, mtu int) Verdict {
	// RFC 4291 section 2.5.2: "An IPv6 packet with a source address of unspecified
	// must never be forwarded by an IPv6 router", section 2.5.6: "Routers must not
	// forward any packets with Link-Local source or destination addresses to other
	// links".
	if Multicast6(h.Dst) || linkLocal6(&h.Dst) || linkLocal6(&h.Src) || high6(&h.Src) == 0 && unspecified6(&h.Src) ||
		high6(&h.Dst) == 0 && (unspecified6(&h.Dst) || loopback6(&h.Dst) || mapped6(&h.Dst)) {
		return Discard
	}
	if h.HopLimit <= 1 {
		return Expired
	}
	if h.Total > mtu {
		return TooBig
	}
	h.HopLimit--
	b[7] = h.HopLimit
	return Forward
}
