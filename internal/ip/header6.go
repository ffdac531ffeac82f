package ip

import "encoding/binary"

// Header6 is what a router wants to know of an IPv6 header (RFC 8200 section 3).
type Header6 struct {
	Total    int   // of the packet, in octets
	Next     uint8 // Next Header of the fixed header
	HopLimit uint8
	Src, Dst [16]byte
}

// header6Len is the length of the fixed header.
const header6Len = 40

// Parse6 checks the header of the packet that b begins with. b may be longer; the
// packet ends at Total. ok is false when the packet is too short for its length,
// of another version, or from a source that no packet has on a link: multicast
// (RFC 4291 section 2.7, "Multicast addresses must not be used as source
// addresses in IPv6 packets"), loopback, or one that is mapped from IPv4. The
// unspecified source is a host's without an address, and only to its neighbours.
func Parse6(b []byte) (h Header6, ok bool) {
	if len(b) < header6Len || b[0]>>4 != 6 {
		return Header6{}, false
	}
	h.Total = header6Len + int(binary.BigEndian.Uint16(b[4:]))
	if h.Total > len(b) {
		return Header6{}, false
	}
	h.Next, h.HopLimit = b[6], b[7]
	h.Src, h.Dst = [16]byte(b[8:24]), [16]byte(b[24:40])
	if h.Src[0] == 0xff || h.Src[0] == 0 && (loopback6(&h.Src) || mapped6(&h.Src)) {
		return Header6{}, false
	}
	return h, true
}

func high6(a *[16]byte) uint64 { return binary.BigEndian.Uint64(a[:8]) }
func low6(a *[16]byte) uint64  { return binary.BigEndian.Uint64(a[8:]) }

func unspecified6(a *[16]byte) bool { return high6(a) == 0 && low6(a) == 0 }
func loopback6(a *[16]byte) bool    { return high6(a) == 0 && low6(a) == 1 }
func mapped6(a *[16]byte) bool      { return high6(a) == 0 && low6(a)>>32 == 0xffff }
func linkLocal6(a *[16]byte) bool   { return a[0] == 0xfe && a[1]&0xc0 == 0x80 }

// Multicast6 reports whether a is multicast (RFC 4291 section 2.7).
func Multicast6(a [16]byte) bool { return a[0] == 0xff }

// LinkLocal6 reports whether a is link-local unicast (RFC 4291 section 2.5.6).
func LinkLocal6(a [16]byte) bool { return linkLocal6(&a) }

// Extension headers (RFC 8200 section 4).
const (
	nextHopByHop    = 0
	nextRouting     = 43
	nextFragment    = 44
	nextAuth        = 51
	nextNone        = 59
	nextDestination = 60
)

// maxExtensions bounds the walk along a chain of headers. RFC 8200 section 4.1
// knows seven.
const maxExtensions = 8

// Upper6 is where the upper-layer packet is.
type Upper6 struct {
	Protocol uint8
	At       int  // its offset in the packet
	Offset   int  // of the fragment this is, in octets; 0 in the first and in none
	Fragment bool // there is a Fragment header
}

// Upper finds the upper-layer packet behind the extension headers of b. ok is
// false when the chain is longer than the packet or absurdly long. In a fragment
// other than the first, Protocol is that of what was fragmented and At is not
// where it begins.
func (h *Header6) Upper(b []byte) (u Upper6, ok bool) {
	u = Upper6{Protocol: h.Next, At: header6Len}
	for range maxExtensions {
		var n int
		switch u.Protocol {
		case nextHopByHop, nextRouting, nextDestination:
			if u.At+2 > len(b) {
				return u, false
			}
			n = 8 + int(b[u.At+1])*8
		case nextAuth: // RFC 4302 section 2.2: in words of four octets, minus two
			if u.At+2 > len(b) {
				return u, false
			}
			n = 8 + int(b[u.At+1])*4
		case nextFragment:
			if n = 8; u.At+n <= len(b) {
				u.Fragment = true
				u.Offset = int(binary.BigEndian.Uint16(b[u.At+2:]) &^ 7)
			}
		default:
			return u, true
		}
		if u.At+n > len(b) {
			return u, false
		}
		u.Protocol, u.At = b[u.At], u.At+n
		if u.Offset != 0 {
			return u, true // what follows is a part of the payload
		}
	}
	return u, false
}
