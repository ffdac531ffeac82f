package ppp

import (
	"encoding/binary"
	"math/bits"
)

// md4Size is the length of an MD4 digest in octets.
const md4Size = 16

// md4 is the MD4 digest of data (RFC 1320). It is broken as a hash, and here
// only because MS-CHAP is made of it.
func md4(data []byte) (digest [md4Size]byte) {
	// Section 3.1: "a single "1" bit is appended to the message, and then "0"
	// bits are appended so that the length in bits of the padded message
	// becomes congruent to 448, modulo 512." Section 3.2: the length in bits follows.
	padded := make([]byte, 0, len(data)+72)
	padded = append(append(padded, data...), 0x80)
	for len(padded)%64 != 56 {
		padded = append(padded, 0)
	}
	padded = binary.LittleEndian.AppendUint64(padded, uint64(len(data))*8)

	s := [4]uint32{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476} // section 3.3
	for ; len(padded) > 0; padded = padded[64:] {
		md4Block(&s, padded[:64])
	}
	for i, v := range s {
		binary.LittleEndian.PutUint32(digest[4*i:], v)
	}
	return digest
}

// md4Rounds are the three rounds of section 3.4: each works through the block's
// words in an order of its own, with its own function, constant and rotations.
var md4Rounds = [3]struct {
	mix    func(x, y, z uint32) uint32
	add    uint32
	order  [16]uint8
	rotate [4]int
}{
	{
		func(x, y, z uint32) uint32 { return x&y | ^x&z }, 0,
		[16]uint8{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, [4]int{3, 7, 11, 19},
	},
	{
		func(x, y, z uint32) uint32 { return x&y | x&z | y&z }, 0x5a827999,
		[16]uint8{0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15}, [4]int{3, 5, 9, 13},
	},
	{
		func(x, y, z uint32) uint32 { return x ^ y ^ z }, 0x6ed9eba1,
		[16]uint8{0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15}, [4]int{3, 9, 11, 15},
	},
}

// md4Block takes in one block of 64 octets.
func md4Block(s *[4]uint32, block []byte) {
	a, b, c, d := s[0], s[1], s[2], s[3]
	for _, r := range md4Rounds {
		for i, k := range r.order {
			word := binary.LittleEndian.Uint32(block[4*k:])
			a = bits.RotateLeft32(a+r.mix(b, c, d)+word+r.add, r.rotate[i%4])
			a, b, c, d = d, a, b, c
		}
	}
	s[0], s[1], s[2], s[3] = s[0]+a, s[1]+b, s[2]+c, s[3]+d
}
