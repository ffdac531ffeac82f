package ipv6

import (
	"net/netip"
	"testing"
)

// withHeaders puts extension headers between the IPv6 header and the payload of
// a packet; first is the type of the first one.
func withHeaders(pkt []byte, first uint8, headers ...byte) []byte {
	b := append(append(append([]byte(nil), pkt[:headerLen]...), headers...), pkt[headerLen:]...)
	b[5] += byte(len(headers))
	b[6] = first
	return b
}

func TestExtensionHeaders(t *testing.T) {
	us, them := LinkLocal(ourID), LinkLocal(peerID)
	pkt := neighborSolicit(them, us, us)
	pad := []byte{1, 4, 0, 0, 0, 0} // PadN
	header := func(next uint8) []byte { return append([]byte{next, 0}, pad...) }
	for _, tt := range []struct {
		name    string
		first   uint8
		headers []byte
		ok      bool
	}{
		{"none", protoICMP, nil, true},
		{"hop-by-hop", protoHopByHop, header(protoICMP), true},
		{"destination options", protoDestOptions, header(protoICMP), true},
		{"both", protoHopByHop, append(header(protoDestOptions), header(protoICMP)...), true},
		{"hop-by-hop, not first", protoDestOptions, append(header(protoHopByHop), header(protoICMP)...), false},
		{"hop-by-hop twice", protoHopByHop, append(header(protoHopByHop), header(protoICMP)...), false},
		{"a routing header", 43, header(protoICMP), false},
		{"a fragment", 44, append([]byte{protoICMP, 0}, 0, 0, 0, 0, 0, 0), false},
		{"longer than the packet", protoDestOptions, append([]byte{protoICMP, 200}, pad...), false},
		{"no next header", 59, nil, false},
	} {
		r := NewRouter(RouterConfig{Local: ourID})
		r.Start(start)
		packets(r.Next, nil)
		r.Input(start, withHeaders(pkt, tt.first, tt.headers...))
		if sent := packets(r.Next, nil); len(sent) == 1 != tt.ok {
			t.Errorf("%s: %d answers", tt.name, len(sent))
		}
	}
	short := appendHeader(nil, them, us, protoDestOptions, 255)
	if _, ok := parsePacket(short); ok {
		t.Error("an extension header that is not there")
	}
}

// What is behind the packet's length is not a part of it.
func TestPaddingIsIgnored(t *testing.T) {
	us, them := LinkLocal(ourID), LinkLocal(peerID)
	p, ok := parsePacket(append(neighborSolicit(them, us, us), 1, 2, 3))
	if _, asked := parseNeighborSolicit(&p); !ok || !asked {
		t.Error("padding makes a packet another one")
	}
}

func TestLocal(t *testing.T) {
	for dst, want := range map[string]bool{
		"fe80::1": true, "febf::1": true, "ff02::1": true, "ff0e::1": true,
		"fec0::1": false, "2001:db8::1": false, "fd00::1": false, "::1": false,
	} {
		if got := Local(appendHeader(nil, addr("fe80::2"), addr(dst), 59, 64)); got != want {
			t.Errorf("%s: %v", dst, got)
		}
	}
	for _, pkt := range [][]byte{nil, make([]byte, 39), append([]byte{0x45}, make([]byte, 39)...)} {
		if Local(pkt) {
			t.Errorf("%x is not an IPv6 packet", pkt)
		}
	}
}

// Local is asked of every packet.
func TestLocalDoesNotAllocate(t *testing.T) {
	pkt := appendHeader(nil, addr("2001:db8::2"), addr("2001:db8::1"), 59, 64)
	if n := testing.AllocsPerRun(100, func() { Local(pkt) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAddresses(t *testing.T) {
	if a := LinkLocal(0x0200_00ff_fe00_0001); a != addr("fe80::200:ff:fe00:1") {
		t.Error(a)
	}
	if a := Address(prefix("2001:db8:1:2::/64"), 0x0200_00ff_fe00_0001); a != addr("2001:db8:1:2:200:ff:fe00:1") {
		t.Error(a)
	}
	// RFC 4291 section 2.7.1: "4037::01:800:200E:8C6C" has "FF02::1:FF0E:8C6C".
	if a := solicitedNode(addr("4037::01:800:200e:8c6c")); a != addr("ff02::1:ff0e:8c6c") {
		t.Error(a)
	}
	for got, want := range map[netip.Addr]string{allNodes(): "ff02::1", allRouters(): "ff02::2", allDHCP(): "ff02::1:2"} {
		if got != addr(want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// A UDP checksum that comes out as zero is sent as ffff, for zero is none.
func TestAUDPChecksumIsNeverZero(t *testing.T) {
	us, them := LinkLocal(ourID), LinkLocal(peerID)
	for i := range 1 << 16 {
		b := appendUDP(nil, us, them, 64, 1, 2, []byte{byte(i >> 8), byte(i)})
		if b[46] == 0 && b[47] == 0 {
			t.Fatalf("%x", b)
		}
		if p, ok := parsePacket(b); !ok || !p.sumOK() {
			t.Fatalf("%x", b)
		}
	}
}
