//go:build linux

package main

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sendRing is a transmit ring: frames are put into slots that are shared with the
// kernel, and one system call has all of them sent. The kernel gives a slot back
// when the frame's buffer loses its owner. On a veth that is at once, while the
// other end has not read the frame yet; since Linux 4.20 (commit 5cd8d46ea156) the
// kernel copies the frame before that, and before 4.20 the frame may change on its way.
type sendRing struct {
	fd    int
	mem   []byte
	next  int
	shape slotShape
	err   error // of an add, told by the next send
}

// slotShape is where things are in a slot to send: the header's length is the one
// of its version, without the address that the kernel's own constant counts in.
type slotShape struct{ status, length, frame int }

var (
	shape2 = slotShape{int(unsafe.Offsetof(unix.Tpacket2Hdr{}.Status)), int(unsafe.Offsetof(unix.Tpacket2Hdr{}.Len)), unix.SizeofTpacket2Hdr}
	shape3 = slotShape{int(unsafe.Offsetof(unix.Tpacket3Hdr{}.Status)), int(unsafe.Offsetof(unix.Tpacket3Hdr{}.Len)), unix.SizeofTpacket3Hdr}
)

func newSendRing(fd, version int) (r *sendRing, err error) {
	r = &sendRing{fd: fd, shape: shape2}
	if version == unix.TPACKET_V3 {
		r.shape = shape3
		// The kernel refuses one that says when to retire blocks: there are none here.
		err = unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_TX_RING, &unix.TpacketReq3{
			Block_size: ringBlock, Block_nr: sendRingLen / ringBlock, Frame_size: slotSize, Frame_nr: sendRingLen / slotSize,
		})
	} else {
		err = unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_TX_RING, &unix.TpacketReq{
			Block_size: ringBlock, Block_nr: sendRingLen / ringBlock, Frame_size: slotSize, Frame_nr: sendRingLen / slotSize,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("transmit ring: %w", err)
	}
	return r, nil
}

// add copies a frame into the next slot.
func (r *sendRing) add(f []byte) {
	slot := r.mem[r.next*slotSize:][:slotSize]
	status := (*uint32)(unsafe.Pointer(&slot[r.shape.status]))
	for r.err == nil {
		s := atomic.LoadUint32(status)
		if s == unix.TP_STATUS_AVAILABLE {
			break
		}
		if s&unix.TP_STATUS_WRONG_FORMAT != 0 {
			r.err = fmt.Errorf("transmit ring: the kernel refused a frame")
			return
		}
		r.err = r.kick(0) // the ring is full: wait until it is sent
	}
	if r.err != nil {
		return
	}
	copy(slot[r.shape.frame:], f)
	*(*uint32)(unsafe.Pointer(&slot[r.shape.length])) = uint32(len(f))
	atomic.StoreUint32(status, unix.TP_STATUS_SEND_REQUEST)
	r.next = (r.next + 1) % (sendRingLen / slotSize)
}

// send has the kernel send what was added.
func (r *sendRing) send() error {
	if r.err != nil {
		return r.err
	}
	return r.kick(unix.MSG_DONTWAIT)
}

func (r *sendRing) kick(flags uintptr) error {
	for {
		_, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(r.fd), 0, 0, flags, 0, 0)
		switch errno {
		case 0, unix.ENOBUFS, unix.EAGAIN:
			return nil // what was not sent stays in its slot, for the next time
		case unix.EINTR:
		default:
			return fmt.Errorf("send: %w", errno)
		}
	}
}
