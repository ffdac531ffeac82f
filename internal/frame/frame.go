// Package frame holds the packet buffers of the data path: fixed size, with
// headroom so that headers are prepended in place, and taken from a pool that
// has a cap, so that no flood can take more memory than was given.
package frame

// Sizes of a buffer in octets.
const (
	// Headroom is kept free in front of a frame that arrived on a line:
	// Ethernet (14), two VLAN tags (8) and PPPoE (6) fit, with room to spare.
	Headroom = 64
	// Size is a whole buffer. The largest frame is an Ethernet frame with
	// two tags and a 1,500-octet PPPoE payload; the rest is slack.
	Size = 2048
)

// Buf is one buffer. The frame is data[off:end]. A Buf has one owner at a
// time; whoever takes it over must Put it back or hand it on.
type Buf struct {
	data     [Size]byte
	off, end int
	pool     *Pool
}
