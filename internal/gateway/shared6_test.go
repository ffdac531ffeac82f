package gateway

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ip"
	"tributary/internal/ipv6"
)

const remote6 = "2001:db8:aaaa::9" // a host on the Internet

func (r *sharedRig) drops6(name string) map[string]uint64 {
	r.t.Helper()
	synctest.Wait()
	i, ok := r.gw.Line(name)
	if !ok {
		r.t.Fatalf("there is no line %s", name)
	}
	return i.Dropped
}

// A user has a /64 of what the ISP delegates, DNS servers and a router, and his
// packets pass both ways.
func TestIPv6User(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig6(t, nil)
		alice := r.login("alice", as6("alice", "wonderland"))
		st, up := alice.knows()
		if !up || st.Router.String() != "fe80::1" || len(st.Addresses) != 1 || st.MTU != 1500 {
			t.Fatalf("alice knows %+v", st)
		}
		if !slices.Equal(st.DNS, []netip.Addr{netip.MustParseAddr("2001:db8:ffff::53")}) {
			t.Errorf("alice's DNS servers are %v", st.DNS)
		}
		// The first /64 is the gateway's own.
		if got := alice.link6().String(); got != "2001:db8:0:1::/64" {
			t.Errorf("alice has %s", got)
		}
		if e := r.wantEventOf("alice", EventNetworkUp, "IPv4"); e.Message != alice.address().String() {
			if e = r.wantEventOf("alice", EventNetworkUp, "IPv6"); e.Message == "" {
				t.Errorf("%+v", e)
			}
		}
		mine := alice.address6()
		alice.send6(packet6{src: mine, dst: remote6}.bytes())
		if h := header6(t, r.isp.want6("alice's packet goes out")); h.HopLimit != 63 || netip.AddrFrom16(h.Src).String() != mine {
			t.Errorf("%+v", h)
		}
		r.isp.toUsers6(packet6{src: remote6, dst: mine}.bytes())
		if h := header6(t, alice.want6("the answer comes in")); h.HopLimit != 63 {
			t.Errorf("%+v", h)
		}
		for _, to := range []string{"2001:db8::1", "2001:db8:0:1::", "fe80::1"} {
			alice.send6(ping6(mine, to).bytes())
			wantICMP6(t, alice.want6("the gateway answers"), to, mine, 129, 0)
		}
		if i, _ := r.gw.Line("alice"); i.Prefix != "2001:db8:0:1::/64" {
			t.Errorf("the line shows %q", i.Prefix)
		}
		if i, _ := r.gw.Line("session/office"); i.Prefix != "2001:db8::/56" {
			t.Errorf("the session shows %q", i.Prefix)
		}
		alice.terminate()
		r.wantEmpty("alice is gone")
		r.wantEmpty6("alice is gone")
		r.end()
	})
}

// wantEmpty6 is wantEmpty for IPv6.
func (r *sharedRig) wantEmpty6(why string) {
	r.t.Helper()
	synctest.Wait()
	sh := r.gw.shared
	sh.users6.mu.Lock()
	if n := len(sh.users6.all); n != 0 {
		r.t.Errorf("%s: %d users are told of changes", why, n)
	}
	sh.users6.mu.Unlock()
	if tables := sh.routes6.tables.Load(); tables != nil {
		for _, table := range *tables {
			if n := table.leases.Stats().Taken; n != 0 {
				r.t.Errorf("%s: %d /64s of %v are taken", why, n, table.prefix)
			}
			for i := range table.users {
				if table.users[i].Load() != nil {
					r.t.Errorf("%s: /64 number %d is somebody's", why, i)
				}
			}
		}
	}
}

