package hdlc

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// slowFCS16 is the definition, bit by bit, with no table to share a mistake with.
func slowFCS16(fcs uint16, b []byte) uint16 {
	for _, c := range b {
		for i := range 8 {
			bit := uint16(c)>>i&1 ^ fcs&1
			fcs >>= 1
			if bit == 1 {
				fcs ^= 0x8408
			}
		}
	}
	return fcs
}

func TestFCS16(t *testing.T) {
	// The check value of this CRC, published as CRC-16/X-25.
	if got := ^FCS16(InitFCS16, []byte("123456789")); got != 0x906e {
		t.Errorf("FCS of 123456789 = %04x, want 906e", got)
	}
	if got := FCS16(InitFCS16, withFCS([]byte("123456789"))); got != GoodFCS16 {
		t.Errorf("residue = %04x, want %04x", got, GoodFCS16)
	}
	if got := FCS16(0x1234, nil); got != 0x1234 {
		t.Errorf("FCS over nothing = %04x, want it unchanged", got)
	}
}

func TestFCS16IsTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "octets")
		init := rapid.Uint16().Draw(t, "init")
		cut := rapid.IntRange(0, len(b)).Draw(t, "cut")
		want := slowFCS16(init, b)
		if got := FCS16(init, b); got != want {
			t.Errorf("FCS16 = %04x, want %04x", got, want)
		}
		if got := FCS16(FCS16(init, b[:cut]), b[cut:]); got != want {
			t.Errorf("FCS16 in two pieces = %04x, want %04x", got, want)
		}
	})
}

func TestFCS16SeesEveryBit(t *testing.T) {
	frame := withFCS(bytes.Repeat([]byte("tributary"), 20))
	for i := range len(frame) * 8 {
		frame[i/8] ^= 1 << (i % 8)
		if FCS16(InitFCS16, frame) == GoodFCS16 {
			t.Errorf("bit %d flipped, and the FCS is still good", i)
		}
		frame[i/8] ^= 1 << (i % 8)
	}
}
