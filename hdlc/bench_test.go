package hdlc

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchFrames are a full IP packet of octets as random as encrypted ones, and an
// acknowledgement without data.
func benchFrames() map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	frames := map[string][]byte{}
	for _, n := range []int{40, 1500} {
		b := []byte{0, 0x21}
		for range n {
			b = append(b, byte(r.Uint32()))
		}
		frames[fmt.Sprint(n)] = b
	}
	return frames
}

var benchACCMs = []uint32{0, 0xffffffff}

func BenchmarkAppendFrame(b *testing.B) {
	benchEncode(b, AppendFrame)
}

func BenchmarkAppendFrameReference(b *testing.B) {
	benchEncode(b, refEncode)
}

func benchEncode(b *testing.B, encode func(dst, ppp []byte, p Params) []byte) {
	for size, ppp := range benchFrames() {
		for _, accm := range benchACCMs {
			b.Run(fmt.Sprintf("accm=%x/octets=%s", accm, size), func(b *testing.B) {
				dst := make([]byte, 0, MaxEncoded(len(ppp)))
				b.SetBytes(int64(len(ppp)))
				b.ReportAllocs()
				for b.Loop() {
					dst = encode(dst[:0], ppp, Params{ACCM: accm, PFC: true, ACFC: true})
				}
			})
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	benchDecode(b, func(b *testing.B, stream []byte, accm uint32) {
		var d Decoder
		d.SetACCM(accm)
		buf := make([]byte, 2048)
		for b.Loop() {
			for s := stream; len(s) > 0; {
				_, n := d.Decode(buf, s)
				s = s[n:]
			}
		}
		if d.Counters.BadFCS+d.Counters.Short > 0 {
			b.Fatalf("%+v", d.Counters)
		}
	})
}

func BenchmarkDecodeReference(b *testing.B) {
	benchDecode(b, func(b *testing.B, stream []byte, accm uint32) {
		for b.Loop() {
			refDecode(stream, accm, 2048)
		}
	})
}

func benchDecode(b *testing.B, decode func(b *testing.B, stream []byte, accm uint32)) {
	for size, ppp := range benchFrames() {
		for _, accm := range benchACCMs {
			b.Run(fmt.Sprintf("accm=%x/octets=%s", accm, size), func(b *testing.B) {
				var stream []byte
				for range 16 {
					stream = AppendFrame(stream, ppp, Params{ACCM: accm, PFC: true, ACFC: true})
				}
				b.SetBytes(int64(16 * len(ppp)))
				b.ReportAllocs()
				decode(b, stream, accm)
			})
		}
	}
}

func BenchmarkFCS16(b *testing.B) {
	benchFCS(b, FCS16)
}

func BenchmarkFCS16Reference(b *testing.B) {
	benchFCS(b, tableFCS16)
}

func benchFCS(b *testing.B, fcs func(uint16, []byte) uint16) {
	ppp := benchFrames()["1500"]
	b.SetBytes(int64(len(ppp)))
	for b.Loop() {
		fcs(InitFCS16, ppp)
	}
}
