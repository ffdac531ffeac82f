package guests

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"
)

// IPv6 of the rig's ISP: see rootfs/rig/serve.
const (
	internet6   = "2001:db8:ffff::1"     // behind the ISP
	ispRouter6  = "2001:db8:ffff:1::1"   // its end of the session
	sessionNet6 = "2001:db8:ffff:1::/64" // where the session has an address of its own
	delegated   = "2001:db8:1000::/48"   // for the pool of bank, by DHCPv6
	configured  = "2001:db8:2000::/48"   // for the pool of local, by the operator
	users6      = "+ipv6"                // of pppd
	serve6      = "route=" + routedPrefix + " route6=" + configured + " pd=" + delegated
)

// TestShared6 has IPv6 for users beside IPv4: a /64 for each, out of a prefix
// that a DHCPv6 server delegates and out of one that the configuration has.
func TestShared6(t *testing.T) {
	r := newRig(t, rigOptions{})
	r.serve(serve6 + " duid=" + r.duid())
	r.must(r.user, "modprobe ipv6")
	g := r.startShared(sharedOptions{
		session: "ipv6: true",
		bank:    "ipv6: true", customers: ", delegated_by: office",
		local: "ipv6: true", nearest: ", prefix6: \"" + configured + "\"",
	})
	g.routed()
	r.eventually("the ISP has delegated a prefix", func() error {
		if p := g.office().Prefix; p != delegated {
			return fmt.Errorf("the session's prefix is %q", p)
		}
		return nil
	})
	r.wantLog("the ISP's pppd", r.must(r.isp, "cat /run/isp.log"), "rcvd [IPV6CP ConfAck", "local  LL address fe80::", "remote LL address fe80::")
	r.wantLog("the ISP's DHCPv6 server", r.must(r.isp, "cat /run/dhcp6s.log"), "received solicit from", "received request from", "IA_PD")
	ifname := g.routed()

	// Two users of each: one and three stay for all that follows.
	var addr [5]netip.Addr
	for id := 1; id <= 4; id++ {
		where, of := bank, delegated
		if id > 2 {
			where, of = viaLocal, configured
		}
		r.join(where, id, users6)
		addr[id] = r.slaac(g, id, of)
	}
	for _, id := range []int{1, 3} {
		t.Run(map[int]string{1: "delegated", 3: "configured"}[id], func(t *testing.T) {
			r := r.in(t)
			r.wantLog("the user's pppd", r.pppdLog(id), "rcvd [IPV6CP ConfAck", "local  LL address fe80::", "remote LL address fe80::")
			route := r.must(r.user, fmt.Sprintf("ip -n u%d -6 route show default", id))
			if !strings.Contains(route, "via fe80::1 ") || !strings.Contains(route, "proto ra") {
				t.Errorf("the user's way out is %q, want fe80::1 by its advertisement", route)
			}
			r.wantLog("rdisc6", r.as(id, fmt.Sprintf("rdisc6 -1 -q -v ppp%d", id)),
				internet6, prefixOf(addr[id]))
			r.pings6(id, 56, internet6)
			r.pings6(id, 1492-48, internet6)
			// The user's interface takes 1500, the session 1492. In IPv6 it is for the
			// sender to make fragments, once the gateway has told it of what size.
			r.try(r.user, fmt.Sprintf("ip netns exec u%d ping -6 -c 2 -i 0.1 -W 1 -s 3000 %s", id, internet6))
			if out := r.must(r.user, fmt.Sprintf("ip -n u%d -6 route get %s", id, internet6)); !strings.Contains(out, "mtu 1492") {
				t.Errorf("the user's kernel has not learned the session's MTU: %s", out)
			}
			r.pings6(id, 3000, internet6)
			r.pings6(id, 56, "fe80::1%ppp"+fmt.Sprint(id))
			r.allBack(r.must(r.isp, pingCommand(56, addr[id].String())), "ping from the ISP to user "+fmt.Sprint(id))
			r.swap(id, "["+internet6+"]", 300_000)
			if mss := r.mssAtISP(addr[id]); mss != 1492-60 {
				t.Errorf("MSS of a SYN of the user's at the ISP is %d, want 1432", mss)
			}
		})
	}
	t.Run("traceroute", func(t *testing.T) {
		r := r.in(t)
		out := r.as(1, "traceroute6 -n -q 1 -w 5 -m 6 "+internet6)
		t.Logf("traceroute6:\n%s", out)
		// The gateway answers from an address of its own in the users' prefix.
		if !strings.Contains(out, " 1  2001:db8:1000::") || !strings.Contains(out, " 2  "+internet6) {
			t.Error("not by the gateway, then the ISP")
		}
	})
	t.Run("user to user", func(t *testing.T) {
		r := r.in(t)
		for _, tt := range []struct {
			id   int
			hops string
			at   bool
		}{{1, "ttl=61", true}, {3, "ttl=63", false}} {
			one, two := addr[tt.id], addr[tt.id+1]
			if out := r.pings6(tt.id, 1400, two.String()); strings.Count(out, tt.hops) != 3 {
				t.Errorf("ping to another user: want 3 answers with %s in\n%s", tt.hops, out)
			}
			r.as(tt.id+1, "/rig/echod "+two.String())
			r.eventually("the other user's echo server answers", func() error {
				out := r.try(r.user, fmt.Sprintf("echo hello | ip netns exec u%d socat -t 10 - 'TCP:[%s]:7'", tt.id, two))
				if out != "hello" {
					return fmt.Errorf("it said %q", out)
				}
				return nil
			})
			r.swap(tt.id, "["+two.String()+"]", 200_000)
			if n := r.at6(one.String(), two.String()); (n > 0) != tt.at {
				t.Errorf("%d packets from user to user at the ISP", n)
			}
		}
	})
	t.Run("spoofed", func(t *testing.T) {
		r := r.in(t)
		g := g.in(r)
		// Another user's address, and one that is nobody's. Of both, the ISP knows the way back.
		stranger := netip.MustParseAddr("2001:db8:7::9")
		r.must(r.isp, "ip route replace "+stranger.String()+" dev "+ifname)
		for _, stolen := range []netip.Addr{addr[2], stranger} {
			before := g.of(1).Dropped["spoofed"]
			// nodad: the gateway is asked nothing, as no other is on the link.
			r.must(r.user, fmt.Sprintf("ip -n u1 addr add %s/128 dev ppp1 nodad", stolen))
			seen := r.at6(stolen.String(), internet6)
			out := r.try(r.user, fmt.Sprintf("ip netns exec u1 ping -c 3 -i 0.1 -W 1 -I %s %s", stolen, internet6))
			if !strings.Contains(out, "100% packet loss") {
				t.Errorf("a ping from a stolen address: %s", out)
			}
			if n := g.of(1).Dropped["spoofed"] - before; n < 3 {
				t.Errorf("%d packets counted as spoofed, want 3", n)
			}
			if n := r.at6(stolen.String(), internet6) - seen; n > 0 {
				t.Errorf("%d packets from a stolen address have come to the ISP", n)
			}
			r.must(r.user, fmt.Sprintf("ip -n u1 addr del %s/128 dev ppp1", stolen))
		}
		r.pings6(1, 56, internet6) // with its own it goes on
	})
	t.Run("the ISP is killed and back", func(t *testing.T) {
		r := r.in(t)
		g := g.in(r)
		r.must(r.isp, "killall -9 pppd")
		for id := 1; id <= 4; id++ {
			r.hasEnded(id, "the users' lines go down with the session")
		}
		g.none("the users are gone")
		g.routed()
		r.join(bank, 1, users6)
		if again := r.slaac(g, 1, delegated); prefixOf(again) != prefixOf(addr[1]) {
			t.Errorf("the user is in %s now, not in %s as before", prefixOf(again), prefixOf(addr[1]))
		}
		r.pings6(1, 56, internet6)
		r.leave(1)
		g.none("the user has hung up")
	})
}

