package hdlc

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// unhex reads octets as the RFCs print them.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// decodeAll runs d over stream, cut by the lengths that next gives, with a
// buffer of size octets that is exchanged for another whenever that is allowed.
// It checks what must hold for every input.
func decodeAll(t testing.TB, d *Decoder, size int, stream []byte, next func() int) (frames [][]byte) {
	t.Helper()
	guard := []byte("untouched")
	var mem, buf []byte
	fresh := func() {
		mem = append(bytes.Repeat([]byte{0xa5}, size), guard...)
		buf = mem[:size]
	}
	fresh()
	for len(stream) > 0 {
		piece := stream[:min(max(next(), 1), len(stream))]
		stream = stream[len(piece):]
		for len(piece) > 0 {
			if !d.Partial() {
				if !bytes.Equal(mem[size:], guard) {
					t.Fatalf("octets behind the buffer were written")
				}
				fresh()
			}
			frame, n := d.Decode(buf, piece)
			if n == 0 || n > len(piece) {
				t.Fatalf("Decode took %d of %d octets", n, len(piece))
			}
			if frame == nil && n != len(piece) {
				t.Fatalf("Decode stopped at %d of %d octets without a frame", n, len(piece))
			}
			piece = piece[n:]
			if frame == nil {
				continue
			}
			if d.Partial() {
				t.Fatalf("Partial is true behind a frame")
			}
			if len(frame) < 2 || len(frame) > size-2 || &frame[0] != &buf[0] {
				t.Fatalf("frame of %d octets does not lie at the start of the buffer", len(frame))
			}
			if frame[0]&1 != 0 || frame[1]&1 != 1 {
				t.Fatalf("frame %x does not start at a Protocol field", frame)
			}
			frames = append(frames, bytes.Clone(frame))
		}
	}
	if !bytes.Equal(mem[size:], guard) {
		t.Fatalf("octets behind the buffer were written")
	}
	if d.Counters.Frames < uint64(len(frames)) {
		t.Fatalf("Frames is %d after %d frames", d.Counters.Frames, len(frames))
	}
	return frames
}

func whole() int { return 1 << 30 }

func frameList(frames [][]byte) string {
	var s []string
	for _, f := range frames {
		s = append(s, fmt.Sprintf("%x", f))
	}
	return strings.Join(s, " ")
}

// withFCS is what the FCS covers, and the FCS: a frame without flags and escapes.
func withFCS(b []byte) []byte {
	fcs := ^FCS16(InitFCS16, b)
	return append(bytes.Clone(b), byte(fcs), byte(fcs>>8))
}

// line turns octets into what is sent of them, escaping what accm names.
func line(b []byte, accm uint32) []byte {
	return append(append([]byte{Flag}, escape(make([]byte, 0, 2*len(b)), b, accm)...), Flag)
}

func hexOf(b []byte) string { return hex.EncodeToString(b) }
