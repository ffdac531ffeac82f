package gateway

import (
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/ppp"
)

// newSharedRig6Only is a rig whose ISP rejects IPCP.
func newSharedRig6Only(t *testing.T, change func(*config.Config)) (*sharedRig, *ppp.IPv4Config) {
	t.Helper()
	r := makeSharedRig6(t, change)
	ipv4 := r.isp.cfg.IPv4
	r.isp.cfg.IPv4 = nil
	r.begin()
	r.wantEvent(EventPrefix, "the session is up")
	return r, ipv4
}

// An ISP may have no IPv4 at all. Users with IPv6 are served, and the others told why not.
func TestISPWithIPv6Only(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newSharedRig6Only(t, nil)
		alice := r.call("alice", as6("alice", "wonderland"))
		time.Sleep(10 * time.Second)
		alice.send6(packet6{src: alice.address6(), dst: remote6}.bytes())
		r.isp.want6("alice's packet goes out")
		r.isp.toUsers6(packet6{src: remote6, dst: alice.address6()}.bytes())
		alice.want6("and one comes in")
		if info, _ := r.gw.Line("alice"); info.Message != "no session with the ISP has IPv4" || info.Uplink != "office" {
			t.Errorf("line %+v", info)
		}
		patient := as("bob", "builder")
		patient.MaxConfigure = 100
		bob := r.call("bob", patient)
		bob.wantDown("he speaks IPv4 only")
		time.Sleep(2 * time.Minute) // more than the time to log in
		if e := r.wantEventOf("bob", EventLineDown, "he has waited"); e.Reason != ReasonLoginTimeout || e.Message != "no session with the ISP has IPv4" {
			t.Errorf("event %+v", e)
		}
		alice.send6(packet6{src: alice.address6(), dst: remote6}.bytes())
		r.isp.want6("alice's go on")
		if got := r.gw.Sessions(); len(got) != 1 || got[0].State != SessionUp {
			t.Errorf("sessions %+v", got)
		}
		if n := len(r.isp.dialled()); n != 1 {
			t.Errorf("the session was dialled %d times", n)
		}
		alice.hangUp()
		r.wantEmpty("all are gone")
		r.wantEmpty6("all are gone")
		r.end()
	})
}

// If that session falls, its users are told as those of any other, and it is dialled
// again at once.
func TestISPWithIPv6OnlyFalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newSharedRig6Only(t, nil)
		alice := r.call("alice", as6("alice", "wonderland"))
		time.Sleep(10 * time.Second)
		alice.address6()
		r.isp.do(func(now time.Time) { s := r.isp.one(""); s.link.Close(now); s.drain(now) })
		time.Sleep(5 * time.Second)
		if e := r.wantEventOf("alice", EventLineDown, "her session is gone"); e.Reason != ReasonTrunkDown {
			t.Errorf("event %+v", e)
		}
		r.wantEmpty("all are gone")
		time.Sleep(5 * time.Second)
		again := r.call("again", as6("alice", "wonderland"))
		time.Sleep(10 * time.Second)
		again.address6()
		r.end()
	})
}

// Whoever has IPv6 and waits for IPv4 gets it when a session has it, though it is
// another one than his.
func TestIPv4ComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, ipv4 := newSharedRig6Only(t, twoSessions)
		cfg := as6("alice", "wonderland")
		cfg.MaxConfigure = 100
		alice := r.call("alice", cfg)
		time.Sleep(10 * time.Second)
		alice.address6()
		alice.wantDown("no session has IPv4")
		r.isp.do(func(now time.Time) {
			r.isp.cfg.IPv4 = ipv4
			s := r.isp.one("annex@isp")
			s.link.Close(now)
			s.drain(now)
		})
		time.Sleep(time.Minute)
		a := alice.address().String()
		alice.send(packet{src: a, dst: host}.bytes())
		r.isp.want("IPv4 goes out")
		alice.send6(packet6{src: alice.address6(), dst: remote6}.bytes())
		r.isp.want6("and IPv6")
		if info, _ := r.gw.Line("alice"); info.Message != "" || info.Uplink != "annex" {
			t.Errorf("line %+v", info)
		}
		if o, a := r.members(); o != 0 || a != 1 {
			t.Errorf("%d and %d users", o, a)
		}
		alice.hangUp()
		r.wantEmpty("all are gone")
		r.wantEmpty6("all are gone")
		r.end()
	})
}
