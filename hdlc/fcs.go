package hdlc

import "encoding/binary"

// Values of the 16-bit FCS (RFC 1662 appendix C.2).
const (
	InitFCS16 uint16 = 0xffff // before the first octet
	GoodFCS16 uint16 = 0xf0b8 // after a frame's last octet, its FCS included
)

// poly16 is x^16 + x^12 + x^5 + 1, least significant bit first.
const poly16 = 0x8408

// fcsTables[0] steps the FCS over one octet; fcsTables[k] over one octet and k
// zeros behind it, so that eight octets are eight independent lookups.
var fcsTables = makeFCSTables()

func makeFCSTables() (t [8][256]uint16) {
	for i := range t[0] {
		v := uint16(i)
		for range 8 {
			v = v>>1 ^ poly16&-(v&1)
		}
		t[0][i] = v
	}
	for k := 1; k < len(t); k++ {
		for i := range t[k] {
			v := t[k-1][i]
			t[k][i] = v>>8 ^ t[0][v&0xff]
		}
	}
	return t
}

// FCS16 carries the Frame Check Sequence fcs on over b. Start with InitFCS16.
// A sender complements the result and sends it "least significant octet first
// (the coefficient of the highest term)" (RFC 1662 section 3.1); a receiver
// runs it over the FCS too and compares with GoodFCS16.
func FCS16(fcs uint16, b []byte) uint16 { return fcs16(fcs, b) }

// fcs16Slice is FCS16 by tables.
func fcs16Slice(fcs uint16, b []byte) uint16 {
	t := &fcsTables
	for len(b) >= 8 {
		// Only the first two octets wait for the FCS of those before.
		x := binary.LittleEndian.Uint64(b)
		rest := t[5][x>>16&0xff] ^ t[4][x>>24&0xff] ^
			t[3][x>>32&0xff] ^ t[2][x>>40&0xff] ^ t[1][x>>48&0xff] ^ t[0][x>>56]
		fcs ^= uint16(x)
		fcs = t[7][fcs&0xff] ^ t[6][fcs>>8] ^ rest
		b = b[8:]
	}
	for _, c := range b {
		fcs = fcs>>8 ^ t[0][byte(fcs)^c]
	}
	return fcs
}