// What a user may not send, what cannot go on, and what he hears of it.
func TestIPv6Upstream(t *testing.T) {
	big := make([]byte, 1453) // with 40 octets more than the session's 1492
	for _, tt := range []struct {
		name    string
		packet  packet6
		count   string
		told    uint8 // ICMPv6 type, 0 for nothing
		code    uint8
		from    string
		pointer uint32
	}{
		{"another's address", packet6{src: "2001:db8:0:2::1", dst: remote6}, "spoofed", 0, 0, "", 0},
		{"an address on his link, from a host without one", packet6{src: "fe80::77", dst: remote6}, "spoofed", 0, 0, "", 0},
		{"no address", packet6{src: "::", dst: remote6}, "spoofed", 0, 0, "", 0},
		{"from everybody", packet6{src: "ff02::1", dst: remote6}, "malformed", 0, 0, "", 0},
		{"the last hop", packet6{dst: remote6, hops: 1}, "expired", 3, 0, "2001:db8::1", 0},
		{"too big for the session", packet6{dst: remote6, next: 59, payload: big}, "too_big", 2, 0, "2001:db8::1", 1492},
		{"his own link", packet6{dst: "2001:db8:0:1::99"}, "unreachable", 1, 3, "2001:db8::1", 0},
		{"to nobody", packet6{dst: "::"}, "malformed", 0, 0, "", 0},
		{"to everybody around", packet6{dst: "ff02::fb"}, "ignored", 0, 0, "", 0},
		{"a port of the gateway's", packet6{dst: "2001:db8::1"}, "", 1, 4, "2001:db8::1", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSharedRig6(t, nil)
				alice := r.login("alice", as6("alice", "wonderland"))
				if tt.packet.src == "" {
					tt.packet.src = alice.address6()
				}
				before := r.drops6("alice")
				alice.send6(tt.packet.bytes())
				r.isp.wantNothing6("it does not go on")
				after := r.drops6("alice")
				for name, n := range after {
					if want := before[name]; name == tt.count && n != want+1 || name != tt.count && n != want {
						t.Errorf("%s went from %d to %d", name, want, n)
					}
				}
				if tt.told == 0 {
					alice.wantNothing6("nobody is told")
				} else if p := wantICMP6(t, alice.want6("he is told"), tt.from, alice.address6(), tt.told, tt.code); p != tt.pointer {
					t.Errorf("the message says %d, want %d", p, tt.pointer)
				}
				alice.hangUp()
				r.end()
			})
		})
	}
}

// What the ISP sends that does not go on.
func TestIPv6Downstream(t *testing.T) {
	wan := "2001:db8:ffff:7:0:ff:fe00:1" // made of the port's 02:00:00:00:00:01
	for _, tt := range []struct {
		name   string
		packet packet6
		count  string
		told   uint8
		code   uint8
		from   string
		number uint32
	}{
		{"nobody's /64", packet6{dst: "2001:db8:0:77::1"}, "no_user", 1, 0, "2001:db8::1", 0},
		{"not ours", packet6{dst: "2001:db8:bbbb::1"}, "no_user", 1, 0, wan, 0},
		{"the last hop", packet6{hops: 1}, "expired", 3, 0, "2001:db8::1", 0},
		{"too big for the user", packet6{next: 59, payload: make([]byte, 1300)}, "too_big", 2, 0, "2001:db8::1", 1280},
		{"from a host on the session's link", packet6{src: "fe80::99"}, "malformed", 0, 0, "", 0},
		{"a ping of the gateway", ping6(remote6, "2001:db8::1"), "", 129, 0, "2001:db8::1", 7<<16 | 1},
		{"a ping of its end of the session", ping6(remote6, wan), "", 129, 0, wan, 7<<16 | 1},
		{"a ping of the user's router, whoever that is", ping6(remote6, "2001:db8:0:1::"), "", 129, 0, "2001:db8:0:1::", 7<<16 | 1},
		{"a port of the gateway's", packet6{dst: wan}, "", 1, 4, wan, 0},
		{"a port of the gateway's on the users' side", packet6{dst: "2001:db8::1"}, "", 1, 4, wan, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSharedRig6(t, nil)
				cfg := as6("alice", "wonderland")
				cfg.MRU = 1280
				alice := r.login("alice", cfg)
				if tt.packet.src == "" {
					tt.packet.src = remote6
				}
				if tt.packet.dst == "" {
					tt.packet.dst = alice.address6()
				}
				before := r.drops6("session/office")
				r.isp.toUsers6(tt.packet.bytes())
				alice.wantNothing6("it does not go on")
				for name, n := range r.drops6("session/office") {
					if want := before[name]; name == tt.count && n != want+1 || name != tt.count && n != want {
						t.Errorf("%s went from %d to %d", name, want, n)
					}
				}
				if tt.told == 0 {
					r.isp.wantNothing6("nobody is told")
				} else if n := wantICMP6(t, r.isp.want6("its sender is told"), tt.from, remote6, tt.told, tt.code); n != tt.number {
					t.Errorf("the message says %d, want %d", n, tt.number)
				}
				alice.hangUp()
				r.end()
			})
		})
	}
}

