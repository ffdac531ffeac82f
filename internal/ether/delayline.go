package ether

import (
	"sync"
	"time"

	"tributary/internal/frame"
)

// delayLine holds frames until they are due. One goroutine, run, delivers them.
type delayLine struct {
	deliver func(*frame.Buf) // takes the buffer over
	wake    chan struct{}    // the first of held has changed
	done    chan struct{}

	mu      sync.Mutex // over the rest
	held    []heldFrame
	stopped bool
}

type heldFrame struct {
	due time.Time
	buf *frame.Buf
}

func (d *delayLine) init(deliver func(*frame.Buf)) {
	d.deliver = deliver
	d.wake, d.done = make(chan struct{}, 1), make(chan struct{})
}

// add takes b over until due. Frames due at the same time keep their order.
func (d *delayLine) add(due time.Time, b *frame.Buf) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		b.Put()
		return
	}
	i := len(d.held)
	for i > 0 && d.held[i-1].due.After(due) {
		i--
	}
	d.held = append(d.held, heldFrame{})
	copy(d.held[i+1:], d.held[i:])
	d.held[i] = heldFrame{due, b}
	if i == 0 {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

// run delivers what is due until stop.
func (d *delayLine) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		b, wait := d.next(time.Now())
		if b != nil {
			d.deliver(b)
			continue
		}
		timer.Reset(wait)
		select {
		case <-d.wake:
		case <-timer.C:
		case <-d.done:
			return
		}
	}
}

// next takes the first frame if it is due, or says how long until one may be.
func (d *delayLine) next(now time.Time) (*frame.Buf, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.held) == 0 {
		return nil, time.Hour
	}
	first := d.held[0]
	if wait := first.due.Sub(now); wait > 0 {
		return nil, wait
	}
	n := copy(d.held, d.held[1:])
	d.held[n] = heldFrame{}
	d.held = d.held[:n]
	return first.buf, 0
}

// stop ends run and throws away what is held.
func (d *delayLine) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return
	}
	d.stopped = true
	close(d.done)
	for _, h := range d.held {
		h.buf.Put()
	}
	d.held = nil
}
