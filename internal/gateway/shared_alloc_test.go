package gateway

import (
	"net/netip"
	"testing"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/internal/nat"
	"tributary/pppoe"
)

// Nor does that of mode shared, with NAT or without.
func TestSharedDataPathAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget, at random; the alloc step runs this without it")
	}
	for _, name := range []string{"routed", "nat", "across"} {
		t.Run(name, func(t *testing.T) {
			pool := frame.NewPool(64)
			g := &Gateway{pool: pool}
			g.shared = &shared{g: g}
			st := &trunkState{session: new(session), addr: ip.Addr4(netip.MustParseAddr(trunkAddr)), mtu: 1492}
			st.session.forward.Store(&forward{port: sinkPort{}, hdr: ether.Header{Dst: acMAC, Src: gwMAC, Type: ether.TypeSession},
				overhead: ether.HeaderLen + pppoe.HeaderLen, sid: 7, maxFrame: 1494})
			tr := &trunk{g: g, cfg: &config.Session{}}
			tr.state.Store(st)
			user := func(a string, among config.UserToUser) *session {
				s := &session{g: g, timerIndex: -1}
				s.out.init(sinkLine{}, queueConfig{frames: 32, delay: 50 * time.Millisecond}, newBatches())
				s.sub = &subscriber{s: s}
				n := ip.Addr4(netip.MustParseAddr(a))
				s.sub.path.Store(&path{trunk: tr, addr: n, local: ip.Addr4(netip.MustParseAddr(gwAddr)), mtu: 1500, among: among})
				g.shared.routes.set(n, s)
				return s
			}
			s, other := user("198.51.100.2", config.UserToUserLocal), user("198.51.100.3", config.UserToUserLocal)

			out := packet{src: "198.51.100.2", dst: host, payload: udp(1000, 2000, make([]byte, 1000))}
			in := packet{src: host, dst: "198.51.100.2", payload: udp(2000, 1000, make([]byte, 1000))}
			switch name {
			case "across":
				out.dst = "198.51.100.3"
			case "nat":
				var err error
				if st.nat, err = nat.New(nat.Config{External: netip.MustParseAddr(trunkAddr)}); err != nil {
					t.Fatal(err)
				}
				as := *s.sub.path.Load()
				as.login = 1
				s.sub.path.Store(&as)
				st.nat.Join(nat.User{ID: as.login, Addr: ip.AddrFrom4(as.addr)})
				p := out.bytes()
				h, _ := ip.Parse4(p)
				if _, v := st.nat.Out(clock(), as.login, p, &h); v != nat.Forward {
					t.Fatal(v)
				}
				in.dst, in.payload[2], in.payload[3] = trunkAddr, p[20], p[21]
			}
			frameOf := func(p packet) []byte { return append([]byte{0, 0x21}, p.bytes()...) }
			up, down := frameOf(out), frameOf(in)
			batch := make([]*frame.Buf, 1)
			if n := testing.AllocsPerRun(2000, func() {
				b := pool.Get()
				b.SetBytes(up)
				batch[0] = b
				s.readShared(batch)
			}); n != 0 {
				t.Errorf("%v allocations a packet upstream", n)
			}
			if n := testing.AllocsPerRun(2000, func() {
				b := pool.Get()
				b.SetBytes(down)
				o := tr.downstream(clock(), b)
				if o == nil {
					t.Fatal("nobody is to write what was delivered")
				}
				o.flush()
			}); n != 0 {
				t.Errorf("%v allocations a packet downstream", n)
			}
			if got := s.statistics(); got.UpFrames < 2000 || got.DownFrames < 2000 {
				t.Errorf("%+v, %v, %v", got, s.sub.drops.values(), tr.drops.values())
			}
			if n := other.statistics().DownFrames; name == "across" && n < 2000 {
				t.Errorf("%d packets went across", n)
			}
			if n := pool.InUse(); n != 0 {
				t.Errorf("%d buffers were not put back", n)
			}
		})
	}
}
