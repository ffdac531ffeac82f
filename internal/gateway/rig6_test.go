package gateway

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/ip"
	"tributary/internal/ipv6"
	"tributary/ppp"
)

// The IPv6 of the ISP and of the callers of a sharedRig.

const ispID = 0xa1b2_c3d4_e5f6_0718 // the ISP's interface identifier

var ispDUID = []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 0x15}

// isp6 is what the ISP does for IPv6: it advertises a prefix on each session's
// link, and delegates others.
type isp6 struct {
	wan netip.Prefix // for our end of the session; not valid: none
	dns []netip.Addr
	*ipv6.Delegator
	got    [][]byte       // packets to be forwarded, from any session
	routed []netip.Prefix // to the one session
}

// delegator gives away the /56s of pool, for 10 minutes.
func delegator(t *testing.T, pool string) *ipv6.Delegator {
	t.Helper()
	d, err := ipv6.NewDelegator(ipv6.DelegatorConfig{
		DUID: ispDUID, Local: ispID, Pool: netip.MustParsePrefix(pool), Bits: 56,
		Preferred: 10 * time.Minute, Valid: 20 * time.Minute, RapidCommit: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// ispSession6 is the ISP's end of one session whose IPV6CP is open.
type ispSession6 struct {
	s      *ispSession
	router *ipv6.Router
}

func newISPSession6(s *ispSession, now time.Time, up ppp.IPv6Up) *ispSession6 {
	six := s.isp.six
	x := &ispSession6{s: s, router: ipv6.NewRouter(ipv6.RouterConfig{Local: up.Local, MTU: 1492, DNS: six.dns})}
	if six.wan.IsValid() {
		if err := x.router.SetPrefix(now, ipv6.Prefix{Prefix: six.wan}); err != nil {
			s.isp.t.Error(err)
		}
	}
	x.router.Start(now)
	x.drain(now)
	return x
}

func (x *ispSession6) input(now time.Time, pkt []byte) {
	if !ipv6.Local(pkt) {
		x.s.isp.six.got = append(x.s.isp.six.got, bytes.Clone(pkt))
		return
	}
	x.router.Input(now, pkt)
	x.s.isp.six.Input(now, uint64(x.s.sid), pkt)
	x.drain(now)
}

func (x *ispSession6) tick(now time.Time) {
	if x != nil {
		x.router.Tick(now)
		x.s.isp.six.Tick(now)
		x.drain(now)
	}
}

func (x *ispSession6) deadline() time.Time {
	if x == nil {
		return time.Time{}
	}
	return earliest(x.router.Deadline(), x.s.isp.six.Deadline())
}

func (x *ispSession6) down() {
	if x != nil {
		x.s.isp.six.LinkDown(uint64(x.s.sid))
		x.drain(time.Now())
	}
}

func (x *ispSession6) drain(time.Time) {
	for out, ok := x.router.Next(); ok; out, ok = x.router.Next() {
		if out, ok := out.(ipv6.Send); ok {
			x.send(out.Packet)
		}
	}
	six := x.s.isp.six
	for out, ok := six.Next(); ok; out, ok = six.Next() {
		switch out := out.(type) {
		case ipv6.DelegatorSend:
			x.send(out.Packet)
		case ipv6.PrefixGranted:
			six.routed = append(six.routed, out.Prefix)
		case ipv6.PrefixWithdrawn:
			six.routed = slices.DeleteFunc(six.routed, func(p netip.Prefix) bool { return p == out.Prefix })
		}
	}
}

func (x *ispSession6) send(pkt []byte) {
	x.s.isp.send(x.s.peer, ether.TypeSession, sessionPacket(x.s.sid, append([]byte{0, 0x57}, pkt...)))
}

// toUsers6 sends packets down the session.
func (i *fakeISP) toUsers6(packets ...[]byte) {
	i.t.Helper()
	i.do(func(time.Time) {
		s := i.one("")
		if s == nil || s.six == nil {
			i.t.Fatal("the ISP has no session to send on")
		}
		for _, p := range packets {
			s.six.send(p)
		}
	})
}

// want6 takes the oldest IPv6 packet that came to the ISP to be forwarded.
func (i *fakeISP) want6(why string) []byte {
	i.t.Helper()
	synctest.Wait()
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.six.got) == 0 {
		i.t.Fatalf("the ISP got no IPv6 packet: %s", why)
	}
	p := i.six.got[0]
	i.six.got = i.six.got[1:]
	return p
}

func (i *fakeISP) wantNothing6(why string) {
	i.t.Helper()
	synctest.Wait()
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.six.got) != 0 {
		i.t.Fatalf("the ISP got % x: %s", i.six.got[0], why)
	}
}

// caller6 is the IPv6 of a caller: a host.
type caller6 struct {
	host *ipv6.Host // nil while IPV6CP is not open
	id   uint64
	got  [][]byte // all but Neighbor Discovery
}

func (x *caller6) up(now time.Time, up ppp.IPv6Up) {
	x.id = up.Local
	x.host = ipv6.NewHost(ipv6.HostConfig{Local: up.Local, MTU: 1500})
	x.host.Start(now)
}

func (x *caller6) input(now time.Time, pkt []byte) {
	h, ok := ip.Parse6(pkt)
	if u, _ := h.Upper(pkt); ok && u.Protocol == ip.ProtoICMPv6 && pkt[u.At] >= 133 && pkt[u.At] <= 137 {
		if x.host != nil {
			x.host.Input(now, pkt)
		}
		return
	}
	x.got = append(x.got, bytes.Clone(pkt))
}

func (x *caller6) tick(now time.Time) {
	if x.host != nil {
		x.host.Tick(now)
	}
}

func (x *caller6) deadline() time.Time {
	if x.host == nil {
		return time.Time{}
	}
	return x.host.Deadline()
}

func (c *caller) drain6(time.Time) {
	if c.six.host == nil {
		return
	}
	for out, ok := c.six.host.Next(); ok; out, ok = c.six.host.Next() {
		if out, ok := out.(ipv6.Send); ok {
			c.write(append([]byte{0, 0x57}, out.Packet...))
		}
	}
}

// send6 sends IPv6 packets.
func (c *caller) send6(packets ...[]byte) {
	c.t.Helper()
	for _, p := range packets {
		c.write(append([]byte{0, 0x57}, p...))
	}
	synctest.Wait()
}

// knows is what the caller's host has been told; ok is false while IPV6CP is down.
func (c *caller) knows() (st ipv6.HostState, ok bool) {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.six.host == nil {
		return st, false
	}
	return c.six.host.State(), true
}

// address6 is the caller's newest global address.
func (c *caller) address6() string {
	c.t.Helper()
	st, _ := c.knows()
	if len(st.Addresses) == 0 {
		c.t.Fatalf("%s has no IPv6 address: %+v", c.name, st)
	}
	return st.Addresses[len(st.Addresses)-1].String()
}

// link6 is the /64 of the caller's newest address.
func (c *caller) link6() netip.Prefix {
	c.t.Helper()
	return netip.PrefixFrom(netip.MustParseAddr(c.address6()), 64).Masked()
}

func (c *caller) want6(why string) []byte {
	c.t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.six.got) == 0 {
		c.t.Fatalf("%s got no IPv6 packet: %s", c.name, why)
	}
	p := c.six.got[0]
	c.six.got = c.six.got[1:]
	return p
}

