package gateway

import (
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/pppoe"
)

// forward is how frames of one line reach its AC: everything a reader needs to
// carry a frame across, in one value that never changes. The owner publishes
// it when the session opens and withdraws it in the same turn as it closes.
type forward struct {
	port     ether.Port
	hdr      ether.Header
	overhead int // octets in front of a PPP frame
	sid      uint16
	users    *carried // where users who share the session are counted; nil in mode relay
	maxFrame int      // of a PPP frame, its Protocol field included
	clamp    int      // the MTU that the MSS of TCP is clamped to; 0: it is not
}

// upstream writes the PPPoE, VLAN and Ethernet headers in front of the PPP
// frame in b, in place. It reports false for a frame that PPPoE cannot carry.
//
// RFC 2516 section 4: "The PPPoE payload contains zero or more TAGs" for
// discovery; section 6: "The PPPoE payload contains a PPP frame. The frame
// begins with the PPP Protocol-ID."
func (f *forward) upstream(b *frame.Buf) bool {
	n := len(b.Bytes())
	if n > f.maxFrame {
		return false
	}
	pppoe.PutHeader(b.Prepend(pppoe.HeaderLen), pppoe.SessionStage, f.sid, n)
	ether.Prepend(b, &f.hdr)
	return true
}
