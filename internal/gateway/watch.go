package gateway

import (
	"encoding/binary"
	"fmt"
	"time"

	"tributary/ppp"
)

// watch finds a session that is dead without a word. Once LCP is open, an AC
// that has been silent is asked by an LCP Echo-Request of our own; as long as
// anything comes from it, none is sent. Before, and while LCP is negotiated
// anew, it is the two ends who ask, and an AC that answers neither is gone.
type watch struct {
	at       time.Time // the next look
	heard    bool      // a control frame came from the AC since the last look
	frames   uint64    // data frames from the AC at the last look
	failures int       // looks in a row that found nothing
	id       uint8
	cookie   uint64    // in the request's data; tells our reply from one for the user
	lcpBy    time.Time // LCP is to be open by then; zero while it is
}

// While LCP is not open.
const (
	lcpLook     = 10 * time.Second // RFC 1661's Restart timer, three times
	lcpFailures = 3
	lcpWait     = 2 * time.Minute // for two ends that talk and do not agree
)

// watchLCP watches a session whose LCP is not open, or no longer.
func (s *session) watchLCP(now time.Time) {
	s.watch.lcpBy = now.Add(lcpWait)
	s.watchFrom(now, lcpLook)
}

// watchOpen watches a session whose LCP is open.
func (s *session) watchOpen(now time.Time) {
	s.watch.lcpBy = time.Time{}
	s.proved(now)
	s.watchFrom(now, s.up.cfg.Echo.Interval)
}

// watchFrom begins anew; every 0 is never.
func (s *session) watchFrom(now time.Time, every time.Duration) {
	w := &s.watch
	if w.cookie == 0 {
		var cookie [8]byte
		s.g.random(cookie[:])
		w.cookie = binary.BigEndian.Uint64(cookie[:]) | 1
	}
	w.heard, w.failures, w.frames = false, 0, s.stats.downFrames.Load()
	w.at = time.Time{}
	if every > 0 {
		w.at = s.g.onTick(now.Add(every))
	}
}

// watchGrid is what the looks at all sessions are aligned to, so that the owner wakes
// ten times a second for 50,000 of them and not for each.
const watchGrid = 100 * time.Millisecond

// onTick is the next time on the grid from t on.
func (g *Gateway) onTick(t time.Time) time.Time {
	d := t.Sub(g.born)
	return g.born.Add((d + watchGrid - 1) / watchGrid * watchGrid)
}

// watchNext sets the next look, counted from when the last one was due: the timer
// is always a little late, and the next tick would be one too far. After a
// standstill it is the next tick there is.
func (s *session) watchNext(now time.Time, every time.Duration) {
	w := &s.watch
	if w.at = s.g.onTick(w.at.Add(every)); !w.at.After(now) {
		w.at = s.g.onTick(now.Add(1))
	}
}

func (s *session) watchTick(now time.Time) {
	w, every, bound := &s.watch, s.up.cfg.Echo.Interval, s.up.cfg.Echo.Failures
	open := w.lcpBy.IsZero()
	if !open {
		every, bound = lcpLook, lcpFailures
	}
	s.watchNext(now, every)
	if frames := s.stats.downFrames.Load(); w.heard || frames != w.frames {
		w.heard, w.frames, w.failures = false, frames, 0
		if !open && !now.Before(w.lcpBy) {
			s.teardown(now, ReasonNoLCP, fmt.Sprintf("the user and the AC have not opened LCP in %v", lcpWait))
		}
		return
	}
	if w.failures >= bound {
		s.teardown(now, ReasonACSilent, fmt.Sprintf("nothing from the AC for %v", every*time.Duration(bound+1)))
		return
	}
	w.failures++
	if !open {
		return
	}
	if w.id++; w.id == 0 {
		w.id = 1 // 0 is "none sent"
	}
	// RFC 1661 section 5.8: the Magic-Number is that of the sender, and to
	// the AC the sender is the user.
	s.asked.Store(true)
	s.toAC(ppp.AppendEchoRequest(nil, w.id, s.snoop.State().UserMagic, w.cookie))
}

// echoReply reports whether f answers a request of ours; the user asked for
// nothing and is not shown it.
func (s *session) echoReply(f []byte) bool {
	w := &s.watch
	return w.id != 0 && ppp.IsEchoReply(f, w.id, w.cookie)
}
