package gateway

import (
	"tributary/internal/ip"
	"tributary/ppp"
)

// clampMSS lowers the MSS that a TCP SYN or SYN-ACK in a PPP frame offers to what
// fits mtu octets, for a path on which the ICMP messages of path MTU discovery get lost.
// All other packets cost a few compares.
//
// IPv4 and IPv6 as they are can be looked into. So can every SYN of a link with Van
// Jacobson compression: RFC 1144 section 3.2.3 sends a packet with SYN set as type IP. What
// CCP compresses, ECP encrypts, or MP cuts in pieces is left alone.
func clampMSS(p ppp.Protocol, packet []byte, mtu int) {
	switch p {
	case ppp.ProtoIPv4:
		if len(packet) < minSYN4 || packet[9] != ip.ProtoTCP {
			return
		}
		if at := int(packet[0]&0xf)*4 + tcpFlags; at >= len(packet) || packet[at]&tcpSYN == 0 {
			return
		}
		if h, ok := ip.Parse4(packet); ok {
			ip.ClampMSS4(packet, &h, mtu)
		}
	case ppp.ProtoIPv6:
		if len(packet) < minSYN6 {
			return
		}
		switch packet[6] {
		case ip.ProtoTCP:
			if packet[ipv6Header+tcpFlags]&tcpSYN == 0 {
				return
			}
		case 0, 43, 44, 51, 60: // extension headers: TCP may be behind them
		default:
			return
		}
		if h, ok := ip.Parse6(packet); ok {
			ip.ClampMSS6(packet, &h, mtu)
		}
	}
}

// TCP in IP: RFC 791, RFC 8200, RFC 9293 section 3.1.
const (
	ipv6Header = 40
	tcpFlags   = 13 // where the control bits are in TCP's header
	tcpSYN     = 0x02
	minSYN4    = 20 + 20 + 4 // with an MSS option
	minSYN6    = ipv6Header + 20 + 4
)

// clampTo has the MSS on this line fit the link, if it is to be clamped at all: what
// the session carries and, once LCP has said so, what the user and the AC take.
func (s *session) clampTo(mtu int) {
	fwd := s.forward.Load()
	if fwd == nil || !s.group.ClampMSS || fwd.clamp == mtu {
		return
	}
	f := *fwd
	f.clamp = mtu
	s.forward.Store(&f)
}

// linkMTU is the largest packet that goes both ways.
func (s *session) linkMTU() int {
	mtu := s.up.carries(s.session.MaxPayload)
	if st := s.snoop.State(); st.LCPOpen {
		mtu = min(mtu, st.UserMRU, st.ACMRU)
	}
	return mtu
}
