package gateway

import (
	"io"
	"sync"
	"sync/atomic"

	"tributary/hdlc"
	"tributary/internal/frame"
	"tributary/internal/line"
	"tributary/ppp"
)

// trunkLine is the line of the one user who lives in the gateway itself: the PPP
// client of a session that users share. To discovery, relay and journal it is a
// line like any other; so there is one way to have a session with an AC, not two.
// Only network data take another way, see trunk.downstream.
type trunkLine struct {
	info   line.Info
	pool   *frame.Pool
	toAC   chan *frame.Buf // control frames of the client's
	fromAC chan *frame.Buf // and for it
	ipv6   chan *frame.Buf // IPv6 packets from the ISP for the gateway itself
	done   chan struct{}
	ended  chan struct{}          // the client is done with all that it had, too
	why    atomic.Pointer[ending] // the end that its client has come to, before he says so; nil if none
	once   sync.Once
	users  carried // what users send on it
}

// trunkQueue is how many control frames may wait in each direction. PPP repeats
// what is lost.
const trunkQueue = 32

func newTrunkLine(info line.Info, pool *frame.Pool) *trunkLine {
	return &trunkLine{
		info: info, pool: pool, done: make(chan struct{}),
		toAC: make(chan *frame.Buf, trunkQueue), fromAC: make(chan *frame.Buf, trunkQueue),
		ipv6: make(chan *frame.Buf, trunkQueue), ended: make(chan struct{}),
	}
}

// because notes why the client ends PPP, if it was not his wish, nor the line's doing.
func (l *trunkLine) because(why ppp.Reason, message string) {
	if reason, ok := clientReasons[why]; ok {
		l.why.CompareAndSwap(nil, &ending{reason: reason, message: message})
	}
}

// send gives the AC a frame of the client's.
func (l *trunkLine) send(f []byte) { l.put(l.toAC, f) }

// hear gives the client a frame of the AC's that is no user's.
func (l *trunkLine) hear(f []byte) {
	l.put(l.fromAC, f)
	select {
	case <-l.done:
		l.drain() // the client may have done so for the last time
	default:
	}
}

func (l *trunkLine) put(c chan *frame.Buf, f []byte) {
	b := l.pool.Get()
	if b == nil {
		return
	}
	if b.SetBytes(f) {
		select {
		case c <- b:
			return
		default:
		}
	}
	b.Put()
}

// take hands the client an IPv6 packet, without waiting. It is false, and b still
// the caller's, if the client is gone or has enough to do.
func (l *trunkLine) take(b *frame.Buf) bool {
	select {
	case <-l.done:
		return false
	case l.ipv6 <- b:
	default:
		return false
	}
	select {
	case <-l.done:
		l.drain() // the client may have done so for the last time
	default:
	}
	return true
}

// drain puts back what nobody reads any more.
func (l *trunkLine) drain() {
	for {
		select {
		case b := <-l.toAC:
			b.Put()
		case b := <-l.fromAC:
			b.Put()
		case b := <-l.ipv6:
			b.Put()
		default:
			return
		}
	}
}

func (l *trunkLine) Info() line.Info { return l.info }

func (l *trunkLine) Read(batch []*frame.Buf) (n int, err error) {
	select {
	case batch[0] = <-l.toAC:
		return 1, nil
	case <-l.done:
		return 0, io.EOF
	}
}

func (l *trunkLine) TryWrite(frames []*frame.Buf) (n int, whole bool, err error) {
	select {
	case <-l.done:
		return 0, false, line.ErrClosed
	default:
	}
	for _, b := range frames {
		if p, _, ok := ppp.Split(b.Bytes()); ok && !p.IsData() {
			l.put(l.fromAC, b.Bytes())
		}
	}
	select {
	case <-l.done:
		l.drain() // the client may have done so for the last time
	default:
	}
	return len(frames), true, nil
}

func (l *trunkLine) Write(frames []*frame.Buf) error {
	_, _, err := l.TryWrite(frames)
	return err
}

func (l *trunkLine) Flush() error                  { return nil }
func (l *trunkLine) SetParams(hdlc.Params, uint32) {}
func (l *trunkLine) Params() (hdlc.Params, uint32) { return hdlc.Params{}, 0 }
func (l *trunkLine) Counters() line.Counters       { return line.Counters{} }
func (l *trunkLine) Close() error                  { l.once.Do(func() { close(l.done) }); return nil }
