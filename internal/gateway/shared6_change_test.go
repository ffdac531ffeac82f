package gateway

import (
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ipv6"
)

// no use any more, and have one of the new.
func TestIPv6PrefixChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig6(t, nil)
		alice := r.login("alice", as6("alice", "wonderland"))
		old := alice.address6()
		r.isp.do(func(time.Time) { r.isp.six.Delegator = delegator(t, "2001:db8:1::/48") })
		if e := r.wantAfter(20*time.Minute, EventPrefix, "the renewal brings another one"); e.Message != "2001:db8:1::/56" {
			t.Errorf("%+v", e)
		}
		time.Sleep(10 * time.Second) // advertisements keep a distance
		if got := alice.link6().String(); got != "2001:db8:1:1::/64" {
			t.Fatalf("alice has %s", got)
		}
		alice.send6(packet6{src: old, dst: remote6}.bytes())
		r.isp.wantNothing6("the ISP would not take it")
		if n := r.drops6("alice")["spoofed"]; n != 1 {
			t.Errorf("%d were counted", n)
		}
		alice.send6(packet6{src: alice.address6(), dst: remote6}.bytes())
		r.isp.want6("the new one passes")
		r.isp.toUsers6(packet6{src: remote6, dst: old}.bytes())
		alice.wantNothing6("nor has the old one a way in")
		alice.hangUp()
		r.wantEmpty6("alice is gone")
		r.end()
	})
}

// wantAfter is wantEvent for what happens within a time.
func (r *sharedRig) wantAfter(limit time.Duration, kind, why string) Event {
	r.t.Helper()
	late := time.After(limit)
	for {
		select {
		case e := <-r.sub.C():
			if e.Kind == kind {
				return e
			}
		case <-late:
			r.t.Fatalf("no event %s in %v: %s", kind, limit, why)
		}
	}
}

// A prefix that is lost is taken from the users, who go on with IPv4.
func TestIPv6PrefixLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig6(t, nil)
		alice := r.login("alice", as6("alice", "wonderland"))
		mine := alice.address6()
		deaf := r.isp.six.Delegator
		r.isp.do(func(time.Time) { r.isp.six.Delegator = new(ipv6.Delegator) }) // it serves nobody
		r.wantAfter(time.Hour, EventPrefixLost, "nobody renews it")
		time.Sleep(10 * time.Second)
		if st, _ := alice.knows(); st.Router.IsValid() {
			t.Errorf("alice still has a router: %+v", st)
		}
		alice.send6(packet6{src: mine, dst: remote6}.bytes())
		r.isp.wantNothing6("it is not ours to use")
		if n := r.drops6("alice")["not_open"]; n != 1 {
			t.Errorf("%d were counted", n)
		}
		alice.wantUp("IPv4 goes on")

		r.isp.do(func(time.Time) { r.isp.six.Delegator = deaf })
		e := r.wantAfter(4*time.Hour, EventPrefix, "it is asked for until there is one")
		time.Sleep(10 * time.Second)
		if st, _ := alice.knows(); !st.Router.IsValid() || !netip.MustParsePrefix(e.Message).Contains(netip.MustParseAddr(alice.address6())) {
			t.Errorf("alice knows %+v", st)
		}
		alice.hangUp()
		r.end()
	})
}

// A session that falls and comes back has the same prefix, and a user the same /64.
func TestIPv6Redial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig6(t, nil)
		bob := r.login("bob", as6("bob", "builder"))
		alice := r.login("alice", as6("alice", "wonderland"))
		mine := alice.link6()
		r.isp.do(func(now time.Time) {
			s := r.isp.one("")
			r.isp.server.CloseSession(now, s.peer, s.sid, "")
			r.isp.drain(now)
		})
		r.wantEvent(EventPrefixLost, "the prefix is the session's")
		time.Sleep(5 * time.Second)
		bob.wantDown("the session is gone")
		r.wantEvent(EventTrunkUp, "it is dialled again")
		if e := r.wantEvent(EventPrefix, "and asks for what it had"); e.Message != "2001:db8::/56" {
			t.Errorf("%+v", e)
		}
		again := r.login("alice again", as6("alice", "wonderland"))
		if got := again.link6(); got != mine {
			t.Errorf("alice had %v and has %v", mine, got)
		}
		again.hangUp()
		r.end()
	})
}

