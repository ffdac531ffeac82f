package gateway

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/ppp"
)

// session is what the operator sees of one that users share.
func (r *sharedRig) session(name string) SessionInfo {
	r.t.Helper()
	synctest.Wait()
	all := r.gw.Sessions()
	i := slices.IndexFunc(all, func(s SessionInfo) bool { return s.Name == name })
	if i < 0 {
		r.t.Fatalf("there is no session %s in %+v", name, all)
	}
	return all[i]
}

// A session is seen in each of its states, and most of all in those without a line.
func TestSessionIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := makeSharedRig(t, func(c *config.Config) {
			c.Sessions[0].Redial = config.Redial{Min: 10 * time.Second, Max: time.Minute}
			c.Sessions[0].MaxUsers = 7
			spare := config.NewSession("spare", "isp")
			c.Sessions = append(c.Sessions, spare)
		})
		r.isp.do(func(time.Time) { r.isp.deny, r.isp.silent = true, true })
		r.start()
		synctest.Wait()
		if s := r.session("office"); s.State != SessionDiscovering || s.Dials != 1 || s.InVain != 1 || s.Failure != nil || !s.Since.Equal(time.Now()) {
			t.Errorf("at the start: %+v", s)
		}
		if s := r.session("spare"); s.State != SessionUnused || s.Dials != 0 {
			t.Errorf("one that nobody uses: %+v", s)
		}
		r.isp.do(func(time.Time) { r.isp.silent = false })
		time.Sleep(5 * time.Second)
		down := r.session("office")
		if down.State != SessionWaiting || down.Failure == nil || down.Failure.Reason != ReasonAuthFailed || down.Failure.Message != "account unpaid" {
			t.Errorf("refused by the ISP: %+v, failure %+v", down, down.Failure)
		}
		if wait := down.NextDial.Sub(down.Since); wait != 10*time.Second || down.Address != "" || down.SessionID != 0 || down.MTU != 0 {
			t.Errorf("waiting for %v: %+v", wait, down)
		}
		if _, ok := r.gw.Line(down.Line); ok {
			t.Errorf("there is a line %s meanwhile", down.Line)
		}

		r.isp.do(func(time.Time) { r.isp.deny = false })
		time.Sleep(time.Until(down.NextDial) + time.Second)
		r.wantEvent(EventTrunkUp, "it was paid")
		c := r.login("virtual/1", as("bob", "builder"))
		before := r.session("office").Traffic
		up := packet{src: c.address().String(), dst: host}.bytes()
		c.send(up)
		r.isp.want("what a user sends is of the session")
		s := r.session("office")
		if s.Traffic.UpFrames != before.UpFrames+1 || s.Traffic.UpOctets != before.UpOctets+uint64(len(up))+2 {
			t.Errorf("up %+v, and before %+v", s.Traffic, before)
		}
		if s.State != SessionUp || s.Dials != 2 || s.InVain != 0 || s.Users != 1 || s.MaxUsers != 7 || s.Failure.Message != "account unpaid" || !s.NextDial.IsZero() {
			t.Errorf("up: %+v", s)
		}
		if s.User != "office@isp" || s.Uplink != "isp" || s.ACName != "isp" || s.ACMAC != ispMAC.String() || s.SessionID == 0 ||
			s.Peer != "203.0.113.1" || !strings.HasPrefix(s.Address, "203.0.113.") || len(s.DNS) != 2 || s.MTU != 1492 || s.NAT != nil {
			t.Errorf("up: %+v", s)
		}

		r.isp.do(func(time.Time) { r.isp.askAnew(); r.isp.silent = true })
		if s := r.session("office"); s.State != SessionNegotiating || s.SessionID == 0 || s.Address != "" || s.Users != 1 {
			t.Errorf("the ISP begins anew: %+v", s)
		}
		r.isp.do(func(time.Time) { r.isp.silent = false })
		r.end()
	})
}