func (c *caller) wantNothing6(why string) {
	c.t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.six.got) != 0 {
		c.t.Fatalf("%s got % x: %s", c.name, c.six.got[0], why)
	}
}

// as6 is as for one who speaks IPv6, too.
func as6(user, password string) ppp.LinkConfig {
	c := as(user, password)
	c.IPv6 = &ppp.IPv6Config{}
	return c
}

// newSharedRig6 is a rig whose session is up, with an IPv6 prefix that the ISP has
// delegated: 2001:db8::/56.
func newSharedRig6(t *testing.T, change func(*config.Config)) *sharedRig {
	t.Helper()
	r := makeSharedRig6(t, change)
	r.begin()
	r.wantEvent(EventTrunkUp, "the session is dialled at the start")
	if len(r.gw.cfg.Pools) > 0 && r.gw.cfg.Pools[0].DelegatedBy != "" {
		r.wantEvent(EventPrefix, "the ISP delegates one")
	}
	return r
}

func makeSharedRig6(t *testing.T, change func(*config.Config)) *sharedRig {
	t.Helper()
	r := makeSharedRig(t, func(c *config.Config) {
		c.Lines[0].Shared.IPv6, c.Sessions[0].IPv6, c.Pools[0].DelegatedBy = true, true, "office"
		if change != nil {
			change(c)
		}
	})
	r.isp.cfg.IPv6 = &ppp.IPv6Config{Local: ispID}
	r.isp.six = &isp6{
		wan: netip.MustParsePrefix("2001:db8:ffff:7::/64"), dns: []netip.Addr{netip.MustParseAddr("2001:db8:ffff::53")},
		Delegator: delegator(t, "2001:db8::/48"),
	}
	return r
}

