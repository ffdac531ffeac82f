package nat

import "tributary/internal/ip"

// space is a space of ports: each protocol has its own.
type space uint8

const (
	tcp space = iota
	udp
	icmp
	spaces
)

// TCP flags (RFC 9293 section 3.1).
const (
	finFlag = 0x01
	synFlag = 0x02
	rstFlag = 0x04
	ackFlag = 0x10
)

// ICMP types (RFC 792, RFC 950).
const (
	echoReply        = 0
	unreachable      = 3
	echo             = 8
	timeExceeded     = 11
	parameterProblem = 12
	timestamp        = 13
	timestampReply   = 14
	maskRequest      = 17
	maskReply        = 18
)

// transport is the transport header of a packet. ICMP queries have an identifier
// where the others have ports: RFC 5508 section 3.
type transport struct {
	space    space
	src, dst uint16 // of ICMP both the identifier
	flags    uint8  // of TCP
	icmpType uint8  // of ICMP
}

// parse reads the transport header of an unfragmented packet or a first fragment.
// With Forward it is whole.
func parse(b []byte, h *ip.Header4) (t transport, v Verdict) {
	p := b[h.Len:h.Total]
	switch h.Protocol {
	case ip.ProtoTCP:
		// RFC 1858 section 3: a first fragment that leaves the flags to the second
		// one deceives whoever decides by them.
		if len(p) < 20 || p[12]>>4 < 5 {
			return t, Malformed
		}
		t = transport{space: tcp, src: get16(p), dst: get16(p[2:]), flags: p[13]}
	case ip.ProtoUDP:
		if len(p) < 8 {
			return t, Malformed
		}
		t = transport{space: udp, src: get16(p), dst: get16(p[2:])}
	case ip.ProtoICMP:
		if len(p) < 8 {
			return t, Malformed
		}
		t = transport{space: icmp, src: get16(p[4:]), dst: get16(p[4:]), icmpType: p[0]}
	default:
		return t, Unsupported
	}
	return t, Forward
}

// query reports whether an ICMP type asks, and reply whether it answers, with an
// identifier.
func query(typ uint8) bool { return typ == echo || typ == timestamp || typ == maskRequest }
func reply(typ uint8) bool { return typ == echoReply || typ == timestampReply || typ == maskReply }

// icmpError reports whether an ICMP type quotes a packet and crosses routers.
// Redirects are for the next router (RFC 1812 section 5.2.7.2), and nobody obeys a
// Source Quench any more (RFC 6633).
func icmpError(typ uint8) bool {
	return typ == unreachable || typ == timeExceeded || typ == parameterProblem
}

// side is which end of a packet is written.
type side int

const (
	source      side = 0
	destination side = 1
)

// setAddr writes an address into the IP header of p and brings its checksum up to
// date. It returns the address that was there.
func setAddr(p []byte, s side, addr uint32) (was uint32) {
	at := 12 + 4*s
	was = get32(p[at:])
	put32(p[at:], addr)
	put16(p[10:], ip.Update32(get16(p[10:]), was, addr))
	return was
}

// setID writes the identification into the IP header of p.
func setID(p []byte, id uint16) {
	sum := ip.Update16(get16(p[10:]), get16(p[4:]), id)
	put16(p[4:], id)
	put16(p[10:], sum)
}

// setEndpoint writes address and port (of ICMP, the identifier) into p, whose IP
// header has header octets, and brings the checksums up to date (RFC 3022 section
// 4.2, RFC 1624). The transport header is there up to the ports; what an ICMP error
// quotes may end before the checksum.
func setEndpoint(p []byte, header int, in space, s side, addr uint32, port uint16) {
	wasAddr := setAddr(p, s, addr)
	t := p[header:]
	var portAt, sumAt int
	switch in {
	case tcp:
		portAt, sumAt = 2*int(s), 16
	case udp:
		portAt, sumAt = 2*int(s), 6
	default:
		portAt, sumAt = 4, 2
		wasAddr = addr // no pseudo-header
	}
	wasPort := get16(t[portAt:])
	put16(t[portAt:], port)
	if len(t) < sumAt+2 {
		return
	}
	sum := get16(t[sumAt:])
	if in == udp && sum == 0 {
		return // RFC 768: "the transmitter generated no checksum"
	}
	sum = ip.Update16(ip.Update32(sum, wasAddr, addr), wasPort, port)
	if in == udp && sum == 0 {
		sum = 0xffff // RFC 768: "If the computed checksum is zero, it is transmitted as all ones"
	}
	put16(t[sumAt:], sum)
}
