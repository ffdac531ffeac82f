package gateway

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/ppp"
)

// noAuth has nobody asked who he is.
func noAuth(c *config.Config) { c.Lines[0].Shared.Auth, c.Lines[0].Shared.Users = nil, "" }

func TestLogin(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*config.Config)
		cfg    ppp.LinkConfig
		method ppp.AuthMethod
	}{
		{"CHAP is offered first", nil, as("alice", "wonderland"), ppp.AuthCHAPMD5},
		{"who wants MS-CHAPv2 has it", nil, as("alice", "wonderland", ppp.AuthMSCHAPv2), ppp.AuthMSCHAPv2},
		{"who can PAP only has that", nil, as("alice", "wonderland", ppp.AuthPAP), ppp.AuthPAP},
		{"nobody is asked", noAuth, as("", ""), ppp.AuthNone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSharedRig(t, tt.change)
				c := r.login("virtual/1", tt.cfg)
				n := c.wantUp("the login is good")
				if n.Local != netip.MustParseAddr("198.51.100.2") || n.Peer != netip.MustParseAddr("198.51.100.1") {
					t.Errorf("network %+v: the pool's first address that is not the gateway's", n)
				}
				if n.DNS[0] != netip.MustParseAddr("203.0.113.53") || n.DNS[1] != netip.MustParseAddr("203.0.113.54") {
					t.Errorf("name servers %v: the ISP's are passed on", n.DNS)
				}
				if c.method != tt.method {
					t.Errorf("method %v, want %v", c.method, tt.method)
				}
				e := r.wantEventOf("virtual/1", EventNetworkUp, "he is in")
				if e.User != tt.cfg.Name || e.Uplink != "office" || e.Message != "198.51.100.2" {
					t.Errorf("event %+v", e)
				}
				info, _ := r.gw.Line("virtual/1")
				if info.User != tt.cfg.Name || info.Address != "198.51.100.2" || info.Peer != "198.51.100.1" || info.Uplink != "office" || info.Phase != "network" {
					t.Errorf("line %+v", info)
				}
				if want := tt.method.String(); tt.method != ppp.AuthNone && info.Auth != want {
					t.Errorf("auth %q, want %q", info.Auth, want)
				}
				c.terminate()
				time.Sleep(5 * time.Second)
				if e := r.wantEvent(EventLineDown, "the user hung up"); e.Reason != ReasonUserTerm {
					t.Errorf("event %+v", e)
				}
				r.wantEmpty("after the only user")
				r.end()
			})
		})
	}
}

func TestLoginRefused(t *testing.T) {
	for _, tt := range []struct {
		name    string
		cfg     ppp.LinkConfig
		message string
	}{
		{"wrong password by CHAP", as("alice", "looking-glass"), "wrong-password"},
		{"wrong password by MS-CHAPv2", as("alice", "looking-glass", ppp.AuthMSCHAPv2), "wrong-password"},
		{"wrong password by PAP", as("alice", "looking-glass", ppp.AuthPAP), "wrong-password"},
		{"nobody of that name", as("mallory", "x"), "unknown-user"},
		{"disabled", as("eve", "dropper"), "disabled"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSharedRig(t, nil)
				c := r.call("virtual/1", tt.cfg)
				c.wantDown("he is not let in")
				if e := r.wantEvent(EventAuthFailed, "the operator is told"); e.User != tt.cfg.Name || e.Message != tt.message {
					t.Errorf("event %+v", e)
				}
				time.Sleep(5 * time.Second)
				e := r.wantEvent(EventLineDown, "and the line is hung up")
				if e.Reason != ReasonAuthFailed || e.Message != tt.message {
					t.Errorf("event %+v", e)
				}
				if c.finished == nil || c.finished.Reason != ppp.ReasonAuthDenied && c.finished.Reason != ppp.ReasonPeerTerminated {
					t.Errorf("the caller hears %+v", c.finished)
				}
				r.wantEmpty("nobody was let in")
				r.end()
			})
		})
	}
}

func TestOneWhoAgreesToNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		c := r.call("virtual/1", as("", ""))
		time.Sleep(50 * time.Second)
		c.wantDown("he will not say who he is")
		if e := r.wantEvent(EventLineDown, "and is hung up"); e.Reason != ReasonAuthFailed {
			t.Errorf("event %+v", e)
		}
		r.wantEmpty("nobody was let in")
		r.end()
	})
}

func TestSessionsOfOneUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		first := r.login("virtual/1", as("bob", "builder"))
		r.call("virtual/2", as("bob", "builder")).wantDown("bob may be here once")
		if e := r.wantEvent(EventAuthFailed, "the operator is told"); !strings.Contains(e.Message, "as many sessions") {
			t.Errorf("event %+v", e)
		}
		time.Sleep(5 * time.Second)
		if e := r.wantEvent(EventLineDown, "the second line is hung up"); e.Line != "virtual/2" || e.Reason != ReasonAuthFailed {
			t.Errorf("event %+v", e)
		}
		first.wantUp("the first is not disturbed")
		first.hangUp()
		r.login("virtual/3", as("bob", "builder")).hangUp()
		a, b := r.login("virtual/4", as("alice", "wonderland")), r.login("virtual/5", as("alice", "wonderland"))
		if a.address() == b.address() {
			t.Error("two sessions of one user have one address")
		}
		a.hangUp()
		b.hangUp()
		r.wantEmpty("all have hung up")
		r.end()
	})
}

func TestAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		if a := r.login("virtual/1", as("carol", "christmas")).address(); a.String() != "198.51.100.77" {
			t.Errorf("carol has %v, not her own address", a)
		}
		bob := r.login("virtual/2", as("bob", "builder"))
		was := bob.address()
		bob.hangUp()
		if r.login("virtual/3", as("alice", "wonderland")).address() == was {
			t.Error("an address was given to another while there are fresh ones")
		}
		if again := r.login("virtual/4", as("bob", "builder")).address(); again != was {
			t.Errorf("bob had %v and now has %v", was, again)
		}
		wish := as("alice", "wonderland")
		wish.IPv4 = &ppp.IPv4Config{Local: netip.MustParseAddr("198.51.100.200")}
		if a := r.login("virtual/5", wish).address(); a.String() != "198.51.100.200" {
			t.Errorf("a wish for a free address is not granted: %v", a)
		}
		r.end()
	})
}

func TestPoolEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, func(c *config.Config) { c.Pools[0].Prefix = netip.MustParsePrefix("198.51.100.0/30") })
		first := r.login("virtual/1", as("alice", "wonderland"))
		r.call("virtual/2", as("bob", "builder")).wantDown("there is one address, and alice has it")
		if e := r.wantEvent(EventNoAddress, "the operator is told"); e.User != "bob" || !strings.Contains(e.Message, "customers") {
			t.Errorf("event %+v", e)
		}
		time.Sleep(10 * time.Second)
		if e := r.wantEvent(EventLineDown, "bob is hung up"); e.Reason != ReasonNoAddress || !strings.Contains(e.Message, "every address is taken") {
			t.Errorf("event %+v", e)
		}
		first.hangUp()
		r.login("virtual/3", as("bob", "builder")).hangUp()
		r.wantEmpty("all have hung up")
		r.end()
	})
}

func TestWaysDown(t *testing.T) {
	for _, tt := range []struct {
		name   string
		user   ppp.LinkConfig
		bring  func(*sharedRig, *caller)
		reason Reason
	}{
		{"he drops the line", as("bob", "builder"), func(_ *sharedRig, c *caller) { c.hangUp() }, ReasonHangup},
		{"he terminates", as("bob", "builder"), func(_ *sharedRig, c *caller) { c.terminate() }, ReasonUserTerm},
		{"the operator", as("bob", "builder"), func(r *sharedRig, _ *caller) {
			if err := r.gw.Hangup("virtual/1"); err != nil {
				r.t.Error(err)
			}
		}, ReasonAdmin},
		{"the session with the ISP falls", as("bob", "builder"), func(r *sharedRig, _ *caller) {
			r.isp.do(func(now time.Time) { s := r.isp.one(""); s.link.Close(now); s.drain(now) })
		}, ReasonTrunkDown},
		{"he sends nothing for as long as he may", as("dave", "diver"), func(_ *sharedRig, c *caller) {
			time.Sleep(50 * time.Second)
			c.send(packet{src: c.address().String(), dst: "192.0.2.1"}.bytes())
			time.Sleep(50 * time.Second)
			c.wantUp("he sent something a minute ago")
			time.Sleep(80 * time.Second)
		}, ReasonIdle},
		{"his time is up", as("dave", "diver"), func(_ *sharedRig, c *caller) {
			for range 21 {
				c.send(packet{src: "198.51.100.2", dst: "192.0.2.1"}.bytes())
				time.Sleep(30 * time.Second)
			}
		}, ReasonSessionTimeout},
		{"he answers no echo", as("bob", "builder"), func(_ *sharedRig, c *caller) {
			c.do(func(time.Time) { c.link = ppp.NewLink(as("", "")) }) // another PPP, which knows of nothing
			time.Sleep(150 * time.Second)
		}, ReasonUserSilent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSharedRig(t, nil)
				c := r.login("virtual/1", tt.user)
				tt.bring(r, c)
				time.Sleep(5 * time.Second)
				e := r.wantEventOf("virtual/1", EventLineDown, tt.name)
				if e.Reason != tt.reason || e.User != tt.user.Name {
					t.Errorf("event %+v, want %s", e, tt.reason)
				}
				r.wantEmpty(tt.name)
				r.end()
			})
		})
	}
}

func TestNoRoomOnTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, func(c *config.Config) { c.Sessions[0].MaxUsers = 1 })
		first := r.login("virtual/1", as("alice", "wonderland"))
		patient := as("bob", "builder")
		patient.MaxConfigure = 100
		r.call("virtual/2", patient).wantDown("the session has one user, as many as it may have")
		time.Sleep(time.Minute)
		if e := r.wantEvent(EventLineDown, "he waited a minute"); e.Reason != ReasonLoginTimeout || !strings.Contains(e.Message, "as many users") {
			t.Errorf("event %+v", e)
		}
		third, fourth := r.call("virtual/3", patient), r.call("virtual/4", as("carol", "christmas"))
		third.wantDown("still full")
		third.hangUp()
		first.hangUp()
		time.Sleep(10 * time.Second)
		fourth.wantUp("there is room now, and who waited longer is gone")
		fourth.hangUp()
		r.wantEmpty("all have hung up")
		r.end()
	})
}

func TestUserWaitsForTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := makeSharedRig(t, nil)
		r.isp.do(func(time.Time) { r.isp.silent = true })
		r.begin()
		c := r.call("virtual/1", as("bob", "builder"))
		c.wantDown("there is no session with the ISP yet")
		if info, _ := r.gw.Line("virtual/1"); info.User != "bob" {
			t.Errorf("line %+v: he is known already", info)
		}
		time.Sleep(10 * time.Second)
		c.wantDown("still none")
		r.isp.do(func(time.Time) { r.isp.silent = false })
		time.Sleep(20 * time.Second)
		if n := c.wantUp("the session is up, and he was told"); n.DNS[0] != netip.MustParseAddr("203.0.113.53") {
			t.Errorf("name servers %v: the ISP's, known by now", n.DNS)
		}
		r.end()
	})
}

// LCP may come down and up again on a line that stays: whoever he is then, nothing
// of who he was is left.
func TestUserBecomesAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		c := r.login("virtual/1", as("carol", "christmas"))
		c.do(func(now time.Time) {
			c.link = ppp.NewLink(as("bob", "builder"))
			c.network, c.finished = nil, nil
			c.link.Open(now)
			c.link.Up(now)
		})
		time.Sleep(10 * time.Second)
		if a := c.wantUp("a new login").Local; a.String() == "198.51.100.77" {
			t.Error("bob has carol's address")
		}
		if n := r.gw.shared.groups["virtual"].users.tally.Sessions("carol"); n != 0 {
			t.Errorf("carol has %d sessions", n)
		}
		if n := r.gw.shared.groups["virtual"].users.tally.Sessions("bob"); n != 1 {
			t.Errorf("bob has %d sessions", n)
		}
		if n := r.gw.shared.pools["customers"].pool.Stats().Taken; n != 1 {
			t.Errorf("%d addresses are taken", n)
		}
		c.hangUp()
		r.wantEmpty("he has hung up")
		r.end()
	})
}

// An answer of the users file that comes when LCP has come down is about a login
// that is over.
func TestLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		u := r.dial("virtual/1") // who has not said anything yet
		r.gw.mu.Lock()
		s := r.gw.lines["virtual/1"]
		r.gw.mu.Unlock()
		carol, _ := r.gw.shared.groups["virtual"].users.current.Load().Lookup("carol")
		answer := authAnswer{id: 4711, name: "carol"}
		answer.result.OK, answer.result.User = true, carol
		s.owner.post(event{s: s, kind: evAnswer, aux: answer})
		synctest.Wait()
		if n := r.gw.shared.groups["virtual"].users.tally.Sessions("carol"); n != 0 {
			t.Errorf("carol has %d sessions", n)
		}
		u.line.Close()
		synctest.Wait()
		s.owner.post(event{s: s, kind: evAnswer, aux: answer})
		r.wantEmpty("an answer to a line that is gone")
		r.end()
	})
}

