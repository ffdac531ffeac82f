package ppp

import (
	"encoding/binary"
	"slices"
	"time"
)

// IPV6CP Configuration Options (RFC 5072 section 4).
const (
	IPV6CPOptInterfaceID uint8 = 1
	IPV6CPOptCompression uint8 = 2
)

// ipv6cp is the IPv6 Control Protocol (RFC 5072): both ends come to have
// interface identifiers that differ. 0 is none.
type ipv6cp struct {
	ncp

	ask     bool   // our request has the option
	local   uint64 // ours, tentative until the peer has acknowledged it
	nakSent uint64 // the last that a Configure-Nak of ours suggested
	seen    uint64 // the identifier in the peer's last Configure-Request, if it may have it
	peer    uint64 // the one that is in force
}

// reset asks for the identifier that we have already, if LCP stayed up meanwhile.
func (y *ipv6cp) reset() {
	y.ask = true
	if y.local == 0 {
		y.local = y.l.cfg.IPv6.Local
	}
	if y.local == 0 {
		y.local = y.random()
	}
}

// forget drops what belongs to one network phase.
func (y *ipv6cp) forget() {
	y.ncp.forget()
	y.local, y.nakSent, y.seen, y.peer = 0, 0, 0, 0
}

// universal is the "u" bit of an interface identifier. RFC 5072 section 4.1: it
// "MUST be set to zero (0)" in one that is not made from a globally unique address.
const universal = 0x02 << 56

// random is an identifier that is none of others, and not 0.
func (y *ipv6cp) random(others ...uint64) uint64 {
	var b [8]byte
	y.l.cfg.Random(b[:])
	id := binary.BigEndian.Uint64(b[:]) &^ universal
	for id == 0 || slices.Contains(others, id) {
		id = (id + 1) &^ universal
	}
	return id
}

func (y *ipv6cp) appendOptions(dst []byte) []byte {
	if y.ask {
		dst = append(dst, IPV6CPOptInterfaceID, 10)
		dst = binary.BigEndian.AppendUint64(dst, y.local)
	}
	return dst
}

// parseInterfaceID reads an Interface-Identifier option; ok is false if it has
// the wrong length.
func parseInterfaceID(o Option) (id uint64, ok bool) {
	if len(o.Data) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(o.Data), true
}

// naked takes what the peer suggests. RFC 5072 section 4.1: one that differs
// from what we suggested last shows that the ends are not one and the same, and
// a new Configure-Request "MUST be sent with the identifier value suggested in
// the last Configure-Nak from the peer"; if it is equal, "a new interface
// identifier MUST be chosen", as is also where it is none or the peer's own.
func (y *ipv6cp) naked(o Option) Reason {
	id, ok := parseInterfaceID(o)
	if o.Type != IPV6CPOptInterfaceID || !ok || !y.ask {
		return ""
	}
	if id == 0 || id == y.nakSent || id == y.seen {
		id = y.random(y.local, y.nakSent, y.seen)
	}
	y.local = id
	return ""
}

func (y *ipv6cp) rejected(o Option) Reason {
	if o.Type == IPV6CPOptInterfaceID {
		y.ask = false
	}
	return ""
}

func (y *ipv6cp) judge(in Packet, v *verdict) {
	y.seen = 0
	said := false
	for o, rest, ok, _ := NextOption(in.Data); ok; o, rest, ok, _ = NextOption(rest) {
		if o.Type == IPV6CPOptInterfaceID {
			said = true
			y.judgeInterfaceID(o, v)
		} else {
			v.reject(o) // IPv6-Compression-Protocol, and what we do not know
		}
	}
	// RFC 5072 section 4.1: "If negotiation of the interface identifier is
	// required, and the peer did not provide the option in its
	// Configure-Request, the option SHOULD be appended to a Configure-Nak."
	// That is done once: a peer that leaves it out again does not know it.
	if !said && y.naksSent == 0 {
		v.suggest(IPV6CPOptInterfaceID, y.suggestion(v)...)
	}
}

// judgeInterfaceID: RFC 5072 section 4.1: "If the two interface identifiers are
// different but the received interface identifier is zero, a Configure-Nak is
// sent with a non-zero interface-identifier value suggested for use by the
// remote peer"; "If the two interface identifiers are equal and are not zero,
// Configure-Nak MUST be sent specifying a different non-zero" one. Ours is never zero.
func (y *ipv6cp) judgeInterfaceID(o Option, v *verdict) {
	id, _ := parseInterfaceID(o)
	if id == 0 || id == y.local {
		v.nak(o, y.suggestion(v)...)
		return
	}
	y.seen = id
}

// suggestion is the Data of the option in a Configure-Nak: "Such a suggested
// interface identifier MUST be different from the interface identifier of the
// last Configure-Request sent to the peer." One packet suggests one.
func (y *ipv6cp) suggestion(v *verdict) []byte {
	if !v.naked[IPV6CPOptInterfaceID] {
		y.nakSent = y.l.cfg.IPv6.Peer
		if y.nakSent == 0 || y.nakSent == y.local {
			y.nakSent = y.random(y.local)
		}
	}
	return binary.BigEndian.AppendUint64(nil, y.nakSent)
}

func (y *ipv6cp) granted()       { y.peer = y.seen }
func (y *ipv6cp) up(time.Time)   { y.opened(IPv6Up{Local: y.local, Peer: y.peer}) }
func (y *ipv6cp) down(time.Time) { y.closed(IPv6Down{}) }
