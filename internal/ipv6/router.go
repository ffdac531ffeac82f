package ipv6

import (
	"errors"
	"net/netip"
	"slices"
	"time"
)

// Times of RFC 4861 sections 6.2.1 and 10.
const (
	maxRtrAdvInterval = 600 * time.Second
	minRtrAdvInterval = 200 * time.Second
	// RFC 4861 section 6.2.1: MaxRtrAdvInterval "MUST be no less than 4 seconds".
	leastRtrAdvInterval = 4 * time.Second

	maxInitialRtrAdvertInterval = 16 * time.Second
	maxInitialRtrAdvertisements = 3
	minDelayBetweenRAs          = 3 * time.Second
	maxRADelayTime              = 500 * time.Millisecond
)

// Lifetimes in seconds. RFC 9096 section 3.4: "CE routers SHOULD set the "Router
// Lifetime" of Router Advertisement (RA) messages to ND_PREFERRED_LIMIT.", and
// a prefix's lifetimes to what is left of the delegated ones, but no more than
// these: what a user's host knows may not outlast a line that broke by much.
const (
	ndPreferredLimit = 2700
	ndValidLimit     = 5400
)

// minMTU is IPv6's (RFC 8200 section 5).
const minMTU = 1280

// RouterConfig says what a Router advertises.
type RouterConfig struct {
	// Local is our interface identifier on the link, from IPV6CP.
	Local uint64
	// MTU of IPv6 packets on the link, in octets. What is below 1280 is not
	// advertised: then a host keeps PPP's.
	MTU int
	// DNS is the servers to advertise, four at most.
	DNS []netip.Addr
	// Random returns a number in [0, n), to spread the advertisements of many
	// links. Nil spreads nothing.
	Random func(n int64) int64
}

// RouterOut is what Router.Next yields: Send.
type RouterOut interface{ routerOut() }

func (Send) routerOut() {}

// ErrNotSubnet says that a prefix is not a /64 that hosts can have addresses in.
var ErrNotSubnet = errors.New("ipv6: not a global /64")

// Router is the router's end of Neighbor Discovery on one user's link (RFC 4861
// section 6.2): it gives the user's host a prefix to make addresses of, DNS
// servers and an MTU, and it answers when asked whether it is there.
type Router struct {
	cfg RouterConfig
	neighbor
	on  bool
	out queue[RouterOut]

	prefix Prefix // not valid if there is none
	dns    []netip.Addr
	// What was advertised and does not hold any more: hosts are told so for as
	// long as they might remember.
	oldPrefixes []stale[netip.Prefix]
	oldDNS      []stale[netip.Addr]

	nextAt  time.Time // the next multicast advertisement
	lastAt  time.Time // the last one
	hurried int       // how many of those to come are close together

	askedBy  netip.Addr // who is to have a unicast answer at answerAt
	answerAt time.Time
	answered time.Time // when the last one was sent
}

// stale is something that hosts remember at most until then.
type stale[T comparable] struct {
	value T
	until time.Time
}

// NewRouter makes a router that waits for Start.
func NewRouter(cfg RouterConfig) *Router {
	return &Router{cfg: cfg, neighbor: neighbor{link: LinkLocal(cfg.Local), router: true}, dns: usableDNS(cfg.DNS)}
}

// usableDNS is a copy of those servers that can be advertised.
func usableDNS(servers []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, s := range servers {
		if isServer(s) && !slices.Contains(out, s) && len(out) < maxDNS {
			out = append(out, s)
		}
	}
	return out
}

// isServer reports whether addr may be that of a server: an IPv6 unicast address
// that is not this host's own.
func isServer(addr netip.Addr) bool {
	return addr.Is6() && !addr.Is4In6() && !addr.IsUnspecified() && !addr.IsMulticast() && !addr.IsLoopback()
}

// isGlobal reports whether a prefix's addresses are unicast and can be routed:
// global or unique local, whole and not of another kind of address.
func isGlobal(p netip.Prefix) bool {
	a := p.Addr()
	return p.IsValid() && a.Is6() && !a.Is4In6() && p.Bits() > 0 && a.IsGlobalUnicast()
}

// Next takes the oldest packet; ok is false when there are no more.
func (r *Router) Next() (out RouterOut, ok bool) { return r.out.next() }

// Deadline is when Tick wants to be called; the zero time if only a packet or a
// call can change anything.
func (r *Router) Deadline() time.Time {
	if !r.on {
		return time.Time{}
	}
	t := earlier(r.nextAt, r.answerAt)
	if r.prefix.Prefix.IsValid() {
		t = earlier(t, r.prefix.Valid)
	}
	return t
}

