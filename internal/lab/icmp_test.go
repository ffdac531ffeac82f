package lab

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

var (
	here  = netip.MustParseAddr("192.0.2.1")
	there = netip.MustParseAddr("198.51.100.2")
)

func TestICMPError(t *testing.T) {
	echo := echoRequest(here, there, 1, 2, 100)
	edit := func(f func(b []byte)) []byte {
		b := append([]byte(nil), echo...)
		f(b)
		return b
	}
	for _, tt := range []struct {
		name   string
		packet []byte
		want   bool
	}{
		{"an echo", echo, true},
		{"an echo reply", edit(func(b []byte) { b[20] = icmpReply }), true},
		{"UDP", edit(func(b []byte) { b[9] = 17 }), true},
		{"TCP cut off behind its header", edit(func(b []byte) { b[9] = 6 })[:20], true},
		{"an ICMP error", edit(func(b []byte) { b[20] = icmpUnreachable }), false},
		{"ICMP cut off", echo[:24], false},
		{"a later fragment", edit(func(b []byte) { b[7] = 1 }), false},
		{"the first fragment", edit(func(b []byte) { b[6] = 0x20 }), true},
		{"multicast", edit(func(b []byte) { b[16] = 224 }), false},
		{"broadcast", edit(func(b []byte) { copy(b[16:], "\xff\xff\xff\xff") }), false},
		{"not IPv4", edit(func(b []byte) { b[0] = 0x65 }), false},
		{"short", echo[:19], false},
	} {
		to, b := icmpError(there, tt.packet, icmpUnreachable, icmpFragNeeded, 576)
		if (b != nil) != tt.want {
			t.Errorf("%s: answered is %v, want %v", tt.name, b != nil, tt.want)
			continue
		}
		if b == nil {
			continue
		}
		if to != here || checksum(b[:20]) != 0 || checksum(b[20:]) != 0 || b[20] != icmpUnreachable || b[21] != icmpFragNeeded ||
			binary.BigEndian.Uint16(b[26:]) != 576 || int(binary.BigEndian.Uint16(b[2:])) != len(b) {
			t.Errorf("%s: % x to %v", tt.name, b, to)
		}
		if string(b[28:]) != string(tt.packet[:min(28, len(tt.packet))]) {
			t.Errorf("%s: quotes % x", tt.name, b[28:])
		}
	}
}

// Nothing that a subscriber sends makes ICMP of it fail, or grow.
func FuzzICMP(f *testing.F) {
	f.Add(echoRequest(here, there, 1, 2, 10))
	f.Fuzz(func(t *testing.T, packet []byte) {
		_, _, _ = echoReply(packet)
		to, b := icmpError(there, packet, icmpExceeded, 0, 0)
		if b == nil {
			return
		}
		if len(b) > 20+8+60+8 || checksum(b[:20]) != 0 || checksum(b[20:]) != 0 {
			t.Errorf("% x", b)
		}
		if _, again := icmpError(to, b, icmpExceeded, 0, 0); again != nil {
			t.Error("an error is answered with an error")
		}
		if len(packet) >= 20 {
			reflectIP(packet)
		}
	})
}

func TestEchoAllocs(t *testing.T) {
	b := echoRequest(here, there, 1, 2, 56)
	if n := testing.AllocsPerRun(100, func() {
		_, _, _ = echoReply(b)
		reflectIP(b)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