// An ISP that negotiates once more costs users neither their line nor their /64.
func TestIPv6Renegotiates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig6(t, nil)
		alice := r.login("alice", as6("alice", "wonderland"))
		mine := alice.address6()
		r.isp.do(func(time.Time) { r.isp.askAnew() })
		r.wantEvent(EventPrefixLost, "the ISP begins anew")
		if e := r.wantEvent(EventPrefix, "and delegates what it had"); e.Message != "2001:db8::/56" {
			t.Errorf("%+v", e)
		}
		time.Sleep(2 * trunkGrace)
		if st, _ := alice.knows(); !st.Router.IsValid() || alice.address6() != mine {
			t.Errorf("alice had %s and knows %+v", mine, st)
		}
		alice.send6(packet6{src: mine, dst: remote6}.bytes())
		r.isp.want6("up, after it")
		r.isp.toUsers6(packet6{src: remote6, dst: mine}.bytes())
		alice.want6("down, after it")
		alice.hangUp()
		r.end()
	})
}

// A configured prefix outlasts a restart, and so does who has which /64.
func TestIPv6Restart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "state")
		r := newSharedRig6(t, func(c *config.Config) {
			c.StateDir = dir
			c.Pools[0].DelegatedBy, c.Pools[0].Prefix6 = "", netip.MustParsePrefix("2001:db8:5::/60")
		})
		alice, bob := r.login("alice", as6("alice", "wonderland")), r.login("bob", as6("bob", "builder"))
		first, second := alice.link6(), bob.link6()
		if first.String() != "2001:db8:5:1::/64" || first == second {
			t.Fatalf("alice has %v, bob %v", first, second)
		}
		r.restart(func() {})
		time.Sleep(5 * time.Second)
		bob, alice = r.login("bob", as6("bob", "builder")), r.login("alice", as6("alice", "wonderland"))
		if alice.link6() != first || bob.link6() != second {
			t.Errorf("alice has %v and had %v, bob %v and %v", alice.link6(), first, bob.link6(), second)
		}
		alice.hangUp()
		bob.hangUp()
		r.end()
	})
}

// A prefix larger than a /48 is used in part, one smaller than a /64 not at all.
func TestIPv6PrefixSizes(t *testing.T) {
	sh := &shared{trunks: map[string]*trunk{}}
	p := &prefixPool{cfg: &config.Pool{Name: "customers"}, routes: &sh.routes6}
	for _, tt := range []struct {
		prefix string
		users  int // /64s for users and for the gateway
		router string
	}{
		{"2001:db8::/40", 65536, "2001:db8::1"},
		{"2001:db8::/48", 65536, "2001:db8::1"},
		{"2001:db8:1:100::/56", 256, "2001:db8:1:100::1"},
		{"2001:db8:1:1ff::/64", 1, "::"},
	} {
		if err := p.set(ipv6.Prefix{Prefix: netip.MustParsePrefix(tt.prefix)}); err != nil {
			t.Fatal(err)
		}
		now := p.current.Load().table
		if len(now.users) != tt.users || netip.AddrFrom16(now.router).String() != tt.router {
			t.Errorf("%s: %d users, router %v", tt.prefix, len(now.users), netip.AddrFrom16(now.router))
		}
		if all := *sh.routes6.tables.Load(); len(all) != 1 || all[0] != now {
			t.Errorf("%s: %d tables", tt.prefix, len(all))
		}
		last := upper(netip.MustParsePrefix(tt.prefix).Addr().As16()) + uint64(tt.users)
		if now.slot(last-1) == nil || now.slot(last) != nil || now.slot(now.base-1) != nil {
			t.Errorf("%s: the table has the wrong bounds", tt.prefix)
		}
	}
	if err := p.set(ipv6.Prefix{Prefix: netip.MustParsePrefix("2001:db8:1:1ff::/72")}); err == nil {
		t.Error("a /72 was taken")
	}
}

// A user moves to another session with his /64.
func TestIPv6Moves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := makeSharedRig6(t, func(c *config.Config) {
			c.Pools[0].DelegatedBy, c.Pools[0].Prefix6 = "", netip.MustParsePrefix("2001:db8:5::/56")
			s := c.Sessions[0]
			s.Name, s.User = "second", "second@isp"
			c.Sessions = append(c.Sessions, s)
			c.Lines[0].Shared.Sessions = append(c.Lines[0].Shared.Sessions, "second")
			c.Lines[0].Shared.OnSessionLoss = config.LossMove
		})
		r.begin()
		r.wantEvent(EventTrunkUp, "one session")
		r.wantEvent(EventTrunkUp, "and the other")
		alice := r.login("alice", as6("alice", "wonderland"))
		i, _ := r.gw.Line("alice")
		user := map[string]string{"office": "office@isp", "second": "second@isp"}[i.Uplink]
		r.isp.do(func(now time.Time) {
			s := r.isp.one(user)
			r.isp.server.CloseSession(now, s.peer, s.sid, "")
			r.isp.drain(now)
		})
		r.wantEvent(EventMoved, "there is another one")
		alice.send6(packet6{src: alice.address6(), dst: remote6}.bytes())
		r.isp.want6("her packets go on")
		alice.hangUp()
		r.end()
	})
}
