package lab

import (
	"sync/atomic"
	"time"
)

// Traffic is what a subscriber has done with his network so far.
type Traffic struct {
	Pings, PingsLost   uint64        // replies that came, and that did not in time
	PingMin, PingMax   time.Duration // of those that came
	PingSum            time.Duration
	Downloads, Uploads uint64 // complete and verified
	// Down and Up are octets of transfers, also of those under way. What came
	// down is verified octet by octet as it comes, what went up at the end.
	Down, Up uint64
}

// Add is the sum of both.
func (t Traffic) Add(u Traffic) Traffic {
	switch {
	case t.Pings == 0:
		t.PingMin = u.PingMin
	case u.Pings > 0:
		t.PingMin = min(t.PingMin, u.PingMin)
	}
	return Traffic{
		Pings: t.Pings + u.Pings, PingsLost: t.PingsLost + u.PingsLost,
		PingMin: t.PingMin, PingMax: max(t.PingMax, u.PingMax), PingSum: t.PingSum + u.PingSum,
		Downloads: t.Downloads + u.Downloads, Uploads: t.Uploads + u.Uploads,
		Down: t.Down + u.Down, Up: t.Up + u.Up,
	}
}

// PingMean is the average time of a reply; 0 if none came.
func (t Traffic) PingMean() time.Duration {
	if t.Pings == 0 {
		return 0
	}
	return t.PingSum / time.Duration(t.Pings)
}

// octetCount is a writer that only counts.
type octetCount struct{ n *atomic.Uint64 }

func (c octetCount) Write(b []byte) (int, error) {
	c.n.Add(uint64(len(b)))
	return len(b), nil
}
