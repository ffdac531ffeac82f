package ipv6

import (
	"encoding/binary"
	"net/netip"
)

// headerLen is the length of the IPv6 header (RFC 8200 section 3).
const headerLen = 40

// Next Header values.
const (
	protoHopByHop    = 0
	protoUDP         = 17
	protoICMP        = 58
	protoDestOptions = 60
)

// ndHopLimit is what the hop limit of Neighbor Discovery must be. RFC 4861
// section 6.1.1: "The IP Hop Limit field has a value of 255, i.e., the packet
// could not possibly have been forwarded by a router."
const ndHopLimit = 255

// defaultHopLimit is for all other unicast packets.
const defaultHopLimit = 64

// Well-known multicast addresses; functions, so that nobody can change them.
func allNodes() netip.Addr { return netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 15: 1}) }

func allRouters() netip.Addr { return netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 15: 2}) }

// allDHCP is All_DHCP_Relay_Agents_and_Servers (RFC 8415 section 7.1).
func allDHCP() netip.Addr { return netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 13: 1, 15: 2}) }

// solicitedNode is the multicast address at which a node is asked for addr (RFC
// 4291 section 2.7.1).
func solicitedNode(addr netip.Addr) netip.Addr {
	a := addr.As16()
	return netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]})
}

// LinkLocal is the link-local address of an interface identifier, as IPV6CP
// agreed on it (RFC 5072 section 5).
func LinkLocal(id uint64) netip.Addr {
	a := [16]byte{0: 0xfe, 1: 0x80}
	binary.BigEndian.PutUint64(a[8:], id)
	return netip.AddrFrom16(a)
}

// Address is the address that an interface identifier has in a /64. Bits of
// the prefix behind the 64th are replaced.
func Address(prefix netip.Prefix, id uint64) netip.Addr {
	a := prefix.Addr().As16()
	binary.BigEndian.PutUint64(a[8:], id)
	return netip.AddrFrom16(a)
}

// Local reports whether an IPv6 packet stays on its link: it is for a link-local
// or a multicast address, so that it is for a machine of this package and not
// to be forwarded. Anything shorter than a header is not local.
func Local(pkt []byte) bool {
	if len(pkt) < headerLen || pkt[0]>>4 != 6 {
		return false
	}
	return pkt[24] == 0xff || pkt[24] == 0xfe && pkt[25]&0xc0 == 0x80
}

// packet is an IPv6 packet that was taken apart; payload borrows from it.
type packet struct {
	src, dst netip.Addr
	hopLimit uint8
	proto    uint8
	payload  []byte
}

// parsePacket reads an IPv6 packet. Octets behind its length are ignored.
// Hop-by-Hop and Destination Options are stepped over, unread. Fragments and
// routing headers are refused: RFC 6980 section 5: "Nodes MUST silently ignore
// the following Neighbor Discovery and SEcure Neighbor Discovery messages if the
// packets carrying them include an IPv6 Fragmentation Header", and no message
// here is too long for one packet.
func parsePacket(b []byte) (p packet, ok bool) {
	if len(b) < headerLen || b[0]>>4 != 6 {
		return p, false
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n > len(b)-headerLen {
		return p, false
	}
	p = packet{
		src:      netip.AddrFrom16([16]byte(b[8:24])),
		dst:      netip.AddrFrom16([16]byte(b[24:40])),
		hopLimit: b[7],
		proto:    b[6],
		payload:  b[headerLen : headerLen+n : headerLen+n],
	}
	// RFC 4291 section 2.7: "Multicast addresses must not be used as source
	// addresses in IPv6 packets".
	if p.src.IsMulticast() {
		return p, false
	}
	for first := true; ; first = false {
		switch p.proto {
		case protoHopByHop:
			if !first {
				return p, false
			}
		case protoDestOptions:
		case protoUDP, protoICMP:
			return p, true
		default:
			return p, false
		}
		if len(p.payload) < 8 {
			return p, false
		}
		n := 8 * (int(p.payload[1]) + 1)
		if n > len(p.payload) {
			return p, false
		}
		p.proto, p.payload = p.payload[0], p.payload[n:]
	}
}

// checksum is RFC 1071's over the pseudo-header of RFC 8200 section 8.1 and the
// payload. Over a payload that contains its right checksum it is 0.
func checksum(src, dst netip.Addr, proto uint8, payload []byte) uint16 {
	sum := uint64(len(payload)) + uint64(proto)
	for _, addr := range [2]netip.Addr{src, dst} {
		a := addr.As16()
		for i := 0; i < 16; i += 2 {
			sum += uint64(binary.BigEndian.Uint16(a[i:]))
		}
	}
	for ; len(payload) > 1; payload = payload[2:] {
		sum += uint64(binary.BigEndian.Uint16(payload))
	}
	if len(payload) == 1 {
		sum += uint64(payload[0]) << 8
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// sumOK reports whether the packet's ICMPv6 or UDP checksum is right. RFC 8200
// section 8.1: "IPv6 receivers must discard UDP packets containing a zero
// checksum".
func (p *packet) sumOK() bool {
	if p.proto == protoUDP && (len(p.payload) < udpHeaderLen || p.payload[6] == 0 && p.payload[7] == 0) {
		return false
	}
	return checksum(p.src, p.dst, p.proto, p.payload) == 0
}

// appendHeader appends an IPv6 header whose length finish fills in.
func appendHeader(dst []byte, from, to netip.Addr, proto, hopLimit uint8) []byte {
	src, dest := from.As16(), to.As16()
	dst = append(dst, 0x60, 0, 0, 0, 0, 0, proto, hopLimit)
	dst = append(dst, src[:]...)
	return append(dst, dest[:]...)
}

// finish fills in the length of the packet that is all of b, and its checksum,
// which stands sumAt octets behind the header.
func finish(b []byte, sumAt int) []byte {
	payload := b[headerLen:]
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	src, dst := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	sum := checksum(src, dst, b[6], payload)
	// RFC 8200 section 8.1: "if that computation yields a result of zero, it must
	// be changed to hex FFFF for placement in the UDP header".
	if sum == 0 && b[6] == protoUDP {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(payload[sumAt:], sum)
	return b
}

const udpHeaderLen = 8

// udpPayload is what the UDP packet p carries to port, its checksum verified.
func (p *packet) udpPayload(port uint16) (data []byte, ok bool) {
	if p.proto != protoUDP || len(p.payload) < udpHeaderLen || binary.BigEndian.Uint16(p.payload[2:]) != port {
		return nil, false
	}
	n := int(binary.BigEndian.Uint16(p.payload[4:]))
	if n < udpHeaderLen || n != len(p.payload) || !p.sumOK() {
		return nil, false
	}
	return p.payload[udpHeaderLen:], true
}

// appendUDP appends a whole packet.
func appendUDP(dst []byte, from, to netip.Addr, hopLimit uint8, srcPort, dstPort uint16, data []byte) []byte {
	at := len(dst)
	dst = appendHeader(dst, from, to, protoUDP, hopLimit)
	dst = binary.BigEndian.AppendUint16(dst, srcPort)
	dst = binary.BigEndian.AppendUint16(dst, dstPort)
	dst = binary.BigEndian.AppendUint16(dst, uint16(udpHeaderLen+len(data)))
	dst = append(dst, 0, 0)
	dst = append(dst, data...)
	finish(dst[at:], 6)
	return dst
}
