package ipv6

import (
	"math"
	"net/netip"
	"time"
)

// Send is a packet to be sent over the link.
type Send struct{ Packet []byte }

// queue is a machine's outbox.
type queue[T any] struct{ items []T }

func (q *queue[T]) push(v T) { q.items = append(q.items, v) }

// next takes the oldest item, and lets go of the array once it is empty.
func (q *queue[T]) next() (v T, ok bool) {
	if len(q.items) == 0 {
		q.items = nil
		return v, false
	}
	v = q.items[0]
	var zero T
	q.items[0] = zero
	q.items = q.items[1:]
	return v, true
}

// Prefix is a prefix and how long it lasts. The zero time is for ever.
type Prefix struct {
	Prefix    netip.Prefix
	Preferred time.Time // new connections should not use it from then on
	Valid     time.Time // nothing may use it from then on
}

// ended reports whether the moment until has come, where zero never comes.
func ended(now, until time.Time) bool { return !until.IsZero() && !now.Before(until) }

// earlier is the earlier of two times, of which a zero one never comes.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// later is the later of two times, of which a zero one never comes.
func later(a, b time.Time) time.Time {
	if a.IsZero() || b.IsZero() {
		return time.Time{}
	}
	if a.Before(b) {
		return b
	}
	return a
}

// infinity is a lifetime that never ends. RFC 4861 section 4.6.2 and RFC 8415
// section 7.7: all one bits (0xffffffff) stand for it.
const infinity = math.MaxUint32

// until is the moment at which a lifetime in seconds ends.
func until(now time.Time, lifetime uint32) time.Time {
	if lifetime == infinity {
		return time.Time{}
	}
	return now.Add(time.Duration(lifetime) * time.Second)
}

// remaining is what is left until a moment, in whole seconds, rounded down.
func remaining(now, until time.Time) uint32 {
	if until.IsZero() {
		return infinity
	}
	return uint32(min(max(until.Sub(now)/time.Second, 0), infinity-1))
}

// random is a source of chance that may be missing.
type random func(n int64) int64

// upTo is a duration of 0 to limit, both included; 0 without a source.
func (r random) upTo(limit time.Duration) time.Duration {
	if r == nil || limit <= 0 {
		return 0
	}
	return time.Duration(min(max(r(int64(limit)+1), 0), int64(limit)))
}
