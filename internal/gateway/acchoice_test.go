package gateway

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/line"
	"tributary/ppp"
	"tributary/pppoe"
)

// An acBot is an access concentrator that answers by itself: with an offer, a session
// and an LCP that opens, as long as the test has not told it otherwise.
type acBot struct {
	t    *testing.T
	name string
	mac  pppoe.MAC
	port *ether.HubPort
	pool *frame.Pool

	mu      sync.Mutex
	refuse  string        // what it says to a PADR instead of giving a session
	tag     pppoe.TagType // in this error tag; AC-System-Error if it is zero
	service string        // that it offers
	deaf    bool          // it answers no PADR
	silent  bool          // it gives sessions, and says nothing on them
	closes  bool          // it ends each session as soon as it has given it
	late    time.Duration // before each PADO
	sid     uint16
	padrs   []time.Time
	opened  map[pppoe.MAC][]uint16
	invents int // so many offers of ACs that are not there go out before its own
	invent  uint32
}

// newBot puts an AC on the rig's wire.
func (r *rig) newBot(name string, last byte) *acBot {
	mac := pppoe.MAC{0x02, 0, 0, 0, 1, last}
	a := &acBot{t: r.t, name: name, mac: mac, pool: r.pool, port: r.hub.Port(name, mac, r.pool), opened: map[pppoe.MAC][]uint16{}}
	r.also = append(r.also, func() { a.port.Close() })
	go a.run()
	return a
}

// set changes how it answers.
func (a *acBot) set(change func(*acBot)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

// asked is how many PADRs it has had so far.
func (a *acBot) asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.padrs)
}

// sessions is how many it has given.
func (a *acBot) sessions() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return int(a.sid)
}

func (a *acBot) run() {
	bufs := make([]*frame.Buf, 32)
	for i := range bufs {
		bufs[i] = a.pool.Get()
	}
	for {
		n, err := a.port.ReadBatch(bufs)
		for _, b := range bufs[:n] {
			hdr, payload, _ := ether.Parse(b.Bytes())
			h, inner, perr := pppoe.ParseHeader(payload)
			if perr != nil {
				continue
			}
			if h.Code != pppoe.SessionStage {
				inner = payload[:pppoe.HeaderLen+len(inner)]
			}
			a.hear(received{hdr, h.Code, h.SessionID, append([]byte(nil), inner...)})
		}
		if err != nil {
			for _, b := range bufs {
				b.Put()
			}
			return
		}
	}
}

func (a *acBot) hear(m received) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch m.code {
	case pppoe.PADI:
		for range a.invents {
			a.invent++
			mac := pppoe.MAC{0x06, 0xee, 0, byte(a.invent >> 16), byte(a.invent >> 8), byte(a.invent)}
			a.say(mac, m.hdr, answer(pppoe.PADO, 0, m))
		}
		if a.late > 0 {
			time.AfterFunc(a.late, func() { a.say(a.mac, m.hdr, a.answer(pppoe.PADO, 0, m)) })
			return
		}
		a.say(a.mac, m.hdr, a.answer(pppoe.PADO, 0, m))
	case pppoe.PADR:
		a.padrs = append(a.padrs, time.Now())
		switch {
		case a.deaf:
		case a.refuse != "":
			a.say(a.mac, m.hdr, a.answer(pppoe.PADS, 0, m, pppoe.StringTag(cmp.Or(a.tag, pppoe.TagACSystemError), a.refuse)))
		default:
			a.sid++
			a.say(a.mac, m.hdr, a.answer(pppoe.PADS, a.sid, m))
			if a.closes {
				a.say(a.mac, m.hdr, padt(a.sid))
			}
		}
	case pppoe.SessionStage:
		if !a.silent && isLCP(m.payload, ppp.ConfigureRequest) {
			a.say(a.mac, m.hdr, sessionPacket(m.sid, ackOf(m.payload)))
			a.say(a.mac, m.hdr, sessionPacket(m.sid, confReq(1, 5, 9, 9, 9, 9)))
		}
	}
}

// answer is as that of the others, with its own name.
func (a *acBot) answer(code pppoe.Code, sid uint16, to received, tags ...pppoe.Tag) []byte {
	out := pppoe.Packet{Code: code, SessionID: sid, Tags: append([]pppoe.Tag{
		pppoe.StringTag(pppoe.TagServiceName, a.service), pppoe.StringTag(pppoe.TagACName, a.name)}, tags...)}
	if p, err := pppoe.ParsePacket(to.payload); err == nil {
		if u, ok := p.Find(pppoe.TagHostUniq); ok {
			out.Tags = append(out.Tags, pppoe.Tag{Type: pppoe.TagHostUniq, Data: u})
		}
	}
	return out.Append(nil)
}

