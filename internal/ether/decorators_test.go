package ether

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tributary/internal/frame"
	"tributary/pppoe"
)

// notes is a Recorder that keeps "in TEXT" and "out TEXT".
type notes []string

func (n *notes) Record(outbound bool, f []byte, comment string) {
	_, payload, _ := Parse(f)
	*n = append(*n, map[bool]string{false: "in ", true: "out "}[outbound]+string(payload)+comment)
}

func TestTap(t *testing.T) {
	tb := newTable(t)
	tap := NewTap(tb.port[1])
	var first, second notes
	tb.send(tap, mac2, "before")
	tap.Attach(&first)
	tb.send(tap, mac2, "hello")
	tb.send(tb.port[2], mac1, "answer")
	tb.want("through the tap", tap, "answer")
	tap.Attach(&second)
	tb.send(tap, mac2, "again")
	tap.Detach()
	tb.send(tap, mac2, "after")
	tap.Attach(nil)
	tb.send(tap, mac2, "and after")
	tb.want("the tap changes nothing", tb.port[2], "before", "hello", "again", "after", "and after")
	if d := cmp.Diff(notes{"out hello", "in answer"}, first) + cmp.Diff(notes{"out again"}, second); d != "" {
		t.Error(d)
	}
}

// faulty is a table whose port 1 is behind faults.
func faulty(t testing.TB, seed uint64, rx, tx Faults) (*table, *Faulty) {
	tb := newTable(t)
	f := NewFaulty(tb.port[1], tb.pool, seed, rx, tx)
	t.Cleanup(func() { f.Close() })
	return tb, f
}

// run sends n numbered frames through a Faulty, a millisecond apart, and returns
// what arrives, with its time.
func run(t *testing.T, seed uint64, n int, outbound bool, faults Faults) (arrived []string, counts FaultCounters) {
	synctest.Test(t, func(t *testing.T) {
		var rx, tx Faults
		if outbound {
			tx = faults
		} else {
			rx = faults
		}
		tb, f := faulty(t, seed, rx, tx)
		from, to := Port(tb.port[2]), Port(f)
		if outbound {
			from, to = to, from
		}
		start := time.Now()
		done := make(chan bool)
		go func() {
			defer close(done)
			bufs := make([]*frame.Buf, 8)
			for {
				n, err := to.ReadBatch(bufs)
				if err != nil {
					for _, b := range bufs {
						b.Put()
					}
					return
				}
				for _, b := range bufs[:n] {
					_, payload, _ := Parse(b.Bytes())
					arrived = append(arrived, fmt.Sprintf("%v %x", time.Since(start), payload))
				}
			}
		}()
		for i := range n {
			tb.send(from, to.MAC(), string([]byte{byte(i >> 8), byte(i)}))
			time.Sleep(time.Millisecond) // of the bubble's clock
		}
		time.Sleep(time.Second)
		rxc, txc := f.FaultCounters()
		counts = rxc
		if outbound {
			counts = txc
		}
		f.Close()
		tb.port[2].Close()
		<-done
	})
	return arrived, counts
}

func TestFaultsAreRepeatable(t *testing.T) {
	bad := Faults{Loss: .1, Duplicate: .1, Corrupt: .1, Reorder: .1, ReorderBy: 3500 * time.Microsecond, Delay: 10*time.Millisecond + 1}
	for _, outbound := range []bool{false, true} {
		t.Run(fmt.Sprintf("outbound %v", outbound), func(t *testing.T) {
			a, c := run(t, 42, 1000, outbound, bad)
			b, _ := run(t, 42, 1000, outbound, bad)
			if d := cmp.Diff(a, b); d != "" {
				t.Errorf("two runs with one seed differ:\n%s", d)
			}
			other, _ := run(t, 43, 1000, outbound, bad)
			if slices.Equal(a, other) {
				t.Error("another seed made no difference")
			}
			for name, n := range map[string]uint64{"lost": c.Lost, "duplicated": c.Duplicated, "corrupted": c.Corrupted, "reordered": c.Reordered} {
				if n < 60 || n > 140 {
					t.Errorf("%d of 1000 %s, wanted about 100", n, name)
				}
			}
			if want := 1000 - c.Lost + c.Duplicated; len(a) != int(want) || c.Delayed != 1000-c.Lost || c.NoBuffer != 0 {
				t.Errorf("%d arrived, want %d; %+v", len(a), want, c)
			}
		})
	}
}

// One fault more does not change where the others strike.
func TestFaultsAreIndependent(t *testing.T) {
	few, _ := run(t, 7, 300, true, Faults{Loss: .2})
	more, _ := run(t, 7, 300, true, Faults{Loss: .2, Duplicate: .3})
	if got := slices.Compact(more); !slices.Equal(got, few) {
		t.Errorf("with duplicates, other frames were lost: %d of %d left", len(got), len(few))
	}
}

