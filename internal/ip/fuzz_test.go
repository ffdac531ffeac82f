package ip

import (
	"bytes"
	"testing"

	"tributary/internal/frame"
)

// FuzzIPv4: whatever comes, what goes out is well formed; the header that is
// handed around stays the packet's; pieces hold all of the payload.
func FuzzIPv4(f *testing.F) {
	f.Add(udp4(f, 100), uint16(68))
	f.Add(icmp4Packet(f, 8, 20), uint16(1500))
	f.Add(tcp4Raw(f, 2, []byte{1, 2, 4, 5, 0xb4, 1, 1, 1}), uint16(576))
	f.Add(udp4(f, 100, option(131, 7, 4, 1, 2, 3, 4)), uint16(70))
	pool := frame.NewPool(1024)
	f.Fuzz(func(t *testing.T, b []byte, mtu uint16) {
		if len(b) > 1900 {
			return
		}
		if len(b) >= 20 && b[0]&15 >= 5 && int(b[0]&15)*4 <= len(b) {
			sum4(b) // or else next to nothing gets through
		}
		h, ok := Parse4(b)
		if !ok {
			return
		}
		b = b[:h.Total]
		for p := NoRoute; p <= SourceRouteFailed; p++ {
			if out, ok := AppendError4(nil, p, int(mtu), 0x01020304, b, &h); ok {
				e, ok := Parse4(out)
				if !ok || e.Total != len(out) || len(out) > maxError4 || Checksum(0, out[20:]) != 0 {
					t.Fatalf("%v: % x", p, out)
				}
			}
		}
		echo, eh := bytes.Clone(b), h
		if AnswerEcho4(echo, &eh) {
			if now, ok := Parse4(echo); !ok || now != eh {
				t.Fatalf("echo: %+v is %+v", eh, now)
			}
		}
		ClampMSS4(b, &h, int(mtu))
		v := Forward4(b, &h, int(mtu))
		if now, ok := Parse4(b); !ok || now != h {
			t.Fatalf("forwarded: %+v is %+v", h, now)
		}
		if v != Split {
			return
		}
		pieces, ok := Fragment4(nil, b, &h, int(mtu), pool)
		if !ok && int(mtu) >= MinMTU4 {
			t.Fatalf("not cut at %d", mtu)
		}
		var payload []byte
		for _, p := range pieces {
			ph, ok := Parse4(p.Bytes())
			if !ok || ph.Total > int(mtu) || ph.Offset != h.Offset+len(payload) {
				t.Fatalf("piece %+v of %+v", ph, h)
			}
			payload = append(payload, p.Bytes()[ph.Len:]...)
			p.Put()
		}
		if ok && !bytes.Equal(payload, b[h.Len:]) {
			t.Fatal("not all of the payload")
		}
	})
}

// FuzzIPv6 is the same for IPv6.
func FuzzIPv6(f *testing.F) {
	f.Add(udp6(f, 100), uint16(1280))
	f.Add(icmp6Packet(f, 128, 20), uint16(1500))
	f.Add(tcp6Raw(f, 2, []byte{1, 2, 4, 5, 0xb4, 1, 1, 1}), uint16(1280))
	f.Fuzz(func(t *testing.T, b []byte, mtu uint16) {
		h, ok := Parse6(b)
		if !ok {
			return
		}
		b = b[:h.Total]
		if u, ok := h.Upper(b); ok && (u.At < 40 || u.At > len(b)) {
			t.Fatalf("%+v in %d octets", u, len(b))
		}
		for p := NoRoute; p <= SourceRouteFailed; p++ {
			if out, ok := AppendError6(nil, p, int(mtu), [16]byte{0x20}, b, &h); ok {
				e, ok := Parse6(out)
				if !ok || e.Total != len(out) || len(out) > MinMTU6 || Checksum(Pseudo6(e.Src, e.Dst, ProtoICMPv6, len(out)-40), out[40:]) != 0 {
					t.Fatalf("%v: % x", p, out)
				}
			}
		}
		echo, eh := bytes.Clone(b), h
		if AnswerEcho6(echo, &eh) && Checksum(Pseudo6(eh.Src, eh.Dst, ProtoICMPv6, len(echo)-40), echo[40:]) != 0 {
			t.Fatalf("echo: % x", echo)
		}
		ClampMSS6(b, &h, int(mtu))
		Forward6(b, &h, int(mtu))
		if now, ok := Parse6(b); !ok || now != h {
			t.Fatalf("forwarded: %+v is %+v", h, now)
		}
	})
}
