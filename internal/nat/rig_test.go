package nat

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"tributary/internal/ip"
)

// Who takes part: two users, the address they share, and hosts on the Internet.
const (
	alice, bob         = 1, 2
	aliceAddr, bobAddr = "10.0.0.1", "10.0.0.2"
	shared             = "198.51.100.1"
	server, other      = "203.0.113.9", "203.0.113.10"
)

// rig is a NAT with a clock, whose every translated packet is checked by gopacket.
type rig struct {
	t      testing.TB
	nat    *NAT
	now    time.Duration
	blocks []logLine
}

// logLine is a Block as the tests have it.
type logLine struct {
	User        uint32
	First, Last uint16
	Released    bool
}

func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	r := &rig{t: t, now: time.Hour}
	cfg.External = netip.MustParseAddr(shared)
	cfg.OnBlock = func(b Block) {
		if b.External != cfg.External || !b.User.Addr.IsValid() {
			t.Errorf("the log says %+v", b)
		}
		r.blocks = append(r.blocks, logLine{b.User.ID, b.First, b.Last, b.Released})
	}
	cfg.Seed = [32]byte{1}
	n, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.nat = n
	r.join(alice, bob)
	r.tick()
	return r
}

// nobody is a user of whom nothing is known but his address, which no other has.
func nobody(id uint32) User {
	return User{ID: id, Addr: ip.AddrFrom4(10<<24 | id)}
}

// join has users without names dial in.
func (r *rig) join(ids ...uint32) {
	r.t.Helper()
	for _, id := range ids {
		r.joinAs(nobody(id))
	}
}

func (r *rig) joinAs(u User) {
	r.t.Helper()
	if !r.nat.Join(u) {
		r.t.Fatalf("%+v is not let in", u)
	}
}

// wait lets time pass, with a tick each second as the gateway has it.
func (r *rig) wait(d time.Duration) {
	for end := r.now + d; r.now < end; {
		r.now = min(r.now+time.Second, end)
		r.tick()
	}
}

func (r *rig) tick() {
	for r.nat.Tick(r.now) {
	}
}

func (r *rig) parse(b []byte) *ip.Header4 {
	r.t.Helper()
	h, ok := ip.Parse4(b)
	if !ok {
		r.t.Fatalf("not a packet: % x", b)
	}
	return &h
}

// out has user send b. It is b that is changed.
func (r *rig) out(user uint32, b []byte) (to uint32, v Verdict) {
	r.t.Helper()
	h := r.parse(b)
	to, v = r.nat.Out(r.now, user, b, h)
	r.translated(b, h, v)
	return to, v
}

// in has b come from outside.
func (r *rig) in(b []byte) (user uint32, v Verdict) {
	r.t.Helper()
	h := r.parse(b)
	user, v = r.nat.In(r.now, b, h)
	r.translated(b, h, v)
	return user, v
}

func (r *rig) translated(b []byte, h *ip.Header4, v Verdict) {
	r.t.Helper()
	if v.Dropped() {
		return
	}
	if now := r.parse(b); *now != *h {
		r.t.Fatalf("the header is %+v, of a packet with %+v", h, now)
	}
	if !h.Fragment() {
		check(r.t, b)
	}
}

func (r *rig) wantOut(why string, user uint32, b []byte, want Verdict) []byte {
	r.t.Helper()
	if _, v := r.out(user, b); v != want {
		r.t.Errorf("%s: %v, want %v", why, v, want)
	}
	return b
}

func (r *rig) wantIn(why string, b []byte, user uint32, want Verdict) []byte {
	r.t.Helper()
	if got, v := r.in(b); v != want || v == Forward && got != user {
		r.t.Errorf("%s: %v for %d, want %v for %d", why, v, got, want, user)
	}
	return b
}

// wantEnds checks the endpoints of a packet.
func wantEnds(t testing.TB, why string, b []byte, from string, src uint16, to string, dst uint16) {
	t.Helper()
	if gotFrom, gotTo := ip.AddrFrom4(ip.Source4(b)).String(), ip.AddrFrom4(ip.Dest4(b)).String(); gotFrom != from || gotTo != to || sport(b) != src || dport(b) != dst {
		t.Errorf("%s: %s:%d to %s:%d, want %s:%d to %s:%d", why, gotFrom, sport(b), gotTo, dport(b), from, src, to, dst)
	}
}

