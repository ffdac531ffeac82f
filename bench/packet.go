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
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return -1, err
	}
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("packet socket: %w", err)
	}
	for _, o := range []struct{ level, opt, value int }{
		{unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1},
		{unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1},
		{unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16 << 20},
		{unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 16 << 20},
	} {
		if err = unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			_ = unix.Close(fd)
			return -1, fmt.Errorf("packet socket option %d: %w", o.opt, err)
		}
	}
	var all [2]byte
	binary.BigEndian.PutUint16(all[:], unix.ETH_P_ALL)
	sa := &unix.SockaddrLinklayer{Protocol: binary.NativeEndian.Uint16(all[:]), Ifindex: ifi.Index}
	if err = unix.Bind(fd, sa); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("bind to %s: %w", name, err)
	}
	return fd, nil
}

// batch is the arrays of recvmmsg and sendmmsg.
type batch struct {
	headers [maxBatch]unix.Mmsghdr
	vectors [maxBatch]unix.Iovec
	n       int
}

func newBatch() *batch {
	b := new(batch)
	for i := range b.headers {
		b.headers[i].Hdr.Iov = &b.vectors[i]
		b.headers[i].Hdr.SetIovlen(1)
	}
	return b
}

// add appends a frame to what send sends, which has room for maxBatch.
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

// inbox is a batch with memory to receive in.
type inbox struct {
	batch
	data [maxBatch][2048]byte
}

func newInbox() *inbox {
	in := new(inbox)
	in.batch = *newBatch()
	for i := range in.headers {
		in.headers[i].Hdr.Iov = &in.vectors[i]
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
			maxBatch, flags, 0, 0)
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
