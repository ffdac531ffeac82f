package hdlc

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// cutBy returns a source of lengths: those in cuts, again and again.
func cutBy(cuts []byte) func() int {
	i := 0
	return func() int {
		if len(cuts) == 0 {
			return 1 << 30
		}
		i++
		return int(cuts[(i-1)%len(cuts)])
	}
}

// FuzzDecode: the frames and the counters are those of the reference, and do not
// depend on how the octets were cut.
func FuzzDecode(f *testing.F) {
	frame := AppendFrame(nil, []byte{0, 0x21, 0x45, 0, 0x11, 0x13, 0x7e}, Params{})
	f.Add(frame, []byte{1}, uint32(0), uint8(255))
	f.Add(AppendFrame(frame, cfgReq, Default), []byte{3, 1}, uint32(0xffffffff), uint8(8))
	f.Add([]byte("CONNECT 9600\r\n~\xff\x7d#\xc0!\x7d!\x7d!\x7d \x7d$\xd1\xb5~"), []byte{2, 7}, uint32(0xffffffff), uint8(64))
	f.Add([]byte("~\xff\x03\x21\x7d~\xff\xff~\xff\x04~~~\x7d\x7d\x7d"), []byte{1, 2}, uint32(0x000a0000), uint8(3))
	f.Fuzz(func(t *testing.T, stream, cuts []byte, accm uint32, size uint8) {
		if size == 0 || len(stream) > 1<<12 {
			return
		}
		want, count := refDecode(stream, accm, int(size))
		for name, next := range map[string]func() int{"whole": whole, "cut": cutBy(cuts)} {
			var d Decoder
			d.SetACCM(accm)
			got := decodeAll(t, &d, int(size), stream, next)
			if !slices.EqualFunc(got, want, bytes.Equal) {
				t.Errorf("%s: got %s, want %s", name, frameList(got), frameList(want))
			}
			if d.Counters != count {
				t.Errorf("%s: counters\n%s", name, cmp.Diff(count, d.Counters))
			}
		}
	})
}

// FuzzRoundTrip: what is encoded is decoded, and encoded as the reference does,
// with noise of the kind a line puts in, by whatever was negotiated.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte{0, 0x21, 0x45}, uint32(0), true, true, uint32(0), []byte{0x11})
	f.Add(cfgReq, uint32(0), true, true, uint32(0xffffffff), []byte{0, 1, 2})
	f.Add([]byte{0, 0xff, 0x03, 0x7d}, uint32(0x000a0000), true, true, uint32(0x000a0000), []byte{})
	f.Fuzz(func(t *testing.T, ppp []byte, accm uint32, pfc, acfc bool, recv uint32, noise []byte) {
		if len(ppp) < 2 || len(ppp) > 1<<12 || ppp[0]&1 == 1 || ppp[1]&1 == 0 {
			return // no Protocol field of RFC 1661
		}
		recv &= accm // LCP: a receiver discards only what it told the sender to escape
		p := Params{ACCM: accm, PFC: pfc, ACFC: acfc}

		stream := AppendFrame(nil, ppp, p)
		if want := refEncode(nil, ppp, p); !bytes.Equal(stream, want) {
			t.Fatalf("got  %x\nwant %x", stream, want)
		}
		if len(stream) > MaxEncoded(len(ppp)) {
			t.Fatalf("%d octets, MaxEncoded says %d", len(stream), MaxEncoded(len(ppp)))
		}
		stream = AppendFrame(stream, ppp, Default)

		// The line inserts control characters that the receiver's ACCM names.
		var noisy []byte
		inserted := uint64(0)
		for i, c := range stream {
			noisy = append(noisy, c)
			if len(noise) > 0 {
				// Behind an Address, 03 is the Control field.
				if x := noise[i%len(noise)] & 0x1f; recv>>x&1 == 1 && x != Control {
					noisy = append(noisy, x)
					inserted++
				}
			}
		}

		var d Decoder
		d.SetACCM(recv)
		got := decodeAll(t, &d, len(ppp)+2, noisy, whole)
		if !slices.EqualFunc(got, [][]byte{ppp, ppp}, bytes.Equal) {
			t.Fatalf("%+v: got %s, want %x twice", p, frameList(got), ppp)
		}
		if want := (Counters{Frames: 2, Discarded: inserted}); d.Counters != want {
			t.Fatalf("counters %+v, want %+v", d.Counters, want)
		}
	})
}

// ppps draws a PPP frame, rich in octets that framing cares about.
func ppps() *rapid.Generator[[]byte] {
	octet := rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte{0x7e, 0x7d, 0x5e, 0x5d, 0x00, 0x03, 0x11, 0x13, 0xff}))
	return rapid.Custom(func(t *rapid.T) []byte {
		b := rapid.SliceOfN(octet, 2, 200).Draw(t, "ppp")
		if rapid.Bool().Draw(t, "lcp") {
			b[0], b[1] = 0xc0, 0x21
		}
		b[0], b[1] = b[0]&^1, b[1]|1
		return b
	})
}

// TestManyFramesOnOneLine: whatever is sent back to back arrives, in order,
// however it is cut, while the parameters change from frame to frame.
func TestManyFramesOnOneLine(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		frames := rapid.SliceOfN(ppps(), 1, 8).Draw(rt, "frames")
		var stream []byte
		for _, f := range frames {
			stream = AppendFrame(stream, f, Params{
				ACCM: rapid.Uint32().Draw(rt, "accm"),
				PFC:  rapid.Bool().Draw(rt, "pfc"),
				ACFC: rapid.Bool().Draw(rt, "acfc"),
			})
		}
		cuts := rapid.SliceOfN(rapid.ByteRange(1, 40), 1, 10).Draw(rt, "cuts")
		var d Decoder
		d.SetACCM(0)
		got := decodeAll(t, &d, 256, stream, cutBy(cuts))
		if diff := cmp.Diff(frames, got); diff != "" {
			rt.Fatal(diff)
		}
	})
}
