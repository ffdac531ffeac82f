package line

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"tributary/hdlc"
	"tributary/internal/frame"
	"tributary/ppp"
)

// async is a Line over a carrier of octets, framed as RFC 1662 says.
//
// The goroutine in Read owns what rx guards, but only between two waits: while
// it waits for input, Close may take the buffers away. So that a line which
// nobody reads any more cannot keep them.
type async struct {
	info    Info
	pool    *frame.Pool
	scratch *scratch
	carrier carrier
	hurry   func() // nil if the carrier's peer needs no hurrying

	closed    atomic.Bool
	done      chan struct{} // closed by Close
	closeErr  error
	closeOnce sync.Once

	sendParams atomic.Uint64 // packParams
	recvACCM   atomic.Uint32

	rx  sync.Mutex
	dec hdlc.Decoder
	in  *input     // read, not decoded yet; nil unless a batch was full
	cur *frame.Buf // what the decoder has of a frame that is not complete; nil if nothing

	unsent *output // what the carrier has not taken yet of the last TryWrite; nil if nothing
	sent   int     // octets of unsent that it has taken

	noBuffer uint64 // frames dropped because the pool was at its cap

	counters sync.Mutex // held for a moment, once per Read and per Write
	count    Counters
}

func newAsync(info Info, c carrier, s *scratch, pool *frame.Pool) *async {
	a := &async{info: info, pool: pool, scratch: s, carrier: c, done: make(chan struct{})}
	if h, ok := c.(hurrier); ok {
		a.hurry = h.hurry
	}
	a.SetParams(hdlc.Default, hdlc.Default.ACCM)
	return a
}

// Over makes a Line of any stream of octets: a connection, or the two ends of a
// command. A stream in the runtime's poller (TCP, a terminal) holds no buffer
// while it is idle; any other holds one while it is read. Closing the line
// closes rw.
func Over(rw io.ReadWriteCloser, info Info, pool *frame.Pool) Line {
	s := newScratch()
	switch rw := rw.(type) {
	case *Conn:
		rw.scratch = s
		return newAsync(info, rw, s, pool)
	case syscall.Conn:
		if c, err := newFDCarrier(struct {
			io.WriteCloser
			syscall.Conn
		}{rw.(io.WriteCloser), rw}, s); err == nil {
			return newAsync(info, c, s, pool)
		}
	}
	return newAsync(info, &rwCarrier{rw: rw, scratch: s}, s, pool)
}

func (a *async) Info() Info { return a.info }

func (a *async) Read(batch []*frame.Buf) (int, error) {
	a.rx.Lock()
	if a.in != nil && !a.closed.Load() {
		n := a.decode(batch, 0)
		a.rx.Unlock()
		return n, nil
	}
	a.rx.Unlock()

	in, err := a.carrier.read()

	a.rx.Lock()
	defer a.rx.Unlock()
	if a.closed.Load() {
		if in != nil {
			a.scratch.putInput(in)
		}
		a.release()
		return 0, ErrClosed
	}
	if err != nil {
		a.release()
		return 0, down(err)
	}
	a.in = in
	return a.decode(batch, in.end), nil
}

// decode moves frames from a.in to batch until one of them is used up. wire is
// how many octets came from the carrier just now. rx is held.
func (a *async) decode(batch []*frame.Buf, wire int) (n int) {
	a.dec.SetACCM(a.recvACCM.Load())
	var octets uint64
	for n < len(batch) && a.in.off < a.in.end {
		src := a.in.data[a.in.off:a.in.end]
		var space []byte
		if a.cur != nil {
			space = a.cur.Space()
		}
		f, used := a.dec.Decode(space, src)
		a.in.off += used
		switch {
		case f != nil:
			a.cur.SetLen(len(f)) // f lies at the front of space
			batch[n] = a.cur
			n++
			octets += uint64(len(f))
			a.cur = nil
		case used < len(src) && a.cur == nil: // an octet that needs room
			if a.cur = a.pool.Get(); a.cur == nil {
				a.skipFrame()
			}
		}
	}
	if a.in.off >= a.in.end {
		a.scratch.putInput(a.in)
		a.in = nil
		switch {
		case a.dec.Partial():
			// Behind a whole frame the rest is on its way: a sender with more
			// to send does not wait.
			if n == 0 && a.hurry != nil {
				a.hurry()
			}
		case a.cur != nil:
			a.cur.Put()
			a.cur = nil
		}
	}

	a.counters.Lock()
	a.count.RxWireOctets += uint64(wire)
	a.count.RxFrames += uint64(n)
	a.count.RxOctets += octets
	a.count.Counters = a.dec.Counters
	a.count.NoBuffer = a.noBuffer
	a.counters.Unlock()
	return n
}

