package ip

import "encoding/binary"

// Header4 is what a router wants to know of an IPv4 header (RFC 791 section 3.1).
type Header4 struct {
	Len      int // of the header with its options, in octets
	Total    int // of the packet, in octets
	Offset   int // of a fragment, in octets
	ID       uint16
	TTL      uint8
	Protocol uint8
	DF, MF   bool // Don't Fragment, More Fragments
	Src, Dst uint32
}

// Fragment reports whether the packet is a part of a datagram only.
func (h *Header4) Fragment() bool { return h.MF || h.Offset != 0 }

// Parse4 checks the header of the packet that b begins with. b may be longer: a
// PPP frame may be padded (RFC 1661 section 2), and the packet ends at Total. ok
// is false for a packet that RFC 1812 section 5.2.2 discards silently (too short
// for its lengths, another version, a wrong checksum) and for one whose source is
// a martian (section 5.3.7): no host has it, so nobody could be answered.
func Parse4(b []byte) (h Header4, ok bool) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return Header4{}, false
	}
	h.Len = int(b[0]&0xf) * 4
	h.Total = int(binary.BigEndian.Uint16(b[2:]))
	if h.Len < 20 || h.Len > h.Total || h.Total > len(b) || !sumIsGood(b[:h.Len]) {
		return Header4{}, false
	}
	frag := binary.BigEndian.Uint16(b[6:])
	h.ID = binary.BigEndian.Uint16(b[4:])
	h.DF, h.MF, h.Offset = frag&dontFragment != 0, frag&moreFragments != 0, int(frag&offsetMask)*8
	h.TTL, h.Protocol = b[8], b[9]
	h.Src, h.Dst = Source4(b), Dest4(b)
	// A fragment that would end behind the largest datagram is no part of one.
	if h.Offset+h.Total-h.Len > 0xffff || !UnicastSource4(h.Src) {
		return Header4{}, false
	}
	return h, true
}

// Flags and offset of RFC 791 section 3.1, in one 16-bit word.
const (
	dontFragment  = 0x4000
	moreFragments = 0x2000
	offsetMask    = 0x1fff
)

// sumIsGood is Checksum(0, header) == 0 for the usual length, without its loops.
func sumIsGood(header []byte) bool {
	if len(header) != 20 {
		return Checksum(0, header) == 0
	}
	sum := binary.BigEndian.Uint64(header)>>32 + binary.BigEndian.Uint64(header)&0xffffffff +
		binary.BigEndian.Uint64(header[8:])>>32 + binary.BigEndian.Uint64(header[8:])&0xffffffff +
		uint64(binary.BigEndian.Uint32(header[16:]))
	return fold(sum) == 0xffff
}

// UnicastSource4 reports whether a can be one host's address on a network. RFC
// 1812 section 5.3.7: "A router SHOULD NOT forward any packet that has an invalid
// IP source address or a source address on network 0", nor, "except over a
// loopback interface, any packet that has a source address on network 127".
// Invalid are multicast, the reserved class E and the limited broadcast.
func UnicastSource4(a uint32) bool {
	net := a >> 24
	return net != 0 && net != 127 && net < 224
}

// Multicast4 reports whether a is of class D (RFC 1112).
func Multicast4(a uint32) bool { return a>>28 == 0xe }

// Option types of RFC 791 section 3.1 that a router must know.
const (
	optionEnd         = 0
	optionNop         = 1
	optionLooseRoute  = 131
	optionStrictRoute = 137
	optionCopied      = 0x80
)

// options4 checks the options of a header: whether they are well formed, and
// whether they are a source route.
func options4(options []byte) (ok, sourceRoute bool) {
	for len(options) > 0 {
		switch options[0] {
		case optionEnd:
			return true, sourceRoute
		case optionNop:
			options = options[1:]
			continue
		case optionLooseRoute, optionStrictRoute:
			sourceRoute = true
		}
		if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
			return false, sourceRoute
		}
		options = options[options[1]:]
	}
	return true, sourceRoute
}