func (a *acBot) say(from pppoe.MAC, to ether.Header, packet []byte) {
	h := to.Reply()
	h.Src = from
	h.Type = ether.TypeDiscovery
	if packet[1] == 0 {
		h.Type = ether.TypeSession
	}
	b := a.pool.Get()
	b.SetBytes(packet)
	ether.Prepend(b, &h)
	_, _ = a.port.WriteBatch([]*frame.Buf{b}) // the rig may have ended
	b.Put()
}

// callers brings up lines that each ask for a session and negotiate LCP; mute ones
// say nothing.
func (r *rig) callers(from, n int, mute ...bool) {
	r.t.Helper()
	for i := range n {
		name := fmt.Sprintf("virtual/%d", from+i)
		near, far := line.Pipe(line.Info{Name: name, Group: "virtual", Kind: "pipe", Remote: "test"}, r.pool, line.PipeOptions{})
		l := line.Over(far, line.Info{Name: "user of " + name}, r.pool)
		go negotiate(l, r.pool)
		r.lines.c <- near
		if len(mute) == 0 {
			put(l, r.pool, confReq(1, 5, 0xaa, 0xbb, byte(i>>8), byte(i)))
		}
	}
	synctest.Wait()
}

// negotiate agrees with whatever the AC asks for, until the line is closed.
func negotiate(l line.Line, pool *frame.Pool) {
	var batch [8]*frame.Buf
	for {
		n, err := l.Read(batch[:])
		for _, b := range batch[:n] {
			if isLCP(b.Bytes(), ppp.ConfigureRequest) {
				put(l, pool, ackOf(b.Bytes()))
			}
			b.Put()
		}
		if err != nil {
			l.Close()
			return
		}
	}
}

func put(l line.Line, pool *frame.Pool, f []byte) {
	b := pool.Get()
	b.SetBytes(f)
	_ = l.Write([]*frame.Buf{b}) // it may have been hung up
	b.Put()
}

// wantUp is how many sessions are open.
func (r *rig) wantUp(want int, why string) {
	r.t.Helper()
	synctest.Wait()
	if got := r.gw.Uplinks()[0].Sessions; got != want {
		r.t.Fatalf("%d sessions, want %d: %s", got, want, why)
	}
}

// acInfo is what the uplink says of an AC.
func (r *rig) acInfo(a *acBot) ACInfo {
	r.t.Helper()
	synctest.Wait()
	for _, ac := range r.gw.Uplinks()[0].ACs {
		if ac.MAC == a.mac.String() {
			return ac
		}
	}
	r.t.Fatalf("nothing is known of %s", a.name)
	return ACInfo{}
}

// newChoiceRig has ACs a and b, and no other.
func newChoiceRig(t *testing.T, change func(*config.Uplink)) (r *rig, a, b *acBot) {
	t.Helper()
	r = makeRig(t, func(c *config.Config) {
		u := &c.Uplinks[0]
		u.OfferWait = 100 * time.Millisecond
		u.Discovery.Timeout = 30 * time.Second
		u.Echo.Interval = 0
		u.Health = config.Health{Failures: 3, Min: 5 * time.Second, Max: 5 * time.Minute}
		c.Lines[0].FirstFrameTimeout = time.Hour
		if change != nil {
			change(u)
		}
	})
	seeded := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	r.jitter = func(n int64) int64 {
		mu.Lock()
		defer mu.Unlock()
		return seeded.Int64N(n)
	}
	r.ac.port.Close()
	a, b = r.newBot("bras-a", 0xa), r.newBot("bras-b", 0xb)
	r.start()
	return r, a, b
}

// equals are a and b, with one priority.
func equals(weightA, weightB int) func(*config.Uplink) {
	return func(u *config.Uplink) {
		u.AccessConcentrators = []config.AC{
			{Name: "bras-a", Priority: 1, Weight: weightA}, {Name: "bras-b", Priority: 1, Weight: weightB},
		}
	}
}

