package ip

import "encoding/binary"

// Lengths of an ICMP message around what it quotes.
const (
	icmpLen   = 8
	maxError4 = 576 // RFC 1812 section 4.3.2.3, the whole message
	ourTTL    = 64
)

// ICMP types of RFC 792 that are named here.
const (
	echoReply4   = 0
	echoRequest4 = 8
)

// errorTOS is Internetwork Control. RFC 1812 section 4.3.2.5: error messages
// "SHOULD have their precedence value set to 6 (INTERNETWORK CONTROL) or 7".
const errorTOS = 6 << 5

// AppendError4 appends the ICMP error, as a whole IPv4 packet from src, that tells
// the sender of packet b, whose header is h, of problem p. mtu is the next hop's
// and goes into a PacketTooBig (RFC 1191 section 4). ok is false, and nothing
// appended, when RFC 1812 section 4.3.2.7 has no error sent about b.
//
// Quoted is as much as fits: section 4.3.2.3, "the ICMP datagram SHOULD contain as
// much of the original datagram as possible without the length of the ICMP
// datagram exceeding 576 bytes". At most 576 octets are appended.
func AppendError4(dst []byte, p Problem, mtu int, src uint32, b []byte, h *Header4) (_ []byte, ok bool) {
	if int(p) >= len(icmp4) || !mayTell4(b, h) {
		return dst, false
	}
	quote := b[:min(h.Total, maxError4-20-icmpLen)]
	at := len(dst)
	// RFC 6864 section 4.1: an atomic datagram (DF set, no fragment) may have any
	// ID.
	dst = append(dst, 0x45, errorTOS, 0, 0, 0, 0, dontFragment>>8, 0, ourTTL, ProtoICMP, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, src)
	dst = binary.BigEndian.AppendUint32(dst, h.Src)
	dst = append(dst, icmp4[p].typ, icmp4[p].code, 0, 0, 0, 0, 0, 0)
	dst = append(dst, quote...)

	out := dst[at:]
	if p == PacketTooBig {
		binary.BigEndian.PutUint16(out[26:], uint16(min(mtu, 0xffff)))
	}
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)))
	binary.BigEndian.PutUint16(out[10:], Checksum(0, out[:20]))
	binary.BigEndian.PutUint16(out[22:], Checksum(0, out[20:]))
	return dst, true
}

// mayTell4 is RFC 1812 section 4.3.2.7: "An ICMP error message MUST NOT be sent as
// the result of receiving: An ICMP error message, or (...) A packet destined to an
// IP broadcast or IP multicast address, or (...) A packet whose source address has
// a network prefix of zero or is an invalid source address (...), or Any fragment
// of a datagram other then the first fragment". Of ICMP, only messages that are
// known to be no errors are answered.
func mayTell4(b []byte, h *Header4) bool {
	if h.Offset != 0 || !UnicastSource4(h.Src) || Multicast4(h.Dst) || h.Dst == 0xffffffff {
		return false
	}
	return h.Protocol != ProtoICMP || h.Total > h.Len && query4(b[h.Len])
}

// query4 reports whether an ICMP type is known to be no error (RFC 792, 950, 1256).
func query4(typ uint8) bool {
	switch typ {
	case echoReply4, echoRequest4, 9, 10, 13, 14, 15, 16, 17, 18:
		return true
	}
	return false
}

// AnswerEcho4 turns an Echo Request to the router, packet b with header h, into
// the reply, in place. ok is false, and b as it was, if it is not one, not whole
// or not good. RFC 1812 section 4.3.3.6: "A router MUST implement an ICMP Echo
// server function that receives Echo Requests sent to the router, and sends
// corresponding Echo Replies".
func AnswerEcho4(b []byte, h *Header4) (ok bool) {
	if h.Protocol != ProtoICMP || h.Fragment() || h.Total < h.Len+icmpLen || !UnicastSource4(h.Dst) {
		return false
	}
	message := b[h.Len:h.Total]
	if message[0] != echoRequest4 || message[1] != 0 || Checksum(0, message) != 0 {
		return false
	}
	if h.Len > 20 {
		if ok, sourceRoute := options4(b[20:h.Len]); !ok || sourceRoute {
			return false
		}
	}
	message[0] = echoReply4
	message[2], message[3] = 0, 0
	binary.BigEndian.PutUint16(message[2:], Checksum(0, message))
	h.Src, h.Dst, h.TTL = h.Dst, h.Src, ourTTL
	b[8] = ourTTL
	binary.BigEndian.PutUint32(b[12:], h.Src)
	binary.BigEndian.PutUint32(b[16:], h.Dst)
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], Checksum(0, b[:h.Len]))
	return true
}
