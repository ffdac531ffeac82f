package ip

import "encoding/binary"

// ICMPv6 types that are named here (RFC 4443, RFC 4861).
const (
	tooBig6       = 2
	informational = 0x80 // section 2.1: types 128 to 255 are no errors
	echoRequest6  = 128
	echoReply6    = 129
	redirect6     = 137
)

// maxQuote6 is what fits beside the headers. RFC 4443 section 2.4 (c): "Every
// ICMPv6 error message (type < 128) MUST include as much of the IPv6 offending
// (invoking) packet (...) as possible without making the error message packet
// exceed the minimum IPv6 MTU".
const maxQuote6 = MinMTU6 - header6Len - icmpLen

// AppendError6 appends the ICMPv6 error, as a whole packet from src, that tells
// the sender of packet b, whose header is h, of problem p. mtu is the next hop's
// and goes into a PacketTooBig. ok is false, and nothing appended, when RFC 4443
// section 2.4 (e) has no error sent about b, or IPv6 does not know the problem. At
// most 1,280 octets are appended.
func AppendError6(dst []byte, p Problem, mtu int, src [16]byte, b []byte, h *Header6) (_ []byte, ok bool) {
	if int(p) >= len(icmp6) || !mayTell6(p, b, h) {
		return dst, false
	}
	quote := b[:min(h.Total, maxQuote6)]
	length := icmpLen + len(quote)
	at := len(dst)
	dst = append(dst, 6<<4, 0, 0, 0, byte(length>>8), byte(length), ProtoICMPv6, ourTTL)
	dst = append(dst, src[:]...)
	dst = append(dst, h.Src[:]...)
	dst = append(dst, icmp6[p].typ, icmp6[p].code, 0, 0, 0, 0, 0, 0)
	dst = append(dst, quote...)

	message := dst[at+header6Len:]
	switch p {
	case PacketTooBig:
		binary.BigEndian.PutUint32(message[4:], uint32(mtu))
	case NoProtocol: // a Parameter Problem points at the octet
		binary.BigEndian.PutUint32(message[4:], 6)
	}
	binary.BigEndian.PutUint16(message[2:], Checksum(Pseudo6(src, h.Src, ProtoICMPv6, length), message))
	return dst, true
}

// mayTell6 is RFC 4443 section 2.4 (e): "An ICMPv6 error message MUST NOT be
// originated as a result of receiving the following": an error or a redirect, "A
// packet destined to an IPv6 multicast address" except for a Packet Too Big, and
// "A packet whose source address does not uniquely identify a single node".
func mayTell6(p Problem, b []byte, h *Header6) bool {
	if Multicast6(h.Src) || unspecified6(&h.Src) || Multicast6(h.Dst) && p != PacketTooBig {
		return false
	}
	u, ok := h.Upper(b[:h.Total])
	if !ok {
		return false
	}
	if u.Protocol != ProtoICMPv6 {
		return true
	}
	// A later fragment does not say what it is a part of.
	return u.Offset == 0 && u.At < h.Total && b[u.At]&informational != 0 && b[u.At] != redirect6
}

// AnswerEcho6 turns an Echo Request to the router, packet b with header h, into
// the reply, in place. ok is false, and b as it was, if it is not one, not whole,
// not good, to a multicast address or behind extension headers. RFC 4443 section
// 4.2: "Every node MUST implement an ICMPv6 Echo responder function".
func AnswerEcho6(b []byte, h *Header6) (ok bool) {
	if h.Next != ProtoICMPv6 || h.Total < header6Len+icmpLen || Multicast6(h.Dst) || unspecified6(&h.Src) {
		return false
	}
	message := b[header6Len:h.Total]
	seed := Pseudo6(h.Src, h.Dst, ProtoICMPv6, len(message))
	if message[0] != echoRequest6 || message[1] != 0 || Checksum(seed, message) != 0 {
		return false
	}
	h.Src, h.Dst, h.HopLimit = h.Dst, h.Src, ourTTL
	b[7] = ourTTL
	copy(b[8:], h.Src[:])
	copy(b[24:], h.Dst[:])
	message[0] = echoReply6
	message[2], message[3] = 0, 0
	binary.BigEndian.PutUint16(message[2:], Checksum(seed, message))
	return true
}
