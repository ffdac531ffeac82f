package ipv6

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestRouterTalksToAUser(t *testing.T) {
	r := NewRouter(RouterConfig{Local: ourID, MTU: 1492, DNS: []netip.Addr{addr("2001:db8::53"), addr("192.0.2.53"), addr("::1")}})
	user := LinkLocal(peerID)
	if err := r.SetPrefix(start, Prefix{Prefix: prefix("2001:db8:1:7::/64")}); err != nil {
		t.Fatal(err)
	}
	none(t, "before IPV6CP is up nobody listens", packets(r.Next, nil))

	r.Start(start)
	ra, p := readAdvert(t, one(t, "the first advertisement goes out at once", packets(r.Next, nil)))
	if p.src != LinkLocal(ourID) || p.dst != allNodes() || p.hopLimit != 255 {
		t.Errorf("from %v to %v with hop limit %d", p.src, p.dst, p.hopLimit)
	}
	want := prefixInfo{prefix("2001:db8:1:7::/64"), flagAutonomous, ndValidLimit, ndPreferredLimit}
	if len(ra.prefixes) != 1 || ra.prefixes[0] != want {
		t.Errorf("prefixes %v, want %v: autonomous, not on-link, and no longer than RFC 9096's lifetimes", ra.prefixes, want)
	}
	if ra.lifetime != ndPreferredLimit || ra.mtu != 1492 || ra.hopLimit != 64 || ra.flags != 0 {
		t.Errorf("lifetime %d, MTU %d, hop limit %d, flags %x", ra.lifetime, ra.mtu, ra.hopLimit, ra.flags)
	}
	if len(ra.dns) != 1 || !slices.Equal(ra.dns[0].servers, []netip.Addr{addr("2001:db8::53")}) || ra.dns[0].lifetime != ndPreferredLimit {
		t.Errorf("DNS %v: only IPv6 servers that are elsewhere", ra.dns)
	}

	// The user's stack was not ready for it, and asks.
	r.Input(at(1*sec), appendRouterSolicit(nil, user))
	r.Tick(at(1 * sec))
	_, p = readAdvert(t, one(t, "a solicitation is answered, though the last advertisement was 1 s ago", packets(r.Next, nil)))
	if p.dst != user {
		t.Errorf("answer to %v, want it to go to who asked", p.dst)
	}
	r.Input(at(1*sec), appendRouterSolicit(nil, user))
	r.Tick(at(1 * sec))
	none(t, "asking again at once is held back", packets(r.Next, nil))
	if r.Deadline() != at(1*sec+maxRADelayTime) {
		t.Errorf("next at %v", r.Deadline().Sub(start))
	}
	r.Tick(r.Deadline())
	one(t, "and answered later", packets(r.Next, nil))

	// A user that has no address yet asks from the unspecified one.
	r.Input(at(2*sec), appendRouterSolicit(nil, netip.IPv6Unspecified()))
	r.Tick(at(2 * sec))
	none(t, "multicast ones are at least 3 s apart", packets(r.Next, nil))
	r.Tick(r.Deadline())
	if _, p = readAdvert(t, one(t, "after 3 s", packets(r.Next, nil))); p.dst != allNodes() || r.lastAt != at(3*sec) {
		t.Errorf("to %v at %v", p.dst, r.lastAt.Sub(start))
	}

	// Unsolicited ones: three close together, then far apart.
	var gaps []time.Duration
	for last := r.lastAt; len(gaps) < 3; last = r.lastAt {
		r.Tick(r.Deadline())
		one(t, "unsolicited", packets(r.Next, nil))
		gaps = append(gaps, r.lastAt.Sub(last))
	}
	if !slices.Equal(gaps, []time.Duration{16 * sec, 200 * sec, 200 * sec}) {
		t.Errorf("gaps %v", gaps)
	}

	r.Stop(r.lastAt.Add(sec))
	ra, _ = readAdvert(t, one(t, "a last advertisement", packets(r.Next, nil)))
	want.valid, want.preferred = 0, 0
	if ra.lifetime != 0 || len(ra.prefixes) != 1 || ra.prefixes[0] != want || len(ra.dns) != 1 || ra.dns[0].lifetime != 0 {
		t.Errorf("the last advertisement leaves something: %+v", ra)
	}
	r.Tick(r.lastAt.Add(time.Hour))
	r.Input(r.lastAt, appendRouterSolicit(nil, user))
	none(t, "a router that has stopped", packets(r.Next, nil))
	if !r.Deadline().IsZero() {
		t.Error("it still wants to be called")
	}
}

