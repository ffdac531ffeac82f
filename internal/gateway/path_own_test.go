package gateway

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ip"
)

// What is for the gateway itself is answered by it, from whichever side it comes and
// whichever of its addresses it is for.
func TestOwnAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const other = "100.64.0.1" // towards users of another pool
		r := newSharedRig(t, func(c *config.Config) {
			twoSessions(c)
			p := config.NewPool("others", netip.MustParsePrefix("100.64.0.0/24"))
			p.Gateway = netip.MustParseAddr(other)
			c.Pools = append(c.Pools, p)
		})
		c := r.login("virtual/1", as("bob", "builder"))
		a := c.address().String()
		own := []string{gwAddr, other, dummyAddr.String()}
		for _, tr := range r.gw.shared.trunks {
			own = append(own, tr.state.Load().local.String())
		}
		for _, dst := range own {
			ping := packet{dst: dst, proto: ip.ProtoICMP, payload: echo(8, 1, "hello")}
			ping.src = a
			c.send(ping.bytes())
			got := c.want("a user's ping to " + dst)
			if h := header(t, got); ip.AddrFrom4(h.Src).String() != dst || got[20] != 0 {
				t.Errorf("% x is no answer of %s", got, dst)
			}
			ping.src = host
			r.isp.toUsers("office@isp", ping.bytes())
			got = r.isp.want("a ping to " + dst + " from the ISP's side")
			if h := header(t, got); ip.AddrFrom4(h.Src).String() != dst || got[20] != 0 {
				t.Errorf("% x is no answer of %s", got, dst)
			}
		}
		if d := r.gw.shared.trunks["office"].drops.noUser.Load(); d != 0 {
			t.Errorf("%d of them were nobody's", d)
		}

		// What nothing in the gateway takes.
		office := r.gw.shared.trunks["office"].state.Load().local.String()
		for _, tt := range []struct {
			why    string
			packet packet
			code   uint8 // of a Destination Unreachable; 0 is none
		}{
			{"UDP", packet{}, 3},
			{"TCP", packet{proto: ip.ProtoTCP, payload: syn(1, 80, 1460)}, 3},
			{"GRE", packet{proto: 47}, 2},
			{"an ICMP timestamp request", packet{proto: ip.ProtoICMP, payload: echo(13, 1, "0123456789ab")}, 0},
			{"an ICMP error", packet{proto: ip.ProtoICMP, payload: echo(3, 1, "0123456789ab")}, 0},
		} {
			p := tt.packet
			p.src, p.dst = a, gwAddr
			c.send(p.bytes())
			if tt.code == 0 {
				c.wantNothing(tt.why)
			} else {
				wantICMP(t, c.want(tt.why), gwAddr, a, 3, tt.code)
			}
			p.src = host
			r.isp.toUsers("office@isp", p.bytes())
			if tt.code == 0 {
				r.isp.wantNothing(tt.why)
			} else {
				wantICMP(t, r.isp.want(tt.why), office, host, 3, tt.code)
			}
		}
		r.end()
	})
}

// A session's address is the gateway's as long as the session has it, and one that is
// a pool's gateway as well stays the gateway's.
func TestOwnAddressesOfASessionThatFalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := makeSharedRig(t, nil)
		r.isp.address = netip.MustParseAddr(gwAddr)
		r.begin()
		for range 2 { // and gives 198.51.100.2 and then 198.51.100.3
			r.isp.do(func(time.Time) { r.isp.askAnew() })
			r.wantEvent(EventTrunkDown, "the ISP begins anew")
			r.wantEvent(EventTrunkUp, "with another address")
		}
		c := r.login("virtual/1", as("carol", "christmas"))
		a := c.address().String()
		for _, own := range []string{gwAddr, "198.51.100.3"} {
			c.send(packet{src: a, dst: own, proto: ip.ProtoICMP, payload: echo(8, 1, "hello")}.bytes())
			if got := c.want("a ping to " + own); got[20] != 0 {
				t.Errorf("%s answers % x", own, got)
			}
		}
		c.send(packet{src: a, dst: "198.51.100.2"}.bytes())
		wantICMP(t, c.want("that was the session's"), gwAddr, a, 3, 1)
		r.end()
	})
}

