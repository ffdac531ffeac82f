package gateway

import (
	"encoding/binary"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/ppp"
)

// server is a host behind the ISP.
const server = "192.0.2.80"

// heldRig is a gateway in mode relay that holds lines whose session falls, an ISP, and
// alice, whose network is up.
type heldRig struct {
	*sharedRig
	alice  *caller
	broken chan struct{} // closed, its port fails
}

func newHeldRig(t *testing.T, change func(*config.Config)) *heldRig {
	t.Helper()
	r := &sharedRig{rig: makeRig(t, func(c *config.Config) {
		l := &c.Lines[0]
		l.OnSessionLoss = config.LossRedial
		l.Redial = config.RelayRedial{Min: time.Second, Max: 8 * time.Second, Timeout: time.Minute}
		c.Uplinks[0].Discovery.Timeout = 5 * time.Second
		if change != nil {
			change(c)
		}
	})}
	r.jitter = func(int64) int64 { return 0 }
	r.isp = newFakeISP(t, r.hub, r.pool)
	r.also = append(r.also, r.isp.close)
	broken := make(chan struct{})
	first := true
	r.startWith(func(string, *frame.Pool) (ether.Port, error) {
		if first {
			first = false
			return &breakable{Port: r.port, broken: broken}, nil
		}
		r.port = r.hub.Port("eth1", gwMAC, r.pool)
		return r.port, nil
	})
	h := &heldRig{r, r.login("virtual/1", as("alice", "the office", ppp.AuthCHAPMD5)), broken}
	r.wantEvent(EventNetworkUp, "alice is in")
	return h
}

// padt is the ISP ending alice's session.
func (h *heldRig) padt() {
	h.isp.do(func(now time.Time) {
		s := h.isp.one("alice")
		h.isp.server.CloseSession(now, s.peer, s.sid, "maintenance")
		delete(h.isp.sessions, s.sid)
		h.isp.drain(now)
	})
}

// reboot is the ISP forgetting everything without a word.
func (h *heldRig) reboot() {
	h.isp.do(func(time.Time) { clear(h.isp.sessions) })
}

// wantHeld holds the gateway to having told the user nothing.
func (h *heldRig) wantHeld(reason Reason) Event {
	h.t.Helper()
	e := h.wantEvent(EventHeld, "the line is held")
	if e.Reason != reason || e.Line != "virtual/1" || e.User != "alice" {
		h.t.Errorf("%+v", e)
	}
	if i, ok := h.gw.Line("virtual/1"); !ok || i.State != "held" || i.SessionID != 0 || i.User != "alice" || !strings.HasPrefix(i.Message, string(reason)) {
		h.t.Errorf("%+v", i)
	}
	h.alice.mu.Lock()
	defer h.alice.mu.Unlock()
	if h.alice.over || h.alice.finished != nil || h.alice.network == nil {
		h.t.Errorf("the user notices: over %v, %+v, network %v", h.alice.over, h.alice.finished, h.alice.network)
	}
	return e
}

// wantBack holds it to alice having a network once more, which carries packets.
func (h *heldRig) wantBack(address string) {
	h.t.Helper()
	h.wantEvent(EventNetworkUp, "she is back")
	if got := h.alice.address().String(); got != address {
		h.t.Errorf("her address is %s, want %s", got, address)
	}
	h.alice.send(packet{src: address, dst: server}.bytes())
	h.isp.want("what she sends")
	h.isp.toUsers("alice", packet{src: server, dst: address}.bytes())
	h.alice.want("what is sent to her")
	if i, _ := h.gw.Line("virtual/1"); i.State != "up" || i.Phase != "network" || i.Message != "" {
		h.t.Errorf("%+v", i)
	}
}

func (h *heldRig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestHeld(t *testing.T) {
	for _, tt := range []struct {
		name   string
		lose   func(*heldRig)
		reason Reason
	}{
		{"PADT", (*heldRig).padt, ReasonPADT},
		{"LCP Terminate-Request", func(h *heldRig) {
			h.isp.do(func(now time.Time) {
				s := h.isp.one("alice")
				s.link.Close(now)
				s.drain(now)
			})
		}, ReasonACTerm},
		{"a reboot without a word", func(h *heldRig) {
			h.reboot()
			h.pass(3 * time.Minute)
		}, ReasonACSilent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHeldRig(t, nil)
				defer h.end()
				tt.lose(h)
				if tt.reason == ReasonACSilent {
					h.wantEvent(EventHeld, "found by our own Echo-Requests")
				} else {
					h.wantHeld(tt.reason)
				}
				h.pass(2 * time.Second)
				h.wantBack("203.0.113.11")
				if n := len(h.isp.dialled()); n != 2 {
					t.Errorf("%d sessions were opened, want 2", n)
				}
			})
		})
	}
}