// skipFrame gives up the frame that begins at a.in.off, for want of a buffer, and
// leaves the decoder in step with the stream. rx is held.
func (a *async) skipFrame() {
	a.noBuffer++
	// Behind a flag the decoder does not know yet that there is a frame to skip:
	// its first octet tells it.
	var first [2]byte
	_, used := a.dec.Decode(first[:], a.in.data[a.in.off:a.in.off+1])
	a.in.off += used
	a.dec.Skip()
}

// release gives back what the reader holds. rx is held.
func (a *async) release() {
	if a.in != nil {
		a.scratch.putInput(a.in)
		a.in = nil
	}
	if a.cur != nil {
		a.cur.Put()
		a.cur = nil
	}
}

func (a *async) Write(frames []*frame.Buf) error {
	for len(frames) > 0 {
		n, whole, err := a.TryWrite(frames)
		if err == nil && !whole {
			err = a.Flush()
		}
		if err != nil {
			return err
		}
		frames = frames[n:]
	}
	return nil
}

func (a *async) TryWrite(frames []*frame.Buf) (n int, whole bool, err error) {
	if a.closed.Load() {
		return 0, false, ErrClosed
	}
	params, _ := a.Params()
	// RFC 1662 section 7.1: the peer's ACCM says what "MUST remain mapped when the
	// peer sends them"; a sender may map more, and what the carrier would eat it must.
	params.ACCM |= a.info.ACCM

	need := 0
	for _, f := range frames {
		need += hdlc.MaxEncoded(len(f.Bytes()))
	}
	out := a.scratch.output(need)
	var octets uint64
	for ; n < len(frames); n++ {
		b := frames[n].Bytes()
		if n > 0 && len(out.data)+hdlc.MaxEncoded(len(b)) > cap(out.data) {
			break // the rest is another write's
		}
		out.data = hdlc.AppendFrame(out.data, b, framing(b, params))
		octets += uint64(len(b))
	}
	wire := len(out.data)
	k, err := a.carrier.tryWrite(out.data)
	if err != nil {
		a.scratch.putOutput(out)
		return 0, false, a.failed(err)
	}
	if whole = k == wire; whole {
		a.scratch.putOutput(out)
	} else {
		a.unsent, a.sent = out, k
	}
	a.counters.Lock()
	a.count.TxFrames += uint64(n)
	a.count.TxOctets += octets
	a.count.TxWireOctets += uint64(wire)
	a.counters.Unlock()
	return n, whole, nil
}

func (a *async) Flush() error {
	out := a.unsent
	if out == nil {
		return nil
	}
	a.unsent = nil
	err := a.carrier.write(out.data[a.sent:])
	a.scratch.putOutput(out)
	if err != nil {
		return a.failed(err)
	}
	return nil
}

// failed is what Write says of its carrier's error.
func (a *async) failed(err error) error {
	if a.closed.Load() {
		return ErrClosed
	}
	return down(err)
}

func (a *async) SetParams(send hdlc.Params, recvACCM uint32) {
	a.sendParams.Store(packParams(send))
	a.recvACCM.Store(recvACCM)
}

func (a *async) Params() (send hdlc.Params, recvACCM uint32) {
	return unpackParams(a.sendParams.Load()), a.recvACCM.Load()
}

// packParams puts p in one word, so that Write reads it whole without a lock.
func packParams(p hdlc.Params) uint64 {
	v := uint64(p.ACCM)
	if p.PFC {
		v |= 1 << 32
	}
	if p.ACFC {
		v |= 1 << 33
	}
	return v
}

func unpackParams(v uint64) hdlc.Params {
	return hdlc.Params{ACCM: uint32(v), PFC: v&(1<<32) != 0, ACFC: v&(1<<33) != 0}
}

func (a *async) Counters() Counters {
	a.counters.Lock()
	defer a.counters.Unlock()
	return a.count
}

func (a *async) Close() error {
	a.closeOnce.Do(func() {
		a.closed.Store(true)
		if err := a.carrier.close(); !errors.Is(err, os.ErrClosed) { // hung up below us already
			a.closeErr = err
		}
		a.rx.Lock()
		a.release()
		a.rx.Unlock()
		close(a.done)
	})
	return a.closeErr
}

// framing is how frame b is to go out: data as LCP settled, everything else as
// if nothing had been. The peer learns of new parameters by a frame from here,
// and what directly follows that frame, such as a CHAP Challenge behind an Ack,
// may reach it before it has set them. A receiver takes escapes that nobody
// asked for and a full header at any time (RFC 1662 sections 3.2 and 4.2), so
// this costs a few octets of control packets, and saves a wait of three seconds
// for their repetition.
func framing(b []byte, params hdlc.Params) hdlc.Params {
	if p, _, ok := ppp.Split(b); ok && !p.IsData() {
		return hdlc.Default
	}
	return params
}
