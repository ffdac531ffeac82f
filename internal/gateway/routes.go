package gateway

import (
	"sync"
	"sync/atomic"
)

// routes finds the user of an IPv4 address, in three looks for any number of
// them, wherever they lie: pools and fixed addresses beyond all pools cost the
// same. Readers take no lock. What is below the top is made when an address of it
// is first given to a user, and stays: 2 KiB for each /16 and each /24.
type routes struct {
	mu  sync.Mutex // writers
	top [1 << 16]atomic.Pointer[routes16]
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

// lookup is the user of address a, nil if it is nobody's.
func (r *routes) lookup(a uint32) *session {
	if s := r.slot(a); s != nil {
		return s.Load()
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
