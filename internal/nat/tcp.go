package nat

import "time"

// tcpState is what a connection has shown of itself: a set of what was seen.
type tcpState uint8

const (
	answered  tcpState = 1 << iota // something came from outside
	confirmed                      // and an ACK from inside after that: it is open
	finOut                         // closed by the inside
	finIn                          // closed by the outside
	reset
)

// sent is the state after a segment from inside.
//
// RFC 5382 REQ-2 wants every valid sequence, simultaneous open among them, so it
// is not the order of SYNs that counts but that each side has heard the other. A
// connection that began before this NAT did is taken up by any segment but a RST:
// the outside will answer from its point of view.
func (s tcpState) sent(flags uint8) tcpState {
	if flags&synFlag != 0 && flags&ackFlag == 0 && s.closed() {
		return 0 // the same ports again, for a new connection
	}
	if flags&rstFlag != 0 {
		return s | reset
	}
	if flags&finFlag != 0 {
		s |= finOut
	}
	if flags&ackFlag != 0 && s&answered != 0 {
		s |= confirmed
	}
	return s
}

// received is the state after a segment from outside. A RST may be forged: it
// shortens the session and does not end it, RFC 7857 section 2.2.
func (s tcpState) received(flags uint8) tcpState {
	if flags&rstFlag != 0 {
		return s | reset
	}
	if flags&finFlag != 0 {
		s |= finIn
	}
	return s | answered
}

// closed reports whether the connection has ended, from either side or both.
func (s tcpState) closed() bool { return s&(finOut|finIn|reset) != 0 }

// transitory reports whether the connection is not open yet, or no longer: RFC
// 5382 REQ-5. One that is closed on one side may go on for long on the other.
func (s tcpState) transitory() bool {
	return s&confirmed == 0 || s&reset != 0 || s&(finOut|finIn) == finOut|finIn
}

// timeout is how long a session may be idle.
func (n *NAT) timeout(x *session) time.Duration {
	t := &n.cfg.Timeouts
	switch space(x.key.space) {
	case udp:
		return t.UDP
	case icmp:
		return t.ICMP
	}
	if x.state.transitory() {
		return t.TCPTransitory
	}
	return t.TCPEstablished
}
