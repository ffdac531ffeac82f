//go:build linux

package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// board is what the access concentrator says of its sessions, in memory that it
// shares with whoever measures: to look costs neither of them a system call.
type board struct {
	opened     atomic.Uint64 // sessions given, ever
	closed     atomic.Uint64 // ended by a PADT, ever
	lastPADT   atomic.Int64  // when the last one came, on monotonic's clock
	lcpOpen    atomic.Uint64 // sessions whose LCP has opened, ever
	asked      atomic.Uint64 // Echo-Requests that came
	echoSent   atomic.Uint64 // Echo-Requests of the AC's own
	answered   atomic.Uint64 // Echo-Replies to them
	terminated atomic.Uint64 // Terminate-Requests that came
	lost       atomic.Uint64 // frames that the kernel had no room for
	echoEvery  atomic.Int64  // set by whoever measures: the AC asks each session so often, in ns; 0 is never
}

// openBoard maps the board in the file at path, which it makes if need be.
func openBoard(path string) (*board, error) { return shared[board](path) }

// shared is a T in the file at path, which it makes if need be, until unshare. T has
// no pointers and is no larger than a page.
func shared[T any](path string) (*T, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size := os.Getpagesize()
	if err := f.Truncate(int64(size)); err != nil {
		return nil, err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return (*T)(unsafe.Pointer(&b[0])), nil
}

// unshare unmaps what shared has mapped.
func unshare[T any](p *T) {
	_ = unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(p)), os.Getpagesize()))
}

// countLost adds what the kernel has dropped on a packet socket since the last call.
func (b *board) countLost(fd int) {
	if st, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		b.lost.Add(uint64(st.Drops))
	}
}

// monotonic is a clock that processes share.
func monotonic() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // there is always one
	return time.Duration(ts.Nano())
}