// packet6 is an IPv6 packet that a test sends: UDP, if it does not say.
type packet6 struct {
	src, dst string
	next     uint8
	hops     uint8 // 64
	payload  []byte
}

func (p packet6) bytes() []byte {
	if p.next == 0 {
		p.next = ip.ProtoUDP
	}
	if p.hops == 0 {
		p.hops = 64
	}
	src, dst := netip.MustParseAddr(p.src).As16(), netip.MustParseAddr(p.dst).As16()
	payload := bytes.Clone(p.payload)
	if payload == nil {
		payload = udp(1000, 2000, nil)
	}
	at := map[uint8]int{ip.ProtoUDP: 6, ip.ProtoTCP: 16, ip.ProtoICMPv6: 2}[p.next]
	if at > 0 {
		payload[at], payload[at+1] = 0, 0
		binary.BigEndian.PutUint16(payload[at:], ip.Checksum(ip.Pseudo6(src, dst, p.next, len(payload)), payload))
	}
	b := append(make([]byte, 0, 40+len(payload)), 0x60, 0, 0, 0, byte(len(payload)>>8), byte(len(payload)), p.next, p.hops)
	return append(append(append(b, src[:]...), dst[:]...), payload...)
}

// ping6 is an Echo Request.
func ping6(src, dst string) packet6 {
	return packet6{src: src, dst: dst, next: ip.ProtoICMPv6, payload: []byte{128, 0, 0, 0, 0, 7, 0, 1, 'h', 'i'}}
}

// header6 reads a packet that came, and holds it to a good checksum.
func header6(t *testing.T, b []byte) ip.Header6 {
	t.Helper()
	h, ok := ip.Parse6(b)
	if !ok || h.Total != len(b) {
		t.Fatalf("ill-formed packet % x", b)
	}
	if ip.Checksum(ip.Pseudo6(h.Src, h.Dst, h.Next, h.Total-40), b[40:]) != 0 {
		t.Errorf("the checksum is wrong in % x", b)
	}
	return h
}

// wantICMP6 holds b to an ICMPv6 message of that type and code from src to dst,
// and returns its fourth to seventh octets as a number.
func wantICMP6(t *testing.T, b []byte, src, dst string, typ, code uint8) uint32 {
	t.Helper()
	h := header6(t, b)
	if h.Next != ip.ProtoICMPv6 || netip.AddrFrom16(h.Src).String() != src || netip.AddrFrom16(h.Dst).String() != dst || b[40] != typ || b[41] != code {
		t.Errorf("packet from %v to %v % x, want ICMPv6 %d/%d from %s to %s", netip.AddrFrom16(h.Src), netip.AddrFrom16(h.Dst), b[40:], typ, code, src, dst)
	}
	return binary.BigEndian.Uint32(b[44:])
}