// Start begins to advertise: IPV6CP is up. Later calls do nothing until Stop.
func (r *Router) Start(now time.Time) {
	if r.on {
		return
	}
	r.on, r.hurried = true, maxInitialRtrAdvertisements
	r.expire(now)
	r.multicast(now)
}

// Stop tells the host that this is no longer a router, and its prefix and its
// servers no longer of use. RFC 4861 section 6.2.5: "the router SHOULD transmit
// one or more [...] final multicast Router Advertisements on the interface with a
// Router Lifetime field of zero." It may be started again, with the configured
// servers and without a prefix.
func (r *Router) Stop(now time.Time) {
	if !r.on {
		return
	}
	r.retirePrefix(now)
	r.retireDNS(now, nil)
	r.multicast(now)
	r.on = false
	r.nextAt, r.answerAt, r.lastAt, r.answered = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	r.oldPrefixes, r.oldDNS = nil, nil
	r.dns = usableDNS(r.cfg.DNS)
}

// SetPrefix gives the host a /64 to make its addresses of, in place of one it may
// have had. Its lifetimes are advertised as what is left of them: for one that is
// delegated they are the delegation's; the zero times are for ever. The zero
// Prefix takes the prefix away.
func (r *Router) SetPrefix(now time.Time, p Prefix) error {
	if p.Prefix.IsValid() {
		p.Prefix = p.Prefix.Masked()
		if p.Prefix.Bits() != 64 || !isGlobal(p.Prefix) {
			return ErrNotSubnet
		}
	}
	if p == r.prefix {
		return nil
	}
	if p.Prefix != r.prefix.Prefix {
		r.retirePrefix(now)
		r.hurried = maxInitialRtrAdvertisements
	}
	r.oldPrefixes = slices.DeleteFunc(r.oldPrefixes, func(o stale[netip.Prefix]) bool { return o.value == p.Prefix })
	r.prefix = p
	r.announce(now)
	return nil
}

// SetDNS changes the servers that are advertised, four at most.
func (r *Router) SetDNS(now time.Time, servers []netip.Addr) {
	servers = usableDNS(servers)
	if slices.Equal(servers, r.dns) {
		return
	}
	r.retireDNS(now, servers)
	r.hurried = maxInitialRtrAdvertisements
	r.announce(now)
}

// retirePrefix remembers that hosts may still use the prefix. RFC 9096 section
// 3.5 has it advertised with lifetimes of zero for as long as they may.
func (r *Router) retirePrefix(now time.Time) {
	if r.prefix.Prefix.IsValid() {
		r.oldPrefixes = append(r.oldPrefixes, stale[netip.Prefix]{r.prefix.Prefix, now.Add(ndValidLimit * time.Second)})
		r.oldPrefixes = r.oldPrefixes[max(0, len(r.oldPrefixes)-maxPrefixes+1):]
	}
	r.prefix = Prefix{}
}

// retireDNS puts servers in the place of those advertised.
func (r *Router) retireDNS(now time.Time, servers []netip.Addr) {
	for _, s := range r.dns {
		if !slices.Contains(servers, s) {
			r.oldDNS = append(r.oldDNS, stale[netip.Addr]{s, now.Add(ndPreferredLimit * time.Second)})
		}
	}
	r.oldDNS = slices.DeleteFunc(r.oldDNS, func(o stale[netip.Addr]) bool { return slices.Contains(servers, o.value) })
	r.oldDNS = r.oldDNS[max(0, len(r.oldDNS)-maxDNS):]
	r.dns = servers
}

// announce has a multicast advertisement sent soon, but not sooner than allowed.
// RFC 4861 section 6.2.6: "consecutive Router Advertisements sent to the
// all-nodes multicast address MUST be rate limited to no more than one
// advertisement every MIN_DELAY_BETWEEN_RAS seconds."
func (r *Router) announce(now time.Time) {
	if !r.on {
		return
	}
	at := now
	if !r.lastAt.IsZero() {
		at = later(now, r.lastAt.Add(minDelayBetweenRAs))
	}
	r.nextAt = earlier(r.nextAt, at)
}

// Input takes one packet from the link.
func (r *Router) Input(now time.Time, pkt []byte) {
	p, ok := parsePacket(pkt)
	if !ok || !r.on {
		return
	}
	if parseRouterSolicit(&p) {
		r.solicited(now, p.src)
		return
	}
	if b := r.answer(&p, r.owns); b != nil {
		r.out.push(Send{b})
	}
}

// owns: only the link-local address is ours; those in the prefix are the user's.
func (r *Router) owns(addr netip.Addr) bool { return addr == r.link }

