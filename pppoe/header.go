package pppoe

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Code is the CODE field: which packet of the Discovery stage this is, or that
// it belongs to the Session stage (RFC 2516 sections 5 and 6).
type Code uint8

// The codes of RFC 2516.
const (
	SessionStage Code = 0x00 // a PPP frame of an open session
	PADO         Code = 0x07 // Active Discovery Offer: an AC would serve
	PADI         Code = 0x09 // Active Discovery Initiation: who serves?
	PADR         Code = 0x19 // Active Discovery Request: serve me
	PADS         Code = 0x65 // Active Discovery Session-confirmation
	PADT         Code = 0xa7 // Active Discovery Terminate
)

// String is the code's name, or its number in hexadecimal.
func (c Code) String() string {
	switch c {
	case SessionStage:
		return "session"
	case PADO:
		return "PADO"
	case PADI:
		return "PADI"
	case PADR:
		return "PADR"
	case PADS:
		return "PADS"
	case PADT:
		return "PADT"
	}
	return fmt.Sprintf("0x%02x", uint8(c))
}

// Lengths in octets.
const (
	// HeaderLen is VER, TYPE, CODE, SESSION_ID and LENGTH (RFC 2516 section 4).
	HeaderLen = 6
	// MaxDiscovery bounds a packet that a host sends, header included.
	// RFC 2516 section 5.1: "An entire PADI packet (including the PPPoE
	// header) MUST NOT exceed 1484 octets so as to leave sufficient room for
	// a relay agent to add a Relay-Session-Id TAG."
	MaxDiscovery = 1484
	// DefaultMaxPayload is the largest PPP payload, without its Protocol
	// field, where RFC 4638 was not agreed on. RFC 2516 section 7: "The
	// Maximum-Receive-Unit (MRU) option MUST NOT be negotiated to a larger
	// size than 1492."
	DefaultMaxPayload = 1492
	// maxEthernet is what every Ethernet carries behind its own header.
	maxEthernet = 1500
)

// verType is VER and TYPE in one octet. RFC 2516 section 4: "The VER field is
// four bits and MUST be set to 0x1 for this version of the PPPoE
// specification. The TYPE field is four bits and MUST be set to 0x1".
const verType = 0x11

// Errors of the parsers. They come back bare or wrapped; test with errors.Is.
var (
	ErrShort   = errors.New("pppoe: packet shorter than its header")
	ErrVersion = errors.New("pppoe: version and type are not 0x11")
	ErrLength  = errors.New("pppoe: LENGTH beyond the frame")
	ErrCode    = errors.New("pppoe: not a discovery packet")
	ErrTag     = errors.New("pppoe: tag beyond the payload")
)

// Header is the PPPoE header without its constant first octet.
type Header struct {
	Code      Code
	SessionID uint16
	Length    int // octets of payload
}

// ParseHeader reads the header at the front of b, which starts behind the
// EtherType, and returns the payload as a sub-slice of b. It is cut to the
// LENGTH field: what follows is the padding that Ethernet needs to reach its
// least frame length. RFC 2516 section 4: LENGTH "indicates the length of the
// PPPoE payload. It does not include the length of the Ethernet or PPPoE
// headers."
func ParseHeader(b []byte) (Header, []byte, error) {
	if len(b) < HeaderLen {
		return Header{}, nil, ErrShort
	}
	if b[0] != verType {
		return Header{}, nil, ErrVersion
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n > len(b)-HeaderLen {
		return Header{}, nil, ErrLength
	}
	h := Header{Code: Code(b[1]), SessionID: binary.BigEndian.Uint16(b[2:]), Length: n}
	return h, b[HeaderLen : HeaderLen+n : HeaderLen+n], nil
}

// PutHeader writes a header into the first HeaderLen octets of b, for a payload
// of n octets, which must be less than 65,536. It is how the data path prepends
// one in place; b must be long enough, as for binary.BigEndian.PutUint16.
func PutHeader(b []byte, code Code, sid uint16, n int) {
	_ = b[HeaderLen-1]
	b[0], b[1] = verType, byte(code)
	binary.BigEndian.PutUint16(b[2:], sid)
	binary.BigEndian.PutUint16(b[4:], uint16(n))
}
