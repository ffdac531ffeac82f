package gateway

import (
	"sync"
	"time"

	"tributary/ppp"
)

// SessionState is how far a session that users share has come.
type SessionState string

// The states of a session, in the order in which it goes through them.
const (
	SessionUnused      SessionState = "not-used"    // nobody needs it; it is not dialled
	SessionDown        SessionState = "down"        // it is about to be dialled, or has just ended
	SessionDiscovering SessionState = "discovering" // an access concentrator is looked for
	SessionNegotiating SessionState = "negotiating" // there is one, and PPP has no address from it yet
	SessionUp          SessionState = "up"          // users' packets pass
	SessionWaiting     SessionState = "waiting"     // it fell or did not come up, and is dialled again at its time
)

// trunkStatus is how a trunk fares, for the operator. Its client, its listener and
// the owner of its line all write it.
type trunkStatus struct {
	mu      sync.Mutex
	state   SessionState
	since   time.Time
	next    time.Time // when it is dialled again, while it waits
	dials   uint64
	vain    int // dials since it was up last
	failure SessionFailure
}

// SessionFailure is why a session ended last, or did not come up.
type SessionFailure struct {
	Time    time.Time `json:"time"`
	Reason  Reason    `json:"reason"`
	Message string    `json:"message" doc:"The access concentrator's or the ISP's own words"`
}

func (st *trunkStatus) enter(now time.Time, s SessionState) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.set(now, s)
}

func (st *trunkStatus) set(now time.Time, s SessionState) {
	st.state, st.since, st.next = s, now, time.Time{}
}

// dial is the begin of one more attempt.
func (st *trunkStatus) dial(now time.Time) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.set(now, SessionDiscovering)
	st.dials++
	st.vain++
}

// opened is PADS: there is an access concentrator to talk to.
func (st *trunkStatus) opened(now time.Time) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.state == SessionDiscovering {
		st.set(now, SessionNegotiating)
	}
}

func (st *trunkStatus) networkUp(now time.Time) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.set(now, SessionUp)
	st.vain = 0
}

// networkDown is PPP that begins anew, or ends: then ended follows, or has been.
func (st *trunkStatus) networkDown(now time.Time) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.state == SessionUp {
		st.set(now, SessionNegotiating)
	}
}

// ended is the end of the line of this attempt. By then the trunk may be waiting for
// the next one.
func (st *trunkStatus) ended(now time.Time, e ending) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.state != SessionWaiting {
		st.set(now, SessionDown)
	}
	st.failure = SessionFailure{Time: now, Reason: e.reason, Message: e.message}
}

// waits is until when it is not dialled.
func (st *trunkStatus) waits(now, until time.Time) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.set(now, SessionWaiting)
	st.next = until
}

// clientReasons are the ends of a trunk's own PPP in the gateway's words. The others
// are not of its own making.
var clientReasons = map[ppp.Reason]Reason{
	ppp.ReasonPeerTerminated: ReasonACTerm,
	ppp.ReasonNoAnswer:       ReasonNoLCP,
	ppp.ReasonNotConverging:  ReasonNoLCP,
	ppp.ReasonRejected:       ReasonNoLCP,
	ppp.ReasonLoopback:       ReasonLoopback,
	ppp.ReasonAuthRefused:    ReasonAuthFailed,
	ppp.ReasonAuthFailed:     ReasonAuthFailed,
	ppp.ReasonAuthDenied:     ReasonAuthFailed,
	ppp.ReasonAuthTimedOut:   ReasonAuthFailed,
	ppp.ReasonNoAddress:      ReasonNoAddress,
	ppp.ReasonNoNetwork:      ReasonNoAddress,
}

// clientEnd is the end of a line as the one knows it who spoke PPP on it: of a trunk,
// a good-bye and a closed line are only how its client carries out the end that it
// has come to. For lines of users it changes nothing.
func (s *session) clientEnd(reason Reason, message string) (Reason, string) {
	if ln, ok := s.line.(*trunkLine); ok && (reason == ReasonUserTerm || reason == ReasonHangup) {
		if e := ln.why.Load(); e != nil {
			return e.reason, e.message
		}
	}
	return reason, message
}
