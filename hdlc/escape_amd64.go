//go:build !purego

package hdlc

// escapeBlocks escapes what is in src of whole blocks of 16 octets. dst must have
// room for twice as many. n is how many octets it wrote. shuffles are spreads.
//
//go:noescape
func escapeBlocks(dst, src []byte, accm uint32, shuffles *[256][16]byte) (n int)

// unescapeBlocks is unescape, while there are 16 octets in src and room for 16.
// shuffles are gathers.
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
