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
//
// The zero Buf is an empty frame without headroom that belongs to no pool.
type Buf struct {
	debug    debug
	data     [Size]byte
	off, end int
	pool     *Pool
	next     *Buf  // in a List
	at       int64 // in a List: when it was pushed
}

// Bytes is the frame. It is valid until the frame is moved or the Buf put back,
// and appending to it does not grow the frame.
func (b *Buf) Bytes() []byte { return b.data[b.off:b.end:b.end] }

// Len is the frame's length in octets.
func (b *Buf) Len() int { return b.end - b.off }

// Headroom is how many octets are free in front of the frame.
func (b *Buf) Headroom() int { return b.off }

// Reset empties the frame and leaves headroom octets free in front of it, as
// many as there are if it asks for more.
func (b *Buf) Reset(headroom int) {
	b.off = min(max(headroom, 0), Size)
	b.end = b.off
}

// Space is all that can be written from the frame's first octet on, for a socket
// or an hdlc.Decoder to fill. What it holds becomes the frame by SetLen.
func (b *Buf) Space() []byte { return b.data[b.off:] }

// SetLen makes the first n octets of Space the frame. It reports whether there
// are that many, and changes nothing if not.
func (b *Buf) SetLen(n int) bool {
	if n < 0 || n > Size-b.off {
		return false
	}
	b.end = b.off + n
	return true
}

// Bounds is where in the whole buffer the frame is.
func (b *Buf) Bounds() (off, end int) { return b.off, b.end }

// SetBounds makes octets off up to end of the whole buffer the frame. It reports
// whether they are in it, and changes nothing if not.
func (b *Buf) SetBounds(off, end int) bool {
	if off < 0 || end < off || end > Size {
		return false
	}
	b.off, b.end = off, end
	return true
}

// SetBytes makes the frame a copy of p, where the frame begins now. It reports
// whether p fits, and changes nothing if not.
func (b *Buf) SetBytes(p []byte) bool {
	if len(p) > Size-b.off {
		return false
	}
	b.end = b.off + copy(b.data[b.off:], p)
	return true
}

// Append copies p behind the frame's end. It reports whether p fits, and changes
// nothing if not.
func (b *Buf) Append(p []byte) bool {
	if len(p) > Size-b.end {
		return false
	}
	b.end += copy(b.data[b.end:], p)
	return true
}

// Prepend grows the frame by n octets at its front and returns these, with
// whatever was there before, for the caller to write a header in. It is nil, and
// the frame as it was, if the headroom is less than n.
func (b *Buf) Prepend(n int) []byte {
	if n < 0 || n > b.off {
		return nil
	}
	b.off -= n
	return b.data[b.off : b.off+n : b.off+n]
}

// TrimFront takes n octets off the frame's front; they become headroom. It
// reports whether there are that many, and changes nothing if not.
func (b *Buf) TrimFront(n int) bool {
	if n < 0 || n > b.Len() {
		return false
	}
	b.off += n
	return true
}

// Trim takes n octets off the frame's end. It reports whether there are that
// many, and changes nothing if not.
func (b *Buf) Trim(n int) bool {
	if n < 0 || n > b.Len() {
		return false
	}
	b.end -= n
	return true
}
