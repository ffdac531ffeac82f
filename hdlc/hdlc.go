// Package hdlc is PPP's framing of asynchronous lines (RFC 1662): octets in,
// frames out, and back. It checks and makes the 16-bit FCS, escapes what the
// line cannot carry, and understands compressed Address, Control and Protocol
// fields.
//
// A frame, on either side of this package, starts at its two-octet Protocol
// field, as it does inside PPPoE; flags, Address, Control, escapes and FCS
// never leave the package.
//
// AppendFrame sends. A Decoder receives: it takes the octets in pieces of any
// size and assembles each frame in the caller's buffer. Neither does I/O,
// keeps a reference to its arguments, or allocates while there is room.
package hdlc

// Octets of RFC 1662 that have a meaning of their own.
const (
	Flag    = 0x7e // section 3.1, begins and ends a frame
	Escape  = 0x7d // section 4.2, "Control Escape"
	Address = 0xff // section 3.1, "All-Stations"
	Control = 0x03 // section 3.1, "Unnumbered Information"
)

// flip is what the octet behind Escape is exclusive-or'd with (section 4.2).
const flip = 0x20

// Params says how to send to a peer, as the peer asked for it in LCP.
type Params struct {
	// ACCM is the Async-Control-Character-Map: if bit n is set, control
	// character n (0 to 31) is sent escaped (RFC 1662 section 7.1).
	ACCM uint32
	// PFC allows a Protocol field of one octet (RFC 1661 section 6.5).
	PFC bool
	// ACFC allows frames without Address and Control (RFC 1661 section 6.6).
	ACFC bool
}

// defaultACCM: RFC 1662 section 7.1: the default ACCM is 0xffffffff.
const defaultACCM = 0xffffffff

// Default is how to send on a line on which nothing has been negotiated. It is
// for reading; nothing in this package depends on it.
var Default = Params{ACCM: defaultACCM}

// Counters is what a Decoder has seen. Every octet that is not part of a frame
// handed out, nor of its framing, shows in one of them.
type Counters struct {
	Frames      uint64 // handed out
	BadFCS      uint64 // dropped: the Frame Check Sequence does not match
	Short       uint64 // dropped: under four octets
	Aborted     uint64 // dropped: the sender ended them with 7d 7e
	Oversize    uint64 // dropped: larger than the buffer
	BadProtocol uint64 // dropped, FCS good: no Protocol field that RFC 1661 section 2 allows
	Discarded   uint64 // control characters that the line inserted, octets
	Noise       uint64 // octets before the first flag
}