// What the verifier cannot take is refused at once, and the operator sees why.
func TestBusyVerifier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		r.gw.shared.verifier.Close() // it takes nothing any more
		r.call("virtual/1", as("alice", "wonderland")).wantDown("nobody could say who he is")
		if e := r.wantEvent(EventAuthFailed, "the operator is told"); e.User != "alice" || !strings.Contains(e.Message, "too many logins") {
			t.Errorf("event %+v", e)
		}
		time.Sleep(5 * time.Second)
		if e := r.wantEvent(EventLineDown, "he is to try again"); e.Reason != ReasonAuthFailed || !strings.Contains(e.Message, "too many logins") {
			t.Errorf("event %+v", e)
		}
		r.wantEmpty("nobody was let in")
		r.end()
	})
}

// A user has the same address after a restart of the gateway.
func TestLeasesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		r := newSharedRig(t, func(c *config.Config) { c.StateDir = dir })
		r.login("virtual/1", as("alice", "wonderland"))
		was := r.login("virtual/2", as("bob", "builder")).address()
		r.restart(func() {})
		time.Sleep(time.Second)
		r.wantEvent(EventTrunkUp, "the session is dialled again")
		if a := r.login("virtual/1", as("bob", "builder")).address(); a != was {
			t.Errorf("bob had %v and has %v", was, a)
		}
		r.end()
		if files, err := os.ReadDir(dir); err != nil || len(files) == 0 {
			t.Errorf("%v, %v: nothing is kept", files, err)
		}
	})
}

// The time to log in holds for every login on a line, not for the first only.
func TestLoginTimeoutAfterLCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, func(c *config.Config) { c.Sessions[0].MaxUsers = 1 })
		first := r.login("virtual/1", as("bob", "builder"))
		patient := as("alice", "wonderland")
		patient.MaxConfigure = 1000
		second := r.call("virtual/2", patient)
		second.wantDown("there is no room")
		first.do(func(time.Time) { // begins anew, and so makes room
			first.link, first.network = ppp.NewLink(patient), nil
			first.write(confReq(9, 5, 1, 2, 3, 4))
		})
		second.wantUp("he had waited for it")
		first.do(func(now time.Time) {
			first.link.Open(now)
			first.link.Up(now)
		})
		time.Sleep(2 * time.Minute)
		second.wantUp("he is not disturbed")
		if e := r.wantEvent(EventLineDown, "the first has waited a minute"); e.Line != "virtual/1" || e.Reason != ReasonLoginTimeout {
			t.Errorf("event %+v", e)
		}
		r.end()
	})
}

// A user may have another pool than his line's, and it has to be there.
func TestPoolOfOneUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "users.yaml")
		if err := os.WriteFile(file, []byte("users: [{name: bob, password: builder, pool: staff}]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var cfg config.Config
		r := newSharedRig(t, func(c *config.Config) {
			c.Lines[0].Shared.Users = file
			c.Pools = append(c.Pools, config.NewPool("staff", netip.MustParsePrefix("10.1.0.0/24")))
			cfg = *c
		})
		c := r.login("virtual/1", as("bob", "builder"))
		if n := c.wantUp("he is in"); n.Local.String() != "10.1.0.1" || n.Peer.String() != gwAddr {
			t.Errorf("network %+v: ours is what it is for all users of the line", n)
		}
		r.isp.toUsers("", packet{src: host, dst: "10.1.0.1"}.bytes())
		c.want("he is reached there")
		r.end()

		cfg.Pools = cfg.Pools[:1]
		_, err := New(Options{Config: &cfg, Log: slog.New(slog.DiscardHandler), Pool: r.pool,
			OpenPort: func(string, *frame.Pool) (ether.Port, error) { return r.hub.Port("eth2", gwMAC, r.pool), nil }})
		if err == nil || !strings.Contains(err.Error(), `yaml:1:46: user "bob": there is no pool "staff"`) {
			t.Errorf("%v", err)
		}
	})
}
