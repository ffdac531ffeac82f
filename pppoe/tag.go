package pppoe

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// TagType is the TAG_TYPE of a discovery tag.
type TagType uint16

// Tag types of RFC 2516 appendix A, RFC 4638 and RFC 5578.
const (
	TagEndOfList        TagType = 0x0000
	TagServiceName      TagType = 0x0101
	TagACName           TagType = 0x0102
	TagHostUniq         TagType = 0x0103
	TagACCookie         TagType = 0x0104
	TagVendorSpecific   TagType = 0x0105
	TagCredits          TagType = 0x0106
	TagMetrics          TagType = 0x0107
	TagSequenceNumber   TagType = 0x0108
	TagCreditScale      TagType = 0x0109
	TagRelaySessionID   TagType = 0x0110
	TagHURL             TagType = 0x0111
	TagMOTM             TagType = 0x0112
	TagMaxPayload       TagType = 0x0120
	TagServiceNameError TagType = 0x0201
	TagACSystemError    TagType = 0x0202
	TagGenericError     TagType = 0x0203
)

// String is the tag's name in its RFC, or its number in hexadecimal.
func (t TagType) String() string {
	switch t {
	case TagEndOfList:
		return "End-Of-List"
	case TagServiceName:
		return "Service-Name"
	case TagACName:
		return "AC-Name"
	case TagHostUniq:
		return "Host-Uniq"
	case TagACCookie:
		return "AC-Cookie"
	case TagVendorSpecific:
		return "Vendor-Specific"
	case TagCredits:
		return "Credits"
	case TagMetrics:
		return "Metrics"
	case TagSequenceNumber:
		return "Sequence-Number"
	case TagCreditScale:
		return "Credit-Scale-Factor"
	case TagRelaySessionID:
		return "Relay-Session-Id"
	case TagHURL:
		return "HURL"
	case TagMOTM:
		return "MOTM"
	case TagMaxPayload:
		return "PPP-Max-Payload"
	case TagServiceNameError:
		return "Service-Name-Error"
	case TagACSystemError:
		return "AC-System-Error"
	case TagGenericError:
		return "Generic-Error"
	}
	return fmt.Sprintf("0x%04x", uint16(t))
}

// TagHeaderLen is the length in octets of TAG_TYPE and TAG_LENGTH.
const TagHeaderLen = 4

// Tag is one TAG: TAG_TYPE, TAG_LENGTH, TAG_VALUE (RFC 2516 section 5).
//
// A Tag that was parsed borrows its Data from the packet, and is good for as long
// as that is; the tags in what a machine hands out are the receiver's to keep.
type Tag struct {
	Type TagType
	Data []byte // TAG_VALUE
}

// StringTag is a tag whose value is text, in UTF-8 and without a final NUL.
func StringTag(t TagType, s string) Tag { return Tag{Type: t, Data: []byte(s)} }

// NextTag takes the first tag off the front of b, the payload of a discovery
// packet. tag.Data and rest are sub-slices of b. At the end of the list ok is
// false and err nil; End-Of-List ends it as well, whatever follows. RFC 2516
// appendix A: "This TAG indicates that there are no further TAGs in the list."
func NextTag(b []byte) (tag Tag, rest []byte, ok bool, err error) {
	if len(b) == 0 {
		return Tag{}, nil, false, nil
	}
	if len(b) < TagHeaderLen {
		return Tag{}, nil, false, ErrTag
	}
	t := TagType(binary.BigEndian.Uint16(b))
	if t == TagEndOfList {
		return Tag{}, nil, false, nil
	}
	end := TagHeaderLen + int(binary.BigEndian.Uint16(b[2:]))
	if end > len(b) {
		return Tag{}, nil, false, ErrTag
	}
	return Tag{Type: t, Data: b[TagHeaderLen:end:end]}, b[end:], true, nil
}

// ParseTags appends all tags in b to dst, known or not, in their order; their
// Data are sub-slices of b.
func ParseTags(dst []Tag, b []byte) ([]Tag, error) {
	for {
		tag, rest, ok, err := NextTag(b)
		if err != nil || !ok {
			return dst, err
		}
		dst, b = append(dst, tag), rest
	}
}

// Append appends the tag's wire form to dst. Data must be shorter than 65,536 octets.
func (t Tag) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(t.Type))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(t.Data)))
	return append(dst, t.Data...)
}

// Len is the length of the tag's wire form in octets.
func (t Tag) Len() int { return TagHeaderLen + len(t.Data) }

// Packet is a packet of the Discovery stage. Tags that nothing here knows stay
// in it, in their order.
type Packet struct {
	Code      Code
	SessionID uint16
	Tags      []Tag
}

// ParsePacket reads one discovery packet from b, which starts at the PPPoE
// header. The tags' Data are sub-slices of b. A packet of the Session stage is
// ErrCode; other unknown codes are kept (RFC 5578 has some).
func ParsePacket(b []byte) (Packet, error) {
	h, payload, err := ParseHeader(b)
	if err != nil {
		return Packet{}, err
	}
	if h.Code == SessionStage {
		return Packet{}, ErrCode
	}
	tags, err := ParseTags(nil, payload)
	if err != nil {
		return Packet{}, err
	}
	return Packet{Code: h.Code, SessionID: h.SessionID, Tags: tags}, nil
}

// parseInput is ParsePacket for the machines. A PADT counts whatever its tags
// are: RFC 2516 section 5.5: "No TAGs are required." So those in front of an
// ill-formed one are taken, for what they say, and the rest is not.
func parseInput(b []byte) (Packet, error) {
	p, err := ParsePacket(b)
	if !errors.Is(err, ErrTag) {
		return p, err
	}
	h, payload, _ := ParseHeader(b)
	if h.Code != PADT {
		return p, err
	}
	tags, _ := ParseTags(nil, payload)
	return Packet{Code: h.Code, SessionID: h.SessionID, Tags: tags}, nil
}

// Append appends the packet's wire form, without padding, to dst. All tags
// together must be shorter than 65,536 octets.
func (p Packet) Append(dst []byte) []byte {
	var hdr [HeaderLen]byte
	PutHeader(hdr[:], p.Code, p.SessionID, p.Len()-HeaderLen)
	dst = append(dst, hdr[:]...)
	for _, t := range p.Tags {
		dst = t.Append(dst)
	}
	return dst
}

// Len is the length of the packet's wire form in octets.
func (p Packet) Len() int {
	n := HeaderLen
	for _, t := range p.Tags {
		n += t.Len()
	}
	return n
}

// Find returns the value of the first tag of type t; ok is false if there is
// none, which differs from a tag with an empty value.
func (p Packet) Find(t TagType) (data []byte, ok bool) {
	for _, tag := range p.Tags {
		if tag.Type == t {
			return tag.Data, true
		}
	}
	return nil, false
}

// relayID is the value of the Relay-Session-Id tag, nil if there is none.
func (p Packet) relayID() []byte {
	data, _ := p.Find(TagRelaySessionID)
	return data
}

// count is how many tags of type t the packet has.
func (p Packet) count(t TagType) (n int) {
	for _, tag := range p.Tags {
		if tag.Type == t {
			n++
		}
	}
	return n
}
