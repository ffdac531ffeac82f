package lab

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/line"
	"tributary/ppp"
	"tributary/pppoe"
)

var chap = []ppp.AuthMethod{ppp.AuthCHAPMD5}

func TestAuthentication(t *testing.T) {
	msChap := []ppp.AuthMethod{ppp.AuthMSCHAPv2}
	both := []ppp.AuthMethod{ppp.AuthCHAPMD5, ppp.AuthPAP}
	for _, tt := range []struct {
		name   string
		auth   []ppp.AuthMethod
		user   SubscriberConfig
		reason ppp.Reason // "" is success
		words  string
	}{
		{"no proof is asked for", nil, SubscriberConfig{}, "", ""},
		{"CHAP", chap, u1, "", ""},
		{"PAP", []ppp.AuthMethod{ppp.AuthPAP}, u1, "", ""},
		{"MS-CHAPv2", msChap, u1, "", ""},
		{"both are offered", both, u1, "", ""},
		{"wrong secret by CHAP", chap, SubscriberConfig{User: "u1", Secret: "p2"}, ppp.ReasonAuthDenied, "Access denied"},
		{"wrong secret by MS-CHAPv2", msChap, SubscriberConfig{User: "u1", Secret: "p2"}, ppp.ReasonAuthDenied, "E=691 Access denied"},
		{"wrong secret by PAP", []ppp.AuthMethod{ppp.AuthPAP}, SubscriberConfig{User: "u1", Secret: "p2"}, ppp.ReasonAuthDenied, "Access denied"},
		{"unknown user", chap, SubscriberConfig{User: "joe", Secret: "p1"}, ppp.ReasonAuthDenied, "Access denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := patience(t)
			p := newPlace(t, ACConfig{Auth: tt.auth, Reflect: true})
			s := p.dial(ctx, tt.user)
			_, err := s.Network(ctx)
			var le *LinkError
			switch {
			case tt.reason == "" && err != nil:
				t.Error(err)
			case tt.reason != "" && (!errors.As(err, &le) || le.Reason != tt.reason || le.Message != tt.words):
				t.Errorf("got %v, want %s with %q", err, tt.reason, tt.words)
			}
			_ = s.Close() // its error is the one above
			p.close()
			want := uint64(0)
			if tt.reason != "" {
				want = 1
			}
			if c := p.ac.Counters(); c.Refused != want || c.Opened != 1 || c.ClosedByPADT+c.ClosedByUs != 1 {
				t.Errorf("counters %+v", c)
			}
		})
	}
}

// The AC ends a session, each way it can.
func TestACEndsSession(t *testing.T) {
	for _, tt := range []struct {
		name   string
		end    func(a *AC, s ACSession)
		reason ppp.Reason
	}{
		{"politely", func(a *AC, s ACSession) { a.Terminate(s.Peer, s.ID, false, "") }, ppp.ReasonPeerTerminated},
		{"by PADT alone", func(a *AC, s ACSession) { a.Terminate(s.Peer, s.ID, true, "maintenance") }, ppp.ReasonLowerDown},
		{"as it goes down", func(a *AC, _ ACSession) { a.Close() }, ppp.ReasonPeerTerminated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := patience(t)
			p := newPlace(t, ACConfig{Auth: chap, Reflect: true})
			s, _ := p.up(ctx, u1)
			tt.end(p.ac, p.ac.Sessions()[0])
			<-s.Done()
			var le *LinkError
			if err := s.Close(); !errors.As(err, &le) || le.Reason != tt.reason {
				t.Errorf("the link ended with %v, want %s", err, tt.reason)
			}
			p.close()
			if kinds := p.kinds(); !slices.Equal(kinds, []string{"open", "authenticated", "network", "closed"}) {
				t.Errorf("events %v", kinds)
			}
			if p.ac.Terminate(pppoe.MAC{}, 1, true, "") {
				t.Error("a session that is not there was ended")
			}
		})
	}
}

