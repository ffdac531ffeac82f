package guests

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestSharedTwo has two sessions with the ISP for one group of lines. Users are
// spread over them, and whose session falls is moved to the other or hung up, as
// the group has it.
func TestSharedTwo(t *testing.T) {
	r := newRig(t, rigOptions{serve: "route=" + routedPrefix})
	const both = "sessions: [office, annex]"
	g := r.startShared(sharedOptions{
		sessions: r.session("annex", "u61", ""),
		more: r.group("pair", viaMove, both, "customers", "on_session_loss: move") +
			r.group("rest", viaHang, both, "neighbours", "user_to_user: local"),
	})
	office, annex := g.session("office"), g.session("annex")
	if office.Address == annex.Address || office.SessionID == annex.SessionID {
		t.Errorf("sessions %d with %s, %d with %s", office.SessionID, office.Address, annex.SessionID, annex.Address)
	}
	r.ispSessions(2, "two sessions for one gateway")
	r.eventually("the ISP has two ways to the pools", func() error {
		if routes := r.must(r.isp, "ip route show "+routedPrefix); strings.Count(routes, "dev ") != 2 {
			return fmt.Errorf("its routes are %q", routes)
		}
		return nil
	})
	ifname := g.routed()
	// The one to fall is the one by which the ISP sends what is for users.
	fall, last := office, annex
	if !strings.Contains(r.must(r.isp, "ip addr show dev "+ifname), "peer "+office.Address+"/") {
		fall, last = annex, office
	}

	addr := map[int]string{}
	on := func(g *gateway, session lineInfo, ids ...int) (those []int) {
		for _, id := range ids {
			if "session/"+g.of(id).Uplink == session.Name {
				those = append(those, id)
			}
		}
		return those
	}
	for id := 1; id <= 6; id++ {
		where := viaMove
		if id > 4 {
			where = viaHang
		}
		addr[id] = r.join(where, id, "")
		r.pings(id, 56, internet)
	}
	moving, staying := on(g, fall, 1, 2, 3, 4), on(g, last, 1, 2, 3, 4)
	falling, lasting := on(g, fall, 5, 6), on(g, last, 5, 6)
	t.Logf("on %s: %v and %v; on %s: %v and %v", fall.Name, moving, falling, last.Name, staying, lasting)
	if len(moving) != 2 || len(staying) != 2 || len(falling) != 1 || len(lasting) != 1 {
		t.Fatal("users are not spread evenly over the two sessions")
	}

	t.Run("one falls", func(t *testing.T) {
		r := r.in(t)
		g := g.in(r)
		// A transfer under way, and pings every tenth of a second, by everybody who is
		// to outlive it.
		remain := slices.Concat(moving, staying, lasting)
		for _, id := range remain {
			r.must(r.user, fmt.Sprintf("rm -f /run/swapped.%d; { swap %d %s 1000000 >/run/swap.log.%d 2>&1; echo $? >/run/swapped.%d; } &\n"+
				"ip netns exec u%d ping -i 0.1 %s >/run/pings.%d 2>&1 & echo $! >/run/ping.pid.%d", id, id, internet, id, id, id, internet, id, id))
		}
		r.eventually("transfers are under way", func() error {
			if n := g.again(fall).Session.DownOctets; n < 200_000 {
				return fmt.Errorf("%d octets down", n)
			}
			return nil
		})
		r.must(r.isp, "kill -9 $(cat /run/"+ifname+".pid)")

		for _, id := range falling {
			r.hasEnded(id, "a user of the group that does not move is hung up")
			t.Logf("user %d is told why: %v", id, r.told(id))
		}
		for _, id := range moving {
			r.eventually("the user is on the other session", func() error {
				if on(g, last, id) == nil {
					return fmt.Errorf("user %d is on %q", id, g.of(id).Uplink)
				}
				return nil
			})
			if l := g.of(id); l.Address != addr[id] || l.Phase != "network" {
				t.Errorf("user %d has %s in phase %s, not %s as before", id, l.Address, l.Phase, addr[id])
			}
			if log := r.pppdLog(id); strings.Contains(log, "terminated") || strings.Count(log, "local  IP address") != 1 {
				t.Errorf("pppd of user %d has noticed:\n%s", id, log)
			}
		}
		for _, id := range remain {
			r.eventually(fmt.Sprintf("the transfer of user %d comes to its end", id), func() error {
				if said := r.must(r.user, fmt.Sprintf("cat /run/swapped.%d 2>/dev/null; true", id)); said != "0" {
					return fmt.Errorf("it says %q", said)
				}
				return nil
			})
			out := r.must(r.user, fmt.Sprintf("kill -INT $(cat /run/ping.pid.%d); while kill -0 $(cat /run/ping.pid.%d) 2>/dev/null; do sleep 0.05; done; tail -n 3 /run/pings.%d", id, id, id))
			sent, back := pingCounts(out)
			t.Logf("user %d: %d pings, %d back", id, sent, back)
			if sent < 10 || back < sent/2 {
				t.Errorf("pings of user %d have not gone on:\n%s", id, out)
			}
			r.pings(id, 1464, internet)
		}
	})
	t.Run("and is back", func(t *testing.T) {
		r := r.in(t)
		g := g.in(r)
		if again := g.again(fall); again.SessionID == fall.SessionID {
			t.Errorf("the session is still the one that was killed: %d", again.SessionID)
		}
		// Who moved stays: the next ones have the room that has become free.
		if back := on(g, fall, 1, 2, 3, 4); back != nil {
			t.Errorf("users %v have moved back", back)
		}
		for _, id := range []int{7, 8} {
			r.join(viaMove, id, "")
			if on(g, fall, id) == nil {
				t.Errorf("user %d is on the session that has all the others", id)
			}
			r.pings(id, 56, internet)
		}
		r.pings(1, 56, internet)
	})
}

// again is the same session as it is now.
func (g *gateway) again(l lineInfo) lineInfo {
	g.r.t.Helper()
	return g.session(strings.TrimPrefix(l.Name, "session/"))
}

// pingCounts reads the summary that ping prints at its end.
func pingCounts(out string) (sent, back int) {
	for line := range strings.Lines(out) {
		if n, _ := fmt.Sscanf(line, "%d packets transmitted, %d packets received", &sent, &back); n == 2 {
			return sent, back
		}
	}
	return 0, 0
}