func TestUnsolicitedAdvertisementsAreJittered(t *testing.T) {
	for share, want := range map[float64]time.Duration{0: 200 * sec, 0.5: 400 * sec, 1: 600 * sec} {
		r := NewRouter(RouterConfig{Local: ourID, Random: chance(share)})
		r.SetPrefix(start, Prefix{Prefix: prefix("2001:db8::/64")})
		r.Start(start)
		for range 2 {
			r.Tick(r.Deadline())
		}
		if got := r.nextAt.Sub(r.lastAt); (got - want).Abs() > sec {
			t.Errorf("with chance %v the next one comes after %v, want %v", share, got, want)
		}
	}
}

// With less than 600 s to live a prefix is advertised so often that two losses in a
// row do not cost the host its addresses.
func TestShortLifetimesAreAdvertisedOften(t *testing.T) {
	r := NewRouter(RouterConfig{Local: ourID})
	r.Start(start)
	for now := start; now.Before(at(time.Hour)); now = r.Deadline() {
		// The delegation is renewed again and again.
		r.SetPrefix(now, Prefix{prefix("2001:db8::/64"), now.Add(60 * sec), now.Add(120 * sec)})
		r.Tick(now)
		if wait := r.nextAt.Sub(r.lastAt); wait > 40*sec {
			t.Fatalf("after %v it waits %v", now.Sub(start), wait)
		}
	}
	r.SetPrefix(r.lastAt, Prefix{prefix("2001:db8::/64"), r.lastAt, r.lastAt.Add(5 * sec)})
	r.Tick(r.Deadline())
	if wait := r.nextAt.Sub(r.lastAt); wait != leastRtrAdvInterval {
		t.Errorf("at last it waits %v", wait)
	}
}

func TestAdvertisedLifetimesFollowTheDelegation(t *testing.T) {
	r := NewRouter(RouterConfig{Local: ourID})
	old := prefix("2001:db8:1::/64")
	r.SetPrefix(start, Prefix{old, at(600 * sec), at(900 * sec)})
	r.Start(start)
	ra, _ := readAdvert(t, one(t, "first", packets(r.Next, nil)))
	if got := ra.prefixes[0]; got.preferred != 600 || got.valid != 900 || ra.lifetime != 900 {
		t.Errorf("%+v, router lifetime %d", got, ra.lifetime)
	}
	// The delegation is not renewed: time runs out in the advertisements too.
	r.Input(at(700*sec), appendRouterSolicit(nil, LinkLocal(peerID)))
	for r.answerAt != (time.Time{}) || r.Deadline().Before(at(700*sec)) {
		r.Tick(at(700 * sec))
	}
	sent := packets(r.Next, nil)
	ra, _ = readAdvert(t, sent[len(sent)-1])
	if got := ra.prefixes[0]; got.preferred != 0 || got.valid != 200 || ra.lifetime != 200 {
		t.Errorf("after 700 s: %+v, router lifetime %d", got, ra.lifetime)
	}
	for r.Deadline().Before(at(900 * sec)) {
		if wait := r.nextAt.Sub(r.lastAt); wait > 200*sec/3 {
			t.Errorf("an advertisement waits %v, when the prefix has less than 200 s", wait)
		}
		r.Tick(r.Deadline())
	}
	packets(r.Next, nil)
	for range 3 {
		now := r.Deadline()
		if r.Tick(now); now.After(at(940 * sec)) {
			t.Errorf("the end is announced late, after %v", now.Sub(start))
		}
		for _, pkt := range packets(r.Next, nil) {
			if ra, _ = readAdvert(t, pkt); ra.lifetime != 0 || ra.prefixes[0] != (prefixInfo{old, flagAutonomous, 0, 0}) {
				t.Errorf("after its end the prefix is %+v, router lifetime %d", ra.prefixes, ra.lifetime)
			}
		}
	}

	// A new prefix: the old one is told to be over as long as hosts may know it.
	fresh := prefix("2001:db8:2::/64")
	now := at(1000 * sec)
	r.SetPrefix(now, Prefix{Prefix: fresh})
	r.Tick(now)
	ra, _ = readAdvert(t, one(t, "a new prefix is told at once", packets(r.Next, nil)))
	if len(ra.prefixes) != 2 || ra.prefixes[0].prefix != fresh || ra.prefixes[1] != (prefixInfo{old, flagAutonomous, 0, 0}) {
		t.Errorf("prefixes %+v", ra.prefixes)
	}
	ra = r.advert(at(900*sec + ndValidLimit*sec))
	if len(ra.prefixes) != 1 {
		t.Errorf("after RFC 9096's limit: %+v", ra.prefixes)
	}
	// And back again.
	r.SetPrefix(now, Prefix{Prefix: old})
	if ra = r.advert(now); len(ra.prefixes) != 2 || ra.prefixes[0].prefix != old || ra.prefixes[0].valid == 0 || ra.prefixes[1].prefix != fresh {
		t.Errorf("back again: %+v", ra.prefixes)
	}
	r.SetPrefix(now, Prefix{})
	if ra = r.advert(now); ra.lifetime != 0 || len(ra.prefixes) != 2 {
		t.Errorf("taken away: %+v", ra)
	}
	for i := range 20 {
		r.SetPrefix(now, Prefix{Prefix: netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 7: byte(i)}), 64)})
	}
	if n := len(r.advert(now).prefixes); n > maxPrefixes {
		t.Errorf("%d prefixes are remembered", n)
	}
}

