package ether

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"tributary/internal/frame"
	"tributary/pppoe"
)

// Sizes in octets.
const (
	HeaderLen  = 14 // destination, source, EtherType
	VLANTagLen = 4  // TPID and TCI
	MaxTags    = 2  // 802.1ad: a service tag and a customer tag
)

// TypeQinQOld is the outer TPID of equipment older than 802.1ad. It is
// understood on receipt and sent only when asked for.
const TypeQinQOld uint16 = 0x9100

// MaxVLAN is the largest VLAN identifier. 802.1Q table 9-2 reserves 0xfff.
const MaxVLAN = 0xffe

// VLANs is a stack of zero, one or two VLAN identifiers, outer first. It is
// comparable, so it can be part of a map key; the zero value is untagged.
type VLANs struct {
	id [MaxTags]uint16
	n  uint8
}

// MakeVLANs makes a stack of ids, outer first: at most two, each 1 to 4094.
func MakeVLANs(ids ...uint16) (VLANs, error) {
	var v VLANs
	if len(ids) > MaxTags {
		return v, fmt.Errorf("ether: %d VLAN tags: at most %d are possible", len(ids), MaxTags)
	}
	for _, id := range ids {
		if id == 0 || id > MaxVLAN {
			return VLANs{}, fmt.Errorf("ether: VLAN %d: must be 1 to %d", id, MaxVLAN)
		}
		v.push(id)
	}
	return v, nil
}

func (v *VLANs) push(id uint16) {
	v.id[v.n] = id
	v.n++
}

// Len is the number of tags, 0 to 2.
func (v VLANs) Len() int { return int(v.n) }

// ID is the identifier of tag i, 0 being the outer one.
func (v VLANs) ID(i int) uint16 { return v.id[i] }

// Slice is the identifiers in a new slice, outer first; nil when untagged.
func (v VLANs) Slice() []uint16 {
	if v.n == 0 {
		return nil
	}
	return append([]uint16(nil), v.id[:v.n]...)
}

// String is "" when untagged, "100", or "100.7" with the outer tag first.
func (v VLANs) String() string {
	switch v.n {
	case 0:
		return ""
	case 1:
		return strconv.Itoa(int(v.id[0]))
	}
	return strconv.Itoa(int(v.id[0])) + "." + strconv.Itoa(int(v.id[1]))
}

// Header is everything in front of an Ethernet frame's payload.
type Header struct {
	Dst, Src pppoe.MAC
	VLANs    VLANs
	// Priority is, for each tag, the four bits of its TCI above the
	// identifier: PCP (three) and DEI (one).
	Priority [MaxTags]uint8
	// TPIDs names each tag's own type. 0 stands for what 802.1ad says:
	// 0x88a8 for the outer of two tags, 0x8100 for the inner and for an only one.
	TPIDs [MaxTags]uint16
	Type  uint16 // EtherType of the payload
}

// Len is the header's length in octets: 14, 18 or 22.
func (h *Header) Len() int { return HeaderLen + h.VLANs.Len()*VLANTagLen }

// Reply is the header of an answer to a frame with header h: the addresses
// change places, the tags stay.
func (h Header) Reply() Header {
	h.Dst, h.Src = h.Src, h.Dst
	return h
}

// isTag reports whether t is the TPID of a VLAN tag.
func isTag(t uint16) bool { return t == TypeVLAN || t == TypeQinQ || t == TypeQinQOld }

// Parse takes a whole Ethernet frame without FCS apart. The payload is a
// sub-slice of b and may have padding at its end. A tag with identifier 0 is not
// part of VLANs: 802.1Q calls it priority-tagged, it names no VLAN. ok is false
// when the frame ends within its header or has more than two tags.
func Parse(b []byte) (h Header, payload []byte, ok bool) {
	if len(b) < HeaderLen {
		return Header{}, nil, false
	}
	h.Dst, h.Src = pppoe.MAC(b[0:6]), pppoe.MAC(b[6:12])
	rest := b[12:]
	for tags := 0; ; tags++ {
		if len(rest) < 2 {
			return Header{}, nil, false
		}
		t := binary.BigEndian.Uint16(rest)
		if !isTag(t) {
			h.Type = t
			return h, rest[2:], true
		}
		if tags == MaxTags || len(rest) < VLANTagLen {
			return Header{}, nil, false
		}
		tci := binary.BigEndian.Uint16(rest[2:])
		if id := tci & 0xfff; id != 0 {
			i := h.VLANs.n
			h.TPIDs[i], h.Priority[i] = t, uint8(tci>>12)
			h.VLANs.push(id)
		}
		rest = rest[VLANTagLen:]
	}
}

// Put writes the header into the first h.Len() octets of b, which must be there.
func (h *Header) Put(b []byte) {
	copy(b[0:6], h.Dst[:])
	copy(b[6:12], h.Src[:])
	p := b[12:h.Len()]
	for i := range h.VLANs.Len() {
		binary.BigEndian.PutUint16(p, h.tpid(i))
		binary.BigEndian.PutUint16(p[2:], uint16(h.Priority[i]&0xf)<<12|h.VLANs.id[i])
		p = p[VLANTagLen:]
	}
	binary.BigEndian.PutUint16(p, h.Type)
}

func (h *Header) tpid(i int) uint16 {
	switch {
	case h.TPIDs[i] != 0:
		return h.TPIDs[i]
	case i == 0 && h.VLANs.Len() == 2:
		return TypeQinQ
	}
	return TypeVLAN
}

// Append appends the header to dst.
func (h *Header) Append(dst []byte) []byte {
	var b [HeaderLen + MaxTags*VLANTagLen]byte
	h.Put(b[:])
	return append(dst, b[:h.Len()]...)
}

// Prepend writes the header in place in front of what buf holds. It reports
// whether the headroom is enough, and changes nothing if not. Frames are not
// padded to the 60 octets of Ethernet: the kernel's own PPPoE does not do it
// either; drivers and NICs pad what they put on a wire.
func Prepend(buf *frame.Buf, h *Header) bool {
	b := buf.Prepend(h.Len())
	if b == nil {
		return false
	}
	h.Put(b)
	return true
}
