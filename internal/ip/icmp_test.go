package ip

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

func TestAppendError4(t *testing.T) {
	for p, want := range map[Problem]layers.ICMPv4TypeCode{
		NoRoute:           layers.CreateICMPv4TypeCode(3, 0),
		NoHost:            layers.CreateICMPv4TypeCode(3, 1),
		NoProtocol:        layers.CreateICMPv4TypeCode(3, 2),
		NoPort:            layers.CreateICMPv4TypeCode(3, 3),
		PacketTooBig:      layers.CreateICMPv4TypeCode(3, 4),
		SourceRouteFailed: layers.CreateICMPv4TypeCode(3, 5),
		Prohibited:        layers.CreateICMPv4TypeCode(3, 13),
		HopLimit:          layers.CreateICMPv4TypeCode(11, 0),
	} {
		for _, size := range []int{0, 8, 519, 520, 521, 1472} {
			b := udp4(t, size)
			out, ok := AppendError4([]byte("kept"), p, 1400, addr4(routerAddr), b, parse4(t, b))
			if !ok || !bytes.HasPrefix(out, []byte("kept")) {
				t.Fatalf("%v about %d octets: %v", p, len(b), ok)
			}
			out = out[4:]
			got := check(t, out)
			h := got.NetworkLayer().(*layers.IPv4)
			m := got.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
			if h.SrcIP.String() != routerAddr || h.DstIP.String() != userAddr || h.TOS != 0xc0 || h.Flags != layers.IPv4DontFragment {
				t.Errorf("%v: header %+v", p, h)
			}
			mtu := uint16(0)
			if p == PacketTooBig {
				mtu = 1400
			}
			if m.TypeCode != want || m.Id != 0 || m.Seq != mtu {
				t.Errorf("%v: %v, unused %d, MTU %d, want %v, 0, %d", p, m.TypeCode, m.Id, m.Seq, want, mtu)
			}
			if quoted := out[28:]; !bytes.HasPrefix(b, quoted) || len(out) != min(576, 28+len(b)) {
				t.Errorf("%v: quotes %d octets of %d", p, len(quoted), len(b))
			}
			// Nobody tells about errors.
			if _, ok := AppendError4(nil, p, 1400, addr4(routerAddr), out, parse4(t, out)); ok {
				t.Errorf("%v about an ICMP error", p)
			}
		}
	}
	b := udp4(t, 0)
	if out, ok := AppendError4(nil, SourceRouteFailed+1, 0, addr4(routerAddr), b, parse4(t, b)); ok || out != nil {
		t.Error("a problem that nobody knows")
	}
}

func TestAppendError4IsSilent(t *testing.T) {
	later := func(h *layers.IPv4) { h.FragOffset = 1 }
	first := func(h *layers.IPv4) { h.Flags = layers.IPv4MoreFragments }
	for _, row := range []struct {
		why string
		b   []byte
		ok  bool
	}{
		{"a first fragment", udp4(t, 100, first), true},
		{"a later one", udp4(t, 100, later), false},
		{"to everyone", udp4(t, 10, to("255.255.255.255")), false},
		{"to a group", udp4(t, 10, to("239.1.2.3")), false},
		{"an echo request", icmp4Packet(t, 8, 10), true},
		{"an echo reply", icmp4Packet(t, 0, 10), true},
		{"a timestamp request", icmp4Packet(t, 13, 10), true},
		{"unreachable", icmp4Packet(t, 3, 10), false},
		{"source quench", icmp4Packet(t, 4, 10), false},
		{"redirect", icmp4Packet(t, 5, 10), false},
		{"time exceeded", icmp4Packet(t, 11, 10), false},
		{"parameter problem", icmp4Packet(t, 12, 10), false},
		{"a type of tomorrow", icmp4Packet(t, 200, 10), false},
		{"ICMP without a type", build(t, ipv4(layers.IPProtocolICMPv4)), false},
	} {
		if _, ok := AppendError4(nil, NoHost, 0, addr4(routerAddr), row.b, parse4(t, row.b)); ok != row.ok {
			t.Errorf("about %s: %v", row.why, ok)
		}
	}
	// A header that Parse4 would not have given.
	b := udp4(t, 0)
	h := parse4(t, b)
	h.Src = 0
	if _, ok := AppendError4(nil, NoHost, 0, addr4(routerAddr), b, h); ok {
		t.Error("to 0.0.0.0")
	}
}

