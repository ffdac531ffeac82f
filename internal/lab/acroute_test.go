package lab

import (
	"bytes"
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"tributary/internal/line"
	"tributary/pppoe"
)

var (
	behindU1 = netip.MustParsePrefix("198.18.0.0/16")
	inU1     = netip.MustParseAddr("198.18.3.4")
)

// routed is an AC that routes a prefix to u1, and more of it to u3.
func routed(t *testing.T) *place {
	return newPlace(t, ACConfig{Auth: chap, Routes: func(user string) []netip.Prefix {
		switch user {
		case "u1":
			return []netip.Prefix{behindU1, netip.MustParsePrefix("203.0.113.8/29")}
		case "u3":
			return []netip.Prefix{netip.MustParsePrefix("198.18.5.0/24")}
		}
		return nil
	}})
}

// Users behind a session's user reach the internet and are reached, by what is
// routed to the session; nobody else can send in their name.
func TestRoutes(t *testing.T) {
	ctx := patience(t)
	p := routed(t)
	got := make(chan []byte, 16)
	router, n := p.up(ctx, SubscriberConfig{User: "u1", Secret: "p1", Packet: func(b []byte) { got <- bytes.Clone(b) }})
	next := func(what string) []byte {
		t.Helper()
		select {
		case b := <-got:
			return b
		case <-ctx.Done():
			t.Fatalf("%s: nothing came", what)
			return nil
		}
	}
	addr := func(b []byte, at int) netip.Addr { return netip.AddrFrom4([4]byte(b[at : at+4])) }

	router.Send(echoRequest(inU1, internetAddr, 7, 1, 10))
	b := next("a ping from behind u1 to the internet")
	if _, seq, ok := echoReply(b); !ok || seq != 1 || addr(b, 16) != inU1 {
		t.Errorf("the reply is for %v, seq %d, %v", addr(b, 16), seq, ok)
	}

	other, theirs := p.up(ctx, SubscriberConfig{User: "u2", Secret: "p2"})
	answered := make(chan error, 1)
	go func() {
		_, err := other.Ping(ctx, inU1, 10)
		answered <- err
	}()
	b = next("a ping of u2 to behind u1")
	if addr(b, 12) != theirs.Address || addr(b, 16) != inU1 {
		t.Errorf("u1 got a packet from %v to %v", addr(b, 12), addr(b, 16))
	}
	reflectIP(b)
	b[20], b[8] = icmpReply, 64
	b[22], b[23] = 0, 0
	sum := checksum(b[ipv4HeaderLen:])
	b[22], b[23] = byte(sum>>8), byte(sum)
	b[10], b[11] = 0, 0
	sum = checksum(b[:ipv4HeaderLen])
	b[10], b[11] = byte(sum>>8), byte(sum)
	router.Send(b)
	if err := <-answered; err != nil {
		t.Errorf("u2 and a host behind u1: %v", err)
	}

	// Two hosts behind u1, through the ISP: as a gateway's users may go.
	router.Send(echoRequest(inU1, netip.MustParseAddr("198.18.200.200"), 7, 2, 10))
	if b = next("from behind u1 to behind u1"); b[8] != 63 || addr(b, 16) != netip.MustParseAddr("198.18.200.200") {
		t.Errorf("it came back with TTL %d for %v", b[8], addr(b, 16))
	}

	// RFC 2827: u2 is not behind u1, and u1 not behind u2, nor the internet.
	for _, from := range []netip.Addr{inU1, netip.MustParseAddr("203.0.113.9")} {
		other.Send(echoRequest(from, internetAddr, 7, 3, 10))
	}
	router.Send(echoRequest(theirs.Address, internetAddr, 7, 3, 10))
	router.Send(echoRequest(internetAddr, n.Address, 7, 3, 10))
	router.Send(echoRequest(netip.MustParseAddr("203.0.113.16"), internetAddr, 7, 3, 10))
	if _, err := other.Ping(ctx, internetAddr, 10); err != nil { // behind what u2 has sent
		t.Error(err)
	}
	router.Send(echoRequest(n.Address, internetAddr, 7, 4, 10))
	if _, seq, _ := echoReply(next("u1's own ping")); seq != 4 {
		t.Errorf("a reply to seq %d came: a packet from a false source was taken", seq)
	}
	if c := p.ac.Counters(); c.Spoofed != 5 {
		t.Errorf("%d packets from a false source, want 5", c.Spoofed)
	}
	hangUp(t, router)
	hangUp(t, other)
	p.close()
}

