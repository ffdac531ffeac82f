//go:build !purego

package hdlc

// fcs16Fold is the FCS of at least 16 octets.
//
//go:noescape
func fcs16Fold(fcs uint16, b []byte) uint16

// The message is a polynomial modulo P = x^16 + x^12 + x^5 + 1, its first bit the
// highest power. In a register, the least significant bit is the highest power as
// well; two 64-bit halves L and H with it are L x^64 + H. A product of two such
// halves has 127 bits, of which the first, not the last, is at the register's
// edge, so it is x times what one expects. The exponents below are one less for
// that, and residue(n) is x^n modulo P, in the place where a half has its last 16.
//
// To move L x^64 + H on by d bits is to multiply L with x^(64+d) and H with x^d.
var (
	fcsFold64 = [2]uint64{0x9822000000000000, 0x7f90000000000000} // d = 512
	fcsFold16 = [2]uint64{0xa95d000000000000, 0x7eea000000000000} // d = 128

	// In the end, with 16 zeros behind it: L x^80 + H x^16 has 80 bits when the
	// first is reduced, and what is then beyond 64 bits is reduced by x^64.
	fcsFoldLast = [2]uint64{0x81bf000000000000, 0x042b000000000000}

	// x^64 divided by P, of which the last of 49 bits does not matter, and P
	// itself, both with their highest power in bit 0.
	fcsBarrett = [2]uint64{0x040b1c581911, 0x10811}
)
