//go:build !purego

package hdlc

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestBlocksSeeEveryOctet: an octet is special to the assembler when it is so to
// RFC 1662, wherever in a block it stands, for every bit of the ACCM.
func TestBlocksSeeEveryOctet(t *testing.T) {
	needWide(t)
	accms := []uint32{0, 0xffffffff, 0x000a0000}
	for i := range 32 {
		accms = append(accms, 1<<i, ^(1 << i))
	}
	for _, accm := range accms {
		for c := range 256 {
			for at := range 16 {
				b := bytes.Repeat([]byte{0x40}, 16)
				b[at] = byte(c)
				wantEscaped := refEscape(b, accm)
				room := make([]byte, 32)
				if n, taken := escapeBlocks(room, b, accm, &spreads); taken != 16 || !bytes.Equal(room[:n], wantEscaped) {
					t.Fatalf("%02x at %d, ACCM %08x: escaped as %x, %d taken", c, at, accm, room[:n], taken)
				}
				// On reception, an Escape alone makes no stop.
				wantTaken, wantN := 16, 16
				switch {
				case c == Escape && at == 15:
					wantTaken, wantN = 15, 15
				case c == Escape:
					wantN = 15
				case len(wantEscaped) > 16:
					wantTaken, wantN = at, at
				}
				if n, taken := unescapeBlocks(room, b, accm, &gathers); n != wantN || taken != wantTaken {
					t.Fatalf("%02x at %d, ACCM %08x: %d taken, %d written; want %d and %d",
						c, at, accm, taken, n, wantTaken, wantN)
				}
			}
		}
	}
}

// TestBlocksOnDenseOctets: special octets in every arrangement, which a fuzzer that
// cannot look into the assembler would be slow to find.
func TestBlocksOnDenseOctets(t *testing.T) {
	needWide(t)
	r := rand.New(rand.NewPCG(5, 6))
	some := []byte{0x7e, 0x7d, 0x7d, 0x5d, 0x5e, 0x00, 0x03, 0x11, 0x13, 0x1f, 0x20, 0x40, 0x40, 0x80, 0x91, 0xfd, 0xff}
	for range 20000 {
		b := make([]byte, r.IntN(100))
		dense := r.IntN(10)
		for i := range b {
			b[i] = 0x40
			if r.IntN(10) <= dense {
				b[i] = some[r.IntN(len(some))]
			}
		}
		accm := []uint32{0, 0, 0x000a0000, 0xffffffff, r.Uint32()}[r.IntN(5)]
		checkBlocks(t, b, accm, r.IntN(120))
	}
}

func TestBlocksOfNothing(t *testing.T) {
	needWide(t)
	room := make([]byte, 64)
	for _, b := range [][2][]byte{{nil, nil}, {room, nil}, {nil, room}, {room[:31], room}, {room, room[:15]}} {
		if n, taken := escapeBlocks(b[0], b[1], 0, &spreads); n != 0 || taken != 0 {
			t.Errorf("room for %d, of %d: %d written, %d taken", len(b[0]), len(b[1]), n, taken)
		}
	}
	for _, b := range [][2][]byte{{nil, nil}, {room, nil}, {nil, room}, {room[:15], room}, {room, room[:15]}} {
		if n, taken := unescapeBlocks(b[0], b[1], 0, &gathers); n != 0 || taken != 0 {
			t.Errorf("room for %d, of %d: %d written, %d taken back", len(b[0]), len(b[1]), n, taken)
		}
	}
}

// refEscape is escape, octet by octet.
func refEscape(b []byte, accm uint32) (out []byte) {
	for _, c := range b {
		if c == 0x7d || c == 0x7e || c < 0x20 && accm&(1<<c) != 0 {
			out = append(out, 0x7d, c^0x20)
		} else {
			out = append(out, c)
		}
	}
	return out
}

