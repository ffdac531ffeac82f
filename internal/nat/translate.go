package nat

import (
	"time"

	"tributary/internal/ip"
)

// Out translates a packet from a user, in place. b was parsed by ip.Parse4 into
// h, which is kept up to date; the caller has made sure that the source is the
// user's. With Hairpin the packet is for the user to, and no longer for the
// outside. A packet that is dropped may have been changed.
func (n *NAT) Out(now time.Duration, user uint32, b []byte, h *ip.Header4) (to uint32, v Verdict) {
	b = b[:h.Total]
	if h.Offset != 0 {
		v = n.outLater(now, user, b, h)
	} else {
		v = n.outFirst(now, user, b, h)
	}
	if v != Forward {
		return 0, v
	}
	if h.Dst != n.external {
		return 0, Forward
	}
	// RFC 4787 REQ-9: "A NAT MUST support "Hairpinning"", with a) "External source IP
	// address and port". So the other user is reached as from outside.
	if to, v = n.in(now, b, h); v == Forward {
		return to, Hairpin
	}
	return 0, v
}

// outFirst translates what has a transport header.
func (n *NAT) outFirst(now time.Duration, user uint32, b []byte, h *ip.Header4) Verdict {
	t, v := parse(b, h)
	if v != Forward {
		return n.drop(v)
	}
	if t.space == icmp {
		switch {
		case icmpError(t.icmpType):
			return n.outError(user, b, h)
		case !query(t.icmpType):
			return n.drop(Unsupported)
		case h.Dst == n.external:
			return ToRouter
		}
	}
	s := n.shardOf(user)
	s.mu.Lock()
	port, v := s.send(now, user, h, &t)
	s.mu.Unlock()
	if v != Forward {
		return n.drop(v)
	}
	// A packet with DF set is never fragmented, so its ID says nothing.
	id := h.ID
	if !h.DF || h.MF {
		id = n.nextID()
	}
	if h.MF {
		k := fragmentKey{user: user, src: h.Src, dst: h.Dst, id: h.ID, protocol: uint16(h.Protocol)}
		n.outFragments.put(now, k, fragment{id: id})
	}
	n.from(b, h, id)
	setEndpoint(b, h.Len, t.space, source, n.external, port)
	return Forward
}

// from makes the external address the source as far as the header is concerned.
func (n *NAT) from(b []byte, h *ip.Header4, id uint16) {
	if id != h.ID {
		setID(b, id)
		h.ID = id
	}
	h.Src = n.external
}

// send finds or makes the session of a packet from inside, renews it, and returns
// its external port.
func (s *shard) send(now time.Duration, user uint32, h *ip.Header4, t *transport) (port uint16, v Verdict) {
	inside := mappingKey{user, h.Src, t.src, uint16(t.space)}
	i, v := s.open(now, inside, h.Dst, t.dst, t)
	if v != Forward {
		return 0, v
	}
	x := s.session.at(i)
	if t.space == tcp {
		x.state = x.state.sent(t.flags)
	}
	s.keep(i, x, now+s.nat.timeout(x))
	return s.mapping.at(x.mapping).external, Forward
}

// In translates a packet from outside, in place, and says which user it is for. b
// was parsed by ip.Parse4 into h, which is kept up to date. It makes no session:
// nothing from outside takes memory.
func (n *NAT) In(now time.Duration, b []byte, h *ip.Header4) (user uint32, v Verdict) {
	// Only a hairpin has our own address as its source, and it comes by Out.
	if h.Dst != n.external || h.Src == n.external {
		return 0, n.drop(NotOurs)
	}
	return n.in(now, b[:h.Total], h)
}

func (n *NAT) in(now time.Duration, b []byte, h *ip.Header4) (user uint32, v Verdict) {
	if h.Offset != 0 {
		return n.inLater(now, b, h)
	}
	t, v := parse(b, h)
	if v != Forward {
		return 0, n.drop(v)
	}
	if t.space == icmp {
		switch {
		case icmpError(t.icmpType):
			return n.inError(b, h)
		case query(t.icmpType):
			return 0, ToRouter
		case !reply(t.icmpType):
			return 0, n.drop(Unsupported)
		}
	}
	inside, v := n.receive(now, h.Src, &t)
	if v != Forward {
		return 0, n.drop(v)
	}
	if h.MF {
		k := fragmentKey{src: h.Src, dst: h.Dst, id: h.ID, protocol: uint16(h.Protocol)}
		n.inFragments.put(now, k, fragment{user: inside.user, inside: inside.inside})
	}
	setEndpoint(b, h.Len, t.space, destination, inside.inside, inside.port)
	h.Dst = inside.inside
	return inside.user, Forward
}

// holder locks the shard that has an external port and finds its mapping. The
// caller unlocks; s is nil if nobody has the port.
func (n *NAT) holder(in space, port uint16) (s *shard, m uint32) {
	b := &n.blocks[port>>n.shift]
	owner := b.owner.Load()
	if owner == 0 {
		return nil, 0
	}
	s = &n.shards[owner-1]
	s.mu.Lock()
	// Between the load and the lock the block may have changed hands.
	if b.owner.Load() == owner {
		if m = b.ports[in][int(port)&(n.cfg.BlockSize-1)]; m != 0 {
			return s, m
		}
	}
	s.mu.Unlock()
	return nil, 0
}

// receive finds for whom a packet from outside is, and whether it may come in.
func (n *NAT) receive(now time.Duration, outside uint32, t *transport) (mappingKey, Verdict) {
	s, m := n.holder(t.space, t.dst)
	if s == nil {
		return mappingKey{}, NoMapping
	}
	defer s.mu.Unlock()
	inside := s.mapping.at(m).key
	i, known := s.sessions[n.key(inside, outside, t.src)]
	if !known {
		return inside, s.stranger(m, outside, t.space)
	}
	if t.space == tcp {
		x := s.session.at(i)
		x.state = x.state.received(t.flags)
		s.keep(i, x, now+n.timeout(x))
	}
	return inside, Forward
}

// stranger decides on a packet to mapping m that belongs to no session. RFC 5382
// REQ-4 forbids an answer to an unsolicited SYN for six seconds, in which the
// inside may open the same connection; there is never one here.
func (s *shard) stranger(m, outside uint32, in space) Verdict {
	switch {
	case s.nat.cfg.Filtering == EndpointIndependent:
		return Forward
	case in == tcp && s.nat.cfg.Filtering == AddressDependent && s.senders[sender{m, outside}] > 0:
		return Forward
	}
	return Filtered
}
