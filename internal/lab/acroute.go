package lab

import (
	"net/netip"
	"slices"
)

// acRoutes are the prefixes that lie behind sessions, beside each session's own
// address: what RADIUS calls Framed-Route (RFC 2865 section 5.22). Access is
// under the AC's lock.
type acRoutes struct {
	to   map[netip.Prefix]*acSession
	bits []int // lengths that there are, the longest first
}

// add makes s the way to p, and reports whether nobody was that before.
func (r *acRoutes) add(p netip.Prefix, s *acSession) bool {
	if r.to[p] != nil {
		return false
	}
	if r.to == nil {
		r.to = make(map[netip.Prefix]*acSession)
	}
	r.to[p] = s
	r.measure()
	return true
}

func (r *acRoutes) remove(p netip.Prefix) {
	delete(r.to, p)
	r.measure()
}

func (r *acRoutes) measure() {
	r.bits = r.bits[:0]
	for p := range r.to {
		if !slices.Contains(r.bits, p.Bits()) {
			r.bits = append(r.bits, p.Bits())
		}
	}
	slices.Sort(r.bits)
	slices.Reverse(r.bits)
}

// lookup finds the longest prefix with addr in it. RFC 1812 section 5.2.4.3 (2):
// "Longest Match".
func (r *acRoutes) lookup(addr netip.Addr) *acSession {
	for _, bits := range r.bits {
		p, err := addr.Prefix(bits)
		if err != nil {
			continue // of the other family
		}
		if s := r.to[p]; s != nil {
			return s
		}
	}
	return nil
}

// behind is the session that addr belongs to, open or not; nil if it is nobody's.
// A session's own address goes before all prefixes. It is for whoever holds a.mu.
func (a *AC) behind(addr netip.Addr) *acSession {
	if s := a.byAddr[addr]; s != nil {
		return s
	}
	if addr == a.cfg.Local || addr == a.cfg.Internet {
		return nil // ours, whatever is routed to whom
	}
	return a.routes.lookup(addr)
}

// addRoutes routes a user's prefixes to his session s. What another session of
// his has, that one keeps. It is for whoever holds a.mu.
func (a *AC) addRoutes(s *acSession, user string) {
	for _, p := range a.cfg.Routes(user) {
		if p = p.Masked(); p.IsValid() && a.routes.add(p, s) {
			s.routes = append(s.routes, p)
		}
	}
}

// delRoutes is for whoever holds a.mu.
func (a *AC) delRoutes(s *acSession) {
	for _, p := range s.routes {
		a.routes.remove(p)
	}
	s.routes = nil
}
