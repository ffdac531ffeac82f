package ipv6

import (
	"math"
	"net/netip"
	"slices"
	"time"
)

// maxRtrSolicitationDelay is how long the first solicitation is held back at
// most (RFC 4861 section 10).
const maxRtrSolicitationDelay = time.Second

// twoHours is the least that an advertisement can shorten a lifetime to.
const twoHours = 7200 * time.Second

// HostConfig is what a Host knows of its link.
type HostConfig struct {
	// Local is our interface identifier on the link, from IPV6CP.
	Local uint64
	// MTU of IPv6 packets that the link can carry, in octets; an advertisement
	// can only lower it.
	MTU int
	// Random returns a number in [0, n), to spread the solicitations of many
	// hosts. Nil spreads nothing.
	Random func(n int64) int64
}

// HostState is what a Host has learnt.
type HostState struct {
	Router    netip.Addr // the default router; not valid if there is none
	Addresses []netip.Addr
	DNS       []netip.Addr
	MTU       int // octets
	HopLimit  uint8
	Managed   bool // addresses are to be had by DHCPv6
	Other     bool // other things are to be had by DHCPv6
}

func (s *HostState) equal(o *HostState) bool {
	return s.Router == o.Router && slices.Equal(s.Addresses, o.Addresses) && slices.Equal(s.DNS, o.DNS) &&
		s.MTU == o.MTU && s.HopLimit == o.HopLimit && s.Managed == o.Managed && s.Other == o.Other
}

// HostOut is what Host.Next yields: Send or HostChanged.
type HostOut interface{ hostOut() }

// HostChanged says what the Host knows now; it is not what it knew before.
type HostChanged struct{ State HostState }

func (Send) hostOut()        {}
func (HostChanged) hostOut() {}

// Host is the host's end of Neighbor Discovery on an uplink session (RFC 4861
// section 6.3, RFC 4862, RFC 8106): it learns from the ISP's advertisements who
// the default router is, forms our addresses, collects DNS servers, and answers
// when asked for our addresses.
type Host struct {
	cfg HostConfig
	neighbor
	on   bool
	told HostState
	out  queue[HostOut]

	solicitAt time.Time // when to solicit; zero: not
	solicits  retransmission

	router      netip.Addr
	routerUntil time.Time
	addresses   []hostAddress
	dns         []stale[netip.Addr] // a zero time never comes
	mtu         int
	hopLimit    uint8
	flags       uint8
}

// hostAddress is an address of ours and how long it is valid.
type hostAddress struct {
	addr  netip.Addr
	valid time.Time
}

// NewHost makes a host that waits for Start.
func NewHost(cfg HostConfig) *Host {
	h := &Host{cfg: cfg, neighbor: neighbor{link: LinkLocal(cfg.Local)}}
	h.forget()
	return h
}

func (h *Host) forget() {
	h.router, h.routerUntil, h.addresses, h.dns = netip.Addr{}, time.Time{}, nil, nil
	h.mtu, h.hopLimit, h.flags = h.cfg.MTU, defaultHopLimit, 0
	h.told = h.state()
}

// State is a copy of what the host knows.
func (h *Host) State() HostState { return h.state() }

func (h *Host) state() HostState {
	s := HostState{
		Router: h.router, MTU: h.mtu, HopLimit: h.hopLimit,
		Managed: h.flags&flagManaged != 0, Other: h.flags&flagOther != 0,
	}
	for _, a := range h.addresses {
		s.Addresses = append(s.Addresses, a.addr)
	}
	for _, d := range h.dns {
		s.DNS = append(s.DNS, d.value)
	}
	return s
}

// Next takes the oldest packet or event; ok is false when there are no more.
func (h *Host) Next() (out HostOut, ok bool) { return h.out.next() }

// Deadline is when Tick wants to be called; the zero time if only a packet or a
// call can change anything.
func (h *Host) Deadline() time.Time {
	if !h.on {
		return time.Time{}
	}
	t := h.solicitAt
	if h.router.IsValid() {
		t = earlier(t, h.routerUntil)
	}
	for _, a := range h.addresses {
		t = earlier(t, a.valid)
	}
	for _, d := range h.dns {
		t = earlier(t, d.until)
	}
	return t
}

// Start begins to look for a router: IPV6CP is up. RFC 4861 section 6.3.7:
// "Before a host sends an initial solicitation, it SHOULD delay the transmission
// for a random amount of time between 0 and MAX_RTR_SOLICITATION_DELAY."
func (h *Host) Start(now time.Time) {
	if h.on {
		return
	}
	h.on = true
	h.solicit(now)
}

// Stop forgets everything: the link is gone.
func (h *Host) Stop() {
	if h.on {
		h.on = false
		h.forget()
	}
}

// solicit begins to ask for a router, until one answers. RFC 7559 section 2: it
// is repeated at growing intervals, from 4 seconds to 3600, without end.
func (h *Host) solicit(now time.Time) {
	h.solicits = retransmission{initial: 4 * time.Second, max: 3600 * time.Second}
	h.solicitAt = now.Add(random(h.cfg.Random).upTo(maxRtrSolicitationDelay))
}

