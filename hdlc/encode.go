package hdlc

import (
	"encoding/binary"
	"slices"
)

// MaxEncoded is the most octets that AppendFrame adds for a frame of n octets:
// everything escaped, a flag at either end, and a Protocol field expanded.
func MaxEncoded(n int) int {
	const fields = 2 + 1 + 2 // Address and Control, half a Protocol field, FCS
	return 2*(n+fields) + 2
}

// AppendFrame appends one frame as it goes out on the line: flags, Address and
// Control, Protocol, information, FCS, with escapes. ppp starts at its Protocol
// field, of two octets, or of one if it came to us compressed. An empty ppp
// adds nothing.
//
// A frame right behind another in dst shares that one's closing flag: RFC 1662
// section 3.1: "Only one Flag Sequence is required between two frames."
//
// It allocates only if dst has less than MaxEncoded(len(ppp)) octets of room.
func AppendFrame(dst, ppp []byte, p Params) []byte {
	if len(ppp) == 0 {
		return dst
	}
	proto, info := protocol(ppp)

	// RFC 1661 section 5: "Regardless of which Configuration Options are
	// enabled, all LCP Link Configuration, Link Termination, and Code-Reject
	// packets (codes 1 through 7) are always sent as if no Configuration
	// Options were negotiated."
	if proto == protoLCP {
		if len(info) > 0 && info[0] >= 1 && info[0] <= 7 {
			p = Params{ACCM: defaultACCM}
		}
		// Section 6.6: "The Address and Control fields MUST NOT be compressed
		// when sending any LCP packet."
		p.ACFC = false
	}

	dst = slices.Grow(dst, MaxEncoded(len(ppp)))
	if n := len(dst); n == 0 || dst[n-1] != Flag {
		dst = append(dst, Flag)
	}
	fcs := InitFCS16
	if !p.ACFC {
		fcs = fcsHeader
		dst = appendOctet(append(dst, Address), Control, p.ACCM)
	}
	// From here on most frames go out as they are in ppp, or all but the first octet.
	switch {
	case p.PFC && shortens(proto) && (!p.ACFC || len(info) > 0):
		ppp = ppp[len(ppp)-len(info)-1:]
	case len(ppp) == len(info)+1:
		fcs = FCS16(fcs, []byte{0})
		dst = appendOctet(dst, 0, p.ACCM)
	}
	fcs = ^FCS16(fcs, ppp)
	dst = escape(dst, ppp, p.ACCM)
	dst = appendOctet(dst, byte(fcs), p.ACCM)
	dst = appendOctet(dst, byte(fcs>>8), p.ACCM)
	return append(dst, Flag)
}

// appendOctet is escape for one octet.
func appendOctet(dst []byte, c byte, accm uint32) []byte {
	n := escapeOne(dst[len(dst):cap(dst)], c, accm)
	return dst[:len(dst)+n]
}

const protoLCP = 0xc021

// shortens reports whether a Protocol field may be sent as one octet: the first
// is zero, the second is odd, so that nobody takes it for the first of two, and
// it is not ff, which would be an Address field. A frame of that octet and an
// FCS alone is not sent: it would be too short for RFC 1662 section 4.3.
func shortens(proto uint16) bool { return proto < 0xff && proto&1 == 1 }

// protocol takes the Protocol field off ppp, which is not empty. RFC 1661
// section 2: its first octet is even, unless it is the only one.
func protocol(ppp []byte) (proto uint16, info []byte) {
	if ppp[0]&1 == 1 || len(ppp) == 1 {
		return uint16(ppp[0]), ppp[1:]
	}
	return binary.BigEndian.Uint16(ppp), ppp[2:]
}