func TestDelayKeepsOrderAndReorderDoesNot(t *testing.T) {
	texts := func(l []string) (out []string) {
		for _, s := range l {
			out = append(out, s[strings.Index(s, " ")+1:])
		}
		return out
	}
	late, _ := run(t, 1, 100, false, Faults{Delay: 50 * time.Millisecond})
	if l := texts(late); len(l) != 100 || !slices.IsSorted(l) || late[0] != "50ms 0000" {
		t.Errorf("50 ms late: %v", late)
	}
	mixed, c := run(t, 1, 100, false, Faults{Reorder: .2, ReorderBy: 3 * time.Millisecond / 2})
	if l := texts(mixed); len(l) != 100 || slices.IsSorted(l) || c.Reordered == 0 {
		t.Errorf("reordered: %v, %+v", mixed, c)
	}
}

// A script: the first of two frames that look alike is lost, and nothing else.
func TestFaultsOnlyForSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost := false
		tb, f := faulty(t, 1, Faults{}, Faults{Loss: 1, Only: func(f []byte) bool {
			_, payload, _ := Parse(f)
			first := string(payload) == "request" && !lost
			lost = lost || first
			return first
		}})
		batch := []*frame.Buf{tb.packet(mac2, mac1, "hello"), tb.packet(mac2, mac1, "request"), tb.packet(mac2, mac1, "request"), tb.packet(mac2, mac1, "bye")}
		n, err := f.WriteBatch(batch)
		if n != 4 || err != nil {
			t.Errorf("WriteBatch = %d, %v; a frame lost on the way was taken", n, err)
		}
		for _, b := range batch {
			b.Put()
		}
		tb.want("the second request gets through", tb.port[2], "hello", "request", "bye")
		f.SetFaults(Faults{Loss: 1}, Faults{})
		tb.send(tb.port[2], mac1, "from now on deaf")
		synctest.Wait()
		f.SetFaults(Faults{}, Faults{})
		tb.send(tb.port[2], mac1, "hears again")
		tb.want("faults were lifted", f, "hears again")
	})
}

func TestCorruptLeavesTheCallersFrameAlone(t *testing.T) {
	tb, f := faulty(t, 5, Faults{}, Faults{Corrupt: 1})
	b := tb.packet(mac2, mac1, "text")
	defer b.Put()
	before := string(b.Bytes())
	if _, err := f.WriteBatch([]*frame.Buf{b}); err != nil {
		t.Fatal(err)
	}
	if string(b.Bytes()) != before {
		t.Error("the caller's frame was changed; it may send it again")
	}
	bufs := make([]*frame.Buf, 1)
	if _, err := tb.port[2].ReadBatch(bufs); err != nil {
		t.Fatal(err)
	}
	defer bufs[0].Put()
	got, bits := bufs[0].Bytes(), 0
	for i := range got {
		for d := got[i] ^ before[i]; d != 0; d &= d - 1 {
			bits++
		}
	}
	if bits != 1 || string(got[:12]) != before[:12] {
		t.Errorf("%q became %q: %d bits changed", before, got, bits)
	}
}

func TestFaultyClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tb, f := faulty(t, 1, Faults{Delay: time.Minute}, Faults{Delay: time.Minute})
		tb.send(f, mac2, "on its way out")
		tb.send(tb.port[2], mac1, "on its way in")
		done := make(chan error)
		go func() { _, err := f.ReadBatch(make([]*frame.Buf, 1)); done <- err }()
		synctest.Wait()
		if err := f.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		if err := <-done; err != ErrClosed {
			t.Errorf("ReadBatch = %v", err)
		}
		b := tb.packet(mac2, mac1, "x")
		defer b.Put()
		if _, err := f.WriteBatch([]*frame.Buf{b}); err != ErrClosed {
			t.Errorf("WriteBatch = %v", err)
		}
		f.tx.send(tb.packet(mac2, mac1, "too late to be held"), time.Second)
		if err := f.Close(); err != nil {
			t.Errorf("second Close = %v", err)
		}
	}) // and no goroutine is left, or the bubble would say so
}

func TestFaultyWithoutBuffers(t *testing.T) {
	tb := newTable(t)
	f := NewFaulty(tb.port[1], frame.NewPool(0), 1, Faults{}, Faults{Duplicate: 1})
	defer f.Close()
	if _, err := f.ReadBatch(make([]*frame.Buf, 1)); !errors.Is(err, errNoBuffers) {
		t.Errorf("ReadBatch = %v", err)
	}
	tb.send(f, mac2, "x")
	if _, tx := f.FaultCounters(); tx.NoBuffer != 1 {
		t.Errorf("counters: %+v", tx)
	}
	if f.MAC() != mac1 || f.Name() != "p1" || f.AddMAC(pppoe.MAC{2, 9}) != nil {
		t.Error("what is no frame does not pass through")
	}
}