// check has gopacket decode a packet and verify every checksum in it.
func check(t testing.TB, b []byte) gopacket.Packet {
	t.Helper()
	p := gopacket.NewPacket(b, layers.LayerTypeIPv4, gopacket.Default)
	// gopacket guesses an application by the port, which may be any here.
	if e := p.ErrorLayer(); e != nil && p.TransportLayer() == nil {
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

func build(t testing.TB, l ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func header(from, to string, p layers.IPProtocol) *layers.IPv4 {
	return &layers.IPv4{
		Version: 4, TTL: 64, Id: 0x1234, Protocol: p,
		SrcIP: netip.MustParseAddr(from).AsSlice(), DstIP: netip.MustParseAddr(to).AsSlice(),
	}
}

func udpPacket(t testing.TB, from string, src uint16, to string, dst uint16) []byte {
	return udpData(t, from, src, to, dst, []byte("datagram"))
}

func udpData(t testing.TB, from string, src uint16, to string, dst uint16, data []byte) []byte {
	t.Helper()
	h := header(from, to, layers.IPProtocolUDP)
	u := &layers.UDP{SrcPort: layers.UDPPort(src), DstPort: layers.UDPPort(dst)}
	if err := u.SetNetworkLayerForChecksum(h); err != nil {
		t.Fatal(err)
	}
	return build(t, h, u, gopacket.Payload(data))
}

func tcpPacket(t testing.TB, from string, src uint16, to string, dst uint16, flags uint8) []byte {
	t.Helper()
	h := header(from, to, layers.IPProtocolTCP)
	h.Flags = layers.IPv4DontFragment
	s := &layers.TCP{
		SrcPort: layers.TCPPort(src), DstPort: layers.TCPPort(dst), Seq: 1, Window: 1000,
		SYN: flags&synFlag != 0, ACK: flags&ackFlag != 0, FIN: flags&finFlag != 0, RST: flags&rstFlag != 0,
	}
	if err := s.SetNetworkLayerForChecksum(h); err != nil {
		t.Fatal(err)
	}
	return build(t, h, s)
}

func icmpPacket(t testing.TB, from, to string, typ uint8, id uint16) []byte {
	t.Helper()
	m := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, 0), Id: id, Seq: 1}
	return build(t, header(from, to, layers.IPProtocolICMPv4), m, gopacket.Payload("abcdefgh"))
}

// icmpErrorPacket is an ICMP error that quotes as much of b as it is told.
func icmpErrorPacket(t testing.TB, from, to string, typ uint8, b []byte, quoted int) []byte {
	t.Helper()
	m := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(typ, 1)}
	return build(t, header(from, to, layers.IPProtocolICMPv4), m, gopacket.Payload(b[:min(quoted, len(b))]))
}

// sport and dport are the ports of a packet without IP options; of ICMP, the
// identifier.
func sport(b []byte) uint16 {
	if b[9] == ip.ProtoICMP {
		return binary.BigEndian.Uint16(b[24:])
	}
	return binary.BigEndian.Uint16(b[20:])
}

func dport(b []byte) uint16 {
	if b[9] == ip.ProtoICMP {
		return binary.BigEndian.Uint16(b[24:])
	}
	return binary.BigEndian.Uint16(b[22:])
}

// dropped is how many packets were dropped for a reason.
func (r *rig) dropped(v Verdict) uint64 { return r.nat.Stats().Dropped[v.String()] }

// sameButID reports whether two packets differ in nothing but the identification
// and the header checksum that covers it.
func sameButID(a, b []byte) bool {
	a, b = bytes.Clone(a), bytes.Clone(b)
	for _, p := range [][]byte{a, b} {
		clear(p[4:6])
		clear(p[10:12])
	}
	return bytes.Equal(a, b)
}
