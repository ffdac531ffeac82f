package gateway

import (
	"bytes"
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/ip"
	"tributary/ppp"
)

const (
	gwAddr    = "198.51.100.1" // the gateway's towards users
	trunkAddr = "203.0.113.10" // and towards the ISP
	host      = "192.0.2.1"    // behind the ISP
)

// dropped is what the line counts under that name.
func (r *sharedRig) dropped(line, name string) uint64 {
	r.t.Helper()
	info, ok := r.gw.Line(line)
	n, known := info.Dropped[name]
	if !ok || !known {
		r.t.Fatalf("line %s: %v, no counter %q in %v", line, ok, name, info.Dropped)
	}
	return n
}

func (r *sharedRig) wantDropped(line, name string, want uint64) {
	r.t.Helper()
	if n := r.dropped(line, name); n != want {
		r.t.Errorf("%s counts %d %s, want %d", line, n, name, want)
	}
}

func TestSharedDataPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		c := r.login("virtual/1", as("bob", "builder"))
		a := c.address().String()

		out := packet{src: a, dst: host, payload: udp(7, 7, []byte("up"))}
		c.send(out.bytes())
		got := r.isp.want("a packet goes to the ISP")
		if h := header(t, got); h.TTL != 63 || !bytes.Equal(got[20:], out.payload) {
			t.Errorf("% x: one hop and nothing else", got)
		}
		in := packet{src: host, dst: a, payload: udp(7, 7, []byte("down"))}
		r.isp.toUsers("", append(in.bytes(), 0, 0, 0)) // and something behind it
		got = c.want("and its answer to the user")
		if h := header(t, got); h.TTL != 63 || !bytes.Equal(got[20:], in.payload) {
			t.Errorf("% x: one hop and nothing else", got)
		}

		for _, src := range []string{"198.51.100.3", gwAddr, "10.0.0.1", trunkAddr} {
			c.send(packet{src: src, dst: host}.bytes())
		}
		r.isp.wantNothing("nobody sends from another's address")
		c.wantNothing("nor is told about it")
		r.wantDropped("virtual/1", "spoofed", 4)

		c.send([]byte{0x45, 0, 0}, []byte{})
		r.wantDropped("virtual/1", "malformed", 2)
		for _, p := range []ppp.Protocol{0x2b, 0x2d, 0xfd} {
			c.write(ppp.AppendProtocol(nil, p))
		}
		synctest.Wait()
		r.wantDropped("virtual/1", "unknown_protocol", 3)
		r.isp.wantNothing("that is no IP")

		route := []byte{131, 7, 4, 10, 0, 0, 1, 0}
		c.send(packet{src: a, dst: host, options: route}.bytes())
		wantICMP(t, c.want("nobody says where his packets go"), gwAddr, a, 3, 5)
		r.wantDropped("virtual/1", "prohibited", 1)
		r.isp.toUsers("", packet{src: host, dst: a, options: route}.bytes())
		wantICMP(t, r.isp.want("from either side"), trunkAddr, host, 3, 5)
		r.wantDropped("session/office", "prohibited", 1)
		r.end()
	})
}

func TestSharedHopLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		c := r.login("virtual/1", as("bob", "builder"))
		a := c.address().String()
		p := packet{src: a, dst: host, ttl: 1}.bytes()
		c.send(p)
		e := c.want("his time was over here")
		wantICMP(t, e, gwAddr, a, 11, 0)
		if !bytes.Equal(e[28:], p) {
			t.Errorf("% x does not quote % x", e, p)
		}
		r.wantDropped("virtual/1", "expired", 1)
		r.isp.toUsers("", packet{src: host, dst: a, ttl: 1}.bytes())
		wantICMP(t, r.isp.want("the host is told"), trunkAddr, host, 11, 0)
		r.wantDropped("session/office", "expired", 1)
		r.end()
	})
}

func TestSharedSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		small := as("bob", "builder")
		small.MRU = 576
		c := r.login("virtual/1", small)
		a := c.address().String()
		big := make([]byte, 1480)
		for i := range big {
			big[i] = byte(i * 7)
		}
		payload := udp(1, 2, big[:1472])

		c.send(packet{src: a, dst: host, df: true, payload: payload}.bytes())
		e := c.want("1500 octets are too big for PPPoE")
		wantICMP(t, e, gwAddr, a, 3, 4)
		if mtu := binary.BigEndian.Uint16(e[26:]); mtu != 1492 {
			t.Errorf("the next hop's MTU is told as %d", mtu)
		}
		r.wantDropped("virtual/1", "too_big", 1)
		c.send(packet{src: a, dst: host, id: 5, payload: payload}.bytes())
		wantFragments(t, payload, 1492, func() []byte { return r.isp.want("a fragment") }, 2)

		r.isp.toUsers("", packet{src: host, dst: a, df: true, payload: payload[:1400]}.bytes())
		e = r.isp.want("the user's MRU is 576")
		wantICMP(t, e, trunkAddr, host, 3, 4)
		if mtu := binary.BigEndian.Uint16(e[26:]); mtu != 576 {
			t.Errorf("the next hop's MTU is told as %d", mtu)
		}
		r.wantDropped("session/office", "too_big", 1)
		r.isp.toUsers("", packet{src: host, dst: a, id: 6, payload: payload[:1400]}.bytes())
		wantFragments(t, payload[:1400], 576, func() []byte { return c.want("a fragment") }, 3)

		for _, dir := range []struct {
			why  string
			send func([]byte)
			want func(string) []byte
			src  string
			dst  string
		}{
			{"up", func(p []byte) { c.send(p) }, r.isp.want, a, host},
			{"down", func(p []byte) { r.isp.toUsers("", p) }, c.want, host, a},
		} {
			dir.send(packet{src: dir.src, dst: dir.dst, proto: ip.ProtoTCP, payload: syn(9, 80, 1460)}.bytes())
			got := dir.want("a SYN goes " + dir.why)
			if mss := binary.BigEndian.Uint16(got[42:]); mss != 536 {
				t.Errorf("%s: MSS %d, of a path that takes 576", dir.why, mss)
			}
			if ip.Checksum(0, got[20:]) != 0 {
				t.Errorf("%s: the checksum was not kept right", dir.why)
			}
		}
		r.end()
	})
}

// wantFragments takes n fragments and holds them to the payload and the mtu.
func wantFragments(t *testing.T, payload []byte, mtu int, next func() []byte, n int) {
	t.Helper()
	var whole []byte
	for i := range n {
		f := next()
		h := header(t, f)
		if h.Total > mtu || int(h.Offset) != len(whole) || h.MF != (i < n-1) || h.TTL != 63 {
			t.Errorf("fragment %d: %+v", i, h)
		}
		whole = append(whole, f[h.Len:]...)
	}
	if !bytes.Equal(whole, payload) {
		t.Error("the fragments are not the packet")
	}
}

func TestSharedRouterAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		c := r.login("virtual/1", as("bob", "builder"))
		a := c.address().String()
		for _, dst := range []string{gwAddr, trunkAddr} {
			c.send(packet{src: a, dst: dst, proto: ip.ProtoICMP, payload: echo(8, 1, "hello")}.bytes())
			got := c.want("a ping to the gateway")
			if h := header(t, got); ip.AddrFrom4(h.Src).String() != dst || got[20] != 0 || string(got[28:]) != "hello" {
				t.Errorf("% x", got)
			}
		}
		c.send(packet{src: a, dst: gwAddr}.bytes())
		wantICMP(t, c.want("nobody listens there"), gwAddr, a, 3, 3)
		r.isp.toUsers("", packet{src: host, dst: trunkAddr, proto: ip.ProtoICMP, payload: echo(8, 1, "hello")}.bytes())
		if got := r.isp.want("a ping from the ISP's side"); got[20] != 0 || string(got[28:]) != "hello" {
			t.Errorf("% x", got)
		}
		// A Protocol field of one octet, that PPPoE ought not to have.
		r.isp.do(func(time.Time) {
			s := r.isp.one("")
			p := packet{src: host, dst: trunkAddr, proto: ip.ProtoICMP, payload: echo(8, 1, "short")}.bytes()
			r.isp.send(s.peer, ether.TypeSession, sessionPacket(s.sid, append([]byte{0x21}, p...)))
		})
		if got := r.isp.want("a ping behind a short Protocol field"); len(got) != 33 || string(got[28:]) != "short" {
			t.Errorf("% x", got)
		}
		r.end()
	})
}

func TestSharedUnknownDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		const flood = 100
		for range flood {
			r.isp.toUsers("", packet{src: host, dst: "198.51.100.99"}.bytes())
		}
		r.wantDropped("session/office", "no_user", flood)
		n := 0
		r.isp.do(func(time.Time) {
			for _, e := range r.isp.got {
				wantICMP(t, e, trunkAddr, host, 3, 1)
			}
			n, r.isp.got = len(r.isp.got), nil
		})
		if n != icmpShare.Burst {
			t.Errorf("%d errors for a flood, want a burst of %d", n, icmpShare.Burst)
		}
		time.Sleep(time.Second)
		r.isp.toUsers("", packet{src: host, dst: "198.51.100.99"}.bytes())
		wantICMP(t, r.isp.want("after a rest"), trunkAddr, host, 3, 1)
		c := r.login("virtual/1", as("bob", "builder"))
		a := c.address().String()
		c.hangUp()
		r.isp.toUsers("", packet{src: host, dst: a}.bytes())
		wantICMP(t, r.isp.want("he has hung up"), trunkAddr, host, 3, 1)
		r.end()
	})
}

func TestUserToUser(t *testing.T) {
	for _, how := range []config.UserToUser{config.UserToUserISP, config.UserToUserLocal, config.UserToUserNone} {
		t.Run(string(how), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSharedRig(t, func(c *config.Config) { c.Lines[0].Shared.UserToUser = how })
				one := r.login("virtual/1", as("alice", "wonderland"))
				small := as("alice", "wonderland")
				small.MRU = 1000
				two := r.login("virtual/2", small)
				a, b := one.address().String(), two.address().String()
				one.send(packet{src: a, dst: b}.bytes())
				switch how {
				case config.UserToUserISP:
					p := r.isp.want("it goes to the ISP")
					r.isp.toUsers("", p)
					if h := header(t, two.want("who sends it back")); h.TTL != 62 {
						t.Errorf("TTL %d after two hops", h.TTL)
					}
				case config.UserToUserLocal:
					if h := header(t, two.want("it goes straight across")); h.TTL != 63 {
						t.Errorf("TTL %d after one hop", h.TTL)
					}
					payload := make([]byte, 1200)
					one.send(packet{src: a, dst: b, df: true, payload: payload}.bytes())
					wantICMP(t, one.want("too big for the other's line"), gwAddr, a, 3, 4)
					one.send(packet{src: a, dst: b, payload: payload}.bytes())
					wantFragments(t, payload, 1000, func() []byte { return two.want("a fragment") }, 2)
					one.send(packet{src: a, dst: b, ttl: 1}.bytes())
					wantICMP(t, one.want("its time was over"), gwAddr, a, 11, 0)
					if info, _ := r.gw.Line("virtual/1"); info.Session.UpFrames != 2 {
						t.Errorf("%d frames up, want those that went across", info.Session.UpFrames)
					}
				case config.UserToUserNone:
					wantICMP(t, one.want("it is forbidden"), gwAddr, a, 3, 13)
					r.wantDropped("virtual/1", "prohibited", 1)
				}
				r.isp.wantNothing("the rest is nothing to the ISP")
				two.wantNothing("and nothing else comes")
				r.end()
			})
		})
	}
}

func TestSharedRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		c := r.login("virtual/1", as("dave", "diver")) // 64 kbit/s each way
		a := c.address().String()
		up := packet{src: a, dst: host, payload: make([]byte, 980)}.bytes()
		down := packet{src: host, dst: a, payload: make([]byte, 980)}.bytes()
		for range 100 {
			c.send(up)
			r.isp.toUsers("", down)
		}
		// 12,000 octets at once.
		if n := r.dropped("virtual/1", "policed_up"); n != 88 {
			t.Errorf("%d of 100 packets were dropped, upstream", n)
		}
		if n := r.dropped("virtual/1", "policed_down"); n != 88 {
			t.Errorf("%d of 100 packets were dropped, downstream", n)
		}
		r.end()
	})
}

