package gateway

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ip"
	"tributary/internal/nat"
)

// user is the session of a user's line.
func (r *sharedRig) user(line string) *session {
	r.gw.mu.Lock()
	defer r.gw.mu.Unlock()
	return r.gw.lines[line]
}

func withNAT(c *config.Config) { c.Sessions[0].NAT = true }

// opens sends a datagram of the user's and is its external port.
func (r *sharedRig) opens(c *caller, src uint16) (external netip.Addr, port uint16) {
	r.t.Helper()
	c.send(packet{src: c.address().String(), dst: host, payload: udp(src, 7, []byte(c.name))}.bytes())
	out := r.isp.want(c.name + " sends something")
	return ip.AddrFrom4(header(r.t, out).Src), binary.BigEndian.Uint16(out[20:])
}

// answers sends a datagram back.
func (r *sharedRig) answers(external netip.Addr, port uint16) {
	r.t.Helper()
	r.isp.toUsers("", packet{src: host, dst: external.String(), payload: udp(7, port, []byte("answer"))}.bytes())
	synctest.Wait()
}

// An ISP that negotiates once more costs users no mapping, unless it gives another
// address; then their next packet has a new one.
func TestMappingsOutliveRenegotiation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, withNAT)
		var users []*caller
		var ports []uint16
		external := netip.MustParseAddr(trunkAddr)
		for i := range 3 {
			c := r.login(fmt.Sprintf("virtual/%d", i), as("alice", "wonderland"))
			_, port := r.opens(c, 1000)
			users, ports = append(users, c), append(ports, port)
		}
		again := func(address netip.Addr) {
			r.isp.do(func(time.Time) {
				r.isp.address = address
				r.isp.askAnew()
			})
			r.wantEvent(EventTrunkDown, "the ISP begins anew")
			r.wantEvent(EventTrunkUp, "and that does not take long")
			synctest.Wait()
		}
		again(external)
		for i, c := range users {
			r.answers(external, ports[i])
			c.want("an answer to what was sent before")
			if a, port := r.opens(c, 1000); a != external || port != ports[i] {
				t.Errorf("%s has port %d of %v, had %d", c.name, port, a, ports[i])
			}
		}
		other := netip.MustParseAddr("203.0.113.99")
		again(other)
		for i, c := range users {
			r.answers(other, ports[i])
			c.wantNothing("that port of another address is nobody's")
			if a, port := r.opens(c, 1000); a != other {
				t.Errorf("%s sends from %v", c.name, a)
			} else {
				r.answers(other, port)
				c.want("an answer by way of the new address")
			}
		}
		r.end()
	})
}

// IPCP of a user's that comes up again with the same address costs him nothing.
func TestMappingsOutliveIPCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, withNAT)
		c := r.login("virtual/1", as("bob", "builder"))
		external, port := r.opens(c, 1000)
		u := r.user("virtual/1").sub
		login := u.path.Load().login
		if again := u.trunk.enter(u.s, u.behindNAT()); again != login {
			t.Errorf("he has become %d, was %d", again, login)
		}
		r.answers(external, port)
		c.want("his mapping is there")
		moved := u.behindNAT()
		moved.Addr = moved.Addr.Next()
		if again := u.trunk.enter(u.s, moved); again == login {
			t.Error("with another address he is the same")
		}
		r.answers(external, port)
		c.wantNothing("with another address he is somebody else")
		r.end()
	})
}

