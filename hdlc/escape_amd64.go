//go:build !purego

package hdlc

// escapeBlocks escapes src, if it has 16 octets at least, while there is room for
// 32 in dst. n is how many octets it wrote, taken how many those were. shuffles
// are spreads.
//
//go:noescape
func escapeBlocks(dst, src []byte, accm uint32, shuffles *[256][16]byte) (n, taken int)

// unescapeBlocks is unescape, if src has 16 octets at least, while there is room
// for 16 in dst. shuffles are gathers.
//
//go:noescape
func unescapeBlocks(dst, src []byte, accm uint32, shuffles *[256][8]byte) (n, taken int)

// spreads are the shuffles for escapeBlocks, by which of eight octets are
// special: of the sixteen that are Escape, octet, Escape, octet, they take each
// octet, and the Escapes that are called for.
var spreads = func() (t [256][16]byte) {
	for mask := range t {
		o := 0
		for i := range byte(8) {
			if mask>>i&1 == 1 {
				t[mask][o] = 2 * i
				o++
			}
			t[mask][o] = 2*i + 1
			o++
		}
	}
	return t
}()

// gathers are the shuffles for unescapeBlocks, by which of eight octets are
// Escapes: they take the others.
var gathers = func() (t [256][8]byte) {
	for mask := range t {
		o := 0
		for i := range byte(8) {
			if mask>>i&1 == 0 {
				t[mask][o] = i
				o++
			}
		}
	}
	return t
}()
