package ether

import (
	"errors"
	"sync"

	"tributary/internal/frame"
)

// errNoBuffers is what a decorator that reads on its own gives when the pool is
// at its cap and it cannot read any more.
var errNoBuffers = errors.New("ether: no buffer to receive in")

// queue is a bounded queue of frames with one reader: what stands behind
// ReadBatch where no kernel does. It waits on a condition variable only, so it
// works in a synctest bubble, and an empty one holds no memory.
type queue struct {
	mu     sync.Mutex
	some   sync.Cond
	list   frame.List
	limit  int
	closed bool
	err    error // what swap says once closed and empty
}

func newQueue(limit int) *queue {
	q := &queue{limit: limit}
	q.some.L = &q.mu
	return q
}

// push takes b over. It reports false, and leaves b to the caller, when the
// queue is full or closed.
func (q *queue) push(b *frame.Buf) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || q.list.Len() >= q.limit {
		return false
	}
	q.list.Push(b, 0)
	if q.list.Len() == 1 {
		q.some.Signal()
	}
	return true
}

// swap waits until frames are there and changes them for the buffers in bufs,
// which go back to their pool: nothing is copied.
func (q *queue) swap(bufs []*frame.Buf) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.list.Len() == 0 && !q.closed {
		q.some.Wait()
	}
	if q.list.Len() == 0 {
		return 0, q.err
	}
	n := min(q.list.Len(), len(bufs))
	for i := range n {
		bufs[i].Put()
		bufs[i], _ = q.list.Pop()
	}
	return n, nil
}

// close makes swap return err once what waits has been read; with drop, what
// waits goes back to its pool at once. The first err stays.
func (q *queue) close(err error, drop bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed {
		q.closed, q.err = true, err
	}
	if drop {
		q.list.PutAll()
	}
	q.some.Broadcast()
}

// copyOf is f in a buffer of pool; nil if there is none, or f is too long.
func copyOf(pool *frame.Pool, f []byte) *frame.Buf {
	b := pool.Get()
	if b != nil && !b.SetBytes(f) {
		b.Put()
		return nil
	}
	return b
}
