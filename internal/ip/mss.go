package ip

import "encoding/binary"

// TCP header (RFC 9293 section 3.1).
const (
	tcpLen     = 20
	tcpSYN     = 0x02
	tcpOptEnd  = 0
	tcpOptNop  = 1
	tcpOptMSS  = 2
	tcpFlagsAt = 13
)

// ClampMSS4 lowers the Maximum Segment Size that a TCP SYN or SYN-ACK offers to
// what fits the mtu, in octets, so that nobody depends on path MTU discovery that
// somebody's firewall has cut off. b is the packet, h its header. It reports
// whether it changed something; a packet that is no SYN, or no first fragment, or
// that has no such option, is left alone.
//
// RFC 9293 section 3.7.1: "The MSS value to be sent in an MSS Option should be equal
// to the effective MTU minus the fixed IP and TCP headers", that is, less 40 for
// IPv4 and less 60 for IPv6, options not counted.
func ClampMSS4(b []byte, h *Header4, mtu int) bool {
	if h.Protocol != ProtoTCP || h.Offset != 0 {
		return false
	}
	return clampMSS(b[h.Len:h.Total], mtu-20-tcpLen)
}

// ClampMSS6 is [ClampMSS4] for IPv6.
func ClampMSS6(b []byte, h *Header6, mtu int) bool {
	u := Upper6{Protocol: h.Next, At: header6Len}
	if u.Protocol != ProtoTCP {
		if u.Protocol == ProtoUDP || u.Protocol == ProtoICMPv6 {
			return false
		}
		var ok bool
		if u, ok = h.Upper(b[:h.Total]); !ok || u.Protocol != ProtoTCP || u.Offset != 0 {
			return false
		}
	}
	return clampMSS(b[u.At:h.Total], mtu-header6Len-tcpLen)
}

func clampMSS(segment []byte, mss int) bool {
	if len(segment) < tcpLen || segment[tcpFlagsAt]&tcpSYN == 0 {
		return false
	}
	header := int(segment[12]>>4) * 4
	if header <= tcpLen || header > len(segment) || mss <= 0 || mss > 0xffff {
		return false
	}
	for at := tcpLen; at < header; {
		switch kind := segment[at]; kind {
		case tcpOptEnd:
			return false
		case tcpOptNop:
			at++
		default:
			if at+2 > header {
				return false
			}
			length := int(segment[at+1])
			if length < 2 || at+length > header {
				return false
			}
			if kind == tcpOptMSS && length == 4 {
				return lowerMSS(segment, at+2, uint16(mss))
			}
			at += length
		}
	}
	return false
}

// lowerMSS writes the MSS at offset at of the segment, if it is higher.
func lowerMSS(segment []byte, at int, mss uint16) bool {
	was := binary.BigEndian.Uint16(segment[at:])
	if was <= mss {
		return false
	}
	binary.BigEndian.PutUint16(segment[at:], mss)
	is := mss
	if at%2 == 1 {
		// The value lies across two words of the checksum. RFC 1071 section 2 (B):
		// the sum of swapped words is the swapped sum.
		was, is = was<<8|was>>8, is<<8|is>>8
	}
	sum := binary.BigEndian.Uint16(segment[16:])
	binary.BigEndian.PutUint16(segment[16:], Update16(sum, was, is))
	return true
}
