package nat

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tributary/internal/ip"
)

// naive is a NAT as RFC 4787 describes it: a list of sessions, searched from end
// to end. It does not choose ports: it learns them.
type naive struct {
	filtering Filtering
	sessions  []*naiveSession
}

type naiveSession struct {
	user     uint32
	inside   netip.AddrPort
	outside  netip.AddrPort
	protocol uint8
	external uint16
	expires  time.Duration
}

var naiveTimeouts = map[uint8]time.Duration{ip.ProtoUDP: 300 * time.Second, ip.ProtoTCP: 240 * time.Second, ip.ProtoICMP: 60 * time.Second}

// over forgets what the sweep of this second has: a session is looked at in the
// second after it expires.
func (m *naive) over(now time.Duration) {
	kept := m.sessions[:0]
	for _, s := range m.sessions {
		if now/time.Second <= s.expires/time.Second {
			kept = append(kept, s)
		}
	}
	m.sessions = kept
}

func (m *naive) mapping(user uint32, inside netip.AddrPort, protocol uint8) (external uint16, ok bool) {
	for _, s := range m.sessions {
		if s.user == user && s.inside == inside && s.protocol == protocol {
			return s.external, true
		}
	}
	return 0, false
}

func (m *naive) out(now time.Duration, user uint32, inside, outside netip.AddrPort, protocol uint8, external uint16) {
	for _, s := range m.sessions {
		if s.user == user && s.inside == inside && s.protocol == protocol && s.outside == outside {
			s.expires = now + naiveTimeouts[protocol]
			return
		}
	}
	m.sessions = append(m.sessions, &naiveSession{
		user: user, inside: inside, outside: outside, protocol: protocol, external: external,
		expires: now + naiveTimeouts[protocol],
	})
}

// in is who gets a packet from outside.
func (m *naive) in(now time.Duration, outside netip.AddrPort, protocol uint8, external uint16) (user uint32, inside netip.AddrPort, v Verdict) {
	v = NoMapping
	for _, s := range m.sessions {
		if s.external != external || s.protocol != protocol {
			continue
		}
		user, inside = s.user, s.inside
		if v == NoMapping {
			v = Filtered
		}
		same := s.outside == outside
		if protocol == ip.ProtoICMP {
			same = s.outside.Addr() == outside.Addr()
		}
		if same && protocol == ip.ProtoTCP {
			s.expires = now + naiveTimeouts[protocol]
		}
		if same || m.filtering == EndpointIndependent || m.filtering == AddressDependent && s.outside.Addr() == outside.Addr() {
			v = Forward
		}
	}
	return user, inside, v
}