// What a session of the gateway's own ends by is told in its own words: it is no user.
func TestSessionFailures(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*fakeISP)
		reason Reason
	}{
		{"the ISP asks for a method that the configuration does not have", func(i *fakeISP) {
			i.cfg.Auth = []ppp.AuthMethod{ppp.AuthPAP}
		}, ReasonACTerm},
		{"it has no address", func(i *fakeISP) { i.cfg.IPv4 = nil }, ReasonNoAddress},
		{"it does not answer", func(i *fakeISP) { i.silent = true }, ReasonNoAC},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := makeSharedRig(t, func(c *config.Config) {
					c.Sessions[0].Auth = []config.Auth{config.AuthCHAPMD5}
					c.Sessions[0].Redial = config.Redial{Min: time.Hour, Max: time.Hour}
				})
				r.isp.do(func(time.Time) { tt.change(r.isp) })
				r.begin()
				time.Sleep(10 * time.Minute) // longer than any attempt takes
				s := r.session("office")
				if s.State != SessionWaiting || s.Failure == nil || s.Failure.Reason != tt.reason {
					t.Errorf("%+v, failure %+v, want %s", s, s.Failure, tt.reason)
				}
				r.end()
			})
		})
	}
}

// An ISP may have no IPv4: a session is up without it.
func TestSessionWithIPv6Only(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := newSharedRig6Only(t, nil)
		if s := r.session("office"); s.State != SessionUp || s.Address != "" || s.Address6 == "" || s.MTU != 1492 || s.Prefix == "" {
			t.Errorf("session %+v", s)
		}
		r.end()
	})
}

func TestSessionAndPoolWithIPv6AndNAT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig6(t, func(c *config.Config) { c.Sessions[0].NAT = true })
		r.login("virtual/1", as6("bob", "builder"))
		s := r.session("office")
		if s.Prefix == "" || !strings.HasPrefix(s.Address6, "2001:db8:ffff:7:") || !slices.Contains(s.DNS, "2001:db8:ffff::53") || s.NAT == nil || s.MaxUsers != 126 {
			t.Errorf("session %+v", s)
		}
		pools := r.gw.Pools()
		if len(pools) != 1 || pools[0].Taken != 1 || pools[0].Size != 252 || pools[0].IPv6 == nil {
			t.Fatalf("pools %+v", pools)
		}
		if six := pools[0].IPv6; six.Prefix == "" || six.DelegatedBy != "office" || six.Taken != 1 || six.Size == 0 {
			t.Errorf("its IPv6 part: %+v", six)
		}
		r.isp.do(func(now time.Time) { s := r.isp.one(""); s.link.Close(now); s.drain(now) })
		time.Sleep(500 * time.Millisecond)
		if s := r.session("office"); s.NAT == nil || s.NAT.Users != 0 || s.Prefix != "" || s.Address6 != "" || s.MTU != 0 || len(s.DNS) != 0 {
			t.Errorf("down: %+v", s)
		}
		r.end()
	})
}

// A user who is let in and has to wait is seen with what he waits for.
func TestWaitingUserIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := makeSharedRig(t, func(c *config.Config) { c.Sessions[0].MaxUsers = 1 })
		r.isp.do(func(time.Time) { r.isp.silent = true })
		r.begin()
		bob := r.call("virtual/1", as("bob", "builder"))
		time.Sleep(5 * time.Second)
		wait := func(name, message, user, address string) {
			t.Helper()
			synctest.Wait()
			l, ok := r.gw.Line(name)
			if !ok || l.Mode != "shared" || l.Message != message || l.User != user || l.Address != address {
				t.Errorf("line %+v, want %s with address %q and message %q", l, user, address, message)
			}
		}
		wait("virtual/1", "no session with the ISP is up", "bob", "")
		r.isp.do(func(time.Time) { r.isp.silent = false })
		time.Sleep(30 * time.Second)
		r.wantEvent(EventTrunkUp, "the ISP is there")
		bob.wantUp("he has waited long enough")
		wait("virtual/1", "", "bob", bob.address().String())
		r.call("virtual/2", as("alice", "wonderland"))
		time.Sleep(5 * time.Second)
		wait("virtual/2", "the sessions with the ISP have as many users as they may have", "alice", "")
		r.end()
	})
}
