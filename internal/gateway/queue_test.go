package gateway

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
	"tributary/internal/frame"
	"tributary/ppp"
)

// queueTest is a queue in virtual time.
type queueTest struct {
	testing.TB
	queue
	pool *frame.Pool
	now  time.Duration
	n    int // frames made
}

func newQueueTest(t testing.TB, cfg queueConfig) *queueTest {
	q := &queueTest{TB: t, pool: frame.NewPool(1000)}
	q.init(cfg)
	return q
}

// add pushes a frame of so many octets, which carries its number, and reports
// whether it was taken.
func (q *queueTest) add(p ppp.Protocol, octets int) bool {
	b := q.pool.Get()
	b.SetBytes(fmt.Appendf(ppp.AppendProtocol(nil, p), "%d ", q.n))
	b.Append(make([]byte, max(octets-b.Len(), 0)))
	q.n++
	if q.push(q.now, b) {
		return true
	}
	b.Put()
	return false
}

// frameName is the protocol and the number of a frame that add made.
func frameName(b *frame.Buf) string {
	p, info, _ := ppp.Split(b.Bytes())
	var n int
	fmt.Sscan(string(info), &n)
	return fmt.Sprint(p, " ", n)
}

// want pops one batch of at most len(names) frames, and puts them back.
func (q *queueTest) want(why string, names ...string) {
	q.Helper()
	var batch [8]*frame.Buf
	n := q.popBatch(q.now, batch[:max(len(names), 1)])
	var got []string
	for _, b := range batch[:n] {
		got = append(got, frameName(b))
		b.Put()
	}
	if fmt.Sprint(got) != fmt.Sprint(names) {
		q.Errorf("%s: got %v, want %v", why, got, names)
	}
}

func (q *queueTest) wantDrops(why string, full, codel uint64) {
	q.Helper()
	if q.full != full || q.codel != codel {
		q.Errorf("%s: full %d, codel %d, want %d and %d", why, q.full, q.codel, full, codel)
	}
}

var fastLine = queueConfig{frames: 4, delay: 5 * time.Millisecond}

func TestQueueOrder(t *testing.T) {
	q := newQueueTest(t, fastLine)
	q.want("nothing in, nothing out")
	q.add(ppp.ProtoIPv4, 100)
	q.add(ppp.ProtoIPv6, 100)
	q.add(ppp.ProtoLCP, 12)
	q.add(ppp.ProtoIPv4, 100)
	q.add(ppp.ProtoIPCP, 12)
	q.want("control first, then data, each in its order", "LCP 2", "IPCP 4", "IPv4 0")
	q.want("and the rest", "IPv6 1", "IPv4 3")
	q.want("then nothing")

	q.add(ppp.ProtoIPv4, 100)
	q.add(ppp.ProtoCCP, 12)
	q.add(ppp.ProtoIPv4, 100)
	q.want("a Reset-Ack of the compression stays between the frames it is about", "IPv4 5", "CCP 6", "IPv4 7")
	q.wantDrops("nobody is late", 0, 0)
	if q.pool.InUse() != 0 || q.controls != 0 {
		t.Errorf("%d buffers in use, %d control frames", q.pool.InUse(), q.controls)
	}
}

func TestQueueBounds(t *testing.T) {
	q := newQueueTest(t, fastLine)
	for range fastLine.frames {
		q.add(ppp.ProtoIPv4, 100)
	}
	if q.add(ppp.ProtoIPv4, 100) {
		t.Error("a frame beyond the bound is taken")
	}
	q.wantDrops("at the bound", 1, 0)
	for range controlFrames {
		if !q.add(ppp.ProtoLCP, 12) {
			t.Fatal("a control frame is refused because of data")
		}
	}
	if q.add(ppp.ProtoCCP, 12) {
		t.Error("a control frame beyond the bound is taken")
	}
	q.wantDrops("control has its own bound", 2, 0)
	if got := q.len(); got != fastLine.frames+controlFrames {
		t.Errorf("len = %d", got)
	}
	q.drain()
	if q.pool.InUse() != 0 || q.len() != 0 {
		t.Errorf("drained: %d buffers in use, len %d", q.pool.InUse(), q.len())
	}
	if !q.add(ppp.ProtoLCP, 12) || !q.add(ppp.ProtoIPv4, 12) {
		t.Error("a drained queue takes nothing")
	}
}

