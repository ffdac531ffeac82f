//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"

	"tributary/hdlc"
	"tributary/internal/ether"
	"tributary/ppp"
	"tributary/pppoe"
)

// Bounds of a payload: the number that each frame carries must fit in, and PPPoE's MRU.
const (
	numberLen  = 8
	minPayload = numberLen
	maxPayload = 1490
)

// format is how frames lie in the octets of a line.
type format interface {
	// append adds the frame with PPP frame p to dst.
	append(dst, p []byte) []byte
	// next finds the first whole frame in b: what has to come back as it was
	// sent is b[from:to], and the next frame is to be looked for from b[after]
	// on. If there is none, b[:from] is of no more use.
	next(b []byte) (from, to, after int, ok bool)
	// also is how else frame f may come back, and be as good.
	also(f []byte) []byte
	// ppp is the PPP frame in a frame that next found; nil if it is damaged.
	ppp(f []byte) []byte
}

// async is PPP in HDLC-like framing, everything escaped that RFC 1662 lets a
// peer ask for.
type async struct{}

func (async) append(dst, p []byte) []byte { return hdlc.AppendFrame(dst, p, hdlc.Default) }

func (async) next(b []byte) (from, to, after int, ok bool) {
	for from < len(b) && b[from] == hdlc.Flag {
		from++
	}
	n := bytes.IndexByte(b[from:], hdlc.Flag)
	if n < 0 {
		return from, from, from, false
	}
	// The closing flag may be the next frame's opening one.
	return from, from + n, from + n, true
}

// also has ff escaped behind the Address field, as rp-pppoe sends it.
func (async) also(f []byte) []byte {
	return append(f[:1:1], bytes.ReplaceAll(f[1:], []byte{0xff}, []byte{hdlc.Escape, 0xff ^ 0x20})...)
}

func (async) ppp(f []byte) []byte {
	var d hdlc.Decoder
	buf := make([]byte, 2048)
	rest := slices.Concat([]byte{hdlc.Flag}, f, []byte{hdlc.Flag})
	for len(rest) > 0 {
		p, n := d.Decode(buf, rest)
		if p != nil {
			return p
		}
		rest = rest[n:]
	}
	return nil
}

// record is the floor's format: an Ethernet frame, padded to a fixed size.
type record struct {
	size    int // octets, padding included
	payload int
	hdr     ether.Header
	sid     uint16
}

func (r record) append(dst, p []byte) []byte {
	at := len(dst)
	dst = r.hdr.Append(dst)
	var h [pppoe.HeaderLen]byte
	pppoe.PutHeader(h[:], pppoe.SessionStage, r.sid, len(p))
	dst = append(append(dst, h[:]...), p...)
	return append(dst, make([]byte, at+r.size-len(dst))...)
}

func (r record) next(b []byte) (from, to, after int, ok bool) {
	if len(b) < r.size {
		return 0, 0, 0, false
	}
	// The header comes back with its addresses swapped, the padding as anything.
	return ethOverhead, ethOverhead + 2 + r.payload, r.size, true
}

func (record) also(f []byte) []byte { return f }
func (record) ppp(f []byte) []byte  { return f }

// pppFrame is frame number n of a line: a network packet with random content.
func pppFrame(n uint64, payload int, rnd *rand.Rand) []byte {
	p := ppp.AppendProtocol(nil, ppp.ProtoIPv4)
	p = binary.BigEndian.AppendUint64(p, n)
	for len(p) < 2+payload {
		p = append(p, byte(rnd.Uint32()))
	}
	return p
}

func numberOf(p []byte) (uint64, bool) {
	proto, info, ok := ppp.Split(p)
	if !ok || proto != ppp.ProtoIPv4 || len(info) < numberLen {
		return 0, false
	}
	return binary.BigEndian.Uint64(info), true
}

// putNumber and number are the number in an Ethernet frame of the load's.
func putNumber(f []byte, n uint64) { binary.BigEndian.PutUint64(f[ethOverhead+2:], n) }
func number(f []byte) uint64       { return binary.BigEndian.Uint64(f[ethOverhead+2:]) }

// train is the frames that one line sends, made once and sent in a circle: so
// the load costs the machine little more than its system calls.
type train struct {
	format format
	wire   []byte
	start  []int    // where each frame begins in wire; one more for the end
	body   [][]byte // each frame as next finds it
	also   [][]byte // and as it may look as well
	ppp    [][]byte // what it carries
	base   uint64   // number of the first
}

