package ip

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// segment is a TCP header with raw options (whole words) and two octets of data.
func segment(flags byte, options []byte) []byte {
	h := make([]byte, 20, 64)
	binary.BigEndian.PutUint16(h, 1025)
	binary.BigEndian.PutUint16(h[2:], 2000)
	h[12], h[13] = byte(20+len(options))/4<<4, flags
	return append(append(h, options...), 'h', 'i')
}

func tcp4Raw(t testing.TB, flags byte, options []byte, edit ...func(*layers.IPv4)) []byte {
	s := segment(flags, options)
	b := build(t, ipv4(layers.IPProtocolTCP, edit...), gopacket.Payload(s))
	sumTCP(b[20:], Pseudo4(Source4(b), Dest4(b), ProtoTCP, len(s)))
	return b
}

func tcp6Raw(t testing.TB, flags byte, options []byte) []byte {
	s := segment(flags, options)
	b := build(t, ipv6(layers.IPProtocolTCP), gopacket.Payload(s))
	sumTCP(b[40:], Pseudo6(addr6(user6), addr6(host6), ProtoTCP, len(s)))
	return b
}

func sumTCP(s []byte, seed uint32) { binary.BigEndian.PutUint16(s[16:], Checksum(seed, s)) }

func TestClampMSS(t *testing.T) {
	mss := func(n int) []byte { return []byte{2, 4, byte(n >> 8), byte(n)} }
	const syn, synAck, ack = 0x02, 0x12, 0x10
	for _, row := range []struct {
		why     string
		flags   byte
		options []byte
		mtu     int
		want    int // of the option, at at
		at      int
	}{
		{"SYN", syn, mss(1460), 1492, 1452, 2},
		{"SYN-ACK", synAck, mss(1460), 1492, 1452, 2},
		{"with ECN", 0xc2, mss(1460), 1492, 1452, 2},
		{"not raised", syn, mss(536), 1492, 536, 2},
		{"fits exactly", syn, mss(1452), 1492, 1452, 2},
		{"no SYN", ack, mss(1460), 1492, 1460, 2},
		{"behind others", syn, slices.Concat([]byte{4, 2, 1, 1}, mss(1460)), 1492, 1452, 6},
		{"at an odd place", syn, slices.Concat([]byte{1}, mss(1460), []byte{1, 1, 1}), 1492, 1452, 3},
		{"behind the end", syn, slices.Concat([]byte{0, 0, 0, 0}, mss(1460)), 1492, 1460, 6},
		{"behind an option without length", syn, slices.Concat([]byte{8, 0, 1, 1}, mss(1460)), 1492, 1460, 6},
		{"behind one that is too long", syn, slices.Concat([]byte{8, 99, 1, 1}, mss(1460)), 1492, 1460, 6},
		{"of a wrong length", syn, []byte{2, 3, 9, 9}, 1492, 9<<8 | 9, 2},
		{"cut off", syn, []byte{1, 1, 1, 2}, 1492, 1<<8 | 2, 2},
		{"a small link", syn, mss(1460), 68, 28, 2},
		{"no link", syn, mss(1460), 40, 1460, 2},
	} {
		b := tcp4Raw(t, row.flags, row.options)
		was := bytes.Clone(b)
		changed := ClampMSS4(b, parse4(t, b), row.mtu)
		if got := int(binary.BigEndian.Uint16(b[40+row.at:])); got != row.want || changed == bytes.Equal(was, b) {
			t.Errorf("%s: MSS %d, changed %v, want %d", row.why, got, changed, row.want)
		}
		if s := b[20:]; Checksum(Pseudo4(Source4(b), Dest4(b), ProtoTCP, len(s)), s) != 0 {
			t.Errorf("%s: the checksum is wrong", row.why)
		}

		b = tcp6Raw(t, row.flags, row.options)
		was = bytes.Clone(b)
		changed = ClampMSS6(b, parse6(t, b), row.mtu+20)
		if got := int(binary.BigEndian.Uint16(b[60+row.at:])); got != row.want || changed == bytes.Equal(was, b) {
			t.Errorf("%s: IPv6: MSS %d, changed %v, want %d", row.why, got, changed, row.want)
		}
		if s := b[40:]; Checksum(Pseudo6(addr6(user6), addr6(host6), ProtoTCP, len(s)), s) != 0 {
			t.Errorf("%s: IPv6: the checksum is wrong", row.why)
		}
	}
}

func TestClampMSSLeavesAlone(t *testing.T) {
	syn := segment(2, []byte{2, 4, 5, 0xb4})
	short := segment(2, nil)
	short[12] = 0xf0 // a header longer than the segment
	none := segment(2, nil)
	none[12] = 0x40
	for why, b := range map[string][]byte{
		"UDP":              build(t, ipv4(layers.IPProtocolUDP), gopacket.Payload(syn)),
		"a later fragment": build(t, ipv4(layers.IPProtocolTCP, func(h *layers.IPv4) { h.FragOffset = 3 }), gopacket.Payload(syn)),
		"19 octets":        build(t, ipv4(layers.IPProtocolTCP), gopacket.Payload(syn[:19])),
		"cut off":          build(t, ipv4(layers.IPProtocolTCP), gopacket.Payload(short)),
		"a short header":   build(t, ipv4(layers.IPProtocolTCP), gopacket.Payload(none)),
	} {
		was := bytes.Clone(b)
		if ClampMSS4(b, parse4(t, b), 1000) || !bytes.Equal(was, b) {
			t.Errorf("%s is changed", why)
		}
	}
	for why, b := range map[string][]byte{
		"UDP":              build(t, ipv6(layers.IPProtocolUDP), gopacket.Payload(syn)),
		"a later fragment": chain(t, 44, append([]byte{6, 0, 0, 9, 0, 0, 0, 1}, syn...), 0),
		"no chain":         chain(t, 60, []byte{6}, 0),
		"nothing":          build(t, ipv6(59)),
	} {
		was := bytes.Clone(b)
		if ClampMSS6(b, parse6(t, b), 1000) || !bytes.Equal(was, b) {
			t.Errorf("IPv6: %s is changed", why)
		}
	}
	b := chain(t, 60, append([]byte{6, 0, 1, 4, 0, 0, 0, 0}, syn...), 0)
	if !ClampMSS6(b, parse6(t, b), 1000) {
		t.Error("a SYN behind destination options is left alone")
	}
}
