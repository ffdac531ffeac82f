package ppp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// agree fails unless both ends of p say the same about the link.
func (p *pair) agree(t tb) {
	t.Helper()
	a, b := p.a, p.b
	if (a.net == nil) != (b.net == nil) || a.net == nil && a.net6 == nil {
		t.Fatalf("not up: a %v, b %v", a, b)
	}
	for _, d := range []struct{ from, to *end }{{a, b}, {b, a}} {
		s, r := d.from.params, d.to.params
		if s.Line.SendACCM != r.Line.RecvACCM {
			t.Errorf("%s sends by ACCM %08x, %s receives by %08x", d.from.name, s.Line.SendACCM, d.to.name, r.Line.RecvACCM)
		}
		if s.SendMRU > r.RecvMRU {
			t.Errorf("%s sends %d octets, %s takes %d", d.from.name, s.SendMRU, d.to.name, r.RecvMRU)
		}
		if want := d.to.link.lcp.want; s.Line.SendPFC != want.pfc || s.Line.SendACFC != want.acfc {
			t.Errorf("%s: %+v, %s asked for %+v", d.from.name, s, d.to.name, want)
		}
		if up, down := mustLast[LCPUp](t, d.from), mustLast[LCPUp](t, d.to); up.PeerAuth != down.LocalAuth {
			t.Errorf("%s wants %v, %s thinks %v", d.from.name, up.PeerAuth, d.to.name, down.LocalAuth)
		}
		if s, r := d.from.net6, d.to.net6; (s == nil) != (r == nil) || s != nil && r.Peer != 0 && s.Local != r.Peer {
			t.Errorf("%s is %+v, %s is %+v", d.from.name, s, d.to.name, r)
		}
		if d.from.net == nil {
			continue
		}
		// Two configurations may insist on different addresses for one end.
		own, given := d.from.link.cfg.IPv4.Local, d.to.link.ipcp.given()
		insist := own.IsValid() && given.IsValid() && own != given
		if !insist && d.from.net.Local.IsValid() && d.to.net.Peer.IsValid() && d.from.net.Local != d.to.net.Peer {
			t.Errorf("%s is %v, %s says %v", d.from.name, d.from.net.Local, d.to.name, d.to.net.Peer)
		}
	}
}

func mustLast[T Out](t tb, e *end) T {
	t.Helper()
	o, ok := last[T](e)
	if !ok {
		t.Fatalf("%s: no %T", e.name, o)
	}
	return o
}

// acksRepeat watches a wire for Acks that do not repeat a request of the other
// end octet for octet, and for Identifiers used for two different requests in
// a row (RFC 1661 section 5.2, 5.1).
func (p *pair) acksRepeat() {
	type key struct {
		e *end
		p Protocol
	}
	requests := map[key]map[string]bool{}
	p.onFrame = func(from *end, frame []byte) {
		proto, info, _ := Split(frame)
		in, err := ParsePacket(info)
		if err != nil {
			p.t.Errorf("%s sends %x: %v", from.name, frame, err)
			return
		}
		if proto != ProtoLCP && proto != ProtoIPCP && proto != ProtoIPV6CP {
			return
		}
		switch in.Code {
		case ConfigureRequest:
			k := key{from, proto}
			if requests[k] == nil {
				requests[k] = map[string]bool{}
			}
			requests[k][string(info[1:])] = true
		case ConfigureAck:
			if !requests[key{p.other(from), proto}][string(info[1:])] {
				p.t.Errorf("%s acknowledges what was never asked: %x", from.name, info)
			}
		}
	}
}

// reopen starts over what has ended, as an owner does that wants its link up.
func (p *pair) reopen() {
	for _, e := range p.ends() {
		if e.done == nil {
			continue
		}
		e.done = nil
		e.link.Down(p.now)
		p.drain(e)
		e.done = nil
		e.link.Open(p.now)
		p.drain(e)
		e.link.Up(p.now)
		p.drain(e)
	}
}

