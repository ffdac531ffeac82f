package gateway

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"tributary/internal/config"
	"tributary/internal/ipv6"
	"tributary/internal/pool"
)

// routes6 finds the user of an IPv6 address, by one look into one array: that of
// the pool's prefix, by the number of the /64. Readers take no lock.
type routes6 struct {
	mu     sync.Mutex // writers
	tables atomic.Pointer[[]*prefixTable]
}

// prefixTable is the users of one prefix, each with a /64 of it.
type prefixTable struct {
	whole  netip.Prefix // as it is configured or delegated
	prefix netip.Prefix // what users' /64s are of, at most sharedBits
	base   uint64       // the upper half of the addresses in its first /64
	last   uint64       // the number of the last one that is ours, users' or not
	users  []atomic.Pointer[session]
	leases *pool.Prefixes
	short  waiters // users for whom there was none
	// router is our own address, in the first /64, which no user gets: what RFC 7084
	// section 4.2 WAA-7 has a router make of its prefix if the ISP gives it no address.
	// Zero if the prefix is one /64 only, which is a user's.
	router [16]byte
}

// sharedBits is the largest prefix that is cut up: config.MaxPool /64s. Of a
// larger one that is delegated, this is the first part.
const sharedBits = 48

// newPrefixTable makes the table of a prefix of at most 64 bits.
func newPrefixTable(name string, p netip.Prefix, store *pool.Store) (*prefixTable, error) {
	whole := p
	if p.Bits() < sharedBits {
		p = netip.PrefixFrom(p.Addr(), sharedBits)
	}
	t := &prefixTable{whole: whole, prefix: p, base: upper(p.Addr().As16())}
	c := pool.PrefixConfig{Name: name, Prefix: p, Store: store}
	if p.Bits() < 64 {
		c.Exclude = []netip.Prefix{netip.PrefixFrom(p.Addr(), 64)}
		t.router = ipv6.Address(p, 1).As16()
	}
	var err error
	if t.leases, err = pool.NewPrefixes(c); err != nil {
		return nil, err
	}
	t.last = 1<<(64-whole.Bits()) - 1
	t.users = make([]atomic.Pointer[session], 1<<(64-p.Bits()))
	return t, nil
}

// upper is the upper half of an address, the number of its /64.
func upper(a [16]byte) uint64 { return binary.BigEndian.Uint64(a[:8]) }

// lower is the lower half of an address, its interface identifier.
func lower(a [16]byte) uint64 { return binary.BigEndian.Uint64(a[8:]) }

// linkPrefix is the /64 with the upper half link.
func linkPrefix(link uint64) netip.Prefix {
	var a [16]byte
	binary.BigEndian.PutUint64(a[:8], link)
	return netip.PrefixFrom(netip.AddrFrom16(a), 64)
}

// slot is where the user of a /64 is; nil if it is not in the prefix.
func (t *prefixTable) slot(link uint64) *atomic.Pointer[session] {
	if i := link - t.base; i < uint64(len(t.users)) {
		return &t.users[i]
	}
	return nil
}

// lookup is the user of a /64, and the table of the prefix that it is of; each nil if
// there is none.
func (r *routes6) lookup(link uint64) (*session, *prefixTable) {
	all := r.tables.Load()
	if all == nil {
		return nil, nil
	}
	var beyond *prefixTable
	for _, t := range *all {
		if slot := t.slot(link); slot != nil {
			return slot.Load(), t
		}
		if link-t.base <= t.last {
			beyond = t // of the prefix, behind what is cut up
		}
	}
	return nil, beyond
}

// replace puts one table in the place of another; either may be nil. The list is
// replaced, since readers are in the old one.
func (r *routes6) replace(old, with *prefixTable) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*prefixTable
	if all := r.tables.Load(); all != nil {
		list = slices.DeleteFunc(slices.Clone(*all), func(t *prefixTable) bool { return t == old })
	}
	if with != nil {
		list = append(list, with)
	}
	r.tables.Store(&list)
}

// prefixPool is the IPv6 part of a pool: a prefix that is configured, or one that
// the ISP delegates and may take back or change.
type prefixPool struct {
	cfg    *config.Pool
	store  *pool.Store
	routes *routes6

	current atomic.Pointer[grant] // nil while there is no prefix
	last    *prefixTable          // the setter's: the same prefix again has the same users
}

// grant is a prefix that is in force.
type grant struct {
	ipv6.Prefix
	table *prefixTable
}

// newPrefixPool is nil for a pool without IPv6.
func (sh *shared) newPrefixPool(c *config.Pool) (*prefixPool, error) {
	if !c.Prefix6.IsValid() && c.DelegatedBy == "" {
		return nil, nil
	}
	p := &prefixPool{cfg: c, store: sh.store, routes: &sh.routes6}
	if c.DelegatedBy == "" {
		return p, p.set(ipv6.Prefix{Prefix: c.Prefix6})
	}
	t := sh.trunks[c.DelegatedBy]
	if t == nil {
		return nil, fmt.Errorf("there is no session %q", c.DelegatedBy)
	}
	t.delegates = p
	return p, nil
}

// set puts a prefix in force, or only its new lifetimes; the zero Prefix takes
// away what there is. Only one goroutine calls it at a time. Whoever does tells
// the users.
func (p *prefixPool) set(pr ipv6.Prefix) error {
	var before *prefixTable
	if now := p.current.Load(); now != nil {
		before = now.table
	}
	if !pr.Prefix.IsValid() {
		p.current.Store(nil)
		p.routes.replace(before, nil)
		return nil
	}
	pr.Prefix = pr.Prefix.Masked()
	next := p.last
	if next == nil || next.whole != pr.Prefix {
		var err error
		if next, err = newPrefixTable(p.cfg.Name, pr.Prefix, p.store); err != nil {
			return err
		}
		p.last = next
	}
	if next != before {
		p.routes.replace(before, next)
	}
	p.current.Store(&grant{pr, next})
	return nil
}

// users6 is the users whose IPv6 is up: who is to be told when a prefix changes.
type users6 struct {
	mu  sync.Mutex
	all map[*session]struct{}
}

func (u *users6) join(s *session) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all == nil {
		u.all = make(map[*session]struct{})
	}
	u.all[s] = struct{}{}
}

func (u *users6) leave(s *session) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.all, s)
}

// tell has all of them look at what holds now.
func (u *users6) tell() {
	u.mu.Lock()
	list := make([]*session, 0, len(u.all))
	for s := range u.all {
		list = append(list, s)
	}
	u.mu.Unlock()
	for _, s := range list {
		s.owner.post(event{s: s, kind: evIPv6})
	}
}
