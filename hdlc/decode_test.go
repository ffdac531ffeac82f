package hdlc

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cfgReq is an LCP Configure-Request without options, as Decode gives it.
var cfgReq = []byte{0xc0, 0x21, 1, 1, 0, 4}

func TestDecode(t *testing.T) {
	const none, xonxoff = 0, 0x000a0000
	lcp := "7e ff 7d23 c0 21 7d21 7d21 7d20 7d24 d1 b5 7e"
	var dense string // every octet escaped, 5d too, which gives 7d 7d
	for _, c := range withFCS(append([]byte{0x21}, bytes.Repeat([]byte{0x5d}, 20)...)) {
		dense += hexOf([]byte{Escape, c ^ 0x20})
	}
	long := line(withFCS(append(bytes.Repeat([]byte{0, 0x21}, 20), "too long for the buffer"...)), none)

	for _, tt := range []struct {
		why    string
		accm   uint32
		stream string
		want   []string
		count  Counters
	}{
		{
			"a Configure-Request as every peer sends it first",
			0xffffffff, lcp, []string{"c02101010004"}, Counters{Frames: 1},
		},
		{
			"its Control field not escaped, though the ACCM names 03: rp-pppoe and others do that",
			0xffffffff, "7e ff 03 c0 21 7d21 7d21 7d20 7d24 d1 b5 7e", []string{"c02101010004"}, Counters{Frames: 1},
		},
		{
			"every octet escaped that can be, though nobody asked for it",
			none, "7e 7ddf 7d23 7de0 7d01 7d21 7d21 7d20 7d24 7df1 7d95 7e", []string{"c02101010004"}, Counters{Frames: 1},
		},
		{
			"7d 7d over and over is an escaped 5d, and neither an abort nor two escapes",
			none, "7e" + dense + "7e" + lcp, []string{"0021" + hexOf(bytes.Repeat([]byte{0x5d}, 20)), "c02101010004"}, Counters{Frames: 2},
		},
		{
			"two frames share the flag between them",
			none, "7e 21 45 00 11 13 11 72 7e 21 45 00 11 13 11 72 7e", []string{"002145001113", "002145001113"}, Counters{Frames: 2},
		},
		{
			"time fill between frames is silent",
			none, "7e7e7e 21 45 00 11 13 11 72 7e7e7e7e", []string{"002145001113"}, Counters{Frames: 1},
		},
		{
			"PFC without ACFC, ACFC without PFC, and neither, negotiated or not",
			none, "7e ff 03 21 dc 1a 7e ff 03 0021 e3 e6 7e 0021 55 0ff9 7e",
			[]string{"0021", "0021", "002155"}, Counters{Frames: 3},
		},
		{
			"XON and XOFF that the line put in are taken out, also inside an escape",
			xonxoff, "7e 11 21 13 45 00 7d13 31 7d33 7d31 11 72 7e", []string{"002145001113"}, Counters{Frames: 1, Discarded: 4},
		},
		{
			"and belong to the frame where the ACCM does not name them",
			none, "7e 21 45 00 11 13 11 72 7e", []string{"002145001113"}, Counters{Frames: 1},
		},
		{
			"modem chatter before the first flag costs a counter and no frame",
			0xffffffff, "0d0a 434f4e4e454354203131353230300d0a" + lcp, []string{"c02101010004"}, Counters{Frames: 1, Noise: 18},
		},
		{
			"chatter between frames is one bad frame, and the next is good",
			0xffffffff, lcp + "0d0a4e4f20434152524945520d0a" + lcp,
			[]string{"c02101010004", "c02101010004"}, Counters{Frames: 2, BadFCS: 1, Discarded: 4},
		},
		{
			"one flipped bit",
			none, "7e 21 45 00 11 12 11 72 7e", nil, Counters{BadFCS: 1},
		},
		{
			"an abort, which is no FCS error, also where the frame was good so far",
			none, "7e 21 45 00 11 13 11 72 7d 7e 21 45 00 11 13 11 72 7e", []string{"002145001113"}, Counters{Frames: 1, Aborted: 1},
		},
		{
			"an abort of nothing, of an Address, of Address and Control",
			none, "7e 7d7e ff7d7e ff037d7e", nil, Counters{Aborted: 3},
		},
		{
			"one octet, two, three: short, even if the FCS would be good",
			none, "7e 21 7e ff 7e ff03 7e 2145 7e 21 f3 c0 7e", nil, Counters{Short: 5},
		},
		{
			"a frame of Address and Control alone",
			none, "7e ff03 1c c2 7e", nil, Counters{BadProtocol: 1},
		},
		{
			"the longest that fits is not cut off; one octet more is, once, up to its flag",
			none, hexOf(line(withFCS(append([]byte{0, 0x21}, bytes.Repeat([]byte{0x40}, 28)...)), none)) +
				hexOf(line(withFCS(append([]byte{0, 0x21}, bytes.Repeat([]byte{0x40}, 29)...)), none)) +
				hexOf(long) + "21 45 00 11 13 11 72 7e",
			[]string{"0021" + hexOf(bytes.Repeat([]byte{0x40}, 28)), "002145001113"}, Counters{Frames: 2, Oversize: 2},
		},
		{
			"a frame that is skipped may hold escapes and aborts; they count for nothing",
			none, hexOf(long[:len(long)-1]) + "7d7d 11 7d 7e" + lcp, []string{"c02101010004"}, Counters{Frames: 1, Oversize: 1},
		},
		{
			"noise with no flag in it",
			none, "ff 03 c0 21 00 11 22 33", nil, Counters{Noise: 8},
		},
	} {
		stream := unhex(t, tt.stream)
		for name, next := range map[string]func() int{"whole": whole, "octet by octet": func() int { return 1 }} {
			var d Decoder
			d.SetACCM(tt.accm)
			got := decodeAll(t, &d, 32, stream, next)
			var want [][]byte
			for _, w := range tt.want {
				want = append(want, unhex(t, w))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s: got %s\n%s", tt.why, name, frameList(got), diff)
			}
			if diff := cmp.Diff(tt.count, d.Counters); diff != "" {
				t.Errorf("%s, %s: counters\n%s", tt.why, name, diff)
			}
		}
	}
}

