package pppoe

import (
	"fmt"
	"sort"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// wire is one Ethernet with hosts and ACs on it, and a clock. It loses, repeats
// and delays packets as fate says.
type wire struct {
	now     time.Time
	hosts   []*station
	acs     []*Server // at address cfg.MAC
	packets []flight
	sent    int
	fate    func() (lose, repeat bool, delay time.Duration)
	opened  map[sessionKey]time.Time // as the ACs see it
	padts   int                      // lost
	log     []string
}

// sessionKey is what names a session, on one wire.
type sessionKey struct {
	ac, host MAC
	sid      uint16
}

// flight is a packet on its way.
type flight struct {
	at       time.Time
	order    int
	src, dst MAC
	pkt      []byte
}

// station is a host with what its client has told so far.
type station struct {
	mac    MAC
	c      *Client
	open   *Session
	ended  bool // failed, or closed by the AC
	done   int
	events []ClientOut
}

func newWire(fate func() (bool, bool, time.Duration)) *wire {
	return &wire{now: start, fate: fate, opened: map[sessionKey]time.Time{}}
}

func (w *wire) send(src MAC, s Send) {
	lose, repeat, delay := w.fate()
	w.log = append(w.log, fmt.Sprintf("%8v %v > %v %v lost=%v repeated=%v", w.now.Sub(start), src, s.Dst, s.Code, lose, repeat))
	if lose {
		if s.Code == PADT {
			w.padts++
		}
		return
	}
	for range 1 + map[bool]int{true: 1}[repeat] {
		w.sent++
		w.packets = append(w.packets, flight{w.now.Add(delay), w.sent, src, s.Dst, s.Packet})
		_, _, delay = w.fate()
	}
}

// drain takes what all machines have to say.
func (w *wire) drain() {
	for _, h := range w.hosts {
		for out, ok := h.c.Next(); ok; out, ok = h.c.Next() {
			switch out := out.(type) {
			case Send:
				w.send(h.mac, out)
				continue
			case ClientOpened:
				h.open = &out.Session
				// PPP begins: the AC's owner sees a frame of the session.
				for _, s := range w.acs {
					if s.cfg.MAC == out.Session.AC {
						s.Received(h.mac, out.Session.SessionID)
					}
				}
			case ClientClosed, ClientFailed:
				h.open, h.ended = nil, true
			case ClientDone:
				h.done++
			}
			h.events = append(h.events, out)
		}
	}
	for _, s := range w.acs {
		mac := s.cfg.MAC
		for out, ok := s.Next(); ok; out, ok = s.Next() {
			switch out := out.(type) {
			case Send:
				w.send(mac, out)
			case ServerOpened:
				w.opened[sessionKey{mac, out.Peer, out.SessionID}] = w.now
			case ServerClosed:
				delete(w.opened, sessionKey{mac, out.Peer, out.SessionID})
			}
		}
	}
}

// lcpPatience is how long an AC's PPP waits for a first frame.
const lcpPatience = 30 * sec

// endUnused ends the sessions on which nothing has come in, as the PPP of their
// AC does: their PADS was lost, and the host has begun anew.
func (w *wire) endUnused(patience time.Duration) {
	for key, since := range w.opened {
		for _, s := range w.acs {
			if ss := s.sessions[key.sid]; s.cfg.MAC == key.ac && ss != nil && ss.fresh && w.now.Sub(since) >= patience {
				s.CloseSession(w.now, key.host, key.sid, "no LCP")
				delete(w.opened, key)
			}
		}
	}
}

// step goes on to whatever comes next, but not past end; false if nothing does.
func (w *wire) step(end time.Time) bool {
	w.drain()
	sort.Slice(w.packets, func(i, j int) bool {
		a, b := w.packets[i], w.packets[j]
		return a.at.Before(b.at) || a.at.Equal(b.at) && a.order < b.order
	})
	var next time.Time
	if len(w.packets) > 0 {
		next = w.packets[0].at
	}
	for _, h := range w.hosts {
		next = earlier(next, h.c.Deadline())
	}
	for _, s := range w.acs {
		next = earlier(next, s.Deadline())
	}
	if next.IsZero() || next.After(end) {
		return false
	}
	if next.After(w.now) {
		w.now = next
	}
	for len(w.packets) > 0 && !w.packets[0].at.After(w.now) {
		f := w.packets[0]
		w.packets = w.packets[1:]
		for _, h := range w.hosts {
			if f.src != h.mac && (f.dst == h.mac || f.dst.IsMulticast()) {
				h.c.Input(w.now, f.src, f.pkt)
			}
		}
		for _, s := range w.acs {
			if f.src != s.cfg.MAC && (f.dst == s.cfg.MAC || f.dst.IsMulticast()) {
				s.Input(w.now, f.src, f.pkt)
			}
		}
	}
	for _, h := range w.hosts {
		h.c.Tick(w.now)
	}
	for _, s := range w.acs {
		s.Tick(w.now)
	}
	w.endUnused(lcpPatience)
	w.drain()
	return true
}

func (w *wire) run(d time.Duration) {
	end := w.now.Add(d)
	for w.step(end) {
	}
	w.now = end
}

// TestPair is about what must hold on any Ethernet, however it treats packets:
// hosts find sessions, both ends agree on them, and in the end nothing is left
// but what a lost PADT leaves.
func TestPair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		loss := rapid.SampledFrom([]int{0, 10, 40}).Draw(t, "loss in percent")
		healed := false
		w := newWire(nil)
		w.fate = func() (bool, bool, time.Duration) {
			if healed {
				return false, false, time.Millisecond
			}
			return rapid.IntRange(0, 99).Draw(t, "lose") < loss, rapid.IntRange(0, 9).Draw(t, "repeat") == 0,
				time.Duration(rapid.IntRange(0, 50).Draw(t, "delay")) * time.Millisecond
		}
		for i := range rapid.IntRange(1, 3).Draw(t, "acs") {
			mac := MAC{2, 0, 0, 0, 0xff, byte(i)}
			w.acs = append(w.acs, NewServer(ServerConfig{
				ACName: fmt.Sprint("ac-", i), MAC: mac, CookieKey: [32]byte{byte(i)},
				MaxSessions: rapid.IntRange(2, 10).Draw(t, "room"),
				PADODelay:   time.Duration(rapid.IntRange(0, 200).Draw(t, "pado delay")) * time.Millisecond,
			}))
		}
		for i := range rapid.IntRange(1, 2).Draw(t, "hosts") {
			mac := MAC{2, 0, 0, 0, 1, byte(i)}
			h := &station{mac: mac, c: NewClient(ClientConfig{
				HostUniq:  []byte{byte(i), 0x55},
				OfferWait: time.Duration(rapid.IntRange(0, 300).Draw(t, "offer wait")) * time.Millisecond,
				PADRTries: rapid.IntRange(1, 4).Draw(t, "padr tries"),
				Linger:    5 * sec,
			})}
			w.hosts = append(w.hosts, h)
			h.c.Start(w.now)
		}
		w.run(time.Duration(rapid.IntRange(0, 5000).Draw(t, "before closing")) * time.Millisecond)
		early := rapid.Bool().Draw(t, "close early")
		if !early {
			healed = true
			w.run(200 * sec)
			for _, h := range w.hosts {
				if h.open == nil {
					t.Fatalf("%v found no session on a wire that works\n%v", h.mac, w.log)
				}
				key := sessionKey{h.open.AC, h.mac, h.open.SessionID}
				if w.opened[key].IsZero() {
					t.Fatalf("%v believes in %+v, its AC does not\n%v", h.mac, key, w.log)
				}
			}
			healed = false
		}
		for _, h := range w.hosts {
			h.c.Close(w.now, "enough")
		}
		w.run(20 * sec)
		for _, h := range w.hosts {
			if h.done != 1 || h.c.State() != ClientDown {
				t.Fatalf("%v: %d times done, %v", h.mac, h.done, h.c.State())
			}
			checkOrder(t, h.events)
		}
		w.endUnused(0)
		left := 0
		for _, s := range w.acs {
			left += s.Sessions()
		}
		if left > w.padts {
			t.Fatalf("%d sessions left, %d PADTs lost\n%v", left, w.padts, w.log)
		}
	})
}

