//go:build !race

package frame

import "testing"

// Not under the race detector: there sync.Pool drops buffers at random.
func TestNothingAllocates(t *testing.T) {
	p := NewPool(4)
	payload, header := make([]byte, 1400), make([]byte, 20)
	var l List
	p.Get().Put()
	if n := testing.AllocsPerRun(1000, func() {
		b := p.Get()
		b.SetBytes(payload)
		copy(b.Prepend(len(header)), header)
		l.Push(b, 1)
		b, _ = l.Pop()
		b.TrimFront(len(header))
		b.Put()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
