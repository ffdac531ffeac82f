package gateway

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/line"
	"tributary/ppp"
)

func TestTrunkIsKeptUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		c := r.login("virtual/1", as("bob", "builder"))
		time.Sleep(time.Hour)
		if n := len(r.isp.dialled()); n != 1 {
			t.Errorf("the session was dialled %d times in an hour of echoes", n)
		}
		c.send(packet{src: "198.51.100.2", dst: "192.0.2.1"}.bytes())
		r.isp.want("the session is still there")
		info, ok := r.gw.Line("session/office")
		if !ok || info.User != "office@isp" || info.Address != "203.0.113.10" || info.Peer != "203.0.113.1" || len(info.DNS) != 2 {
			t.Errorf("line %+v", info)
		}
		r.end()
		if n := len(r.isp.sessions); n != 0 {
			t.Errorf("%d sessions are left at the ISP", n)
		}
	})
}

// gaps are the times between the ISP's sessions, in whole seconds.
func gaps(at []time.Time) (s []time.Duration) {
	for i := 1; i < len(at); i++ {
		s = append(s, at[i].Sub(at[i-1]).Round(time.Second))
	}
	return s
}

func TestTrunkIsDialledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := makeSharedRig(t, func(c *config.Config) {
			c.Sessions[0].Redial = config.Redial{Min: 10 * time.Second, Max: 45 * time.Second}
		})
		r.isp.do(func(time.Time) { r.isp.deny = true })
		r.begin()
		if e := r.wantEvent(EventAuthFailed, "the ISP refuses"); e.Line != "session/office" || e.User != "office@isp" || e.Message != "account unpaid" {
			t.Errorf("event %+v", e)
		}
		time.Sleep(4 * time.Minute)
		if e := r.wantEvent(EventLineDown, "the reason is seen"); e.Reason != ReasonAuthFailed || e.Message != "account unpaid" {
			t.Errorf("event %+v", e)
		}
		// What a dial itself takes comes on top.
		got := gaps(r.isp.dialled())
		if len(got) < 5 || got[0] < 10*time.Second || got[0] > 15*time.Second || got[1] < 20*time.Second || got[2] < 40*time.Second || got[3] < 45*time.Second || got[3] > 51*time.Second || got[4] != got[3] {
			t.Errorf("dialled after %v, want waits of 10, 20, 40, 45 and 45 s", got)
		}
		r.isp.do(func(time.Time) { r.isp.deny = false })
		time.Sleep(time.Minute)
		r.wantEvent(EventTrunkUp, "it was paid")
		before := len(r.isp.dialled())
		r.isp.do(func(now time.Time) { s := r.isp.one(""); s.link.Close(now); s.drain(now) })
		time.Sleep(16 * time.Second)
		if n := len(r.isp.dialled()); n != before+1 {
			t.Errorf("%d dials, want one: a session that worked is dialled again after the least wait", n-before)
		}
		r.end()
	})
}

// falls are the ways in which an ISP ends a session.
var falls = []struct {
	name string
	fall func(*fakeISP, *ispSession, time.Time)
	wait time.Duration // until it is noticed

	reason Reason // of the session's end
}{
	{"PADT", func(i *fakeISP, s *ispSession, now time.Time) {
		i.server.CloseSession(now, s.peer, s.sid, "maintenance")
		delete(i.sessions, s.sid)
		i.drain(now)
	}, 0, ReasonPADT},
	{"Terminate-Request", func(_ *fakeISP, s *ispSession, now time.Time) { s.link.Close(now); s.drain(now) }, 0, ReasonACTerm},
	{"silence", func(i *fakeISP, _ *ispSession, _ time.Time) { i.silent = true }, 3 * time.Minute, ReasonACSilent},
	{"IPCP Terminate-Request", func(i *fakeISP, s *ispSession, _ time.Time) {
		i.send(s.peer, ether.TypeSession, sessionPacket(s.sid, ppp.Packet{Code: ppp.TerminateRequest, ID: 99}.AppendFrame(nil, ppp.ProtoIPCP)))
	}, 0, ReasonNoAddress},
}

