package gateway

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"tributary/internal/ip"
)

// routes finds the user of an IPv4 address, by one look into one array. Each pool
// is a range of it; an address that a user has beyond all pools is a range of
// its own. Readers take no lock.
type routes struct {
	mu     sync.Mutex // writers
	ranges atomic.Pointer[[]*addressRange]
}

// addressRange is the users of a run of addresses.
type addressRange struct {
	base  uint32
	users []atomic.Pointer[session]
}

// slot is where a's user is; nil if a is in none of the ranges.
func (r *routes) slot(a uint32) *atomic.Pointer[session] {
	all := r.ranges.Load()
	if all == nil {
		return nil
	}
	for _, g := range *all {
		if i := a - g.base; i < uint32(len(g.users)) {
			return &g.users[i]
		}
	}
	return nil
}

// lookup is the user of address a, nil if it is nobody's.
func (r *routes) lookup(a uint32) *session {
	if s := r.slot(a); s != nil {
		return s.Load()
	}
	return nil
}

// addPrefix makes room for the users of a pool.
func (r *routes) addPrefix(p netip.Prefix) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(&addressRange{base: ip.Addr4(p.Masked().Addr()), users: make([]atomic.Pointer[session], 1<<(32-p.Bits()))})
}

// add is for whoever holds mu. The list is replaced, since readers are in the old one.
func (r *routes) add(g *addressRange) {
	var list []*addressRange
	if old := r.ranges.Load(); old != nil {
		list = slices.Clone(*old)
	}
	list = append(list, g)
	r.ranges.Store(&list)
}

// set makes s the user of a, and reports whether nobody was before.
func (r *routes) set(a uint32, s *session) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.slot(a) == nil {
		r.add(&addressRange{base: a, users: make([]atomic.Pointer[session], 1)})
	}
	return r.slot(a).CompareAndSwap(nil, s)
}

// clear makes a nobody's again, if it was s's.
func (r *routes) clear(a uint32, s *session) {
	if slot := r.slot(a); slot != nil {
		slot.CompareAndSwap(s, nil)
	}
}
