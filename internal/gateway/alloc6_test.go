package gateway

import (
	"sync/atomic"
	"testing"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/pppoe"
)

// IPv6 in mode shared allocates nothing on its way, in either direction, nor from
// user to user.
func TestIPv6PathAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget, at random; the alloc step runs this without it")
	}
	g := &Gateway{pool: frame.NewPool(64), shared: &shared{}}
	table := &prefixTable{base: 0x2001_0db8_0000_0000, users: make([]atomic.Pointer[session], 256)}
	g.shared.routes6.replace(nil, table)

	tr := &trunk{g: g}
	office := &session{g: g, trunk: tr, timerIndex: -1}
	office.forward.Store(&forward{port: sinkPort{}, hdr: ether.Header{Dst: acMAC, Src: gwMAC, Type: ether.TypeSession},
		overhead: ether.HeaderLen + pppoe.HeaderLen, sid: 7, maxFrame: 1494})
	tr.state6.Store(&trunkState6{session: office, addrs: [][16]byte{{0: 0xfe, 1: 0x80, 15: 9}}, mtu: 1492})

	user := func(link uint64) *session {
		s := &session{g: g, timerIndex: -1}
		s.out.init(sinkLine{}, queueConfig{frames: 32, delay: 50 * time.Millisecond}, newBatches())
		s.sub = &subscriber{s: s, six: new(subscriberIPv6)}
		s.sub.six.path.Store(&path6{trunk: tr, link: link, mtu: 1500, among: config.UserToUserLocal})
		table.slot(link).Store(s)
		return s
	}
	alice, bob := user(table.base+1), user(table.base+2)

	const mine, his = "2001:db8:0:1::1", "2001:db8:0:2::1"
	up := append([]byte{0, 0x57}, packet6{src: mine, dst: remote6}.bytes()...)
	down := append([]byte{0, 0x57}, packet6{src: remote6, dst: mine}.bytes()...)
	across := append([]byte{0, 0x57}, packet6{src: mine, dst: his}.bytes()...)
	var batch [1]*frame.Buf
	for name, step := range map[string]func(b *frame.Buf){
		"up":     func(b *frame.Buf) { b.SetBytes(up); batch[0] = b; alice.readShared(batch[:]) },
		"across": func(b *frame.Buf) { b.SetBytes(across); batch[0] = b; alice.readShared(batch[:]) },
		"down": func(b *frame.Buf) {
			b.SetBytes(down)
			if o := office.downstream(clock(), b); o != nil {
				o.flush()
			}
		},
	} {
		if n := testing.AllocsPerRun(1000, func() { step(g.pool.Get()) }); n != 0 {
			t.Errorf("%s: %v allocations a packet", name, n)
		}
	}
	if a, b, o := alice.statistics(), bob.statistics(), office.statistics(); a.UpFrames < 2000 || a.DownFrames < 1000 || b.DownFrames < 1000 || o.DownFrames < 1000 {
		t.Errorf("alice %+v, bob %+v, the session %+v", a, b, o)
	}
	if n := g.pool.InUse(); n != 0 {
		t.Errorf("%d buffers were not put back", n)
	}
}
