package gateway

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/ppp"
)

// holdings is who has which address, as it is read out of the events.
type holdings struct {
	t     *testing.T
	users map[[2]string]string // of line and address
	seen  int
}

func (h *holdings) see(e Event) {
	h.t.Helper()
	if strings.HasPrefix(e.Line, "session/") {
		return // no user's
	}
	key := [2]string{e.Line, e.Message}
	user, has := h.users[key]
	switch e.Kind {
	case EventNetworkUp:
		if has {
			h.t.Errorf("%+v: %s has it already", e, user)
		}
		if h.users == nil {
			h.users = make(map[[2]string]string)
		}
		h.users[key] = e.User
		h.seen++
	case EventNetworkDown:
		if !has || user != e.User || e.Message == "" || e.Time.IsZero() {
			h.t.Errorf("%+v: %s has it: %v", e, user, has)
		}
		delete(h.users, key)
	case EventLineDown:
		for key, user := range h.users {
			if key[0] == e.Line {
				h.t.Errorf("line %s is down, and %s still has %s", e.Line, user, key[1])
			}
		}
	}
}

func (h *holdings) wantNone(why string) {
	h.t.Helper()
	if len(h.users) != 0 {
		h.t.Errorf("%s: %v", why, h.users)
	}
}

// Who had which address when can be told from events: each has a beginning and an
// end, whatever ended it, and they are of one user.
func TestEventsSayWhoHadAnAddress(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bring func(*sharedRig, *caller)
		want  int // addresses that the user has had
	}{
		{"he hangs up", func(_ *sharedRig, c *caller) { c.hangUp() }, 2},
		{"he terminates", func(_ *sharedRig, c *caller) { c.terminate() }, 2},
		{"LCP begins anew, and he is another", func(_ *sharedRig, c *caller) {
			c.do(func(now time.Time) {
				c.link = ppp.NewLink(as6("bob", "builder"))
				c.network, c.six.host = nil, nil
				c.link.Open(now)
				c.link.Up(now)
			})
			time.Sleep(10 * time.Second)
			c.wantUp("he is bob now")
		}, 4},
		{"IPCP alone goes down, and up again", func(_ *sharedRig, c *caller) {
			c.write(ppp.Packet{Code: ppp.ConfigureRequest, ID: 77, Data: option(3, 198, 51, 100, 2)}.AppendFrame(nil, ppp.ProtoIPCP))
			time.Sleep(10 * time.Second)
			c.wantUp("the gateway has negotiated once more")
		}, 3},
		{"his prefix is lost", func(r *sharedRig, _ *caller) {
			r.isp.do(func(now time.Time) { s := r.isp.one(""); s.link.Close(now); s.drain(now) })
		}, 2},
		{"the operator", func(r *sharedRig, _ *caller) {
			if err := r.gw.Hangup("virtual/1"); err != nil {
				r.t.Error(err)
			}
		}, 2},
		{"a stop", func(r *sharedRig, _ *caller) { r.stop() }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSharedRig6(t, nil)
				sub := r.gw.Subscribe(1000)
				c := r.login("virtual/1", as6("alice", "wonderland"))
				time.Sleep(10 * time.Second)
				if c.address6() == "" || c.address().String() != "198.51.100.2" {
					t.Errorf("alice has %v and %s", c.address(), c.address6())
				}
				tt.bring(r, c)
				time.Sleep(20 * time.Second)
				r.end()
				had := holdings{t: t}
				for len(sub.C()) > 0 {
					had.see(<-sub.C())
				}
				sub.Close()
				had.wantNone("all is over")
				if had.seen != tt.want {
					t.Errorf("%d addresses were had, want %d", had.seen, tt.want)
				}
			})
		})
	}
}

// Whoever has given up IPv4 while he waited for a session is given no address when
// it comes: nobody else could have it.
func TestAddressThatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := makeSharedRig6(t, nil)
		r.isp.do(func(time.Time) { r.isp.silent = true })
		r.begin()
		c := r.call("virtual/1", as6("alice", "wonderland"))
		c.wantDown("no session is up")
		request := ppp.Packet{Code: ppp.ConfigureRequest, ID: 1}.AppendFrame(nil, ppp.ProtoIPCP)
		c.write(ppp.Packet{Code: ppp.ProtocolReject, ID: 1, Data: request}.AppendFrame(nil, ppp.ProtoLCP))
		r.isp.do(func(time.Time) { r.isp.silent = false })
		r.wantAfter(50*time.Second, EventPrefix, "the session comes up")
		time.Sleep(10 * time.Second)
		if c.address6() == "" {
			t.Error("his IPv6 is as good as any")
		}
		if n := r.gw.shared.pools["customers"].pool.Stats().Taken; n != 0 {
			t.Errorf("%d addresses are taken", n)
		}
		c.hangUp()
		r.wantEmpty("he is gone")
		r.end()
	})
}

