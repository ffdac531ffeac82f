package ether

import (
	"encoding/binary"
	"errors"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tributary/internal/frame"
)

// downPoll is how often a port whose interface is down looks whether it is
// still there: the kernel tells a packet socket that its interface went down,
// but not that it was removed after that.
const downPoll = 200 * time.Millisecond

// auxSpace is room for one PACKET_AUXDATA control message, in words so that it
// is aligned as the kernel writes it.
const auxSpace = 8

// receiver is the state of ReadBatch between and during its system calls. The
// arrays are filled in place, so nothing is allocated for a batch.
type receiver struct {
	headers [maxBatch]unix.Mmsghdr
	vectors [maxBatch]unix.Iovec
	aux     [maxBatch][auxSpace]uint64
	ready   func(fd uintptr) bool // receive, made into a value once

	// Of the call that is under way.
	bufs  []*frame.Buf
	n     int
	errno unix.Errno
	down  bool // the last errno was ENETDOWN, and nothing has arrived since
}

func (r *receiver) init() {
	for i := range r.headers {
		h := &r.headers[i].Hdr
		h.Iov, h.Control = &r.vectors[i], (*byte)(unsafe.Pointer(&r.aux[i]))
		h.SetIovlen(1)
	}
	r.ready = r.receive
}

// receive is one recvmmsg; false makes the poller wait until there is more.
func (r *receiver) receive(fd uintptr) bool {
	for i, b := range r.bufs {
		b.Reset(frame.Headroom)
		space := b.Space()
		r.vectors[i].Base = &space[0]
		r.vectors[i].SetLen(len(space))
		r.headers[i].Hdr.SetControllen(int(unsafe.Sizeof(r.aux[i])))
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.headers[0])),
		uintptr(len(r.bufs)), unix.MSG_DONTWAIT, 0, 0)
	r.n, r.errno = 0, errno
	if errno == 0 {
		r.n = int(n)
	}
	return errno != unix.EAGAIN
}

// ReadBatch is Port's. An interface that is down is waited for; one that was
// removed gives an InterfaceError with ErrGone.
func (p *packetPort) ReadBatch(bufs []*frame.Buf) (int, error) {
	if len(bufs) == 0 {
		return 0, nil
	}
	r := &p.in
	r.bufs = bufs[:min(len(bufs), maxBatch)]
	for {
		err := p.raw.Read(r.ready)
		switch {
		case p.closed.Load():
			return 0, ErrClosed
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := p.stillThere(); err != nil {
				return 0, err
			}
		case err != nil:
			return 0, &InterfaceError{Interface: p.name, Op: "wait for frames", Err: err}
		case r.errno == unix.ENETDOWN:
			r.down = true
			if err := p.stillThere(); err != nil {
				return 0, err
			}
		case r.errno == unix.EINTR:
		case r.errno == unix.ENOBUFS || r.errno == unix.ENOMEM:
			// The kernel is short of memory, not we; it counts what it drops.
		case r.errno != 0:
			return 0, &InterfaceError{Interface: p.name, Op: "receive", Err: r.errno}
		default:
			if r.down {
				r.down = false
				_ = p.file.SetReadDeadline(time.Time{})
			}
			if n := p.finish(); n > 0 {
				return n, nil
			}
		}
	}
}

// stillThere arms the next look at an interface that is down.
func (p *packetPort) stillThere() error {
	if p.gone() {
		return p.errGone("receive")
	}
	if err := p.file.SetReadDeadline(time.Now().Add(downPoll)); err != nil {
		return ErrClosed
	}
	return nil
}

// finish turns what recvmmsg left behind into frames: it sets their lengths,
// puts VLAN tags back in their places, and moves truncated ones behind those
// that are whole. It returns the number of whole ones.
func (p *packetPort) finish() int {
	r := &p.in
	n, octets := 0, 0
	for i := range r.n {
		h, b := &r.headers[i], r.bufs[i]
		if h.Hdr.Flags&unix.MSG_TRUNC != 0 || !b.SetLen(int(h.Len)) {
			p.count.rxTruncated.Add(1)
			continue
		}
		restoreTag(b, r.tag(i))
		octets += b.Len()
		r.bufs[n], r.bufs[i] = b, r.bufs[n]
		n++
	}
	p.count.received(n, octets)
	return n
}

// movedTag is a VLAN tag that the kernel took out of a frame.
type movedTag struct {
	tpid, tci uint16
	ok        bool
}

// tag finds the tag of message i in its control messages.
func (r *receiver) tag(i int) movedTag {
	left := int(r.headers[i].Hdr.Controllen)
	at := unsafe.Pointer(&r.aux[i])
	for left >= unix.SizeofCmsghdr {
		c := (*unix.Cmsghdr)(at)
		size := int(c.Len)
		if size < unix.SizeofCmsghdr || size > left {
			break
		}
		data := size - unix.CmsgLen(0)
		if c.Level == unix.SOL_PACKET && c.Type == unix.PACKET_AUXDATA && data >= int(unsafe.Sizeof(unix.TpacketAuxdata{})) {
			return auxTag((*unix.TpacketAuxdata)(unsafe.Add(at, unix.CmsgLen(0))))
		}
		step := unix.CmsgSpace(data)
		if step >= left {
			break
		}
		left -= step
		at = unsafe.Add(at, step)
	}
	return movedTag{}
}

// auxTag reads the tag out of the metadata. Kernels older than 3.14 do not say
// which type it had; then it is 0x8100.
func auxTag(a *unix.TpacketAuxdata) movedTag {
	if a.Status&unix.TP_STATUS_VLAN_VALID == 0 {
		return movedTag{}
	}
	t := movedTag{tpid: TypeVLAN, tci: a.Vlan_tci, ok: true}
	if a.Status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		t.tpid = a.Vlan_tpid
	}
	return t
}

// restoreTag puts t back behind the addresses, which move four octets forward
// into the headroom.
func restoreTag(b *frame.Buf, t movedTag) {
	if !t.ok || b.Len() < 12 || b.Prepend(VLANTagLen) == nil {
		return
	}
	f := b.Bytes()
	copy(f[:12], f[VLANTagLen:VLANTagLen+12])
	binary.BigEndian.PutUint16(f[12:], t.tpid)
	binary.BigEndian.PutUint16(f[14:], t.tci)
}
