package pool

import (
	"fmt"
	"net/netip"
	"sync"
)

// space is the items of one prefix and who has them: the rules of Pool and of
// Prefixes, which differ in what an item is.
//
// Its memory grows with the items that were ever taken, of which there are at
// most MaxItems: a user is remembered with an item, or not at all. Each call
// takes a few steps, however many there are.
type space struct {
	name  string
	plan  plan
	holes spans // excluded
	keep  keeper

	mu      sync.Mutex
	leases  map[uint32]*lease
	free    list                      // all of those that are free, by age
	former  map[string]*list          // of these, those of each user that has a name
	next    uint32                    // everything below was taken once, or is blocked
	fixed   map[uint32]struct{}       // belong to users
	outside map[netip.Prefix]struct{} // fixed ones that are no items, and taken
	order   uint64                    // of the last event
	size    int                       // how many items there are to give away
	taken   int
}

func newSpace(name, kind string, pl plan, holes []span, store *Store) (*space, error) {
	s := &space{
		name: name, plan: pl, holes: newSpans(holes), keep: keeper{store, name + "\x00" + kind},
		leases: map[uint32]*lease{}, former: map[string]*list{}, outside: map[netip.Prefix]struct{}{},
	}
	s.size = int(pl.n) - s.holes.len()
	for _, r := range s.keep.load() {
		i, ok := pl.index(r.item)
		if !ok || s.blocked(i) {
			s.keep.forget(r.item) // the prefix or what is excluded was changed
			continue
		}
		d := &lease{index: i, user: r.user, order: r.order}
		s.leases[i] = d
		s.putFree(d)
		s.order = max(s.order, r.order)
	}
	return s, nil
}

// blocked reports whether nobody gets item i unless it is his.
func (s *space) blocked(i uint32) bool {
	if _, ok := s.fixed[i]; ok {
		return true
	}
	_, ok := s.holes.find(i)
	return ok
}

func (s *space) take(user string, asked, fixed netip.Prefix) (netip.Prefix, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fixed.IsValid() {
		return s.takeFixed(user, fixed)
	}
	if d := s.formerly(user, asked); d != nil {
		return s.give(d, user), nil
	}
	if i, ok := s.plan.index(asked); ok && s.leases[i] == nil && !s.blocked(i) {
		return s.giveNew(i, user), nil
	}
	if i, ok := s.unused(); ok {
		return s.giveNew(i, user), nil
	}
	if d := s.free.oldest; d != nil {
		return s.give(d, user), nil
	}
	return netip.Prefix{}, fmt.Errorf("pool %s: %w (%d)", s.name, ErrExhausted, s.size)
}

func (s *space) takeFixed(user string, fixed netip.Prefix) (netip.Prefix, error) {
	if !s.plan.usable(fixed) {
		return netip.Prefix{}, fmt.Errorf("pool %s: %w: %v", s.name, ErrUnusable, fixed.Addr())
	}
	i, inside := s.plan.index(fixed)
	_, taken := s.outside[fixed]
	d := s.leases[i]
	switch {
	case taken, inside && d != nil && d.taken:
		return netip.Prefix{}, fmt.Errorf("pool %s: %w: %v", s.name, ErrTaken, fixed.Addr())
	case !inside:
		s.outside[fixed] = struct{}{}
		s.taken++
		return fixed, nil
	case d != nil:
		return s.give(d, user), nil
	}
	return s.giveNew(i, user), nil
}

// formerly is a free lease that user had: the one asked for if he had that, else
// the one that he had last.
func (s *space) formerly(user string, asked netip.Prefix) *lease {
	if i, ok := s.plan.index(asked); ok {
		if d := s.leases[i]; d != nil && !d.taken && d.user == user {
			return d
		}
	}
	if had := s.former[user]; had != nil {
		return had.newest
	}
	return nil
}

// unused is an item that nobody ever had. What is skipped is skipped once.
func (s *space) unused() (uint32, bool) {
	for s.next < s.plan.n {
		i := s.next
		hole, excluded := s.holes.find(i)
		_, fixed := s.fixed[i]
		switch {
		case excluded:
			s.next = hole.hi + 1
		case fixed || s.leases[i] != nil:
			s.next++
		default:
			return i, true
		}
	}
	return 0, false
}

func (s *space) giveNew(i uint32, user string) netip.Prefix {
	d := &lease{index: i}
	s.leases[i] = d
	s.hand(d, user)
	return s.plan.nth(i)
}

func (s *space) give(d *lease, user string) netip.Prefix {
	s.takeFree(d)
	s.hand(d, user)
	return s.plan.nth(d.index)
}

func (s *space) hand(d *lease, user string) {
	d.user, d.taken = user, true
	s.taken++
	s.note(d)
}

func (s *space) release(item netip.Prefix) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.outside[item]; ok {
		delete(s.outside, item)
		s.taken--
		return true
	}
	i, ok := s.plan.index(item)
	d := s.leases[i]
	if !ok || d == nil || !d.taken {
		return false
	}
	s.taken--
	d.taken = false
	if s.blocked(i) {
		delete(s.leases, i) // it comes back to its owner without being remembered
		return true
	}
	s.putFree(d)
	s.note(d)
	return true
}

// note counts an event of d, and has it kept.
func (s *space) note(d *lease) {
	s.order++
	d.order = s.order
	if !s.blocked(d.index) {
		s.keep.put(record{s.plan.nth(d.index), d.user, d.order})
	}
}

// setFixed replaces what belongs to users.
func (s *space) setFixed(items []netip.Prefix) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.fixed
	s.fixed = make(map[uint32]struct{}, len(items))
	s.size = int(s.plan.n) - s.holes.len()
	for _, item := range items {
		i, ok := s.plan.index(item)
		if _, twice := s.fixed[i]; !ok || twice {
			continue
		}
		if !s.blocked(i) {
			s.size--
		}
		s.fixed[i] = struct{}{}
	}
	for i := range s.fixed {
		if _, was := before[i]; was {
			continue
		}
		d := s.leases[i]
		if d == nil {
			continue
		}
		s.keep.forget(s.plan.nth(i))
		if !d.taken {
			s.takeFree(d)
			delete(s.leases, i)
		}
	}
	for i := range before {
		if _, still := s.fixed[i]; !still {
			s.next = min(s.next, i) // nobody had it: it was not to be had
		}
	}
}

// putFree and takeFree put a lease into the lists of free ones and take it out.
func (s *space) putFree(d *lease) {
	s.free.add(d, byAge)
	if d.user == "" {
		return
	}
	had := s.former[d.user]
	if had == nil {
		had = &list{}
		s.former[d.user] = had
	}
	had.add(d, byUser)
}

func (s *space) takeFree(d *lease) {
	s.free.remove(d, byAge)
	if d.user == "" {
		return
	}
	had := s.former[d.user]
	if had.remove(d, byUser); had.oldest == nil {
		delete(s.former, d.user)
	}
}

func (s *space) stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Size: s.size, Taken: s.taken, Remembered: len(s.leases) + len(s.outside) - s.taken}
}