// As long as a user waits for a session, the operator sees for what.
func TestWhyAUserWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := makeSharedRig(t, func(c *config.Config) { c.Sessions[0].MaxUsers = 1 })
		r.isp.do(func(time.Time) { r.isp.silent = true })
		r.begin()
		message := func(line, want, why string) {
			t.Helper()
			synctest.Wait()
			if info, _ := r.gw.Line(line); info.Message != want {
				t.Errorf("%s: message %q, want %q", why, info.Message, want)
			}
		}
		patient := as("alice", "wonderland")
		patient.MaxConfigure = 100
		first := r.call("virtual/1", patient)
		message("virtual/1", "no session with the ISP is up", "he waits")
		r.isp.do(func(time.Time) { r.isp.silent = false })
		r.wantAfter(50*time.Second, EventTrunkUp, "the session comes up")
		first.wantUp("he had waited for it")
		message("virtual/1", "", "he is in")
		second := r.call("virtual/2", patient)
		message("virtual/2", "the sessions with the ISP have as many users as they may have", "one is what it takes")
		first.hangUp()
		time.Sleep(5 * time.Second)
		second.wantUp("there is room")
		message("virtual/2", "", "he is in")
		r.end()
	})
}

// Who may be here once and whose line broke without a word is let in again at once,
// if the group says so: the old line ends, with its reason, and what it had is his.
func TestWhenBusyReplace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, func(c *config.Config) { c.Lines[0].Shared.WhenBusy = config.BusyReplace })
		old := r.login("virtual/1", as("carol", "christmas")) // who has an address of her own
		c := r.login("virtual/2", as("carol", "christmas"))
		if a := c.address().String(); a != "198.51.100.77" {
			t.Errorf("carol has %s", a)
		}
		time.Sleep(5 * time.Second)
		if e := r.wantEventOf("virtual/1", EventLineDown, "her old line"); e.Reason != ReasonReplaced || e.Message != "by line virtual/2" {
			t.Errorf("event %+v", e)
		}
		if f := old.finished; f == nil || f.Message != userWords[ReasonReplaced] {
			t.Errorf("at the old line she hears %+v", f)
		}
		r.login("virtual/3", as("carol", "christmas"))
		c.wantDown("and again")

		// A wrong password replaces nobody.
		r.call("virtual/4", as("carol", "hanukkah"))
		time.Sleep(5 * time.Second)
		if _, ok := r.gw.Line("virtual/3"); !ok {
			t.Error("somebody without her password has thrown carol out")
		}
		r.end()
	})
}

// Whoever begins LCP anew while his old session is on its way down is asked anew.
func TestWhenBusyReplaceAndRenegotiate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, func(c *config.Config) { c.Lines[0].Shared.WhenBusy = config.BusyReplace })
		var all []*caller
		for i := range 20 {
			all = append(all, r.dialIn(fmt.Sprintf("virtual/%d", i), as("bob", "builder")))
		}
		for _, c := range all {
			c.do(func(now time.Time) {
				c.link = ppp.NewLink(as("bob", "builder"))
				c.network, c.finished = nil, nil
				c.link.Open(now)
				c.link.Up(now)
			})
		}
		time.Sleep(time.Minute)
		up := 0
		for _, c := range all {
			c.do(func(time.Time) {
				if c.network != nil {
					up++
				}
				if f := c.finished; f != nil && f.Reason == ppp.ReasonAuthDenied {
					t.Errorf("%s was refused: %+v", c.name, f)
				}
			})
		}
		if up != 1 {
			t.Errorf("bob is here %d times", up)
		}
		for _, c := range all {
			c.hangUp()
		}
		r.wantEmpty("all have hung up")
		r.end()
	})
}

// Whoever is moved keeps the name servers of the session that he came from. If these
// are not those of the other one, the operator is told.
func TestDNSOfOneWhoIsMoved(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*config.Config)
		want   string
	}{
		{"another ISP's", nil, "from office; the DNS servers that he knows are of another session"},
		{"the configuration's", func(c *config.Config) { c.Lines[0].Shared.DNS = []netip.Addr{netip.MustParseAddr("192.0.2.53")} }, "from office"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSharedRig(t, func(c *config.Config) {
					twoSessions(c)
					if tt.change != nil {
						tt.change(c)
					}
				})
				fall := func(user string) {
					r.isp.do(func(now time.Time) { s := r.isp.one(user); s.link.Close(now); s.drain(now) })
				}
				r.isp.do(func(time.Time) {
					other := *r.isp.cfg.IPv4
					other.DNS = [2]netip.Addr{netip.MustParseAddr("192.0.2.99")}
					r.isp.cfg.IPv4 = &other
				})
				fall("annex@isp")
				time.Sleep(time.Minute)
				c := r.login("virtual/1", as("bob", "builder"))
				if o, a := r.members(); o+a != 1 {
					t.Fatalf("%d and %d users", o, a)
				} else if a == 1 { // both have as much room
					tt.want = strings.Replace(tt.want, "office", "annex", 1)
					fall("annex@isp")
				} else {
					fall("office@isp")
				}
				if e := r.wantEventOf("virtual/1", EventMoved, "there is another session"); e.Message != tt.want {
					t.Errorf("event %+v", e)
				}
				c.wantUp("he has noticed nothing")
				r.end()
			})
		})
	}
}
