package ip

import (
	"sync/atomic"
	"time"
)

// Rate is how often something may happen: on average once in Every, and Burst
// times at once after a rest. Every 0 is no limit.
type Rate struct {
	Every time.Duration
	Burst int
}

// Bucket holds the tokens of a [Rate]. The zero Bucket is full. It is one word,
// used by any number of goroutines without a lock: not the tokens are kept but
// the time at which the bucket will be full again.
type Bucket struct{ full atomic.Int64 }

// Take takes a token, if there is one. now is on any clock that does not go back;
// it may be a little behind another goroutine's.
func (b *Bucket) Take(now time.Duration, r Rate) bool {
	if r.Every <= 0 {
		return true
	}
	depth := int64(r.Every) * int64(max(r.Burst, 1))
	for {
		was := b.full.Load()
		full := max(was, int64(now))
		if was == 0 { // a zero Bucket, on a clock that may be below zero
			full = int64(now)
		}
		full += int64(r.Every)
		if full-int64(now) > depth {
			return false
		}
		if b.full.CompareAndSwap(was, full) {
			return true
		}
	}
}

// ErrorLimit says how many ICMP errors a router sends. RFC 1812 section 4.3.2.8 has
// a router limit their rate, RFC 4443 section 2.4 (f) demands it and recommends a
// token bucket. Whoever provokes more errors than Share allows to one user has not
// used up what the others may have.
type ErrorLimit struct {
	All, Share Rate
	all        Bucket
}

// Allow reports whether an error may be sent to user, whose bucket it is.
func (l *ErrorLimit) Allow(now time.Duration, user *Bucket) bool {
	return user.Take(now, l.Share) && l.all.Take(now, l.All)
}
