package ipv6

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestHostLearnsFromTheISP(t *testing.T) {
	h := NewHost(HostConfig{Local: ourID, MTU: 1492})
	isp := LinkLocal(peerID)
	var events []HostOut

	h.Start(start)
	h.Tick(start)
	rs, _ := parsePacket(one(t, "a solicitation", packets(h.Next, &events)))
	if !parseRouterSolicit(&rs) || rs.src != LinkLocal(ourID) || rs.dst != allRouters() {
		t.Fatalf("%+v", rs)
	}
	var waits []time.Duration
	for last := start; len(waits) < 12; {
		now := h.Deadline()
		h.Tick(now)
		one(t, "it is repeated, RFC 7559", packets(h.Next, &events))
		waits, last = append(waits, now.Sub(last)), now
	}
	if waits[0] != 4*sec || waits[1] != 8*sec || waits[11] != 3600*sec {
		t.Errorf("waits %v", waits)
	}

	now := at(100 * time.Hour)
	ra := routerAdvert{
		hopLimit: 50, flags: flagOther, lifetime: 1800, mtu: 1480,
		prefixes: []prefixInfo{
			{prefix("2001:db8:5::/64"), flagAutonomous, 7200, 3600},
			{prefix("2001:db8:6::/64"), flagOnLink, 7200, 3600},
			{prefix("2001:db8:7::/56"), flagAutonomous, 7200, 3600},
		},
		dns: []dnsInfo{{1200, []netip.Addr{addr("2001:db8::53"), addr("ff02::1")}}},
	}
	h.Input(now, ra.append(nil, isp, allNodes()))
	none(t, "an advertisement is not answered", packets(h.Next, &events))
	mine := addr("2001:db8:5:0:200:ff:fe00:1")
	want := HostState{Router: isp, Addresses: []netip.Addr{mine}, DNS: []netip.Addr{addr("2001:db8::53")}, MTU: 1480, HopLimit: 50, Other: true}
	if len(events) != 1 {
		t.Fatalf("events %v", events)
	}
	if got := events[0].(HostChanged).State; !got.equal(&want) {
		t.Errorf("learnt %+v, want %+v", got, want)
	}
	h.Input(now.Add(sec), ra.append(nil, isp, allNodes()))
	if packets(h.Next, &events); len(events) != 1 {
		t.Error("the same again is not news")
	}
	h.Input(now, neighborSolicit(isp, solicitedNode(mine), mine))
	if p, _ := parsePacket(one(t, "the ISP looks for our address", packets(h.Next, &events))); p.payload[0] != icmpNeighborAdvert || p.payload[4] != flagSolicited|flagOverride {
		t.Errorf("%+v", p)
	}

	// Nothing more is heard: what was learnt ends, each at its own time.
	h.Tick(h.Deadline()) // DNS, 1201 s
	h.Tick(h.Deadline()) // router, 1801 s: look for one again
	h.Tick(h.Deadline())
	one(t, "without a router it asks", packets(h.Next, &events))
	got := events[len(events)-1].(HostChanged).State
	if len(events) != 3 || got.Router.IsValid() || len(got.DNS) != 0 || len(got.Addresses) != 1 {
		t.Errorf("%d events, then %+v", len(events), got)
	}
	for len(h.addresses) > 0 {
		h.Tick(h.Deadline())
	}
	if packets(h.Next, &events); len(events[len(events)-1].(HostChanged).State.Addresses) != 0 {
		t.Error("the address is told to be over")
	}
	h.Stop()
	if !h.Deadline().IsZero() {
		t.Error("a stopped host wants to be called")
	}
}

func TestHostLosesItsRouter(t *testing.T) {
	h := NewHost(HostConfig{Local: ourID, MTU: 1492})
	isp := LinkLocal(peerID)
	h.Start(start)
	h.Tick(start)
	h.Input(start, (&routerAdvert{lifetime: 1800}).append(nil, isp, allNodes()))
	if h.State().Router != isp || h.solicitAt != (time.Time{}) {
		t.Fatal("a router ends the search")
	}
	h.Input(at(sec), (&routerAdvert{}).append(nil, addr("fe80::bad"), allNodes()))
	if h.State().Router != isp {
		t.Error("only the router itself can resign")
	}
	h.Input(at(sec), (&routerAdvert{}).append(nil, isp, allNodes()))
	if h.State().Router.IsValid() || h.solicitAt.IsZero() {
		t.Error("a router lifetime of 0 ends it")
	}
}

// RFC 4862 section 5.5.3 e: an attacker cannot make addresses end at once.
func TestTheTwoHourRule(t *testing.T) {
	const hour = 3600
	for _, tt := range []struct {
		had, told, want uint32
	}{
		{hour, 3 * hour, 3 * hour},         // longer than 2 h
		{hour, hour + 60, hour + 60},       // longer than what is left
		{hour, 60, hour},                   // less is left than 2 h: ignored
		{10 * hour, 60, 2 * hour},          // cut to 2 h
		{10 * hour, 3 * hour, 3 * hour},    // more than 2 h may shorten it
		{infinity, 0, 2 * hour},            //
		{hour, infinity, infinity},         //
		{infinity, infinity, infinity},     //
		{2 * hour, 2*hour - 1, 2 * hour},   // exactly 2 h are left: ignored
		{2*hour + 1, 2*hour - 1, 2 * hour}, //
	} {
		h := NewHost(HostConfig{Local: ourID})
		p := prefix("2001:db8::/64")
		h.addressFrom(start, prefixInfo{p, flagAutonomous, tt.had, 0})
		h.addressFrom(start, prefixInfo{p, flagAutonomous, tt.told, 0})
		if got := remaining(start, h.addresses[0].valid); got != tt.want {
			t.Errorf("%d s left, told %d: %d, want %d", tt.had, tt.told, got, tt.want)
		}
	}
}

