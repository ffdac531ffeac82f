package gateway

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/aaa"
	"tributary/internal/config"
	"tributary/internal/ip"
	"tributary/ppp"
)

// again has the user's PPP begin anew on the line that is up.
func (c *caller) again(cfg ppp.LinkConfig) {
	c.do(func(now time.Time) {
		c.link = ppp.NewLink(cfg)
		c.link.Open(now)
		c.link.Up(now)
	})
	synctest.Wait()
}

// A line that asks to be verified again and again has one request at a time, so
// that others are let in meanwhile.
func TestOneLineDoesNotFillTheVerifier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		slow := make(chan struct{})
		users := r.gw.shared.groups["virtual"].users.current.Load()
		for range verifyWorkers { // hashes that take their time
			r.gw.shared.verifier.Verify(users, ppp.AuthRequest{Method: ppp.AuthPAP, Name: "x"}, func(aaa.Result) { <-slow })
		}
		m := r.call("virtual/1", as("mallory", "x", ppp.AuthPAP))
		for range verifyQueue + 10 {
			m.again(as("mallory", "x", ppp.AuthPAP))
		}
		b := r.call("virtual/2", as("bob", "builder"))
		m.again(as("alice", "wonderland", ppp.AuthPAP))
		close(slow)
		b.wantUp("bob's request was not refused for want of room")
		m.wantUp("the newest request counts")
		r.end()
	})
}

// Who never logs in has no more time for negotiating LCP again.
func TestLoginTimeoutIsNotDodged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, func(c *config.Config) { c.Lines[0].Shared.LoginTimeout = time.Minute })
		cfg := as("alice", "wrong", ppp.AuthPAP)
		cfg.Name, cfg.Secret, cfg.Accept = "", "", []ppp.AuthMethod{}
		c := r.call("virtual/1", cfg)
		for range 4 {
			time.Sleep(19 * time.Second)
			c.again(cfg)
		}
		synctest.Wait()
		if _, ok := r.gw.Line("virtual/1"); ok {
			t.Error("the line is still there")
		}
		r.end()
	})
}

// The time that a user may stay begins with his login, and ends with it.
func TestSessionTimeIsTheLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		c := r.login("virtual/1", as("alice", "wonderland")) // without a limit
		time.Sleep(11 * time.Minute)
		c.again(as("dave", "diver")) // ten minutes
		c.wantUp("dave is in")
		time.Sleep(time.Second)
		if _, ok := r.gw.Line("virtual/1"); !ok {
			t.Fatal("dave's time was up before it began")
		}
		c.again(as("alice", "wonderland"))
		c.wantUp("alice is in again")
		time.Sleep(11 * time.Minute)
		if _, ok := r.gw.Line("virtual/1"); !ok {
			t.Error("alice was hung up when dave's time was up")
		}
		r.end()
	})
}

// Nothing goes past NAT by way of another session.
func TestNothingGoesPastNAT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, func(c *config.Config) {
			twoSessions(c)
			c.Sessions[0].NAT = true
		})
		for i := range 2 {
			c := r.login(fmt.Sprintf("virtual/%d", i), as("alice", "wonderland"))
			l, _ := r.gw.Line(c.name)
			for _, via := range []string{"office", "annex"} {
				r.isp.toUsers(via+"@isp", packet{src: host, dst: c.address().String(), payload: udp(7, 7, []byte("x"))}.bytes())
				synctest.Wait()
				if got, want := len(c.got), via == "annex" && l.Uplink == "annex"; got > 0 != want {
					t.Errorf("a user of %s got %d packets by way of %s", l.Uplink, got, via)
				}
				c.got = nil
			}
		}
		r.end()
	})
}

// An ICMP error about a packet from outside quotes it as it was sent: its sender
// knows nothing of the address behind NAT, and is not told of it.
func TestErrorsQuoteWhatWasSentToNAT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, func(c *config.Config) { c.Sessions[0].NAT = true })
		c := r.login("virtual/1", as("alice", "wonderland"))
		c.send(packet{src: c.address().String(), dst: host, payload: udp(7, 7, []byte("x"))}.bytes())
		out := r.isp.want("her packet, translated")
		port := binary.BigEndian.Uint16(out[20:])
		external := ip.AddrFrom4(header(t, out).Src).String()
		sent := packet{src: host, dst: external, ttl: 1, payload: udp(7, port, []byte("answer"))}.bytes()
		r.isp.toUsers("", sent)
		e := r.isp.want("its time is over")
		wantICMP(t, e, external, host, 11, 0)
		if got := e[28:]; !bytes.HasPrefix(got, sent[:28]) {
			t.Errorf("quoted is\n% x, sent was\n% x", got[:28], sent[:28])
		}
		r.end()
	})
}

// The ISP may give the session an address of the prefix that it routes there.
func TestSessionsAddressIsNobodyElses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := makeSharedRig(t, nil)
		r.isp.address = netip.MustParseAddr("198.51.100.2")
		r.begin()
		c := r.login("virtual/1", as("alice", "wonderland"))
		if c.address() == r.gw.shared.trunks["office"].state.Load().local {
			t.Fatalf("alice has the session's address %v", c.address())
		}
		r.isp.toUsers("", packet{src: host, dst: c.address().String(), payload: udp(7, 7, []byte("x"))}.bytes())
		synctest.Wait()
		if len(c.got) != 1 {
			t.Errorf("alice got %d packets", len(c.got))
		}
		r.end()
		if n := r.gw.Pools()[0].Taken; n != 0 {
			t.Errorf("%d addresses are still taken", n)
		}
	})
}
