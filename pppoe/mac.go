package pppoe

import "fmt"

// MAC is a 48-bit Ethernet address. It is comparable, so it can be part of a map key.
type MAC [6]byte

// Broadcast is the Ethernet broadcast address.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// String is the usual form with colons, in lower case.
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// IsMulticast reports whether the group bit is set, as it is in Broadcast.
func (m MAC) IsMulticast() bool { return m[0]&1 == 1 }
