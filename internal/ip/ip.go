// Package ip is what a router does to one packet: it checks the header, counts
// the hop limit down, fragments, tells the sender what went wrong, and makes TCP
// segments fit. Everything works on the octets in place, allocates nothing, keeps
// no state but the limiter's and reads no clock. Whether there is a route is
// somebody else's question.
//
// A packet is parsed once, by [Parse4] or [Parse6], which is also the only check
// of its form: all others take the packet that was parsed, cut to its total
// length, together with its header.
package ip

import (
	"encoding/binary"
	"net/netip"
)

// Protocol numbers (the Protocol field of IPv4, the Next Header of IPv6).
const (
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
)

// MinMTU4 and MinMTU6 are what every link carries, in octets: RFC 791 section
// 3.2, "Every internet module must be able to forward a datagram of 68 octets
// without further fragmentation", and RFC 8200 section 5.
const (
	MinMTU4 = 68
	MinMTU6 = 1280
)

// Source4 and Dest4 are the addresses of an IPv4 packet of at least 20 octets, as
// numbers, for a table to look up.
func Source4(b []byte) uint32 { return binary.BigEndian.Uint32(b[12:]) }

// Dest4 is the destination; see [Source4].
func Dest4(b []byte) uint32 { return binary.BigEndian.Uint32(b[16:]) }

// Addr4 is an address as a number, a.b.c.d being a<<24|b<<16|c<<8|d. It is 0 if a
// is not an IPv4 address.
func Addr4(a netip.Addr) uint32 {
	a = a.Unmap()
	if !a.Is4() {
		return 0
	}
	octets := a.As4()
	return binary.BigEndian.Uint32(octets[:])
}

// AddrFrom4 is [Addr4] the other way.
func AddrFrom4(n uint32) netip.Addr {
	var octets [4]byte
	binary.BigEndian.PutUint32(octets[:], n)
	return netip.AddrFrom4(octets)
}
