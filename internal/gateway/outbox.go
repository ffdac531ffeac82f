package gateway

import (
	"sync"
	"time"

	"tributary/internal/frame"
	"tributary/internal/line"
)

// outbox is what waits to be written to one line. Anyone may put a frame in,
// and never waits for the line: a modem at 9,600 bit/s must not hold up a
// thousand others. The goroutine that writes lives only while there is
// something to write, so an idle line has none.
type outbox struct {
	mu       sync.Mutex
	q        queue
	line     line.Line
	writing  bool
	closing  bool          // close the line once what waits is written
	dead     bool          // the line takes no more
	late     uint64        // frames that came after that
	since    time.Duration // when the write under way began; 0 is none
	underWay int           // frames in it
	// write is writeLine, bound once: a go statement with it allocates nothing.
	write   func()
	batches *sync.Pool // of *batch
}

// batch is what a writer gathers frames in, and a reader. On their stacks it
// would escape, through the calls of the line's Write and Read.
type batch [writeBatch]*frame.Buf

func newBatches() *sync.Pool { return &sync.Pool{New: func() any { return new(batch) }} }

// writeBatch is how many frames one write to a line carries at most, and one
// read from it gives.
const writeBatch = 32

func (o *outbox) init(l line.Line, cfg queueConfig, batches *sync.Pool) {
	o.line, o.batches = l, batches
	o.q.init(cfg)
	o.write = o.writeLine
}

// push puts b, which starts at its Protocol field, in the queue and takes it
// over. It reports false, and has Put b back, if the queue had no room.
func (o *outbox) push(now time.Duration, b *frame.Buf) bool {
	o.mu.Lock()
	if o.dead || o.closing {
		o.late++
		o.mu.Unlock()
		b.Put()
		return false
	}
	ok := !o.crowded(now, b) && o.q.push(now, b)
	if !ok {
		b.Put()
	} else if !o.writing {
		o.writing = true
		go o.write()
	}
	o.mu.Unlock()
	return ok
}

// What one line may hold of the pool, beside its own queue's bounds.
const (
	poolShare   = 16 // one part in so many of what is free, so that there is always a share for the next line
	poolLeast   = 4  // enough for a line that moves to go on, and for PPP on one that does not
	stuckAfter  = 100 * time.Millisecond
	stuckFrames = 32 // for a line that has taken nothing for so long
)

// crowded reports, and counts, that this line may hold no more buffers: a
// thousand lines that stand still leave the pool to those that move. Control
// frames have their own bound in the queue, and are refused here only when the
// pool is at its end.
func (o *outbox) crowded(now time.Duration, b *frame.Buf) bool {
	free := b.PoolFree()
	if isControl(b) {
		if free > 0 || o.q.controls < poolLeast {
			return false
		}
		o.q.full++
		return true
	}
	o.q.expire(now)
	may := max(poolLeast, free/poolShare)
	// A slow line is not stuck while it sends what it took last.
	if o.since != 0 && now-o.since > max(stuckAfter, 2*o.q.target) {
		may = min(free/poolShare, stuckFrames)
	}
	if o.underWay+o.q.len() < may {
		return false
	}
	o.q.full++
	return true
}

// finish closes the line when what waits has been written.
func (o *outbox) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing || o.dead {
		return
	}
	o.closing = true
	if !o.writing {
		o.writing = true
		go o.write()
	}
}

// kill drops what waits and closes the line now.
func (o *outbox) kill() {
	o.mu.Lock()
	o.dead = true
	o.q.drain()
	o.mu.Unlock()
	o.line.Close()
}

func (o *outbox) drops() (full, codel, late uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.q.full, o.q.codel, o.late
}

// writeLine writes until nothing waits.
func (o *outbox) writeLine() {
	batch := o.batches.Get().(*batch)
	defer o.batches.Put(batch)
	for {
		o.mu.Lock()
		now := clock()
		n := o.q.popBatch(now, batch[:])
		o.since, o.underWay = now, n
		if n == 0 {
			o.writing, o.since = false, 0
			last := o.closing && !o.dead
			if last {
				o.dead = true
			}
			o.mu.Unlock()
			if last {
				o.line.Close()
			}
			return
		}
		o.mu.Unlock()
		err := o.line.Write(batch[:n])
		for _, b := range batch[:n] {
			b.Put()
		}
		if err != nil {
			// The reader sees the same line fail and says so to the owner.
			o.mu.Lock()
			o.dead, o.writing = true, false
			o.q.drain()
			o.mu.Unlock()
			o.line.Close()
			return
		}
	}
}