func TestQueueBoundInTime(t *testing.T) {
	// 9,600 bit/s: 1.56 s for a full frame, so a target of 2.35 s and a bound of 9.4 s.
	q := newQueueTest(t, queueConfig{frames: 128, delay: 50 * time.Millisecond, speed: 9600})
	n := 0
	for q.add(ppp.ProtoIPv4, 1500) {
		n++
	}
	if n != 6 {
		t.Errorf("%d full frames wait for 9,600 bit/s, which are %v", n, time.Duration(n)*1564*time.Millisecond)
	}
	q.want("one full frame goes to the line at a time, though more may", "IPv4 0")
	if n := q.popBatch(q.now, make([]*frame.Buf, 8)); n != 1 {
		t.Errorf("a batch of %d full frames: 2 take longer than the target", n)
	}
	q.add(ppp.ProtoLCP, 20)
	q.add(ppp.ProtoLCP, 20)
	var batch [8]*frame.Buf
	if n := q.popBatch(q.now, batch[:]); n != 3 {
		t.Errorf("a batch of %d frames: two control frames and a full one are within the target", n)
	}
}

// TestQueueStandsStill: a line that takes nothing for a minute must not begin
// with what nobody waits for any more.
func TestQueueStandsStill(t *testing.T) {
	q := newQueueTest(t, queueConfig{frames: 6, delay: 50 * time.Millisecond})
	q.add(ppp.ProtoIPv4, 1000)
	q.add(ppp.ProtoCCP, 12)
	q.add(ppp.ProtoIPv4, 1000)
	q.add(ppp.ProtoIPv4, 1000)
	q.add(ppp.ProtoLCP, 12)
	q.now += time.Minute
	q.add(ppp.ProtoIPv4, 1000)
	q.wantDrops("the oldest goes; the Reset-Ack keeps what is behind it in its place", 0, 1)
	q.want("control frames are never too old", "LCP 4")
	q.want("also not among data", "CCP 1")
	q.now += time.Millisecond
	q.want("now those behind it are too old, but for a full frame's worth", "IPv4 3", "IPv4 5")
	q.wantDrops("so one more went", 0, 2)
}

// TestQueueLeavesOneFullFrame: on a slow line one frame always finds another
// before it. That is not a standing queue.
func TestQueueLeavesOneFullFrame(t *testing.T) {
	q := newQueueTest(t, queueConfig{frames: 128, delay: 5 * time.Millisecond})
	for i := range 100 {
		q.add(ppp.ProtoIPv4, 1500)
		if i == 0 {
			q.add(ppp.ProtoIPv4, 1500)
		}
		q.now += 1500 * time.Millisecond
		q.want("every frame is sent, though each waits for seconds", fmt.Sprint("IPv4 ", i))
	}
	q.wantDrops("at less than two full frames", 0, 0)
}

// TestQueueCoDel follows RFC 8289 section 5.5 step by step: target 5 ms and
// interval 105 ms.
func TestQueueCoDel(t *testing.T) {
	q := newQueueTest(t, queueConfig{frames: 1000, delay: 5 * time.Millisecond})
	next := 0
	// pop is one frame every 3 ms, while two come in; it tells how many were
	// dropped before it.
	pop := func() (dropped int) {
		t.Helper()
		q.add(ppp.ProtoIPv4, 1500)
		q.add(ppp.ProtoIPv4, 1500)
		q.now += 3 * time.Millisecond
		before := q.codel
		var batch [1]*frame.Buf
		if q.popBatch(q.now, batch[:]) != 1 {
			t.Fatal("nothing to send, with frames in the queue")
		}
		dropped = int(q.codel - before)
		if got, want := frameName(batch[0]), fmt.Sprint("IPv4 ", next+dropped); got != want {
			t.Fatalf("at %v: %s, want %s", q.now, got, want)
		}
		next += dropped + 1
		batch[0].Put()
		return dropped
	}
	var at []time.Duration
	for len(at) < 6 {
		for range pop() {
			at = append(at, q.now)
		}
	}
	// Frame 1 came in at 0 ms and leaves at 6 ms: the delay passes 5 ms, and has
	// been above for an interval at 111 ms. From there on the drops come
	// interval/sqrt(count) apart, on the 3 ms grid: at 111, 216, 290.2, 350.9, 403.4
	// and 450.3 ms.
	want := []time.Duration{111, 216, 291, 351, 405, 453}
	for i := range want {
		if at[i] != want[i]*time.Millisecond {
			t.Errorf("drop %d at %v, want %v ms", i+1, at[i], int(want[i]))
		}
	}

	// The load ends: the queue empties, and nothing of it is dropped any more.
	for q.data.Len() > 0 {
		q.now += time.Microsecond
		var batch [1]*frame.Buf
		q.popBatch(q.now, batch[:])
		batch[0].Put()
	}
	q.want("empty")
	if q.dropping || q.firstAbove != 0 {
		t.Errorf("an empty queue is dropping %v, above target since %v", q.dropping, q.firstAbove)
	}

	// It comes back at once: dropping goes on at the rate it had.
	count := q.count
	for q.codel = 0; q.codel == 0; {
		next = q.n - q.data.Len()
		pop()
	}
	if q.count < 3 || q.count > count {
		t.Errorf("count is %d after a short pause, it was %d", q.count, count)
	}
}

