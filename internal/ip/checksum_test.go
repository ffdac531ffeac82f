package ip

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// slowChecksum is RFC 1071 section 4.1, a word at a time.
func slowChecksum(seed uint32, b []byte) uint16 {
	sum := uint64(seed)
	for i := 0; i < len(b); i += 2 {
		word := uint64(b[i]) << 8
		if i+1 < len(b) {
			word |= uint64(b[i+1])
		}
		sum += word
		sum = sum>>16 + sum&0xffff
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func TestChecksumIsTheSlowOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "b")
		if rapid.Bool().Draw(t, "ones") { // carries everywhere
			for i := range b {
				b[i] = 0xff
			}
		}
		seed := rapid.Uint32().Draw(t, "seed")
		if got, want := Checksum(seed, b), slowChecksum(seed, b); got != want {
			t.Fatalf("got %04x, want %04x", got, want)
		}
	})
}

// What is updated is what would be computed anew, for any header that is not all
// zero but for its checksum.
func TestUpdateIsTheNewSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "b")
		if rapid.Bool().Draw(t, "extreme") {
			for i := range b {
				b[i] = byte(-(int(b[i]) & 1)) // 00 and ff
			}
		}
		b[0] = 0x45
		b[10], b[11] = 0, 0
		sum := Checksum(0, b)

		at := 2 * rapid.SampledFrom([]int{1, 2, 3, 4, 6, 7, 8, 9}).Draw(t, "at")
		was := binary.BigEndian.Uint16(b[at:])
		is := rapid.OneOf(rapid.Uint16(), rapid.SampledFrom([]uint16{0, 0xffff, was})).Draw(t, "is")
		binary.BigEndian.PutUint16(b[at:], is)
		if got, want := Update16(sum, was, is), Checksum(0, b); got != want {
			t.Errorf("word: got %04x, want %04x", got, want)
		}

		sum = Checksum(0, b)
		was32 := binary.BigEndian.Uint32(b[12:])
		is32 := rapid.OneOf(rapid.Uint32(), rapid.SampledFrom([]uint32{0, 0xffffffff, 0xffff, 0xffff0000})).Draw(t, "is32")
		binary.BigEndian.PutUint32(b[12:], is32)
		if got, want := Update32(sum, was32, is32), Checksum(0, b); got != want {
			t.Errorf("two words: got %04x, want %04x", got, want)
		}
	})
}

func TestPseudoHeadersOfGopacket(t *testing.T) {
	b := udp4(t, 100)
	if got := Checksum(Pseudo4(addr4(userAddr), addr4(hostAddr), ProtoUDP, len(b)-20), b[20:]); got != 0 {
		t.Errorf("IPv4: what gopacket has summed up sums up to %04x", got)
	}
	b = udp6(t, 100)
	if got := Checksum(Pseudo6(addr6(user6), addr6(host6), ProtoUDP, len(b)-40), b[40:]); got != 0 {
		t.Errorf("IPv6: what gopacket has summed up sums up to %04x", got)
	}
}

func TestAddressesAsNumbers(t *testing.T) {
	if a := addr4("1.2.3.4"); a != 0x01020304 || AddrFrom4(a).String() != "1.2.3.4" {
		t.Errorf("1.2.3.4 is %08x, and that is %v", a, AddrFrom4(a))
	}
	if a := addr4("::ffff:1.2.3.4"); a != 0x01020304 {
		t.Errorf("mapped: %08x", a)
	}
	if a := addr4(user6); a != 0 {
		t.Errorf("IPv6: %08x", a)
	}
	b := udp4(t, 0)
	if Source4(b) != addr4(userAddr) || Dest4(b) != addr4(hostAddr) {
		t.Errorf("from %v to %v", AddrFrom4(Source4(b)), AddrFrom4(Dest4(b)))
	}
}
