// Package pool gives users addresses, and gives a user the address he had last
// as long as nobody else needs it.
package pool

import (
	"errors"
	"fmt"
	"net/netip"
)

// What Take finds wrong. Each comes wrapped in an error that names the pool.
var (
	ErrExhausted = errors.New("every address is taken")
	ErrTaken     = errors.New("the user's fixed address is taken")
	ErrUnusable  = errors.New("the user's fixed address cannot be a host's")
)

// Config is what a Pool gives away, and what not.
type Config struct {
	Name    string       // the pool's, in errors and in the Store
	Prefix  netip.Prefix // IPv4, without bits behind the prefix
	Exclude []Range      // not given away, unless as somebody's fixed address
	Fixed   []netip.Addr // belong to users; see SetFixed
	Store   *Store       // keeps leases across restarts; nil keeps none
}

// Range is the addresses from First to Last, both of them included.
type Range struct{ First, Last netip.Addr }

// Pool gives away the addresses of an IPv4 prefix. Any number of goroutines may
// use it. It remembers who had an address last for at most [MaxItems] addresses.
type Pool struct{ s *space }

// New returns a Pool, of which nobody has an address yet; who had which last is
// in the Store. An error names what cannot be in c.
func New(c Config) (*Pool, error) {
	p := c.Prefix
	if !p.IsValid() || !p.Addr().Is4() || p != p.Masked() {
		return nil, fmt.Errorf("pool %s: %v is no IPv4 prefix", c.Name, p)
	}
	pl := hostsOf(p)
	var holes []span
	for _, r := range c.Exclude {
		if !r.First.Is4() || !r.Last.Is4() || r.Last.Less(r.First) {
			return nil, fmt.Errorf("pool %s: %v to %v is no range of IPv4 addresses", c.Name, r.First, r.Last)
		}
		holes = append(holes, pl.span(r.First, r.Last)...)
	}
	s, err := newSpace(c.Name, "a", pl, holes, c.Store)
	if err != nil {
		return nil, err
	}
	pool := &Pool{s}
	pool.SetFixed(c.Fixed)
	return pool, nil
}

// Take gives user an address: fixed, if it is valid; else one that user had
// before, and of these asked or else the last; else asked, if nobody ever had it;
// else one that nobody ever had; else the one that has been free for longest.
// The latter's former user loses it: those not seen for long make room.
//
// user is whoever was authenticated; "" is anyone, who gets an address again
// only by asking for it. asked is the user's wish, and may be the zero Addr.
// fixed may lie outside the pool's prefix.
//
// The error is ErrExhausted, ErrTaken or ErrUnusable.
func (p *Pool) Take(user string, asked, fixed netip.Addr) (netip.Addr, error) {
	got, err := p.s.take(user, host(asked), host(fixed))
	return got.Addr(), err
}

// Release takes back an address that Take gave, and reports whether it was one.
func (p *Pool) Release(a netip.Addr) bool { return p.s.release(host(a)) }

// SetFixed says which addresses belong to users, in place of those of before:
// nobody gets them unless Take is told that they are his. Whoever has one keeps
// it until Release.
func (p *Pool) SetFixed(fixed []netip.Addr) {
	items := make([]netip.Prefix, len(fixed))
	for i, a := range fixed {
		items[i] = host(a)
	}
	p.s.setFixed(items)
}

// Stats is how much of the pool is in use.
func (p *Pool) Stats() Stats { return p.s.stats() }

// Stats is how much of a pool is in use.
type Stats struct {
	Size       int // what it can give away, without what is excluded or fixed
	Taken      int // what users have, fixed addresses included
	Remembered int // what is free, and had a user
}

// host is the prefix of one address; of the zero Addr, the zero Prefix.
func host(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	if !a.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(a, a.BitLen())
}