// TCP is held to the narrower of the two links, in both directions.
func TestIPv6ClampsMSS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig6(t, nil)
		alice := r.login("alice", as6("alice", "wonderland"))
		mine := alice.address6()
		alice.send6(packet6{src: mine, dst: remote6, next: ip.ProtoTCP, payload: syn(1, 2, 1440)}.bytes())
		r.isp.toUsers6(packet6{src: remote6, dst: mine, next: ip.ProtoTCP, payload: syn(2, 1, 1440)}.bytes())
		for _, b := range [][]byte{r.isp.want6("the SYN"), alice.want6("its answer")} {
			header6(t, b)
			if mss := int(b[62])<<8 | int(b[63]); mss != 1492-60 {
				t.Errorf("MSS %d", mss)
			}
		}
		alice.hangUp()
		r.end()
	})
}

// From user to user by way of the ISP, straight across, or not at all.
func TestIPv6UserToUser(t *testing.T) {
	for _, tt := range []struct{ among config.UserToUser }{{config.UserToUserISP}, {config.UserToUserLocal}, {config.UserToUserNone}} {
		t.Run(string(tt.among), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSharedRig6(t, func(c *config.Config) { c.Lines[0].Shared.UserToUser = tt.among })
				alice, bob := r.login("alice", as6("alice", "wonderland")), r.login("bob", as6("bob", "builder"))
				p := packet6{src: alice.address6(), dst: bob.address6()}
				alice.send6(p.bytes())
				if tt.among == config.UserToUserISP {
					if h := header6(t, r.isp.want6("it is the ISP's")); h.HopLimit != 63 {
						t.Errorf("%+v", h)
					}
				}
				r.isp.wantNothing6("no more")
				if tt.among == config.UserToUserLocal {
					if h := header6(t, bob.want6("straight across")); h.HopLimit != 63 {
						t.Errorf("%+v", h)
					}
					p.dst = "2001:db8:0:99::1"
					alice.send6(p.bytes())
					wantICMP6(t, alice.want6("nobody has that"), "2001:db8::1", p.src, 1, 0)
					p.dst, p.hops = bob.address6(), 1
					alice.send6(p.bytes())
					wantICMP6(t, alice.want6("a hop is a hop"), "2001:db8::1", p.src, 3, 0)
				}
				if tt.among == config.UserToUserNone {
					wantICMP6(t, alice.want6("he is told"), "2001:db8::1", p.src, 1, 1)
				}
				bob.wantNothing6("no more")
				if tt.among != config.UserToUserISP {
					alice.send6(ping6(alice.address6(), "2001:db8::1").bytes())
					wantICMP6(t, alice.want6("the gateway is no user"), "2001:db8::1", p.src, 129, 0)
				}
				alice.hangUp()
				bob.hangUp()
				r.end()
			})
		})
	}
}

// When the ISP delegates another prefix, users are told at once that theirs is of
// A user may have IPv6 alone, and before the session is up he waits for it.
func TestIPv6Only(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := makeSharedRig6(t, nil)
		r.isp.do(func(time.Time) { r.isp.silent = true })
		r.begin()
		cfg := as6("alice", "wonderland")
		cfg.IPv4 = nil
		alice := r.call("alice", cfg)
		if st, up := alice.knows(); !up || st.Router.IsValid() {
			t.Fatalf("alice knows %+v, %v", st, up)
		}
		r.isp.do(func(time.Time) { r.isp.silent = false })
		r.wantAfter(50*time.Second, EventPrefix, "the session comes up")
		time.Sleep(10 * time.Second)
		alice.send6(packet6{src: alice.address6(), dst: remote6}.bytes())
		r.isp.want6("alice's packet goes out")
		time.Sleep(2 * time.Minute) // more than the time to log in
		if _, up := alice.knows(); !up {
			t.Error("the line of one who is logged in was closed")
		}
		alice.hangUp()
		r.wantEmpty("alice is gone")
		r.wantEmpty6("alice is gone")
		r.end()
	})
}

