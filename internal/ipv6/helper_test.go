package ipv6

import (
	"net/netip"
	"testing"
	"time"
)

var start = time.Date(2001, 3, 1, 0, 0, 0, 0, time.UTC)

const (
	sec = time.Second

	ourID  = 0x0200_00ff_fe00_0001 // Tributary's interface identifier
	peerID = 0xa1b2_c3d4_e5f6_0718 // the user's, or the ISP's
)

func addr(s string) netip.Addr     { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// at is the moment d after the start.
func at(d time.Duration) time.Time { return start.Add(d) }

// packets drains a machine and returns what it sends; the rest goes to events.
func packets[T any](next func() (T, bool), events *[]T) (out [][]byte) {
	for o, ok := next(); ok; o, ok = next() {
		switch s := any(o).(type) {
		case Send:
			out = append(out, s.Packet)
		case DelegatorSend:
			out = append(out, s.Packet)
		default:
			if events != nil {
				*events = append(*events, o)
			}
		}
	}
	return out
}

// one is the one packet in sent.
func one(t *testing.T, why string, sent [][]byte) []byte {
	t.Helper()
	if len(sent) != 1 {
		t.Fatalf("%s: %d packets were sent, want 1", why, len(sent))
	}
	return sent[0]
}

// none asserts that nothing was sent.
func none(t *testing.T, why string, sent [][]byte) {
	t.Helper()
	if len(sent) != 0 {
		t.Fatalf("%s: %d packets were sent, want none", why, len(sent))
	}
}

// readAdvert reads a Router Advertisement that must be one.
func readAdvert(t *testing.T, pkt []byte) (routerAdvert, packet) {
	t.Helper()
	p, ok := parsePacket(pkt)
	if !ok {
		t.Fatalf("not a packet: %x", pkt)
	}
	ra, ok := parseRouterAdvert(&p)
	if !ok {
		t.Fatalf("not a Router Advertisement: %x", pkt)
	}
	return ra, p
}

// readDHCP reads a DHCPv6 message to port that must be one.
func readDHCP(t *testing.T, pkt []byte, port uint16) (dhcpMessage, packet) {
	t.Helper()
	p, ok := parsePacket(pkt)
	if !ok {
		t.Fatalf("not a packet: %x", pkt)
	}
	data, ok := p.udpPayload(port)
	if !ok {
		t.Fatalf("not UDP to port %d: %x", port, pkt)
	}
	m, ok := parseDHCP(data)
	if !ok {
		t.Fatalf("not DHCPv6: %x", data)
	}
	return m, p
}

// icmp makes a packet of an ICMPv6 message, its checksum filled in.
func icmp(from, to netip.Addr, hopLimit uint8, msg ...byte) []byte {
	b := appendHeader(nil, from, to, protoICMP, hopLimit)
	return finish(append(b, msg...), 2)
}

// neighborSolicit is a Neighbor Solicitation for target.
func neighborSolicit(from, to, target netip.Addr, options ...byte) []byte {
	a := target.As16()
	return icmp(from, to, 255, append(append([]byte{icmpNeighborSolicit, 0, 0, 0, 0, 0, 0, 0}, a[:]...), options...)...)
}

// chance is a source of chance that always gives the same share of its range.
func chance(share float64) func(int64) int64 {
	return func(n int64) int64 { return min(int64(share*float64(n)), n-1) }
}
