package ether_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"tributary/internal/ether"
	"tributary/internal/frame"
)

// smallRing has 32 slots, the fewest there can be.
var smallRing = ether.Options{ReceiveBuffer: 64 << 10}

const smallSlots = 32

// wantCounters waits until p's counters are as cond says. What arrives, the kernel
// hands over in its own time; if that never comes, the test's time limit ends it.
func (w *bench) wantCounters(why string, p ether.Port, cond func(ether.Counters) bool) ether.Counters {
	w.tb.Helper()
	for {
		c := p.Counters()
		if cond(c) {
			return c
		}
		if w.tb.Context().Err() != nil {
			w.tb.Fatalf("%s: %+v", why, c)
		}
		runtime.Gosched()
	}
}

// Round and round: frames of every size, with and without tags, in lumps that the
// ring holds, read in batches of any size.
func TestRingGoesRound(t *testing.T) {
	w := newBench(t, smallRing)
	w.a.SetMTU("eth0", 1508) // two tags before a full payload
	w.b.SetMTU("eth0", 1508)
	random := rand.New(rand.NewPCG(1, 2))
	bufs := w.bufs(40)
	lump := w.bufs(smallSlots - 2)
	rounds := 400
	if ether.RaceEnabled {
		rounds = 100
	}
	var want [][]byte
	sent := uint32(0)
	for range rounds {
		want = want[:0]
		n := 1 + random.IntN(len(lump))
		for _, b := range lump[:n] {
			b.Reset(frame.Headroom)
			h := session(macB, macA, [][]uint16{nil, {100}, {100, 7}}[random.IntN(3)]...)
			size := []int{0, 1, 4, 46, 1494, 1500, random.IntN(1501)}[random.IntN(7)]
			if h.VLANs.Len() > 0 {
				size = max(size, 2) // the kernel throws a tag away that has less behind it
			}
			b.SetBytes(payload(size))
			if size >= 4 {
				binary.BigEndian.PutUint32(b.Bytes(), sent) // so that no two are the same
			}
			sent++
			if random.IntN(2) == 0 && h.VLANs.Len() > 0 {
				h.TPIDs[0] = ether.TypeQinQ
			}
			if !ether.Prepend(b, &h) {
				t.Fatal("frame does not fit")
			}
			want = append(want, bytes.Clone(b.Bytes()))
		}
		w.send(w.pa, lump[:n]...)
		for len(want) > 0 {
			got, err := w.pb.ReadBatch(bufs[:1+random.IntN(len(bufs))])
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range bufs[:got] {
				if !bytes.Equal(b.Bytes(), want[0]) {
					t.Fatalf("frame of %d octets:\n got %x\nwant %x", len(want[0]), b.Bytes(), want[0])
				}
				want = want[1:]
			}
		}
	}
	if sent < 10*smallSlots {
		t.Fatalf("%d frames do not go round often", sent)
	}
	if c := w.pb.Counters(); c.RxFrames != uint64(sent) || c.RxDropped != 0 || c.RxTruncated != 0 {
		t.Errorf("counters after %d frames: %+v", sent, c)
	}
}

