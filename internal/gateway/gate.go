package gateway

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tributary/internal/config"
	"tributary/pppoe"
)

// gate hands out an uplink's leave to send PADIs, and keeps its lines within what
// ACs bear: so many PADIs a second on all lines together, a time between two of one
// address, and so many searches at once. A line that may not go yet holds up none
// that may: each address has a queue of its own, and whoever has hung up has left it.
//
// Whoever asks is given a turn, and the one with the least goes first. First PADIs
// have their turns in the order in which they were asked for; a repetition is given one
// that three first ones stand in front of. So while many lines come back at once, one PADI
// in four at most asks once more, and three begin a search. An AC that is only slow is then asked
// once for each line, since the answer is there before the repetition's turn; and a
// line whose PADI was lost does not wait for all who came after it.
type gate struct {
	interval time.Duration // between two PADIs of one address; 0: none
	most     int           // searches at once; 0: no bound

	mu        sync.Mutex
	limiter   *rate.Limiter
	turns     turns
	stations  map[pppoe.MAC]*station // with someone waiting, or resting
	heaps     [heaps]stationHeap
	searching int
	wake      chan struct{}
}

// pass is what a session has from its uplink's gate; it is under the gate's lock.
type pass struct {
	station   *station // nil: it neither waits nor has leave
	waits     bool     // in the station's queue, of kind
	kind      padiKind
	turn      uint64
	searching bool // it is one of the searches that are under way

	before, behind *session // in the station's queue
}

// newGate admits PADIRate PADIs a second, and a tenth of that at once.
func newGate(cfg *config.Uplink) *gate {
	return &gate{
		interval: cfg.PADIInterval, most: cfg.MaxDiscovering,
		limiter:  rate.NewLimiter(rate.Limit(cfg.PADIRate), max(1, cfg.PADIRate/10)),
		stations: make(map[pppoe.MAC]*station),
		heaps:    newHeaps(),
		wake:     make(chan struct{}, 1),
	}
}

// enter asks for leave to send one PADI from our: at once if it reports true,
// otherwise when evAdmitted comes. Asking again while waiting changes nothing.
func (g *gate) enter(now time.Time, s *session, our pppoe.MAC) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := &s.pass
	if p.station != nil {
		return false
	}
	st := g.stations[our]
	if st == nil {
		st = newStation(our)
		g.stations[our] = st
	}
	p.station, p.waits, p.kind = st, true, firstPADI
	if p.searching {
		p.kind = repetition
	}
	p.turn = g.turns.give(p.kind)
	st.waiting[p.kind].push(s)
	g.place(st, now)
	if g.turns.waiting[firstPADI]+g.turns.waiting[repetition] == 1 { // nobody came before
		if s, _ := g.next(now); s != nil {
			return true
		}
	}
	g.signal()
	return false
}

// admits reports whether s has leave for one PADI.
func (g *gate) admits(s *session) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return s.pass.station != nil && !s.pass.waits
}

// sent says that a PADI for which there was leave has gone out.
func (g *gate) sent(now time.Time, s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	st := s.pass.station
	if st == nil || s.pass.waits {
		return
	}
	s.pass.station = nil
	st.busy, st.until = false, now.Add(g.interval)
	g.place(st, now)
	g.signal()
}

// leave takes back what s has asked for and not used.
func (g *gate) leave(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forget(s)
}

// done says that the search of s is over, whatever came of it.
func (g *gate) done(s *session) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forget(s)
	if s.pass.searching {
		s.pass.searching = false
		g.searching--
		g.signal()
	}
}

func (g *gate) forget(s *session) {
	p := &s.pass
	st := p.station
	if st == nil {
		return
	}
	p.station = nil
	if p.waits {
		st.waiting[p.kind].remove(s)
		g.turns.leave(p.kind)
		p.waits = false
	} else {
		st.busy = false // it had leave: a PADI's allowance of the rate is lost with it
	}
	g.place(st, time.Time{})
	g.signal()
}

// waiting is how many sessions wait for leave.
func (g *gate) waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.turns.waiting[firstPADI] + g.turns.waiting[repetition]
}

// signal has run look again.
func (g *gate) signal() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// run admits whoever waits until ctx is done.
func (g *gate) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		g.mu.Lock()
		s, wait := g.next(time.Now())
		g.mu.Unlock()
		if s != nil {
			s.owner.post(event{s: s, kind: evAdmitted})
			continue
		}
		timer.Reset(wait)
		select {
		case <-g.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// next gives leave to the one whose turn it is. If it is nobody's yet, wait is when
// to ask again, unless something changes before.
func (g *gate) next(now time.Time) (s *session, wait time.Duration) {
	wait = time.Hour
	for st := g.heaps[resting].first(); st != nil; st = g.heaps[resting].first() {
		if wait = st.until.Sub(now); wait > 0 {
			break
		}
		wait = time.Hour
		g.place(st, now)
	}
	st, kind := g.first()
	if st == nil {
		return nil, wait
	}
	r := g.limiter.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return nil, wait
	}
	s = st.waiting[kind].pop()
	g.turns.serve(kind, s.pass.turn)
	s.pass.waits = false
	st.busy = g.interval > 0
	if !s.pass.searching {
		s.pass.searching = true
		g.searching++
	}
	g.place(st, now)
	return s, 0
}

// first is the station whose turn it is, and for what; nil if it is nobody's.
func (g *gate) first() (st *station, kind padiKind) {
	again := g.heaps[repetition].first()
	if g.most > 0 && g.searching >= g.most {
		return again, repetition
	}
	fresh := g.heaps[firstPADI].first()
	if fresh == nil || again != nil && again.turn(repetition) < fresh.turn(firstPADI) {
		return again, repetition
	}
	return fresh, firstPADI
}