// converge runs p until the network is up at both ends, reopening what ends.
func (p *pair) converge(why string, d time.Duration) {
	p.t.Helper()
	until := p.now.Add(d)
	for p.reopen(); !p.bothUp(); {
		if !p.step(until) {
			p.t.Fatalf("%s: not up within %v; a: %v, b: %v", why, d, p.a, p.b)
		}
		p.reopen()
	}
}

// TestLossyWire: whatever a bad line loses, doubles and reorders, the link is
// up soon after the line is good again, and both ends agree.
func TestLossyWire(t *testing.T) {
	seeds := 300
	if testing.Short() {
		seeds = 30
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s, c := server(AuthCHAPMD5, AuthPAP), client("user", "secret")
			s.Async, s.PFC, s.ACFC = true, true, true
			c.Async, c.PFC, c.ACCM = true, true, 0x000a0000
			if seed%2 == 0 {
				c.Accept = []AuthMethod{AuthPAP}
			}
			s.EchoInterval, c.EchoInterval = 7*time.Second, 5*time.Second
			s.Rechallenge = 20 * time.Second
			if seed%3 == 0 {
				s.Auth = []AuthMethod{AuthMSCHAPv2, AuthPAP}
			}
			both := seed%4 == 0
			if both {
				s.IPv6, c.IPv6 = &IPv6Config{Local: 1}, &IPv6Config{Local: seed % 8 / 4}
			}
			p := newISP(t, s, c)
			p.rand = rand.New(rand.NewPCG(seed, 1))
			p.faults = faults{loss: 50 + int(seed%5)*100, dup: 100, jitter: 200 * time.Millisecond, until: p.now.Add(40 * time.Second)}
			p.acksRepeat()
			p.begin()
			for p.now.Before(p.faults.until) && p.step(p.faults.until) {
				p.reopen()
			}
			p.now = later(p.now, p.faults.until)
			p.converge("the line is good", 2*time.Minute)
			p.run(40 * time.Second) // what was under way settles
			p.converge("the line is still good", time.Minute)
			ups := count[NetworkUp](p.a) + count[NetworkUp](p.b)
			p.run(10 * time.Minute)
			p.agree(t)
			if n := count[NetworkUp](p.a) + count[NetworkUp](p.b); n != ups {
				t.Errorf("a good line does not stay up: %d times up after %d", n, ups)
			}
			if p.a.leases != 1 {
				t.Errorf("%d addresses in force for one peer", p.a.leases)
			}
			if both && (p.a.net6 == nil || p.b.net6 == nil) {
				t.Errorf("IPv6 is not up: a %v, b %v", p.a, p.b)
			}
		})
	}
}

// TestEveryOrder: two ends, each of which is opened, gets its carrier, is
// closed and loses it in a drawn order, with frames of every moment still under way.
func TestEveryOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, c := server(AuthCHAPMD5), client("user", "secret")
		if rapid.Bool().Draw(rt, "ipv6") {
			s.IPv6, c.IPv6 = &IPv6Config{Local: 1}, &IPv6Config{}
		}
		p := newISP(rt, s, c)
		p.acksRepeat()
		steps := rapid.SliceOfN(rapid.IntRange(0, 11), 0, 60).Draw(rt, "steps")
		for _, s := range steps {
			e := p.ends()[s%2]
			switch s / 2 {
			case 0:
				e.link.Open(p.now)
			case 1:
				e.link.Up(p.now)
			case 2:
				e.link.Close(p.now)
			case 3:
				e.link.Down(p.now)
			case 4:
				p.step(p.now.Add(time.Hour))
			case 5:
				p.run(2 * delay)
			}
			p.drain(e)
		}
		for _, e := range p.ends() {
			e.link.Open(p.now)
			p.drain(e)
			e.link.Up(p.now)
			p.drain(e)
			e.done = nil
		}
		p.converge("opened at last", 5*time.Minute)
		p.run(time.Minute)
		p.agree(rt)
		for _, e := range p.ends() {
			e.link.Close(p.now)
			p.drain(e)
		}
		p.run(time.Minute)
		for _, e := range p.ends() {
			if e.done == nil || e.net != nil || e.net6 != nil || e.up || !e.link.Deadline().IsZero() {
				rt.Errorf("closed: %v, deadline %v", e, e.link.Deadline())
			}
		}
	})
}

