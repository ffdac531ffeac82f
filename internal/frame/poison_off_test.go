//go:build !poison

package frame

import "testing"

// A second Put, while the buffer lies in the pool, does no harm: it must not
// come out of the pool twice.
func TestPutTwice(t *testing.T) {
	p := NewPool(4)
	keep := p.Get()
	b := p.Get()
	b.Put()
	b.Put()
	if p.InUse() != 1 {
		t.Errorf("%d in use, want the one that was kept", p.InUse())
	}
	if x, y := p.Get(), p.Get(); x == y {
		t.Error("one buffer given out twice")
	}
	keep.Put()
}
