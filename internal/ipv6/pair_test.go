package ipv6

import (
	"fmt"
	"net/netip"
	"sort"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// session is a PPPoE session with an ISP: at our end a Host and a Delegation, at
// the other a Router and a Delegator. Its link loses, repeats and delays.
type session struct {
	now     time.Time
	host    *Host
	client  *Delegation
	router  *Router
	server  *Delegator
	fate    func() (lose, repeat bool, delay time.Duration)
	packets []flight
	sent    int
	events  []DelegationOut
	log     strings.Builder
	all     [][]byte // everything that was said
}

// flight is a packet on its way, to us or to the ISP.
type flight struct {
	at    time.Time
	order int
	toUs  bool
	pkt   []byte
}

func newSession(t interface{ Fatal(...any) }, random func(int64) int64, fate func() (bool, bool, time.Duration)) *session {
	server, err := NewDelegator(DelegatorConfig{
		DUID: ispDUID, Local: peerID, Pool: prefix("2001:db8::/52"), Bits: 56,
		Preferred: 10 * time.Minute, Valid: 20 * time.Minute, RapidCommit: random(2) == 1, DNS: []netip.Addr{addr("2001:db8::53")},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &session{
		now: start, fate: fate, server: server,
		host:   NewHost(HostConfig{Local: ourID, MTU: 1492, Random: random}),
		client: NewDelegation(DelegationConfig{DUID: ourDUID, IAID: 7, Local: ourID, Random: random}),
		router: NewRouter(RouterConfig{Local: peerID, MTU: 1480, DNS: []netip.Addr{addr("2001:db8::53")}, Random: random}),
	}
	s.router.SetPrefix(start, Prefix{Prefix: prefix("2001:db8:ffff::/64")})
	s.router.Start(start)
	s.host.Start(start)
	s.client.Start(start)
	return s
}

func (s *session) drain() {
	for _, p := range packets(s.host.Next, nil) {
		s.send(false, p)
	}
	for _, p := range packets(s.client.Next, &s.events) {
		s.send(false, p)
	}
	for _, p := range packets(s.router.Next, nil) {
		s.send(true, p)
	}
	for _, p := range packets(s.server.Next, nil) {
		s.send(true, p)
	}
}

func (s *session) send(toUs bool, pkt []byte) {
	lose, repeat, delay := s.fate()
	s.all = append(s.all, pkt)
	fmt.Fprintf(&s.log, "%9v to us %-5v lost %-5v repeated %-5v delayed %v: %x\n", s.now.Sub(start), toUs, lose, repeat, delay, pkt[40:min(len(pkt), 60)])
	for i := 0; !lose && i < 2; i++ {
		s.sent++
		s.packets = append(s.packets, flight{s.now.Add(delay), s.sent, toUs, pkt})
		if !repeat {
			return
		}
		_, _, delay = s.fate()
	}
}

// step goes on to whatever comes next, but not past end; false if nothing does.
func (s *session) step(end time.Time) bool {
	s.drain()
	sort.Slice(s.packets, func(i, j int) bool {
		a, b := s.packets[i], s.packets[j]
		return a.at.Before(b.at) || a.at.Equal(b.at) && a.order < b.order
	})
	next := earlier(earlier(s.host.Deadline(), s.client.Deadline()), earlier(s.router.Deadline(), s.server.Deadline()))
	if len(s.packets) > 0 {
		next = earlier(next, s.packets[0].at)
	}
	if next.IsZero() || next.After(end) {
		return false
	}
	s.now = later(s.now, next)
	for len(s.packets) > 0 && !s.packets[0].at.After(s.now) {
		f := s.packets[0]
		s.packets = s.packets[1:]
		if f.toUs {
			s.host.Input(s.now, f.pkt)
			s.client.Input(s.now, f.pkt)
		} else {
			s.router.Input(s.now, f.pkt)
			s.server.Input(s.now, 1, f.pkt)
		}
	}
	s.server.Tick(s.now)
	s.router.Tick(s.now)
	s.host.Tick(s.now)
	s.client.Tick(s.now)
	return true
}

// Whatever the link does, we use no prefix that the ISP may give to someone else;
// and when it behaves again, all is soon as it should be.
func TestClientAgainstServer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		random := func(n int64) int64 {
			seed = seed*6364136223846793005 + 1442695040888963407
			return int64(seed>>33) % n
		}
		loss := rapid.IntRange(0, 90).Draw(t, "loss")
		dup := rapid.IntRange(0, 50).Draw(t, "duplication")
		delay := rapid.SampledFrom([]time.Duration{0, 20 * time.Millisecond, 3 * sec, 40 * sec}).Draw(t, "delay")
		faulty := true
		s := newSession(t, random, func() (bool, bool, time.Duration) {
			if !faulty {
				return false, false, 20 * time.Millisecond
			}
			return random(100) < int64(loss), random(100) < int64(dup), time.Duration(random(int64(delay) + 1))
		})
		check := func() {
			lease, _ := s.client.Lease()
			for _, p := range lease.Prefixes {
				i, ok := s.server.index(p.Prefix)
				if !ok || s.server.owners[i] == nil || string(s.server.owners[i].key.duid) != string(ourDUID) {
					// A Reply that was delayed: the client's time began when it came, so
					// that it may end later by as much as that.
					if !s.now.Before(p.Valid.Add(-delay)) {
						continue
					}
					t.Fatalf("after %v we use %v until %v, which is not ours\n%s", s.now.Sub(start), p.Prefix, p.Valid.Sub(start), s.log.String())
				}
			}
		}
		forget := rapid.Bool().Draw(t, "the server forgets")
		for s.step(at(2 * time.Hour)) {
			check()
		}
		faulty = false
		s.now = at(2 * time.Hour)
		if forget {
			for _, b := range s.server.owners {
				if b != nil {
					s.server.free(b)
				}
			}
		}
		// Twice the longest wait between Solicits of someone who has looked for two
		// hours, and one renewal.
		for s.step(at(5 * time.Hour)) {
			if !forget {
				check()
			}
		}
		lease, ok := s.client.Lease()
		if !ok || s.client.State() != DelegationBound && s.client.State() != DelegationRenewing {
			t.Fatalf("in the end we are %v\n%s", s.client.State(), s.log.String())
		}
		if i, ok := s.server.index(lease.Prefixes[0].Prefix); !ok || s.server.owners[i] == nil {
			t.Fatalf("in the end we have %v and the server has not", lease)
		}
		want := HostState{
			Router: LinkLocal(peerID), Addresses: []netip.Addr{addr("2001:db8:ffff:0:200:ff:fe00:1")},
			DNS: []netip.Addr{addr("2001:db8::53")}, MTU: 1480, HopLimit: 64,
		}
		if got := s.host.State(); !got.equal(&want) {
			t.Fatalf("in the end the host knows %+v", got)
		}
		s.client.Release(s.now)
		for s.step(at(6*time.Hour)) && s.client.State() != DelegationDown {
		}
		if len(s.server.bindings) != 0 {
			t.Fatal("a released prefix is still bound")
		}
	})
}