// guarded is memory of n octets and some behind it that must stay as they are.
func guarded(t *testing.T, n int) (b []byte, check func()) {
	mem := bytes.Repeat([]byte{0xa5}, n+64)
	return mem[:n:n], func() {
		t.Helper()
		for i, c := range mem[n:] {
			if c != 0xa5 {
				t.Fatalf("octet %d behind the room was written", i)
			}
		}
	}
}

// checkBlocks: the assembler escapes as the reference does, in no more room than
// given, and undoes as much as it can.
func checkBlocks(t *testing.T, b []byte, accm uint32, size int) {
	t.Helper()
	escaped := refEscape(b, accm)
	room, check := guarded(t, size)
	n, taken := escapeBlocks(room, b, accm, &spreads)
	check()
	if want := refEscape(b[:taken], accm); !bytes.Equal(room[:n], want) {
		t.Fatalf("escaped\n got %x\nwant %x", room[:n], want)
	}
	if taken != len(b) && len(b) >= 16 && size-n >= 32 {
		t.Fatalf("%d of %d taken, with room for %d", taken, len(b), size-n)
	}
	room, check = guarded(t, 2*len(b))
	if got := escapeWords(room[:0], b, accm); !bytes.Equal(got, escaped) {
		t.Fatalf("escaped by words\n got %x\nwant %x", got, escaped)
	}
	if got := escape(room[:0], b, accm); !bytes.Equal(got, escaped) {
		t.Fatalf("escaped\n got %x\nwant %x", got, escaped)
	}
	check()

	room, check = guarded(t, size)
	n, taken = unescapeBlocks(room, b, accm, &gathers)
	check()
	want, ok := refUndo(b[:taken], accm)
	if !ok || !bytes.Equal(room[:n], want) {
		t.Fatalf("%x undone\n got %x\nwant %x, complete: %v", b[:taken], room[:n], want, ok)
	}
	if rest := b[taken:]; len(b) >= 16 && size-n >= 16 && !mustStop(rest, accm) {
		t.Fatalf("stopped before %x, with room for %d", rest, size-n)
	}

	m, mt := unescapeWords(room, b, accm)
	check()
	if want, ok := refUndo(b[:mt], accm); !ok || !bytes.Equal(room[:m], want) {
		t.Fatalf("%x undone by words\n got %x\nwant %x, complete: %v", b[:mt], room[:m], want, ok)
	}
}

// mustStop is whether rest begins with what unescapeBlocks leaves for others.
func mustStop(rest []byte, accm uint32) bool {
	switch {
	case len(rest) == 0, rest[0] == Flag, named(rest[0], accm):
		return true
	case rest[0] != Escape:
		return false
	}
	return len(rest) == 1 || rest[1] == Flag || rest[1] == Escape || named(rest[1], accm)
}

// FuzzEscape: checkBlocks holds.
func FuzzEscape(f *testing.F) {
	needWide(f)
	f.Add([]byte("~}~}~}~}~}~}~}~}~}~}~}~}"), uint32(0), uint8(80))
	f.Add([]byte("0123456789abcde}}0123456789abcdef"), uint32(0), uint8(40))
	f.Add([]byte("0123456789abcde}~0123456789abcdef"), uint32(0), uint8(40))
	f.Add([]byte("0123456789abcde}\x11123456789abcdef"), uint32(1<<17), uint8(40))
	f.Add(bytes.Repeat([]byte{1, 0x40}, 40), uint32(0xffffffff), uint8(255))
	f.Fuzz(func(t *testing.T, b []byte, accm uint32, size uint8) {
		if len(b) > 1<<12 {
			return
		}
		checkBlocks(t, b, accm, int(size))
	})
}

// refUndo undoes escapes. It is false if something in b needs a decision, or if
// the last octet is an Escape.
func refUndo(b []byte, accm uint32) (out []byte, ok bool) {
	escaped := false
	for _, c := range b {
		switch {
		case c == 0x7e, c < 0x20 && accm&(1<<c) != 0:
			return out, false
		case escaped:
			out, escaped = append(out, c^0x20), false
		case c == 0x7d:
			escaped = true
		default:
			out = append(out, c)
		}
	}
	return out, !escaped
}
