package nat

import (
	"hash/maphash"
	"sync"
	"time"

	"tributary/internal/ip"
)

// fragmentKey is a fragmented datagram (RFC 791 section 3.2). user is 0 for one
// from outside.
type fragmentKey struct {
	user, src, dst uint32
	id, protocol   uint16
}

// fragment is what the first fragment of a datagram was translated to.
type fragment struct {
	user   uint32 // inbound: for whom
	inside uint32 // inbound: to which address
	id     uint16 // outbound: the new identification
}

// fragments is the datagrams of which the first fragment has passed, so that the
// later ones, which have no ports, can follow it. It is a table of fixed size, in
// which a datagram can be in any of a few places and a new one takes the oldest:
// whoever floods it disturbs other fragmented datagrams and nothing else.
type fragments struct {
	mu   sync.Mutex
	sets [][ways]inTransit
	seed maphash.Seed
}

type inTransit struct {
	key   fragmentKey
	until time.Duration // 0: free
	fragment
}

const (
	ways = 4
	// fragmentTime is how long the rest of a datagram may take; a modem at 9,600
	// bit/s needs 2 s for 1,500 octets. RFC 1122 section 3.3.2 has hosts wait 60 s
	// to 120 s at most, RFC 791 15 s.
	fragmentTime = 30 * time.Second
)

func (f *fragments) init(datagrams int, seed maphash.Seed) {
	f.sets, f.seed = make([][ways]inTransit, max(1, datagrams/ways)), seed
}

func (f *fragments) set(k fragmentKey) *[ways]inTransit {
	return &f.sets[maphash.Comparable(f.seed, k)%uint64(len(f.sets))]
}

func (f *fragments) put(now time.Duration, k fragmentKey, as fragment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	set := f.set(k)
	oldest := &set[0]
	for i := range set {
		if set[i].key == k {
			oldest = &set[i]
			break
		}
		if set[i].until < oldest.until {
			oldest = &set[i]
		}
	}
	*oldest = inTransit{k, now + fragmentTime, as}
}

func (f *fragments) get(now time.Duration, k fragmentKey) (fragment, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	set := f.set(k)
	for i := range set {
		if set[i].key == k && set[i].until > now {
			return set[i].fragment, true
		}
	}
	return fragment{}, false
}

// later checks a fragment other than the first. RFC 3128: one that begins behind
// eight octets of TCP could write other flags over those that were seen.
func later(h *ip.Header4) Verdict {
	switch h.Protocol {
	case ip.ProtoTCP:
		if h.Offset < 20 {
			return Malformed
		}
	case ip.ProtoUDP, ip.ProtoICMP:
		if h.Offset < 8 {
			return Malformed
		}
	default:
		return Unsupported
	}
	return Forward
}

// outLater translates a fragment from inside that has no ports. RFC 4787 REQ-14
// would have those that come before the first kept until it comes: memory for
// whoever sends nothing but later fragments. They are dropped, and counted.
func (n *NAT) outLater(now time.Duration, user uint32, b []byte, h *ip.Header4) Verdict {
	if v := later(h); v != Forward {
		return n.drop(v)
	}
	k := fragmentKey{user: user, src: h.Src, dst: h.Dst, id: h.ID, protocol: uint16(h.Protocol)}
	f, ok := n.outFragments.get(now, k)
	if !ok {
		return n.drop(FragmentOrder)
	}
	if !n.behind(user) {
		return n.drop(NoUser)
	}
	n.from(b, h, f.id)
	setAddr(b, source, n.external)
	return Forward
}

// inLater translates a fragment from outside that has no ports.
func (n *NAT) inLater(now time.Duration, b []byte, h *ip.Header4) (user uint32, v Verdict) {
	if v := later(h); v != Forward {
		return 0, n.drop(v)
	}
	k := fragmentKey{src: h.Src, dst: h.Dst, id: h.ID, protocol: uint16(h.Protocol)}
	f, ok := n.inFragments.get(now, k)
	if !ok {
		return 0, n.drop(FragmentOrder)
	}
	if !n.behind(f.user) {
		return 0, n.drop(NoUser)
	}
	setAddr(b, destination, f.inside)
	h.Dst = f.inside
	return f.user, Forward
}
