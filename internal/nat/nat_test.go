package nat

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"tributary/internal/ip"
)

func TestUDPConversation(t *testing.T) {
	r := newRig(t, Config{})
	b := r.wantOut("a query", alice, udpPacket(t, aliceAddr, 137, server, 53000), Forward)
	port := sport(b)
	wantEnds(t, "the query outside", b, shared, port, server, 53000)
	if port < 1024 {
		t.Errorf("port 137 became %d: ports below 1024 are nobody's block", port)
	}
	b = r.wantIn("the answer", udpPacket(t, server, 53000, shared, port), alice, Forward)
	wantEnds(t, "the answer inside", b, server, 53000, aliceAddr, 137)

	b = r.wantOut("to somebody else", alice, udpPacket(t, aliceAddr, 137, other, 1), Forward)
	wantEnds(t, "RFC 4787 REQ-1: the same external endpoint", b, shared, port, other, 1)
	b = r.wantOut("another socket", alice, udpPacket(t, aliceAddr, 138, server, 53000), Forward)
	if sport(b) == port {
		t.Error("two sockets have one port")
	}
	b = r.wantOut("another user with the same address", bob, udpPacket(t, aliceAddr, 137, server, 53000), Forward)
	if sport(b)>>8 == port>>8 {
		t.Error("two users have one block")
	}

	r.wantIn("to a port nobody has", udpPacket(t, server, 53000, shared, port^1), 0, NoMapping)
	r.wantIn("to a block nobody has", udpPacket(t, server, 53000, shared, 60000), 0, NoMapping)
	r.wantIn("to a port below all blocks", udpPacket(t, server, 53000, shared, 80), 0, NoMapping)
	r.wantIn("to another address", udpPacket(t, server, 53000, "198.51.100.2", port), 0, NotOurs)
	r.wantIn("as if from ourselves", udpPacket(t, shared, 53000, shared, port), 0, NotOurs)
	r.wantIn("of another protocol", tcpPacket(t, server, 53000, shared, port, synFlag), 0, NoMapping)
	if got := r.dropped(NoMapping); got != 4 {
		t.Errorf("%d without a mapping are counted, want 4", got)
	}

	r.wait(299 * time.Second)
	r.wantIn("RFC 4787 REQ-5: after nearly five minutes", udpPacket(t, server, 53000, shared, port), alice, Forward)
	r.wait(2 * time.Second)
	r.wantIn("inbound does not refresh", udpPacket(t, server, 53000, shared, port), 0, NoMapping)
	if s := r.nat.Stats(); s.Sessions != 0 || s.Mappings != 0 || s.UsersServed != 2 {
		t.Errorf("when all is over there is %+v", s)
	}
}

func TestOutboundRefreshes(t *testing.T) {
	r := newRig(t, Config{})
	var port uint16
	for range 5 {
		b := r.wantOut("every four minutes", alice, udpPacket(t, aliceAddr, 5000, server, 6000), Forward)
		if port != 0 && sport(b) != port {
			t.Errorf("port %d has become %d", port, sport(b))
		}
		port = sport(b)
		r.wait(4 * time.Minute)
	}
	r.wantIn("twenty minutes after the first", udpPacket(t, server, 6000, shared, port), alice, Forward)
}

// The clock is any that does not go back, and may begin below zero.
func TestAnyClock(t *testing.T) {
	for _, begin := range []time.Duration{-26 * 365 * 24 * time.Hour, -150 * time.Second, 0, 200 * 365 * 24 * time.Hour} {
		for _, ticked := range []bool{false, true} {
			r := newRig(t, Config{})
			r.nat, _ = New(Config{External: netip.MustParseAddr(shared)})
			r.join(alice)
			r.now = begin
			if ticked {
				r.tick()
			}
			port := sport(r.wantOut("at the begin", alice, udpPacket(t, aliceAddr, 1, server, 6000), Forward))
			r.wait(299 * time.Second)
			r.wantIn("it lasts", udpPacket(t, server, 6000, shared, port), alice, Forward)
			r.wait(3 * time.Second)
			r.wantIn("and ends", udpPacket(t, server, 6000, shared, port), 0, NoMapping)
		}
	}
}

