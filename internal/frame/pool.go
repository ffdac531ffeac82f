package frame

import (
	"sync"
	"sync/atomic"
)

// Pool hands out buffers, never more than its cap at a time. It may be used by
// any number of goroutines. Buffers that are not in use belong to a sync.Pool,
// so a quiet gateway gives their memory back.
type Pool struct {
	cap  int64
	used atomic.Int64
	free sync.Pool
}

// NewPool makes a pool of at most cap buffers in use.
func NewPool(cap int) *Pool {
	p := &Pool{cap: int64(cap)}
	p.free.New = func() any { return new(Buf) }
	return p
}

// Get takes a buffer: empty, with Headroom octets in front. It is nil at the
// cap; the caller drops what it wanted the buffer for, and counts it.
func (p *Pool) Get() *Buf {
	if p.used.Add(1) > p.cap {
		p.used.Add(-1)
		return nil
	}
	b := p.free.Get().(*Buf)
	b.pool = p
	b.off, b.end = Headroom, Headroom
	b.debug.taken(b)
	return b
}

// InUse is how many buffers are out.
func (p *Pool) InUse() int { return int(p.used.Load()) }

// Cap is how many may be.
func (p *Pool) Cap() int { return int(p.cap) }

// Put gives the buffer back. Neither it nor a slice of it may be used after.
// A nil Buf, and one that came from no pool, are left alone.
func (b *Buf) Put() {
	if b == nil {
		return
	}
	b.debug.returned(b)
	p := b.pool
	if p == nil {
		return
	}
	b.pool, b.next = nil, nil
	p.free.Put(b)
	p.used.Add(-1)
}

// PoolFree is how many more buffers whoever queues b may count on its pool for:
// what is free, less an eighth of the pool that is for those who hold buffers
// for a moment only.
func (b *Buf) PoolFree() int {
	p := b.pool
	if p == nil {
		return 0
	}
	return max(0, int(p.cap-p.cap/8-p.used.Load()))
}