// Between a reader's look at the path and its packet the user may go, and another
// get the address.
func TestPacketOfAnotherLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, withNAT)
		first := r.login("virtual/1", as("bob", "builder"))
		old := r.user("virtual/1").sub
		p, st := old.path.Load(), old.path.Load().trunk.state.Load()
		a := first.address()
		first.hangUp()
		second := r.login("virtual/2", as("bob", "builder"))
		if second.address() != a {
			t.Fatalf("he has %v, had %v", second.address(), a)
		}
		b := r.pool.Get()
		b.SetBytes(append([]byte{0, 0x21}, packet{src: a.String(), dst: host, payload: udp(1000, 7, []byte("late"))}.bytes()...))
		if _, ok := old.upstream4(clock(), p, st, b, b.Bytes()[2:]); ok {
			t.Error("the packet of a login that is over goes out")
		}
		if s := st.nat.Stats(); s.Mappings != 0 || s.Dropped["no-user"] != 1 {
			t.Errorf("the next login has %+v", s)
		}

		// The same downstream: what was translated for a login that is over by now.
		external, port := r.opens(second, 1000)
		now := &r.user("virtual/2").sub.path
		other := *now.Load()
		other.login += 100
		now.Store(&other)
		r.answers(external, port)
		second.wantNothing("that was for another login")
		r.wantDropped("session/office", "no_user", 1)
		r.end()
	})
}

// A session with NAT takes as many users as its address has blocks for.
func TestNATIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, func(c *config.Config) {
			c.Sessions[0].NAT, c.Sessions[0].NATPorts = true, config.NATPorts{Block: 8192, Blocks: 4}
		})
		var all []*caller
		for i := range 7 {
			c := r.login(fmt.Sprintf("virtual/%d", i), as("alice", "wonderland"))
			r.opens(c, 1000)
			all = append(all, c)
		}
		late := r.call("virtual/late", as("bob", "builder"))
		late.wantDown("there are no ports for him")
		if why := r.gw.shared.groups["virtual"].whyNoTrunk(); !strings.Contains(why, "office") || !strings.Contains(why, "nat_ports") {
			t.Errorf("the operator is told %q", why)
		}
		all[3].hangUp()
		late.wantUp("somebody has gone")
		if external, port := r.opens(late, 1000); external.String() != trunkAddr {
			t.Errorf("port %d of %v", port, external)
		}
		r.end()
	})
}

// So many as those who are there leave: the second block of one is the first one of
// nobody, until it is empty.
func TestNATHasRoomAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, func(c *config.Config) {
			c.Sessions[0].NAT, c.Sessions[0].NATPorts = true, config.NATPorts{Block: 512, Blocks: 4}
		})
		tr := r.gw.shared.trunks["office"]
		var busy []*session
		defer func() {
			for _, s := range busy {
				tr.mu.Lock()
				tr.nat.Leave(clock(), tr.members[s].ID)
				delete(tr.members, s)
				tr.mu.Unlock()
			}
			r.end()
		}()
		for i := range 31 { // users of two blocks or more, who are nobody's line
			s := new(session)
			tr.mu.Lock()
			tr.members[s] = nat.User{}
			tr.mu.Unlock()
			addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
			login := tr.enter(s, nat.User{Addr: addr})
			for src := range 4 * 512 {
				b := packet{src: addr.String(), dst: host, payload: udp(uint16(src), 7, nil)}.bytes()
				h, _ := ip.Parse4(b)
				if _, v := tr.nat.Out(clock(), login, b, &h); v != nat.Forward {
					t.Fatalf("packet %d of user %d: %v", src, i, v)
				}
			}
			busy = append(busy, s)
		}
		r.login("virtual/1", as("alice", "wonderland"))
		r.login("virtual/2", as("alice", "wonderland"))
		time.Sleep(290 * time.Second)
		late := r.call("virtual/late", as("bob", "builder"))
		late.wantDown("126 blocks are 31 times four and two")
		time.Sleep(20 * time.Second)
		late.wantUp("what they had sent five minutes ago is over")
	})
}

