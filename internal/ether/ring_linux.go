package ether

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"tributary/internal/frame"
)

// Sizes of a receive ring in octets. A slot holds the kernel's header and the
// largest frame there is; a block is what the kernel allocates in one piece.
const (
	ringSlot  = 2048
	ringBlock = 64 << 10
)

// ring is a receive ring (PACKET_RX_RING, TPACKET_V2): memory shared with the
// kernel, which puts each frame into the next slot and hands the slot over. So
// receiving takes no system call at all while frames keep coming.
//
// Version 3 hands over whole blocks: a frame on a quiet interface then waits for a
// timer of at least a millisecond. bench/RESULTS.md has both.
type ring struct {
	mem   []byte
	slots int
	next  int // the slot that the next frame will be in
}

// newRing gives the socket a ring of about so many octets. It must not be bound yet.
func newRing(fd, octets int) (*ring, error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2); err != nil {
		return nil, err
	}
	blocks := max(octets/ringBlock, 1)
	req := unix.TpacketReq{
		Block_size: ringBlock, Block_nr: uint32(blocks),
		Frame_size: ringSlot, Frame_nr: uint32(blocks * (ringBlock / ringSlot)),
	}
	if err := unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &req); err != nil {
		return nil, err
	}
	mem, err := unix.Mmap(fd, 0, blocks*ringBlock, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		dropRing(fd)
		return nil, err
	}
	return &ring{mem: mem, slots: int(req.Frame_nr)}, nil
}

// dropRing takes the socket's ring away again: with one, recvmmsg gives nothing.
func dropRing(fd int) {
	_ = unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &unix.TpacketReq{})
}

// take copies frames that have come into bufs, with their tags back in place, and
// gives their slots back.
func (r *ring) take(bufs []*frame.Buf) (got received) {
	for got.frames < len(bufs) {
		slot := r.mem[r.next*ringSlot : (r.next+1)*ringSlot]
		h := (*unix.Tpacket2Hdr)(unsafe.Pointer(&slot[0]))
		// The kernel's write of the status is the last one to the slot, and
		// ours is: before and after it belongs to the other side.
		status := atomic.LoadUint32(&h.Status)
		if status&unix.TP_STATUS_USER == 0 {
			break
		}
		b := bufs[got.frames]
		b.Reset(frame.Headroom)
		from, n := uint32(h.Mac), h.Snaplen
		if n == h.Len && from <= ringSlot && n <= ringSlot-from && b.SetBytes(slot[from:from+n]) {
			restoreTag(b, vlanTag(status, h.Vlan_tpid, h.Vlan_tci))
			got.frames++
			got.octets += b.Len()
		} else {
			got.truncated++
		}
		atomic.StoreUint32(&h.Status, unix.TP_STATUS_KERNEL)
		if r.next++; r.next == r.slots {
			r.next = 0
		}
	}
	return got
}

func (r *ring) close() { _ = unix.Munmap(r.mem) }
