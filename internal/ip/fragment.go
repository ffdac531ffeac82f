package ip

import (
	"encoding/binary"

	"tributary/internal/frame"
)

// Fragment4 cuts packet b, whose header is h, into fragments of at most mtu
// octets (RFC 791 section 3.2), each in a buffer of its own with its headroom, and
// appends these to dst in order. b is not changed. ok is false, and dst as it was,
// when the pool has not enough buffers, when b has DF set, or when the mtu has no
// room for a header and eight octets.
func Fragment4(dst []*frame.Buf, b []byte, h *Header4, mtu int, pool *frame.Pool) (_ []*frame.Buf, ok bool) {
	if h.DF || h.Len+8 > mtu {
		return dst, false
	}
	// The first has all options, the later ones those that are copied.
	var later [60]byte
	laterLen := 20 + copyOptions(later[20:], b[20:h.Len])
	copy(later[:20], b[:20])
	later[0] = 4<<4 | byte(laterLen/4)

	first, header, payload, offset := len(dst), b[:h.Len], b[h.Len:h.Total], h.Offset
	for {
		n, more := len(payload), h.MF
		if len(header)+n > mtu {
			n, more = (mtu-len(header))&^7, true
		}
		piece := pool.Get()
		if piece == nil || !piece.SetBytes(header) || !piece.Append(payload[:n]) {
			piece.Put()
			for _, taken := range dst[first:] {
				taken.Put()
			}
			return dst[:first], false
		}
		finish4(piece.Bytes(), len(header), offset, more)
		dst = append(dst, piece)
		if n == len(payload) {
			return dst, true
		}
		payload, offset = payload[n:], offset+n
		header = later[:laterLen]
	}
}

// finish4 writes length, flags and offset (in octets), and the checksum.
func finish4(b []byte, header, offset int, more bool) {
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	frag := uint16(offset / 8)
	if more {
		frag |= moreFragments
	}
	binary.BigEndian.PutUint16(b[6:], frag)
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], Checksum(0, b[:header]))
}

// copyOptions copies the options whose copied flag is set, padded to a word with
// End of Option List, and returns their length. They are well formed, or else the
// copy ends where they are not.
func copyOptions(dst, options []byte) int {
	n := 0
	for len(options) > 0 && options[0] != optionEnd {
		length := 1
		if options[0] != optionNop {
			if len(options) < 2 || options[1] < 2 || int(options[1]) > len(options) {
				break
			}
			length = int(options[1])
			if options[0]&optionCopied != 0 {
				n += copy(dst[n:], options[:length])
			}
		}
		options = options[length:]
	}
	return (n + 3) &^ 3
}
