package ether

import (
	"errors"
	"fmt"
)

// Options of a port on a real interface. The zero value is what most want.
type Options struct {
	// ReceiveBuffer is how many octets the kernel may hold for us while the
	// gateway is busy, at 2,048 for each frame; 0 is 8 MiB, 4,096 frames. The ring has
	// all of it at once, in memory of the kernel's.
	ReceiveBuffer int
	// SendBuffer is how many octets may be in the interface's queue for us;
	// 0 is 512 KiB, some 450 frames of full size, which is below the usual
	// queue of 1,000, so that a full queue makes WriteBatch wait a moment
	// instead of losing frames.
	SendBuffer int
	// QdiscBypass sends past the interface's queueing discipline: faster, but
	// traffic control, tc filters and other packet sockets do not see the frames.
	QdiscBypass bool
	// Promiscuous receives what is for other hosts too. AddMAC does not need
	// it, except where a driver or hypervisor does not heed added addresses.
	Promiscuous bool
	// Messages receives by system calls (recvmmsg) even where the kernel has a
	// ring of memory to share with us. A frame that somebody works on then costs 1.09
	// times the processor time (section Ports of bench/RESULTS.md); the gateway was
	// spared a tenth to a fifth of its own when it got the ring.
	Messages bool
	// NoRing, if not nil, is told why there is no ring, when Open falls back to
	// system calls.
	NoRing func(error)
}

// ErrGone is what an InterfaceError wraps when the interface was removed, or
// moved to another network namespace, while the port was open.
var ErrGone = errors.New("interface is gone")

// InterfaceError says which interface failed, in what, and what to do about it.
type InterfaceError struct {
	Interface string // its name
	Op        string // what was tried
	Err       error  // why it failed; usually a syscall.Errno, or ErrGone
	Hint      string // what the operator can do, or ""
}

func (e *InterfaceError) Error() string {
	s := fmt.Sprintf("ether: %s: %s: %v", e.Interface, e.Op, e.Err)
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

func (e *InterfaceError) Unwrap() error { return e.Err }