func TestRouterChangesServers(t *testing.T) {
	a, b := addr("2001:db8::a"), addr("2001:db8::b")
	r := NewRouter(RouterConfig{Local: ourID, DNS: []netip.Addr{a}})
	r.Start(start)
	packets(r.Next, nil)
	r.SetDNS(at(10*sec), []netip.Addr{a})
	none(t, "no change", packets(r.Next, nil))
	r.SetDNS(at(10*sec), []netip.Addr{b})
	r.Tick(at(10 * sec))
	ra, _ := readAdvert(t, one(t, "a change is told at once", packets(r.Next, nil)))
	if len(ra.dns) != 2 || ra.dns[0].servers[0] != b || ra.dns[1].servers[0] != a || ra.dns[1].lifetime != 0 {
		t.Errorf("DNS %+v", ra.dns)
	}
	r.SetDNS(at(20*sec), []netip.Addr{a, b})
	if ra = r.advert(at(20 * sec)); len(ra.dns) != 1 || len(ra.dns[0].servers) != 2 {
		t.Errorf("DNS %+v", ra.dns)
	}
}

func TestSubnetsThatAreNone(t *testing.T) {
	r := NewRouter(RouterConfig{})
	for _, s := range []string{"2001:db8::/56", "2001:db8::/65", "fe80::/64", "ff02::/64", "::/64", "192.0.2.0/24"} {
		if err := r.SetPrefix(start, Prefix{Prefix: prefix(s)}); !errors.Is(err, ErrNotSubnet) {
			t.Errorf("%s: %v", s, err)
		}
	}
	if err := r.SetPrefix(start, Prefix{Prefix: prefix("fd00:1:2:3::7/64")}); err != nil || r.prefix.Prefix != prefix("fd00:1:2:3::/64") {
		t.Errorf("a unique local one: %v, %v", err, r.prefix)
	}
}

func TestSolicitationsThatAreNone(t *testing.T) {
	user := LinkLocal(peerID)
	good := func() []byte { return appendRouterSolicit(nil, user) }
	for name, pkt := range map[string][]byte{
		"hop limit 254":     icmp(user, allRouters(), 254, icmpRouterSolicit, 0, 0, 0, 0, 0, 0, 0),
		"code 1":            icmp(user, allRouters(), 255, icmpRouterSolicit, 1, 0, 0, 0, 0, 0, 0),
		"short":             icmp(user, allRouters(), 255, icmpRouterSolicit, 0, 0, 0, 0, 0, 0),
		"option length 0":   icmp(user, allRouters(), 255, icmpRouterSolicit, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0),
		"option too long":   icmp(user, allRouters(), 255, icmpRouterSolicit, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0),
		"global source":     icmp(addr("2001:db8::1"), allRouters(), 255, icmpRouterSolicit, 0, 0, 0, 0, 0, 0, 0),
		":: with option":    icmp(netip.IPv6Unspecified(), allRouters(), 255, icmpRouterSolicit, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0),
		"our own":           appendRouterSolicit(nil, LinkLocal(ourID)),
		"wrong checksum":    func() []byte { b := good(); b[42]++; return b }(),
		"cut":               good()[:47],
		"IPv4":              func() []byte { b := good(); b[0] = 0x45; return b }(),
		"multicast source":  icmp(allNodes(), allRouters(), 255, icmpRouterSolicit, 0, 0, 0, 0, 0, 0, 0),
		"a fragment":        func() []byte { b := good(); b[6] = 44; return b }(),
		"an advertisement":  (&routerAdvert{}).append(nil, user, allNodes()),
		"an empty packet":   {},
		"a DHCPv6 solicit":  appendUDP(nil, user, allDHCP(), 1, clientPort, serverPort, []byte{1, 0, 0, 1}),
		"an unknown header": appendHeader(nil, user, allRouters(), 250, 255),
	} {
		r := NewRouter(RouterConfig{Local: ourID})
		r.Start(start)
		packets(r.Next, nil)
		r.Input(at(5*sec), pkt)
		r.Tick(at(5 * sec))
		none(t, name, packets(r.Next, nil))
	}
}