// duid is by which name the gateway asks for a prefix: RFC 8415's DUID-LL of its
// port's address.
func (r *rig) duid() string {
	r.t.Helper()
	link, err := netlink.LinkByName(r.uplink)
	if err != nil {
		r.t.Fatal(err)
	}
	return "00:03:00:01:" + link.Attrs().HardwareAddr.String()
}

// slaac waits until user id has made itself an address, in a /64 of its own out
// of a prefix, and returns it.
func (r *rig) slaac(g *gateway, id int, of string) (addr netip.Addr) {
	r.t.Helper()
	r.eventually(fmt.Sprintf("user %d has an IPv6 address of its own /64", id), func() error {
		mine, err := netip.ParsePrefix(g.of(id).Prefix)
		if err != nil {
			return err
		}
		if mine.Bits() != 64 || !netip.MustParsePrefix(of).Contains(mine.Addr()) {
			r.t.Fatalf("user %d has the prefix %s, want a /64 of %s", id, mine, of)
		}
		out := r.must(r.user, fmt.Sprintf("ip -n u%d -6 -o addr show dev ppp%d scope global", id, id))
		for _, w := range strings.Fields(out) {
			if p, err := netip.ParsePrefix(w); err == nil && mine.Contains(p.Addr()) {
				addr = p.Addr()
				return nil
			}
		}
		return fmt.Errorf("its addresses are %q", out)
	})
	return addr
}

func prefixOf(a netip.Addr) string {
	return netip.PrefixFrom(a, 64).Masked().String()
}

// pings6 is pings for IPv6.
func (r *rig) pings6(id, size int, to string) string {
	r.t.Helper()
	return r.allBack(r.as(id, fmt.Sprintf("ping -6 -c 3 -i 0.1 -W 10 -s %d %s", size, to)), fmt.Sprintf("ping from user %d to %s with %d octets", id, to, size))
}

// at6 are the IPv6 packets in the capture from one address to another, in number.
func (r *rig) at6(src, dst string) int {
	r.t.Helper()
	return r.captured(func(p gopacket.Packet) bool {
		ip, ok := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
		return ok && ip.SrcIP.String() == src && ip.DstIP.String() == dst
	})
}

// mssAtISP is the largest MSS of the SYNs in the capture that an address has sent.
func (r *rig) mssAtISP(src netip.Addr) (largest int) {
	r.t.Helper()
	r.captured(func(p gopacket.Packet) bool {
		ip, ok := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
		if ok && ip.SrcIP.String() == src.String() {
			largest = max(largest, mssOf(p))
		}
		return false
	})
	return largest
}
