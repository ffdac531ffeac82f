package nat

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// small is a NAT with four blocks of sixteen ports.
func small(cfg Config) Config {
	cfg.FirstPort, cfg.LastPort, cfg.BlockSize = 2048, 2111, 16
	return cfg
}

func (r *rig) wantBlocks(why string, want ...Block) {
	r.t.Helper()
	for i := range want {
		want[i].External = netip.MustParseAddr(shared)
	}
	if d := cmp.Diff(want, r.blocks, cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{})); d != "" {
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
	r.wantBlocks("sixteen sockets", Block{User: alice, First: 2048, Last: 2063})
	send(bob, bobAddr, 1, 2)
	r.wantBlocks("another user", Block{User: bob, First: 2064, Last: 2079})
	r.wait(time.Minute)
	if n := send(alice, aliceAddr, 17, 40); n != 16 {
		t.Errorf("two blocks have room for sixteen more, not %d", n)
	}
	r.wantBlocks("more sockets", Block{User: alice, First: 2080, Last: 2095})
	if got := r.dropped(NoPort); got != 7 {
		t.Errorf("%d did not get a port, want 7", got)
	}
	r.wantOut("of another protocol the same ports are free", alice, icmpPacket(t, aliceAddr, server, 8, 1), Forward)

	// The first block's sockets end a minute before the second one's. The ping has
	// ended long ago.
	r.wait(242 * time.Second)
	r.wantBlocks("a block is empty", Block{User: alice, First: 2048, Last: 2063, Released: true})
	r.wait(10 * time.Minute)
	r.wantBlocks("the last one stays")
	if s := r.nat.Stats(); s.Mappings != 0 || s.Users != 2 || s.BlocksFree != 2 {
		t.Errorf("quiet users are %+v", s)
	}
	r.nat.Drop(r.now, alice)
	r.wantBlocks("alice leaves", Block{User: alice, First: 2080, Last: 2095, Released: true})
	r.nat.Drop(r.now, alice)
	r.wantBlocks("nobody leaves twice")
	r.nat.Close(r.now)
	r.wantBlocks("the address goes", Block{User: bob, First: 2064, Last: 2079, Released: true})
	if s := r.nat.Stats(); s.Users != 0 || s.BlocksFree != 4 || s.Sessions != 0 {
		t.Errorf("at the end there is %+v", s)
	}
}

// RFC 6888 REQ-8.
func TestHoldDown(t *testing.T) {
	r := newRig(t, small(Config{}))
	for user := uint32(1); user <= 4; user++ {
		r.wantOut("four users", user, udpPacket(t, aliceAddr, 1, server, 6000), Forward)
	}
	r.wantOut("a fifth one", 5, udpPacket(t, aliceAddr, 1, server, 6000), NoBlock)
	r.nat.Drop(r.now, 3)
	r.wait(119 * time.Second)
	r.wantOut("the block rests", 5, udpPacket(t, aliceAddr, 1, server, 6000), NoBlock)
	r.wait(time.Second)
	r.wantOut("the block has rested", 5, udpPacket(t, aliceAddr, 1, server, 6000), Forward)

	r = newRig(t, small(Config{HoldDown: -1}))
	for user := uint32(1); user <= 4; user++ {
		r.wantOut("four users", user, udpPacket(t, aliceAddr, 1, server, 6000), Forward)
	}
	r.nat.Drop(r.now, 1)
	r.wantOut("without a rest", 5, udpPacket(t, aliceAddr, 1, server, 6000), Forward)
}

// What is dropped leaves nothing behind.
func TestDrop(t *testing.T) {
	r := newRig(t, Config{})
	port := sport(r.wantOut("a connection", alice, tcpPacket(t, aliceAddr, 5000, server, 80, synFlag), Forward))
	r.wantOut("bob's", bob, tcpPacket(t, bobAddr, 5000, server, 80, synFlag), Forward)
	r.nat.Drop(r.now, alice)
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