// The NAT is the naive one, with everything that may happen in any order, and its
// ports are what the configuration says.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// Where filtering does not look at the outside port the NAT has one session
		// for what are several of the naive one, all renewed at once; so the hosts
		// outside have one port each, except where all of it counts.
		filtering := Filtering(rapid.IntRange(0, 2).Draw(rt, "filtering"))
		cfg := small(Config{Filtering: filtering, BlocksPerUser: 2, HoldDown: -1})
		r := newRig(t, cfg)
		r.join(3)
		m := &naive{filtering: filtering}

		users := map[uint32]string{1: aliceAddr, 2: bobAddr, 3: "10.0.0.3"}
		hosts := []string{server, other}
		outsidePort := func(i int) uint16 {
			if filtering == AddressAndPortDependent {
				return uint16(7000 + i%3)
			}
			return 7000
		}
		packet := func(protocol uint8, from, to netip.AddrPort, outward bool) []byte {
			switch protocol {
			case ip.ProtoUDP:
				return udpPacket(t, from.Addr().String(), from.Port(), to.Addr().String(), to.Port())
			case ip.ProtoTCP:
				flags := uint8(synFlag)
				if !outward {
					flags |= ackFlag
				}
				return tcpPacket(t, from.Addr().String(), from.Port(), to.Addr().String(), to.Port(), flags)
			}
			typ, id := uint8(echoReply), to.Port()
			if outward {
				typ, id = echo, from.Port()
			}
			return icmpPacket(t, from.Addr().String(), to.Addr().String(), typ, id)
		}
		endpoint := func(a string, port uint16) netip.AddrPort { return netip.AddrPortFrom(netip.MustParseAddr(a), port) }
		protocols := rapid.SampledFrom([]uint8{ip.ProtoUDP, ip.ProtoTCP, ip.ProtoICMP})

		rt.Repeat(map[string]func(*rapid.T){
			"out": func(rt *rapid.T) {
				user := uint32(rapid.IntRange(1, 3).Draw(rt, "user"))
				protocol := protocols.Draw(rt, "protocol")
				inside := endpoint(users[user], uint16(rapid.IntRange(1, 50).Draw(rt, "port")))
				outside := endpoint(rapid.SampledFrom(hosts).Draw(rt, "host"), outsidePort(rapid.IntRange(0, 2).Draw(rt, "outside")))
				if protocol == ip.ProtoICMP {
					outside = endpoint(outside.Addr().String(), 0)
				}
				b := packet(protocol, inside, outside, true)
				_, v := r.out(user, b)
				known, ok := m.mapping(user, inside, protocol)
				switch {
				case v == NoPort || v == NoBlock:
					if ok {
						rt.Fatalf("%v for an endpoint that has port %d", v, known)
					}
					return
				case v != Forward:
					rt.Fatalf("out: %v", v)
				}
				port := sport(b)
				if ok && port != known {
					rt.Fatalf("port %d, which was %d", port, known)
				}
				if !ok {
					if got, _, v := m.in(r.now, outside, protocol, port); v != NoMapping {
						rt.Fatalf("port %d is user %d's", port, got)
					}
					for _, s := range m.sessions {
						if s.user != user && s.external/16 == port/16 {
							rt.Fatalf("port %d is in the block of user %d", port, s.user)
						}
					}
				}
				if port < 2048 || port > 2111 {
					rt.Fatalf("port %d", port)
				}
				m.out(r.now, user, inside, outside, protocol, port)
			},
			"in": func(rt *rapid.T) {
				protocol := protocols.Draw(rt, "protocol")
				port := uint16(rapid.IntRange(2040, 2120).Draw(rt, "port"))
				if len(m.sessions) > 0 && rapid.Bool().Draw(rt, "known") {
					s := rapid.SampledFrom(m.sessions).Draw(rt, "session")
					protocol, port = s.protocol, s.external
				}
				outside := endpoint(rapid.SampledFrom(hosts).Draw(rt, "host"), outsidePort(rapid.IntRange(0, 2).Draw(rt, "outside")))
				b := packet(protocol, outside, endpoint(shared, port), false)
				got, v := r.in(b)
				user, inside, want := m.in(r.now, outside, protocol, port)
				if v != want || v == Forward && got != user {
					rt.Fatalf("in: %v for %d, want %v for %d", v, got, want, user)
				}
				if v == Forward && fmt.Sprint(ip.AddrFrom4(ip.Dest4(b)), dport(b)) != fmt.Sprint(inside.Addr(), inside.Port()) {
					rt.Fatalf("in: to %v:%d, want %v", ip.AddrFrom4(ip.Dest4(b)), dport(b), inside)
				}
			},
			"wait": func(rt *rapid.T) {
				r.now += time.Duration(rapid.IntRange(0, 200_000).Draw(rt, "ms")) * time.Millisecond
				r.tick()
				m.over(r.now)
			},
			"leave": func(rt *rapid.T) {
				user := uint32(rapid.IntRange(1, 3).Draw(rt, "user"))
				r.nat.Leave(r.now, user)
				r.join(user) // an ID is used once, but the model need not know
				kept := m.sessions[:0]
				for _, s := range m.sessions {
					if s.user != user {
						kept = append(kept, s)
					}
				}
				m.sessions = kept
			},
			"": func(rt *rapid.T) {
				r.checkPool()
				ports := map[string]bool{}
				for _, s := range m.sessions {
					ports[fmt.Sprint(s.protocol, s.external)] = true
				}
				if got := r.nat.Stats(); got.Mappings != len(ports) || filtering != EndpointIndependent && got.Sessions != len(m.sessions) {
					rt.Fatalf("%+v, want %d mappings, %d sessions", got, len(ports), len(m.sessions))
				}
			},
		})
		r.nat.Close(r.now)
		r.checkPool()
		if s := r.nat.Stats(); s.Sessions != 0 || s.Mappings != 0 || s.Users != 0 || s.BlocksFree != 4 {
			rt.Fatalf("after Close: %+v", s)
		}
	})
}
