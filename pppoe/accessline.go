package pppoe

import (
	"encoding/binary"
	"errors"
)

// vendorTR101 is the SMI enterprise number of the Broadband Forum (then ADSL
// Forum), which starts the Vendor-Specific tag of TR-101 issue 2.
const vendorTR101 = 0x00000de9

// MaxLineID bounds CircuitID and RemoteID in octets (TR-101 issue 2; RFC 4679
// sections 3.3.1 and 3.3.2 for the same two in RADIUS).
const MaxLineID = 63

// Errors of AccessLine.
var (
	ErrLineID = errors.New("pppoe: circuit or remote id over 63 octets, or tag over 65,535")
	ErrVendor = errors.New("pppoe: not the access-line tag of TR-101")
)

// SubType is the type of a sub-option of the access-line tag.
type SubType uint8

// Sub-option types (TR-101 issue 2 appendix B).
const (
	SubCircuitID  SubType = 0x01
	SubRemoteID   SubType = 0x02
	SubActualUp   SubType = 0x81
	SubActualDown SubType = 0x82
	SubIWF        SubType = 0xfe
)

// SubOption is one sub-option: type, length in one octet, value.
type SubOption struct {
	Type SubType
	Data []byte // at most 255 octets
}

// AccessLine is what an access node says of the line a session came from, in a
// Vendor-Specific tag of TR-101. The zero value says nothing. The ids are as the
// node wrote them, which need not be text; see PrintableText.
type AccessLine struct {
	CircuitID string // Agent-Circuit-ID: which port; empty is absent
	RemoteID  string // Agent-Remote-ID: which customer; empty is absent
	// UpRate and DownRate are the actual data rates in kbit/s; 0 is absent.
	UpRate, DownRate uint32
	// IWF says that the session was made from another kind of line (PPPoA
	// there, async PPP here). ACs count such sessions apart, since many of
	// them share one MAC address.
	IWF bool
	// Other is every further sub-option in its order, and those above if
	// they were ill-formed or a second one.
	Other []SubOption
}

// IsZero reports whether a says nothing at all.
func (a AccessLine) IsZero() bool {
	return a.CircuitID == "" && a.RemoteID == "" && a.UpRate == 0 && a.DownRate == 0 && !a.IWF && len(a.Other) == 0
}

// Tag makes the Vendor-Specific tag. An id over MaxLineID is ErrLineID, not a
// cut: two lines must not become one in the eyes of the ISP.
func (a AccessLine) Tag() (Tag, error) {
	if len(a.CircuitID) > MaxLineID || len(a.RemoteID) > MaxLineID {
		return Tag{}, ErrLineID
	}
	b := binary.BigEndian.AppendUint32(nil, vendorTR101)
	if a.CircuitID != "" {
		b = appendSub(b, SubCircuitID, []byte(a.CircuitID))
	}
	if a.RemoteID != "" {
		b = appendSub(b, SubRemoteID, []byte(a.RemoteID))
	}
	if a.UpRate != 0 {
		b = appendSub(b, SubActualUp, binary.BigEndian.AppendUint32(nil, a.UpRate))
	}
	if a.DownRate != 0 {
		b = appendSub(b, SubActualDown, binary.BigEndian.AppendUint32(nil, a.DownRate))
	}
	for _, o := range a.Other {
		if len(o.Data) > 0xff {
			return Tag{}, ErrLineID
		}
		b = appendSub(b, o.Type, o.Data)
	}
	if a.IWF {
		b = appendSub(b, SubIWF, nil)
	}
	if len(b) > 0xffff {
		return Tag{}, ErrLineID
	}
	return Tag{Type: TagVendorSpecific, Data: b}, nil
}

func appendSub(dst []byte, t SubType, data []byte) []byte {
	dst = append(dst, byte(t), byte(len(data)))
	return append(dst, data...)
}

// IsAccessLine reports whether t is a Vendor-Specific tag of TR-101.
func (t Tag) IsAccessLine() bool {
	return t.Type == TagVendorSpecific && len(t.Data) >= 4 && binary.BigEndian.Uint32(t.Data) == vendorTR101
}

// ParseAccessLine reads a Vendor-Specific tag. Another vendor's is ErrVendor, a
// sub-option beyond the tag ErrTag; then what came before it is returned too.
// The result keeps no part of t.
func ParseAccessLine(t Tag) (AccessLine, error) {
	if !t.IsAccessLine() {
		return AccessLine{}, ErrVendor
	}
	var a AccessLine
	for b := t.Data[4:]; len(b) > 0; {
		if len(b) < 2 || 2+int(b[1]) > len(b) {
			return a, ErrTag
		}
		end := 2 + int(b[1])
		a.add(SubType(b[0]), b[2:end])
		b = b[end:]
	}
	return a, nil
}

// add files one sub-option under its field, or under Other.
func (a *AccessLine) add(t SubType, data []byte) {
	switch {
	case t == SubCircuitID && a.CircuitID == "" && len(data) > 0:
		a.CircuitID = string(data)
	case t == SubRemoteID && a.RemoteID == "" && len(data) > 0:
		a.RemoteID = string(data)
	case t == SubActualUp && a.UpRate == 0 && isRate(data):
		a.UpRate = binary.BigEndian.Uint32(data)
	case t == SubActualDown && a.DownRate == 0 && isRate(data):
		a.DownRate = binary.BigEndian.Uint32(data)
	case t == SubIWF && !a.IWF && len(data) == 0:
		a.IWF = true
	default:
		a.Other = append(a.Other, SubOption{Type: t, Data: append([]byte(nil), data...)})
	}
}

// isRate reports whether data is a rate other than 0: a 0 goes to Other, since
// as a field it would mean "absent".
func isRate(data []byte) bool { return len(data) == 4 && binary.BigEndian.Uint32(data) != 0 }

// SetAccessLine returns tags with line as the only access-line tag: whatever a
// subscriber wrote into one is taken out and never trusted, as an access node
// has to do. A nil line only takes out. Other vendors' tags
// stay. The result shares no array with tags.
func SetAccessLine(tags []Tag, line *Tag) []Tag {
	var out []Tag
	for _, t := range tags {
		if !t.IsAccessLine() {
			out = append(out, t)
		}
	}
	if line != nil {
		out = append(out, *line)
	}
	return out
}
