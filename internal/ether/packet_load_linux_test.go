package ether_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"tributary/internal/ether"
	"tributary/internal/frame"
)

func TestPacketPortManyWriters(t *testing.T) {
	const writers, each = 8, 500
	w := newBench(t, ether.Options{ReceiveBuffer: 64 << 20})
	var run sync.WaitGroup
	for i := range writers {
		f := w.packet(session(macB, macA), []byte{byte(i), 0, 0})
		run.Go(func() {
			for range each {
				for at := 0; at == 0; {
					n, err := w.pa.WriteBatch([]*frame.Buf{f})
					if err != nil {
						t.Error(err)
						return
					}
					at += n
				}
			}
		})
	}
	run.Wait()
	var got [writers]int
	bufs := w.bufs(64)
	for total := 0; total < writers*each; {
		n, err := w.pb.ReadBatch(bufs)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range bufs[:n] {
			got[b.Bytes()[14]]++
		}
		total += n
	}
	for i, n := range got {
		if n != each {
			t.Errorf("writer %d: %d frames", i, n)
		}
	}
}

// A line slower than its sender: the frames that find no room in time are
// counted, and WriteBatch comes back.
func TestPacketPortOnASlowLink(t *testing.T) {
	for _, tt := range []struct {
		name  string
		queue int // octets
		opts  ether.Options
	}{
		{"its queue is full: ENOBUFS", 8 << 10, ether.Options{}},
		{"our share of its queue is full: EAGAIN", 64 << 20, ether.Options{SendBuffer: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newBench(t, tt.opts)
			w.a.Shape("eth0", 1<<20, tt.queue)
			batch := make([]*frame.Buf, 200)
			for i := range batch {
				batch[i] = w.packet(session(macB, macA), payload(1494))
			}
			n, err := w.pa.WriteBatch(batch)
			if err != nil || n == 0 || n == len(batch) {
				t.Fatalf("WriteBatch = %d, %v; want some of %d", n, err, len(batch))
			}
			c := w.pa.Counters()
			if int(c.TxFrames) != n || int(c.TxFrames+c.TxDropped) != len(batch) || int(c.TxOctets) != 1508*n {
				t.Errorf("%d taken, counters %+v", n, c)
			}
			bufs := w.bufs(64)
			for got := 0; got < n; {
				k, err := w.pb.ReadBatch(bufs)
				if err != nil {
					t.Fatal(err)
				}
				got += k
			}
		})
	}
}

func TestPacketPortRefusesFragments(t *testing.T) {
	w := newBench(t, ether.Options{})
	short, f := w.bufs(1)[0], w.packet(session(macB, macA), nil)
	short.SetBytes(payload(13))
	if n, err := w.pa.WriteBatch([]*frame.Buf{short, f}); n != 1 || err != nil {
		t.Errorf("WriteBatch of 13 octets and a frame = %d, %v", n, err)
	}
	w.wantFrame("a header alone is a frame", w.pb, f.Bytes())
	if c := w.pa.Counters(); c.TxDropped != 1 {
		t.Errorf("counters: %+v", c)
	}
}

func TestPacketPortAllocatesNothing(t *testing.T) { eachReceiver(t, testPacketPortAllocatesNothing) }

func testPacketPortAllocatesNothing(t *testing.T, opts ether.Options) {
	w := newBench(t, opts)
	batch := make([]*frame.Buf, 16)
	for i := range batch {
		batch[i] = w.packet(session(macB, macA, 100), payload(100))
	}
	bufs := w.bufs(64)
	allocs := testing.AllocsPerRun(200, func() {
		w.send(w.pa, batch...)
		for got := 0; got < len(batch); {
			n, err := w.pb.ReadBatch(bufs)
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
	})
	if allocs != 0 && !ether.RaceEnabled {
		t.Errorf("%v allocations for a batch sent and received", allocs)
	}
}

// BenchmarkPacketPort measures frames a second over a veth cable. Sending on
// veth carries the frame right into the other socket, so "send" is the cost of
// the whole path up to it, and "receive" is ReadBatch alone.
func BenchmarkPacketPort(b *testing.B) {
	for _, size := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			w := newBench(b, ether.Options{ReceiveBuffer: 64 << 20})
			batch := make([]*frame.Buf, size)
			for i := range batch {
				batch[i] = w.packet(session(macB, macA), payload(500))
			}
			bufs := w.bufs(size)
			b.ReportAllocs()
			runtime.GC()
			var sending, receiving time.Duration
			b.ResetTimer()
			for done := 0; done < b.N; {
				n := min(b.N-done, 4096)
				start := time.Now()
				for at := 0; at < n; at += size {
					w.send(w.pa, batch[:min(size, n-at)]...)
				}
				half := time.Now()
				for at := 0; at < n; {
					k, err := w.pb.ReadBatch(bufs)
					if err != nil {
						b.Fatal(err)
					}
					at += k
				}
				sending, receiving = sending+half.Sub(start), receiving+time.Since(half)
				done += n
			}
			b.ReportMetric(float64(b.N)/sending.Seconds(), "sent/s")
			b.ReportMetric(float64(b.N)/receiving.Seconds(), "received/s")
		})
	}
}