// Who has no IPv6: one who does not ask, one whose link is too narrow, and all
// users of lines that have none.
func TestIPv6Not(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig6(t, nil)
		alice := r.login("alice", as("alice", "wonderland"))
		if _, up := alice.knows(); up {
			t.Error("IPV6CP is up")
		}
		narrow := as6("bob", "builder")
		narrow.MRU = 1000
		bob := r.login("bob", narrow)
		if st, up := bob.knows(); !up || st.Router.IsValid() {
			t.Errorf("bob knows %+v, %v", st, up)
		}
		for _, c := range []*caller{alice, bob} {
			c.send6(packet6{src: "2001:db8:0:1::1", dst: remote6}.bytes(), ping6("fe80::2", "fe80::1").bytes())
			r.isp.wantNothing6("it is nobody's")
			c.wantNothing6("nor is it answered")
			if d := r.drops6(c.name); d["not_open"] != 2 && c == alice || d["not_open"] == 0 {
				t.Errorf("%s: %v", c.name, d)
			}
			c.hangUp()
		}
		r.wantEmpty6("all are gone")
		r.end()
	})
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		cfg := as6("alice", "wonderland")
		cfg.IPv6.Local = 5
		alice := r.login("alice", cfg)
		if _, up := alice.knows(); up {
			t.Error("IPV6CP is up")
		}
		alice.send6(ping6("fe80::5", "fe80::1").bytes())
		if d := r.drops6("alice"); d["unknown_protocol"] != 1 {
			t.Errorf("%v", d)
		}
		if u := r.gw.lines["alice"].sub; u.six != nil {
			t.Error("a user without IPv6 costs memory for it")
		}
		alice.hangUp()
		r.end()
	})
}

// Where a prefix is configured, an ISP that says so is asked for DNS servers by
// DHCPv6 all the same; and advertisements are believed.
func TestIPv6StatelessDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := makeSharedRig6(t, func(c *config.Config) {
			c.Pools[0].DelegatedBy, c.Pools[0].Prefix6 = "", netip.MustParsePrefix("2001:db8:5::/56")
		})
		server, err := ipv6.NewDelegator(ipv6.DelegatorConfig{
			DUID: ispDUID, Local: ispID, Pool: netip.MustParsePrefix("2001:db8::/48"), Bits: 56, DNS: []netip.Addr{netip.MustParseAddr("2001:db8:eeee::53")},
		})
		if err != nil {
			t.Fatal(err)
		}
		r.isp.six.Delegator, r.isp.six.dns = server, nil
		r.begin()
		alice := r.login("alice", as6("alice", "wonderland"))
		if st, _ := alice.knows(); len(st.DNS) != 0 {
			t.Errorf("alice's DNS servers are %v", st.DNS)
		}
		link := ipv6.LinkLocal(ispID).String()
		r.isp.toUsers6(packet6{src: link, dst: "ff02::1", next: ip.ProtoICMPv6, hops: 255,
			payload: []byte{134, 0, 0, 0, 64, 0x40, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0}}.bytes()) // the O flag, for 1800 s
		time.Sleep(10 * time.Second)
		if st, _ := alice.knows(); !slices.Equal(st.DNS, []netip.Addr{netip.MustParseAddr("2001:db8:eeee::53")}) {
			t.Errorf("alice's DNS servers are %v", st.DNS)
		}
		alice.hangUp()
		r.end()
	})
}

// On a session that carries no 1280 octets there is no IPv6.
func TestIPv6NarrowSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := makeSharedRig6(t, nil)
		r.isp.cfg.MRU = 1000
		r.begin()
		r.wantEvent(EventTrunkUp, "it is wide enough for IPv4")
		alice := r.login("alice", as6("alice", "wonderland"))
		time.Sleep(time.Minute)
		if st, up := alice.knows(); !up || st.Router.IsValid() {
			t.Errorf("alice knows %+v, %v", st, up)
		}
		r.isp.toUsers6(ping6(remote6, "2001:db8:0:1::1").bytes())
		r.isp.wantNothing6("nobody is at home")
		if n := r.drops6("session/office")["not_open"]; n == 0 {
			t.Error("it was not counted")
		}
		alice.hangUp()
		r.end()
	})
}

// Configured DNS servers take precedence, those of IPv4 are IPCP's.
func TestIPv6ConfiguredDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mine := netip.MustParseAddr("2001:db8:dddd::53")
		r := newSharedRig6(t, func(c *config.Config) {
			c.Lines[0].Shared.DNS = []netip.Addr{netip.MustParseAddr("192.0.2.53"), mine}
		})
		alice := r.login("alice", as6("alice", "wonderland"))
		if st, _ := alice.knows(); !slices.Equal(st.DNS, []netip.Addr{mine}) {
			t.Errorf("alice's DNS servers are %v", st.DNS)
		}
		alice.hangUp()
		r.end()
	})
}