// An AC that refuses is left alone for longer and longer, asked by one search in
// between, and shares in the work again as soon as it serves.
func TestRefusingACIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a, b := newChoiceRig(t, equals(1, 1))
		a.set(func(a *acBot) { a.refuse = "session limit" })
		r.callers(0, 40)
		time.Sleep(200 * time.Millisecond)
		r.wantUp(40, "whoever is refused goes on to b at once")
		if e := r.wantEvent(EventACLeft, "three lines were refused"); e.MAC != a.mac.String() || !strings.Contains(e.Message, `the last "session limit"`) {
			t.Errorf("event %+v", e)
		}
		first := a.asked()
		if got := r.acInfo(a); got.State != "left alone" || got.Score != 0 || !strings.Contains(got.Why, "left alone for 5s: ") || got.Refusals == 0 || got.LeftAlone != 1 {
			t.Errorf("a: %+v", got)
		}
		if got := r.acInfo(b); got.State != "good" || got.Score != 1 || got.Sessions != 40 {
			t.Errorf("b: %+v", got)
		}

		r.callers(40, 40)
		time.Sleep(200 * time.Millisecond)
		r.wantUp(80, "all of them from b")
		if a.asked() != first {
			t.Errorf("a is left alone, and had %d PADRs", a.asked()-first)
		}

		// Four lines a second for two minutes.
		began := time.Now()
		for i := range 480 {
			r.callers(100+i, 1)
			time.Sleep(250 * time.Millisecond)
		}
		a.mu.Lock()
		probes := a.padrs[first:]
		a.mu.Unlock()
		if len(probes) != 4 {
			t.Fatalf("%d probes in two minutes, want 4: after 5, 10, 20 and 40 s more", len(probes))
		}
		last := began
		for i, least := range []time.Duration{4500 * time.Millisecond, 10 * time.Second, 20 * time.Second, 40 * time.Second} {
			if gap := probes[i].Sub(last); gap < least || gap > least+5*time.Second {
				t.Errorf("probe %d comes %v after the one before, want %v and a little", i+1, gap, least)
			}
			last = probes[i]
		}
		r.wantUp(560, "nobody is held up")

		a.set(func(a *acBot) { a.refuse = "" })
		r.sub.Close()
		r.sub = r.gw.Subscribe(10_000)
		for i := range 240 {
			r.callers(700+i, 1)
			time.Sleep(250 * time.Millisecond)
		}
		if e := r.wantEvent(EventACBack, "it serves again"); e.MAC != a.mac.String() {
			t.Errorf("event %+v", e)
		}
		if got := r.acInfo(a); got.State != "good" || got.Score != 1 || got.Sessions < 20 {
			t.Errorf("a serves again, and is: %+v", got)
		}
		r.end()
	})
}

// Lines that find the only AC left alone do not all ask it when its time is over: one
// does, and the others when that one was served.
func TestOneSearchProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a, b := newChoiceRig(t, nil)
		b.port.Close()
		a.set(func(a *acBot) { a.refuse = "session limit" })
		r.callers(0, 50)
		time.Sleep(time.Second)
		if n := a.asked(); n != 50 {
			t.Fatalf("%d PADRs of 50 lines that began together", n)
		}
		r.callers(100, 50)
		time.Sleep(14 * time.Second)
		if n := a.asked() - 50; n != 1 {
			t.Errorf("%d PADRs of 50 lines that wait, want that of the probe", n)
		}
		time.Sleep(30 * time.Second)
		r.wantUp(0, "they have given up")
		a.set(func(a *acBot) { a.refuse = "" })
		r.callers(200, 50)
		time.Sleep(200 * time.Millisecond)
		r.wantUp(1, "the probe")
		time.Sleep(2 * time.Second)
		r.wantUp(50, "and all others by their next PADI")
		r.end()
	})
}

func TestSearchSaysWhoIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a, b := newChoiceRig(t, func(u *config.Uplink) { u.Health.Min = time.Minute })
		b.port.Close()
		a.set(func(a *acBot) { a.refuse = "session limit" })
		r.callers(0, 3)
		time.Sleep(10 * time.Second)
		for range 3 {
			if e := r.wantEvent(EventLineDown, "refused"); e.Reason != ReasonRefused || e.Message != "bras-a refuses: session limit" {
				t.Errorf("%s: %q", e.Reason, e.Message)
			}
		}
		r.callers(10, 1)
		time.Sleep(31 * time.Second)
		e := r.wantEvent(EventLineDown, "nobody may be asked")
		if e.Reason != ReasonRefused || !strings.Contains(e.Message, "bras-a: left alone for ") || !strings.Contains(e.Message, `3 refusals in a row, the last "session limit"`) {
			t.Errorf("%s: %q", e.Reason, e.Message)
		}
		d := r.gw.Uplinks()[0].Discovery
		if d["failed_refused"] != 3 || d["failed_left_alone"] != 1 || d["left_alone"] != 1 {
			t.Errorf("counters: %v", d)
		}
		r.end()
	})
}

