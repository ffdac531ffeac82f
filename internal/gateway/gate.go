package gateway

import (
	"container/list"
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// gate hands out an uplink's allowance of PADIs, first come, first served. A
// session that is gone has left the queue, so that whoever dials and hangs up
// holds up nobody.
type gate struct {
	mu      sync.Mutex
	limiter *rate.Limiter
	queue   list.List // of *session, the one that has waited longest in front
	wake    chan struct{}
}

// newGate admits perSecond PADIs, and a tenth of that at once.
func newGate(perSecond int) *gate {
	return &gate{limiter: rate.NewLimiter(rate.Limit(perSecond), max(1, perSecond/10)), wake: make(chan struct{}, 1)}
}

// enter asks for leave to send one PADI: at once if it reports true, otherwise
// when evAdmitted comes. Asking again while waiting changes nothing.
func (g *gate) enter(now time.Time, s *session) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.gateElem != nil {
		return false
	}
	if g.queue.Len() == 0 && g.limiter.AllowN(now, 1) {
		return true
	}
	s.gateElem = g.queue.PushBack(s)
	select {
	case g.wake <- struct{}{}:
	default:
	}
	return false
}

// leave takes s out of the queue.
func (g *gate) leave(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.gateElem != nil {
		g.queue.Remove(s.gateElem)
		s.gateElem = nil
	}
}

// run admits whoever waits until ctx is done.
func (g *gate) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		g.mu.Lock()
		empty := g.queue.Len() == 0
		var wait time.Duration
		if !empty {
			now := time.Now()
			wait = g.limiter.ReserveN(now, 1).DelayFrom(now)
		}
		g.mu.Unlock()
		if empty {
			select {
			case <-g.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if s := g.next(); s != nil {
			s.owner.post(event{s: s, kind: evAdmitted})
		}
	}
}

func (g *gate) next() *session {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.queue.Front()
	if e == nil {
		return nil // they have all gone since; a PADI's allowance is lost with them
	}
	s := g.queue.Remove(e).(*session)
	s.gateElem = nil
	return s
}