func TestDecodeBadProtocol(t *testing.T) {
	for _, tt := range []struct{ why, octets string }{
		{"the second octet even: no end of the Protocol field", "ff03 0020 55"},
		{"the same without Address and Control", "0020 55"},
		{"an Address, and no Control behind it", "ff04 0021 55"},
		{"an Address twice", "ffff 0021 55"},
	} {
		var d Decoder
		got := decodeAll(t, &d, 32, line(withFCS(unhex(t, tt.octets)), 0xffffffff), whole)
		if len(got) != 0 || d.Counters != (Counters{BadProtocol: 1}) {
			t.Errorf("%s: %s, %+v", tt.why, frameList(got), d.Counters)
		}
	}
}

func TestDecodeZeroValueHasDefaultACCM(t *testing.T) {
	var d Decoder
	if d.ACCM() != 0xffffffff {
		t.Errorf("ACCM = %08x before anything is set", d.ACCM())
	}
	d.SetACCM(0x000a0000)
	if d.ACCM() != 0x000a0000 {
		t.Errorf("ACCM = %08x, want what was set", d.ACCM())
	}
}

// TestDecodeChangesACCMInMidFrame: LCP may set a new ACCM while the peer, who
// knows already, has begun to send by it.
func TestDecodeChangesACCMInMidFrame(t *testing.T) {
	var d Decoder
	buf := make([]byte, 32)
	stream := unhex(t, "7e 21 45 00 11 13 11 72 7e")
	if f, n := d.Decode(buf, stream[:3]); f != nil || n != 3 {
		t.Fatalf("half a frame gives %x, %d", f, n)
	}
	d.SetACCM(0)
	f, n := d.Decode(buf, stream[3:])
	if want := unhex(t, "002145001113"); !bytes.Equal(f, want) || n != 6 {
		t.Errorf("the rest gives %x, %d, want %x", f, n, want)
	}
}

