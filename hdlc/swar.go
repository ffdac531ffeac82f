package hdlc

import "math/bits"

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
