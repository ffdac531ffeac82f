package hdlc

import (
	"encoding/binary"
	"math/bits"
)

// Octets of a frame are looked at eight at a time, in a little-endian word, so
// that the runs between special octets are copied and not inspected singly.

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// controls tells ordinary to stop at control characters when accm names any.
func controls(accm uint32) uint64 {
	if accm == 0 {
		return 0
	}
	return highs
}

// ordinary counts the octets of x before the first one that may need care: a
// flag, an escape or, with ctl of controls, any octet under 0x20. The borrow of
// a subtraction runs upwards only, so marks above the first may be false, but
// the first is exact.
func ordinary(x, ctl uint64) int {
	flag := x ^ Flag*ones
	esc := x ^ Escape*ones
	m := (flag-ones)&^flag | (esc-ones)&^esc
	m = m&highs | (x-0x20*ones)&^x&ctl
	return bits.TrailingZeros64(m) / 8 // 8 when m is zero
}

// named reports whether c is a control character that accm names.
func named(c byte, accm uint32) bool { return c < 0x20 && accm>>c&1 == 1 }

// escapeWords appends b to dst, which has room for twice its length. RFC 1662
// section 4.2: "each Flag Sequence, Control Escape octet, and any octet which is
// flagged in the sending Async-Control-Character-Map (ACCM), is replaced by a
// two octet sequence consisting of the Control Escape octet followed by the
// original octet exclusive-or'd with hexadecimal 0x20."
func escapeWords(dst, b []byte, accm uint32) []byte {
	ctl := controls(accm)
	o := len(dst)
	out := dst[:cap(dst)]
	for len(b) >= 8 {
		// All eight go out, and the next write overwrites those behind the run.
		x := binary.LittleEndian.Uint64(b)
		binary.LittleEndian.PutUint64(out[o:], x)
		n := ordinary(x, ctl)
		o += n
		if n == 8 {
			b = b[8:]
			continue
		}
		o += escapeOne(out[o:], b[n], accm)
		b = b[n+1:]
	}
	for _, c := range b {
		o += escapeOne(out[o:], c, accm)
	}
	return out[:o]
}

func escapeOne(out []byte, c byte, accm uint32) int {
	if c != Flag && c != Escape && !named(c, accm) {
		out[0] = c
		return 1
	}
	out[0], out[1] = Escape, c^flip
	return 2
}

// unescapeWords undoes escape, from src to dst, up to an octet that needs a
// decision: a flag, a control character that accm names, either of them behind an
// Escape, or the last few of src or of the room in dst. It never takes an Escape
// without the octet behind it.
func unescapeWords(dst, src []byte, accm uint32) (n, taken int) {
	ctl := controls(accm)
	i := 0
	for i+8 <= len(src) && n+8 <= len(dst) {
		// All eight are copied, and the next write overwrites those behind the run.
		x := binary.LittleEndian.Uint64(src[i:])
		binary.LittleEndian.PutUint64(dst[n:], x)
		k := ordinary(x, ctl)
		i += k
		n += k
		if k == 8 {
			continue
		}
		switch c := src[i]; {
		case c == Escape && i+1 < len(src) && src[i+1] != Flag && !named(src[i+1], accm):
			dst[n] = src[i+1] ^ flip
			i += 2
		case c != Escape && c != Flag && !named(c, accm):
			dst[n] = c
			i++
		default:
			return n, i
		}
		n++
	}
	return n, i
}
