package gateway

import (
	"sync/atomic"
	"testing"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/internal/line"
	"tributary/ppp"
	"tributary/pppoe"
)

// watchPort and watchLine see what is sent, and keep nothing.
type watchPort struct {
	ether.Port
	see func(frame []byte)
}

func (p *watchPort) WriteBatch(bufs []*frame.Buf) (int, error) {
	for _, b := range bufs {
		p.see(b.Bytes()[ether.HeaderLen+pppoe.HeaderLen:])
	}
	return len(bufs), nil
}

type watchLine struct {
	line.Line
	see func(frame []byte)
}

func (l *watchLine) TryWrite(frames []*frame.Buf) (int, bool, error) {
	for _, b := range frames {
		l.see(b.Bytes())
	}
	return len(frames), true, nil
}

// Whatever a user or the ISP sends as IPv6: no buffer is lost, a user's packet
// goes on only from his own /64, what goes on or is said by the gateway is well
// formed, and nothing is sent back where it came from but what the gateway says.
func FuzzIPv6Path(f *testing.F) {
	const mine, his = "2001:db8:0:1::1", "2001:db8:0:2::1"
	for among := range uint8(3) {
		for _, p := range []packet6{
			{src: mine, dst: remote6}, {src: remote6, dst: mine}, {src: mine, dst: his}, {src: his, dst: mine}, {src: mine, dst: "2001:db8::1"},
			{src: mine, dst: "2001:db8:0:1::"}, {src: mine, dst: "2001:db8:0:1::5"}, {src: mine, dst: "2001:db8:0:9::5"}, {src: mine, dst: remote6, hops: 1},
			{src: "fe80::2", dst: "fe80::1"}, ping6("fe80::2", "ff02::1"), ping6(mine, "2001:db8::1"), ping6(remote6, "2001:db8:0:1::"),
			{src: mine, dst: remote6, next: ip.ProtoTCP, payload: syn(1, 2, 1440)}, {src: mine, dst: remote6, next: 59, payload: make([]byte, 1460)},
		} {
			f.Add(p.bytes(), true, among)
			f.Add(p.bytes(), false, among)
		}
	}
	f.Fuzz(func(t *testing.T, pkt []byte, up bool, among uint8) {
		modes := [...]config.UserToUser{config.UserToUserISP, config.UserToUserLocal, config.UserToUserNone}
		g := &Gateway{pool: frame.NewPool(64), shared: &shared{}}
		table := &prefixTable{base: 0x2001_0db8_0000_0000, users: make([]atomic.Pointer[session], 16), router: [16]byte{0x20, 1, 0xd, 0xb8, 15: 1}}
		g.shared.routes6.replace(nil, table)
		ours := func(a [16]byte) bool { return a == table.router || ip.LinkLocal6(a) || lower(a) == 0 }
		parse := func(b []byte) ip.Header6 {
			proto, info, ok := ppp.Split(b)
			h, good := ip.Parse6(info)
			if !ok || proto != ppp.ProtoIPv6 || !good || h.Total != len(info) {
				t.Fatalf("ill-formed % x", b)
			}
			return h
		}

		tr := &trunk{g: g}
		office := &session{g: g, trunk: tr, timerIndex: -1}
		office.forward.Store(&forward{port: &watchPort{see: func(b []byte) {
			if h := parse(b); up && upper(h.Src) != table.base+1 || !up && !ours(h.Src) {
				t.Fatalf("to the ISP went % x", b)
			}
		}}, hdr: ether.Header{Dst: acMAC, Src: gwMAC, Type: ether.TypeSession}, overhead: ether.HeaderLen + pppoe.HeaderLen, sid: 7, maxFrame: 1494})
		tl := newTrunkLine(line.Info{}, g.pool)
		tr.state6.Store(&trunkState6{session: office, line: tl, addrs: [][16]byte{{0: 0xfe, 1: 0x80, 15: 9}}, mtu: 1492})

		var users [2]*session
		for i := range users {
			s := &session{g: g, owner: newOwner(), timerIndex: -1}
			link := table.base + 1 + uint64(i)
			s.out.init(&watchLine{see: func(b []byte) {
				h := parse(b)
				if up && i == 0 && !ours(h.Src) || up && i == 1 && upper(h.Src) != table.base+1 {
					t.Fatalf("to user %d went % x", i, b)
				}
				if upper(h.Dst) != link {
					t.Fatalf("user %d got another's: % x", i, b)
				}
			}}, queueConfig{frames: 32, delay: 50 * time.Millisecond}, newBatches())
			s.sub = &subscriber{s: s, six: new(subscriberIPv6)}
			s.sub.six.path.Store(&path6{trunk: tr, link: link, router: table.router, mtu: 1400, among: modes[among%3]})
			table.slot(link).Store(s)
			users[i] = s
		}

		b := g.pool.Get()
		if !b.SetBytes(append([]byte{0, 0x57}, pkt...)) {
			b.Put()
			return
		}
		if up {
			users[0].readShared([]*frame.Buf{b})
		} else if o := office.downstream(clock(), b); o != nil {
			o.flush()
		}
		users[0].owner.discard()
		tl.drain()
		if n := g.pool.InUse(); n != 0 {
			t.Fatalf("%d buffers are lost", n)
		}
	})
}