func TestFiltering(t *testing.T) {
	for _, row := range []struct {
		filtering                       Filtering
		samePort, sameAddress, stranger Verdict
	}{
		{AddressDependent, Forward, Forward, Filtered},
		{EndpointIndependent, Forward, Forward, Forward},
		{AddressAndPortDependent, Forward, Filtered, Filtered},
	} {
		r := newRig(t, Config{Filtering: row.filtering})
		u := sport(r.wantOut("UDP", alice, udpPacket(t, aliceAddr, 5000, server, 6000), Forward))
		r.wantIn("UDP from whom it was sent to", udpPacket(t, server, 6000, shared, u), alice, row.samePort)
		r.wantIn("UDP from another port", udpPacket(t, server, 6001, shared, u), alice, row.sameAddress)
		r.wantIn("UDP from another host", udpPacket(t, other, 6000, shared, u), alice, row.stranger)

		c := sport(r.wantOut("TCP", alice, tcpPacket(t, aliceAddr, 5000, server, 6000, synFlag), Forward))
		r.wantIn("TCP from whom it was sent to", tcpPacket(t, server, 6000, shared, c, synFlag|ackFlag), alice, row.samePort)
		r.wantIn("TCP from another port", tcpPacket(t, server, 6001, shared, c, synFlag), alice, row.sameAddress)
		r.wantIn("TCP from another host", tcpPacket(t, other, 6000, shared, c, synFlag), alice, row.stranger)

		i := sport(r.wantOut("ping", alice, icmpPacket(t, aliceAddr, server, echo, 77), Forward))
		r.wantIn("the pong", icmpPacket(t, server, shared, echoReply, i), alice, Forward)
		r.wantIn("a pong from another host", icmpPacket(t, other, shared, echoReply, i), alice, row.stranger)
		if got := r.nat.Stats().Sessions; got != 3 {
			t.Errorf("filtering %d: %d sessions: nothing from outside makes one", row.filtering, got)
		}
		// The counts of senders go with the sessions.
		r.wait(301 * time.Second)
		r.wantIn("after all is over", tcpPacket(t, server, 6000, shared, c, ackFlag), 0, NoMapping)
		for i := range r.nat.shards {
			if n := len(r.nat.shards[i].senders); n != 0 {
				t.Errorf("filtering %d: %d senders are left", row.filtering, n)
			}
		}
	}
}

func TestICMPQueries(t *testing.T) {
	r := newRig(t, Config{})
	for _, row := range []struct{ ask, answer uint8 }{{8, 0}, {13, 14}, {17, 18}} {
		b := r.wantOut("a query", alice, icmpPacket(t, aliceAddr, server, row.ask, 77), Forward)
		id := sport(b)
		b = r.wantIn("the answer", icmpPacket(t, server, shared, row.answer, id), alice, Forward)
		wantEnds(t, "the answer inside", b, server, 77, aliceAddr, 77)
		r.wait(59 * time.Second)
		r.wantIn("RFC 5508 REQ-2: a late answer", icmpPacket(t, server, shared, row.answer, id), alice, Forward)
		r.wait(2 * time.Second)
		r.wantIn("too late", icmpPacket(t, server, shared, row.answer, id), 0, NoMapping)
	}
	r.wantOut("an answer to nothing", alice, icmpPacket(t, aliceAddr, server, 0, 77), Unsupported)
	r.wantOut("a redirect", alice, icmpPacket(t, aliceAddr, server, 5, 77), Unsupported)
	r.wantIn("a redirect from outside", icmpPacket(t, server, shared, 5, 77), 0, Unsupported)

	for why, ping := range map[string][]byte{"inside": icmpPacket(t, aliceAddr, shared, 8, 77), "outside": icmpPacket(t, server, shared, 8, 77)} {
		was := bytes.Clone(ping)
		v := ToRouter
		if why == "inside" {
			r.wantOut("the shared address is pinged", alice, ping, v)
		} else {
			r.wantIn("the shared address is pinged", ping, 0, v)
		}
		if !bytes.Equal(was, ping) {
			t.Errorf("from %s: what is for the router is translated", why)
		}
	}
}