func TestAdvertisementsThatAreNone(t *testing.T) {
	isp := LinkLocal(peerID)
	good := (&routerAdvert{lifetime: 1800}).append(nil, isp, allNodes())
	with := func(change func(b []byte)) []byte { b := slices.Clone(good); change(b); return b }
	for name, pkt := range map[string][]byte{
		"hop limit 64":    with(func(b []byte) { b[7] = 64 }),
		"wrong checksum":  with(func(b []byte) { b[43]++ }),
		"global source":   (&routerAdvert{lifetime: 1800}).append(nil, addr("2001:db8::1"), allNodes()),
		"our own":         (&routerAdvert{lifetime: 1800}).append(nil, LinkLocal(ourID), allNodes()),
		"cut":             good[:len(good)-1],
		"option length 0": icmp(isp, allNodes(), 255, append(slices.Clone(good[40:]), 3, 0)...),
	} {
		if name == "option length 0" {
			pkt[42], pkt[43] = 0, 0
			finish(pkt, 2)
		}
		h := NewHost(HostConfig{Local: ourID})
		h.Start(start)
		h.Input(start, pkt)
		if h.State().Router.IsValid() {
			t.Errorf("%s is believed", name)
		}
	}
	// Options that are not what they must be, and values that cannot be.
	h := NewHost(HostConfig{Local: ourID, MTU: 1492})
	h.Start(start)
	body := []byte{icmpRouterAdvert, 0, 0, 0, 0, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0}
	body = append(body, optMTU, 1, 0, 0, 0, 0, 4, 0xff)         // 1279
	body = append(body, optRDNSS, 1, 0, 0, 0, 0, 4, 0)          // no server in it
	body = append(body, optPrefixInfo, 1, 64, 0xc0, 0, 0, 0, 0) // short
	body = append(body, 200, 1, 0, 0, 0, 0, 0, 0)               // unknown
	h.Input(start, icmp(isp, allNodes(), 255, body...))
	if s := h.State(); s.Router != isp || s.MTU != 1492 || len(s.DNS) != 0 || len(s.Addresses) != 0 {
		t.Errorf("%+v", s)
	}
	for _, p := range []prefixInfo{
		{prefix("2001:db8::/64"), flagAutonomous, 60, 61},
		{prefix("2001:db8::/64"), flagAutonomous, 0, 0},
		{prefix("fe80::/64"), flagAutonomous, 60, 60},
		{prefix("ff02::/64"), flagAutonomous, 60, 60},
	} {
		h.addressFrom(start, p)
	}
	if len(h.addresses) != 0 {
		t.Errorf("addresses %v", h.addresses)
	}
	for i := range 100 {
		h.addressFrom(start, prefixInfo{netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 7: byte(i)}), 64), flagAutonomous, 60, 60})
		h.learnDNS(start, dnsInfo{60, []netip.Addr{netip.AddrFrom16([16]byte{0x20, 1, 15: byte(i)})}})
	}
	if len(h.addresses) > maxPrefixes || len(h.dns) > maxDNS {
		t.Errorf("%d addresses and %d servers are remembered", len(h.addresses), len(h.dns))
	}
}

// A router and a host at the two ends of a link.
func TestHostBelievesRouter(t *testing.T) {
	r := NewRouter(RouterConfig{Local: ourID, MTU: 1400, DNS: []netip.Addr{addr("2001:db8::53")}})
	h := NewHost(HostConfig{Local: peerID, MTU: 1492})
	r.SetPrefix(start, Prefix{Prefix: prefix("2001:db8:9::/64")})
	carry := func(now time.Time) {
		for _, p := range packets(h.Next, nil) {
			r.Input(now, p)
		}
		r.Tick(now)
		for _, p := range packets(r.Next, nil) {
			h.Input(now, p)
		}
	}
	r.Start(start) // the user is not ready: this one is lost
	packets(r.Next, nil)
	h.Start(at(sec))
	h.Tick(at(sec))
	carry(at(sec))
	want := HostState{
		Router: LinkLocal(ourID), Addresses: []netip.Addr{Address(prefix("2001:db8:9::/64"), peerID)},
		DNS: []netip.Addr{addr("2001:db8::53")}, MTU: 1400, HopLimit: 64,
	}
	if s := h.State(); !s.equal(&want) {
		t.Errorf("%+v", s)
	}
	r.Stop(at(2 * sec))
	carry(at(2 * sec))
	if s := h.State(); s.Router.IsValid() || len(s.DNS) != 0 {
		t.Errorf("after the last advertisement: %+v", s)
	}
}
