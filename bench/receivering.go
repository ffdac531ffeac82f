//go:build linux

package main

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sizes of a ring, in octets. The receive ring is as large as the gateway's.
const (
	ringBlock   = 64 << 10
	receiveRing = 16 << 20
	sendRingLen = 4 << 20
)

// retire is after how many milliseconds the kernel hands over a block of a version 3
// ring that is not full. There is no shorter time.
const retire = 1

// copies is own memory for frames that have come in a ring. The gateway copies them
// as well: a frame may wait in its line's queue for longer than a slot can be done
// without.
type copies struct {
	data [][slotSize]byte
	lens []int
}

func newCopies(size int) copies {
	return copies{make([][slotSize]byte, size), make([]int, size)}
}

func (c *copies) take(i int, f []byte) { c.lens[i] = copy(c.data[i][:], f) }

// frame is the i-th frame of the last receive, valid until the next.
func (c *copies) frame(i int) []byte { return c.data[i][:c.lens[i]] }

// receiveRing2 is a receive ring of version 2: the kernel hands over slot by slot.
type receiveRing2 struct {
	copies
	fd   int
	mem  []byte
	next int
}

// newReceiveRing2 gives a socket that is not bound its ring; mem is to be mapped when
// it has all of its rings.
func newReceiveRing2(fd, batch int) (*receiveRing2, error) {
	req := unix.TpacketReq{
		Block_size: ringBlock, Block_nr: receiveRing / ringBlock,
		Frame_size: slotSize, Frame_nr: receiveRing / slotSize,
	}
	if err := unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return nil, fmt.Errorf("receive ring: %w", err)
	}
	return &receiveRing2{copies: newCopies(batch), fd: fd}, nil
}

// receive waits for at least one frame and takes those that are there.
func (r *receiveRing2) receive() (n int, err error) {
	for {
		for ; n < len(r.lens); n++ {
			slot := r.mem[r.next*slotSize:][:slotSize]
			h := (*unix.Tpacket2Hdr)(unsafe.Pointer(&slot[0]))
			if atomic.LoadUint32(&h.Status)&unix.TP_STATUS_USER == 0 {
				break
			}
			r.take(n, slot[h.Mac:][:h.Snaplen])
			atomic.StoreUint32(&h.Status, unix.TP_STATUS_KERNEL)
			r.next = (r.next + 1) % (receiveRing / slotSize)
		}
		if n > 0 {
			return n, nil
		}
		if err := waitFor(r.fd); err != nil {
			return 0, err
		}
	}
}

// receiveRing3 is a receive ring of version 3: the kernel packs frames into blocks,
// and hands over a block when it is full or was begun too long ago.
type receiveRing3 struct {
	copies
	fd    int
	mem   []byte
	block int // that is read next, or being read
	left  int // frames in it that were not taken yet
	at    int // in it, of the first of them
}

func newReceiveRing3(fd, batch int) (*receiveRing3, error) {
	req := unix.TpacketReq3{
		Block_size: ringBlock, Block_nr: receiveRing / ringBlock,
		Frame_size: slotSize, Frame_nr: receiveRing / slotSize,
		Retire_blk_tov: retire,
	}
	if err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return nil, fmt.Errorf("receive ring: %w", err)
	}
	return &receiveRing3{copies: newCopies(batch), fd: fd}, nil
}

// blockHeader is what a block begins with, as version 3 has it.
type blockHeader struct {
	version, private uint32
	unix.TpacketHdrV1
}

// receive waits for at least one frame and takes those that are there.
func (r *receiveRing3) receive() (n int, err error) {
	for {
		mem := r.mem[r.block*ringBlock:][:ringBlock]
		h := (*blockHeader)(unsafe.Pointer(&mem[0]))
		if atomic.LoadUint32(&h.Block_status)&unix.TP_STATUS_USER == 0 {
			if n > 0 {
				return n, nil
			}
			if err := waitFor(r.fd); err != nil {
				return 0, err
			}
			continue
		}
		if r.at == 0 {
			r.left, r.at = int(h.Num_pkts), int(h.Offset_to_first_pkt)
		}
		for ; r.left > 0 && n < len(r.lens); n++ {
			f := (*unix.Tpacket3Hdr)(unsafe.Pointer(&mem[r.at]))
			r.take(n, mem[r.at+int(f.Mac):][:f.Snaplen])
			r.at += int(f.Next_offset)
			r.left--
		}
		if r.left > 0 {
			return n, nil
		}
		atomic.StoreUint32(&h.Block_status, unix.TP_STATUS_KERNEL)
		r.block, r.at = (r.block+1)%(receiveRing/ringBlock), 0
	}
}

// waitFor waits until there is something to receive.
func waitFor(fd int) error {
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return fmt.Errorf("poll: %w", err)
		}
	}
}