// checkOrder holds a client's events to their order: a session opens once, ends
// once, and Done is the last word.
func checkOrder(t *rapid.T, events []ClientOut) {
	opened := 0
	for i, e := range events {
		switch e.(type) {
		case ClientOpened:
			opened++
		case ClientClosed:
			if opened != 1 {
				t.Fatal("closed what was not open")
			}
		case ClientDone:
			if i != len(events)-1 {
				t.Fatalf("%T after Done", events[i+1])
			}
		}
	}
	if opened > 1 {
		t.Fatalf("opened %d times", opened)
	}
}

// TestPairWithoutLossLeavesNothing: repeated and reordered packets alone must
// leave no session behind at any AC, used or not.
func TestPairWithoutLossLeavesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWire(nil)
		w.fate = func() (bool, bool, time.Duration) {
			return false, rapid.IntRange(0, 3).Draw(t, "repeat") == 0, time.Duration(rapid.IntRange(0, 400).Draw(t, "delay")) * time.Millisecond
		}
		w.acs = []*Server{NewServer(ServerConfig{ACName: "a", MAC: macA}), NewServer(ServerConfig{ACName: "b", MAC: macB})}
		h := &station{mac: host1, c: NewClient(ClientConfig{HostUniq: uniq})}
		w.hosts = []*station{h}
		h.c.Start(w.now)
		w.run(10 * sec)
		if h.open == nil {
			t.Fatal("no session")
		}
		h.c.Close(w.now, "")
		w.run(60 * sec)
		for _, s := range w.acs {
			if s.Sessions() != 0 {
				t.Fatalf("%d sessions left at %v\n%v", s.Sessions(), s.cfg.MAC, w.log)
			}
		}
	})
}
