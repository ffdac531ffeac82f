package pool

import (
	"fmt"
	"net/netip"
)

// PrefixConfig is what a Prefixes gives away, and what not.
type PrefixConfig struct {
	Name    string         // the pool's, in errors and in the Store
	Prefix  netip.Prefix   // IPv6, of at most 64 bits, without bits behind them
	Exclude []netip.Prefix // not given away: nothing in them, nor they in it
	Store   *Store         // keeps leases across restarts; nil keeps none
}

// Prefixes gives away the /64s of an IPv6 prefix by the rules of Pool. RFC 6177
// leaves the size of an end site to the operator; a host behind PPP needs one
// link, and RFC 4291 section 2.5.4 has interface identifiers of 64 bits.
type Prefixes struct{ s *space }

// NewPrefixes returns a Prefixes, of which nobody has a /64 yet; who had which
// last is in the Store. An error names what cannot be in c.
func NewPrefixes(c PrefixConfig) (*Prefixes, error) {
	p := c.Prefix
	if !p.IsValid() || !p.Addr().Is6() || p.Addr().Is4In6() || p.Bits() > 64 || p != p.Masked() {
		return nil, fmt.Errorf("pool %s: %v is no IPv6 prefix of at most 64 bits", c.Name, p)
	}
	pl := linksOf(p)
	var holes []span
	for _, out := range c.Exclude {
		if !out.IsValid() || !out.Addr().Is6() {
			return nil, fmt.Errorf("pool %s: %v is no IPv6 prefix", c.Name, out)
		}
		if out.Overlaps(p) {
			holes = append(holes, pl.span(out.Masked().Addr(), last(out))...)
		}
	}
	s, err := newSpace(c.Name, "p", pl, holes, c.Store)
	if err != nil {
		return nil, err
	}
	return &Prefixes{s}, nil
}

// Take gives user a /64, as Pool.Take does an address.
func (p *Prefixes) Take(user string, asked, fixed netip.Prefix) (netip.Prefix, error) {
	return p.s.take(user, asked, fixed)
}

// Release takes back a /64 that Take gave, and reports whether it was one.
func (p *Prefixes) Release(item netip.Prefix) bool { return p.s.release(item) }

// SetFixed says which /64s belong to users, as Pool.SetFixed does for addresses.
func (p *Prefixes) SetFixed(fixed []netip.Prefix) { p.s.setFixed(fixed) }

// Stats is how much of the prefix is in use.
func (p *Prefixes) Stats() Stats { return p.s.stats() }
