package nat

import (
	"bytes"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"

	"tributary/internal/ip"
)

// flows is established traffic: each way a packet, again and again.
func flows(t testing.TB) (n *NAT, out, in []byte) {
	r := newRig(t, Config{})
	out = tcpPacket(t, aliceAddr, 5000, server, 80, ackFlag)
	sent := r.wantOut("established", alice, bytes.Clone(out), Forward)
	return r.nat, out, tcpPacket(t, server, 80, shared, sport(sent), ackFlag)
}

func TestNothingAllocates(t *testing.T) {
	n, out, in := flows(t)
	datagram := udpPacket(t, aliceAddr, 5000, server, 6000)
	ping := icmpPacket(t, aliceAddr, server, echo, 7)
	first := udpData(t, aliceAddr, 5000, server, 6000, make([]byte, 64))
	first[6] = 0x20
	put16(first[10:], 0)
	put16(first[10:], ip.Checksum(0, first[:20]))
	later := bytes.Clone(first)
	later[6], later[7] = 0, 10
	put16(later[10:], 0)
	put16(later[10:], ip.Checksum(0, later[:20]))
	sent := bytes.Clone(out)
	h, _ := ip.Parse4(sent)
	n.Out(0, alice, sent, &h)
	failed := icmpErrorPacket(t, server, shared, 3, sent, 100)

	buf := make([]byte, 2048)
	for _, row := range []struct {
		why    string
		packet []byte
	}{{"TCP", out}, {"UDP", datagram}, {"ping", ping}, {"first fragment", first}, {"later fragment", later}} { // which needs the first
		if got := testing.AllocsPerRun(200, func() {
			b := buf[:copy(buf, row.packet)]
			h, ok := ip.Parse4(b)
			if _, v := n.Out(0, alice, b, &h); !ok || v != Forward {
				t.Fatalf("%s: %v", row.why, v)
			}
		}); got != 0 {
			t.Errorf("%s out: %v allocations", row.why, got)
		}
	}
	for why, packet := range map[string][]byte{"TCP": in, "error": failed} {
		if got := testing.AllocsPerRun(200, func() {
			b := buf[:copy(buf, packet)]
			h, ok := ip.Parse4(b)
			if _, v := n.In(0, b, &h); !ok || v != Forward {
				t.Fatalf("%s: %v", why, v)
			}
		}); got != 0 {
			t.Errorf("%s in: %v allocations", why, got)
		}
	}
	if got := testing.AllocsPerRun(200, func() { n.Tick(0) }); got != 0 {
		t.Errorf("Tick: %v allocations", got)
	}
}

func BenchmarkOut(b *testing.B) {
	n, out, _ := flows(b)
	buf, h0 := make([]byte, len(out)), ip.Header4{}
	h0, _ = ip.Parse4(out)
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, out)
		h := h0
		if _, v := n.Out(0, alice, buf, &h); v != Forward {
			b.Fatal(v)
		}
	}
}

func BenchmarkIn(b *testing.B) {
	n, _, in := flows(b)
	buf := make([]byte, len(in))
	h0, _ := ip.Parse4(in)
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, in)
		h := h0
		if _, v := n.In(0, buf, &h); v != Forward {
			b.Fatal(v)
		}
	}
}

// Many users with a flow each, from as many goroutines as there are processors.
func BenchmarkOutOfManyUsers(b *testing.B) {
	for _, users := range []int{10, 1000} {
		b.Run(fmt.Sprint(users), func(b *testing.B) {
			n, err := New(Config{External: netip.MustParseAddr(shared), BlockSize: 16})
			if err != nil {
				b.Fatal(err)
			}
			for i := range users {
				n.Join(nobody(uint32(i + 1)))
			}
			packet := udpPacket(b, aliceAddr, 5000, server, 6000)
			h0, _ := ip.Parse4(packet)
			var next atomic.Uint32
			b.RunParallel(func(p *testing.PB) {
				buf := make([]byte, len(packet))
				for p.Next() {
					copy(buf, packet)
					h := h0
					if _, v := n.Out(0, next.Add(1)%uint32(users)+1, buf, &h); v != Forward {
						b.Fatal(v)
					}
				}
			})
		})
	}
}
