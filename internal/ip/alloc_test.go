package ip

import (
	"testing"

	"tributary/internal/frame"
)

func TestNothingAllocates(t *testing.T) {
	small, large, small6 := udp4(t, 64, ttl(255)), udp4(t, 1400, ttl(255)), udp6(t, 64)
	syn, ping := tcp4Raw(t, 2, []byte{2, 4, 5, 0xb4}), icmp4Packet(t, 8, 30)
	pool := frame.NewPool(16)
	pieces := make([]*frame.Buf, 0, 16)
	space := make([]byte, 0, 2048)
	var l ErrorLimit
	var user Bucket
	src6 := addr6(router6)
	n := testing.AllocsPerRun(200, func() {
		small[8], large[8], small6[7] = 64, 64, 64
		sum4(small)
		sum4(large)
		h, _ := Parse4(small)
		Forward4(small, &h, 1500)
		space, _ = AppendError4(space[:0], HopLimit, 0, 1<<24, small, &h)
		h6, _ := Parse6(small6)
		Forward6(small6, &h6, 1500)
		space, _ = AppendError6(space[:0], HopLimit, 0, src6, small6, &h6)
		h, _ = Parse4(syn)
		ClampMSS4(syn, &h, 1000)
		h, _ = Parse4(ping)
		AnswerEcho4(ping, &h)
		l.Allow(0, &user)
		h, _ = Parse4(large)
		pieces, _ = Fragment4(pieces[:0], large, &h, 576, pool)
		for _, p := range pieces {
			p.Put()
		}
	})
	if n != 0 && !raceEnabled { // with the race detector a sync.Pool forgets on purpose
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParse4(b *testing.B) {
	p := udp4(b, 64)
	for b.Loop() {
		if _, ok := Parse4(p); !ok {
			b.Fatal("not parsed")
		}
	}
}

func BenchmarkParseForwardClamp4(b *testing.B) {
	p := tcp4Raw(b, 0x10, nil, ttl(255))
	fresh := [20]byte(p[:20])
	for b.Loop() {
		copy(p, fresh[:])
		h, _ := Parse4(p)
		ClampMSS4(p, &h, 1492)
		Forward4(p, &h, 1492)
	}
}

func BenchmarkParseForward6(b *testing.B) {
	p := udp6(b, 64)
	for b.Loop() {
		p[7] = 64
		h, _ := Parse6(p)
		ClampMSS6(p, &h, 1492)
		Forward6(p, &h, 1492)
	}
}

func BenchmarkChecksum1500(b *testing.B) {
	p := ramp(1500)
	b.SetBytes(1500)
	for b.Loop() {
		Checksum(0, p)
	}
}
