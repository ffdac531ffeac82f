package gateway

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"tributary/internal/ip"
)

// packet is an IPv4 packet that a test sends: UDP, if it does not say.
type packet struct {
	src, dst string
	proto    uint8
	ttl      uint8 // 64
	id       uint16
	df       bool
	options  []byte
	payload  []byte // 8 octets of UDP header without a checksum
}

func (p packet) bytes() []byte {
	if p.proto == 0 {
		p.proto = ip.ProtoUDP
	}
	if p.ttl == 0 {
		p.ttl = 64
	}
	if p.payload == nil {
		p.payload = udp(1000, 2000, nil)
	}
	n := 20 + len(p.options)
	b := make([]byte, n, n+len(p.payload))
	b[0] = 0x40 | byte(n/4)
	binary.BigEndian.PutUint16(b[2:], uint16(n+len(p.payload)))
	binary.BigEndian.PutUint16(b[4:], p.id)
	if p.df {
		b[6] = 0x40
	}
	b[8], b[9] = p.ttl, p.proto
	src, dst := netip.MustParseAddr(p.src).As4(), netip.MustParseAddr(p.dst).As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	copy(b[20:], p.options)
	binary.BigEndian.PutUint16(b[10:], ip.Checksum(0, b))
	return append(b, p.payload...)
}

// udp is a UDP datagram without a checksum, which IPv4 allows.
func udp(from, to uint16, data []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(data)))
	return append(append(b, 0, 0), data...)
}

// echo is an ICMP Echo message.
func echo(typ uint8, id uint16, data string) []byte {
	b := append([]byte{typ, 0, 0, 0, byte(id >> 8), byte(id), 0, 1}, data...)
	binary.BigEndian.PutUint16(b[2:], ip.Checksum(0, b))
	return b
}

// syn is a TCP SYN with a maximum segment size. Its checksum is right as long as
// nobody looks: it is that of the octets, without the pseudo-header.
func syn(from, to, mss uint16) []byte {
	b := make([]byte, 24)
	binary.BigEndian.PutUint16(b, from)
	binary.BigEndian.PutUint16(b[2:], to)
	b[12], b[13] = 6<<4, 2
	b[20], b[21] = 2, 4
	binary.BigEndian.PutUint16(b[22:], mss)
	binary.BigEndian.PutUint16(b[16:], ip.Checksum(0, b))
	return b
}

// header reads a packet that came, and holds it to a good header.
func header(t *testing.T, b []byte) ip.Header4 {
	t.Helper()
	h, ok := ip.Parse4(b)
	if !ok || ip.Checksum(0, b[:h.Len]) != 0 || h.Total != len(b) {
		t.Fatalf("ill-formed packet % x", b)
	}
	return h
}

// wantICMP holds b to an ICMP error of that type and code from src to dst.
func wantICMP(t *testing.T, b []byte, src, dst string, typ, code uint8) {
	t.Helper()
	h := header(t, b)
	if h.Protocol != ip.ProtoICMP || ip.AddrFrom4(h.Src).String() != src || ip.AddrFrom4(h.Dst).String() != dst || b[h.Len] != typ || b[h.Len+1] != code {
		t.Errorf("packet from %v to %v % x, want ICMP %d/%d from %s to %s", ip.AddrFrom4(h.Src), ip.AddrFrom4(h.Dst), b, typ, code, src, dst)
	}
	if ip.Checksum(0, b[h.Len:]) != 0 {
		t.Error("the ICMP checksum is wrong")
	}
}
