package guests

import (
	"fmt"
	"testing"

	"tributary/test/capture"
)

// TestHangup ends a session from every side it can end from. However it ends:
// the AC sees a PADT or has sent one, the user's pppd ends, and the gateway
// has no line left.
func TestHangup(t *testing.T) {
	r := newRig(t, rigOptions{})
	g := r.startTributary(gatewayOptions{})
	tap := r.tapLine(bankTap, bank)
	id := 0

	tests := []struct {
		name   string
		hangup func(r *rig, id int, l lineInfo)
		fromAC bool // the AC ends the session: a PADT comes from it
		killed bool // pppd was killed: nothing of it is left to wait for
	}{
		{name: "user ends PPP", hangup: func(r *rig, id int, _ lineInfo) {
			r.must(r.user, fmt.Sprintf("kill $(head -n1 /run/ppp-l%d.pid)", id))
		}},
		{name: "user vanishes", killed: true, hangup: func(r *rig, id int, _ lineInfo) {
			// Its nc ends with it, so this is a TCP connection closed without a word of PPP.
			r.must(r.user, fmt.Sprintf("kill -9 $(head -n1 /run/ppp-l%d.pid); killall -q nc; true", id))
		}},
		{name: "line is cut", hangup: func(*rig, int, lineInfo) { tap.cut() }},
		{name: "ISP ends PPP", fromAC: true, hangup: func(r *rig, _ int, _ lineInfo) {
			r.must(r.isp, "killall pppd")
		}},
		{name: "ISP ends the session", fromAC: true, hangup: func(r *rig, _ int, _ lineInfo) {
			// pppd dies without an LCP word; the server sees it and sends a PADT.
			r.must(r.isp, "killall -9 pppd")
		}},
		{name: "operator hangs up", hangup: func(r *rig, _ int, l lineInfo) {
			if _, err := g.ctl("hangup", l.Name); err != nil {
				r.t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		id++
		ok := t.Run(tt.name, func(t *testing.T) {
			r := r.in(t)
			g := g.in(r)
			r.dialAt("tcp "+bankTap, id, "")
			l := g.up(1)[0]
			seen := len(r.wire.All(padtOf(l.SessionID)))

			tt.hangup(r, id, l)
			r.want("the session is ended with a PADT", seen+1, padtOf(l.SessionID))
			if tt.fromAC {
				r.want("the PADT is the AC's", 1, capture.IsDiscovery(false, capture.PADT, l.SessionID))
			} else {
				r.want("the PADT is ours", 1, capture.IsDiscovery(true, capture.PADT, l.SessionID))
			}
			if tt.killed {
				r.must(r.user, fmt.Sprintf("rm -f /run/ppp-l%d.pid", id))
			}
			r.hasEnded(id, "the user's pppd sees the end")
			g.none("the line is gone")
			r.ispSessions(0, "the ISP has no session left")
		})
		if !ok {
			t.FailNow() // what is left over would fail the rest too
		}
	}
}

// padtOf is a condition: a PADT of that session, from either side.
func padtOf(sid uint16) func(capture.Frame) bool {
	return func(f capture.Frame) bool {
		return f.EtherType == capture.Discovery && f.Code == capture.PADT && f.SessionID == sid
	}
}

// TestStop ends the gateway with sessions up: the AC is told of each, the
// users see it, and the exit is clean.
func TestStop(t *testing.T) {
	r := newRig(t, rigOptions{})
	g := r.startTributary(gatewayOptions{})
	for id := 1; id <= 3; id++ {
		r.dial(id, "")
	}
	lines := g.up(3)
	g.stop()
	for _, l := range lines {
		r.want(fmt.Sprintf("session %d is ended with a PADT", l.SessionID), 1, capture.IsDiscovery(true, capture.PADT, l.SessionID))
	}
	r.ispSessions(0, "every session has ended at the ISP")
	for id := 1; id <= 3; id++ {
		r.hasEnded(id, "the users see the end")
	}
}

// TestCrash kills the gateway with sessions up. The next life ends them at the
// AC, which still believes in them, and serves new users.
func TestCrash(t *testing.T) {
	r := newRig(t, rigOptions{})
	g := r.startTributary(gatewayOptions{})
	r.dial(1, "")
	r.dial(2, "")
	lines := g.up(2)
	g.kill()
	r.hasEnded(1, "its line has gone down with the gateway")
	r.hasEnded(2, "its line has gone down with the gateway")
	if got := r.wire.All(capture.IsDiscovery(true, capture.PADT, 0)); len(got) > 0 {
		t.Fatalf("%d PADTs from a gateway that was killed", len(got))
	}
	r.ispSessions(2, "the ISP does not know yet")

	g.start()
	for _, l := range lines {
		r.want(fmt.Sprintf("session %d, left over, is ended with a PADT", l.SessionID), 1, capture.IsDiscovery(true, capture.PADT, l.SessionID))
	}
	r.ispSessions(0, "the ISP has freed the sessions")
	r.dial(3, "")
	r.ping(3, 3, 56)
	g.up(1)
}

// TestACReboot takes the AC's memory away. It knows no session any more and
// says nothing; the gateway finds that out by its own LCP echoes, hangs up, and
// the next call finds the new server.
func TestACReboot(t *testing.T) {
	r := newRig(t, rigOptions{})
	g := r.startTributary(gatewayOptions{uplink: "echo: {interval: 1s, failures: 3}"})
	r.dial(1, "")
	l := g.up(1)[0]

	r.must(r.isp, "killall -9 pppoe-server pppd-kernel; killall -9 pppd") // the server first, so that it tells nobody
	r.hasEnded(1, "the gateway has found the AC silent and hung up")
	r.want("should the AC know the session after all, it learns that it has ended", 1, capture.IsDiscovery(true, capture.PADT, l.SessionID))
	g.none("the line is gone")

	r.serve("")
	r.dial(2, "")
	r.ping(2, 3, 56)
}
