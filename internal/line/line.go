// Package line is the access side: where users' PPP comes from. A Listener
// yields Lines; a Line carries PPP frames, its framing already taken off.
package line

import (
	"errors"

	"tributary/hdlc"
	"tributary/internal/frame"
)

// Info says what a line is. It does not change during the line's life.
type Info struct {
	Name   string // "group/17", "group/ttyUSB0": unique in the process, stable for a place to dial in at
	Group  string // the configuration group
	Kind   string // "tcp", "pty", "serial", "pipe"
	Remote string // the peer as the operator knows it: "192.0.2.7:40112", "/dev/ttyUSB0"
	Speed  int    // bit/s, 0 if the carrier has no speed of its own

	// ACCM names the control characters that the carrier takes for itself
	// (XON and XOFF). Write escapes them whatever SetParams says; the peer
	// must be asked, by LCP, to do so too (RFC 1662 section 7.1).
	ACCM uint32
}

// Counters of one line, since it came up. Frames and octets of PPP, without
// framing; Wire octets with it.
type Counters struct {
	RxFrames, RxOctets, RxWireOctets uint64
	TxFrames, TxOctets, TxWireOctets uint64
	hdlc.Counters                           // every kind of receive drop
	NoBuffer                         uint64 // frames dropped because the pool was at its cap
}

// ErrClosed is what Read and Write return after Close.
var ErrClosed = errors.New("line: closed")

// Line is one access connection.
//
// One goroutine calls Read, one at a time calls Write, TryWrite and Flush; every other method may
// be called from any goroutine.
type Line interface {
	Info() Info

	// Read waits for input, reads once, and puts the frames that are then
	// complete in batch, each starting at a two-octet Protocol field with
	// frame.Headroom octets free in front. The caller owns them and must Put
	// them back. n may be 0 with a nil error. When frames are left over for
	// want of room in batch, the next Read yields them at once. A line that
	// went down gives io.EOF, or the error that says how.
	//
	// An idle line holds no buffer: it takes one only when input is there.
	Read(batch []*frame.Buf) (n int, err error)

	// Write sends PPP frames, each starting at its Protocol field, in one
	// write where the carrier allows. It blocks while the carrier does, and
	// keeps no reference to frames. Close makes a blocked Write return.
	Write(frames []*frame.Buf) error

	// TryWrite is a Write that does not wait. It takes the first n frames; if
	// whole is false the carrier has not taken all of their octets yet, and
	// Flush must be called before the next Write or TryWrite.
	TryWrite(frames []*frame.Buf) (n int, whole bool, err error)

	// Flush waits until the carrier has taken what TryWrite left over.
	Flush() error

	// SetParams says how to frame what is sent from now on, and which
	// control characters to discard on receipt (RFC 1662). Carriers without
	// HDLC framing ignore it.
	SetParams(send hdlc.Params, recvACCM uint32)

	// Params is what SetParams last set.
	Params() (send hdlc.Params, recvACCM uint32)

	Counters() Counters

	// Close hangs up. It may be called more than once.
	Close() error
}

// Refused counts what a listener turned away.
type Refused struct {
	NotAllowed uint64 // its address is in no allowed prefix
	TooMany    uint64 // the listener had as many lines as it may have
	Failed     uint64 // it could not be accepted or set up: no descriptors, an error of the device
}

// Refuser is a Listener that counts what it turns away. All of this package's are.
type Refuser interface{ Refused() Refused }

// Listener yields lines as they come up. Closing it makes Accept return
// ErrClosed; lines it yielded stay up until they are closed themselves.
type Listener interface {
	Accept() (Line, error)
	Close() error
	// Addr is where users reach it: a TCP address, a device, a link's path.
	Addr() string
}
