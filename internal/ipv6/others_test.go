package ipv6

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"tributary/test/tshark"
)

// conversation is one session from its start to its end, with all that is ever
// said: both kinds of exchange, renewals, a prefix that goes, neighbours, echoes.
func conversation(t *testing.T) [][]byte {
	random := chance(0.3)
	s := newSession(t, random, func() (bool, bool, time.Duration) { return false, false, time.Millisecond })
	run := func(end time.Time) {
		for s.step(end) {
		}
		s.now = end
	}
	run(at(time.Hour))
	us, them := LinkLocal(ourID), LinkLocal(peerID)
	s.router.SetPrefix(s.now, Prefix{Prefix: prefix("2001:db8:fffe::/64")})
	s.router.SetDNS(s.now, []netip.Addr{addr("2001:db8::54")})
	s.server.free(s.server.owners[0]) // a Renew finds no binding
	for _, ask := range [][]byte{
		neighborSolicit(us, them, them), neighborSolicit(addr("::"), solicitedNode(them), them),
		icmp(us, them, 64, icmpEchoRequest, 0, 0, 0, 0, 1, 0, 2, 'o', 'd', 'd'),
	} {
		s.send(false, ask)
	}
	run(at(2 * time.Hour))
	s.client.Release(s.now)
	s.router.Stop(s.now)
	run(at(3 * time.Hour))
	s.client = NewDelegation(DelegationConfig{DUID: ourDUID, Local: ourID, Stateless: true, Random: random})
	s.client.Start(s.now)
	run(at(4 * time.Hour))
	return s.all
}

// Others read what we write: gopacket the packets and their checksums, the DHCPv6
// library of CoreDHCP the messages.
func TestOthersReadWhatWeWrite(t *testing.T) {
	icmps, messages := map[uint8]int{}, map[dhcpv6.MessageType]int{}
	for _, b := range conversation(t) {
		pkt := gopacket.NewPacket(b, layers.LayerTypeIPv6, gopacket.Default)
		if e := pkt.ErrorLayer(); e != nil {
			t.Fatalf("gopacket: %v: %x", e.Error(), b)
		}
		for _, l := range pkt.Layers() {
			if l, ok := l.(interface {
				SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
			}); ok {
				l.SetNetworkLayerForChecksum(pkt.NetworkLayer())
			}
		}
		if err, bad := pkt.VerifyChecksums(); err != nil || len(bad) != 0 {
			t.Errorf("checksums: %v, %v: %x", err, bad, b)
		}
		if l, ok := pkt.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6); ok {
			icmps[l.TypeCode.Type()]++
		}
		if l, ok := pkt.Layer(layers.LayerTypeICMPv6RouterAdvertisement).(*layers.ICMPv6RouterAdvertisement); ok {
			for _, o := range l.Options {
				if o.Type == layers.ICMPv6OptPrefixInfo && (o.Data[0] != 64 || o.Data[1] != 0x40) {
					t.Errorf("prefix option %x: want 64 bits, A and not L", o.Data)
				}
			}
		}
		udp, ok := pkt.Layer(layers.LayerTypeUDP).(*layers.UDP)
		if !ok {
			continue
		}
		m, err := dhcpv6.MessageFromBytes(udp.Payload)
		if err != nil {
			t.Errorf("dhcpv6: %v: %x", err, udp.Payload)
			continue
		}
		messages[m.MessageType]++
		if string(m.ToBytes()) != string(udp.Payload) {
			t.Errorf("dhcpv6 writes it otherwise:\n%x\n%x", m.ToBytes(), udp.Payload)
		}
	}
	for _, kind := range []uint8{icmpEchoRequest, icmpEchoReply, icmpRouterSolicit, icmpRouterAdvert, icmpNeighborSolicit, icmpNeighborAdvert} {
		if icmps[kind] == 0 {
			t.Errorf("ICMPv6 type %d is not in the conversation", kind)
		}
	}
	for _, kind := range []messageType{msgSolicit, msgAdvertise, msgRequest, msgReply, msgRenew, msgRelease, msgInform} {
		if messages[dhcpv6.MessageType(kind)] == 0 {
			t.Errorf("message type %d is not in the conversation", kind)
		}
	}
}

// We read what others write, options that we do not know included.
func TestWeReadWhatOthersWrite(t *testing.T) {
	xid := dhcpv6.TransactionID{1, 2, 3}
	m := &dhcpv6.Message{MessageType: dhcpv6.MessageTypeReply, TransactionID: xid}
	duid := &dhcpv6.DUIDUUID{UUID: [16]byte{1, 2, 3}}
	m.AddOption(dhcpv6.OptClientID(duid))
	m.AddOption(dhcpv6.OptServerID(&dhcpv6.DUIDEN{EnterpriseNumber: 7, EnterpriseIdentifier: []byte("x")}))
	m.AddOption(dhcpv6.OptDNS(addr("2001:db8::53").AsSlice()))
	m.AddOption(dhcpv6.OptBootFileURL("tftp://nobody"))
	m.AddOption(&dhcpv6.OptionGeneric{OptionCode: 24, OptionData: []byte{63, 1}}) // a bad Domain Search List
	m.AddOption(&dhcpv6.OptIAPD{
		IaId: [4]byte{0, 0, 0, 7}, T1: 100 * sec, T2: 160 * sec,
		Options: dhcpv6.PDOptions{Options: dhcpv6.Options{
			&dhcpv6.OptIAPrefix{PreferredLifetime: 200 * sec, ValidLifetime: 300 * sec, Prefix: ipNet(prefix("2001:db8:42::/48"))},
			&dhcpv6.OptStatusCode{StatusMessage: "here you are"},
		}},
	})
	got, ok := parseDHCP(m.ToBytes())
	if !ok || got.kind != msgReply || got.xid != 0x010203 || string(got.clientID) != string(duid.ToBytes()) || len(got.dns) != 1 {
		t.Fatalf("%v %+v", ok, got)
	}
	ia := got.ia(7)
	if ia == nil || ia.t1 != 100 || ia.t2 != 160 || ia.status.text != "here you are" || len(ia.prefixes) != 1 ||
		ia.prefixes[0] != (iaPrefix{200, 300, prefix("2001:db8:42::/48")}) {
		t.Errorf("%+v", ia)
	}
}

// Wireshark finds no fault with a whole conversation.
func TestWiresharkFindsNoFault(t *testing.T) {
	file := filepath.Join(t.TempDir(), "conversation.pcapng")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w, err := pcapgo.NewNgWriter(f, layers.LinkTypePPP)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range conversation(t) {
		b = append([]byte{0xff, 0x03, 0x00, 0x57}, b...)
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: start, CaptureLength: len(b), Length: len(b)}, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	tshark.Check(t, file)
}
