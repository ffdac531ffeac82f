package frame

import (
	"sync"
	"testing"
)

func TestPoolCap(t *testing.T) {
	p := NewPool(2)
	if p.Cap() != 2 {
		t.Errorf("Cap = %d", p.Cap())
	}
	a, b := p.Get(), p.Get()
	if a == nil || b == nil || a == b || p.InUse() != 2 {
		t.Fatalf("two buffers of two: %p, %p, %d in use", a, b, p.InUse())
	}
	if c := p.Get(); c != nil || p.InUse() != 2 {
		t.Errorf("a third: %p, %d in use", c, p.InUse())
	}
	a.SetBytes([]byte("left over"))
	a.Put()
	if p.InUse() != 1 {
		t.Errorf("%d in use after one Put", p.InUse())
	}
	c := p.Get()
	if c == nil || c.Len() != 0 || c.Headroom() != Headroom {
		t.Errorf("a buffer that was used before is not as new")
	}
	if NewPool(0).Get() != nil {
		t.Error("an empty pool gives a buffer")
	}
}

// TestPoolUnderContention: never more than the cap are out, and none gets lost,
// whoever takes and returns them.
func TestPoolUnderContention(t *testing.T) {
	const limit, takers, rounds = 8, 4, 2000
	p := NewPool(limit)
	handOver := make(chan *Buf, limit)
	var wg sync.WaitGroup
	for range takers {
		wg.Go(func() {
			for range rounds {
				if b := p.Get(); b != nil {
					b.SetBytes([]byte("in flight"))
					handOver <- b
				}
				if n := p.InUse(); n > limit+takers {
					t.Errorf("%d in use", n)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := range handOver {
			if string(b.Bytes()) != "in flight" {
				t.Errorf("buffer shared by two owners: %q", b.Bytes())
			}
			b.Put()
		}
	}()
	wg.Wait()
	close(handOver)
	<-done
	if p.InUse() != 0 {
		t.Errorf("%d in use at the end", p.InUse())
	}
}

func BenchmarkPool(b *testing.B) {
	p := NewPool(1 << 20)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p.Get().Put()
		}
	})
}

func TestPoolFree(t *testing.T) {
	p := NewPool(16)
	b := p.Get()
	if n := b.PoolFree(); n != 13 {
		t.Errorf("of 16 buffers, 2 kept back and 1 in use, %d are left", n)
	}
	for range 15 {
		p.Get()
	}
	if n := b.PoolFree(); n != 0 {
		t.Errorf("of an empty pool %d are left", n)
	}
	if n := new(Buf).PoolFree(); n != 0 {
		t.Errorf("without a pool %d are left", n)
	}
}
