//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxBatch is how many frames one system call carries, as in the gateway.
const maxBatch = 64

// openPacket opens a blocking packet socket on an interface. What runs around
// the subject, and the floor, use the kernel without the project's own layers.
func openPacket(name string) (fd int, err error) {
	fd, err = newPacket(true)
	if err == nil {
		err = bindPacket(fd, name)
	}
	return fd, err
}

// newPacket makes a packet socket that is not bound yet: a ring has to be there
// before the first frame. With bypass its frames go past the interface's queueing
// discipline.
func newPacket(bypass bool) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	past := 0
	if bypass {
		past = 1
	}
	for _, o := range []struct{ level, opt, value int }{
		{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		{unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, past},
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16 << 20},
		{unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 16 << 20},
	} {
		if err = unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			_ = unix.Close(fd)
			return -1, fmt.Errorf("packet socket option %d: %w", o.opt, err)
		}
	}
	return fd, nil
}

// bindPacket has the socket get every frame that the interface receives; one that
// cannot be bound is closed.
func bindPacket(fd int, name string) error {
	ifi, err := net.InterfaceByName(name)
	if err == nil {
		var all [2]byte
		binary.BigEndian.PutUint16(all[:], unix.ETH_P_ALL)
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(all[:]), Ifindex: ifi.Index})
	}
	if err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("bind to %s: %w", name, err)
	}
	return nil
}

// batch is the arrays of recvmmsg and sendmmsg.
type batch struct {
	headers []unix.Mmsghdr
	vectors []unix.Iovec
	n       int
}

// newBatch makes one for at most size frames a system call.
func newBatch(size int) *batch {
	b := &batch{headers: make([]unix.Mmsghdr, size), vectors: make([]unix.Iovec, size)}
	for i := range b.headers {
		b.headers[i].Hdr.Iov = &b.vectors[i]
		b.headers[i].Hdr.SetIovlen(1)
	}
	return b
}

// add appends a frame to what send sends, which has room for as many as the batch
// was made for.
func (b *batch) add(f []byte) {
	b.vectors[b.n].Base = &f[0]
	b.vectors[b.n].SetLen(len(f))
	b.n++
}

// send sends what was added and forgets it.
func (b *batch) send(fd int) error {
	for at := 0; at < b.n; {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.headers[at])),
			uintptr(b.n-at), 0, 0, 0)
		switch errno {
		case 0:
			at += int(n)
		case unix.EINTR:
		case unix.ENOBUFS:
			at++ // lost, as the network may; whoever counts will see
		default:
			return fmt.Errorf("sendmmsg: %w", errno)
		}
	}
	b.n = 0
	return nil
}

// slotSize is the room for one frame.
const slotSize = 2048

// inbox is a batch with memory to receive in.
type inbox struct {
	batch
	data [][slotSize]byte
}

func newInbox(size int) *inbox {
	in := &inbox{batch: *newBatch(size), data: make([][slotSize]byte, size)}
	for i := range in.headers {
		in.vectors[i].Base = &in.data[i][0]
		in.vectors[i].SetLen(len(in.data[i]))
	}
	return in
}

// receive waits for at least one frame, unless flags say otherwise, and takes
// those that are there; n is 0 if none came.
func (in *inbox) receive(fd int, flags uintptr) (n int, err error) {
	for {
		r, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&in.headers[0])),
			uintptr(len(in.headers)), flags, 0, 0)
		switch errno {
		case 0:
			return int(r), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, nil
		default:
			return 0, fmt.Errorf("recvmmsg: %w", errno)
		}
	}
}

// frame is the i-th frame of the last receive, valid until the next.
func (in *inbox) frame(i int) []byte { return in.data[i][:in.headers[i].Len] }
