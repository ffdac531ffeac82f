package ppp

import "time"

// ncp is what the network control protocols have in common: the automaton, and
// what becomes of the link when a network layer fails.
type ncp struct {
	fsm
	open bool // the packets of its network layer may flow
}

// ncp is the control protocol p, or the one of the network layer p; nil if the
// configuration has no such layer. RFC 1661 section 2: 8*** to b*** identify
// "packets belonging to the associated Network Control Protocols".
func (l *Link) ncp(p Protocol) *ncp {
	switch {
	case (p == ProtoIPv4 || p == ProtoIPCP) && l.cfg.IPv4 != nil:
		return &l.ipcp.ncp
	case (p == ProtoIPv6 || p == ProtoIPV6CP) && l.cfg.IPv6 != nil:
		return &l.ipv6cp.ncp
	}
	return nil
}

// begin begins the negotiation, since LCP and authentication are done.
func (n *ncp) begin(now time.Time) {
	n.event(now, evOpen, Packet{})
	n.event(now, evUp, Packet{})
}

// forget drops what belongs to one network phase.
func (n *ncp) forget() { n.reason, n.message = "", "" }

// alive reports whether the layer is up or on its way there.
func (n *ncp) alive() bool { return n.state == stOpened || n.state.negotiating() }

// other is the NCP that the link may have beside n.
func (n *ncp) other() *ncp {
	if n == &n.l.ipcp.ncp {
		return &n.l.ipv6cp.ncp
	}
	return &n.l.ipcp.ncp
}

// opened is what This-Layer-Up comes to when there is nothing to object.
func (n *ncp) opened(o Out) {
	n.open = true
	n.forget()
	n.l.lcp.reason, n.l.lcp.message = "", "" // whatever ended before, the link goes on
	n.l.emit(o)
}

// closed is This-Layer-Down.
func (n *ncp) closed(o Out) {
	if n.open {
		n.open = false
		n.l.emit(o)
	}
}

// cause notes why the layer goes down, and the link with it if nothing else is left.
func (n *ncp) cause(r Reason, message string) {
	n.fsm.cause(r, message)
	if !n.other().alive() {
		n.l.lcp.cause(r, message)
	}
}

// fail gives the layer up, and with the last one the link.
func (n *ncp) fail(now time.Time, r Reason, message string) {
	n.reason, n.message = r, message
	if n.other().alive() {
		n.event(now, evClose, Packet{})
		return
	}
	n.endLink(now)
}

// finished is This-Layer-Finished. While another layer is alive this one may
// begin anew, when the peer does.
func (n *ncp) finished(now time.Time) {
	n.fsm.cause(ReasonNoNetwork, "")
	if !n.other().alive() {
		n.endLink(now)
	}
}

// protocolRejected: the peer does not speak the protocol. That is RXJ-, but a
// Terminate-Request would only be rejected again; so it is as if nothing below
// would carry the layer any longer.
func (n *ncp) protocolRejected(now time.Time) {
	n.fsm.cause(ReasonNoNetwork, "")
	if n.other().alive() {
		n.event(now, evDown, Packet{})
		return
	}
	n.endLink(now)
}

// endLink: without a network layer the link is of no use. That an address was
// missing says more than that the peer had no other layer either, so of two
// reasons the more telling one is given.
func (n *ncp) endLink(now time.Time) {
	if o := n.other(); n.reason == ReasonNoNetwork && o.reason != "" && o.reason != ReasonNoNetwork {
		n = o
	}
	n.l.fail(now, n.reason, n.message)
}

func (n *ncp) expect(bool)                    {} // packets, unlike frames, are read alike before and after our Ack
func (n *ncp) codeRejected(Code)              {}
func (n *ncp) control(time.Time, Packet) bool { return false }
