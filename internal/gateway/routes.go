package gateway

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"tributary/internal/config"
	"tributary/internal/ip"
)

// routes finds the user of an IPv4 address, in three looks for any number of
// them, wherever they lie: pools and fixed addresses beyond all pools cost the
// same. Readers take no lock. What is below the top is made when an address of it
// is first given to a user, and stays: 2 KiB for each /16 and each /24.
type routes struct {
	mu     sync.Mutex // writers
	top    [1 << 16]atomic.Pointer[routes16]
	router session // whoever has it as their user are the gateway's own addresses
	blocks []block // of the pools, sorted; they are there before the first user is
}

type (
	routes16 [256]atomic.Pointer[routes24]
	routes24 [256]atomic.Pointer[session]
)

// slot is where a's user is; nil if a and its neighbours never had one.
func (r *routes) slot(a uint32) *atomic.Pointer[session] {
	if n := r.top[a>>16].Load(); n != nil {
		if n := n[a>>8&0xff].Load(); n != nil {
			return &n[a&0xff]
		}
	}
	return nil
}

// lookup is the user of address a: nil if it is nobody's, router if it is our own.
func (r *routes) lookup(a uint32) *session {
	if s := r.slot(a); s != nil {
		return s.Load()
	}
	return nil
}

// user is lookup where our own addresses are nobody's.
func (r *routes) user(a uint32) *session {
	if s := r.lookup(a); s != &r.router {
		return s
	}
	return nil
}

// set makes s the user of a, and reports whether nobody was before.
func (r *routes) set(a uint32, s *session) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	n16 := r.top[a>>16].Load()
	if n16 == nil {
		n16 = new(routes16)
		r.top[a>>16].Store(n16)
	}
	if at := &n16[a>>8&0xff]; at.Load() == nil {
		at.Store(new(routes24))
	}
	return r.slot(a).CompareAndSwap(nil, s)
}

// clear makes a nobody's again, if it was s's.
func (r *routes) clear(a uint32, s *session) {
	if slot := r.slot(a); slot != nil {
		slot.CompareAndSwap(s, nil)
	}
}

// block is addresses of a pool, both ends included.
type block struct {
	first, last uint32
	silent      bool // no host can have it, and whoever sends there is not told
}

// pooled reports whether a is an address of a pool, of those that users may have or
// that are no host's; and whether a packet to it is dropped without a word.
func (r *routes) pooled(a uint32) (ok, silent bool) {
	i, j := 0, len(r.blocks)
	for i < j { // the first that ends at a or behind it
		if m := (i + j) / 2; r.blocks[m].last < a {
			i = m + 1
		} else {
			j = m
		}
	}
	if i == len(r.blocks) || a < r.blocks[i].first {
		return false, false
	}
	return true, r.blocks[i].silent
}

// open says what is the gateway's own: its addresses towards users, and the pools,
// which do not overlap. What a pool excludes is somebody else's, and is reached by
// way of the ISP like any other address.
func (r *routes) open(pools []config.Pool) {
	r.set(ip.Addr4(dummyAddr), &r.router)
	for i := range pools {
		p := &pools[i]
		if p.Gateway.IsValid() {
			r.set(ip.Addr4(p.Gateway), &r.router)
		}
		r.blocks = append(r.blocks, blocksOf(p.Prefix, p.Exclude)...)
	}
	slices.SortFunc(r.blocks, func(a, b block) int { return cmp.Compare(a.first, b.first) })
}

// blocksOf is the addresses of a prefix without those that are excluded. RFC 1812
// section 4.2.3.1 on the first and the last: a router "MUST treat as IP broadcasts
// packets addressed to 255.255.255.255 or { <Network-prefix>, -1 }" and "SHOULD
// silently discard on receipt (...) any packet addressed to 0.0.0.0 or {
// <Network-prefix>, 0 }". RFC 2644 has broadcasts to a prefix not forwarded either,
// and RFC 1812 section 4.3.2.7 has nobody told of them.
func blocksOf(prefix netip.Prefix, exclude []config.AddrRange) (all []block) {
	first := ip.Addr4(prefix.Addr())
	last := first | uint32(1<<(32-prefix.Bits())-1)
	if prefix.Bits() < 31 { // RFC 3021
		all = append(all, block{first, first, true}, block{last, last, true})
		first, last = first+1, last-1
	}
	holes := slices.SortedFunc(slices.Values(exclude), func(a, b config.AddrRange) int { return a.First.Compare(b.First) })
	for _, h := range holes {
		from, to := ip.Addr4(h.First), ip.Addr4(h.Last)
		if to < first || from > last {
			continue
		}
		if from > first {
			all = append(all, block{first: first, last: from - 1})
		}
		if to >= last {
			return all
		}
		first = to + 1
	}
	return append(all, block{first: first, last: last})
}