func TestUnsupportedAndMalformed(t *testing.T) {
	r := newRig(t, Config{})
	raw := func(from, to string, p layers.IPProtocol, payload ...byte) []byte {
		return build(t, header(from, to, p), gopacket.Payload(payload))
	}
	short := tcpPacket(t, aliceAddr, 1, server, 2, synFlag)[20:40]
	short[12] = 0x40
	for _, row := range []struct {
		why     string
		p       layers.IPProtocol
		payload []byte
		want    Verdict
	}{
		{"GRE", 47, make([]byte, 20), Unsupported},
		{"TCP of 19 octets", 6, make([]byte, 19), Malformed},
		{"TCP with a header of 16", 6, short, Malformed},
		{"UDP of 7 octets", 17, make([]byte, 7), Malformed},
		{"ICMP of 7 octets", 1, make([]byte, 7), Malformed},
		{"nothing", 17, nil, Malformed},
	} {
		r.wantOut(row.why, alice, raw(aliceAddr, server, row.p, row.payload...), row.want)
		r.wantIn(row.why, raw(server, shared, row.p, row.payload...), 0, row.want)
	}
	if got := r.dropped(Malformed); got != 10 {
		t.Errorf("%d are counted as malformed, want 10", got)
	}
}

func TestUDPChecksums(t *testing.T) {
	r := newRig(t, Config{})
	b := udpPacket(t, aliceAddr, 5000, server, 6000)
	b[26], b[27] = 0, 0
	r.wantOut("without a checksum", alice, b, Forward)
	if b[26] != 0 || b[27] != 0 {
		t.Error("it has got one")
	}
	port := sport(b)
	b = udpPacket(t, server, 6000, shared, port)
	b[26], b[27] = 0, 0
	r.wantIn("without a checksum from outside", b, alice, Forward)
	if b[26] != 0 || b[27] != 0 {
		t.Error("it has got one")
	}

	// Two octets of data are made so that the sum outside is zero.
	data := []byte{0, 0}
	b = udpData(t, shared, port, server, 6000, data)
	sum := binary.BigEndian.Uint16(b[26:])
	binary.BigEndian.PutUint16(data, sum)
	b = udpData(t, aliceAddr, 5000, server, 6000, data)
	h := r.parse(b)
	if _, v := r.nat.Out(r.now, alice, b, h); v != Forward { // gopacket takes ffff for wrong
		t.Errorf("a sum of zero: %v", v)
	}
	if got := binary.BigEndian.Uint16(b[26:]); got != 0xffff || ip.Checksum(ip.Pseudo4(h.Src, h.Dst, ip.ProtoUDP, 10), b[20:]) != 0 {
		t.Errorf("RFC 768: a computed zero is sent as all ones, not as %04x", got)
	}
}

// RFC 6864 section 5.3.1: what may be fragmented has IDs of our own; what may not
// keeps its own.
func TestIdentification(t *testing.T) {
	r := newRig(t, Config{})
	seen := map[uint16]bool{}
	for i := range 1000 {
		user, addr := uint32(alice), aliceAddr
		if i%2 == 1 {
			user, addr = bob, bobAddr
		}
		b := r.wantOut("the same ID again", user, udpPacket(t, addr, 5000, server, 6000), Forward)
		id := binary.BigEndian.Uint16(b[4:])
		if seen[id] {
			t.Fatalf("ID %d twice in %d packets", id, i)
		}
		seen[id] = true
	}
	b := r.wantOut("with DF", alice, tcpPacket(t, aliceAddr, 5000, server, 6000, synFlag), Forward)
	if id := binary.BigEndian.Uint16(b[4:]); id != 0x1234 {
		t.Errorf("the ID has become %04x", id)
	}
}

