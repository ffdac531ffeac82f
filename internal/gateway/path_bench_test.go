package gateway

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/pppoe"
)

// crowd is any number of users of one trunk, each with an IPv4 address and a /64,
// and nothing around them: what the data path of mode shared touches, and no more.
type crowd struct {
	g     *Gateway
	trunk *trunk
	users []*session
	first uint32       // the first user's address
	table *prefixTable // and /64
}

func newCrowd(n int) *crowd {
	pool := frame.NewPool(64)
	g := &Gateway{pool: pool}
	g.shared = &shared{g: g}
	c := &crowd{g: g, trunk: &trunk{g: g, cfg: &config.Session{}}, users: make([]*session, n), first: ip.Addr4(netip.MustParseAddr("10.0.0.2"))}
	office := &session{g: g, trunk: c.trunk, timerIndex: -1}
	office.forward.Store(&forward{port: sinkPort{}, hdr: ether.Header{Dst: acMAC, Src: gwMAC, Type: ether.TypeSession},
		overhead: ether.HeaderLen + pppoe.HeaderLen, sid: 7, maxFrame: 1494})
	c.trunk.state.Store(&trunkState{session: office, addr: ip.Addr4(netip.MustParseAddr(trunkAddr)), mtu: 1492})
	c.trunk.state6.Store(&trunkState6{session: office, addrs: [][16]byte{{0: 0xfe, 1: 0x80, 15: 9}}, mtu: 1492})
	c.table = &prefixTable{base: 0x2001_0db8_0000_0000, users: make([]atomic.Pointer[session], 1<<16)}
	g.shared.routes6.replace(nil, c.table)
	batches := newBatches()
	for i := range c.users {
		s := &session{g: g, timerIndex: -1}
		s.out.init(sinkLine{}, queueConfig{frames: 32, delay: 50 * time.Millisecond}, batches)
		s.sub = &subscriber{s: s, six: new(subscriberIPv6)}
		a, link := c.first+uint32(i), c.table.base+1+uint64(i)
		s.sub.path.Store(&path{trunk: c.trunk, addr: a, local: c.first - 1, mtu: 1500, among: config.UserToUserLocal})
		s.sub.six.path.Store(&path6{trunk: c.trunk, link: link, mtu: 1500, among: config.UserToUserLocal})
		g.shared.routes.set(a, s)
		c.table.slot(link).Store(s)
		c.users[i] = s
	}
	return c
}

// put4 writes an address over the one at offset at of a frame with an IPv4 packet,
// and its checksum: one packet serves all users.
func put4(frame []byte, at int, a uint32) {
	const header = 2
	binary.BigEndian.PutUint32(frame[header+at:], a)
	frame[header+10], frame[header+11] = 0, 0
	binary.BigEndian.PutUint16(frame[header+10:], ip.Checksum(0, frame[header:header+20]))
}

// One packet costs the same with 10 users and with 50,000: ten of them who speak
// have as much to wait for as if they were alone. When all of them speak in turn, a
// packet costs what the processor's caches have to fetch of a user not heard for long.
func BenchmarkSharedPath(b *testing.B) {
	const src, dst = 12, 16
	up4 := append([]byte{0, 0x21}, packet{src: "10.0.0.2", dst: host, payload: udp(1, 2, make([]byte, 36))}.bytes()...)
	down4 := append([]byte{0, 0x21}, packet{src: host, dst: "10.0.0.2", payload: udp(2, 1, make([]byte, 36))}.bytes()...)
	up6 := append([]byte{0, 0x57}, packet6{src: "2001:db8:0:1::1", dst: remote6, payload: udp(1, 2, make([]byte, 16))}.bytes()...)
	down6 := append([]byte{0, 0x57}, packet6{src: remote6, dst: "2001:db8:0:1::1", payload: udp(2, 1, make([]byte, 16))}.bytes()...)
	link := func(frame []byte, at int, c *crowd, i int) {
		binary.BigEndian.PutUint64(frame[2+at:], c.table.base+1+uint64(i))
	}
	for _, way := range []struct {
		name   string
		packet []byte
		from   func(frame []byte, c *crowd, i int)
		down   bool
	}{
		{"up", up4, func(f []byte, c *crowd, i int) { put4(f, src, c.first+uint32(i)) }, false},
		{"across", up4, func(f []byte, c *crowd, i int) {
			binary.BigEndian.PutUint32(f[2+dst:], c.first+uint32(len(c.users)-1-i))
			put4(f, src, c.first+uint32(i))
		}, false},
		{"down", down4, func(f []byte, c *crowd, i int) { put4(f, dst, c.first+uint32(i)) }, true},
		{"up6", up6, func(f []byte, c *crowd, i int) { link(f, 8, c, i) }, false},
		{"down6", down6, func(f []byte, c *crowd, i int) { link(f, 24, c, i) }, true},
	} {
		for _, size := range []struct{ users, speak int }{{10, 10}, {50_000, 10}, {50_000, 50_000}} {
			b.Run(fmt.Sprintf("%s/%d of %d", way.name, size.speak, size.users), func(b *testing.B) {
				c := newCrowd(size.users)
				apart := size.users / size.speak
				office := c.trunk.state.Load().session
				f := append([]byte(nil), way.packet...)
				var batch [1]*frame.Buf
				at := uint32(0)
				b.ReportAllocs()
				for b.Loop() {
					at = at*1664525 + 1013904223
					i := int(uint64(at)*uint64(size.speak)>>32) * apart
					way.from(f, c, i)
					buf := c.g.pool.Get()
					buf.SetBytes(f)
					if !way.down {
						batch[0] = buf
						c.users[i].readShared(batch[:])
					} else if o := office.downstream(clock(), buf); o != nil {
						o.flush()
					}
				}
				var sum SessionStats
				for _, s := range c.users {
					got := s.statistics()
					sum.UpFrames += got.UpFrames
					sum.DownFrames += got.DownFrames
				}
				if passed := sum.UpFrames + sum.DownFrames; passed < uint64(b.N) {
					b.Fatalf("%d of %d packets passed", passed, b.N)
				}
			})
		}
	}
}
