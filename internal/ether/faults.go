package ether

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"tributary/internal/frame"
)

// Faults is what goes wrong in one direction. Probabilities are 0 to 1, for
// each frame on its own.
type Faults struct {
	Loss      float64       // the frame vanishes
	Duplicate float64       // it arrives twice
	Corrupt   float64       // one bit of it, behind the addresses, is changed
	Reorder   float64       // it is held back for ReorderBy, so that later ones pass it
	ReorderBy time.Duration // 0 is 1 ms
	Delay     time.Duration // every frame's; keeps their order

	// Only, if set, says which frames the probabilities and the delay are for;
	// all others pass unharmed. With Loss 1 it scripts the loss of one packet.
	// It is called for one frame at a time and must not keep it.
	Only func(frame []byte) bool
}

// FaultCounters is what went wrong so far in one direction.
type FaultCounters struct {
	Lost, Duplicated, Corrupted, Reordered, Delayed uint64
	NoBuffer                                        uint64 // lost for want of a buffer to hold it in
}

// Faulty is a Port with bad luck. What happens to the nth frame of a direction
// depends only on the seed and the Faults; under testing/synctest the time at
// which it happens is repeatable too.
type Faulty struct {
	Port
	pool     *frame.Pool
	rx, tx   direction
	received *queue
	running  sync.WaitGroup
	closed   atomic.Bool
}

// NewFaulty puts faults in front of p, with buffers of pool for what is held
// back or doubled. It reads p by itself: whoever has the Faulty no longer does.
func NewFaulty(p Port, pool *frame.Pool, seed uint64, rx, tx Faults) *Faulty {
	f := &Faulty{Port: p, pool: pool, received: newQueue(hubQueue)}
	f.rx.init(seed, 1, rx, func(b *frame.Buf) {
		if !f.received.push(b) {
			f.rx.noBuffer.Add(1)
			b.Put()
		}
	})
	f.tx.init(seed, 2, tx, func(b *frame.Buf) {
		one := [1]*frame.Buf{b}
		_, _ = p.WriteBatch(one[:]) // the port counts what it could not send
		b.Put()
	})
	f.running.Go(f.pump)
	f.running.Go(f.rx.held.run)
	f.running.Go(f.tx.held.run)
	return f
}

// SetFaults changes what goes wrong from the next frame on.
func (f *Faulty) SetFaults(rx, tx Faults) {
	f.rx.set(rx)
	f.tx.set(tx)
}

// FaultCounters is what went wrong so far, on receipt and on sending.
func (f *Faulty) FaultCounters() (rx, tx FaultCounters) {
	return f.rx.snapshot(), f.tx.snapshot()
}

// pump reads the port for as long as it lives.
func (f *Faulty) pump() {
	var bufs [64]*frame.Buf
	have := 0 // bufs[:have] are empty buffers to receive in
	defer func() {
		for _, b := range bufs[:have] {
			b.Put()
		}
	}()
	for {
		for have < len(bufs) {
			b := f.pool.Get()
			if b == nil {
				break
			}
			bufs[have] = b
			have++
		}
		if have == 0 {
			f.received.close(errNoBuffers, false)
			return
		}
		n, err := f.Port.ReadBatch(bufs[:have])
		for _, b := range bufs[:n] {
			f.rx.pass(f.pool, b)
		}
		have = copy(bufs[:], bufs[n:have])
		if err != nil {
			f.received.close(err, false)
			return
		}
	}
}

// ReadBatch is Port's.
func (f *Faulty) ReadBatch(bufs []*frame.Buf) (int, error) { return f.received.swap(bufs) }

// WriteBatch is Port's. A frame that is lost on purpose counts as taken.
func (f *Faulty) WriteBatch(bufs []*frame.Buf) (int, error) {
	if f.closed.Load() {
		return 0, ErrClosed
	}
	n, start := 0, 0 // bufs[start:i] have met no fault and go out as they are
	flush := func(i int) error {
		if start == i {
			return nil
		}
		k, err := f.Port.WriteBatch(bufs[start:i])
		n, start = n+k, i
		return err
	}
	for i, b := range bufs {
		fate := f.tx.draw(b.Bytes())
		if fate == fate0 {
			continue
		}
		if err := flush(i); err != nil {
			return n, err
		}
		start = i + 1
		n++
		if fate.lost {
			continue
		}
		c := copyOf(f.pool, b.Bytes())
		if c == nil {
			f.tx.noBuffer.Add(1)
			continue
		}
		f.tx.suffer(f.pool, c, fate)
	}
	return n, flush(len(bufs))
}

