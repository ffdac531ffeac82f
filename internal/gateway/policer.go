package gateway

import (
	"sync/atomic"
	"time"
)

// policer holds traffic to a rate: what goes beyond is dropped. It keeps not its
// tokens but the time at which it will be full again (the generic cell rate
// algorithm of ATM), one word, for any number of goroutines. The zero policer
// lets everything pass.
type policer struct {
	perOctet atomic.Int64 // time, scaled by policerScale; 0 is no bound
	fullAt   atomic.Int64 // on clock, scaled
}

// policerScale keeps fractions of a nanosecond, up to some 100 Gbit/s.
const policerScale = 64

// policerBurst is how much may come at once: half a second of the rate, as TCP
// needs to find that rate, and at least some full frames.
const (
	policerBurst = 500 * time.Millisecond
	policerLeast = 8 * 1500 // octets
)

// set sets the rate; 0 lets everything pass.
func (p *policer) set(bitsPerSecond uint64) {
	var perOctet int64
	if bitsPerSecond > 0 {
		perOctet = max(1, int64(8*policerScale*uint64(time.Second)/bitsPerSecond))
	}
	p.perOctet.Store(perOctet)
}

// pass reports whether n octets may go now.
func (p *policer) pass(now time.Duration, n int) bool {
	perOctet := p.perOctet.Load()
	if perOctet == 0 {
		return true
	}
	at, cost := int64(now)*policerScale, perOctet*int64(n)
	burst := max(int64(policerBurst)*policerScale, perOctet*policerLeast)
	for {
		full := p.fullAt.Load()
		next := max(full, at) + cost
		if full == 0 { // none has passed yet, on a clock that may be below zero
			next = at + cost
		}
		if next-at > burst {
			return false
		}
		if p.fullAt.CompareAndSwap(full, next) {
			return true
		}
	}
}
