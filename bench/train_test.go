//go:build linux

package main

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"tributary/hdlc"
	"tributary/internal/ether"
	"tributary/ppp"
)

var formats = map[string]format{
	"async":  async{},
	"record": record{size: meanRecord(64), payload: 64, hdr: ether.Header{Dst: acMAC, Src: userMAC, Type: ether.TypeSession}, sid: 1},
}

func testTrain(f format, base uint64) *train {
	return newTrain(f, 16, 64, base, rand.New(rand.NewPCG(1, base)))
}

// send is what a load does when it sends n frames.
func (r *returns) send(n int) []byte {
	a, b := r.train.frames(r.tally.sent, n)
	r.tally.sent += uint64(n)
	return slices.Concat(a, b)
}

func TestReturnsCountsWholeFramesHoweverTheyAreCut(t *testing.T) {
	for name, f := range formats {
		for cut := 1; cut < 300; cut += 7 {
			r := returns{train: testTrain(f, 0)}
			var have []byte
			for range 5 { // more than once round the circle
				for piece := range slices.Chunk(r.send(8), cut) {
					have = append(have, piece...)
					have = have[r.take(have):]
				}
			}
			if want := (tally{sent: 40, returned: 40}); r.tally != want {
				t.Fatalf("%s, cut every %d: %+v, want %+v", name, cut, r.tally, want)
			}
		}
	}
}

func TestReturnsSeesWhatWentWrong(t *testing.T) {
	for name, f := range formats {
		other := testTrain(f, 1<<32)
		step := func(what string, r *returns, octets []byte, want tally) {
			t.Helper()
			r.take(octets)
			if r.tally != want {
				t.Fatalf("%s: %s: %+v, want %+v", name, what, r.tally, want)
			}
		}
		r := &returns{train: testTrain(f, 0)}
		r.take(r.send(1))
		r.send(3)
		later := r.send(1)
		step("a frame that overtook three others", r, later, tally{sent: 5, returned: 2, lost: 3})
		step("the same frame once more", r, later, tally{sent: 5, returned: 2, lost: 3, strange: 1})
		first, _ := other.frames(0, 1)
		r.send(1)
		step("a frame of another line", r, first, tally{sent: 6, returned: 2, lost: 3, strange: 2})
		damaged := bytes.Clone(r.send(1))
		damaged[len(damaged)/2] ^= 0x40
		step("a damaged frame", r, damaged, tally{sent: 7, returned: 2, lost: 3, strange: 3})
		r.giveUp()
		if want := (tally{sent: 7, returned: 2, lost: 5, strange: 3}); r.tally != want || r.underWay() != 0 {
			t.Fatalf("%s: given up: %+v with %d under way", name, r.tally, r.underWay())
		}
	}
}

func TestReturnsTakesEscapesThatNobodyAskedFor(t *testing.T) {
	r := returns{train: newTrain(async{}, 4, 300, 0, rand.New(rand.NewPCG(3, 4)))}
	for k := range 4 {
		r.send(1)
		more := hdlc.AppendFrame(nil, r.train.ppp[k], hdlc.Params{ACCM: 0xffffffff})
		for i := range more[1:] { // 0xaa escaped, too
			if more[i+1] == 0xaa && more[i] != hdlc.Escape {
				more = slices.Replace(more, i+1, i+2, hdlc.Escape, 0xaa^0x20)
				break
			}
		}
		r.take(more)
	}
	if want := (tally{sent: 4, returned: 4}); r.tally != want {
		t.Errorf("%+v, want %+v", r.tally, want)
	}
}

func TestReturnsLeavesControlPacketsOut(t *testing.T) {
	r := returns{train: testTrain(async{}, 0)}
	r.send(1)
	r.take(hdlc.AppendFrame(nil, ppp.Packet{Code: ppp.ConfigureRequest, ID: 1}.AppendFrame(nil, ppp.ProtoLCP), hdlc.Default))
	if want := (tally{sent: 1, control: 1}); r.tally != want {
		t.Errorf("%+v, want %+v", r.tally, want)
	}
}