func TestEqualACsShareByWeight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a, b := newChoiceRig(t, equals(3, 1))
		for i := range 20 {
			r.callers(20*i, 20)
			time.Sleep(200 * time.Millisecond)
		}
		r.wantUp(400, "all are served")
		// 400 draws of 3 in 4: 300, with a standard deviation of 8.7.
		if n := a.sessions(); n < 270 || n > 330 {
			t.Errorf("a has %d of 400 sessions, and b %d", n, b.sessions())
		}
		ia, ib := r.acInfo(a), r.acInfo(b)
		if ia.Weight != 3 || ib.Weight != 1 || ia.Score != 1 || ib.Score != 1 || ia.Priority != 1 {
			t.Errorf("a: %+v\nb: %+v", ia, ib)
		}
		up := r.gw.Uplinks()[0]
		if up.SetUp.Count != 400 || up.SetUp.P99 < 90*time.Millisecond || up.SetUp.P99 > time.Second {
			t.Errorf("set-up times: %+v", up.SetUp)
		}
		if ia.SetUp.Count != uint64(a.sessions()) || up.ACs[0].Name != "bras-a" {
			t.Errorf("of a: %+v", ia.SetUp)
		}
		r.end()
	})
}

func TestPriority(t *testing.T) {
	byName := func(u *config.Uplink) {
		u.AccessConcentrators = []config.AC{{Name: "bras-a", Priority: 2, Weight: 1}, {Name: "bras-b", Priority: 1, Weight: 1}}
	}
	byMAC := func(u *config.Uplink) {
		u.AccessConcentrators = []config.AC{{MAC: pppoe.MAC{0x02, 0, 0, 0, 1, 0xb}}, {Name: "bras-a"}}
	}
	only := func(u *config.Uplink) { u.AccessConcentrators = []config.AC{{Name: "bras-b"}} }
	for _, tt := range []struct {
		name   string
		change func(*config.Uplink)
		others bool // a does for those whom b refuses
	}{{"by name", byName, true}, {"by address", byMAC, true}, {"no other will do", only, false}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, a, b := newChoiceRig(t, tt.change)
				b.set(func(b *acBot) { b.late = 50 * time.Millisecond })
				r.callers(0, 20)
				time.Sleep(200 * time.Millisecond)
				if b.sessions() != 20 || a.asked() != 0 {
					t.Fatalf("b has %d sessions, and a was asked %d times", b.sessions(), a.asked())
				}
				b.set(func(b *acBot) { b.refuse = "full" })
				r.callers(20, 20)
				time.Sleep(200 * time.Millisecond)
				if got := a.sessions() == 20; got != tt.others {
					t.Errorf("a has %d sessions", a.sessions())
				}
				if got := r.acInfo(a); tt.others && got.Score != 1 || !tt.others && got.State != stateNotWanted {
					t.Errorf("a: %+v", got)
				}
				r.end()
			})
		})
	}
}

// Offers of ACs that are not there, each faster than the real one's, hold up one
// search at a time, and the real AC is not forgotten for them.
func TestInventedACs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a, b := newChoiceRig(t, nil)
		b.port.Close()
		r.callers(0, 1)
		time.Sleep(200 * time.Millisecond)
		r.wantUp(1, "a is known")
		a.set(func(a *acBot) { a.invents = 20 })
		r.callers(10, 200)
		time.Sleep(600 * time.Millisecond)
		if n := r.gw.Uplinks()[0].Sessions; n < 200 {
			t.Errorf("%d of 201 have a session: the offers of invented ACs were taken", n)
		}
		time.Sleep(30 * time.Second)
		r.callers(300, 50)
		time.Sleep(500 * time.Millisecond)
		if n := r.gw.Uplinks()[0].Sessions; n < 249 {
			t.Errorf("%d of 251 have a session", n)
		}
		up := r.gw.Uplinks()[0]
		if len(up.ACs) > maxACs {
			t.Errorf("%d ACs are remembered", len(up.ACs))
		}
		if got := up.ACs[0]; got.MAC != a.mac.String() || got.Score != 1 || got.State != "good" {
			t.Errorf("the first is %+v", got)
		}
		r.end()
	})
}

