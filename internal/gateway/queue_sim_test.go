package gateway

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tributary/internal/frame"
	"tributary/ppp"
)

// tcpSim is a long download over one line, in virtual time: a sender with TCP's
// window (additive increase, halved once a round trip for a loss), a path of 50 ms
// each way, and a line that takes its time for every octet.
type tcpSim struct {
	*queueTest
	speed  int // that the line really has
	window float64
	sent   int // frames
	acked  int // in order or not: the last one's number
	acks   []simAck
	lost   time.Duration // no second cut before this
	heard  time.Duration

	sentAt    []time.Duration
	buffer    int           // octets that the line takes before it has sent them
	busy      time.Duration // a write to the line blocks until then
	idle      time.Duration // the line has sent everything then
	delivered int
	delays    []time.Duration
}

type simAck struct {
	at time.Duration
	n  int
}

const (
	simOneWay = 50 * time.Millisecond
	simStep   = time.Millisecond
)

func (s *tcpSim) run(d time.Duration) {
	for end := s.now + d; s.now < end; s.now += simStep {
		s.receiveAcks()
		s.send()
		s.line()
	}
}

func (s *tcpSim) receiveAcks() {
	for len(s.acks) > 0 && s.acks[0].at <= s.now {
		a := s.acks[0]
		s.acks = s.acks[1:]
		s.heard = s.now
		if a.n > s.acked+1 && s.now >= s.lost {
			s.window = max(s.window/2, 2)
			s.lost = s.now + 2*simOneWay + s.standing()
		} else {
			s.window += 1 / s.window
		}
		s.acked = a.n
	}
	// Everything under way was lost, or the line is slower than the timeout.
	if s.now-s.heard > 5*time.Second+2*s.standing() {
		s.window, s.acked, s.heard = 1, s.sent-1, s.now
	}
}

func (s *tcpSim) standing() time.Duration {
	return s.takes(s.data.Octets() + s.buffer)
}

func (s *tcpSim) send() {
	for s.sent-1-s.acked < int(s.window) {
		s.n = s.sent
		s.sentAt = append(s.sentAt, s.now)
		s.add(ppp.ProtoIPv4, 1502)
		s.sent++
	}
}

func (s *tcpSim) line() {
	for s.busy <= s.now {
		var batch [32]*frame.Buf
		n := s.popBatch(s.now, batch[:])
		if n == 0 {
			s.busy = s.now
			return
		}
		for _, b := range batch[:n] {
			s.idle = max(s.idle, s.now) + s.takes(b.Len())
			var k int
			fmt.Sscanf(frameName(b), "IPv4 %d", &k)
			s.acks = append(s.acks, simAck{s.idle + 2*simOneWay, k})
			s.delivered += b.Len()
			s.delays = append(s.delays, s.idle-s.sentAt[k])
			b.Put()
		}
		s.busy = max(s.now, s.idle-s.takes(s.buffer))
	}
}

// takes is how long the line sends so many octets.
func (s *tcpSim) takes(octets int) time.Duration {
	return time.Duration(octets*octetBits) * time.Second / time.Duration(s.speed)
}

func TestQueueUnderTCP(t *testing.T) {
	for _, tt := range []struct {
		why    string
		speed  int // in truth
		known  int // as configured
		buffer int
		// 90 of 100 frames reach the other end within this, sending included
		within time.Duration
	}{
		{"a serial line", 9600, 9600, 0, 5 * time.Second},
		{"a faster one", 33600, 33600, 0, 1500 * time.Millisecond},
		{"faster still", 115200, 115200, 0, 500 * time.Millisecond},
		{"a modem slower than its serial port", 33600, 115200, 0, 1500 * time.Millisecond},
		{"a modem behind a TCP connection", 9600, 0, 0, 5 * time.Second},
		{"a faster one", 115200, 0, 0, 500 * time.Millisecond},
		{"with a buffer of 0.36 s before it", 115200, 0, 4096, 900 * time.Millisecond},
		{"a serial line with a driver's buffer of 1.2 s", 33600, 33600, 4096, 2700 * time.Millisecond},
		{"no modem at all", 10_000_000, 0, 0, 150 * time.Millisecond},
	} {
		cfg := queueConfig{frames: 128, delay: 50 * time.Millisecond, speed: tt.known}
		s := &tcpSim{queueTest: newQueueTest(t, cfg), speed: tt.speed, buffer: tt.buffer, window: 2, acked: -1}
		span := 4 * time.Minute
		if tt.speed > 1_000_000 {
			span = 20 * time.Second // as many frames, and more, in less time
		}
		s.run(span / 4) // until it has found its rate
		s.delivered, s.delays = 0, nil
		s.run(span)

		slices.Sort(s.delays)
		p50, p90 := s.delays[len(s.delays)/2], s.delays[len(s.delays)*9/10]
		use := float64(s.delivered*octetBits) / (span.Seconds() * float64(tt.speed))
		t.Logf("%s, %d bit/s: %.1f %% used, median %v, 90 %% within %v, dropped %d late, %d full",
			tt.why, tt.speed, 100*use, p50.Round(simStep), p90.Round(simStep), s.codel, s.full)
		if use < 0.9 {
			t.Errorf("%s: the line is used to %.1f %%", tt.why, 100*use)
		}
		if p90 > tt.within {
			t.Errorf("%s: 90 %% of frames within %v, want %v", tt.why, p90, tt.within)
		}
		s.drain()
	}
}

// TestQueueUnderFlood: a sender that heeds no loss fills the queue to its bound,
// and no further; control frames still get through at once.
func TestQueueUnderFlood(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	q := newQueueTest(t, queueConfig{frames: 128, delay: 50 * time.Millisecond, speed: 33600})
	var batch [32]*frame.Buf
	for q.now < time.Minute {
		for range 20 {
			q.add(ppp.ProtoIPv4, 40+r.IntN(1460))
		}
		echo := q.n
		if !q.add(ppp.ProtoLCP, 12) {
			t.Fatal("an LCP echo is refused because of data")
		}
		n := q.popBatch(q.now, batch[:])
		octets := 0
		for i, b := range batch[:n] {
			if i == 0 && frameName(b) != fmt.Sprint("LCP ", echo) {
				t.Fatalf("at %v the echo waits behind %s", q.now, frameName(b))
			}
			octets += b.Len()
			b.Put()
		}
		if wait := time.Duration(q.data.Octets()*octetBits) * time.Second / 33600; wait > q.wait {
			t.Fatalf("%v wait, want at most %v", wait, q.wait)
		}
		q.now += time.Duration(octets*octetBits) * time.Second / 33600
	}
	q.drain()
}

func TestQueueDoesNotAllocate(t *testing.T) {
	q := newQueueTest(t, queueConfig{frames: 128, delay: 50 * time.Millisecond})
	var bufs, batch [32]*frame.Buf
	for i := range bufs {
		bufs[i] = q.pool.Get()
		bufs[i].SetBytes([]byte{0, 0x21, 0x45})
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, b := range bufs {
			q.push(q.now, b)
		}
		q.now += time.Millisecond
		if n := q.popBatch(q.now, batch[:]); n != len(bufs) {
			t.Fatalf("%d frames of %d", n, len(bufs))
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkQueue(b *testing.B) {
	q := newQueueTest(b, queueConfig{frames: 128, delay: 50 * time.Millisecond})
	buf := q.pool.Get()
	buf.SetBytes([]byte{0, 0x21, 0x45})
	var batch [1]*frame.Buf
	b.ReportAllocs()
	for b.Loop() {
		q.push(q.now, buf)
		q.now += time.Microsecond
		q.popBatch(q.now, batch[:])
	}
}