// newTrain makes cars frames. Different lines have different bases, so that a
// frame which comes back on the wrong line is seen.
func newTrain(f format, cars, payload int, base uint64, rnd *rand.Rand) *train {
	t := &train{format: f, base: base}
	for i := range cars {
		t.start = append(t.start, len(t.wire))
		p := pppFrame(base+uint64(i), payload, rnd)
		t.ppp = append(t.ppp, p)
		t.wire = f.append(t.wire, p)
	}
	t.start = append(t.start, len(t.wire))
	b, at := t.wire, 0
	for {
		from, to, after, ok := f.next(b[at:])
		if !ok {
			break
		}
		body := b[at+from : at+to]
		t.body, t.also = append(t.body, body), append(t.also, f.also(body))
		at += after
	}
	return t
}

func (t *train) cars() int { return len(t.body) }

// frames is the octets of frames i to i+n, counted round the circle, in at most
// two pieces: up to the end, and from the start.
func (t *train) frames(i uint64, n int) (a, b []byte) {
	k := int(i % uint64(t.cars()))
	if k+n <= t.cars() {
		return t.wire[t.start[k]:t.start[k+n]], nil
	}
	return t.wire[t.start[k]:], t.wire[:t.start[k+n-t.cars()]]
}

// meanRecord is how long a frame of random payload is on an async line, on
// average: what the floor's records are padded to.
func meanRecord(payload int) int {
	const sample = 256
	rnd := rand.New(rand.NewPCG(1, 2))
	wire := newTrain(async{}, sample, payload, 0, rnd).wire
	return max(int(math.Round(float64(len(wire))/sample)), ethOverhead+2+payload)
}

// tally is what has become of a line's frames.
type tally struct {
	sent     uint64
	returned uint64
	lost     uint64 // did not come back, though later ones did, or nothing did any more
	strange  uint64 // came back damaged, twice, on the wrong line or too late
	control  uint64 // of PPP itself: not ours to count
}

func (t *tally) add(o tally) {
	t.sent += o.sent
	t.returned += o.returned
	t.lost += o.lost
	t.strange += o.strange
	t.control += o.control
}

func (t tally) minus(o tally) tally {
	return tally{t.sent - o.sent, t.returned - o.returned, t.lost - o.lost, t.strange - o.strange, t.control - o.control}
}

// returns keeps the account of one line: which frames are under way, and which
// of them have come back whole. A line keeps its order, so a frame that is
// overtaken by a later one is lost.
type returns struct {
	train  *train
	tally  tally
	expect uint64         // the next frame that ought to come back
	back   func(i uint64) // told of each frame that has, by its number; nil if nobody asks
}

func (r *returns) underWay() int { return int(r.tally.sent - r.expect) }

// take accounts for the whole frames in b and says how many octets these were.
func (r *returns) take(b []byte) (used int) {
	for {
		from, to, after, ok := r.train.format.next(b[used:])
		if !ok {
			return used + from
		}
		r.one(b[used+from : used+to])
		used += after
	}
}

func (r *returns) one(f []byte) {
	t := r.train
	cars := uint64(t.cars())
	if k := r.expect % cars; r.underWay() > 0 && (bytes.Equal(f, t.body[k]) || bytes.Equal(f, t.also[k])) {
		r.returned(r.expect)
		return
	}
	// Something is amiss, so this path may take its time.
	p := t.format.ppp(f)
	if proto, _, ok := ppp.Split(p); ok && !proto.IsData() {
		r.tally.control++
		return
	}
	n, ok := numberOf(p)
	n -= t.base
	if !ok || n >= cars || !bytes.Equal(p, t.ppp[n]) {
		r.tally.strange++
		return
	}
	skipped := (n + cars - r.expect%cars) % cars
	if skipped >= uint64(r.underWay()) {
		r.tally.strange++
		return
	}
	r.tally.lost += skipped
	r.returned(r.expect + skipped)
}

func (r *returns) returned(i uint64) {
	r.tally.returned++
	r.expect = i + 1
	if r.back != nil {
		r.back(i)
	}
}

// giveUp counts all that is under way as lost.
func (r *returns) giveUp() {
	r.tally.lost += uint64(r.underWay())
	r.expect = r.tally.sent
}
