package ether

import (
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tributary/internal/frame"
)

// downPoll is how often a port whose interface is down looks whether it is
// still there: the kernel tells a packet socket that its interface went down,
// but not that it was removed after that.
const downPoll = 200 * time.Millisecond

// received is what one turn of receiving has brought.
type received struct {
	frames    int
	octets    int
	truncated int // larger than a buffer
}

// receiver is the state of ReadBatch between and during its attempts.
type receiver struct {
	busy  sync.Mutex // held by ReadBatch: the ring's memory must not go while it is read
	ring  *ring      // nil where the kernel gave none: then msgs receives
	msgs  *messages
	ready func(fd uintptr) bool // receive, made into a value once

	// Of the call that is under way.
	bufs  []*frame.Buf
	got   received
	errno unix.Errno
	down  bool // the last errno was ENETDOWN, and nothing has arrived since
}

func (r *receiver) init(ring *ring) {
	if r.ring = ring; ring == nil {
		r.msgs = newMessages()
	}
	r.ready = r.receive
}

// receive is one attempt; false makes the poller wait until there is more.
func (r *receiver) receive(fd uintptr) bool {
	r.got, r.errno = received{}, 0
	if r.ring == nil {
		r.got, r.errno = r.msgs.receive(fd, r.bufs)
		return r.errno != unix.EAGAIN
	}
	if r.got = r.ring.take(r.bufs); r.got != (received{}) {
		return true // also if it was nothing but frames that are dropped: they count
	}
	// The ring does not tell of errors. One that comes from now on ends the wait.
	if e, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); err == nil && e != 0 {
		r.errno = unix.Errno(e)
		return true
	}
	return false
}

// ReadBatch is Port's. An interface that is down is waited for; one that was
// removed gives an InterfaceError with ErrGone.
func (p *packetPort) ReadBatch(bufs []*frame.Buf) (int, error) {
	if len(bufs) == 0 {
		return 0, nil
	}
	r := &p.in
	r.busy.Lock()
	defer r.busy.Unlock()
	r.bufs = bufs
	for {
		err := p.raw.Read(r.ready)
		switch {
		case p.closed.Load():
			return 0, ErrClosed
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := p.stillThere(); err != nil {
				return 0, err
			}
		case err != nil:
			return 0, &InterfaceError{Interface: p.name, Op: "wait for frames", Err: err}
		case r.errno == unix.ENETDOWN:
			r.down = true
			if err := p.stillThere(); err != nil {
				return 0, err
			}
		case r.errno == unix.EINTR:
		case r.errno == unix.ENOBUFS || r.errno == unix.ENOMEM:
			// The kernel is short of memory, not we; it counts what it drops.
		case r.errno != 0:
			return 0, &InterfaceError{Interface: p.name, Op: "receive", Err: r.errno}
		default:
			if r.down {
				r.down = false
				_ = p.file.SetReadDeadline(time.Time{})
			}
			p.count.received(r.got.frames, r.got.octets)
			p.count.rxTruncated.Add(uint64(r.got.truncated))
			if r.got.frames > 0 {
				return r.got.frames, nil
			}
		}
	}
}

// stillThere arms the next look at an interface that is down.
func (p *packetPort) stillThere() error {
	if p.gone() {
		return p.errGone("receive")
	}
	if err := p.file.SetReadDeadline(time.Now().Add(downPoll)); err != nil {
		return ErrClosed
	}
	return nil
}
