package gateway

import (
	"sync"
	"time"

	"tributary/internal/frame"
	"tributary/internal/line"
)

// outbox is what waits to be written to one line. Anyone may put a frame in,
// and never waits for the line: a modem at 9,600 bit/s must not hold up a
// thousand others.
//
// Whoever puts a frame in when nobody writes becomes the writer, and writes as
// much as the line takes at once: from the port to the line a frame then meets
// no other goroutine. The rest is for a goroutine that lives only until the line
// has taken it, so an idle line has none.
type outbox struct {
	mu       sync.Mutex
	q        queue
	line     line.Line
	writing  bool          // somebody is the writer
	closing  bool          // close the line once what waits is written
	dead     bool          // the line takes no more
	late     uint64        // frames that came after that
	since    time.Duration // when the write under way began; 0 is none
	underWay int           // frames in it

	// The writer's.
	batch *batch // taken from the queue; nil while nothing is
	n     int    // frames in batch
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
// over. ok is false, and b has been Put back, if the queue had no room. If mine is
// true the caller has become the writer and must call flush, soon.
func (o *outbox) push(now time.Duration, b *frame.Buf) (ok, mine bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dead || o.closing {
		o.late++
		b.Put()
		return false, false
	}
	if o.crowded(now, b) || !o.q.push(now, b) {
		b.Put()
		return false, false
	}
	mine = !o.writing
	o.writing = true
	return true, mine
}

// put is push, and flush if need be.
func (o *outbox) put(now time.Duration, b *frame.Buf) bool {
	ok, mine := o.push(now, b)
	if mine {
		o.flush()
	}
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

// flush is the writer's, who must not wait: it writes what waits, as long as the
// line takes it at once.
func (o *outbox) flush() {
	// Others may put in more all the time; who has other lines to serve writes
	// only so much of it.
	for range maxFlush {
		if !o.next() {
			return
		}
		k, whole, err := o.line.TryWrite(o.batch[:o.n])
		if err != nil {
			o.fail()
			return
		}
		o.written(k)
		if !whole || o.n > 0 {
			break
		}
	}
	go o.write()
}

// maxFlush is how many batches one flush writes.
const maxFlush = 2

// writeLine is the writer's, who may wait: it writes until nothing waits.
func (o *outbox) writeLine() {
	if o.line.Flush() != nil {
		o.fail()
		return
	}
	for o.n > 0 || o.next() {
		if o.line.Write(o.batch[:o.n]) != nil {
			o.fail()
			return
		}
		o.written(o.n)
	}
}

// next takes the next batch from the queue. It is false when nothing waits; then
// the caller is not the writer any more.
//
// Closing a line waits until its reader has left it, which may take as long as the
// processors are busy: that is not for a port's reader to wait for.
func (o *outbox) next() bool {
	if o.batch == nil {
		o.batch = o.batches.Get().(*batch)
	}
	o.mu.Lock()
	now := clock()
	o.n = o.q.popBatch(now, o.batch[:])
	o.since, o.underWay = now, o.n
	if o.n > 0 {
		o.mu.Unlock()
		return true
	}
	o.batches.Put(o.batch)
	o.batch = nil
	o.writing, o.since = false, 0
	last := o.closing && !o.dead
	if last {
		o.dead = true
	}
	o.mu.Unlock()
	if last {
		go o.line.Close()
	}
	return false
}

// written puts the batch's first k frames back; the others are its first now.
func (o *outbox) written(k int) {
	for _, b := range o.batch[:k] {
		b.Put()
	}
	o.n = copy(o.batch[:], o.batch[k:o.n])
}

// fail is the end of a line that would not be written to. The reader sees the
// same line fail and says so to the owner.
func (o *outbox) fail() {
	if o.batch != nil {
		o.written(o.n)
		o.batches.Put(o.batch)
		o.batch = nil
	}
	o.mu.Lock()
	o.dead, o.writing = true, false
	o.q.drain()
	o.mu.Unlock()
	go o.line.Close()
}
