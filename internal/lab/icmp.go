package lab

import (
	"encoding/binary"
	"net/netip"
)

// ICMP (RFC 792) as far as it is spoken here; the rest is the netstack's.
const (
	protoICMP       = 1
	icmpReply       = 0
	icmpUnreachable = 3
	icmpRequest     = 8
	icmpExceeded    = 11

	icmpHostUnreachable = 1 // codes of icmpUnreachable
	icmpFragNeeded      = 4
)

const ipv4HeaderLen = 20

// putIPv4 writes the header of a packet that is all of b.
func putIPv4(b []byte, from, to netip.Addr) {
	src, dst := from.As4(), to.As4()
	b[0] = 0x45
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[8], b[9] = 64, protoICMP
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	binary.BigEndian.PutUint16(b[10:], checksum(b[:ipv4HeaderLen]))
}

// echoRequest is an ICMP echo with size octets of data.
func echoRequest(from, to netip.Addr, id, seq uint16, size int) []byte {
	b := make([]byte, ipv4HeaderLen+8+size)
	putIPv4(b, from, to)
	icmp := b[ipv4HeaderLen:]
	icmp[0] = icmpRequest
	binary.BigEndian.PutUint16(icmp[4:], id)
	binary.BigEndian.PutUint16(icmp[6:], seq)
	for i := range icmp[8:] {
		icmp[8+i] = byte(i)
	}
	binary.BigEndian.PutUint16(icmp[2:], checksum(icmp))
	return b
}

// echoReply reads an echo reply; ok is false for any other packet.
func echoReply(packet []byte) (id, seq uint16, ok bool) {
	icmp, ok := icmpOf(packet)
	if !ok || icmp[0] != icmpReply {
		return 0, 0, false
	}
	return binary.BigEndian.Uint16(icmp[4:]), binary.BigEndian.Uint16(icmp[6:]), true
}

// icmpOf is the ICMP message in packet, of eight octets at least.
func icmpOf(packet []byte) (icmp []byte, ok bool) {
	if len(packet) < ipv4HeaderLen || packet[0]>>4 != 4 || packet[9] != protoICMP {
		return nil, false
	}
	head := int(packet[0]&15) * 4
	if head < ipv4HeaderLen || len(packet) < head+8 {
		return nil, false
	}
	return packet[head:], true
}

// icmpError is the message of type kind, from the router at local, for a packet
// that does not arrive, and whom it is for. It is nil where there
// must be none. RFC 1122 section 3.2.2: "An ICMP error message MUST NOT be sent
// as the result of receiving: an ICMP error message, or a datagram destined to
// an IP broadcast or IP multicast address, [...] or a non-initial fragment".
func icmpError(local netip.Addr, packet []byte, kind, code byte, mtu uint16) (to netip.Addr, message []byte) {
	if len(packet) < ipv4HeaderLen || packet[0]>>4 != 4 || binary.BigEndian.Uint16(packet[6:])&0x1fff != 0 || packet[16] >= 224 {
		return to, nil
	}
	if icmp, ok := icmpOf(packet); ok && icmp[0] != icmpRequest && icmp[0] != icmpReply || !ok && packet[9] == protoICMP {
		return to, nil
	}
	to = netip.AddrFrom4([4]byte(packet[12:16]))
	// RFC 792: "The internet header plus the first 64 bits of the original
	// datagram's data."
	quote := packet[:min(len(packet), int(packet[0]&15)*4+8)]
	message = make([]byte, ipv4HeaderLen+8+len(quote))
	putIPv4(message, local, to)
	icmp := message[ipv4HeaderLen:]
	icmp[0], icmp[1] = kind, code
	binary.BigEndian.PutUint16(icmp[6:], mtu) // RFC 1191 section 4
	copy(icmp[8:], quote)
	binary.BigEndian.PutUint16(icmp[2:], checksum(icmp))
	return to, message
}

// checksum is RFC 1071's.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
