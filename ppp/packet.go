package ppp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Protocol is the PPP Protocol field (RFC 1661 section 2).
type Protocol uint16

// Protocol numbers this package knows by name.
const (
	ProtoIPv4   Protocol = 0x0021
	ProtoVJComp Protocol = 0x002d
	ProtoVJUnc  Protocol = 0x002f
	ProtoMP     Protocol = 0x003d
	ProtoIPv6   Protocol = 0x0057
	ProtoIPCP   Protocol = 0x8021
	ProtoECP    Protocol = 0x8053
	ProtoIPV6CP Protocol = 0x8057
	ProtoCCP    Protocol = 0x80fd
	ProtoLCP    Protocol = 0xc021
	ProtoPAP    Protocol = 0xc023
	ProtoLQR    Protocol = 0xc025
	ProtoCHAP   Protocol = 0xc223
	ProtoEAP    Protocol = 0xc227
)

// IsData reports whether p carries the packets of a network layer rather than
// control packets. RFC 1661 section 2: "Protocol field values in the "0***" to
// "3***" range identify the network-layer protocol of specific packets".
func (p Protocol) IsData() bool { return p < 0x4000 }

var protocolNames = map[Protocol]string{
	ProtoIPv4: "IPv4", ProtoVJComp: "VJ", ProtoVJUnc: "VJ-uncompressed", ProtoMP: "MP", ProtoIPv6: "IPv6",
	ProtoIPCP: "IPCP", ProtoECP: "ECP", ProtoIPV6CP: "IPV6CP", ProtoCCP: "CCP", ProtoLCP: "LCP", ProtoPAP: "PAP",
	ProtoLQR: "LQR", ProtoCHAP: "CHAP", ProtoEAP: "EAP",
}

// String is the protocol's usual name, or its number in hexadecimal.
func (p Protocol) String() string {
	if n, ok := protocolNames[p]; ok {
		return n
	}
	return fmt.Sprintf("0x%04x", uint16(p))
}

// Split takes a PPP frame apart into its protocol and its information field.
// The frame starts at the Protocol field, as it does inside PPPoE and as
// hdlc.Decoder gives it. A Protocol field compressed to one octet (RFC 1661
// section 6.5) is understood: "the least significant bit of the least
// significant octet of the Protocol field MUST equal 1" only in its last octet.
// ok is false when the frame is too short or its Protocol field is ill-formed.
func Split(frame []byte) (p Protocol, info []byte, ok bool) {
	if len(frame) == 0 {
		return 0, nil, false
	}
	if frame[0]&1 == 1 {
		return Protocol(frame[0]), frame[1:], true
	}
	if len(frame) < 2 || frame[1]&1 == 0 {
		return 0, nil, false
	}
	return Protocol(binary.BigEndian.Uint16(frame)), frame[2:], true
}

// AppendProtocol appends p as an uncompressed, two-octet Protocol field.
func AppendProtocol(dst []byte, p Protocol) []byte {
	return binary.BigEndian.AppendUint16(dst, uint16(p))
}

// Code is the Code field of an LCP-like control packet (RFC 1661 section 5).
type Code uint8

// Codes of LCP; NCPs use the first seven. 12 and 13 are RFC 1570's.
const (
	ConfigureRequest Code = 1
	ConfigureAck     Code = 2
	ConfigureNak     Code = 3
	ConfigureReject  Code = 4
	TerminateRequest Code = 5
	TerminateAck     Code = 6
	CodeReject       Code = 7
	ProtocolReject   Code = 8
	EchoRequest      Code = 9
	EchoReply        Code = 10
	DiscardRequest   Code = 11
	Identification   Code = 12
	TimeRemaining    Code = 13
)

var codeNames = [...]string{
	"", "Configure-Request", "Configure-Ack", "Configure-Nak", "Configure-Reject", "Terminate-Request", "Terminate-Ack",
	"Code-Reject", "Protocol-Reject", "Echo-Request", "Echo-Reply", "Discard-Request", "Identification", "Time-Remaining",
}

// String is the code's name in LCP.
func (c Code) String() string {
	if c > 0 && int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("Code-%d", uint8(c))
}