// TestQueueConserves: whatever comes in goes out, in order, or is counted; and no
// control frame is dropped once it is in.
func TestQueueConserves(t *testing.T) {
	protocols := []ppp.Protocol{ppp.ProtoIPv4, ppp.ProtoIPv6, ppp.ProtoLCP, ppp.ProtoCCP, ppp.ProtoIPCP, 0x8055}
	rapid.Check(t, func(rt *rapid.T) {
		q := newQueueTest(t, queueConfig{
			frames: rapid.IntRange(1, 40).Draw(rt, "frames"),
			delay:  time.Duration(rapid.IntRange(1, 100).Draw(rt, "delay")) * time.Millisecond,
			speed:  rapid.SampledFrom([]int{0, 300, 9600, 115200, 10_000_000}).Draw(rt, "speed"),
		})
		var refused, out uint64
		control, lastOf := 0, map[bool]int{false: -1, true: -1} // by whether it overtakes
		steps := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 200).Draw(rt, "steps")
		for _, step := range steps {
			switch {
			case step < 6:
				p := protocols[step]
				for range rapid.IntRange(1, 5).Draw(rt, "burst") {
					ok := q.add(p, rapid.IntRange(4, 1502).Draw(rt, "octets"))
					if !ok {
						refused++
					} else if !p.IsData() {
						control++
					}
				}
			case step < 8:
				q.now += time.Duration(rapid.IntRange(0, 3000).Draw(rt, "ms")) * time.Millisecond
			default:
				batch := make([]*frame.Buf, rapid.IntRange(1, 8).Draw(rt, "batch"))
				n := q.popBatch(q.now, batch)
				if n == 0 && q.len() > 0 {
					rt.Fatal("nothing to send, with frames in the queue")
				}
				for _, b := range batch[:n] {
					var k int
					p, info, _ := ppp.Split(b.Bytes())
					fmt.Sscan(string(info), &k)
					ahead := !p.IsData() && !inOrder(p)
					if k <= lastOf[ahead] {
						rt.Fatalf("frame %d behind %d", k, lastOf[ahead])
					}
					lastOf[ahead] = k
					if !p.IsData() {
						control--
					}
					out++
					b.Put()
				}
			}
			if q.data.Len() > q.frames+controlFrames || q.controls > controlFrames {
				rt.Fatalf("%d frames of data, %d of control wait", q.data.Len(), q.controls)
			}
			if q.pool.InUse() != q.len() {
				rt.Fatalf("%d buffers in use, %d frames wait", q.pool.InUse(), q.len())
			}
		}
		if q.controls != control {
			rt.Errorf("%d control frames wait, %d should", q.controls, control)
		}
		if uint64(q.n) != out+refused+q.codel+uint64(q.len()) || q.full != refused {
			rt.Errorf("%d frames came in; %d out, %d refused (counted %d), %d dropped, %d wait",
				q.n, out, refused, q.full, q.codel, q.len())
		}
		q.drain()
		if q.pool.InUse() != 0 {
			rt.Errorf("drained, and %d buffers in use", q.pool.InUse())
		}
	})
}

func TestWriteRate(t *testing.T) {
	var r writeRate
	now := time.Duration(0)
	write := func(octets int, took time.Duration) {
		t.Helper()
		r.begin(now, octets)
		now += took
		if !r.end(now) {
			t.Fatal("a write, and no end of it")
		}
	}
	want := func(why string, limit, want int) {
		t.Helper()
		if got := r.speed(limit); got < want*99/100 || got > want*101/100 {
			t.Errorf("%s: %d bit/s, want %d", why, got, want)
		}
	}
	if r.end(now) {
		t.Error("the end of a write that never began")
	}
	want("nothing known", 0, 0)
	want("nothing known but the limit", 9600, 9600)
	write(48000, 0)
	want("a write that takes no time is no measure", 0, 0)
	for range 60 {
		write(1502, 447*time.Millisecond)
	}
	want("a modem behind a faster port", 115200, 33600)
	want("the port is the slower one", 9600, 9600)

	r.begin(now, 0)
	now += time.Hour
	if r.end(now) {
		t.Error("the pause with nothing to write is measured")
	}
	write(1502, time.Minute)
	want("a line that stood still", 0, minSpeed)
	for range 100 {
		write(15020, 4*time.Millisecond)
	}
	want("soon it is what it was", 0, 37_550_000)
}
