package nat

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Who has left is nobody, whoever has the address by then.
func TestWhoHasLeftIsNobody(t *testing.T) {
	r := newRig(t, Config{})
	address := netip.MustParseAddr("10.0.0.77")
	before, after := User{ID: 7, Addr: address, Name: "before"}, User{ID: 8, Addr: address, Name: "after"}
	packet := func(src uint16) []byte { return udpPacket(t, "10.0.0.77", src, server, 6000) }
	r.wantOut("who has not joined", 7, packet(1), NoUser)
	r.joinAs(before)
	port := sport(r.wantOut("who has", 7, packet(1), Forward))

	first := r.cut(udpData(t, "10.0.0.77", 1, server, 6000, make([]byte, 2000)), 1400)
	r.wantOut("the first half", 7, first[0], Forward)
	answer := r.cut(udpData(t, server, 6000, shared, port, make([]byte, 2000)), 1400)
	r.wantIn("the first half of the answer", answer[0], 7, Forward)

	r.nat.Leave(r.now, 7)
	r.joinAs(after)
	r.wantOut("a reader that still has a packet of before", 7, packet(1), NoUser)
	r.wantOut("and another one", 7, packet(2), NoUser)
	r.wantOut("and the second half", 7, first[1], NoUser)
	r.wantIn("the second half of the answer, which is not for the next one", answer[1], 0, NoUser)
	r.wantIn("what else is on its way", udpPacket(t, server, 6000, shared, port), 0, NoMapping)
	if s := r.nat.Stats(); s.Mappings != 0 || s.Sessions != 0 || s.Users != 3 || s.UsersServed != 0 || s.Dropped["no-user"] != 5 {
		t.Errorf("of the next user there is already %+v", s)
	}
	// He has the ports of the one before, as they had the address: nothing gets through
	// to him that he has not asked for.
	if got := sport(r.wantOut("the next one's first packet", 8, packet(1), Forward)); got>>8 != port>>8 {
		t.Errorf("port %d, want one of the block of %d", got, port)
	}
	r.checkPool()
}

func TestIDsAreUsedOnce(t *testing.T) {
	r := newRig(t, Config{})
	if r.nat.Join(nobody(alice)) {
		t.Error("alice joins twice")
	}
	if r.nat.Join(User{Name: "zero"}) {
		t.Error("0 is nobody")
	}
	r.nat.Leave(r.now, 99)
	r.checkPool()
}

// A closed NAT, which a reader may still hold, lets nobody through.
func TestClosed(t *testing.T) {
	r := newRig(t, Config{})
	packet := udpPacket(t, aliceAddr, 1, server, 6000)
	port := sport(r.wantOut("open", alice, bytes.Clone(packet), Forward))
	r.nat.Close(r.now)
	r.wantOut("closed", alice, packet, NoUser)
	r.wantIn("closed", udpPacket(t, server, 6000, shared, port), 0, NoMapping)
	r.checkPool()
}

// Stats tells protocols apart.
func TestStats(t *testing.T) {
	r := newRig(t, Config{})
	r.wantOut("a datagram", alice, udpPacket(t, aliceAddr, 1, server, 6000), Forward)
	r.wantOut("and another socket", alice, udpPacket(t, aliceAddr, 2, server, 6000), Forward)
	r.wantOut("the same one to another host", alice, udpPacket(t, aliceAddr, 2, other, 6000), Forward)
	r.wantOut("a connection", alice, tcpPacket(t, aliceAddr, 1, server, 80, synFlag), Forward)
	r.wantOut("a ping", bob, icmpPacket(t, bobAddr, server, echo, 7), Forward)
	got := r.nat.Stats()
	got.Dropped = nil
	want := Stats{
		Users: 2, UsersServed: 2, Sessions: 5, Mappings: 4, MappingsTCP: 1, MappingsUDP: 2, MappingsICMP: 1,
		Blocks: 252, BlocksFree: 250,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
	r.nat.Leave(r.now, bob)
	r.wait(time.Second)
	if s := r.nat.Stats(); s.MappingsICMP != 0 || s.Mappings != 3 || s.BlocksResting != 1 {
		t.Errorf("without bob it is %+v", s)
	}
}
