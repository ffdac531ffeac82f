package nat

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"tributary/internal/frame"
	"tributary/internal/ip"
)

// cut is a packet in pieces.
func (r *rig) cut(b []byte, mtu int) [][]byte {
	r.t.Helper()
	pool := frame.NewPool(64)
	bufs, ok := ip.Fragment4(nil, b, r.parse(b), mtu, pool)
	if !ok {
		r.t.Fatal("not cut")
	}
	var pieces [][]byte
	for _, p := range bufs {
		pieces = append(pieces, bytes.Clone(p.Bytes()))
		p.Put()
	}
	return pieces
}

// join is the packet of pieces that are in order.
func join(pieces [][]byte) []byte {
	b := bytes.Clone(pieces[0])
	for _, p := range pieces[1:] {
		b = append(b, p[20:]...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[6], b[7], b[10], b[11] = 0, 0, 0, 0
	binary.BigEndian.PutUint16(b[10:], ip.Checksum(0, b[:20]))
	return b
}

func TestFragments(t *testing.T) {
	r := newRig(t, Config{})
	data := bytes.Repeat([]byte("0123456789"), 300)
	pieces := r.cut(udpData(t, aliceAddr, 5000, server, 6000, data), 1400)
	if len(pieces) != 3 {
		t.Fatalf("%d pieces", len(pieces))
	}
	r.wantOut("RFC 4787 REQ-14 is not obeyed: a later one before the first", alice, bytes.Clone(pieces[1]), FragmentOrder)
	for _, p := range pieces {
		r.wantOut("in order", alice, p, Forward)
	}
	whole := join(pieces)
	check(t, whole)
	port := sport(whole)
	wantEnds(t, "together", whole, shared, port, server, 6000)
	if !bytes.Equal(whole[28:], data) {
		t.Error("not what was sent")
	}

	pieces = r.cut(udpData(t, server, 6000, shared, port, data), 1400)
	r.wantIn("out of order from outside", bytes.Clone(pieces[2]), 0, FragmentOrder)
	r.wantIn("the first", pieces[0], alice, Forward)
	r.wantIn("the last before the second", pieces[2], alice, Forward)
	r.wantIn("and that one", pieces[1], alice, Forward)
	whole = join(pieces)
	check(t, whole)
	wantEnds(t, "together", whole, server, 6000, aliceAddr, 5000)
	if r.dropped(FragmentOrder) != 2 {
		t.Errorf("%d out of order are counted", r.dropped(FragmentOrder))
	}

	r.wait(fragmentTime)
	r.wantIn("a duplicate half a minute later", r.cut(udpData(t, server, 6000, shared, port, data), 1400)[1], 0, FragmentOrder)
}

// Two users choose the same ID towards the same host, and their datagrams are not
// mixed.
func TestFragmentsOfTwoUsers(t *testing.T) {
	r := newRig(t, Config{})
	data := bytes.Repeat([]byte("x"), 2000)
	a := r.cut(udpData(t, aliceAddr, 5000, server, 6000, data), 1400)
	b := r.cut(udpData(t, bobAddr, 5000, server, 6000, data), 1400)
	r.wantOut("alice's first", alice, a[0], Forward)
	r.wantOut("bob's first", bob, b[0], Forward)
	r.wantOut("alice's second", alice, a[1], Forward)
	r.wantOut("bob's second", bob, b[1], Forward)
	id := func(b []byte) uint16 { return binary.BigEndian.Uint16(b[4:]) }
	if id(a[0]) != id(a[1]) || id(b[0]) != id(b[1]) || id(a[0]) == id(b[0]) {
		t.Errorf("IDs %d, %d of alice, %d, %d of bob", id(a[0]), id(a[1]), id(b[0]), id(b[1]))
	}
	check(t, join(a))
	check(t, join(b))
}

func TestFragmentsHairpin(t *testing.T) {
	r := newRig(t, Config{Filtering: EndpointIndependent})
	port := sport(r.wantOut("bob opens a port", bob, udpPacket(t, bobAddr, 5001, server, 6000), Forward))
	pieces := r.cut(udpData(t, aliceAddr, 5000, shared, port, make([]byte, 2000)), 1400)
	for _, p := range pieces {
		if to, v := r.out(alice, p); v != Hairpin || to != bob {
			t.Fatalf("%v for %d", v, to)
		}
	}
	check(t, join(pieces))
}

// RFC 1858 and RFC 3128: no fragment hides TCP flags from whoever decides by them.
func TestTinyFragments(t *testing.T) {
	r := newRig(t, Config{})
	port := sport(r.wantOut("a connection", alice, tcpPacket(t, aliceAddr, 5000, server, 80, synFlag), Forward))
	fragment := func(from, to string, p layers.IPProtocol, offset uint16, more bool, payload []byte) []byte {
		h := header(from, to, p)
		h.FragOffset = offset
		if more {
			h.Flags = layers.IPv4MoreFragments
		}
		return build(t, h, gopacket.Payload(payload))
	}
	segment := tcpPacket(t, server, 80, shared, port, synFlag|ackFlag)[20:]
	for _, row := range []struct {
		why    string
		p      layers.IPProtocol
		offset uint16
		more   bool
		data   []byte
		want   Verdict
	}{
		{"eight octets of TCP", 6, 0, true, segment[:8], Malformed},
		{"flags in the second", 6, 1, false, segment[8:], Malformed},
		{"behind sixteen octets", 6, 2, false, segment[16:], Malformed},
		{"of nothing", 6, 3, false, segment, FragmentOrder},
		{"UDP of nothing", 17, 1, false, segment, FragmentOrder},
		{"GRE", 47, 1, false, segment, Unsupported},
	} {
		r.wantIn(row.why, fragment(server, shared, row.p, row.offset, row.more, row.data), 0, row.want)
		r.wantOut(row.why, alice, fragment(aliceAddr, server, row.p, row.offset, row.more, row.data), row.want)
	}
}

// A flood of first fragments takes the places of older ones, never more.
func TestFragmentTableIsBounded(t *testing.T) {
	r := newRig(t, Config{Fragments: 64})
	first := r.cut(udpData(t, aliceAddr, 5000, server, 6000, make([]byte, 2000)), 1400)
	r.wantOut("one that is slow", alice, first[0], Forward)
	for i := range 1000 {
		b := r.cut(udpData(t, aliceAddr, 5000, server, 6000, make([]byte, 2000)), 1400)[0]
		binary.BigEndian.PutUint16(b[4:], uint16(i)+0x4000)
		b[10], b[11] = 0, 0
		binary.BigEndian.PutUint16(b[10:], ip.Checksum(0, b[:20]))
		r.now += time.Millisecond
		r.wantOut("a flood", alice, b, Forward)
	}
	r.wantOut("has lost its place", alice, first[1], FragmentOrder)
	if n := len(r.nat.outFragments.sets) * ways; n != 64 {
		t.Errorf("the table has %d places", n)
	}
}
