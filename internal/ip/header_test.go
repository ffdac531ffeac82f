package ip

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

func TestParse4(t *testing.T) {
	got := *parse4(t, udp4(t, 100, df))
	want := Header4{Len: 20, Total: 128, ID: 0x1234, TTL: 64, Protocol: ProtoUDP, DF: true, Src: addr4(userAddr), Dst: addr4(hostAddr)}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("a packet with DF:\n%s", d)
	}
	padded := append(udp4(t, 10), 0, 0, 0)
	if h := parse4(t, padded); h.Total != 38 {
		t.Errorf("PPP may pad; the packet has 38 octets, not %d", h.Total)
	}
	piece := udp4(t, 100, func(h *layers.IPv4) { h.Flags, h.FragOffset = layers.IPv4MoreFragments, 185 })
	if h := parse4(t, piece); !h.MF || h.Offset != 1480 || !h.Fragment() {
		t.Errorf("a fragment at 1480: %+v", h)
	}
}

// sum4 makes a header's checksum good again after an edit.
func sum4(b []byte) {
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], Checksum(0, b[:min(len(b), int(b[0]&15)*4)]))
}

func TestParse4Refuses(t *testing.T) {
	edited := func(edit func(b []byte)) []byte {
		b := udp4(t, 30)
		edit(b)
		sum4(b)
		return b
	}
	for why, b := range map[string][]byte{
		"nothing":                        nil,
		"19 octets":                      udp4(t, 0)[:19],
		"IPv6":                           udp6(t, 0),
		"version 5":                      edited(func(b []byte) { b[0] = 0x55 }),
		"header of 16 octets":            edited(func(b []byte) { b[0] = 0x44 }),
		"header longer than the packet":  edited(func(b []byte) { b[0], b[3] = 0x4f, 59 }),
		"header longer than what came":   edited(func(b []byte) { b[0] = 0x4f })[:58],
		"total below the header":         edited(func(b []byte) { b[3] = 19 }),
		"total beyond what came":         edited(func(b []byte) { b[3]++ }),
		"checksum":                       append(udp4(t, 30)[:10], append([]byte{0, 0}, udp4(t, 30)[12:]...)...),
		"ends behind the largest packet": udp4(t, 30, func(h *layers.IPv4) { h.FragOffset = 8191 }),
		"from 0.0.0.0":                   udp4(t, 0, from("0.0.0.0")),
		"from network 0":                 udp4(t, 0, from("0.1.2.3")),
		"from loopback":                  udp4(t, 0, from("127.0.0.1")),
		"from multicast":                 udp4(t, 0, from("224.0.0.1")),
		"from class E":                   udp4(t, 0, from("240.0.0.1")),
		"from broadcast":                 udp4(t, 0, from("255.255.255.255")),
	} {
		if h, ok := Parse4(b); ok {
			t.Errorf("%s: taken as %+v", why, h)
		}
	}
}

func TestParse4WithOptions(t *testing.T) {
	b := udp4(t, 8, func(h *layers.IPv4) {
		h.Options = []layers.IPv4Option{{OptionType: 7, OptionLength: 7, OptionData: []byte{4, 0, 0, 0, 0}}} // Record Route
	})
	if h := parse4(t, b); h.Len != 28 || h.Total != 28+16 {
		t.Errorf("header of 28 and 16 octets: %+v", h)
	}
	b[21] ^= 1
	if _, ok := Parse4(b); ok {
		t.Error("the checksum covers the options")
	}
}

func TestParse6(t *testing.T) {
	got := *parse6(t, append(udp6(t, 100), 0, 0))
	want := Header6{Total: 148, Next: ProtoUDP, HopLimit: 64, Src: addr6(user6), Dst: addr6(host6)}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for why, b := range map[string][]byte{
		"nothing":                nil,
		"39 octets":              udp6(t, 0)[:39],
		"IPv4":                   udp4(t, 20),
		"total beyond what came": udp6(t, 10)[:57],
		"from multicast":         udp6(t, 0, from6("ff02::1")),
		"from loopback":          udp6(t, 0, from6("::1")),
		"from mapped IPv4":       mapped(udp6(t, 0)),
	} {
		if h, ok := Parse6(b); ok {
			t.Errorf("%s: taken as %+v", why, h)
		}
	}
}

func TestScopes(t *testing.T) {
	for a, want := range map[string][2]bool{"fe80::1": {true, false}, "febf::1": {true, false}, "fec0::1": {}, "ff02::1": {false, true}, user6: {}} {
		if got := [2]bool{LinkLocal6(addr6(a)), Multicast6(addr6(a))}; got != want {
			t.Errorf("%s: link-local and multicast are %v", a, got)
		}
	}
}

func mapped(b []byte) []byte {
	copy(b[8:], []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 1, 2, 3, 4})
	return b
}

// chain is an IPv6 packet with these extension headers, and a payload.
func chain(t *testing.T, next uint8, extensions []byte, payload int) []byte {
	return build(t, ipv6(layers.IPProtocol(next)), gopacket.Payload(slices.Concat(extensions, ramp(payload))))
}

func TestUpper(t *testing.T) {
	hopByHop := func(next uint8) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} }
	long := func(next uint8) []byte { return append([]byte{next, 1}, make([]byte, 14)...) }
	auth := func(next uint8) []byte { return append([]byte{next, 4}, make([]byte, 22)...) }
	fragment := func(next uint8, offset uint16) []byte {
		return []byte{next, 0, byte(offset >> 8), byte(offset), 0, 0, 0, 1}
	}
	for _, row := range []struct {
		why  string
		b    []byte
		want Upper6
		ok   bool
	}{
		{"no extension", udp6(t, 0), Upper6{Protocol: 17, At: 40}, true},
		{"three of them", chain(t, 0, slices.Concat(hopByHop(60), long(43), hopByHop(6)), 20), Upper6{Protocol: 6, At: 72}, true},
		{"authentication counts words of four", chain(t, 51, auth(17), 8), Upper6{Protocol: 17, At: 64}, true},
		{"first fragment", chain(t, 44, fragment(17, 1), 8), Upper6{Protocol: 17, At: 48, Fragment: true}, true},
		{"later fragment", chain(t, 44, fragment(60, 1448|1), 8), Upper6{Protocol: 60, At: 48, Offset: 1448, Fragment: true}, true},
		{"no next header", chain(t, 59, nil, 8), Upper6{Protocol: 59, At: 40}, true},
		{"cut in the header", chain(t, 0, []byte{6}, 0), Upper6{}, false},
		{"cut behind its length", chain(t, 60, []byte{6, 1, 0, 0, 0, 0, 0, 0}, 0), Upper6{}, false},
		{"cut authentication", chain(t, 51, []byte{6}, 0), Upper6{}, false},
		{"cut fragment", chain(t, 44, []byte{6, 0, 0}, 0), Upper6{}, false},
		{"a chain without end", chain(t, 60, slices.Repeat(hopByHop(60), 30), 0), Upper6{}, false},
	} {
		h := parse6(t, row.b)
		u, ok := h.Upper(row.b[:h.Total])
		if ok != row.ok || ok && u != row.want {
			t.Errorf("%s: %+v, %v", row.why, u, ok)
		}
	}
}