// What is for an address of a pool that nobody has ends at the gateway, however users
// reach each other, and with NAT as well. RFC 1812 sections 4.3.3.1 and 4.2.3.1.
func TestNobodysAddress(t *testing.T) {
	for _, how := range []config.UserToUser{config.UserToUserISP, config.UserToUserLocal, config.UserToUserNone} {
		for _, nat := range []bool{false, true} {
			name := string(how)
			if nat {
				name += " nat"
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newSharedRig(t, func(c *config.Config) {
						c.Lines[0].Shared.UserToUser, c.Sessions[0].NAT = how, nat
						c.Pools[0].Exclude = []config.AddrRange{
							{First: netip.MustParseAddr("198.51.100.200"), Last: netip.MustParseAddr("198.51.100.209")},
							{First: netip.MustParseAddr(gwAddr), Last: netip.MustParseAddr(gwAddr)},
							{First: netip.MustParseAddr("198.51.100.205"), Last: netip.MustParseAddr("198.51.100.207")},
						}
					})
					c := r.login("virtual/1", as("bob", "builder"))
					a := c.address().String()
					for _, dst := range []string{"198.51.100.99", "198.51.100.199", "198.51.100.210"} {
						c.send(packet{src: a, dst: dst}.bytes())
						wantICMP(t, c.want("nobody has "+dst), gwAddr, a, 3, 1)
					}
					// No host can have these; nobody is told of a broadcast.
					for _, dst := range []string{"198.51.100.0", "198.51.100.255"} {
						c.send(packet{src: a, dst: dst}.bytes())
						c.wantNothing("a broadcast to the pool, " + dst)
					}
					r.wantDropped("virtual/1", "unreachable", 5)
					r.isp.wantNothing("it would only come back")
					for _, dst := range []string{"198.51.100.200", "198.51.100.206", "198.51.100.209", "198.51.101.0"} {
						c.send(packet{src: a, dst: dst}.bytes())
						r.isp.want(dst + " is not the pool's to give")
					}
					c.wantNothing("and all that is gone its way")
					if !nat {
						for _, dst := range []string{"198.51.100.0", "198.51.100.255", "224.0.0.5", "127.0.0.1", "240.0.0.1"} {
							r.isp.toUsers("", packet{src: host, dst: dst}.bytes())
						}
						r.wantDropped("session/office", "no_user", 5)
						r.isp.wantNothing("nobody is told of what no host can have")
					}
					r.end()
				})
			})
		}
	}
}

// What stays on the user's link is not forwarded, and is not ill-formed either.
// RFC 1812 section 5.3.5.1 for the limited broadcast, RFC 3927 for link-local
// addresses; multicast is not routed here.
func TestWhatStaysOnTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		c := r.login("virtual/1", as("bob", "builder"))
		a := c.address().String()
		all := []string{"255.255.255.255", "224.0.0.1", "224.0.0.251", "239.255.255.250", "169.254.7.7", "0.0.0.0", "127.0.0.1", "240.0.0.1"}
		for _, dst := range all {
			c.send(packet{src: a, dst: dst}.bytes())
		}
		r.wantDropped("virtual/1", "ignored", uint64(len(all)))
		r.wantDropped("virtual/1", "malformed", 0)
		c.wantNothing("nobody is told")
		r.isp.wantNothing("it stays here")
		r.end()
	})
}

// Of what RFC 1812 section 4.3.2.7 has no error sent about, nobody is told, from
// whichever side it comes: each of these packets is at its last hop.
func TestWhatNobodyIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		c := r.login("virtual/1", as("bob", "builder"))
		a := c.address().String()
		fragment := func(p packet, word uint16) []byte {
			b := p.bytes()
			binary.BigEndian.PutUint16(b[6:], word)
			b[10], b[11] = 0, 0
			binary.BigEndian.PutUint16(b[10:], ip.Checksum(0, b[:20]))
			return b
		}
		last := func(p packet) packet {
			p.ttl = 1
			if p.dst == "" {
				p.dst = a
			}
			if p.src == "" {
				p.src = host
			}
			return p
		}
		icmp := func(typ uint8) packet {
			return last(packet{proto: ip.ProtoICMP, payload: echo(typ, 1, "01234567890123456789")})
		}
		for _, tt := range []struct {
			why   string
			bytes []byte
			told  bool
		}{
			{"a packet", last(packet{}).bytes(), true},
			{"an echo request", icmp(8).bytes(), true},
			{"a first fragment", fragment(last(packet{}), 0x2000), true},
			{"a later fragment", fragment(last(packet{}), 0x0001), false},
			{"an ICMP error", icmp(3).bytes(), false},
			{"an ICMP redirect", icmp(5).bytes(), false},
			{"an ICMP error of tomorrow", icmp(99).bytes(), false},
			{"a limited broadcast", last(packet{dst: "255.255.255.255"}).bytes(), false},
			{"a broadcast to a pool", last(packet{dst: "198.51.100.255"}).bytes(), false},
			{"a multicast", last(packet{dst: "224.0.0.9"}).bytes(), false},
			{"a packet from nobody", last(packet{src: "0.0.0.0"}).bytes(), false},
			{"a packet from network 0", last(packet{src: "0.1.2.3"}).bytes(), false},
			{"a packet from loopback", last(packet{src: "127.0.0.1"}).bytes(), false},
			{"a packet from a group", last(packet{src: "239.1.2.3"}).bytes(), false},
			{"a packet from class E", last(packet{src: "240.1.2.3"}).bytes(), false},
			{"a packet from everybody", last(packet{src: "255.255.255.255"}).bytes(), false},
			{"a packet from a neighbour", last(packet{src: "169.254.1.2"}).bytes(), false},
		} {
			r.isp.toUsers("", tt.bytes)
			if tt.told {
				wantICMP(t, r.isp.want(tt.why+" from the ISP's side"), trunkAddr, host, 11, 0)
			} else {
				r.isp.wantNothing(tt.why + " from the ISP's side")
			}
			c.wantNothing(tt.why + " has no hop left to the user")

			time.Sleep(time.Second) // the rate of errors is not what this is about
			if src := tt.bytes[12:16]; !bytes.Equal(src, netip.MustParseAddr(host).AsSlice()) {
				continue // a user who sends as another is told nothing in any case
			}
			up := append([]byte(nil), tt.bytes...)
			copy(up[12:16], netip.MustParseAddr(a).AsSlice())
			if bytes.Equal(up[16:20], up[12:16]) {
				copy(up[16:20], netip.MustParseAddr(host).AsSlice())
			}
			up[10], up[11] = 0, 0
			binary.BigEndian.PutUint16(up[10:], ip.Checksum(0, up[:20]))
			c.send(up)
			if tt.told {
				wantICMP(t, c.want(tt.why+" from the user"), gwAddr, a, 11, 0)
			} else {
				c.wantNothing(tt.why + " from the user")
			}
			r.isp.wantNothing(tt.why + " has no hop left to the ISP")
		}
		r.end()
	})
}