func TestAppendError6(t *testing.T) {
	for p, want := range map[Problem]layers.ICMPv6TypeCode{
		NoRoute:      layers.CreateICMPv6TypeCode(1, 0),
		Prohibited:   layers.CreateICMPv6TypeCode(1, 1),
		NoHost:       layers.CreateICMPv6TypeCode(1, 3),
		NoPort:       layers.CreateICMPv6TypeCode(1, 4),
		PacketTooBig: layers.CreateICMPv6TypeCode(2, 0),
		HopLimit:     layers.CreateICMPv6TypeCode(3, 0),
		NoProtocol:   layers.CreateICMPv6TypeCode(4, 1),
	} {
		for _, size := range []int{0, 1183, 1184, 1185, 1452} {
			b := udp6(t, size)
			out, ok := AppendError6(nil, p, 1400, addr6(router6), b, parse6(t, b))
			if !ok {
				t.Fatalf("%v about %d octets", p, len(b))
			}
			got := check(t, out)
			h := got.NetworkLayer().(*layers.IPv6)
			m := got.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
			if h.SrcIP.String() != router6 || h.DstIP.String() != user6 || m.TypeCode != want {
				t.Errorf("%v: header %+v, %v", p, h, m.TypeCode)
			}
			field := map[Problem]uint32{PacketTooBig: 1400, NoProtocol: 6}[p]
			if got := binary.BigEndian.Uint32(out[44:]); got != field {
				t.Errorf("%v: %d in the second word, want %d", p, got, field)
			}
			if quoted := out[48:]; !bytes.HasPrefix(b, quoted) || len(out) != min(1280, 48+len(b)) {
				t.Errorf("%v: quotes %d octets of %d", p, len(quoted), len(b))
			}
			if _, ok := AppendError6(nil, p, 1400, addr6(router6), out, parse6(t, out)); ok {
				t.Errorf("%v about an ICMPv6 error", p)
			}
		}
	}
	b := udp6(t, 0)
	if _, ok := AppendError6(nil, SourceRouteFailed, 0, addr6(router6), b, parse6(t, b)); ok {
		t.Error("IPv6 has no source route that fails")
	}
}

func TestAppendError6IsSilent(t *testing.T) {
	fragment := func(offset byte) []byte {
		return chain(t, 44, []byte{58, 0, 0, offset | 1, 0, 0, 0, 1, 128}, 20)
	}
	for _, row := range []struct {
		why     string
		p       Problem
		b       []byte
		allowed bool
	}{
		{"an echo request", NoHost, icmp6Packet(t, 128, 10), true},
		{"unreachable", NoHost, icmp6Packet(t, 1, 10), false},
		{"a private error", NoHost, icmp6Packet(t, 100, 10), false},
		{"redirect", NoHost, icmp6Packet(t, 137, 10), false},
		{"from nobody", NoHost, udp6(t, 0, from6("::")), false},
		{"to a group", NoHost, udp6(t, 0, to6("ff0e::1")), false},
		{"to a group, too big", PacketTooBig, udp6(t, 0, to6("ff0e::1")), true},
		{"a first fragment of ICMPv6", NoHost, fragment(0), true},
		{"a later one", NoHost, fragment(8), false},
		{"ICMPv6 without a type", NoHost, build(t, ipv6(layers.IPProtocolICMPv6)), false},
		{"headers that end nowhere", NoHost, chain(t, 0, []byte{6}, 0), false},
	} {
		if _, ok := AppendError6(nil, row.p, 1280, addr6(router6), row.b, parse6(t, row.b)); ok != row.allowed {
			t.Errorf("about %s: %v", row.why, ok)
		}
	}
}