// An AC that reboots says nothing; the user's echoes find out.
func TestACForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		p := newPlace(t, ACConfig{Auth: chap, Reflect: true, Echo: -1})
		s, _ := p.up(ctx, SubscriberConfig{User: "u1", Secret: "p1", Echo: 10 * time.Second, Packet: func([]byte) {}})
		begin := time.Now()
		p.ac.Forget()
		<-s.Done()
		var le *LinkError
		if err := s.Close(); !errors.As(err, &le) || le.Reason != ppp.ReasonEchoTimeout {
			t.Errorf("the link ended with %v", err)
		}
		if took := time.Since(begin); took < 30*time.Second || took > time.Minute {
			t.Errorf("it took %v to see that the AC is gone, want three echoes", took)
		}
		if c := p.ac.Counters(); c.UnknownSession == 0 {
			t.Errorf("counters %+v", c)
		}
		p.close()
	})
}

// Reflect, raw packets in both directions, and nothing but them.
func TestReflect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		p := newPlace(t, ACConfig{Reflect: true})
		got := make(chan []byte, 1)
		cfg := SubscriberConfig{Packet: func(b []byte) { got <- bytes.Clone(b) }}
		s, n := p.up(ctx, cfg)
		if !s.Send(echoRequest(n.Address, there, 7, 1, 100)) {
			t.Fatal("the line takes no packet")
		}
		select {
		case b := <-got:
			if !bytes.Equal(b, echoRequest(there, n.Address, 7, 1, 100)) {
				t.Errorf("the packet came back as % x, not as it went with its addresses exchanged", b)
			}
		case <-time.After(time.Minute):
			t.Error("the packet did not come back")
		}
		s.Send(echoRequest(there, n.Address, 7, 1, 100))
		s.Send([]byte{0x45})
		synctest.Wait()
		hangUp(t, s)
		if s.Send(echoRequest(n.Address, there, 7, 2, 100)) {
			t.Error("a packet was taken after the end")
		}
		p.close()
		if c := p.ac.Counters(); c.Spoofed != 1 {
			t.Errorf("a packet from another's address: counters %+v", c)
		}
	})
}

func TestTrouble(t *testing.T) {
	dial := func(t *testing.T, tr Trouble, within time.Duration) (took time.Duration, err error) {
		t.Helper()
		p := newPlace(t, ACConfig{Reflect: true})
		defer p.close()
		p.ac.SetTrouble(tr)
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		begin := time.Now()
		ln, err := DialPPPoE(ctx, p.port(), p.pool, PPPoEConfig{})
		if err == nil {
			ln.Close()
			drainLine(ln)
		}
		return time.Since(begin), err
	}
	text := pppoe.StringTag(pppoe.TagACSystemError, "no more sessions today")
	for _, tt := range []struct {
		name    string
		trouble Trouble
		reason  pppoe.FailReason
		message string
	}{
		{"deaf", Trouble{Deaf: true}, pppoe.FailNoOffer, ""},
		{"mute", Trouble{Mute: true}, pppoe.FailNoOffer, ""},
		{"refuses", Trouble{Refuse: &text}, pppoe.FailRefused, "no more sessions today"},
		{"loses every PADR", Trouble{Packet: func(d Direction, f []byte) bool {
			return !(d == FromSubscriber && f[15] == byte(pppoe.PADR))
		}}, pppoe.FailNoSession, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				took, err := dial(t, tt.trouble, 20*time.Second)
				var de *DiscoveryError
				if !errors.As(err, &de) || de.Reason != tt.reason || de.Message != tt.message {
					t.Errorf("got %v, want %s with %q", err, tt.reason, tt.message)
				}
				if took > 20*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
	t.Run("late PADS", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			took, err := dial(t, Trouble{PADSDelay: 500 * time.Millisecond}, time.Minute)
			if err != nil || took < 500*time.Millisecond || took > 600*time.Millisecond {
				t.Errorf("a session after %v, %v", took, err)
			}
		})
	})
}

// drainLine reads a closed line to its end, which puts its buffers back.
func drainLine(ln line.Line) {
	var batch [4]*frame.Buf
	for {
		n, err := ln.Read(batch[:])
		for _, b := range batch[:n] {
			b.Put()
		}
		if err != nil {
			return
		}
	}
}