// While a line is held, its user's LCP finds the link alive, by the Magic-Number of the
// AC that it knows, and nothing else comes of what he sends.
func TestHeldUserIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeldRig(t, nil)
		defer h.end()
		magic := uint32(0)
		h.isp.do(func(time.Time) { h.isp.silent = true })
		h.pass(time.Second)
		s := h.gw.snapshot()[0]
		magic = s.snoop.State().ACMagic // the owner sleeps
		h.isp.do(func(time.Time) { h.isp.silent = false })
		h.padt()
		h.isp.do(func(time.Time) { h.isp.silent = true })
		h.wantHeld(ReasonPADT)
		h.alice.do(func(time.Time) { h.alice.frames = nil })
		echo := []byte{0xc0, 0x21, 9, 77, 0, 10, 1, 2, 3, 4, 'h', 'i'}
		h.alice.write(echo)
		h.alice.write([]byte{0xc0, 0x21, 9, 78, 0, 4}) // no Magic-Number
		h.alice.send(packet{src: h.alice.address().String(), dst: server}.bytes())
		h.alice.mu.Lock()
		if len(h.alice.frames) != 1 || h.alice.frames[0][2] != byte(ppp.EchoReply) || h.alice.frames[0][3] != 77 ||
			binary.BigEndian.Uint32(h.alice.frames[0][6:]) != magic || string(h.alice.frames[0][10:]) != "hi" {
			t.Errorf("got % x, want an Echo-Reply of %08x", h.alice.frames, magic)
		}
		h.alice.mu.Unlock()
		h.isp.wantNothing("there is no session")
		if i, _ := h.gw.Line("virtual/1"); i.Session.NotOpen == 0 {
			t.Error("what was dropped is not counted")
		}
	})
}

// An ISP that does not come back is dialled at growing intervals, and then the line is
// hung up for the reason for which it lost its session.
func TestHeldInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeldRig(t, nil)
		defer h.end()
		h.padt()
		h.isp.do(func(time.Time) { h.isp.silent = true })
		begin := time.Now()
		h.wantHeld(ReasonPADT)
		var tries []time.Duration
		h.pass(70 * time.Second)
		for done := false; !done; {
			select {
			case e := <-h.sub.C():
				switch e.Kind {
				case EventDiscovering:
					tries = append(tries, e.Time.Sub(begin).Round(100*time.Millisecond))
				case EventLineDown:
					if e.Reason != ReasonPADT || !strings.Contains(e.Message, "maintenance") || !strings.Contains(e.Message, "no session for 1m0s, after") || !strings.Contains(e.Message, string(ReasonNoAC)) {
						t.Errorf("%+v", e)
					}
					if d := e.Time.Sub(begin).Round(time.Second); d != time.Minute {
						t.Errorf("hung up after %v", d)
					}
				}
			default:
				done = true
			}
		}
		// Each search takes the 5 s of discovery.timeout; between them 1, 2, 4, 8, 8.
		want := []time.Duration{1, 8, 17, 30, 43, 56}
		for i := range want {
			want[i] *= time.Second
		}
		if len(tries) != len(want) {
			t.Fatalf("dialled after %v, want %v", tries, want)
		}
		for i := range want {
			if tries[i] != want[i] {
				t.Fatalf("dialled after %v, want %v", tries, want)
			}
		}
		h.alice.mu.Lock()
		defer h.alice.mu.Unlock()
		if !h.alice.over || h.alice.finished == nil || !strings.Contains(h.alice.finished.Message, "session ended by the ISP") {
			t.Errorf("the user: over %v, %+v", h.alice.over, h.alice.finished)
		}
	})
}

func TestHeldEndsWithTheUser(t *testing.T) {
	for _, tt := range []struct {
		name   string
		do     func(*heldRig)
		reason Reason
	}{
		{"he hangs up", func(h *heldRig) { h.alice.hangUp() }, ReasonHangup},
		{"he terminates", func(h *heldRig) { h.alice.terminate() }, ReasonUserTerm},
		{"the operator hangs him up", func(h *heldRig) {
			if err := h.gw.Hangup("virtual/1"); err != nil {
				h.t.Error(err)
			}
		}, ReasonAdmin},
		{"his password is not good any more", func(h *heldRig) {
			h.isp.do(func(time.Time) { h.isp.silent, h.isp.deny = false, true })
			h.pass(10 * time.Second)
		}, ReasonAuthFailed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHeldRig(t, nil)
				defer h.end()
				h.padt()
				h.isp.do(func(time.Time) { h.isp.silent = true })
				h.wantHeld(ReasonPADT)
				tt.do(h)
				h.pass(3 * time.Second)
				if e := h.wantEvent(EventLineDown, "it is over"); e.Reason != tt.reason {
					t.Errorf("%+v", e)
				}
				if !h.alice.over {
					t.Error("the line is up")
				}
				h.pass(time.Minute)
				if n := h.gw.searches.Load(); n != 0 {
					t.Errorf("%d searches go on", n)
				}
			})
		})
	}
}

// Whoever never had a network has nothing to be held for.
func TestNotHeldBeforeTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeldRig(t, nil)
		defer h.end()
		h.isp.do(func(time.Time) { h.isp.deny = true })
		bob := h.call("virtual/2", as("bob", "the office", ppp.AuthCHAPMD5))
		if e := h.wantEventOf("virtual/2", EventLineDown, "refused"); e.Reason != ReasonAuthFailed {
			t.Errorf("%+v", e)
		}
		bob.wantDown("he was not let in")
	})
}

// The port is lost with all sessions, and found again.
func TestHeldWhileThePortIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeldRig(t, nil)
		defer h.end()
		close(h.broken)
		h.port.Close()
		h.wantHeld(ReasonUplinkDown)
		h.pass(10 * time.Second)
		h.wantBack("203.0.113.11")
	})
}

// A gateway that stops holds nothing.
func TestHeldAtAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeldRig(t, nil)
		h.padt()
		h.isp.do(func(time.Time) { h.isp.silent = true })
		h.wantHeld(ReasonPADT)
		h.end()
		if h.alice.finished == nil || !strings.Contains(h.alice.finished.Message, "going down") {
			t.Errorf("the user: %+v", h.alice.finished)
		}
	})
}
