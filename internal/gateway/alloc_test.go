package gateway

import (
	"testing"
	"time"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/line"
	"tributary/pppoe"
)

// sinkLine and sinkPort take everything and keep nothing.
type (
	sinkLine struct{ line.Line }
	sinkPort struct{ ether.Port }
)

func (sinkLine) TryWrite(frames []*frame.Buf) (int, bool, error) {
	return len(frames), true, nil
}
func (sinkPort) WriteBatch(bufs []*frame.Buf) (n int, _ error) { return len(bufs), nil }

// The data path allocates nothing, in either direction.
func TestDataPathAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool forget, at random; the alloc step runs this without it")
	}
	pool := frame.NewPool(64)
	p := &port{pool: pool}
	s := &session{timerIndex: -1}
	s.out.init(sinkLine{}, queueConfig{frames: 32, delay: 50 * time.Millisecond}, newBatches())
	k := key{ac: acMAC, our: gwMAC, sid: 7}
	p.table.insert(k, s)
	fwd := &forward{port: sinkPort{}, hdr: ether.Header{Dst: acMAC, Src: gwMAC, Type: ether.TypeSession},
		overhead: ether.HeaderLen + pppoe.HeaderLen, sid: 7, maxFrame: 1494}
	s.forward.Store(fwd)

	data := ipv4(1000, 1)
	var out [1]*frame.Buf
	if n := testing.AllocsPerRun(2000, func() {
		b := pool.Get()
		b.SetBytes(data)
		if !s.upstream(fwd, b) {
			t.Fatal("data was not carried upstream")
		}
		out[0] = b
		s.stats.sentUp(fwd, out[:])
		b.Put()
	}); n != 0 {
		t.Errorf("%v allocations a frame upstream", n)
	}

	down := frameFor(pool, sessionPacket(7, data))
	wire := append([]byte(nil), down.Bytes()...)
	down.Put()
	if n := testing.AllocsPerRun(2000, func() {
		b := pool.Get()
		b.SetBytes(wire)
		r, ok := p.route(b)
		if !ok {
			t.Fatal("data has no session")
		}
		o := r.deliver(clock(), b)
		if o == nil {
			t.Fatal("nobody is to write what was delivered")
		}
		o.flush()
	}); n != 0 {
		t.Errorf("%v allocations a frame downstream", n)
	}
	if got := s.statistics(); got.UpFrames < 2000 || got.DownFrames < 2000 {
		t.Errorf("%+v", got)
	}
}

// frameFor is a frame from the AC as it comes from a port.
func frameFor(pool *frame.Pool, packet []byte) *frame.Buf {
	b := pool.Get()
	b.SetBytes(packet)
	ether.Prepend(b, &ether.Header{Dst: gwMAC, Src: acMAC, Type: ether.TypeSession})
	return b
}
