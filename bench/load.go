//go:build linux

package main

import (
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

// A line that has been silent for patience gets one frame more than its window,
// and again, up to maxProbes: if that comes back and those before it have not,
// they are lost. A machine that just stood still has lost nothing. When the
// probes have not come back either, nothing will.
const (
	patience  = 200 * time.Millisecond
	maxProbes = 8
)

// load keeps a window of frames under way on each of some lines. One goroutine
// does it all, with no more than a wait, a read and a write for a burst, so that
// it takes little of what the subject could use.
type load struct {
	epoll    int
	lines    []*loadLine
	window   int
	burst    int
	patience time.Duration
	events   []unix.EpollEvent
	buf      []byte
}

type loadLine struct {
	fd    int
	index int32 // in lines, and what epoll knows it by
	returns
	have    []byte    // octets of a frame that is not complete
	pending [2][]byte // octets that the line did not take yet
	watched bool      // for room
	heard   time.Time
	probes  int // since it was heard
}

// newLoad takes over lines, which do not block.
func newLoad(fds []int, trains []*train, window, burst int) (*load, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	l := &load{
		epoll: ep, window: window, burst: burst, patience: patience,
		events: make([]unix.EpollEvent, 256), buf: make([]byte, 256<<10),
	}
	for i, fd := range fds {
		l.lines = append(l.lines, &loadLine{fd: fd, index: int32(i), returns: returns{train: trains[i]}, heard: time.Now()})
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *load) close() { _ = unix.Close(l.epoll) }

// run keeps the windows full for d.
func (l *load) run(d time.Duration) error {
	end := time.Now().Add(d)
	for _, ln := range l.lines {
		ln.heard = time.Now()
		if err := l.fill(ln); err != nil {
			return err
		}
	}
	return l.loop(func(now time.Time) bool { return !now.Before(end) }, l.fill)
}

// drain waits for what is under way and sends no more.
func (l *load) drain() error {
	return l.loop(func(time.Time) bool {
		for _, ln := range l.lines {
			if ln.underWay() > 0 {
				return false
			}
		}
		return true
	}, func(*loadLine) error { return nil })
}

// loop serves the lines until done; next is called for each line that has taken
// frames in, or has given some up.
func (l *load) loop(done func(now time.Time) bool, next func(*loadLine) error) error {
	for {
		now := time.Now()
		if done(now) {
			return nil
		}
		n, err := unix.EpollWait(l.epoll, l.events, 10)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("epoll: %w", err)
		}
		now = time.Now()
		for _, ev := range l.events[:max(n, 0)] {
			ln := l.lines[ev.Fd]
			if ev.Events&unix.EPOLLOUT != 0 {
				if err := l.flush(ln); err != nil {
					return err
				}
			}
			if ev.Events&^unix.EPOLLOUT != 0 {
				ln.heard, ln.probes = now, 0
				if err := l.read(ln); err != nil {
					return err
				}
			}
			if err := next(ln); err != nil {
				return err
			}
		}
		if n == len(l.lines) {
			continue // all were heard
		}
		for _, ln := range l.lines {
			if ln.underWay() > 0 && now.Sub(ln.heard) > l.patience {
				ln.heard = now
				if ln.probes < maxProbes && ln.underWay() < ln.train.cars() {
					ln.probes++
					if err := l.send(ln, 1); err != nil {
						return err
					}
					continue
				}
				ln.probes = 0
				ln.giveUp()
				if err := next(ln); err != nil {
					return err
				}
			}
		}
	}
}

// fill sends as many frames as may go, if they are worth a write.
func (l *load) fill(ln *loadLine) error {
	room := l.window - ln.underWay()
	if room < l.burst {
		return nil
	}
	return l.send(ln, room)
}

// send sends the next n frames, unless the line has not taken the last ones yet.
func (l *load) send(ln *loadLine, n int) error {
	if ln.pending[0] != nil {
		return nil
	}
	a, b := ln.train.frames(ln.tally.sent, n)
	ln.tally.sent += uint64(n)
	ln.pending = [2][]byte{a, b}
	return l.flush(ln)
}

// flush writes what is pending, and has epoll watch for room as long as there is
// more of it than room.
func (l *load) flush(ln *loadLine) error {
	for ln.pending[0] != nil {
		n, err := unix.Write(ln.fd, ln.pending[0])
		switch {
		case err == unix.EAGAIN:
			return l.watch(ln, true)
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("write to a line: %w", err)
		}
		if ln.pending[0] = ln.pending[0][n:]; len(ln.pending[0]) == 0 {
			ln.pending = [2][]byte{ln.pending[1], nil}
		}
	}
	return l.watch(ln, false)
}

func (l *load) watch(ln *loadLine, room bool) error {
	if ln.watched == room {
		return nil
	}
	ln.watched = room
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: ln.index}
	if room {
		ev.Events |= unix.EPOLLOUT
	}
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, ln.fd, &ev)
}

// read takes in what one read gives.
func (l *load) read(ln *loadLine) error {
	at := copy(l.buf, ln.have)
	n, err := unix.Read(ln.fd, l.buf[at:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil
	case err != nil:
		return fmt.Errorf("read from a line: %w", err)
	case n == 0:
		return fmt.Errorf("a line hung up: %w", io.ErrUnexpectedEOF)
	}
	b := l.buf[:at+n]
	used := ln.take(b)
	ln.have = append(ln.have[:0], b[used:]...)
	return nil
}

func (l *load) tally() (t tally) {
	for _, ln := range l.lines {
		t.add(ln.tally)
	}
	return t
}
