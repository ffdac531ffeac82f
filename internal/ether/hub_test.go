package ether

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"tributary/internal/frame"
	"tributary/pppoe"
)

// table is a hub with ports p1, p2, p3 of addresses mac1, mac2, mac3.
type table struct {
	t    testing.TB
	hub  *Hub
	pool *frame.Pool
	port [4]*HubPort // from 1
}

var mac3 = pppoe.MAC{2, 0, 0, 0, 0, 3}

func newTable(t testing.TB) *table {
	tb := &table{t: t, hub: NewHub(), pool: frame.NewPool(10000)}
	for i, mac := range []pppoe.MAC{mac1, mac2, mac3} {
		tb.port[i+1] = tb.hub.Port(fmt.Sprintf("p%d", i+1), mac, tb.pool)
	}
	t.Cleanup(func() {
		for _, p := range tb.port[1:] {
			p.Close()
		}
		if n := tb.pool.InUse(); n != 0 {
			t.Errorf("%d buffers were not put back", n)
		}
	})
	return tb
}

// send sends one frame with text as its payload.
func (tb *table) send(p Port, dst pppoe.MAC, text string) {
	tb.t.Helper()
	b := tb.packet(dst, p.MAC(), text)
	defer b.Put()
	if _, err := p.WriteBatch([]*frame.Buf{b}); err != nil {
		tb.t.Fatalf("WriteBatch: %v", err)
	}
}

func (tb *table) packet(dst, src pppoe.MAC, text string) *frame.Buf {
	b := tb.pool.Get()
	if b == nil || !b.SetBytes([]byte(text)) || !Prepend(b, &Header{Dst: dst, Src: src, Type: TypeSession}) {
		tb.t.Fatal("no buffer for a frame")
	}
	return b
}

// want reads exactly these payloads.
func (tb *table) want(why string, p Port, texts ...string) {
	tb.t.Helper()
	for _, text := range texts {
		bufs := []*frame.Buf{tb.pool.Get()}
		n, err := p.ReadBatch(bufs)
		if err != nil || n != 1 {
			tb.t.Fatalf("%s: ReadBatch = %d, %v", why, n, err)
		}
		_, payload, _ := Parse(bufs[0].Bytes())
		if string(payload) != text {
			tb.t.Errorf("%s: got %q, want %q", why, payload, text)
		}
		bufs[0].Put()
	}
}

func TestHubDelivers(t *testing.T) {
	tb := newTable(t)
	p := tb.port
	tb.send(p[1], mac2, "to 2")
	tb.send(p[1], pppoe.Broadcast, "to all")
	tb.send(p[2], mac3, "to 3")
	tb.send(p[2], mac1, "end")
	tb.want("unicast and broadcast", p[2], "to 2", "to all")
	tb.want("not what was for 2", p[3], "to all", "to 3")
	tb.want("not its own broadcast", p[1], "end")

	tb.send(p[1], pppoe.MAC{2, 9}, "to nobody")
	if c := p[1].Counters(); c.TxFrames != 3 || c.TxDropped != 0 {
		t.Errorf("a switch takes what it cannot deliver: %+v", c)
	}
	if c := p[2].Counters(); c.RxFrames != 2 || c.RxOctets != 2*HeaderLen+4+6 {
		t.Errorf("counters of 2: %+v", c)
	}
}

func TestHubAddresses(t *testing.T) {
	tb := newTable(t)
	p, extra := tb.port, pppoe.MAC{2, 9}
	for range 2 {
		if err := p[2].AddMAC(extra); err != nil {
			t.Fatal(err)
		}
	}
	if err := p[2].DelMAC(extra); err != nil {
		t.Fatal(err)
	}
	tb.send(p[1], extra, "added twice, deleted once")
	if err := p[2].DelMAC(extra); err != nil {
		t.Fatal(err)
	}
	tb.send(p[1], extra, "deleted")
	if err := p[3].AddMAC(mac2); err != nil { // a duplicate address, as may happen in the field
		t.Fatal(err)
	}
	p[3].SetPromiscuous(true)
	tb.send(p[1], mac2, "last")
	tb.send(p[2], mac1, "overheard")
	tb.want("the address was still there", p[2], "added twice, deleted once", "last")
	tb.want("once, although it is promiscuous too", p[3], "last", "overheard")
	p[3].SetPromiscuous(false)
	for name, err := range map[string]error{
		"DelMAC of an unknown address": p[2].DelMAC(extra), "AddMAC of a group": p[2].AddMAC(pppoe.Broadcast), "AddMAC of zero": p[2].AddMAC(pppoe.MAC{}),
	} {
		var ie *InterfaceError
		if !errors.As(err, &ie) || ie.Interface != "p2" {
			t.Errorf("%s = %v", name, err)
		}
	}
}

