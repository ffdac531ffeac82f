package nat

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tributary/internal/ip"
)

// small is a NAT with four blocks of sixteen ports.
func small(cfg Config) Config {
	cfg.FirstPort, cfg.LastPort, cfg.BlockSize = 2048, 2111, 16
	return cfg
}

func (r *rig) wantBlocks(why string, want ...logLine) {
	r.t.Helper()
	if d := cmp.Diff(want, r.blocks, cmpopts.EquateEmpty()); d != "" {
		r.t.Errorf("%s: the log says (-want +got)\n%s", why, d)
	}
	r.blocks = nil
}

func TestBlocks(t *testing.T) {
	r := newRig(t, small(Config{BlocksPerUser: 2}))
	r.wantBlocks("nobody has sent anything")
	send := func(user uint32, addr string, ports ...int) (sent int) {
		for p := ports[0]; p < ports[1]; p++ {
			if _, v := r.out(user, udpPacket(t, addr, uint16(p), server, 6000)); v == Forward {
				sent++
			}
		}
		return sent
	}
	send(alice, aliceAddr, 1, 17)
	r.wantBlocks("sixteen sockets", logLine{User: alice, First: 2048, Last: 2063})
	send(bob, bobAddr, 1, 2)
	r.wantBlocks("another user", logLine{User: bob, First: 2064, Last: 2079})
	r.wait(time.Minute)
	if n := send(alice, aliceAddr, 17, 40); n != 16 {
		t.Errorf("two blocks have room for sixteen more, not %d", n)
	}
	r.wantBlocks("more sockets", logLine{User: alice, First: 2080, Last: 2095})
	if got := r.dropped(NoPort); got != 7 {
		t.Errorf("%d did not get a port, want 7", got)
	}
	r.wantOut("of another protocol the same ports are free", alice, icmpPacket(t, aliceAddr, server, 8, 1), Forward)

	// The first block's sockets end a minute before the second one's. The ping has
	// ended long ago.
	r.wait(242 * time.Second)
	r.wantBlocks("a block is empty", logLine{User: alice, First: 2048, Last: 2063, Released: true})
	r.wait(10 * time.Minute)
	r.wantBlocks("the last one stays")
	if s := r.nat.Stats(); s.Mappings != 0 || s.UsersServed != 2 || s.BlocksFree != 2 {
		t.Errorf("quiet users are %+v", s)
	}
	r.nat.Leave(r.now, alice)
	r.wantBlocks("alice leaves", logLine{User: alice, First: 2080, Last: 2095, Released: true})
	r.nat.Leave(r.now, alice)
	r.wantBlocks("nobody leaves twice")
	r.nat.Close(r.now)
	r.wantBlocks("the address goes", logLine{User: bob, First: 2064, Last: 2079, Released: true})
	if s := r.nat.Stats(); s.Users != 0 || s.BlocksFree != 4 || s.Sessions != 0 {
		t.Errorf("at the end there is %+v", s)
	}
}

// RFC 6888 REQ-8: where whoever knows a port may send to it, it rests for as long as
// that takes, whoever waits for it.
func TestHoldDown(t *testing.T) {
	one := func(r *rig, why string, user uint32, want Verdict) {
		t.Helper()
		r.wantOut(why, user, udpPacket(t, aliceAddr, 1, server, 6000), want)
	}
	full := func(cfg Config) *rig {
		t.Helper()
		r := newRig(t, small(cfg))
		r.join(3, 4, 5)
		for user := uint32(1); user <= 4; user++ {
			one(r, "four users", user, Forward)
		}
		one(r, "a fifth one", 5, NoBlock)
		r.nat.Leave(r.now, 3)
		return r
	}
	r := full(Config{Filtering: EndpointIndependent})
	r.wait(119 * time.Second)
	one(r, "the block rests", 5, NoBlock)
	if s := r.nat.Stats(); s.BlocksFree != 1 || s.BlocksResting != 1 {
		t.Errorf("%+v: one block rests", s)
	}
	r.wait(time.Second)
	if s := r.nat.Stats(); s.BlocksFree != 1 || s.BlocksResting != 0 {
		t.Errorf("%+v: it has rested", s)
	}
	one(r, "the block has rested", 5, Forward)

	one(full(Config{Filtering: EndpointIndependent, HoldDown: -1}), "without a rest", 5, Forward)

	// Where filtering looks at addresses, it is better than no network at all.
	r = full(Config{})
	one(r, "there is no other", 5, Forward)

	// But nobody gets it as one more.
	r = newRig(t, small(Config{}))
	r.join(3)
	for user := uint32(1); user <= 3; user++ {
		one(r, "three users", user, Forward)
	}
	r.nat.Leave(r.now, 3)
	for i := range 16 {
		r.wantOut("a second block", alice, udpPacket(t, aliceAddr, uint16(2+i), server, 6000), Forward)
	}
	for i := range 15 {
		r.wantOut("its other ports", alice, udpPacket(t, aliceAddr, uint16(20+i), server, 6000), Forward)
	}
	r.wantOut("a third one, which rests", alice, udpPacket(t, aliceAddr, 40, server, 6000), NoBlock)
	r.wait(120 * time.Second)
	r.wantOut("it has rested", alice, udpPacket(t, aliceAddr, 40, server, 6000), Forward)
}

