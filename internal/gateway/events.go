package gateway

import (
	"sync"
	"sync/atomic"
)

// Kinds of Event.
const (
	EventLineUp      = "line-up"       // a line came up, nothing has been heard yet
	EventDiscovering = "discovering"   // PPPoE discovery begins
	EventSessionUp   = "session-up"    // PADS: the line has its PPPoE session
	EventNetworkUp   = "network-up"    // IPCP opened, seen in passing; mode shared: a user has an address, which is the message
	EventNetworkDown = "network-down"  // mode shared: the user has that address no longer, or no way to use it
	EventAuthFailed  = "auth-failed"   // the ISP refused the user's credentials
	EventSessionDown = "session-down"  // the PPPoE session ended
	EventHeld        = "session-held"  // its line is held, and the session dialled again
	EventLineDown    = "line-down"     // the line is gone
	EventUplinkDown  = "uplink-down"   // the port failed
	EventUplinkUp    = "uplink-up"     // the port works again
	EventOrphan      = "orphan-padt"   // a session left over from before was ended
	EventACLeft      = "ac-left-alone" // an AC fails, and is left alone for a while; why is the message
	EventACBack      = "ac-back"       // it serves again
	EventTrunkUp     = "shared-up"     // a session that users share has its address
	EventTrunkDown   = "shared-down"   // and lost it
	EventPrefix      = "prefix"        // the ISP has delegated an IPv6 prefix, another one than before
	EventPrefixLost  = "prefix-lost"   // and it holds no longer
	EventMoved       = "user-moved"    // a user's packets travel on another session now
	EventNoAddress   = "no-address"    // a user could not be given an address
)

// hub hands each event to every subscriber. A slow subscriber loses events and
// is told how many; it never holds up a session.
type hub struct {
	mu   sync.Mutex
	subs map[*Subscription]struct{}
}

// Subscription is one reader of events.
type Subscription struct {
	c    chan Event
	lost atomic.Uint64
	hub  *hub
	once sync.Once
}

// C yields events, oldest first, and is closed by Close.
func (s *Subscription) C() <-chan Event { return s.c }

// Lost is how many events did not fit in the buffer so far.
func (s *Subscription) Lost() uint64 { return s.lost.Load() }

// Close ends the subscription.
func (s *Subscription) Close() {
	s.once.Do(func() {
		s.hub.mu.Lock()
		delete(s.hub.subs, s)
		close(s.c)
		s.hub.mu.Unlock()
	})
}

func (h *hub) subscribe(buffer int) *Subscription {
	s := &Subscription{c: make(chan Event, max(buffer, 1)), hub: h}
	h.mu.Lock()
	if h.subs == nil {
		h.subs = make(map[*Subscription]struct{})
	}
	h.subs[s] = struct{}{}
	h.mu.Unlock()
	return s
}

func (h *hub) emit(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		select {
		case s.c <- e:
		default:
			s.lost.Add(1)
		}
	}
}