// What comes while the ring is full is dropped and counted; what comes once it has
// been read arrives, and wakes the reader.
func TestRingThatIsFull(t *testing.T) {
	w := newBench(t, smallRing)
	mark := func(i int) *frame.Buf {
		return w.packet(session(macB, macA), binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
	var batch []*frame.Buf
	for i := range 100 {
		batch = append(batch, mark(i))
	}
	bufs := w.bufs(100)
	for round := range 5 {
		w.send(w.pa, batch...)
		dropped := uint64((round + 1) * (len(batch) - smallSlots))
		w.wantCounters("what found the ring full is counted", w.pb, func(c ether.Counters) bool { return c.RxDropped >= dropped })
		for got := 0; got < smallSlots; {
			n, err := w.pb.ReadBatch(bufs)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range bufs[:n] {
				if i := binary.BigEndian.Uint32(b.Bytes()[14:]); i != uint32(got) {
					t.Fatalf("round %d: frame %d in the place of %d: the first ones stay", round, i, got)
				}
				got++
			}
		}
		// The reader waits already, or will: either way it must have this one.
		read := make(chan error, 1)
		go func() { _, err := w.pb.ReadBatch(bufs[:1]); read <- err }()
		next := mark(1000 + round)
		w.send(w.pa, next)
		if err := <-read; err != nil || !bytes.Equal(bufs[0].Bytes(), next.Bytes()) {
			t.Fatalf("round %d: after the ring was read: %x, %v", round, bufs[0].Bytes(), err)
		}
		c := w.pb.Counters()
		if c.RxDropped != dropped || c.RxFrames != uint64((round+1)*(smallSlots+1)) {
			t.Fatalf("round %d: counters %+v, want %d dropped", round, c, dropped)
		}
	}
}

// Jumbo frames with nothing behind them: they are counted when they come, and the
// ring goes on however many they are.
func TestJumboFramesAloneAreCounted(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts ether.Options
	}{
		{"ring", smallRing},
		{"messages", ether.Options{Messages: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newBench(t, tt.opts)
			w.a.SetMTU("eth0", 9000)
			w.b.SetMTU("eth0", 9000)
			jumbo := append(append(append([]byte{}, macB[:]...), macA[:]...), 0x88, 0x64)
			jumbo = append(jumbo, payload(4000)...)
			type read struct {
				n   int
				err error
			}
			reads := make(chan read, 1)
			bufs := w.bufs(8)
			go func() { n, err := w.pb.ReadBatch(bufs); reads <- read{n, err} }()
			jumbos := uint64(0)
			for _, burst := range []int{1, 2, smallSlots / 2, smallSlots / 2, smallSlots / 2} {
				w.a.Inject("eth0", slices.Repeat([][]byte{jumbo}, burst)...)
				jumbos += uint64(burst)
				w.wantCounters("a frame that no buffer holds is counted", w.pb,
					func(c ether.Counters) bool { return c.RxTruncated == jumbos })
			}
			f := w.packet(session(macB, macA), payload(20))
			w.send(w.pa, f)
			if r := <-reads; r.n != 1 || r.err != nil || !bytes.Equal(bufs[0].Bytes(), f.Bytes()) {
				t.Fatalf("behind them: ReadBatch = %d, %v, %x", r.n, r.err, bufs[0].Bytes())
			}
			if c := w.pb.Counters(); c.RxTruncated != jumbos || c.RxFrames != 1 || c.RxDropped != 0 {
				t.Errorf("counters: %+v", c)
			}
		})
	}
}

// Close takes the ring's memory away, and whoever copies from it must be out by
// then: else this ends in a fault, not in a failed test.
func TestCloseWhileReading(t *testing.T) {
	eachReceiver(t, func(t *testing.T, opts ether.Options) {
		opts.ReceiveBuffer = smallRing.ReceiveBuffer
		w := newBench(t, opts)
		w.pb.Close()
		var stop atomic.Bool
		var sending sync.WaitGroup
		batch := make([]*frame.Buf, 32)
		for i := range batch {
			batch[i] = w.packet(session(macB, macA), payload(1494))
		}
		sending.Go(func() {
			for !stop.Load() {
				if _, err := w.pa.WriteBatch(batch); err != nil {
					t.Error(err)
					return
				}
			}
		})
		random := rand.New(rand.NewPCG(3, 4))
		bufs := w.bufs(64)
		for range 15 {
			p := w.open(w.b, "eth0", opts)
			var read atomic.Int64
			var run sync.WaitGroup
			run.Go(func() {
				for {
					n, err := p.ReadBatch(bufs)
					if err != nil {
						if err != ether.ErrClosed {
							t.Errorf("ReadBatch = %v", err)
						}
						break
					}
					read.Add(int64(n))
				}
				if n, err := p.ReadBatch(bufs); n != 0 || err != ether.ErrClosed {
					t.Errorf("ReadBatch after Close = %d, %v", n, err)
				}
			})
			for enough := random.Int64N(200); read.Load() < enough; {
				runtime.Gosched()
			}
			for range 2 { // two at once: the memory goes once
				run.Go(func() {
					if err := p.Close(); err != nil {
						t.Errorf("Close = %v", err)
					}
				})
			}
			run.Go(func() { p.Counters(); p.MTU() })
			run.Wait()
		}
		stop.Store(true)
		sending.Wait()
	})
}

// A read takes as many as there is room for, so that a full one says that more wait.
func TestFullBatches(t *testing.T) {
	eachReceiver(t, func(t *testing.T, opts ether.Options) {
		w := newBench(t, opts)
		f := w.packet(session(macB, macA), payload(40))
		for range 300 {
			w.send(w.pa, f)
		}
		w.wantCounters("all are sent", w.pa, func(c ether.Counters) bool { return c.TxFrames == 300 })
		for left := 300; left > 0; {
			n, err := w.pb.ReadBatch(w.bufs(128))
			if err != nil || n != min(left, 128) {
				t.Fatalf("%d frames wait, there is room for 128: %d, %v", left, n, err)
			}
			left -= n
		}
	})
}
