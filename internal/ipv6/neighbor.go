package ipv6

import "net/netip"

// Flags of a Neighbor Advertisement.
const (
	flagRouter    = 0x80
	flagSolicited = 0x40
	flagOverride  = 0x20
)

const neighborLen = 24

// parseNeighborSolicit reads which address a Neighbor Solicitation asks for. RFC
// 4861 section 7.1.1: "Target Address is not a multicast address." "If the IP
// source address is the unspecified address, the IP destination address is a
// solicited-node multicast address." "If the IP source address is the unspecified
// address, there is no source link-layer address option in the message."
func parseNeighborSolicit(p *packet) (target netip.Addr, ok bool) {
	m, ok := ndMessage(p, icmpNeighborSolicit, neighborLen)
	if !ok {
		return target, false
	}
	target = netip.AddrFrom16([16]byte(m[8:24]))
	if target.IsMulticast() {
		return target, false
	}
	if p.src.IsUnspecified() && (p.dst != solicitedNode(target) || hasOption(m[neighborLen:], optSourceLinkAddr)) {
		return target, false
	}
	return target, true
}

// appendNeighborAdvert appends a whole packet. It has no target link-layer
// address, for there are none on PPP.
func appendNeighborAdvert(dst []byte, from, to, target netip.Addr, flags uint8) []byte {
	at := len(dst)
	addr := target.As16()
	dst = appendHeader(dst, from, to, protoICMP, ndHopLimit)
	dst = append(dst, icmpNeighborAdvert, 0, 0, 0, flags, 0, 0, 0)
	dst = append(dst, addr[:]...)
	finish(dst[at:], 2)
	return dst
}

// neighbor is the part of a node that answers for its addresses.
type neighbor struct {
	link   netip.Addr
	router bool
}

// answer is the packet that answers p if it asks whether we are there: a
// Neighbor Solicitation for one of our addresses, which hosts send to see whether
// they may use it and later whether we are reachable, or an Echo Request. It is
// nil for all else. owns says which addresses are ours.
func (n *neighbor) answer(p *packet, owns func(netip.Addr) bool) []byte {
	if target, ok := parseNeighborSolicit(p); ok {
		if !owns(target) {
			return nil
		}
		flags, to := uint8(flagOverride), p.src
		if n.router {
			flags |= flagRouter
		}
		// RFC 4861 section 7.2.4: "If the source of the solicitation is the
		// unspecified address, the node MUST set the Solicited flag to zero and
		// multicast the advertisement to the all-nodes address."
		if p.src.IsUnspecified() {
			to = allNodes()
		} else {
			flags |= flagSolicited
		}
		return appendNeighborAdvert(nil, target, to, target, flags)
	}
	return n.echo(p, owns)
}

// echo answers an Echo Request. RFC 4443 section 4.2: "Every node MUST implement
// an ICMPv6 Echo responder function", and to a multicast one "the source address
// of the reply MUST be a unicast address belonging to the interface on which the
// Echo Request message was received".
func (n *neighbor) echo(p *packet, owns func(netip.Addr) bool) []byte {
	m := p.payload
	if p.proto != protoICMP || len(m) < 8 || m[0] != icmpEchoRequest || m[1] != 0 || p.src.IsUnspecified() || owns(p.src) {
		return nil
	}
	from := p.dst
	switch {
	case owns(p.dst):
	case p.dst == allNodes() || n.router && p.dst == allRouters():
		from = n.link
	default:
		return nil
	}
	if !p.sumOK() {
		return nil
	}
	b := appendHeader(make([]byte, 0, headerLen+len(m)), from, p.src, protoICMP, defaultHopLimit)
	b = append(b, icmpEchoReply, 0, 0, 0)
	b = append(b, m[4:]...)
	return finish(b, 2)
}