// Close closes the port, throws away what was held back, and returns when
// nothing of this Faulty runs any more.
func (f *Faulty) Close() error {
	f.closed.Store(true)
	err := f.Port.Close()
	f.rx.held.stop()
	f.tx.held.stop()
	f.received.close(ErrClosed, true)
	f.running.Wait()
	f.received.close(ErrClosed, true)
	return err
}

// fate is what the draw decided for one frame.
type fate struct {
	lost, twice, corrupt bool
	bit                  uint64 // which one to change, modulo the frame's length
	hold                 time.Duration
}

var fate0 fate

// direction is the bad luck of one direction.
type direction struct {
	mu   sync.Mutex // over the next two
	rand *rand.Rand
	Faults

	held    delayLine
	deliver func(*frame.Buf) // takes the buffer over

	lost, duplicated, corrupted, reordered, delayed, noBuffer atomic.Uint64
}

func (d *direction) init(seed, stream uint64, faults Faults, deliver func(*frame.Buf)) {
	d.rand = rand.New(rand.NewPCG(seed, stream))
	d.Faults, d.deliver = faults, deliver
	d.held.init(deliver)
}

func (d *direction) set(faults Faults) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Faults = faults
}

// draw decides about one frame. It always draws the same number of times, so
// that one more loss does not change what else happens later on.
func (d *direction) draw(b []byte) fate {
	d.mu.Lock()
	defer d.mu.Unlock()
	loss, twice, corrupt, reorder := d.rand.Float64(), d.rand.Float64(), d.rand.Float64(), d.rand.Float64()
	bit := d.rand.Uint64()
	if d.Only != nil && !d.Only(b) {
		return fate{}
	}
	if loss < d.Loss {
		d.lost.Add(1)
		return fate{lost: true}
	}
	f := fate{twice: twice < d.Duplicate, hold: d.Delay}
	if f.hold > 0 {
		d.delayed.Add(1)
	}
	if corrupt < d.Corrupt && len(b) > 12 {
		f.corrupt, f.bit = true, bit
		d.corrupted.Add(1)
	}
	if f.twice {
		d.duplicated.Add(1)
	}
	if reorder < d.Reorder {
		by := d.ReorderBy
		if by == 0 {
			by = time.Millisecond
		}
		f.hold += by
		d.reordered.Add(1)
	}
	return f
}

// pass takes b over and gives it the fate it draws.
func (d *direction) pass(pool *frame.Pool, b *frame.Buf) {
	f := d.draw(b.Bytes())
	if f.lost {
		b.Put()
		return
	}
	d.suffer(pool, b, f)
}

// suffer takes b over and does to it what f says.
func (d *direction) suffer(pool *frame.Pool, b *frame.Buf, f fate) {
	if f.corrupt {
		p := b.Bytes()[12:]
		i := f.bit % uint64(8*len(p))
		p[i/8] ^= 1 << (i % 8)
	}
	var second *frame.Buf
	if f.twice {
		if second = copyOf(pool, b.Bytes()); second == nil {
			d.noBuffer.Add(1)
		}
	}
	d.send(b, f.hold)
	if second != nil {
		d.send(second, f.hold)
	}
}

func (d *direction) send(b *frame.Buf, hold time.Duration) {
	if hold > 0 {
		d.held.add(time.Now().Add(hold), b)
		return
	}
	d.deliver(b)
}

func (d *direction) snapshot() FaultCounters {
	return FaultCounters{
		Lost: d.lost.Load(), Duplicated: d.duplicated.Load(), Corrupted: d.corrupted.Load(),
		Reordered: d.reordered.Load(), Delayed: d.delayed.Load(), NoBuffer: d.noBuffer.Load(),
	}
}
