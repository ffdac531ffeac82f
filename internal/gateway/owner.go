package gateway

import (
	"container/heap"
	"time"

	"tributary/internal/frame"
	"tributary/pppoe"
)

// owner is the goroutine that owns a share of the sessions: all their protocol
// state is touched here and nowhere else, so none of it has a lock. It has one
// inbox and one timer. A session belongs to one owner for life.
//
// There is an owner for each processor rather than for each session: an idle
// line then costs no goroutine for its protocol state, and ten thousand timers
// are one heap. Nothing an owner calls waits for a line, an AC or the disk.
type owner struct {
	inbox chan event
	quit  chan struct{}
	done  chan struct{}

	timers timerHeap
	timer  *time.Timer
}

// inboxLen is how many events may wait for one owner. Lines wait when it is
// full (each is bounded by maxUnheard, so one line cannot fill it alone); the
// port reader never waits, it drops control frames, which PPP sends again.
const inboxLen = 4096

// event is what an owner is told about one session.
type event struct {
	s        *session
	kind     eventKind
	buf      *frame.Buf // frames: owned by the event
	src      pppoe.MAC  // discovery packets: where from
	expected bool       // the session was made findable for what is in this packet
	aux      any        // evLineDown: its error; evEnd: the ending
}

type eventKind uint8

const (
	evLineUp     eventKind = iota // the line came up
	evFromUser                    // a control frame from the user
	evFromAC                      // a control frame from the AC
	evDiscovery                   // a PADO, PADS or PADT
	evLineDown                    // the line's reader has ended
	evEnd                         // end the session
	evAdmitted                    // the uplink's gate lets one PADI through
	evMember                      // the port receives for the session's address, or cannot (aux: the error)
	evReused                      // the AC gave the session's id to another line
	evAnswer                      // shared: whether the user is who he says he is
	evTrunkUp                     // shared: a session with the ISP is up
	evTrunkDown                   // shared: the one that the user shares is down
	evIPv6                        // shared: what holds for IPv6 has changed
	evReplaced                    // shared: the user has dialled in once more
	evPrefixFree                  // shared: a /64 has come free
)

// ending is why a session is to end.
type ending struct {
	reason  Reason
	message string
}

func newOwner() *owner {
	return &owner{
		inbox: make(chan event, inboxLen),
		quit:  make(chan struct{}),
		done:  make(chan struct{}),
		timer: time.NewTimer(time.Hour),
	}
}

// post hands the owner an event and waits for room in the inbox; false once
// the owner has ended.
func (o *owner) post(ev event) bool {
	select {
	case o.inbox <- ev:
		return true
	case <-o.done:
		return false
	}
}

// tryPost hands the owner an event if there is room.
func (o *owner) tryPost(ev event) bool {
	select {
	case o.inbox <- ev:
		return true
	default:
		return false
	}
}

func (o *owner) run() {
	defer close(o.done)
	for {
		select {
		case ev := <-o.inbox:
			o.handle(time.Now(), ev)
		case <-o.timer.C:
		case <-o.quit:
			o.discard()
			return
		}
		o.fire(time.Now())
	}
}

// discard lets go of what nobody will handle any more.
func (o *owner) discard() {
	for {
		select {
		case ev := <-o.inbox:
			ev.buf.Put()
		default:
			return
		}
	}
}

func (o *owner) handle(now time.Time, ev event) {
	ev.s.handle(now, ev)
	o.schedule(ev.s)
}

// fire ticks every session whose deadline has come and sets the timer to the next.
func (o *owner) fire(now time.Time) {
	for len(o.timers) > 0 && !o.timers[0].wakeAt.After(now) {
		s := o.timers[0]
		s.tick(now)
		o.schedule(s)
		if !s.wakeAt.IsZero() && !s.wakeAt.After(now) {
			// A deadline that a tick did not move would spin here.
			s.wakeAt = now.Add(time.Millisecond)
			heap.Fix(&o.timers, s.timerIndex)
		}
	}
	if len(o.timers) > 0 {
		o.timer.Reset(time.Until(o.timers[0].wakeAt))
	}
}

// schedule puts s where its deadline now belongs.
func (o *owner) schedule(s *session) {
	at := s.deadline()
	switch {
	case at.IsZero() && s.timerIndex >= 0:
		heap.Remove(&o.timers, s.timerIndex)
		s.wakeAt = at
	case at.IsZero():
	case s.timerIndex < 0:
		s.wakeAt = at
		heap.Push(&o.timers, s)
	case !at.Equal(s.wakeAt):
		s.wakeAt = at
		heap.Fix(&o.timers, s.timerIndex)
	}
}

// timerHeap is the sessions that wait for a time, the earliest first.
type timerHeap []*session

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].wakeAt.Before(h[j].wakeAt) }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].timerIndex, h[j].timerIndex = i, j
}
func (h *timerHeap) Push(x any) {
	s := x.(*session)
	s.timerIndex = len(*h)
	*h = append(*h, s)
}
func (h *timerHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	s.timerIndex = -1
	return s
}
