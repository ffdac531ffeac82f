//go:build !purego

package hdlc

import (
	"bytes"
	"math/bits"
	"math/rand/v2"
	"testing"
)

// xToThe is x^n modulo x^16 + x^12 + x^5 + 1, bit i for x^i.
func xToThe(n int) uint16 {
	v := uint16(1)
	for range n {
		v = v<<1 ^ 0x1021&-(v>>15)
	}
	return v
}

func TestFCS16Constants(t *testing.T) {
	residue := func(n int) uint64 { return bits.Reverse64(uint64(xToThe(n))) }
	for _, tt := range []struct {
		why       string
		got, want [2]uint64
	}{
		{"on by 64 octets", fcsFold64, [2]uint64{residue(64 + 512 - 1), residue(512 - 1)}},
		{"on by 16 octets", fcsFold16, [2]uint64{residue(64 + 128 - 1), residue(128 - 1)}},
		{"behind 16 zeros, and from the 80 bits of that to 64", fcsFoldLast, [2]uint64{residue(64 + 16 - 1), residue(64 - 1)}},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %x, want %x", tt.why, tt.got, tt.want)
		}
	}

	const poly = 0x11021
	var quotient uint64 // long division of x^64, bit i for x^i
	for rest, i := uint64(1)<<16, 48; i >= 0; i-- {
		if rest>>16&1 == 1 {
			quotient |= 1 << i
			rest ^= poly
		}
		rest <<= 1
	}
	want := [2]uint64{bits.Reverse64(quotient) >> (63 - 48) & (1<<48 - 1), bits.Reverse64(poly) >> (63 - 16)}
	if fcsBarrett != want {
		t.Errorf("Barrett's constants are %x, want %x", fcsBarrett, want)
	}
}

// TestFCS16AllWays: every length, so every way through the assembler, at every
// alignment, from many values.
func TestFCS16AllWays(t *testing.T) {
	needWide(t)
	r := rand.New(rand.NewPCG(3, 4))
	mem := make([]byte, 1024)
	for i := range mem {
		mem[i] = byte(r.Uint32())
	}
	for n := range 600 {
		for range 8 {
			from := r.IntN(16)
			init, b := uint16(r.Uint32()), mem[from:from+n]
			want := slowFCS16(init, b)
			if got := fcs16Slice(init, b); got != want {
				t.Fatalf("%d octets by tables: %04x, want %04x", n, got, want)
			}
			if n < 16 {
				continue
			}
			if got := fcs16Fold(init, b); got != want {
				t.Fatalf("%d octets by multiplication: %04x, want %04x", n, got, want)
			}
		}
	}
}

// FuzzFCS16: both ways give the same, however the octets are cut.
func FuzzFCS16(f *testing.F) {
	needWide(f)
	f.Add(uint16(InitFCS16), []byte("123456789"), 4)
	f.Add(uint16(0), bytes.Repeat([]byte{0x80, 0}, 100), 17)
	f.Fuzz(func(t *testing.T, init uint16, b []byte, cut int) {
		want := fcs16Slice(init, b)
		if len(b) >= 16 {
			if got := fcs16Fold(init, b); got != want {
				t.Fatalf("by multiplication %04x, by tables %04x", got, want)
			}
		}
		cut = min(max(cut, 0), len(b))
		if got := FCS16(FCS16(init, b[:cut]), b[cut:]); got != want {
			t.Fatalf("cut at %d: %04x, want %04x", cut, got, want)
		}
	})
}