func TestHubMedium(t *testing.T) {
	tb := newTable(t)
	p := tb.port
	p[1].SetMTU(1508)
	p[2].SetMTU(100)
	if p[1].MTU() != 1508 || p[1].MAC() != mac1 || p[1].Name() != "p1" {
		t.Errorf("port says %d, %v, %s", p[1].MTU(), p[1].MAC(), p[1].Name())
	}
	tb.send(p[1], mac3, string(make([]byte, 1508)))
	tb.send(p[1], mac3, string(make([]byte, 1509)))
	if c := p[1].Counters(); c.TxFrames != 1 || c.TxDropped != 1 {
		t.Errorf("MTU 1508: %+v", c)
	}
	p[2].SetUp(false)
	tb.send(p[2], mac1, "unplugged")
	tb.send(p[1], mac2, "to unplugged")
	if c := p[2].Counters(); c.TxDropped != 1 || c.RxDropped != 1 {
		t.Errorf("unplugged: %+v", c)
	}
	p[2].SetUp(true)
	tb.send(p[1], mac2, "plugged in")
	tb.want("only what came after", p[2], "plugged in")

	short := tb.pool.Get()
	defer short.Put()
	if n, err := p[1].WriteBatch([]*frame.Buf{short}); n != 0 || err != nil {
		t.Errorf("WriteBatch of an empty frame = %d, %v", n, err)
	}
}

// A reader that does not read costs at most its queue.
func TestHubIsBounded(t *testing.T) {
	tb := newTable(t)
	b := tb.packet(mac2, mac1, "x")
	defer b.Put()
	for range 5000 {
		if _, err := tb.port[1].WriteBatch([]*frame.Buf{b}); err != nil {
			t.Fatal(err)
		}
	}
	if n := tb.pool.InUse(); n != hubQueue+1 {
		t.Errorf("%d buffers in use, want the queue's bound", n)
	}
	if c := tb.port[2].Counters(); c.RxDropped != 5000-hubQueue {
		t.Errorf("counters: %+v", c)
	}
	// So does a pool at its cap.
	small := tb.hub.Port("small", pppoe.MAC{2, 8}, frame.NewPool(3))
	defer small.Close()
	for range 5 {
		tb.send(tb.port[1], small.MAC(), "y")
	}
	if c := small.Counters(); c.RxDropped != 2 {
		t.Errorf("counters with a pool of 3: %+v", c)
	}
}

func TestHubPortClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb := newTable(t)
		p := tb.port
		done := make(chan error)
		go func() { _, err := p[2].ReadBatch(make([]*frame.Buf, 1)); done <- err }()
		synctest.Wait() // it waits, durably: the bubble's clock can move
		p[2].Close()
		if err := <-done; err != ErrClosed {
			t.Errorf("ReadBatch = %v", err)
		}
		b := tb.packet(mac1, mac2, "x")
		defer b.Put()
		_, werr := p[2].WriteBatch([]*frame.Buf{b})
		for name, err := range map[string]error{
			"WriteBatch": werr, "AddMAC": p[2].AddMAC(mac2), "DelMAC": p[2].DelMAC(mac2),
		} {
			if err != ErrClosed {
				t.Errorf("%s after Close = %v", name, err)
			}
		}
		if err := p[2].Close(); err != nil {
			t.Errorf("second Close = %v", err)
		}
		tb.send(p[1], mac2, "to a port that is gone")
		tb.send(p[1], pppoe.Broadcast, "to the others")
		tb.want("the others go on", p[3], "to the others")
	})
}

func TestHubManyAtOnce(t *testing.T) {
	tb := newTable(t)
	const each = 1000
	var run sync.WaitGroup
	for _, to := range []pppoe.MAC{mac2, mac3} {
		for range 2 {
			b := tb.packet(to, mac1, "x")
			run.Go(func() {
				defer b.Put()
				for range each {
					if _, err := tb.port[1].WriteBatch([]*frame.Buf{b}); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	for _, p := range tb.port[2:] {
		run.Go(func() {
			var bufs [16]*frame.Buf
			for got := 0; got < 2*each; {
				n, err := p.ReadBatch(bufs[:])
				if err != nil {
					t.Error(err)
					return
				}
				got += n
			}
			for _, b := range bufs {
				b.Put()
			}
		})
	}
	run.Go(func() {
		for i := range 100 {
			mac := pppoe.MAC{2, 1, byte(i)}
			if err := errors.Join(tb.port[3].AddMAC(mac), tb.port[3].DelMAC(mac)); err != nil {
				t.Error(err)
			}
		}
	})
	run.Wait()
}

func TestHubAllocatesNothing(t *testing.T) {
	tb := newTable(t)
	b := tb.packet(mac2, mac1, "x")
	defer b.Put()
	batch, bufs := []*frame.Buf{b, b, b, b}, make([]*frame.Buf, 4)
	if n := testing.AllocsPerRun(200, func() {
		if n, err := tb.port[1].WriteBatch(batch); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		if n, err := tb.port[2].ReadBatch(bufs); n != 4 || err != nil {
			t.Fatal(n, err)
		}
	}); n != 0 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
	for _, b := range bufs {
		b.Put()
	}
}

func BenchmarkHub(b *testing.B) {
	tb := newTable(b)
	buf := tb.packet(mac2, mac1, string(make([]byte, 1492)))
	defer buf.Put()
	batch := make([]*frame.Buf, 16)
	for i := range batch {
		batch[i] = buf
	}
	bufs := make([]*frame.Buf, 16)
	b.ReportAllocs()
	for done := 0; done < b.N; done += len(batch) {
		if _, err := tb.port[1].WriteBatch(batch); err != nil {
			b.Fatal(err)
		}
		if _, err := tb.port[2].ReadBatch(bufs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
	for _, b := range bufs {
		b.Put()
	}
}
