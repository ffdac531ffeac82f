package ip

import (
	"encoding/binary"
	"math/bits"
)

// Checksum is the Internet checksum (RFC 1071) of b, ready for its field: the
// complement of the one's complement sum of all 16-bit words, an odd octet at the
// end being padded with zero. The field itself counts as it stands in b: over a
// packet with a good checksum the result is 0. seed is a sum so far; see [Pseudo4].
func Checksum(seed uint32, b []byte) uint16 {
	// Words of eight octets with an end-around carry give the same sum, RFC 1071
	// section 2 (C): 2^64-1 is a multiple of 2^16-1.
	sum, carry := uint64(seed), uint64(0)
	for len(b) >= 32 {
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b), carry)
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b[8:]), carry)
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b[16:]), carry)
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b[24:]), carry)
		b = b[32:]
	}
	for len(b) >= 8 {
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b), carry)
		b = b[8:]
	}
	var rest uint64
	for i, o := range b {
		rest |= uint64(o) << (56 - 8*i)
	}
	sum, carry = bits.Add64(sum, rest, carry)
	sum, carry = bits.Add64(sum, 0, carry)
	return ^fold(sum + carry)
}

// fold adds the four 16-bit words of sum, with end-around carries.
func fold(sum uint64) uint16 {
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	return uint16(sum>>16 + sum)
}

// Pseudo4 is the sum of the pseudo-header of TCP and UDP over IPv4 (RFC 9293
// section 3.1), as the seed of [Checksum]. length is that of the segment.
func Pseudo4(src, dst uint32, protocol uint8, length int) uint32 {
	return src>>16 + src&0xffff + dst>>16 + dst&0xffff + uint32(protocol) + uint32(uint16(length))
}

// Pseudo6 is the sum of the pseudo-header of RFC 8200 section 8.1, as the seed of
// [Checksum]. length is that of the upper-layer packet.
func Pseudo6(src, dst [16]byte, next uint8, length int) uint32 {
	sum := uint32(next) + uint32(length)>>16 + uint32(length)&0xffff
	for i := 0; i < 16; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(src[i:])) + uint32(binary.BigEndian.Uint16(dst[i:]))
	}
	return sum
}

// Update16 is the checksum sum after the 16-bit word was changed to another, by
// RFC 1624 section 3, equation 3: HC' = ~(~HC + ~m + m').
//
// Its result for a good sum is never the other zero: only a sum over words that
// are all zero is 0xffff, and no header is that.
func Update16(sum, was, is uint16) uint16 {
	s := uint32(^sum) + uint32(^was) + uint32(is)
	s = s>>16 + s&0xffff
	return ^uint16(s>>16 + s)
}

// Update32 is [Update16] for two words at an even place, such as an address.
func Update32(sum uint16, was, is uint32) uint16 {
	s := uint32(^sum) + ^was>>16 + ^was&0xffff + is>>16 + is&0xffff
	s = s>>16 + s&0xffff
	return ^uint16(s>>16 + s)
}