// HeaderLen is the length in octets of a control packet's Code, Identifier and Length.
const HeaderLen = 4

// Packet is a control packet as LCP, the NCPs, PAP and CHAP share it:
// Code, Identifier, Length, Data (RFC 1661 section 5). One that was parsed
// borrows its Data from the frame, and is good for as long as that is.
type Packet struct {
	Code Code
	ID   uint8  // Identifier
	Data []byte // all behind the Length; in a Configure packet, the options
}

// Errors of the parsers here. They come back wrapped or bare; test with errors.Is.
var (
	ErrShort  = errors.New("ppp: packet shorter than its header")
	ErrLength = errors.New("ppp: Length field beyond the packet or below its header")
	ErrOption = errors.New("ppp: option of length 0 or 1, or beyond the packet")
)

// ParsePacket reads one control packet. Data is a sub-slice of b. Octets beyond
// the Length field are padding: RFC 1661 section 5: "Octets outside the range
// of the Length field are treated as padding and are ignored on reception."
func ParsePacket(b []byte) (Packet, error) {
	if len(b) < HeaderLen {
		return Packet{}, ErrShort
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < HeaderLen || n > len(b) {
		return Packet{}, ErrLength
	}
	return Packet{Code: Code(b[0]), ID: b[1], Data: b[HeaderLen:n:n]}, nil
}

// Append appends the packet's wire form to dst. Data must be shorter than 65,532 octets.
func (p Packet) Append(dst []byte) []byte {
	dst = append(dst, byte(p.Code), p.ID)
	dst = binary.BigEndian.AppendUint16(dst, uint16(HeaderLen+len(p.Data)))
	return append(dst, p.Data...)
}

// AppendFrame appends a whole PPP frame: the two-octet Protocol field and the packet.
func (p Packet) AppendFrame(dst []byte, proto Protocol) []byte {
	return p.Append(AppendProtocol(dst, proto))
}

// Option is one Configuration Option: Type, Length, Data (RFC 1661 section 6).
// One that was parsed borrows its Data from the packet, and is good for as long
// as that is.
type Option struct {
	Type uint8  // LCPOptMRU and so on, or the like of an NCP
	Data []byte // all behind the Length
}

// NextOption takes the first option off the front of b, the Data of a
// Configure packet. opt.Data and rest are sub-slices of b. At the end of the
// list, when b is empty, ok is false and err nil; if the option is ill-formed,
// ok is false and err ErrOption.
func NextOption(b []byte) (opt Option, rest []byte, ok bool, err error) {
	if len(b) == 0 {
		return Option{}, nil, false, nil
	}
	if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
		return Option{}, nil, false, ErrOption
	}
	n := int(b[1])
	return Option{Type: b[0], Data: b[2:n:n]}, b[n:], true, nil
}

// ParseOptions appends all options in b to dst; their Data are sub-slices of b.
// At an ill-formed one it stops, with ErrOption and those in front of it.
func ParseOptions(dst []Option, b []byte) ([]Option, error) {
	for {
		opt, rest, ok, err := NextOption(b)
		if err != nil || !ok {
			return dst, err
		}
		dst, b = append(dst, opt), rest
	}
}

// Append appends the option's wire form to dst. Data must be at most 253 octets.
func (o Option) Append(dst []byte) []byte {
	dst = append(dst, o.Type, byte(2+len(o.Data)))
	return append(dst, o.Data...)
}

// LCP Configuration Options (RFC 1661 section 6, RFC 1662 section 7, RFC 1990 section 5).
const (
	LCPOptMRU      uint8 = 1
	LCPOptACCM     uint8 = 2
	LCPOptAuth     uint8 = 3
	LCPOptQuality  uint8 = 4
	LCPOptMagic    uint8 = 5
	LCPOptPFC      uint8 = 7
	LCPOptACFC     uint8 = 8
	LCPOptFCS      uint8 = 9
	LCPOptMRRU     uint8 = 17
	LCPOptShortSeq uint8 = 18
	LCPOptEndpoint uint8 = 19
)

// Defaults of RFC 1661 section 6.1 and RFC 2516 section 7.
const (
	DefaultMRU = 1500
	PPPoEMRU   = 1492
)