// A prefix of one /64 is one user's. The next one hears nothing of it, and lives
// with IPv4.
func TestIPv6PoolEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig6(t, func(c *config.Config) {
			c.Pools[0].DelegatedBy, c.Pools[0].Prefix6 = "", netip.MustParsePrefix("2001:db8:5::/64")
		})
		alice, bob := r.login("alice", as6("alice", "wonderland")), r.login("bob", as6("bob", "builder"))
		if got := alice.link6().String(); got != "2001:db8:5::/64" {
			t.Errorf("alice has %s", got)
		}
		r.wantEvent(EventNoAddress, "the operator is told")
		if st, _ := bob.knows(); len(st.Addresses) != 0 || st.Router.IsValid() {
			t.Errorf("bob knows %+v", st)
		}
		// Without an address of its own, the gateway speaks from the link's.
		alice.send6(packet6{src: alice.address6(), dst: remote6, hops: 1}.bytes())
		wantICMP6(t, alice.want6("it was the last hop"), "fe80::1", alice.address6(), 3, 0)
		alice.hangUp()
		time.Sleep(10 * time.Second)
		if got := bob.link6().String(); got != "2001:db8:5::/64" {
			t.Errorf("bob has %s: he has waited for it, and it is free", got)
		}
		carol, dave := r.login("carol", as6("carol", "christmas")), r.login("dave", as6("dave", "diver"))
		carol.hangUp()
		bob.hangUp()
		time.Sleep(10 * time.Second)
		if got := dave.link6().String(); got != "2001:db8:5::/64" {
			t.Errorf("dave has %s: carol, who waited too, is gone", got)
		}
		dave.hangUp()
		r.wantEmpty6("all are gone")
		r.end()
	})
}

// The news of a /64 that is free may come to one who has gone, or who has one by
// then. Who waits for it gets it all the same.
func TestIPv6PrefixIsPassedOn(t *testing.T) {
	for _, tt := range []struct {
		name string
		gone bool
	}{{"he has gone", true}, {"he has one", false}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSharedRig6(t, func(c *config.Config) { // one /64 for users
					c.Pools[0].DelegatedBy, c.Pools[0].Prefix6 = "", netip.MustParsePrefix("2001:db8:5::/63")
				})
				table := r.gw.shared.pools["customers"].six.current.Load().table
				var other netip.Prefix
				if tt.gone {
					var err error
					if other, err = table.leases.Take("nobody", netip.Prefix{}, netip.Prefix{}); err != nil {
						t.Fatal(err)
					}
				}
				alice := r.login("alice", as6("alice", "wonderland"))
				synctest.Wait()
				r.gw.mu.Lock()
				s := r.gw.lines["alice"]
				r.gw.mu.Unlock()
				if tt.gone {
					alice.hangUp()
				}
				bob := r.login("bob", as6("bob", "builder"))
				if n := table.short.len(); n != 1 {
					t.Fatalf("%d users wait for a /64", n)
				}
				if tt.gone {
					table.leases.Release(other)
				}
				s.owner.post(event{s: s, kind: evPrefixFree, aux: table})
				time.Sleep(10 * time.Second)
				if st, _ := bob.knows(); tt.gone != (len(st.Addresses) > 0) {
					t.Errorf("bob knows %+v", st)
				}
				if n := table.short.len(); tt.gone != (n == 0) {
					t.Errorf("%d users wait for a /64", n)
				}
				bob.hangUp()
				r.end()
			})
		})
	}
}

// However much a user says on his link, it holds nobody up, and no buffers.
func TestIPv6LinkFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig6(t, nil)
		alice := r.login("alice", as6("alice", "wonderland"))
		p := ping6("fe80::2", "ff02::1").bytes()
		for range 1000 {
			alice.write(append([]byte{0, 0x57}, p...))
		}
		synctest.Wait()
		bob := r.login("bob", as6("bob", "builder"))
		bob.address6()
		alice.wantUp("she is still there")
		alice.hangUp()
		bob.hangUp()
		r.end()
	})
}