func TestTrunkFalls(t *testing.T) {
	const users = 20
	for _, tt := range falls {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSharedRig(t, nil)
				for i := range users {
					r.login(fmt.Sprintf("virtual/%d", i), as("alice", "wonderland"))
				}
				r.isp.do(func(now time.Time) { tt.fall(r.isp, r.isp.one(""), now) })
				time.Sleep(tt.wait)
				r.wantEvent(EventTrunkDown, tt.name)
				time.Sleep(5 * time.Second)
				for range users {
					e := r.wantEvent(EventLineDown, "a user of the session")
					for strings.HasPrefix(e.Line, "session/") {
						e = r.wantEvent(EventLineDown, "a user of the session")
					}
					if e.Reason != ReasonTrunkDown || e.User != "alice" {
						t.Errorf("event %+v", e)
					}
				}
				r.wantEmpty("all were hung up")
				if n := r.gw.Endings()[tt.reason]; n != 1 {
					t.Errorf("the gateway counts %v, want one %s", r.gw.Endings(), tt.reason)
				}
				r.isp.do(func(time.Time) { r.isp.silent = false })
				time.Sleep(2 * time.Minute)
				for i := range users {
					r.login(fmt.Sprintf("again/%d", i), as("alice", "wonderland"))
				}
				r.end()
			})
		})
	}
}

// twoSessions gives the group a second session with the ISP.
func twoSessions(c *config.Config) {
	second := c.Sessions[0]
	second.Name, second.User = "annex", "annex@isp"
	c.Sessions = append(c.Sessions, second)
	c.Lines[0].Shared.Sessions = []string{"office", "annex"}
	c.Lines[0].Shared.OnSessionLoss = config.LossMove
}

// members is how many users each session has.
func (r *sharedRig) members() (office, annex int) {
	synctest.Wait()
	count := func(name string) int {
		t := r.gw.shared.trunks[name]
		t.mu.Lock()
		defer t.mu.Unlock()
		return len(t.members)
	}
	return count("office"), count("annex")
}

func TestUsersMove(t *testing.T) {
	const users = 20
	for _, tt := range falls {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSharedRig(t, twoSessions)
				r.wantEvent(EventTrunkUp, "the second session is up, too")
				var all []*caller
				for i := range users {
					all = append(all, r.login(fmt.Sprintf("virtual/%d", i), as("alice", "wonderland")))
				}
				if o, a := r.members(); o != users/2 || a != users/2 {
					t.Errorf("%d and %d users: they are spread", o, a)
				}
				r.isp.do(func(now time.Time) {
					if tt.name == "silence" {
						delete(r.isp.sessions, r.isp.one("office@isp").sid) // as a card of the ISP's that was pulled out
						return
					}
					tt.fall(r.isp, r.isp.one("office@isp"), now)
				})
				time.Sleep(tt.wait)
				for range users / 2 {
					if e := r.wantEvent(EventMoved, "a user of the session that fell"); e.Uplink != "annex" || e.Message != "from office" {
						t.Errorf("event %+v", e)
					}
				}
				for _, c := range all {
					a := c.address().String()
					c.send(packet{src: a, dst: "192.0.2.1"}.bytes())
					r.isp.want("nobody noticed: " + c.name)
					r.isp.toUsers("annex@isp", packet{src: "192.0.2.1", dst: a}.bytes())
					c.want("and downstream")
				}
				time.Sleep(2 * time.Minute)
				r.isp.do(func(time.Time) {
					if r.isp.one("office@isp") == nil {
						t.Error("the session that fell was not dialled again")
					}
				})
				for i := range 10 {
					r.login(fmt.Sprintf("late/%d", i), as("alice", "wonderland"))
				}
				if o, a := r.members(); o != 10 || a != users {
					t.Errorf("%d and %d users: new ones go where there is more room", o, a)
				}
				for _, c := range all {
					c.hangUp()
				}
				r.end()
			})
		})
	}
}

func TestUsersAreSpreadByRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, func(c *config.Config) {
			twoSessions(c)
			c.Sessions[0].MaxUsers, c.Sessions[1].MaxUsers = 2, 6
		})
		r.wantEvent(EventTrunkUp, "the second session is up, too")
		var all []*caller
		for i := range 8 {
			all = append(all, r.login(fmt.Sprintf("virtual/%d", i), as("alice", "wonderland")))
		}
		if o, a := r.members(); o != 2 || a != 6 {
			t.Errorf("%d and %d users", o, a)
		}
		r.call("virtual/9", as("alice", "wonderland")).wantDown("there is no more room")
		r.isp.do(func(now time.Time) { s := r.isp.one("office@isp"); s.link.Close(now); s.drain(now) })
		time.Sleep(5 * time.Second)
		up := 0
		for _, c := range all {
			c.do(func(time.Time) {
				if c.network != nil {
					up++
				}
			})
		}
		if up != 6 {
			t.Errorf("%d users are left: the other session had no room for two more", up)
		}
		r.end()
	})
}

func TestSessionWantsItsOwnService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, func(c *config.Config) {
			c.Uplinks[0].ServiceName = "home"
			c.Sessions[0].ServiceName = "business"
		})
		if s := r.isp.services; len(s) != 1 || s[0] != "business" {
			t.Errorf("services %q were asked for", s)
		}
		r.end()
	})
}

// An AC that grants no more than 1492 octets gets no more, whatever its MRU is.
func TestSessionIsHeldToWhatPPPoECarries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := makeSharedRig(t, func(c *config.Config) { c.Uplinks[0].MaxPayload = 1500 })
		r.port.SetMTU(1508)
		r.isp.cfg.MRU, r.isp.cfg.MaxMRU = 1500, 1500
		r.begin()
		c := r.login("virtual/1", as("bob", "builder"))
		c.send(packet{src: "198.51.100.2", dst: host, df: true, payload: make([]byte, 1480)}.bytes())
		wantICMP(t, c.want("it does not fit"), gwAddr, "198.51.100.2", 3, 4)
		c.send(packet{src: "198.51.100.2", dst: host, df: true, payload: make([]byte, 1472)}.bytes())
		r.isp.want("this does")
		r.end()
	})
}

// Whoever looks for a session in the moment in which it falls does not join it:
// he would not be told.
func TestNobodyJoinsASessionThatIsDown(t *testing.T) {
	tr := newTrunk(nil, new(config.Session), nil, "")
	s := new(session)
	if tr.join(s, true) || tr.join(s, false) {
		t.Error("a user joined a session that is not up")
	}
	tr.state.Store(new(trunkState))
	if !tr.join(s, true) || len(tr.members) != 1 {
		t.Error("a user could not join")
	}
}

// What comes for a client that has ended is put back.
func TestTrunkLineIsLeftEmpty(t *testing.T) {
	pool := frame.NewPool(8)
	l := newTrunkLine(line.Info{}, pool)
	b := pool.Get()
	b.SetBytes(confReq(1, 5, 1, 2, 3, 4))
	if _, _, err := l.TryWrite([]*frame.Buf{b}); err != nil || len(l.fromAC) != 1 {
		t.Errorf("%v, %d frames wait for the client", err, len(l.fromAC))
	}
	l.Close()
	l.drain()
	if _, _, err := l.TryWrite([]*frame.Buf{b}); err == nil {
		t.Error("a line that is closed takes frames")
	}
	b.Put()
	if n := pool.InUse(); n != 0 {
		t.Errorf("%d buffers were not put back", n)
	}
}
