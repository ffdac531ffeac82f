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
	perOctet time.Duration // scaled by policerScale
	fullAt   atomic.Int64  // on clock, scaled
}

// policerScale keeps fractions of a nanosecond, up to some 100 Gbit/s.
const policerScale = 64

// policerBurst is how much may come at once: half a second of the rate, as TCP
// needs to find that rate, and at least some full frames.
const (
	policerBurst = 500 * time.Millisecond
	policerLeast = 8 * 1500 // octets
)

// set sets the rate; 0 lets everything pass. It is for whoever owns p before others use it.
func (p *policer) set(bitsPerSecond uint64) {
	p.perOctet = 0
	if bitsPerSecond > 0 {
		p.perOctet = max(1, time.Duration(8*policerScale*uint64(time.Second)/bitsPerSecond))
	}
}

// pass reports whether n octets may go now.
func (p *policer) pass(now time.Duration, n int) bool {
	if p.perOctet == 0 {
		return true
	}
	at, cost := int64(now)*policerScale, int64(p.perOctet)*int64(n)
	burst := max(int64(policerBurst)*policerScale, int64(p.perOctet)*policerLeast)
	for {
		full := p.fullAt.Load()
		next := max(full, at) + cost
		if next-at > burst {
			return false
		}
		if p.fullAt.CompareAndSwap(full, next) {
			return true
		}
	}
}
