package nat

import "tributary/internal/ip"

// quoted is the packet inside an ICMP error.
type quoted struct {
	b      []byte // from its IP header on, as much as was quoted
	header int    // the length of its IP header
	transport
	from, to uint32
}

// quote takes an ICMP error apart. RFC 5508 REQ-3: "When an ICMP Error packet is
// received, if the ICMP checksum fails to validate, the NAT SHOULD silently drop
// the ICMP Error packet". The checksums of what is quoted are not looked at: a
// router that counted the TTL down before it quoted may have left the IP checksum
// as it was, and traceroute through it has to work.
func quote(b []byte, h *ip.Header4) (q quoted, v Verdict) {
	message := b[h.Len:]
	if h.MF || len(message) < 8+20 || ip.Checksum(0, message) != 0 {
		return q, Malformed
	}
	q.b = message[8:]
	q.header = int(q.b[0]&0xf) * 4
	// RFC 792 has the header and 64 bits quoted at least.
	if q.b[0]>>4 != 4 || q.header < 20 || len(q.b) < q.header+8 {
		return q, Malformed
	}
	if get16(q.b[6:])&0x1fff != 0 {
		return q, NoMapping // a later fragment: it has no ports
	}
	q.from, q.to = ip.Source4(q.b), ip.Dest4(q.b)
	p := q.b[q.header:]
	switch q.b[9] {
	case ip.ProtoTCP:
		q.transport = transport{space: tcp, src: get16(p), dst: get16(p[2:])}
	case ip.ProtoUDP:
		q.transport = transport{space: udp, src: get16(p), dst: get16(p[2:])}
	case ip.ProtoICMP:
		q.transport = transport{space: icmp, src: get16(p[4:]), dst: get16(p[4:]), icmpType: p[0]}
		// RFC 5508 section 4.2: never about an error.
		if !query(p[0]) && !reply(p[0]) {
			return q, Unsupported
		}
	default:
		return q, Unsupported
	}
	return q, Forward
}

// seal writes the checksum of an ICMP message whose quotation was changed.
func seal(message []byte) {
	message[2], message[3] = 0, 0
	put16(message[2:], ip.Checksum(0, message))
}

// inError translates an error about a packet that a user has sent: RFC 5508 REQ-4.
// It only looks at the session, REQ-6: "a NAT device MUST NOT refresh or delete the
// NAT Session that pertains to the embedded payload within the ICMP Error packet".
func (n *NAT) inError(b []byte, h *ip.Header4) (user uint32, v Verdict) {
	q, v := quote(b, h)
	if v != Forward {
		return 0, n.drop(v)
	}
	if q.from != n.external || q.space == icmp && !query(q.icmpType) {
		return 0, n.drop(NoMapping)
	}
	s, m := n.holder(q.space, q.src)
	if s == nil {
		return 0, n.drop(NoMapping)
	}
	inside := s.mapping.at(m).key
	_, known := s.sessions[n.key(inside, q.to, q.dst)]
	if !known {
		v = s.stranger(m, q.to, q.space)
	}
	s.mu.Unlock()
	if v != Forward {
		return 0, n.drop(v)
	}
	setEndpoint(q.b, q.header, q.space, source, inside.inside, inside.port)
	seal(b[h.Len:])
	setAddr(b, destination, inside.inside)
	h.Dst = inside.inside
	return inside.user, Forward
}

// outError translates an error from a user about a packet that came from outside:
// RFC 5508 REQ-5. Whichever router inside sent it, outside it comes from the one
// address there is.
func (n *NAT) outError(user uint32, b []byte, h *ip.Header4) Verdict {
	q, v := quote(b, h)
	if v != Forward {
		return n.drop(v)
	}
	if q.space == icmp && !reply(q.icmpType) {
		return n.drop(NoMapping)
	}
	inside := mappingKey{user, q.to, q.dst, uint16(q.space)}
	var port uint16
	s := n.shardOf(user)
	s.mu.Lock()
	m, ok := s.mappings[inside]
	if !ok {
		v = NoMapping
	} else {
		port = s.mapping.at(m).external
		if _, known := s.sessions[n.key(inside, q.from, q.src)]; !known {
			v = s.stranger(m, q.from, q.space)
		}
	}
	s.mu.Unlock()
	if v != Forward {
		return n.drop(v)
	}
	setEndpoint(q.b, q.header, q.space, destination, n.external, port)
	seal(b[h.Len:])
	id := h.ID
	if !h.DF {
		id = n.nextID()
	}
	n.from(b, h, id)
	setAddr(b, source, n.external)
	return Forward
}
