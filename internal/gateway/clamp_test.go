package gateway

import (
	"bytes"
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/ppp"
	"tributary/pppoe"
)

// syn4 is a PPP frame with a TCP segment in IPv4 that has an MSS option.
func syn4(flags byte, mss uint16) []byte {
	p := make([]byte, 44)
	p[0], p[8], p[9] = 0x45, 64, ip.ProtoTCP
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	copy(p[12:], []byte{10, 0, 0, 1, 192, 0, 2, 1})
	binary.BigEndian.PutUint16(p[10:], ip.Checksum(0, p[:20]))
	tcpWithMSS(p[20:], flags, mss, p[12:20])
	return append([]byte{0, 0x21}, p...)
}

// syn6 is the same in IPv6, behind extension headers of 8 octets each.
func syn6(flags byte, mss uint16, extensions ...byte) []byte {
	p := make([]byte, 40+8*len(extensions)+24)
	p[0], p[7] = 0x60, 64
	binary.BigEndian.PutUint16(p[4:], uint16(len(p)-40))
	copy(p[8:], []byte{0x20, 1, 0xd, 0xb8, 15: 1})
	copy(p[24:], []byte{0x20, 1, 0xd, 0xb8, 15: 2})
	next := &p[6]
	at := 40
	for _, e := range extensions {
		*next = e
		p[at+2], p[at+3] = 1, 4 // PadN
		next = &p[at]
		at += 8
	}
	*next = ip.ProtoTCP
	tcpWithMSS(p[at:], flags, mss, p[8:40])
	return append([]byte{0, 0x57}, p...)
}

func tcpWithMSS(b []byte, flags byte, mss uint16, addresses []byte) {
	b[12], b[13] = 6<<4, flags
	b[20], b[21] = 2, 4
	binary.BigEndian.PutUint16(b[22:], mss)
	binary.BigEndian.PutUint16(b[16:], ip.Checksum(tcpPseudo(b, addresses), b))
}

func tcpPseudo(b, addresses []byte) uint32 {
	pseudo := append(bytes.Clone(addresses), 0, 0, 0, byte(len(b)), 0, 0, 0, ip.ProtoTCP)
	return uint32(^ip.Checksum(0, pseudo))
}

// mssOf is what the segment at the end of a frame offers; ok is whether its
// checksum is right.
func mssOf(f []byte, addresses []byte) (mss uint16, ok bool) {
	b := f[len(f)-24:]
	return binary.BigEndian.Uint16(b[22:]), ip.Checksum(tcpPseudo(b, addresses), b) == 0
}

func TestClampMSS(t *testing.T) {
	const syn, synAck, ack = 0x02, 0x12, 0x10
	fragment := syn4(syn, 1460)
	fragment[2+7] = 1 // not the first one
	fragment[2+10], fragment[2+11] = 0, 0
	binary.BigEndian.PutUint16(fragment[2+10:], ip.Checksum(0, fragment[2:22]))
	damaged := syn4(syn, 1460)
	damaged[2+8]++
	for _, tt := range []struct {
		name  string
		frame []byte
		want  uint16
	}{
		{"SYN", syn4(syn, 1460), 1452},
		{"its answer", syn4(synAck, 1460), 1452},
		{"protocol field of one octet", syn4(syn, 1460)[1:], 1452},
		{"less already", syn4(syn, 536), 536},
		{"no SYN", syn4(ack, 1460), 1460},
		{"a later fragment", fragment, 1460},
		{"a header that is damaged", damaged, 1460},
		{"SYN in IPv6", syn6(syn, 1440), 1432},
		{"its answer in IPv6", syn6(synAck, 1440)[1:], 1432},
		{"behind extension headers", syn6(syn, 1440, 0, 60), 1432},
		{"no SYN in IPv6", syn6(ack, 1440), 1440},
		{"behind what is no extension header", syn6(syn, 1440, 17), 1440},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := bytes.Clone(tt.frame)
			p, packet, ok := ppp.Split(f)
			if !ok {
				t.Fatal("no frame")
			}
			clampMSS(p, packet, 1492)
			addresses := packet[12:20]
			if p == ppp.ProtoIPv6 {
				addresses = packet[8:40]
			}
			mss, good := mssOf(f, addresses)
			if mss != tt.want || !good {
				t.Errorf("MSS %d, checksum right: %v; want %d", mss, good, tt.want)
			}
			if tt.want == 1460 || tt.want == 1440 {
				if !bytes.Equal(f, tt.frame) {
					t.Error("something else was changed")
				}
			}
		})
	}
}

// What cannot be looked into, or is cut short, is left alone.
func TestClampLeavesOthersAlone(t *testing.T) {
	syn := syn4(0x02, 1460)
	for _, p := range []ppp.Protocol{ppp.ProtoVJComp, ppp.ProtoVJUnc, ppp.ProtoMP, 0x00fd, 0x0053, ppp.ProtoLCP} {
		f := append(ppp.AppendProtocol(nil, p), syn[2:]...)
		was := bytes.Clone(f)
		clampMSS(p, f[2:], 1492)
		if !bytes.Equal(f, was) {
			t.Errorf("%v was changed", p)
		}
	}
	for _, f := range [][]byte{syn, syn6(0x02, 1440), syn6(0x02, 1440, 0, 60)} {
		p, packet, _ := ppp.Split(f)
		for n := range packet {
			short := bytes.Clone(packet[:n])
			clampMSS(p, short, 1492)
			if !bytes.Equal(short, packet[:n]) {
				t.Errorf("%v cut to %d octets was changed", p, n)
			}
		}
	}
}