func TestHairpin(t *testing.T) {
	r := newRig(t, Config{})
	a := sport(r.wantOut("alice asks a server who she is", alice, udpPacket(t, aliceAddr, 5000, server, 6000), Forward))
	b := sport(r.wantOut("bob too", bob, udpPacket(t, bobAddr, 5001, server, 6000), Forward))
	r.wantOut("alice to bob, who does not know her yet", alice, udpPacket(t, aliceAddr, 5000, shared, b), Filtered)
	p := udpPacket(t, bobAddr, 5001, shared, a)
	if to, v := r.out(bob, p); v != Hairpin || to != alice {
		t.Fatalf("bob to alice, who has sent to that address: %v for %d", v, to)
	}
	wantEnds(t, "RFC 4787 REQ-9: external source address and port", p, shared, b, aliceAddr, 5000)
	p = udpPacket(t, aliceAddr, 5000, shared, b)
	if to, v := r.out(alice, p); v != Hairpin || to != bob {
		t.Fatalf("alice to bob: %v for %d", v, to)
	}
	wantEnds(t, "inside", p, shared, a, bobAddr, 5001)

	unreachable := icmpErrorPacket(t, bobAddr, shared, 3, p, 28)
	if to, v := r.out(bob, unreachable); v != Hairpin || to != alice {
		t.Fatalf("bob's error about it: %v for %d", v, to)
	}
	wantEnds(t, "RFC 5508 REQ-7: quoted as alice sent it", unreachable[28:], aliceAddr, 5000, shared, b)

	r.wantOut("to a port nobody has", alice, udpPacket(t, aliceAddr, 5000, shared, 60000), NoMapping)
	p = udpPacket(t, aliceAddr, 5000, shared, a)
	if to, v := r.out(alice, p); v != Hairpin || to != alice {
		t.Errorf("alice to herself: %v for %d", v, to)
	}
}

func TestNewRefuses(t *testing.T) {
	good := netip.MustParseAddr(shared)
	for why, cfg := range map[string]Config{
		"not a unicast IPv4 address": {External: netip.MustParseAddr("2001:db8::1")},
		"unicast":                    {External: netip.MustParseAddr("224.0.0.1")},
		"IPv4 address":               {},
		"block size":                 {External: good, BlockSize: 100},
		"power of two":               {External: good, BlockSize: 8},
		"8192":                       {External: good, BlockSize: 16384},
		"whole block":                {External: good, FirstPort: 65000, LastPort: 65100, BlockSize: 256},
		"bound is negative":          {External: good, Sessions: -1},
		"beyond reason":              {External: good, Sessions: 1 << 30},
		"filtering":                  {External: good, Filtering: 3},
		"timeout":                    {External: good, Timeouts: Timeouts{UDP: time.Millisecond}},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("error %v does not say %q", err, why)
		}
	}
	n, err := New(Config{External: netip.MustParseAddr("::ffff:" + shared)})
	if err != nil || n.External() != good {
		t.Errorf("a mapped address: %v", err)
	}
	if got := n.Stats(); got.Blocks != 252 || got.BlocksFree != 252 {
		t.Errorf("1024 to 65535 are 252 blocks of 256, not %+v", got)
	}
}

func TestVerdictNames(t *testing.T) {
	seen := map[string]bool{}
	for v := Forward; v < verdicts; v++ {
		if v.String() == "" || seen[v.String()] {
			t.Errorf("%d is %q", v, v)
		}
		seen[v.String()] = true
	}
	if verdicts.String() != "unknown" || ToRouter.Dropped() || !Malformed.Dropped() {
		t.Error("names or kinds of verdicts are wrong")
	}
}

// A packet is cut to its length before anything is written.
func TestPaddingIsLeftAlone(t *testing.T) {
	r := newRig(t, Config{})
	b := append(udpPacket(t, aliceAddr, 5000, server, 6000), 1, 2, 3)
	h := r.parse(b)
	if _, v := r.nat.Out(r.now, alice, b, h); v != Forward || !bytes.HasSuffix(b, []byte{1, 2, 3}) {
		t.Errorf("%v, % x", v, b)
	}
	if ip.Checksum(ip.Pseudo4(h.Src, h.Dst, ip.ProtoUDP, h.Total-20), b[20:h.Total]) != 0 {
		t.Error("the checksum is wrong")
	}
}