// TestAnyTwoConfigurations: two ends of any two configurations come up and
// agree, or both end and say why.
func TestAnyTwoConfigurations(t *testing.T) {
	methods := rapid.SampledFrom([][]AuthMethod{nil, {AuthPAP}, {AuthCHAPMD5}, {AuthPAP, AuthCHAPMD5}, {AuthMSCHAPv2}, {AuthCHAPMD5, AuthMSCHAPv2, AuthPAP}})
	addrs := rapid.SampledFrom([]netip.Addr{{}, addr("192.0.2.1"), addr("198.51.100.7")})
	config := rapid.Custom(func(t *rapid.T) LinkConfig {
		c := LinkConfig{
			Async: rapid.Bool().Draw(t, "async"),
			ACCM:  rapid.SampledFrom([]uint32{0, 0x000a0000, 0xffffffff}).Draw(t, "accm"),
			PFC:   rapid.Bool().Draw(t, "pfc"),
			ACFC:  rapid.Bool().Draw(t, "acfc"),
			MRU:   rapid.SampledFrom([]int{0, 128, 576, 1492, 1500, 4096}).Draw(t, "mru"),
			Auth:  methods.Draw(t, "auth"),
			Name:  "user", Secret: "secret",
			Accept: methods.Draw(t, "accept"),
			IPv4: &IPv4Config{
				Local: addrs.Draw(t, "local"), Peer: addrs.Draw(t, "peer"),
				AssignPeer: rapid.Bool().Draw(t, "assign"), AskDNS: rapid.Bool().Draw(t, "askdns"),
				DNS: [2]netip.Addr{addrs.Draw(t, "dns")},
			},
			MaxFailure: rapid.IntRange(1, 6).Draw(t, "maxfailure"),
			// More than get lost: a peer that is not told goes on.
			MaxTerminate: 10,
		}
		if ids := rapid.SampledFrom([]uint64{0, 1, 2}); rapid.Bool().Draw(t, "ipv6") {
			c.IPv6 = &IPv6Config{Local: ids.Draw(t, "local id"), Peer: ids.Draw(t, "peer id")}
		}
		return c
	})
	rapid.Check(t, func(rt *rapid.T) {
		a, b := config.Draw(rt, "a"), config.Draw(rt, "b")
		b.Async = a.Async
		p := newISP(rt, a, b)
		p.b.secret, p.b.addr = "secret", addr("203.0.113.9")
		if rapid.Bool().Draw(rt, "lossy") {
			p.faults = faults{loss: 100, dup: 100, jitter: 20 * time.Millisecond, until: p.now.Add(20 * time.Second)}
		}
		p.acksRepeat()
		p.begin()
		p.run(5 * time.Minute)
		switch {
		case p.bothUp() || p.a.net6 != nil || p.b.net6 != nil:
			p.agree(rt)
			accept := func(c LinkConfig) []AuthMethod { return c.withDefaults().Accept }
			if up := mustLast[LCPUp](rt, p.a); up.PeerAuth != AuthNone && !slices.Contains(accept(b), up.PeerAuth) {
				rt.Errorf("%v was not to be accepted", up.PeerAuth)
			}
		case p.a.net != nil || p.b.net != nil:
			rt.Errorf("one end is up: a %v, b %v", p.a, p.b)
		case p.a.done == nil || p.b.done == nil:
			rt.Errorf("neither up nor done: a %v, b %v", p.a, p.b)
		}
	})
}