func TestAnswerEcho4(t *testing.T) {
	b := icmp4Packet(t, 8, 57, to(routerAddr), ttl(3))
	h := parse4(t, b)
	if !AnswerEcho4(b, h) {
		t.Fatal("the router does not answer a ping")
	}
	got := check(t, b)
	ip := got.NetworkLayer().(*layers.IPv4)
	m := got.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	if ip.SrcIP.String() != routerAddr || ip.DstIP.String() != userAddr || ip.TTL != 64 {
		t.Errorf("header %+v", ip)
	}
	if m.TypeCode != 0 || m.Id != 77 || m.Seq != 1 || !bytes.Equal(m.Payload, ramp(57)) {
		t.Errorf("message %+v", m)
	}
	if now := parse4(t, b); *now != *h {
		t.Errorf("the header is %+v, of a packet with %+v", h, now)
	}
	if AnswerEcho4(b, h) {
		t.Error("answers an answer")
	}

	broken := icmp4Packet(t, 8, 10)
	broken[len(broken)-1] ^= 1
	for why, b := range map[string][]byte{
		"UDP":            udp4(t, 20),
		"timestamp":      icmp4Packet(t, 13, 12),
		"a fragment":     icmp4Packet(t, 8, 10, func(h *layers.IPv4) { h.Flags = layers.IPv4MoreFragments }),
		"to everyone":    icmp4Packet(t, 8, 10, to("255.255.255.255")),
		"broken":         broken,
		"cut off":        build(t, ipv4(layers.IPProtocolICMPv4), gopacket.Payload{8, 0, 0xf7, 0xff, 0, 0, 0}),
		"a source route": icmp4Packet(t, 8, 10, option(131, 7, 4, 1, 2, 3, 4)),
	} {
		was := bytes.Clone(b)
		if AnswerEcho4(b, parse4(t, b)) || !bytes.Equal(was, b) {
			t.Errorf("%s is answered", why)
		}
	}
}

func TestAnswerEcho6(t *testing.T) {
	b := icmp6Packet(t, 128, 57, to6(router6))
	h := parse6(t, b)
	if !AnswerEcho6(b, h) {
		t.Fatal("the router does not answer a ping")
	}
	got := check(t, b)
	ip := got.NetworkLayer().(*layers.IPv6)
	if ip.SrcIP.String() != router6 || ip.DstIP.String() != user6 || b[40] != 129 || !bytes.Equal(b[48:], ramp(57)) {
		t.Errorf("header %+v, % x", ip, b[40:])
	}
	if now := parse6(t, b); *now != *h {
		t.Errorf("the header is %+v, of a packet with %+v", h, now)
	}
	broken := icmp6Packet(t, 128, 10)
	broken[len(broken)-1] ^= 1
	for why, b := range map[string][]byte{
		"UDP":         udp6(t, 20),
		"an answer":   b,
		"from nobody": icmp6Packet(t, 128, 10, from6("::")),
		"to a group":  icmp6Packet(t, 128, 10, to6("ff02::1")),
		"broken":      broken,
		"cut off":     build(t, ipv6(layers.IPProtocolICMPv6), gopacket.Payload{128, 0, 0, 0}),
	} {
		was := bytes.Clone(b)
		if AnswerEcho6(b, parse6(t, b)) || !bytes.Equal(was, b) {
			t.Errorf("%s is answered", why)
		}
	}
}

func TestProblemNames(t *testing.T) {
	seen := map[string]bool{}
	for p := NoRoute; p <= SourceRouteFailed; p++ {
		if seen[p.String()] || p.String() == "" {
			t.Errorf("%d is %q", p, p.String())
		}
		seen[p.String()] = true
	}
	if s := (SourceRouteFailed + 1).String(); s != "unknown" {
		t.Errorf("a problem that nobody knows is %q", s)
	}
}
