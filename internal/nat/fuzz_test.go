package nat

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"tributary/internal/ip"
)

// sum makes a header's checksum good, or next to nothing gets through.
func sum(b []byte) {
	if len(b) >= 20 && b[0]&15 >= 5 && int(b[0]&15)*4 <= len(b) {
		put16(b[10:], 0)
		put16(b[10:], ip.Checksum(0, b[:int(b[0]&15)*4]))
	}
}

// good reports whether the transport checksum of a packet that is no fragment is.
func good(b []byte, h *ip.Header4) bool {
	p := b[h.Len:h.Total]
	switch h.Protocol {
	case ip.ProtoICMP:
		return ip.Checksum(0, p) == 0
	case ip.ProtoUDP:
		if p[6] == 0 && p[7] == 0 {
			return true
		}
	}
	return ip.Checksum(ip.Pseudo4(h.Src, h.Dst, h.Protocol, len(p)), p) == 0
}

// FuzzNAT: whatever comes from either side, what goes on is well formed, its
// checksums are as good as they were, no inside address gets out, nothing gets in
// for a user that there is not, and an answer comes back to where the question
// came from.
func FuzzNAT(f *testing.F) {
	open := udpPacket(f, aliceAddr, 5000, server, 6000)
	f.Add(open, udpPacket(f, server, 6000, shared, 2048), uint8(0))
	f.Add(tcpPacket(f, aliceAddr, 5000, server, 80, synFlag), tcpPacket(f, server, 80, shared, 2050, synFlag|ackFlag), uint8(1))
	f.Add(icmpPacket(f, aliceAddr, server, echo, 7), icmpPacket(f, server, shared, echoReply, 2050), uint8(2))
	f.Add(icmpErrorPacket(f, aliceAddr, server, 3, udpPacket(f, server, 6000, aliceAddr, 5000), 100),
		icmpErrorPacket(f, server, shared, 11, udpPacket(f, shared, 2050, server, 6000), 28), uint8(0))
	f.Add(udpPacket(f, aliceAddr, 5000, shared, 2050), udpPacket(f, server, 6000, shared, 2050), uint8(1))
	f.Fuzz(func(t *testing.T, out, in []byte, filtering uint8) {
		n, err := New(small(Config{External: netip.MustParseAddr(shared), Filtering: Filtering(filtering % 3), Seed: [32]byte{1}}))
		if err != nil {
			t.Fatal(err)
		}
		n.Join(nobody(alice))
		known := bytes.Clone(open)
		h, _ := ip.Parse4(known)
		n.Out(0, alice, known, &h)
		port := sport(known)

		inside := ip.Addr4(netip.MustParseAddr(aliceAddr))
		for i, b := range [][]byte{out, in, out, in} {
			now := time.Duration(i) * time.Second
			b = bytes.Clone(b)
			if i == 1 && len(b) >= 24 { // often to the port that is open
				put16(b[22:], port)
			}
			sum(b)
			h, ok := ip.Parse4(b)
			if !ok {
				continue
			}
			b = b[:h.Total]
			whole, was := !h.Fragment(), bytes.Clone(b)
			wasGood := whole && h.Total >= h.Len+8 && good(b, &h)
			if i%2 == 0 {
				put32(b[12:], inside) // the gateway lets no other pass
				sum(b)
				h, _ = ip.Parse4(b)
				wasGood = whole && h.Total >= h.Len+8 && good(b, &h)
				to, v := n.Out(now, alice, b, &h)
				if v.Dropped() || v == ToRouter {
					continue
				}
				if h.Src != n.external || v == Hairpin && (to != alice || h.Dst != inside) {
					t.Fatalf("out: %v for %d: % x from % x", v, to, b, was)
				}
			} else {
				user, v := n.In(now, b, &h)
				if v.Dropped() || v == ToRouter {
					continue
				}
				if user != alice || h.Dst != inside {
					t.Fatalf("in: %v for %d: % x from % x", v, user, b, was)
				}
			}
			if now, ok := ip.Parse4(b); !ok || now != h {
				t.Fatalf("header %+v, of a packet with %+v", h, now)
			}
			if wasGood && !good(b, &h) {
				t.Fatalf("a good checksum is lost: % x from % x", b, was)
			}
		}
		for n.Tick(time.Hour * 3) {
		}
		n.Close(3 * time.Hour)
		if s := n.Stats(); s.Sessions != 0 || s.Mappings != 0 || s.Users != 0 || s.BlocksFree != s.Blocks {
			t.Fatalf("%+v", s)
		}
	})
}
