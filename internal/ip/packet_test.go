package ip

import (
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Addresses of RFC 5737 and RFC 3849: a user, a host on the Internet, the router.
var (
	userAddr, hostAddr, routerAddr = "198.51.100.7", "203.0.113.9", "198.51.100.1"
	user6, host6, router6          = "2001:db8:1::7", "2001:db8:2::9", "2001:db8:1::1"
)

func addr4(s string) uint32   { return Addr4(netip.MustParseAddr(s)) }
func addr6(s string) [16]byte { return netip.MustParseAddr(s).As16() }

// build serializes layers with gopacket, which computes lengths and checksums.
func build(t testing.TB, l ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ipv4 is a header from the user to the host, edited.
func ipv4(p layers.IPProtocol, edit ...func(*layers.IPv4)) *layers.IPv4 {
	h := &layers.IPv4{
		Version: 4, TTL: 64, Id: 0x1234, Protocol: p,
		SrcIP: netip.MustParseAddr(userAddr).AsSlice(), DstIP: netip.MustParseAddr(hostAddr).AsSlice(),
	}
	for _, e := range edit {
		e(h)
	}
	return h
}

func ipv6(p layers.IPProtocol, edit ...func(*layers.IPv6)) *layers.IPv6 {
	h := &layers.IPv6{
		Version: 6, HopLimit: 64, NextHeader: p,
		SrcIP: netip.MustParseAddr(user6).AsSlice(), DstIP: netip.MustParseAddr(host6).AsSlice(),
	}
	for _, e := range edit {
		e(h)
	}
	return h
}

func df(h *layers.IPv4)              { h.Flags = layers.IPv4DontFragment }
func ttl(n uint8) func(*layers.IPv4) { return func(h *layers.IPv4) { h.TTL = n } }
func from(a string) func(*layers.IPv4) {
	return func(h *layers.IPv4) { h.SrcIP = netip.MustParseAddr(a).AsSlice() }
}
func to(a string) func(*layers.IPv4) {
	return func(h *layers.IPv4) { h.DstIP = netip.MustParseAddr(a).AsSlice() }
}
func from6(a string) func(*layers.IPv6) {
	return func(h *layers.IPv6) { h.SrcIP = netip.MustParseAddr(a).AsSlice() }
}
func to6(a string) func(*layers.IPv6) {
	return func(h *layers.IPv6) { h.DstIP = netip.MustParseAddr(a).AsSlice() }
}

// udp4 is a UDP packet with so many octets of payload.
func udp4(t testing.TB, payload int, edit ...func(*layers.IPv4)) []byte {
	t.Helper()
	h := ipv4(layers.IPProtocolUDP, edit...)
	u := &layers.UDP{SrcPort: 1024, DstPort: 2000}
	if err := u.SetNetworkLayerForChecksum(h); err != nil {
		t.Fatal(err)
	}
	return build(t, h, u, gopacket.Payload(ramp(payload)))
}

func udp6(t testing.TB, payload int, edit ...func(*layers.IPv6)) []byte {
	t.Helper()
	h := ipv6(layers.IPProtocolUDP, edit...)
	u := &layers.UDP{SrcPort: 1024, DstPort: 2000}
	if err := u.SetNetworkLayerForChecksum(h); err != nil {
		t.Fatal(err)
	}
	return build(t, h, u, gopacket.Payload(ramp(payload)))
}

func icmp4Packet(t testing.TB, typ uint8, payload int, edit ...func(*layers.IPv4)) []byte {
	t.Helper()
	m := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, 0), Id: 77, Seq: 1}
	return build(t, ipv4(layers.IPProtocolICMPv4, edit...), m, gopacket.Payload(ramp(payload)))
}

func icmp6Packet(t testing.TB, typ uint8, payload int, edit ...func(*layers.IPv6)) []byte {
	t.Helper()
	h := ipv6(layers.IPProtocolICMPv6, edit...)
	m := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, 0)}
	if err := m.SetNetworkLayerForChecksum(h); err != nil {
		t.Fatal(err)
	}
	return build(t, h, m, gopacket.Payload(append([]byte{0, 77, 0, 1}, ramp(payload)...)))
}

func ramp(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

// check has gopacket decode a packet of ours and verify every checksum in it.
func check(t testing.TB, b []byte) gopacket.Packet {
	t.Helper()
	first := layers.LayerTypeIPv4
	if b[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(b, first, gopacket.Default)
	if e := p.ErrorLayer(); e != nil {
		t.Fatalf("gopacket: %v in % x", e.Error(), b[:min(len(b), 80)])
	}
	for _, l := range p.Layers() {
		if l, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := l.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if e, wrong := p.VerifyChecksums(); e != nil || len(wrong) > 0 {
		t.Fatalf("gopacket: checksums %v %v in % x", e, wrong, b[:min(len(b), 80)])
	}
	return p
}

func parse4(t testing.TB, b []byte) *Header4 {
	t.Helper()
	h, ok := Parse4(b)
	if !ok {
		t.Fatalf("not parsed: % x", b)
	}
	return &h
}

func parse6(t testing.TB, b []byte) *Header6 {
	t.Helper()
	h, ok := Parse6(b)
	if !ok {
		t.Fatalf("not parsed: % x", b)
	}
	return &h
}