// A route is there for as long as its session, and the first session's.
func TestRoutesComeAndGo(t *testing.T) {
	ctx := patience(t)
	p := routed(t)
	routesOf := func(user string) (all [][]netip.Prefix) {
		for _, s := range p.ac.Sessions() {
			if s.User == user {
				all = append(all, s.Routes)
			}
		}
		slices.SortFunc(all, func(a, b []netip.Prefix) int { return len(a) - len(b) })
		return all
	}
	owner := func(addr string) string {
		p.ac.mu.RLock()
		defer p.ac.mu.RUnlock()
		if s := p.ac.behind(netip.MustParseAddr(addr)); s != nil {
			return s.user
		}
		return ""
	}
	if got := owner("198.18.3.4"); got != "" {
		t.Errorf("before u1 is there, his prefix is %q's", got)
	}
	first, n := p.up(ctx, u1)
	third, _ := p.up(ctx, SubscriberConfig{User: "u3", Secret: "p3"})
	for addr, want := range map[string]string{
		"198.18.0.0": "u1", "198.18.4.255": "u1", "198.18.5.0": "u3", "198.18.5.255": "u3", "198.18.6.0": "u1",
		"198.19.0.0": "", "203.0.113.7": "", "203.0.113.8": "u1", "203.0.113.15": "u1", "203.0.113.16": "",
		n.Address.String(): "u1", internetAddr.String(): "", p.ac.cfg.Local.String(): "", "2001:db8::1": "",
	} {
		if got := owner(addr); got != want {
			t.Errorf("%s is %q's, want %q", addr, got, want)
		}
	}
	second, _ := p.up(ctx, u1)
	if all := routesOf("u1"); len(all) != 2 || len(all[0]) != 0 || len(all[1]) != 2 {
		t.Errorf("routes of u1's two sessions: %v", all)
	}
	hangUp(t, third)
	for len(routesOf("u3")) > 0 { // his PADT is on its way
		if ctx.Err() != nil {
			t.Fatal("u3's session does not end")
		}
	}
	if got := owner("198.18.5.1"); got != "u1" {
		t.Errorf("with u3 gone, his prefix is %q's, want u1's", got)
	}
	hangUp(t, first)
	hangUp(t, second)
	p.close()
	if got := owner("198.18.3.4"); got != "" || len(p.ac.routes.bits) != 0 {
		t.Errorf("with all gone, the prefix is %q's, and lengths %v are left", got, p.ac.routes.bits)
	}
}

// Neighbours ping each other, and know through how many routers.
func TestCrowdOfNeighbours(t *testing.T) {
	p := newPlace(t, ACConfig{Auth: chap})
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // everyone finishes one round all the same, and nobody hangs up before he was pinged
	c := NewCrowd(CrowdConfig{
		Users: 5, Pool: p.pool, Internet: internetAddr, Patience: 30 * time.Second,
		Dial: func(ctx context.Context, i int) (line.Line, error) {
			port := p.hub.Port("user", pppoe.MAC{2, 0, 0, 0, 2, byte(i)}, p.pool)
			return DialPPPoE(ctx, port, p.pool, PPPoEConfig{})
		},
		Account: func(i int) (string, string) {
			name, secret := Account(i)
			if i == 4 {
				secret = "wrong"
			}
			return name, secret
		},
		// u0 and u1 each other, u2 himself, u3 one who fails, u4 fails.
		Neighbour: func(i int) (int, bool) { return []int{1, 0, 2, 4, 0}[i], true },
	})
	if err := c.Run(ctx); err == nil || err.Error() != `u4: the peer refused user "u4": Access denied` {
		t.Errorf("the crowd ends with %v", err)
	}
	for i, u := range c.Users() {
		want := uint64(0)
		if i < 2 {
			want = 1
		}
		if u.Neighbour < want || want == 0 && u.Neighbour > 0 || want > 0 && u.Hops != 1 {
			t.Errorf("%s had %d replies of his neighbour, through %d routers", u.Name, u.Neighbour, u.Hops)
		}
	}
	p.close()
}
