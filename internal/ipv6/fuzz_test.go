package ipv6

import (
	"net"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 128)}
}

// What was parsed, written and parsed again is the same.
func FuzzDHCP(f *testing.F) {
	for _, b := range conversation(&testing.T{}) {
		if p, ok := parsePacket(b); ok && p.proto == protoUDP {
			f.Add(p.payload[udpHeaderLen:])
		}
	}
	f.Add([]byte{7, 1, 2, 3, 0, 25, 0, 11, 0, 0, 0, 7})        // IA_PD that is cut
	f.Add([]byte{7, 1, 2, 3, 0, 13, 0, 2, 0, 0, 0, 13, 0, 0})  // Status twice
	f.Add([]byte{7, 1, 2, 3, 0, 82, 0, 4, 0, 0, 0, 60, 0, 18}) // half an option
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := parseDHCP(b)
		if !ok {
			return
		}
		wire := m.append(nil)
		again, ok := parseDHCP(wire)
		if !ok || !reflect.DeepEqual(m, again) {
			t.Fatalf("%x\n%+v\n%x\n%+v", b, m, wire, again)
		}
		// Another implementation reads what we wrote, if its DUIDs are of a kind
		// that it can read.
		if _, err := dhcpv6.DUIDFromBytes(m.clientID); m.clientID != nil && err != nil {
			return
		}
		if _, err := dhcpv6.DUIDFromBytes(m.serverID); m.serverID != nil && err != nil {
			return
		}
		if m.kind == 12 || m.kind == 13 { // messages of relays have another form
			return
		}
		other, err := dhcpv6.MessageFromBytes(wire)
		if err != nil {
			t.Fatalf("dhcpv6: %v: %x", err, wire)
		}
		if len(other.Options.IAPD()) != len(m.prefixes) || len(other.Options.DNS()) != len(m.dns) {
			t.Fatalf("dhcpv6 reads %v, not %+v", other, m)
		}
	})
}

// A Router Advertisement that was parsed, written and parsed again is the same.
func FuzzRouterAdvert(f *testing.F) {
	isp := LinkLocal(peerID)
	f.Add((&routerAdvert{
		lifetime: 1800, mtu: 1480, hopLimit: 64, flags: flagOther,
		prefixes: []prefixInfo{{prefix("2001:db8::/64"), flagAutonomous, 60, 50}},
		dns:      []dnsInfo{{60, []netip.Addr{addr("2001:db8::53")}}},
	}).append(nil, isp, allNodes())[headerLen:])
	f.Fuzz(func(t *testing.T, msg []byte) {
		if len(msg) < 4 || len(msg) > 1500 {
			return
		}
		b := append(appendHeader(nil, isp, allNodes(), protoICMP, 255), msg...)
		b[42], b[43] = 0, 0
		p, ok := parsePacket(finish(b, 2))
		if !ok {
			t.Fatal("not a packet")
		}
		ra, ok := parseRouterAdvert(&p)
		if !ok {
			return
		}
		p, ok = parsePacket(ra.append(nil, isp, allNodes()))
		if !ok {
			t.Fatal("what we write is not a packet")
		}
		if again, ok := parseRouterAdvert(&p); !ok || !reflect.DeepEqual(ra, again) {
			t.Fatalf("%+v\n%+v", ra, again)
		}
	})
}

// No machine can be made to panic, to send a packet that is not one, to want to
// be called again and again without doing anything, or to remember without bound.
func FuzzMachines(f *testing.F) {
	for _, b := range conversation(&testing.T{}) {
		f.Add(b, uint16(1), true)
		f.Add(b, uint16(3000), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, wait uint16, mend bool) {
		if len(b) > 2000 {
			return
		}
		s := newSession(t, chance(0), func() (bool, bool, time.Duration) { return true, false, 0 })
		for range 3 { // so far that all have asked something, and none has an answer
			s.step(at(10 * sec))
		}
		pkt := append([]byte(nil), b...)
		if mend && len(pkt) >= headerLen+8 {
			mendPacket(pkt, s.client.xid)
		}
		now := s.now
		for range 2 {
			s.host.Input(now, pkt)
			s.client.Input(now, pkt)
			s.router.Input(now, pkt)
			s.server.Input(now, 1, pkt)
			now = now.Add(time.Duration(wait) * sec)
			for i := 0; ; i++ {
				d := earlier(earlier(s.host.Deadline(), s.client.Deadline()), earlier(s.router.Deadline(), s.server.Deadline()))
				if d.After(now) || d.IsZero() {
					break
				}
				if i > 100000 {
					t.Fatalf("a deadline of %v stays", d.Sub(start))
				}
				d = later(s.now, d)
				s.now = d
				s.host.Tick(d)
				s.client.Tick(d)
				s.router.Tick(d)
				s.server.Tick(d)
			}
		}
		for _, sent := range [][][]byte{packets(s.host.Next, nil), packets(s.client.Next, &s.events), packets(s.router.Next, nil), packets(s.server.Next, nil)} {
			for _, pkt := range sent {
				if p, ok := parsePacket(pkt); !ok || !p.sumOK() || len(pkt) > max(1280, len(b)) {
					t.Fatalf("sent: %x", pkt)
				}
			}
		}
		lease, _ := s.client.Lease()
		if st := s.host.State(); len(st.Addresses) > maxPrefixes || len(st.DNS) > maxDNS || len(lease.Prefixes) > maxIAPrefixes || len(s.server.bindings) > 2*maxIAs {
			t.Fatalf("too much is remembered: %+v %+v", st, lease)
		}
	})
}

// mendPacket makes addresses, lengths, checksum and identifiers of a fuzzed packet
// what they must be, so that more than the first check is tried.
func mendPacket(b []byte, xid uint32) {
	b[0], b[4], b[5] = 0x60, byte((len(b)-headerLen)>>8), byte(len(b)-headerLen)
	us, them := LinkLocal(ourID).As16(), LinkLocal(peerID).As16()
	toUs := b[7]&1 == 0
	if b[6] != protoUDP {
		b[6], b[7] = protoICMP, ndHopLimit
		copy(b[8:], them[:])
		b[42], b[43] = 0, 0
		finish(b, 2)
		return
	}
	b[44], b[45], b[46], b[47] = b[4], b[5], 0, 0
	b[42] = 2 // ports 546 and 547
	if b[43] = 0x23; toUs {
		b[43] = 0x22
		copy(b[8:], them[:])
		copy(b[24:], us[:])
		if len(b) >= headerLen+udpHeaderLen+4 {
			b[49], b[50], b[51] = byte(xid>>16), byte(xid>>8), byte(xid)
		}
	} else {
		all := allDHCP().As16()
		copy(b[8:], us[:])
		copy(b[24:], all[:])
	}
	finish(b, 6)
}