// A session is no success if nothing ever comes on it.
func TestACWithoutPPP(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*acBot)
		wait time.Duration
	}{
		{"silent", func(a *acBot) { a.silent = true }, 42 * time.Second},
		{"ends each at once", func(a *acBot) { a.silent, a.closes = true, true }, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, a, b := newChoiceRig(t, func(u *config.Uplink) {
					u.AccessConcentrators = []config.AC{{Name: "bras-a"}, {Name: "bras-b"}}
				})
				a.set(tt.set)
				r.callers(0, 3)
				time.Sleep(tt.wait)
				if got := r.acInfo(a); got.Lost != 3 || got.State != "left alone" || !strings.Contains(got.Why, "3 sessions without a frame from it in a row") {
					t.Fatalf("a: %+v", got)
				}
				r.callers(10, 10)
				time.Sleep(200 * time.Millisecond)
				r.wantUp(10, "b serves them")
				if b.sessions() != 10 {
					t.Errorf("b has %d sessions", b.sessions())
				}
				time.Sleep(5 * time.Second)
				r.callers(30, 1)
				time.Sleep(tt.wait)
				if got := r.acInfo(a); got.Lost != 4 || got.LeftAlone != 2 {
					t.Errorf("the probe's session was no better, and a is %+v", got)
				}
				a.set(func(a *acBot) { a.silent, a.closes = false, false })
				time.Sleep(10 * time.Second)
				r.callers(20, 1)
				time.Sleep(200 * time.Millisecond)
				if got := r.acInfo(a); got.State != "good" || got.Sessions != 1 {
					t.Errorf("a speaks again, and is %+v", got)
				}
				r.end()
			})
		})
	}
}

// Users who open a session and say nothing are not the AC's fault.
func TestMuteUsersHarmNoAC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, a, b := newChoiceRig(t, nil)
		b.port.Close()
		a.set(func(a *acBot) { a.closes = true }) // for want of an LCP, as it were
		r.cfg.Lines[0].Open = config.OpenConnect
		r.callers(0, 5, true)
		time.Sleep(time.Second)
		if got := r.acInfo(a); got.Opened != 5 || got.Lost != 0 || got.State != "good" {
			t.Errorf("a: %+v", got)
		}
		r.end()
	})
}

// The session that users share goes by what the uplink has seen, as every other line.
func TestTrunkLeavesACsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := makeSharedRig(t, func(c *config.Config) {
			c.Uplinks[0].AccessConcentrators = []config.AC{{Name: "bras-a"}, {MAC: ispMAC}}
			c.Uplinks[0].OfferWait = 100 * time.Millisecond
			c.Uplinks[0].Health = config.Health{Failures: 1, Min: 10 * time.Minute, Max: time.Hour}
		})
		a := r.newBot("bras-a", 0xa)
		a.set(func(a *acBot) { a.refuse = "session limit" })
		r.begin()
		time.Sleep(time.Second)
		r.wantEvent(EventTrunkUp, "the second AC serves it")
		if n := a.asked(); n != 1 {
			t.Fatalf("the first was asked %d times", n)
		}
		r.isp.do(func(now time.Time) { s := r.isp.one(""); s.link.Close(now); s.drain(now) })
		time.Sleep(time.Minute)
		r.wantEvent(EventTrunkUp, "it is dialled again")
		if got := r.acInfo(a); a.asked() != 1 || got.State != "left alone" {
			t.Errorf("the first was asked %d times, and is %+v", a.asked(), got)
		}
		r.end()
	})
}

// A service that the AC has not, and that one session wants for itself, is nothing to
// the other lines of the uplink. What they all ask for is.
func TestRefusedService(t *testing.T) {
	for _, tt := range []struct {
		name, own, all string
		left           bool
	}{{"of one session", "gold", "", false}, {"of the uplink", "", "gold", true}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := makeSharedRig(t, func(c *config.Config) {
					u := &c.Uplinks[0]
					u.AccessConcentrators = []config.AC{{Name: "bras-a"}, {MAC: ispMAC}}
					u.ServiceName, c.Sessions[0].ServiceName = tt.all, tt.own
					u.OfferWait = 100 * time.Millisecond
					u.Health = config.Health{Failures: 1, Min: 10 * time.Minute, Max: time.Hour}
				})
				a := r.newBot("bras-a", 0xa)
				a.set(func(a *acBot) { a.refuse, a.tag, a.service = "not here", pppoe.TagServiceNameError, "gold" })
				r.begin()
				time.Sleep(time.Second)
				r.wantEvent(EventTrunkUp, "the second AC has it")
				if got := r.acInfo(a); got.Refusals != 1 || (got.State == "left alone") != tt.left {
					t.Errorf("a: %+v", got)
				}
				r.end()
			})
		})
	}
}