func TestSharedNAT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, func(c *config.Config) { c.Sessions[0].NAT = true })
		one := r.login("virtual/1", as("alice", "wonderland"))
		small := as("bob", "builder")
		small.MRU = 600
		two := r.login("virtual/2", small)
		a, b := one.address().String(), two.address().String()

		one.send(packet{src: a, dst: host, payload: udp(53, 5353, []byte("q"))}.bytes())
		out := r.isp.want("a query")
		h := header(t, out)
		port := binary.BigEndian.Uint16(out[20:])
		if ip.AddrFrom4(h.Src).String() != trunkAddr || port < 1024 || binary.BigEndian.Uint16(out[22:]) != 5353 {
			t.Errorf("% x: it comes from the session's address", out)
		}
		r.isp.toUsers("", packet{src: host, dst: trunkAddr, payload: udp(5353, port, []byte("a"))}.bytes())
		got := one.want("its answer")
		if h := header(t, got); ip.AddrFrom4(h.Dst).String() != a || binary.BigEndian.Uint16(got[22:]) != 53 {
			t.Errorf("% x", got)
		}
		r.isp.toUsers("", packet{src: host, dst: trunkAddr, payload: udp(5353, port+1, nil)}.bytes())
		r.wantDropped("session/office", "nat", 1)
		one.wantNothing("that was for nobody")

		// Fragments, upstream: the big one is cut before it is translated.
		payload := udp(53, 5353, make([]byte, 1472))
		one.send(packet{src: a, dst: host, id: 9, payload: payload}.bytes())
		binary.BigEndian.PutUint16(payload, port)
		wantFragments(t, payload, 1492, func() []byte { return r.isp.want("a fragment") }, 2)

		// Hairpin: to the session's own address, and the port of another user.
		two.send(packet{src: b, dst: host, payload: udp(80, 80, nil)}.bytes())
		theirs := binary.BigEndian.Uint16(r.isp.want("two has a port now")[20:])
		one.send(packet{src: a, dst: trunkAddr, payload: udp(53, theirs, nil)}.bytes())
		r.isp.wantNothing("that is another user's port")
		two.wantNothing("whom he has not spoken to")
		two.send(packet{src: b, dst: trunkAddr, payload: udp(80, port, nil)}.bytes())
		one.want("as he has spoken to two, two may answer")
		one.send(packet{src: a, dst: trunkAddr, payload: udp(53, theirs, []byte("hairpin"))}.bytes())
		got = two.want("now he has")
		if h := header(t, got); ip.AddrFrom4(h.Src).String() != trunkAddr || ip.AddrFrom4(h.Dst).String() != b || string(got[28:]) != "hairpin" {
			t.Errorf("% x", got)
		}
		payload = udp(53, theirs, make([]byte, 900))
		one.send(packet{src: a, dst: trunkAddr, id: 3, payload: payload}.bytes())
		binary.BigEndian.PutUint16(payload, port)
		binary.BigEndian.PutUint16(payload[2:], 80)
		wantFragments(t, payload, 600, func() []byte { return two.want("a fragment: his MRU is 600") }, 2)
		one.send(packet{src: a, dst: trunkAddr, df: true, payload: payload}.bytes())
		two.wantNothing("it is too big for him")

		one.send(packet{src: a, dst: trunkAddr, proto: ip.ProtoICMP, payload: echo(8, 1, "you?")}.bytes())
		if got := one.want("a ping to the session's address"); got[20] != 0 {
			t.Errorf("% x", got)
		}
		st := r.gw.shared.trunks["office"].state.Load()
		if n := st.nat.Stats().Users; n != 2 {
			t.Errorf("%d users have ports", n)
		}
		one.hangUp()
		two.hangUp()
		synctest.Wait()
		if n := st.nat.Stats().Users; n != 0 {
			t.Errorf("%d users have ports, and all have hung up", n)
		}
		r.wantEmpty("all have hung up")
		r.end()
	})
}
