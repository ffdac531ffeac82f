package hdlc

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every benchmark is a race with the loop that goes octet by octet, as others'
// do: in each round both do the same work, one right after the other, so that
// whatever else the machine does slows both. "times" is how many times as long
// the loop takes, the median of all rounds. -tags purego races the Go that other
// machines than amd64 run.

// race reports ns a frame of both and their ratio, medians all. Each is called
// for one batch of frames.
func race(b *testing.B, octets int, ours, loop func()) {
	const rounds = 1 << 14 // the last of them count
	fast, slow, times := make([]float64, rounds), make([]float64, rounds), make([]float64, rounds)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		t0 := time.Now()
		ours()
		t1 := time.Now()
		loop()
		t2 := time.Now()
		i := n % rounds
		fast[i], slow[i] = float64(t1.Sub(t0))/batch, float64(t2.Sub(t1))/batch
		times[i] = slow[i] / max(fast[i], 1)
		n++
	}
	median := func(v []float64) float64 {
		v = v[:min(n, rounds)]
		slices.Sort(v)
		return v[len(v)/2]
	}
	b.ReportMetric(median(times), "times")
	b.ReportMetric(median(slow), "ns/loop-frame")
	ns := median(fast)
	b.ReportMetric(ns, "ns/frame")
	b.ReportMetric(float64(octets)/ns*1e3, "MB/s")
	b.ReportMetric(0, "ns/op") // of both together: tells nothing
}

// batch is how many frames go in one round. They differ, so that a branch
// predictor learns what is common to them and not one of them by heart.
const batch = 32

// benchFrames are packets of n octets as random as encrypted ones.
func benchFrames(n int) (frames [][]byte) {
	r := rand.New(rand.NewPCG(1, 2))
	for range batch {
		f := []byte{0, 0x21}
		for range n {
			f = append(f, byte(r.Uint32()))
		}
		frames = append(frames, f)
	}
	return frames
}

func forEach(b *testing.B, bench func(b *testing.B, frames [][]byte, octets int, p Params)) {
	for _, accm := range []uint32{0, 0xffffffff} {
		for _, octets := range []int{64, 1400} {
			b.Run(fmt.Sprintf("accm=%x/octets=%d", accm, octets), func(b *testing.B) {
				bench(b, benchFrames(octets), octets, Params{ACCM: accm})
			})
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	forEach(b, func(b *testing.B, frames [][]byte, octets int, p Params) {
		dst := make([]byte, 0, batch*MaxEncoded(octets+2))
		round := func(encode func(dst, ppp []byte, p Params) []byte) func() {
			return func() {
				dst = dst[:0]
				for _, f := range frames {
					dst = encode(dst, f, p)
				}
			}
		}
		race(b, octets, round(AppendFrame), round(loopEncode))
	})
}

func BenchmarkDecode(b *testing.B) {
	forEach(b, func(b *testing.B, frames [][]byte, octets int, p Params) {
		var stream []byte
		for _, f := range frames {
			stream = AppendFrame(stream, f, p)
		}
		buf := make([]byte, 2048)
		got := 0
		round := func(decode func(buf, src []byte) ([]byte, int)) func() {
			return func() {
				for s := stream; len(s) > 0; {
					f, n := decode(buf, s)
					if s = s[n:]; f != nil {
						got++
					}
				}
			}
		}
		var d Decoder
		d.SetACCM(p.ACCM)
		l := loopDecoder{accm: p.ACCM}
		rounds := 0
		loop := round(l.decode)
		race(b, octets, round(d.Decode), func() { rounds++; loop() })
		if got != 2*batch*rounds {
			b.Fatalf("%d frames of %d", got, 2*batch*rounds)
		}
	})
}

// BenchmarkDecodeHostile is what the loop is better at: frames in which every
// octet or two needs a decision. Nobody sends them but to cost us time.
func BenchmarkDecodeHostile(b *testing.B) {
	const octets = 1400
	for _, pattern := range []string{"\x7d\x7d", "\x11", "\x11\x40", "\x7d\x11\x5e"} {
		b.Run(fmt.Sprintf("%x", pattern), func(b *testing.B) {
			frame := "\x7e\xff\x03\xc0\x21" + strings.Repeat(pattern, octets/len(pattern))
			stream := []byte(strings.Repeat(frame, batch))
			buf := make([]byte, 2048)
			round := func(decode func(buf, src []byte) ([]byte, int)) func() {
				return func() {
					for s := stream; len(s) > 0; {
						_, n := decode(buf, s)
						s = s[n:]
					}
				}
			}
			var d Decoder
			l := loopDecoder{accm: d.ACCM()}
			race(b, octets, round(d.Decode), round(l.decode))
		})
	}
}

func BenchmarkFCS16(b *testing.B) {
	for _, octets := range []int{64, 1400} {
		b.Run(fmt.Sprintf("octets=%d", octets), func(b *testing.B) {
			frames := benchFrames(octets)
			var sum uint16
			round := func(fcs func(uint16, []byte) uint16) func() {
				return func() {
					for _, f := range frames {
						sum ^= fcs(InitFCS16, f)
					}
				}
			}
			race(b, octets, round(FCS16), round(tableFCS16))
			if sum != 0 { // each frame twice
				b.Fatal("not the same FCS")
			}
		})
	}
}

// TestRace: those who race do the same work.
func TestRace(t *testing.T) {
	buf, loopBuf := make([]byte, 2048), make([]byte, 2048)
	for _, accm := range []uint32{0, 0xffffffff} {
		var d Decoder
		d.SetACCM(accm)
		l := loopDecoder{accm: accm}
		for _, f := range benchFrames(100) {
			wire := AppendFrame(nil, f, Params{ACCM: accm})
			if got := loopEncode(nil, f, Params{ACCM: accm}); !bytes.Equal(got, wire) {
				t.Fatalf("the loop encodes\n     %x\nwant %x", got, wire)
			}
			got, n := d.Decode(buf, wire)
			loopGot, m := l.decode(loopBuf, wire)
			// The first flag is a frame of nothing to the loop.
			if !bytes.Equal(got, f) || !bytes.Equal(loopGot, f) || n != len(wire) || m != n {
				t.Fatalf("decoded\n %x\n %x", got, loopGot)
			}
		}
	}
}