func TestNeighborsAreAnswered(t *testing.T) {
	r := NewRouter(RouterConfig{Local: ourID})
	r.Start(start)
	packets(r.Next, nil)
	us, user, nobody := LinkLocal(ourID), LinkLocal(peerID), netip.IPv6Unspecified()
	sourceOption := []byte{1, 1, 0, 0, 0, 0, 0, 0}
	for _, tt := range []struct {
		name  string
		pkt   []byte
		to    netip.Addr // not valid: no answer
		flags uint8
	}{
		{"is the router there?", neighborSolicit(user, us, us), user, flagRouter | flagSolicited | flagOverride},
		{"the same by multicast", neighborSolicit(user, solicitedNode(us), us, sourceOption...), user, flagRouter | flagSolicited | flagOverride},
		{"may I have the router's address?", neighborSolicit(nobody, solicitedNode(us), us), allNodes(), flagRouter | flagOverride},
		{"may I have my own address?", neighborSolicit(nobody, solicitedNode(user), user), netip.Addr{}, 0},
		{"may I have an address of my prefix?", neighborSolicit(nobody, solicitedNode(addr("2001:db8::1")), addr("2001:db8::1")), netip.Addr{}, 0},
		{":: to a unicast address", neighborSolicit(nobody, us, us), netip.Addr{}, 0},
		{":: with a source option", neighborSolicit(nobody, solicitedNode(us), us, sourceOption...), netip.Addr{}, 0},
		{"a multicast target", neighborSolicit(user, us, allNodes()), netip.Addr{}, 0},
	} {
		r.Input(at(sec), tt.pkt)
		sent := packets(r.Next, nil)
		if !tt.to.IsValid() {
			none(t, tt.name, sent)
			continue
		}
		p, ok := parsePacket(one(t, tt.name, sent))
		if !ok || !p.sumOK() || p.src != us || p.dst != tt.to || p.hopLimit != 255 || p.payload[0] != icmpNeighborAdvert || p.payload[4] != tt.flags ||
			netip.AddrFrom16([16]byte(p.payload[8:])) != us {
			t.Errorf("%s: %+v", tt.name, p)
		}
	}
}

func TestEchoIsAnswered(t *testing.T) {
	r := NewRouter(RouterConfig{Local: ourID})
	r.Start(start)
	packets(r.Next, nil)
	us, user := LinkLocal(ourID), LinkLocal(peerID)
	ping := []byte{icmpEchoRequest, 0, 0, 0, 0, 7, 0, 1, 'h', 'e', 'y'}
	for name, dst := range map[string]netip.Addr{"to us": us, "to all nodes": allNodes(), "to all routers": allRouters()} {
		r.Input(at(sec), icmp(user, dst, 64, ping...))
		p, ok := parsePacket(one(t, name, packets(r.Next, nil)))
		if !ok || !p.sumOK() || p.src != us || p.dst != user || p.payload[0] != icmpEchoReply || string(p.payload[4:]) != string(ping[4:]) {
			t.Errorf("%s: %+v", name, p)
		}
	}
	wrong := icmp(user, us, 64, ping...)
	wrong[len(wrong)-1]++
	for name, pkt := range map[string][]byte{
		"to another": icmp(user, addr("fe80::1"), 64, ping...), "from nobody": icmp(netip.IPv6Unspecified(), us, 64, ping...),
		"from us": icmp(us, us, 64, ping...), "a wrong checksum": wrong, "a reply": icmp(user, us, 64, icmpEchoReply, 0, 0, 0, 0, 0, 0, 0),
	} {
		r.Input(at(sec), pkt)
		none(t, name, packets(r.Next, nil))
	}
}