// Who dials in again and again has the same blocks again and again.
func TestRedial(t *testing.T) {
	r := newRig(t, small(Config{BlocksPerUser: 2}))
	r.wantOut("bob is there", bob, udpPacket(t, bobAddr, 1, server, 6000), Forward)
	seen := map[uint16]bool{}
	for id := uint32(100); id < 200; id++ {
		// The pool may give him another address each time.
		r.joinAs(User{ID: id, Addr: ip.AddrFrom4(10<<24 | id), Name: "Carol", Subscriber: "carol"})
		for i := range 17 { // sixteen and one: of two blocks
			r.wantOut("a socket", id, udpPacket(t, ip.AddrFrom4(10<<24|id).String(), uint16(i), server, 6000), Forward)
		}
		r.nat.Leave(r.now, id)
		r.now += time.Second
	}
	for _, b := range r.blocks[1:] {
		seen[b.First] = true
	}
	if len(seen) != 2 {
		t.Errorf("carol had blocks %v, and she may have two", seen)
	}
	if s := r.nat.Stats(); s.BlocksFree != 3 || s.BlocksResting != 2 {
		t.Errorf("%+v: two of the three that are free rest", s)
	}
	// Those who give no name have what their address has.
	r.blocks = nil
	for id := uint32(200); id < 210; id++ {
		r.joinAs(User{ID: id, Addr: netip.MustParseAddr("10.9.9.9")})
		r.wantOut("a socket", id, udpPacket(t, "10.9.9.9", 1, server, 6000), Forward)
		r.nat.Leave(r.now, id)
	}
	for _, b := range r.blocks {
		if b.First != r.blocks[0].First || seen[b.First] {
			t.Errorf("whoever has 10.9.9.9 has block %d, after %d", b.First, r.blocks[0].First)
		}
	}
	r.checkPool()
}

// And who does it as ever new subscribers takes nothing from anybody.
func TestRedialAsOthers(t *testing.T) {
	r := newRig(t, small(Config{}))
	for id := uint32(100); id < 200; id++ {
		r.join(id)
		r.wantOut("another guest", id, udpPacket(t, aliceAddr, 1, server, 6000), Forward)
		r.nat.Leave(r.now, id)
	}
	r.wantOut("alice has ports", alice, udpPacket(t, aliceAddr, 1, server, 6000), Forward)
	r.wantOut("bob too", bob, udpPacket(t, bobAddr, 1, server, 6000), Forward)
	r.checkPool()
	if n := len(r.nat.pool.subscribers); n != 4 {
		t.Errorf("%d subscribers are remembered: two who are there, and two blocks' last ones", n)
	}
}

// Nobody's second block is anybody's first one.
func TestWhoHasNoneComesFirst(t *testing.T) {
	r := newRig(t, small(Config{}))
	r.join(3)
	if got := r.nat.Room(3); got != 1 {
		t.Errorf("there is room for %d more, want 1", got)
	}
	sent := 0
	for i := range 64 {
		if _, v := r.out(alice, udpPacket(t, aliceAddr, uint16(i), server, 6000)); v == Forward {
			sent++
		}
	}
	if sent != 32 {
		t.Errorf("alice has %d ports, want 32: two blocks are for the others", sent)
	}
	if got := r.nat.Room(3); got != 0 {
		t.Errorf("there is room for %d more, want none", got)
	}
	r.wantOut("bob's first", bob, udpPacket(t, bobAddr, 1, server, 6000), Forward)
	r.wantOut("carol's first", 3, udpPacket(t, "10.0.0.3", 1, server, 6000), Forward)
	r.checkPool()
}