// Addresses: a user's own, the pool's until there is none, and free again.
func TestAddresses(t *testing.T) {
	ctx := patience(t)
	users := Users{"fixed": {Secret: "s", Address: netip.MustParseAddr("203.0.113.5")}, "u1": {Secret: "p1"}}
	p := newPlace(t, ACConfig{
		Auth: chap, Secret: users.Secret, Address: users.Address, Reflect: true,
		Local: netip.MustParseAddr("192.0.2.1"), Pool: netip.MustParsePrefix("192.0.2.0/30"),
	})
	fixed, n := p.up(ctx, SubscriberConfig{User: "fixed", Secret: "s"})
	if n.Address != users["fixed"].Address || n.Peer != p.ac.cfg.Local {
		t.Errorf("the user with an address of his own got %+v", n)
	}
	refused := func(cfg SubscriberConfig, why string) {
		t.Helper()
		s := p.dial(ctx, cfg)
		if n, err := s.Network(ctx); err == nil {
			t.Errorf("%s: got %v", why, n.Address)
		}
		_ = s.Close() // it has failed as it should
	}
	refused(SubscriberConfig{User: "fixed", Secret: "s"}, "his own address is in use")
	// Of a /30, one address is neither ours nor the network's nor for broadcasts.
	one, n := p.up(ctx, u1)
	if n.Address != netip.MustParseAddr("192.0.2.2") {
		t.Errorf("the pool gave %v", n.Address)
	}
	refused(u1, "the pool is empty")
	hangUp(t, one)
	again, n := p.up(ctx, u1)
	if n.Address != netip.MustParseAddr("192.0.2.2") {
		t.Errorf("the pool, with one address free again, gave %v", n.Address)
	}
	hangUp(t, again)
	hangUp(t, fixed)
	p.close()
}

// The AC routes between subscribers, and says by ICMP what does not arrive.
func TestRouting(t *testing.T) {
	ctx := patience(t)
	p := newPlace(t, ACConfig{Auth: chap})
	got := make(chan []byte, 16)
	raw, from := p.up(ctx, SubscriberConfig{User: "u1", Secret: "p1", MRU: 600, Packet: func(b []byte) { got <- bytes.Clone(b) }})
	other, there := p.up(ctx, SubscriberConfig{User: "u2", Secret: "p2"})

	if _, err := other.Ping(ctx, internetAddr, 10); err != nil { // then he can be reached as well
		t.Fatal(err)
	}
	ping := func(to netip.Addr, ttl byte, size int) []byte {
		t.Helper()
		b := echoRequest(from.Address, to, 7, 1, size)
		b[8] = ttl
		b[10], b[11] = 0, 0
		sum := checksum(b[:ipv4HeaderLen])
		b[10], b[11] = byte(sum>>8), byte(sum)
		if !raw.Send(b) {
			t.Fatal("the line takes no packet")
		}
		select {
		case b := <-got:
			if checksum(b[:ipv4HeaderLen]) != 0 || checksum(b[ipv4HeaderLen:]) != 0 {
				t.Error("a checksum is wrong")
			}
			return b
		case <-ctx.Done():
			t.Fatalf("nothing came of a ping to %v with TTL %d", to, ttl)
			return nil
		}
	}
	source := func(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b[12:16])) }

	b := ping(there.Address, 64, 10)
	if icmp, _ := icmpOf(b); icmp[0] != icmpReply || source(b) != there.Address || b[8] != 63 {
		t.Errorf("the other subscriber, one router away, answers with type %d and TTL %d from %v", icmp[0], b[8], source(b))
	}
	b = ping(there.Address, 1, 10)
	if icmp, _ := icmpOf(b); icmp[0] != icmpExceeded || source(b) != p.ac.cfg.Local {
		t.Errorf("TTL 1: type %d from %v, want Time Exceeded from the AC", icmp[0], source(b))
	}
	b = ping(netip.MustParseAddr("10.64.9.9"), 64, 10)
	if icmp, _ := icmpOf(b); icmp[0] != icmpUnreachable || icmp[1] != icmpHostUnreachable || source(b) != p.ac.cfg.Local {
		t.Errorf("nobody there: type %d code %d from %v", icmp[0], icmp[1], source(b))
	}
	// 700 octets come back, but we take 600 only. The router behind the reply
	// is told; we hear nothing, which shows in the counter.
	raw.Send(echoRequest(from.Address, internetAddr, 7, 2, 700))
	b = ping(internetAddr, 64, 10)
	if _, seq, ok := echoReply(b); !ok || seq != 1 || p.ac.Counters().TooBig != 1 {
		t.Errorf("a reply over our MRU: %+v", p.ac.Counters())
	}
	if all := p.ac.Sessions(); len(all) != 2 || !slices.ContainsFunc(all, func(s ACSession) bool {
		return s.PeerMRU == 600 && slices.Contains(s.Options, ppp.LCPOptMRU) && !slices.Contains(s.Options, ppp.LCPOptACCM)
	}) {
		t.Errorf("sessions %+v", all)
	}
	hangUp(t, raw)
	hangUp(t, other)
	p.close()
}

