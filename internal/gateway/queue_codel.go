package gateway

import (
	"math"
	"time"

	"tributary/internal/frame"
)

// codelState is the per-queue state of CoDel, with the names of RFC 8289 section
// 5.2. The zero value is a queue that does not drop.
type codelState struct {
	firstAbove time.Duration // when the delay will have been above target for an interval; 0: it is below
	dropNext   time.Duration // when to drop the next frame, while dropping
	count      int           // frames dropped since dropping began
	lastCount  int           // count when it began
	dropping   bool
}

// controlLaw is when the next frame is dropped. RFC 8289 section 5.6: "t +
// INTERVAL / sqrt(count)".
func (q *queue) controlLaw(t time.Duration) time.Duration {
	return t + time.Duration(float64(q.interval)/math.Sqrt(float64(q.count)))
}

// doDeque takes the first data frame, and says whether it may be dropped: the
// delay has been above target for an interval, and more than a full frame waits
// behind it. RFC 8289 section 5.6, dodequeue.
func (q *queue) doDeque(now time.Duration) (b *frame.Buf, okToDrop bool) {
	b, at := q.data.Pop()
	switch {
	case b == nil:
		q.firstAbove = 0
	case now-time.Duration(at) < q.target || q.data.Octets() <= fullFrame:
		// "went below - stay below for at least INTERVAL"
		q.firstAbove = 0
	case q.firstAbove == 0:
		// "just went above from below. if still above at first_above_time, will
		// say it's ok to drop."
		q.firstAbove = now + q.interval
	default:
		okToDrop = now >= q.firstAbove
	}
	return b, okToDrop
}

// deque takes the data frame that is to be sent next, and drops those before it
// whose turn that is. RFC 8289 section 5.5, deque. A control frame that waits
// among the data is sent, whatever its delay.
func (q *queue) deque(now time.Duration) *frame.Buf {
	b, okToDrop := q.doDeque(now)
	switch {
	case q.dropping && !okToDrop:
		q.dropping = false
	case q.dropping:
		for q.dropping && now >= q.dropNext && !isControl(b) {
			q.drop(b)
			q.count++
			if b, okToDrop = q.doDeque(now); !okToDrop {
				q.dropping = false
			} else {
				q.dropNext = q.controlLaw(q.dropNext)
			}
		}
	case okToDrop && !isControl(b):
		q.drop(b)
		b, _ = q.doDeque(now)
		q.dropping = true
		// If dropping ended not long ago, the rate that controlled the queue then
		// is where to begin; it was count, less what it began with.
		delta := q.count - q.lastCount
		q.count = 1
		if delta > 1 && now-q.dropNext < 16*q.interval {
			q.count = delta
		}
		q.dropNext = q.controlLaw(now)
		q.lastCount = q.count
	}
	return b
}
