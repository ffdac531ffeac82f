package control

import (
	"sync"

	"tributary/internal/gateway"
)

// MaxLast is how many events a gateway remembers, for those who ask later or
// read slowly.
const MaxLast = 1024

// history is the last events, and the one subscriber to the gateway. Readers
// walk it at their own pace: one that is slow or dead costs nothing, holds up
// nobody, and sees by Seq how many it missed.
type history struct {
	mu      sync.Mutex
	ring    [MaxLast]Message
	n       uint64        // events kept since the start; the last is ring[(n-1)%MaxLast]
	seq     uint64        // Seq of the last event, counting those that were lost
	ended   bool          // no more will come
	changed chan struct{} // closed, and made anew, at every change
}

func newHistory() *history {
	return &history{changed: make(chan struct{})}
}

// record keeps what sub yields until it ends.
func (h *history) record(sub Subscription) {
	var known uint64
	for e := range sub.C() {
		lost := sub.Lost()
		h.add(e, lost-known)
		known = lost
	}
	h.mu.Lock()
	h.ended = true
	h.wake()
	h.mu.Unlock()
}

// add keeps e, before which so many were lost on the way here.
func (h *history) add(e gateway.Event, lost uint64) {
	h.mu.Lock()
	h.seq += lost + 1
	h.ring[h.n%MaxLast] = Message{Seq: h.seq, Event: e}
	h.n++
	h.wake()
	h.mu.Unlock()
}

func (h *history) wake() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// last is the position of a reader who wants the last n events, and the Seq of
// the event before those.
func (h *history) last(n int) (pos, seen uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	pos = h.n - min(uint64(n), h.n, MaxLast)
	if pos == h.n {
		return pos, h.seq
	}
	return pos, h.ring[pos%MaxLast].Seq - 1
}

// read appends to batch the events from pos on, as many as its capacity takes,
// and gives the reader's next position. When batch stays empty, changed is
// closed as soon as there is more, or is nil because no more will come.
func (h *history) read(batch []Message, pos uint64) (_ []Message, next uint64, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.n-pos > MaxLast {
		pos = h.n - MaxLast // the reader was slow, the ring has gone round
	}
	for ; pos < h.n && len(batch) < cap(batch); pos++ {
		batch = append(batch, h.ring[pos%MaxLast])
	}
	if !h.ended {
		changed = h.changed
	}
	return batch, pos, changed
}