func FuzzClamp(f *testing.F) {
	f.Add(uint16(ppp.ProtoIPv4), syn4(0x02, 1460)[2:], uint16(1492))
	f.Add(uint16(ppp.ProtoIPv6), syn6(0x02, 1440, 0, 60)[2:], uint16(1492))
	f.Fuzz(func(t *testing.T, p uint16, packet []byte, mtu uint16) {
		was := bytes.Clone(packet)
		clampMSS(ppp.Protocol(p), packet, int(mtu))
		changed := 0
		for i := range was {
			if was[i] != packet[i] {
				changed++
			}
		}
		if changed > 4 {
			t.Errorf("%d octets were changed: an MSS and a checksum have four", changed)
		}
		again := bytes.Clone(packet)
		clampMSS(ppp.Protocol(p), again, int(mtu))
		if !bytes.Equal(again, packet) {
			t.Error("clamped twice is not clamped once")
		}
	})
}

// Both ways, from the session on, to what the session carries and then to what the
// two ends have told each other; and only where it is asked for.
func TestRelayClampsMSS(t *testing.T) {
	for _, clamp := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(c *config.Config) { c.Lines[0].ClampMSS = clamp })
			want := func(why string, f []byte, mss uint16) {
				t.Helper()
				if !clamp {
					mss = 1460
				}
				if got, ok := mssOf(f, f[2+12:2+20]); got != mss || !ok {
					t.Errorf("clamp_mss %v, %s: MSS %d, checksum right: %v; want %d", clamp, why, got, ok, mss)
				}
			}
			u := r.dial("virtual/1")
			u.send(confReq(1, 1, 0x04, 0xd2)) // an MRU of 1234
			r.ac.grant(7)
			req := r.ac.wantPPP(7, "the held Configure-Request")
			u.send(syn4(0x02, 1460))
			want("before LCP is open, what the session carries counts", r.ac.wantPPP(7, "data is data"), 1452)
			r.ac.sendPPP(7, ackOf(req))
			u.want("its Ack")
			r.ac.sendPPP(7, confReq(9, 5, 1, 2, 3, 4))
			u.send(ackOf(u.want("the AC's Configure-Request")))
			r.ac.wantPPP(7, "the user's Ack")
			u.send(syn4(0x02, 1460))
			want("from the user", r.ac.wantPPP(7, "a SYN"), 1194)
			r.ac.sendPPP(7, syn4(0x12, 1460))
			want("from the AC", u.want("the answer"), 1194)
			r.end()
		})
	}
}

// pathWith is a session in mode relay on a port and a line that keep nothing.
func pathWith(pool *frame.Pool, clamp int) (*session, *forward) {
	s := &session{timerIndex: -1}
	s.out.init(sinkLine{}, queueConfig{frames: 32, delay: 50 * time.Millisecond}, newBatches())
	fwd := &forward{port: sinkPort{}, hdr: ether.Header{Dst: acMAC, Src: gwMAC, Type: ether.TypeSession},
		overhead: ether.HeaderLen + pppoe.HeaderLen, sid: 7, maxFrame: 1494, clamp: clamp}
	s.forward.Store(fwd)
	return s, fwd
}

func TestClampAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget, at random; the alloc step runs this without it")
	}
	pool := frame.NewPool(64)
	s, fwd := pathWith(pool, 1492)
	for _, f := range [][]byte{syn4(0x02, 1460), syn6(0x02, 1440), syn6(0x02, 1440, 0)} {
		if n := testing.AllocsPerRun(1000, func() {
			b := pool.Get()
			b.SetBytes(f)
			if !s.upstream(fwd, b) {
				t.Fatal("a SYN was not carried upstream")
			}
			b.Put()
			b = pool.Get()
			b.SetBytes(f)
			if o := s.downstream(clock(), b); o != nil {
				o.flush()
			}
		}); n != 0 {
			t.Errorf("%v allocations a SYN", n)
		}
	}
}

// BenchmarkRelay is one frame through a session each way, without the line's
// framing and the port's system calls.
func BenchmarkRelay(b *testing.B) {
	data4, data6 := syn4(0x10, 1460), syn6(0x10, 1440)
	for _, bb := range []struct {
		name  string
		clamp int
		frame []byte
	}{
		{"ipv4/off", 0, data4}, {"ipv4/clamp", 1492, data4},
		{"ipv6/off", 0, data6}, {"ipv6/clamp", 1492, data6},
		{"syn/off", 0, syn4(0x02, 1460)}, {"syn/clamp", 1492, syn4(0x02, 1460)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			pool := frame.NewPool(64)
			s, fwd := pathWith(pool, bb.clamp)
			b.ReportAllocs()
			for b.Loop() {
				f := pool.Get()
				f.SetBytes(bb.frame)
				s.upstream(fwd, f)
				f.Put()
				f = pool.Get()
				f.SetBytes(bb.frame)
				if o := s.downstream(0, f); o != nil {
					o.flush()
				}
			}
		})
	}
}
