package ether

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tributary/internal/frame"
)

// A full queue is waited for at most so long in one WriteBatch, in steps: the
// caller is the reader of a line or a port, and what it holds up is worth more
// than the frames of one burst.
const (
	sendPatience = 5 * time.Millisecond
	sendStep     = time.Millisecond
)

// sender is what one WriteBatch needs; there are as many as goroutines write at
// once. The arrays are filled in place, so nothing is allocated for a batch.
type sender struct {
	headers [maxBatch]unix.Mmsghdr
	vectors [maxBatch]unix.Iovec
	send    func(fd uintptr) // sendAll, made into a value once

	// Of the batch that is under way.
	count   int // frames in the arrays
	sent    int
	octets  int
	refused int // frames the medium did not take
	gone    bool
}

func newSender() *sender {
	s := new(sender)
	for i := range s.headers {
		s.headers[i].Hdr.Iov = &s.vectors[i]
		s.headers[i].Hdr.SetIovlen(1)
	}
	s.send = s.sendAll
	return s
}

// fill points the arrays at the frames of bufs.
func (s *sender) fill(bufs []*frame.Buf) {
	s.count, s.sent, s.octets, s.refused, s.gone = 0, 0, 0, 0, false
	for _, b := range bufs {
		f := b.Bytes()
		if len(f) < HeaderLen {
			s.refused++
			continue
		}
		s.vectors[s.count].Base = &f[0]
		s.vectors[s.count].SetLen(len(f))
		s.count++
	}
}

// forget drops the references to the frames: they are their owner's again.
func (s *sender) forget() {
	for i := range s.count {
		s.vectors[i].Base = nil
	}
}

// sendAll sends what fill prepared. What the medium will not take is refused,
// after a wait that is bounded for the whole batch.
func (s *sender) sendAll(fd uintptr) {
	var patience time.Duration // used up
	for at := 0; at < s.count; {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&s.headers[at])),
			uintptr(s.count-at), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			for i := at; i < at+int(n); i++ {
				s.octets += int(s.vectors[i].Len)
			}
			s.sent += int(n)
			at += int(n)
		case unix.EINTR:
		case unix.EAGAIN, unix.ENOBUFS:
			// EAGAIN: our share of the interface's queue is used up. ENOBUFS:
			// the queue itself is full, and the frame was thrown away.
			if patience >= sendPatience {
				s.refused += s.count - at
				return
			}
			patience += await(int(fd), errno == unix.EAGAIN)
		case unix.ENETDOWN:
			s.refused += s.count - at
			return
		case unix.ENXIO, unix.ENODEV:
			s.refused += s.count - at
			s.gone = isGone(int(fd))
			return
		default:
			// This one frame is at fault: EMSGSIZE, longer than the MTU.
			s.refused++
			at++
		}
	}
}

// await waits one step, or less if the socket becomes writable and that is what
// is waited for. It returns how long it took.
func await(fd int, writable bool) time.Duration {
	start := time.Now()
	fds := [1]unix.PollFd{{Fd: -1}} // ignored by poll: a plain wait
	if writable {
		fds[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLOUT}
	}
	_, _ = unix.Poll(fds[:], int(sendStep.Milliseconds()))
	return max(time.Since(start), sendStep/20)
}

// WriteBatch is Port's. A batch of more than 64 frames takes several system calls.
func (p *packetPort) WriteBatch(bufs []*frame.Buf) (int, error) {
	if p.closed.Load() {
		return 0, ErrClosed
	}
	s := p.out.Get().(*sender)
	defer p.out.Put(s)
	total := 0
	for len(bufs) > 0 {
		chunk := bufs[:min(len(bufs), maxBatch)]
		bufs = bufs[len(chunk):]
		s.fill(chunk)
		// Control, not Write: Write holds a lock that would line up the writers.
		err := p.raw.Control(s.send)
		s.forget()
		if err != nil {
			return total, ErrClosed
		}
		total += s.sent
		p.count.sent(s.sent, s.octets)
		p.count.txDropped.Add(uint64(s.refused))
		if s.gone {
			return total, p.errGone("send")
		}
	}
	return total, nil
}