// checkPool holds the pool to what it says of itself.
func (r *rig) checkPool() {
	r.t.Helper()
	p := &r.nat.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	resting, n, before := map[string][]uint32{}, 0, uint32(0)
	for i := p.head; i != 0; i = p.blocks[i].next {
		b := &p.blocks[i]
		if b.prev != before || b.owner.Load() != 0 || b.user != nil {
			r.t.Fatalf("free block %d is %+v behind %d", i, b.rest, before)
		}
		if b.last != nil {
			resting[b.last.key] = append(resting[b.last.key], i)
		}
		n, before = n+1, i
	}
	if n != p.free || before != p.tail {
		r.t.Fatalf("%d blocks are free, the last is %d; counted are %d, and %d", n, before, p.free, p.tail)
	}
	logins, joined, served := map[string]int{}, 0, 0
	for i := range r.nat.shards {
		for _, u := range r.nat.shards[i].users {
			logins[u.subscriber.key]++
			joined++
			if len(u.blocks) > 0 {
				served++
			}
			n += len(u.blocks)
		}
	}
	if joined != p.joined || served != p.served || n != p.all {
		r.t.Fatalf("%d users, %d with blocks, %d blocks in all; counted are %d, %d and %d", joined, served, n, p.joined, p.served, p.all)
	}
	for key, s := range p.subscribers {
		if s.key != key || s.logins != logins[key] || s.logins == 0 && len(s.resting) == 0 || !slices.Equal(s.resting, resting[key]) {
			r.t.Fatalf("%s is %+v, with %d logins and %v", key, s, logins[key], resting[key])
		}
		delete(resting, key)
	}
	if len(resting) > 0 {
		r.t.Fatalf("nobody knows of %v", resting)
	}
}

// Who leaves leaves nothing behind.
func TestLeave(t *testing.T) {
	r := newRig(t, Config{})
	port := sport(r.wantOut("a connection", alice, tcpPacket(t, aliceAddr, 5000, server, 80, synFlag), Forward))
	r.wantOut("bob's", bob, tcpPacket(t, bobAddr, 5000, server, 80, synFlag), Forward)
	r.nat.Leave(r.now, alice)
	r.wantIn("an answer for who has left", tcpPacket(t, server, 80, shared, port, synFlag|ackFlag), 0, NoMapping)
	if s := r.nat.Stats(); s.Sessions != 1 || s.Mappings != 1 || s.Users != 1 || s.BlocksFree != s.Blocks-1 {
		t.Errorf("bob alone is %+v", s)
	}
}

func TestSessionLimits(t *testing.T) {
	r := newRig(t, Config{SessionsPerUser: 3, Sessions: 5})
	for i := range 3 {
		r.wantOut("three of alice", alice, udpPacket(t, aliceAddr, uint16(i), server, 6000), Forward)
	}
	r.wantOut("a fourth", alice, udpPacket(t, aliceAddr, 4, server, 6000), UserSessions)
	r.wantOut("what alice has goes on", alice, udpPacket(t, aliceAddr, 0, server, 6000), Forward)
	for i := range 2 {
		r.wantOut("two of bob", bob, udpPacket(t, bobAddr, uint16(i), server, 6000), Forward)
	}
	r.wantOut("a third", bob, udpPacket(t, bobAddr, 4, server, 6000), Sessions)
	r.wait(302 * time.Second)
	r.wantOut("when the others are over", bob, udpPacket(t, bobAddr, 4, server, 6000), Forward)
	if s := r.nat.Stats(); s.Sessions != 1 || s.Dropped["sessions"] != 1 || s.Dropped["user-sessions"] != 1 {
		t.Errorf("%+v", s)
	}
	// One that gets no port is not counted as a session.
	r = newRig(t, small(Config{BlocksPerUser: 1, Sessions: 17}))
	for i := range 30 {
		r.out(alice, udpPacket(t, aliceAddr, uint16(i), server, 6000))
	}
	if s := r.nat.Stats(); s.Sessions != 16 || s.Dropped["no-port"] != 14 {
		t.Errorf("%+v", s)
	}
}

// Tick does a bounded amount of work and says when there is more; what is over is
// over after some of them.
func TestTickIsBounded(t *testing.T) {
	r := newRig(t, Config{SessionsPerUser: 1 << 16, BlocksPerUser: 100})
	const all = 3*sweepWork + 100
	for i := range all {
		r.wantOut("a session", alice, udpPacket(t, aliceAddr, uint16(i), server, 6000), Forward)
	}
	r.now += 301 * time.Second
	for n := 1; ; n++ {
		more := r.nat.Tick(r.now)
		left := r.nat.Stats().Sessions
		if left < all-n*sweepWork {
			t.Fatalf("after %d ticks only %d are left", n, left)
		}
		if !more {
			if left != 0 || n > 5 {
				t.Errorf("after %d ticks %d are left", n, left)
			}
			break
		}
	}
	// A clock that stood still for a day is no work.
	r.now += 24 * time.Hour
	if r.nat.Tick(r.now) {
		t.Error("there is work without sessions")
	}
}