// A full pool costs frames and nothing else.
func TestNoBuffers(t *testing.T) {
	pool := frame.NewPool(10)
	hub := newPlace(t, ACConfig{Reflect: true})
	port := hub.hub.Port("poor", pppoe.MAC{2, 0, 0, 0, 0, 7}, pool)
	if _, err := NewAC(port, pool, ACConfig{}); !errors.Is(err, errNoBuffers) {
		t.Errorf("NewAC: %v", err)
	}
	if _, err := Discover(context.Background(), hub.hub.Port("poor", pppoe.MAC{2, 0, 0, 0, 0, 8}, pool), pool, DiscoverConfig{Wait: time.Second}); !errors.Is(err, errNoBuffers) {
		t.Errorf("Discover: %v", err)
	}
	if _, err := DialPPPoE(context.Background(), port, pool, PPPoEConfig{}); !errors.Is(err, errNoBuffers) {
		t.Errorf("DialPPPoE: %v", err)
	}
	if n := pool.InUse(); n != 0 {
		t.Errorf("%d buffers were not put back", n)
	}
	hub.close()
}

func TestDescribe(t *testing.T) {
	ctx := patience(t)
	p := newPlace(t, ACConfig{Auth: chap})
	s, n := p.up(ctx, u1)
	if text := p.ac.describe(n.Address); !strings.Contains(text, `"u1"`) {
		t.Errorf("of the user: %s", text)
	}
	if text := p.ac.describe(internetAddr); !strings.Contains(text, "not a subscriber") {
		t.Errorf("of a stranger: %s", text)
	}
	hangUp(t, s)
	p.close()
}

// The reflecting path is measured against others' gateways, so it must not cost.
func TestReflectAllocs(t *testing.T) {
	ctx := patience(t)
	p := newPlace(t, ACConfig{Reflect: true})
	s, n := p.up(ctx, SubscriberConfig{Packet: func([]byte) {}})
	if !s.open.Load() {
		t.Fatal("the network is not up")
	}
	var session *acSession
	p.ac.call(func() {
		for _, session = range p.ac.byID {
		}
	})
	there := netip.MustParseAddr("203.0.113.9")
	b := p.pool.Get()
	b.SetBytes(echoRequest(n.Address, there, 7, 1, 1000))
	ppp.AppendProtocol(b.Prepend(2)[:0], ppp.ProtoIPv4)
	pppoe.PutHeader(b.Prepend(pppoe.HeaderLen), pppoe.SessionStage, session.key.sid, b.Len()-pppoe.HeaderLen)
	ether.Prepend(b, &ether.Header{Dst: acMAC, Src: session.key.peer, Type: ether.TypeSession})
	whole := bytes.Clone(b.Bytes())
	for !session.open.Load() { // the last Configure-Ack is on its way to the AC
		runtime.Gosched()
	}
	if n := testing.AllocsPerRun(100, func() {
		b.Reset(64)
		b.SetBytes(whole)
		if _, to := p.ac.sort(b); to != toReflect {
			t.Errorf("the packet goes to %d", to)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a packet", n)
	}
	b.Put()
	hangUp(t, s)
	p.close()
}