// The receiver's group has a say in what reaches him from other users, in IPv6 as in
// IPv4.
func TestReceiversGroupIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig6(t, func(c *config.Config) { c.Lines[0].Shared.UserToUser = config.UserToUserLocal })
		alice, bob := r.login("alice", as6("alice", "wonderland")), r.login("bob", as6("bob", "builder"))
		// Groups with one pool have one answer, by the configuration: this is as if
		// bob's had a pool of its own.
		him := r.gw.lines["bob"].sub
		four, six := *him.path.Load(), *him.six.path.Load()
		four.among, six.among = config.UserToUserNone, config.UserToUserNone
		him.path.Store(&four)
		him.six.path.Store(&six)
		a, b := alice.address().String(), bob.address().String()
		alice.send(packet{src: a, dst: b}.bytes())
		wantICMP(t, alice.want("bob's group says no"), gwAddr, a, 3, 13)
		a, b = alice.address6(), bob.address6()
		alice.send6(packet6{src: a, dst: b}.bytes())
		wantICMP6(t, alice.want6("in IPv6, too"), "2001:db8::1", a, 1, 1)
		bob.send6(packet6{src: b, dst: a}.bytes())
		wantICMP6(t, bob.want6("and to bob himself"), "2001:db8::1", b, 1, 1)
		r.wantDropped("alice", "prohibited", 2)
		bob.wantNothing("nothing reaches bob")
		bob.wantNothing6("nothing reaches bob")
		alice.wantNothing6("nor anything of bob's alice")
		r.end()
	})
}

// The same of a /64 that nobody has, whoever's prefix it is of: RFC 7084 section 4.2
// WPD-5. Of a prefix that is too large to be cut up whole, the rest is nobody's.
func TestNobodysLink(t *testing.T) {
	for _, how := range []config.UserToUser{config.UserToUserISP, config.UserToUserLocal, config.UserToUserNone} {
		t.Run(string(how), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSharedRig6(t, func(c *config.Config) {
					c.Lines[0].Shared.UserToUser = how
					p := config.NewPool("others", netip.MustParsePrefix("100.64.0.0/24"))
					p.Prefix6 = netip.MustParsePrefix("2001:db8:7000::/36")
					c.Pools = append(c.Pools, p)
				})
				c := r.login("alice", as6("alice", "wonderland"))
				a := c.address6()
				for _, dst := range []string{"2001:db8:0:77::1", "2001:db8:0:ff::1", "2001:db8::2", "2001:db8:7000:1::1", "2001:db8:7fff:ffff::1"} {
					c.send6(packet6{src: a, dst: dst}.bytes())
					wantICMP6(t, c.want6(dst+" is nobody's"), "2001:db8::1", a, 1, 0)
				}
				r.wantDropped("alice", "unreachable", 5)
				for _, own := range []string{"2001:db8::1", "2001:db8:7000::1"} {
					c.send6(ping6(a, own).bytes())
					wantICMP6(t, c.want6("the gateway's own"), own, a, 129, 0)
				}
				r.isp.wantNothing6("it would only come back")
				for _, dst := range []string{"2001:db8:0:100::1", "2001:db8:8000::1", remote6} {
					c.send6(packet6{src: a, dst: dst}.bytes())
					r.isp.want6(dst + " is not ours")
				}
				r.end()
			})
		})
	}
}
