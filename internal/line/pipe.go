package line

import (
	"io"
	"sync"
	"time"

	"tributary/internal/frame"
)

// PipeOptions says what a wire in memory is like.
type PipeOptions struct {
	// Speed is how fast octets cross, in bit/s of a serial line with 8 data bits,
	// no parity, 1 stop bit: ten bits an octet. 0 is at once.
	Speed int
	// Buffer is how many octets may be on the way in one direction; a writer
	// waits when they are. 0 is 16 KiB.
	Buffer int
}

// Pipe makes a line in memory. far is the user's end of the wire: octets, as a
// modem would give them; Over makes a Line of it too. Nothing but the two ends is
// behind it, neither descriptors nor goroutines, so it works in a bubble of
// testing/synctest.
func Pipe(info Info, pool *frame.Pool, opts PipeOptions) (near Line, far *Conn) {
	if info.Kind == "" {
		info.Kind = "pipe"
	}
	if info.Speed == 0 {
		info.Speed = opts.Speed
	}
	a, b := newWire(opts.Buffer), newWire(opts.Buffer)
	done := make(chan struct{})
	var once sync.Once
	hangUp := func() {
		once.Do(func() {
			close(done)
			a.hangUp()
			b.hangUp()
		})
	}
	end := &Conn{rx: b, tx: a, speed: opts.Speed, done: done, hangUp: hangUp}
	far = &Conn{rx: a, tx: b, speed: opts.Speed, done: done, hangUp: hangUp}
	return Over(end, info, pool), far
}

// Conn is one end of a wire in memory. Closing it hangs up: both ends' writers
// fail at once, and their readers get io.EOF after what was already sent.
//
// One goroutine at a time calls Write.
type Conn struct {
	rx, tx  *wire
	speed   int
	done    chan struct{}
	hangUp  func()
	scratch *scratch // set by Over
	closed  bool     // by this end; rx.mu guards it
}

// Read waits for octets and takes as many as there are and fit.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.wait(); err != nil {
		return 0, err
	}
	return c.rx.take(p), nil
}

// wait returns when there are octets to read, or none will ever come.
func (c *Conn) wait() error {
	w := c.rx
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queued()) == 0 && !w.down && !c.closed {
		w.cond.Wait()
	}
	if c.closed {
		return io.ErrClosedPipe
	}
	if len(w.queued()) == 0 {
		return io.EOF
	}
	return nil
}

// Write waits until the wire has taken all of p, at its speed.
func (c *Conn) Write(p []byte) (n int, err error) {
	for n < len(p) {
		piece := p[n:]
		if c.speed > 0 {
			// Pieces of about 10 ms: what has crossed is seen while the rest has not.
			piece = piece[:min(len(piece), max(1, c.speed/1000))]
			t := time.NewTimer(time.Duration(len(piece)) * 10 * time.Second / time.Duration(c.speed))
			select {
			case <-t.C:
			case <-c.done:
				t.Stop()
				return n, io.ErrClosedPipe
			}
		}
		k := c.tx.put(piece, true)
		if n += k; k < len(piece) {
			return n, io.ErrClosedPipe
		}
	}
	return n, nil
}

// Close hangs up.
func (c *Conn) Close() error {
	c.rx.mu.Lock()
	c.closed = true
	c.rx.mu.Unlock()
	c.hangUp()
	return nil
}

// The carrier interface, for Over.

func (c *Conn) read() (*input, error) {
	if err := c.wait(); err != nil {
		return nil, err
	}
	in := c.scratch.input()
	in.end = c.rx.take(in.data[:])
	return in, nil
}

func (c *Conn) write(p []byte) error {
	_, err := c.Write(p)
	return err
}

// tryWrite takes nothing on a wire with a speed: its octets take their time.
func (c *Conn) tryWrite(p []byte) (int, error) {
	if c.speed > 0 {
		return 0, nil
	}
	select {
	case <-c.done:
		return 0, io.ErrClosedPipe
	default:
		return c.tx.put(p, false), nil
	}
}

func (c *Conn) close() error { return c.Close() }

// wire is one direction of a pipe: a bounded queue of octets.
type wire struct {
	mu    sync.Mutex
	cond  sync.Cond // on mu: octets came, octets went, or the wire is down
	bound int
	buf   []byte // buf[off:] is queued
	off   int
	down  bool
}

func newWire(bound int) *wire {
	if bound <= 0 {
		bound = 16 << 10
	}
	w := &wire{bound: bound}
	w.cond.L = &w.mu
	return w
}

// queued is what was put and not yet taken. mu is held.
func (w *wire) queued() []byte { return w.buf[w.off:] }

// put adds as much of p as there is room for, or waits for room and adds p piece
// by piece; then it took fewer octets than p has only if the wire is down.
func (w *wire) put(p []byte, wait bool) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for n < len(p) {
		for len(w.queued()) >= w.bound && !w.down && wait {
			w.cond.Wait()
		}
		if w.down || len(w.queued()) >= w.bound {
			return n
		}
		k := min(len(p)-n, w.bound-len(w.queued()))
		if w.off > 0 && len(w.buf)+k > cap(w.buf) {
			w.buf = w.buf[:copy(w.buf, w.queued())]
			w.off = 0
		}
		w.buf = append(w.buf, p[n:n+k]...)
		n += k
		w.cond.Broadcast()
	}
	return n
}

// take moves octets to p without waiting.
func (w *wire) take(p []byte) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := copy(p, w.queued())
	if w.off += n; w.off == len(w.buf) {
		w.buf, w.off = w.buf[:0], 0
	}
	w.cond.Broadcast()
	return n
}

func (w *wire) hangUp() {
	w.mu.Lock()
	w.down = true
	w.mu.Unlock()
	w.cond.Broadcast()
}