// Tick does what has become due.
func (h *Host) Tick(now time.Time) {
	if !h.on {
		return
	}
	if !h.solicitAt.IsZero() && ended(now, h.solicitAt) {
		h.out.push(Send{appendRouterSolicit(nil, h.link)})
		h.solicitAt = now.Add(h.solicits.next(h.cfg.Random))
	}
	h.expire(now)
	h.tell()
}

// expire forgets what has lasted long enough, and looks for a router again if
// there is none left: over PPP nobody else can have one.
func (h *Host) expire(now time.Time) {
	if h.router.IsValid() && ended(now, h.routerUntil) {
		h.loseRouter(now)
	}
	h.addresses = slices.DeleteFunc(h.addresses, func(a hostAddress) bool { return ended(now, a.valid) })
	h.dns = slices.DeleteFunc(h.dns, func(d stale[netip.Addr]) bool { return ended(now, d.until) })
}

func (h *Host) loseRouter(now time.Time) {
	h.router = netip.Addr{}
	if h.solicitAt.IsZero() {
		h.solicit(now)
	}
}

// tell says what is known if it has changed.
func (h *Host) tell() {
	if s := h.state(); !s.equal(&h.told) {
		h.told = s
		h.out.push(HostChanged{h.state()})
	}
}

// Input takes one packet from the link.
func (h *Host) Input(now time.Time, pkt []byte) {
	p, ok := parsePacket(pkt)
	if !ok || !h.on {
		return
	}
	if ra, ok := parseRouterAdvert(&p); ok {
		if p.src != h.link {
			h.advertised(now, p.src, &ra)
			h.tell()
		}
		return
	}
	if b := h.answer(&p, h.owns); b != nil {
		h.out.push(Send{b})
	}
}

func (h *Host) owns(addr netip.Addr) bool {
	return addr == h.link || slices.ContainsFunc(h.addresses, func(a hostAddress) bool { return a.addr == addr })
}

// advertised learns from one advertisement (RFC 4861 section 6.3.4).
func (h *Host) advertised(now time.Time, src netip.Addr, ra *routerAdvert) {
	h.expire(now)
	switch {
	case ra.lifetime > 0:
		h.router, h.routerUntil = src, until(now, uint32(ra.lifetime))
		h.solicitAt = time.Time{}
	case h.router == src:
		// "If the address is already present in the host's Default Router List and
		// the received Router Lifetime value is zero, immediately time-out the
		// entry".
		h.loseRouter(now)
	}
	if ra.hopLimit != 0 {
		h.hopLimit = ra.hopLimit
	}
	h.flags = ra.flags
	// RFC 4861 section 6.3.4: the MTU counts "so long as the value is greater than
	// or equal to the minimum link MTU [...] and does not exceed the maximum
	// LinkMTU value specified in the link-type-specific document".
	if ra.mtu >= minMTU && ra.mtu <= math.MaxUint16 && int(ra.mtu) <= h.cfg.MTU {
		h.mtu = int(ra.mtu)
	}
	for _, p := range ra.prefixes {
		h.addressFrom(now, p)
	}
	for _, d := range ra.dns {
		h.learnDNS(now, d)
	}
}

// addressFrom makes an address of a prefix, or changes how long it is valid (RFC
// 4862 section 5.5.3).
func (h *Host) addressFrom(now time.Time, p prefixInfo) {
	if p.flags&flagAutonomous == 0 || p.preferred > p.valid || p.prefix.Bits() != 64 || !isGlobal(p.prefix) {
		return
	}
	addr, valid := Address(p.prefix, h.cfg.Local), until(now, p.valid)
	i := slices.IndexFunc(h.addresses, func(a hostAddress) bool { return a.addr == addr })
	if i < 0 {
		if p.valid > 0 && len(h.addresses) < maxPrefixes {
			h.addresses = append(h.addresses, hostAddress{addr, valid})
		}
		return
	}
	a := &h.addresses[i]
	floor := now.Add(twoHours)
	switch {
	case later(valid, floor).Equal(valid) || later(valid, a.valid).Equal(valid):
		// "If the received Valid Lifetime is greater than 2 hours or greater than
		// RemainingLifetime, set the valid lifetime of the corresponding address to
		// the advertised Valid Lifetime."
		a.valid = valid
	case later(floor, a.valid).Equal(floor):
		// "If RemainingLifetime is less than or equal to 2 hours, ignore the Prefix
		// Information option with regards to the valid lifetime".
	default:
		// "Otherwise, reset the valid lifetime of the corresponding address to 2
		// hours."
		a.valid = floor
	}
}

// learnDNS notes the servers of an RDNSS option (RFC 8106 section 6.2).
func (h *Host) learnDNS(now time.Time, d dnsInfo) {
	for _, s := range d.servers {
		h.dns = slices.DeleteFunc(h.dns, func(o stale[netip.Addr]) bool { return o.value == s })
	}
	if d.lifetime == 0 {
		return
	}
	for _, s := range d.servers {
		if isServer(s) && len(h.dns) < maxDNS {
			h.dns = append(h.dns, stale[netip.Addr]{s, until(now, d.lifetime)})
		}
	}
}