// Users may know the gateway by the session's own address: a ping to it is answered,
// and a port of it is another user's.
func TestHairpinToTheGatewaysAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, func(c *config.Config) {
			withNAT(c)
			c.Pools[0].Gateway = netip.Addr{}
		})
		one, small := r.login("virtual/1", as("alice", "wonderland")), as("bob", "builder")
		small.MRU = 600
		two := r.login("virtual/2", small)
		external, port1 := r.opens(one, 1000)
		_, port2 := r.opens(two, 1000)
		a, b := one.address().String(), two.address().String()
		if gw := one.wantUp("").Peer; gw != external {
			t.Fatalf("he knows the gateway as %v", gw)
		}
		one.send(packet{src: a, dst: external.String(), proto: ip.ProtoICMP, payload: echo(8, 1, "you?")}.bytes())
		wantICMP(t, one.want("a ping"), external.String(), a, 0, 0)
		one.send(packet{src: a, dst: external.String(), payload: udp(1000, port2, nil)}.bytes())
		two.send(packet{src: b, dst: external.String(), payload: udp(1000, port1, []byte("hello"))}.bytes())
		if got := one.want("his word"); string(got[28:]) != "hello" {
			t.Errorf("% x", got)
		}

		// What does not fit is told of as it was sent.
		sent := packet{src: a, dst: external.String(), df: true, payload: udp(1000, port2, make([]byte, 900))}.bytes()
		one.send(sent)
		two.wantNothing("his MRU is 600")
		e := one.want("an error")
		wantICMP(t, e, external.String(), a, 3, 4)
		sent[8]-- // the hop counts
		if mtu := binary.BigEndian.Uint16(e[26:]); mtu != 600 || string(e[28+12:28+28]) != string(sent[12:28]) || e[28+8] != sent[8] {
			t.Errorf("MTU %d, quoted is\n% x, sent was\n% x", mtu, e[28:56], sent[:28])
		}
		r.end()
	})
}

// lines is a log that a test reads.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
	gate chan struct{} // not nil: a line waits for it
}

func (l *lines) Write(b []byte) (int, error) {
	if l.gate != nil {
		<-l.gate
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.text.String()), "\n")
}

// RFC 6888 section 4: who had which ports when can be told from the log.
func TestNATLogHasNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, withNAT)
		log := new(lines)
		r.gw.shared.natLog.log = slog.New(slog.NewTextHandler(log, nil))
		c := r.login("virtual/1", as("bob", "builder"))
		for range 2 {
			external, port := r.opens(c, 1000)
			address := c.address().String()
			c.hangUp()
			first := port &^ 511
			got := log.all()
			for i, want := range []string{"NAT ports assigned", "NAT ports released"} {
				for _, want := range []string{
					want, "session=office", "user=bob", "address=" + address, "external=" + external.String(),
					fmt.Sprintf("first=%d", first), fmt.Sprintf("last=%d", first+511),
				} {
					if l := got[len(got)-2+i]; !strings.Contains(l, want) {
						t.Errorf("%s: there is no %s", l, want)
					}
				}
			}
			c = r.login("virtual/1", as("bob", "builder"))
		}
		r.end()
		if n := len(log.all()); n != 4 {
			t.Errorf("%d lines for two logins that sent something", n)
		}
	})
}

// A log that nobody reads holds up nobody, and says what it has lost.
func TestSlowNATLog(t *testing.T) {
	out := &lines{gate: make(chan struct{})}
	l := newNATLog(slog.New(slog.NewTextHandler(out, nil)))
	tr := &trunk{cfg: &config.Session{Name: "office"}}
	const lost = 100
	for i := range natLogQueue + lost {
		l.put(tr, nat.Block{First: uint16(i)})
	}
	// The goroutine may have one in its hands.
	n := tr.natLost.Load()
	if n != lost && n != lost-1 {
		t.Errorf("%d lines are lost, want %d or one less", n, lost)
	}
	close(out.gate)
	l.close()
	all := out.all()
	if want := natLogQueue + lost - int(n) + 1; len(all) != want {
		t.Errorf("%d lines, want %d", len(all), want)
	}
	told, next := false, 0
	for _, line := range all {
		if strings.Contains(line, "level=ERROR") && strings.Contains(line, fmt.Sprintf("lost=%d", n)) {
			told = true
		} else if strings.Contains(line, fmt.Sprintf("first=%d ", next)) {
			next++
		}
	}
	if !told || next != len(all)-1 {
		t.Errorf("of the loss it says %v; %d lines of %d are in order", told, next, len(all))
	}
}