// TestDecodeWithoutBuffer is how an idle line holds no memory.
func TestDecodeWithoutBuffer(t *testing.T) {
	var d Decoder
	step := func(why string, src string, wantN int) []byte {
		t.Helper()
		b := unhex(t, src)
		f, n := d.Decode(nil, b)
		if f != nil || n != wantN || d.Partial() {
			t.Fatalf("%s: frame %x, took %d, partial %v; want %d taken", why, f, n, d.Partial(), wantN)
		}
		return b[n:]
	}
	step("chatter needs no room", "0d0a4f4b0d0a", 6)
	step("nor do flags and what the line puts between them", "7e7e 11 13 7e", 5)
	step("nor Address and Control, in two pieces", "ff 7d", 2)
	rest := step("the Protocol field is the first that does", "23 c0 21 7d21 7d21 7d20 7d24 d1 b5 7e", 1)

	buf := make([]byte, 32)
	f, n := d.Decode(buf, rest)
	if !bytes.Equal(f, cfgReq) || n != len(rest) {
		t.Errorf("with a buffer the frame goes on where it stopped: %x, %d", f, n)
	}

	rest = step("an escaped first octet", "7d5d 7d5d", 1)
	d.Skip()
	rest = step("no buffer to be had: Skip goes on to the next flag", hexOf(rest)+"ff03c021 7d 7e", 9)
	if len(rest) != 0 || d.Counters != (Counters{Frames: 1, Discarded: 2, Noise: 6}) {
		t.Errorf("counters %+v", d.Counters)
	}
	rest = step("one that no Address comes before", "21 45", 0)
	d.Skip()
	step("is skipped as well", hexOf(rest)+"7e", 3)
	d.Skip() // between frames it does nothing
	if f, _ := d.Decode(buf, unhex(t, "ff 7d23 c0 21 7d21 7d21 7d20 7d24 d1 b5 7e")); !bytes.Equal(f, cfgReq) {
		t.Errorf("the frame behind a skipped one: %x", f)
	}
}

// TestDecodeWithoutItsBuffer breaks Decode's contract. One frame is lost.
func TestDecodeWithoutItsBuffer(t *testing.T) {
	frame := unhex(t, "7e 21 45 00 11 13 11 72 7e")
	for _, size := range []int{0, 1, 3} {
		for cut := 2; cut < len(frame); cut++ {
			var d Decoder
			d.SetACCM(0)
			big, small := make([]byte, 32), make([]byte, size)
			d.Decode(big, frame[:cut])
			for b := frame[cut:]; len(b) > 0; {
				f, n := d.Decode(small, b)
				if f != nil || n == 0 {
					t.Fatalf("cut at %d: %x, %d", cut, f, n)
				}
				b = b[n:]
			}
			if d.Counters != (Counters{Oversize: 1}) {
				t.Errorf("cut at %d, %d octets of buffer: %+v", cut, size, d.Counters)
			}
			if f, _ := d.Decode(big, frame); !bytes.Equal(f, unhex(t, "002145001113")) {
				t.Errorf("cut at %d: the next frame is %x", cut, f)
			}
		}
	}
}

func TestDecodeTinyBuffers(t *testing.T) {
	frame := unhex(t, "7e 21 45 00 11 13 11 72 7e 7e ff ff 01 02 03 7e")
	for size := 1; size < 8; size++ {
		var d Decoder
		d.SetACCM(0)
		got := decodeAll(t, &d, size, frame, whole)
		want := Counters{Oversize: 2}
		if size >= 5 {
			want = Counters{Oversize: 1, BadFCS: 1}
		}
		if len(got) != 0 || d.Counters != want {
			t.Errorf("%d octets: %s, %+v, want %+v", size, frameList(got), d.Counters, want)
		}
	}
}

func TestDecodeDoesNotAllocate(t *testing.T) {
	ppp := append([]byte{0, 0x21}, bytes.Repeat([]byte{0x11, 0x7e, 0x40}, 500)...)
	stream := AppendFrame(AppendFrame(nil, ppp, Default), ppp, Params{PFC: true, ACFC: true})
	stream = append(stream, unhex(t, "ff0400215501027e")...)
	buf := make([]byte, 1600)
	var d Decoder
	if n := testing.AllocsPerRun(100, func() {
		for b := stream; len(b) > 0; {
			_, n := d.Decode(buf, b)
			b = b[n:]
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