// solicited answers a Router Solicitation. RFC 4861 section 6.2.6: "In all cases,
// Router Advertisements sent in response to a Router Solicitation MUST be delayed
// by a random time between 0 and MAX_RA_DELAY_TIME seconds."
func (r *Router) solicited(now time.Time, src netip.Addr) {
	delay := random(r.cfg.Random).upTo(maxRADelayTime)
	switch {
	case src == r.link: // our own, come back
	case src.IsUnspecified():
		r.announce(now.Add(delay))
	case r.answerAt.IsZero():
		// A unicast answer is not bound by the spacing of multicast ones, so that
		// a host that asks right behind our first advertisement, which it may have
		// missed, does not wait; but a flood of questions has answers no closer
		// than this.
		r.askedBy = src
		at := now
		if !r.answered.IsZero() {
			at = later(now, r.answered.Add(maxRADelayTime))
		}
		r.answerAt = at.Add(delay)
	}
}

// Tick does what has become due.
func (r *Router) Tick(now time.Time) {
	if !r.on {
		return
	}
	r.expire(now)
	if !r.answerAt.IsZero() && ended(now, r.answerAt) {
		r.answerAt, r.answered = time.Time{}, now
		ra := r.advert(now)
		r.out.push(Send{ra.append(nil, r.link, r.askedBy)})
	}
	if ended(now, r.nextAt) {
		r.multicast(now)
	}
}

// expire takes the prefix away when its time is over.
func (r *Router) expire(now time.Time) {
	if r.prefix.Prefix.IsValid() && ended(now, r.prefix.Valid) {
		r.retirePrefix(now)
		r.hurried = maxInitialRtrAdvertisements
		r.announce(now)
	}
}

// multicast sends an advertisement to all nodes and sets the time for the next.
// RFC 4861 section 6.2.4: "if the randomly chosen interval is greater than
// MAX_INITIAL_RTR_ADVERT_INTERVAL, the timer SHOULD be set to
// MAX_INITIAL_RTR_ADVERT_INTERVAL instead."
func (r *Router) multicast(now time.Time) {
	ra := r.advert(now)
	r.out.push(Send{ra.append(nil, r.link, allNodes())})
	r.lastAt = now
	wait := minRtrAdvInterval + random(r.cfg.Random).upTo(maxRtrAdvInterval-minRtrAdvInterval)
	if r.hurried > 0 {
		r.hurried--
	}
	if r.hurried > 0 {
		wait = min(wait, maxInitialRtrAdvertInterval)
	}
	// Where a delegation's lifetimes are short, a lost advertisement may not cost
	// the host its addresses.
	if ra.lifetime > 0 {
		wait = min(wait, max(time.Duration(ra.lifetime)*time.Second/3, leastRtrAdvInterval))
	}
	r.nextAt = now.Add(wait)
}

// advert is what holds now.
func (r *Router) advert(now time.Time) routerAdvert {
	ra := routerAdvert{hopLimit: defaultHopLimit}
	if r.cfg.MTU >= minMTU {
		ra.mtu = uint32(r.cfg.MTU)
	}
	if p := r.prefix; p.Prefix.IsValid() {
		valid := min(remaining(now, p.Valid), ndValidLimit)
		// RFC 4862 section 5.5.3: a host ignores a prefix whose preferred lifetime
		// is the greater.
		preferred := min(remaining(now, p.Preferred), valid, ndPreferredLimit)
		// The prefix is not on-link: whatever is not the host's own address goes
		// over PPP to us.
		ra.prefixes = append(ra.prefixes, prefixInfo{p.Prefix, flagAutonomous, valid, preferred})
		// RFC 7084 section 4.1 G-4, G-5: without a prefix that can be routed we are
		// no default router, so that the user's host does not try.
		ra.lifetime = uint16(min(valid, ndPreferredLimit))
	}
	for _, o := range r.oldPrefixes {
		if !ended(now, o.until) {
			ra.prefixes = append(ra.prefixes, prefixInfo{o.value, flagAutonomous, 0, 0})
		}
	}
	if len(r.dns) > 0 {
		ra.dns = append(ra.dns, dnsInfo{ndPreferredLimit, r.dns})
	}
	// RFC 8106 section 5.1: "A value of zero means that the RDNSS addresses MUST
	// no longer be used."
	gone := dnsInfo{}
	for _, o := range r.oldDNS {
		if !ended(now, o.until) {
			gone.servers = append(gone.servers, o.value)
		}
	}
	if len(gone.servers) > 0 {
		ra.dns = append(ra.dns, gone)
	}
	return ra
}
