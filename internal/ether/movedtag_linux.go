package ether

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"tributary/internal/frame"
)

// movedTag is a VLAN tag that the kernel took out of a frame.
type movedTag struct {
	tpid, tci uint16
	ok        bool
}

// vlanTag reads the tag out of a frame's metadata. Kernels older than 3.14 do not
// say which type it had; then it is 0x8100.
func vlanTag(status uint32, tpid, tci uint16) movedTag {
	if status&unix.TP_STATUS_VLAN_VALID == 0 {
		return movedTag{}
	}
	t := movedTag{tpid: TypeVLAN, tci: tci, ok: true}
	if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		t.tpid = tpid
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
