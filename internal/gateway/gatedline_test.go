package gateway

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"tributary/internal/frame"
	"tributary/internal/line"
)

// gatedLine takes as many frames as the test has allowed for. It holds its writers to
// what line.Line asks of them, and remembers what has gone out.
type gatedLine struct {
	line.Line
	t *testing.T

	busy atomic.Bool // somebody is in TryWrite, Flush or Write

	mu     sync.Mutex
	more   sync.Cond
	credit int                // frames that may still go out; negative: any number
	most   func(n int) int    // how many of n frames one TryWrite takes over; nil is all
	during func(try bool)     // called in each TryWrite and Write
	fail   func(op int) error // called with the number of the operation; nil is no error
	ops    int
	unsent []uint32 // taken over by TryWrite, not gone out yet
	sent   []uint32
	closes int
}

func newGatedLine(t *testing.T, credit int) *gatedLine {
	l := &gatedLine{t: t, credit: credit}
	l.more.L = &l.mu
	return l
}

var errBroken = errors.New("broken")

// enter holds that there is one writer.
func (l *gatedLine) enter() {
	if l.busy.Swap(true) {
		l.t.Error("two write to the line at once")
	}
	l.mu.Lock()
	l.ops++
}

func (l *gatedLine) leave() {
	l.mu.Unlock()
	l.busy.Store(false)
}

// failed is the error of this operation. mu is held.
func (l *gatedLine) failed() error {
	if l.closes > 0 {
		return line.ErrClosed
	}
	if l.fail != nil {
		return l.fail(l.ops)
	}
	return nil
}

// goOut sends of marks what there is credit for, and returns the rest. mu is held.
func (l *gatedLine) goOut(marks []uint32) []uint32 {
	n := len(marks)
	if l.credit >= 0 {
		n = min(n, l.credit)
		l.credit -= n
	}
	l.sent = append(l.sent, marks[:n]...)
	return marks[n:]
}

// waitOut sends all of marks. mu is held.
func (l *gatedLine) waitOut(marks []uint32) error {
	for {
		if err := l.failed(); err != nil {
			return err
		}
		if marks = l.goOut(marks); len(marks) == 0 {
			return nil
		}
		l.more.Wait()
	}
}

func marksOf(frames []*frame.Buf) (m []uint32) {
	for _, b := range frames {
		m = append(m, binary.BigEndian.Uint32(b.Bytes()[2:]))
	}
	return m
}

func (l *gatedLine) TryWrite(frames []*frame.Buf) (n int, whole bool, err error) {
	l.enter()
	defer l.leave()
	if len(l.unsent) > 0 {
		l.t.Error("TryWrite before what was left over has been flushed")
	}
	if len(frames) == 0 {
		l.t.Error("TryWrite of nothing")
	}
	if err := l.failed(); err != nil {
		return 0, false, err
	}
	if l.during != nil {
		l.during(true)
	}
	if n = len(frames); l.most != nil {
		n = l.most(n)
	}
	l.unsent = l.goOut(marksOf(frames[:n]))
	return n, len(l.unsent) == 0, nil
}

func (l *gatedLine) Flush() error {
	l.enter()
	defer l.leave()
	marks := l.unsent
	l.unsent = nil
	if len(marks) == 0 {
		return nil
	}
	return l.waitOut(marks)
}

func (l *gatedLine) Write(frames []*frame.Buf) error {
	l.enter()
	defer l.leave()
	if len(l.unsent) > 0 {
		l.t.Error("Write before what was left over has been flushed")
	}
	if l.during != nil {
		l.during(false)
	}
	return l.waitOut(marksOf(frames))
}

func (l *gatedLine) Close() error {
	l.mu.Lock()
	l.closes++
	l.mu.Unlock()
	l.more.Broadcast()
	return nil
}

// allow lets n more frames go out; negative is any number from now on.
func (l *gatedLine) allow(n int) {
	l.mu.Lock()
	if n < 0 {
		l.credit = n
	} else if l.credit >= 0 {
		l.credit += n
	}
	l.mu.Unlock()
	l.more.Broadcast()
}

func (l *gatedLine) state() (sent int, closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sent), l.closes > 0
}
