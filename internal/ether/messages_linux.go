package ether

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"tributary/internal/frame"
)

// auxSpace is room for one PACKET_AUXDATA control message, in words so that it
// is aligned as the kernel writes it.
const auxSpace = 8

// messages receives by recvmmsg, where the kernel gives no ring. The arrays are
// filled in place, so nothing is allocated for a batch.
type messages struct {
	headers [receiveBatch]unix.Mmsghdr
	vectors [receiveBatch]unix.Iovec
	aux     [receiveBatch][auxSpace]uint64
}

// receiveBatch is how many frames one recvmmsg takes.
const receiveBatch = 128

func newMessages() *messages {
	m := new(messages)
	for i := range m.headers {
		h := &m.headers[i].Hdr
		h.Iov, h.Control = &m.vectors[i], (*byte)(unsafe.Pointer(&m.aux[i]))
		h.SetIovlen(1)
	}
	return m
}

// receive is one recvmmsg.
func (m *messages) receive(fd uintptr, bufs []*frame.Buf) (got received, errno unix.Errno) {
	bufs = bufs[:min(len(bufs), receiveBatch)]
	for i, b := range bufs {
		b.Reset(frame.Headroom)
		space := b.Space()
		m.vectors[i].Base = &space[0]
		m.vectors[i].SetLen(len(space))
		m.headers[i].Hdr.SetControllen(int(unsafe.Sizeof(m.aux[i])))
	}
	// It does not block, so the runtime need not be told of it (see sendAll).
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&m.headers[0])),
		uintptr(len(bufs)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return got, errno
	}
	return m.finish(bufs[:n]), 0
}

// finish turns what recvmmsg left behind into frames: it sets their lengths,
// puts VLAN tags back in their places, and moves truncated ones behind those
// that are whole.
func (m *messages) finish(bufs []*frame.Buf) (got received) {
	for i := range bufs {
		h, b := &m.headers[i], bufs[i]
		if h.Hdr.Flags&unix.MSG_TRUNC != 0 || !b.SetLen(int(h.Len)) {
			got.truncated++
			continue
		}
		restoreTag(b, m.tag(i))
		bufs[got.frames], bufs[i] = b, bufs[got.frames]
		got.frames++
		got.octets += b.Len()
	}
	return got
}

// tag finds the tag of message i in its control messages.
func (m *messages) tag(i int) movedTag {
	left := int(m.headers[i].Hdr.Controllen)
	at := unsafe.Pointer(&m.aux[i])
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

func auxTag(a *unix.TpacketAuxdata) movedTag { return vlanTag(a.Status, a.Vlan_tpid, a.Vlan_tci) }
