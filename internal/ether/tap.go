package ether

import (
	"sync/atomic"

	"tributary/internal/frame"
)

// Recorder takes copies of frames for a capture. It is called on the data path
// by many goroutines at once: it must not wait, and may keep nothing of frame.
// outbound frames are those we send; comment is "" or why a frame is special.
type Recorder interface {
	Record(outbound bool, frame []byte, comment string)
}

// Tap is a Port that shows every frame to a Recorder while one is attached, and
// costs one atomic load a batch while none is.
type Tap struct {
	Port
	recorder atomic.Pointer[Recorder]
}

// NewTap puts a tap without a Recorder in front of p.
func NewTap(p Port) *Tap { return &Tap{Port: p} }

// Attach shows frames to r from now on, in place of what was there before.
// A call that is under way may still use the old one.
func (t *Tap) Attach(r Recorder) {
	if r == nil {
		t.recorder.Store(nil)
		return
	}
	t.recorder.Store(&r)
}

// Detach ends the showing.
func (t *Tap) Detach() { t.recorder.Store(nil) }

// ReadBatch is Port's; frames are recorded as they were received.
func (t *Tap) ReadBatch(bufs []*frame.Buf) (int, error) {
	n, err := t.Port.ReadBatch(bufs)
	if r := t.recorder.Load(); r != nil {
		for _, b := range bufs[:n] {
			(*r).Record(false, b.Bytes(), "")
		}
	}
	return n, err
}

// WriteBatch is Port's; frames are recorded as they were given, before the
// medium has taken or dropped them.
func (t *Tap) WriteBatch(bufs []*frame.Buf) (int, error) {
	if r := t.recorder.Load(); r != nil {
		for _, b := range bufs {
			(*r).Record(true, b.Bytes(), "")
		}
	}
	return t.Port.WriteBatch(bufs)
}
