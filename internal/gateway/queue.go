package gateway

import (
	"math"
	"time"

	"tributary/internal/frame"
	"tributary/ppp"
)

// queueConfig bounds what waits for one line.
type queueConfig struct {
	frames int           // data frames at most
	delay  time.Duration // CoDel's target, unless the line is too slow for it
	speed  int           // bit/s of the line at most, 0 if it has none of its own
}

const (
	// fullFrame is a full frame: the largest MRU and the Protocol field, in octets.
	fullFrame = ppp.DefaultMRU + 2
	// controlFrames may wait besides the data: a whole negotiation fits, and an
	// AC that sends nothing else cannot fill the pool.
	controlFrames = 32
	// maxWait is how old a frame may get before nobody wants it any more.
	maxWait = 2 * time.Second
	// octetBits is what one octet takes on an asynchronous line: a start bit,
	// eight of data, a stop bit.
	octetBits = 10
	// minSpeed bounds how slow a line can seem that stood still for a while.
	minSpeed = 2400
)

// queue is what waits for one line, downstream. It is bounded in frames and in
// time, at the line's own speed; CoDel keeps it from standing full. Control
// frames go ahead of data and are never dropped in its favour.
//
// The frames are linked through themselves: an idle line's queue holds no memory.
// Its owner locks. Times are on any clock that does not go back.
type queue struct {
	control frame.List
	data    frame.List
	codel   uint64 // data frames dropped because they had waited too long
	full    uint64 // frames refused because the queue was at a bound

	controls int // control frames waiting, in either list
	codelState

	delay  time.Duration // as configured
	limit  int           // speed as configured
	frames int           // bound of data, in frames
	writes writeRate

	// These follow from the speed.
	target   time.Duration
	interval time.Duration
	wait     time.Duration // bound of data, in time
	octets   int           // bound of data, in octets
	batch    int           // octets that popBatch gives at once
}

func (q *queue) init(cfg queueConfig) {
	q.frames, q.delay, q.limit = max(cfg.frames, 1), cfg.delay, cfg.speed
	q.setSpeed(cfg.speed)
}

// setSpeed sets the bounds for a line of so many bit/s; 0 is no bound but the
// configured ones. At 9,600 bit/s a full frame takes 1.6 s: there CoDel's usual 5
// ms or 50 ms would be passed by every frame that finds another one before it, so
// the target is at least one and a half full frames of the line.
func (q *queue) setSpeed(speed int) {
	var full time.Duration // to send a full frame
	if speed > 0 {
		full = fullFrame * octetBits * time.Second / time.Duration(speed)
	}
	q.target = max(q.delay, full*3/2)
	// RFC 8289 has the interval at the longest round trip that is usual, 100 ms;
	// the line's own delay is part of that round trip.
	q.interval = 100*time.Millisecond + q.target
	q.wait = max(maxWait, 4*q.target)
	q.octets, q.batch = math.MaxInt, math.MaxInt
	if speed > 0 {
		q.octets = max(octetsIn(q.wait, speed), 2*fullFrame)
		q.batch = octetsIn(q.target, speed)
	}
}

func octetsIn(d time.Duration, speed int) int {
	return int(d.Seconds() * float64(speed) / octetBits)
}

// push puts b at the end, and takes it over. b starts at its Protocol field. It
// reports false, and b is still the caller's, if the queue is at its bound.
func (q *queue) push(now time.Duration, b *frame.Buf) bool {
	if p, _, ok := ppp.Split(b.Bytes()); ok && !p.IsData() {
		if q.controls >= controlFrames {
			q.full++
			return false
		}
		q.controls++
		if inOrder(p) {
			q.data.Push(b, int64(now))
		} else {
			q.control.Push(b, int64(now))
		}
		return true
	}
	q.expire(now)
	if q.data.Len() >= q.frames || q.data.Octets()+b.Len() > q.octets {
		q.full++
		return false
	}
	q.data.Push(b, int64(now))
	return true
}

// popBatch takes frames that are to be written now, in their order, and returns
// how many. They are the caller's, who writes them and then calls again, until it
// is 0. It gives no more than the line sends in one target, so that frames wait
// here, where they can still be dropped or overtaken, and not in the line.
func (q *queue) popBatch(now time.Duration, dst []*frame.Buf) (n int) {
	if q.writes.end(now) {
		q.setSpeed(q.writes.speed(q.limit))
	}
	octets := 0
	for n < len(dst) && q.control.Len() > 0 {
		b, _ := q.control.Pop()
		q.controls--
		octets += b.Len()
		dst[n] = b
		n++
	}
	q.expire(now)
	for n < len(dst) {
		if next, _ := q.data.Front(); next != nil && n > 0 && octets+next.Len() > q.batch {
			break
		}
		b := q.deque(now)
		if b == nil {
			break
		}
		if isControl(b) {
			q.controls--
		}
		octets += b.Len()
		dst[n] = b
		n++
	}
	q.writes.begin(now, octets)
	return n
}

// drain puts everything back.
func (q *queue) drain() {
	q.control.PutAll()
	q.data.PutAll()
	q.controls = 0
	q.codelState = codelState{}
}

// len is how many frames wait.
func (q *queue) len() int { return q.control.Len() + q.data.Len() }

// expire drops data that has waited for so long that its sender has long sent it
// again, as when a line stands still: the newer frames behind it are worth more.
// A last full frame's worth stays.
func (q *queue) expire(now time.Duration) {
	for {
		b, at := q.data.Front()
		if b == nil || now-time.Duration(at) <= q.wait || q.data.Octets()-b.Len() <= fullFrame || isControl(b) {
			return
		}
		q.data.Pop()
		q.drop(b)
	}
}

func (q *queue) drop(b *frame.Buf) {
	q.codel++
	b.Put()
}

func isControl(b *frame.Buf) bool {
	p, _, ok := ppp.Split(b.Bytes())
	return ok && !p.IsData()
}

// inOrder reports whether p is a control protocol whose packets must not overtake
// data: compression and encryption control, in the bundle and in the link (RFC
// 1962, RFC 1968). A Reset-Ack says from which data frame on the history is new.
func inOrder(p ppp.Protocol) bool {
	switch p {
	case ppp.ProtoCCP, 0x80fb, 0x8053, 0x8055:
		return true
	}
	return false
}
