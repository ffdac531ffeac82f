package gateway

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tributary/internal/config"
	"tributary/pppoe"
)

// gateTalk is a gate and its clock, without owners: leave is used as soon as it is given.
type gateTalk struct {
	t    *testing.T
	g    *gate
	now  time.Time
	sent []*session
	name map[*session]string
}

func newGateTalk(t *testing.T, cfg config.Uplink) *gateTalk {
	if cfg.PADIRate == 0 {
		cfg.PADIRate = 1_000_000
	}
	return &gateTalk{t: t, g: newGate(&cfg), now: time.Unix(1000, 0), name: map[*session]string{}}
}

// ask has a session ask for leave.
func (v *gateTalk) ask(s *session, our byte) {
	if v.g.enter(v.now, s, pppoe.MAC{2, our}) {
		v.use(s)
	}
}

// line is a new session that asks for leave.
func (v *gateTalk) line(name string, our byte) *session {
	s := new(session)
	v.name[s] = name
	v.ask(s, our)
	return s
}

func (v *gateTalk) use(s *session) {
	if !v.g.admits(s) {
		v.t.Fatalf("%s is called, and has no leave", v.name[s])
	}
	v.sent = append(v.sent, s)
	v.g.sent(v.now, s)
}

// to moves the clock to d after now, and everyone goes whose turn comes.
func (v *gateTalk) to(d time.Duration) {
	end := v.now.Add(d)
	for {
		s, wait := v.g.next(v.now)
		switch {
		case s != nil:
			v.use(s)
		case v.now.Add(wait).After(end):
			v.now = end
			return
		default:
			v.now = v.now.Add(wait)
		}
	}
}

// want holds that these have sent, in this order, since the last want.
func (v *gateTalk) want(why string, names ...string) {
	v.t.Helper()
	var got []string
	for _, s := range v.sent {
		got = append(got, v.name[s])
	}
	v.sent = nil
	if !slices.Equal(got, names) {
		v.t.Fatalf("%s: sent %v, want %v", why, got, names)
	}
}

// end holds that a gate whose lines have all gone knows nothing of them.
func (v *gateTalk) end() {
	v.t.Helper()
	for s := range v.name {
		v.g.done(s)
	}
	v.to(time.Hour)
	if len(v.g.stations) != 0 || v.g.waiting() != 0 || v.g.searching != 0 {
		v.t.Errorf("left: %d stations, %d waiting, %d searching", len(v.g.stations), v.g.waiting(), v.g.searching)
	}
	for i := range v.g.heaps {
		if n := v.g.heaps[i].Len(); n != 0 {
			v.t.Errorf("left: %d stations in heap %d", n, i)
		}
	}
}

func TestGateOneAddress(t *testing.T) {
	v := newGateTalk(t, config.Uplink{PADIInterval: time.Second})
	v.line("a", 1)
	v.want("the first goes at once", "a")
	b, c, d := v.line("b", 1), v.line("c", 1), v.line("d", 1)
	v.to(900 * time.Millisecond)
	v.want("the AC would not hear another one yet")
	v.to(100 * time.Millisecond)
	v.want("a second is over", "b")
	v.g.done(c)
	v.to(time.Second)
	v.want("c has hung up, and holds up nobody", "d")
	v.g.done(b)
	v.g.done(d)
	v.to(500 * time.Millisecond)
	v.line("e", 1)
	v.want("the address rests, also without anyone waiting")
	v.to(500 * time.Millisecond)
	v.want("in its turn", "e")
	v.end()
}

// Leave that was given and is not used costs nothing of the address's.
func TestGateLeaveUnused(t *testing.T) {
	v := newGateTalk(t, config.Uplink{PADIInterval: time.Second})
	a, b := new(session), new(session)
	v.name[a], v.name[b] = "a", "b"
	if !v.g.enter(v.now, a, pppoe.MAC{2, 1}) {
		t.Fatal("the first has no leave")
	}
	if v.g.enter(v.now, b, pppoe.MAC{2, 1}) {
		t.Fatal("two PADIs of one address at once")
	}
	if s, _ := v.g.next(v.now); s != nil {
		t.Fatal("the next has leave before the first has used his")
	}
	v.g.leave(a)
	v.to(0)
	v.want("the address has sent nothing", "b")
	v.end()
}

func TestGateAddressesDoNotWaitForEachOther(t *testing.T) {
	v := newGateTalk(t, config.Uplink{PADIInterval: time.Second})
	v.line("a1", 1)
	v.line("a2", 1)
	v.line("b1", 2)
	v.line("c1", 3)
	v.line("b2", 2)
	v.to(0)
	v.want("whoever has an address that may send", "a1", "b1", "c1")
	v.to(time.Second)
	v.want("then the next of each, in order of arrival", "a2", "b2")
	v.end()
}

func TestGateSearchesAtOnce(t *testing.T) {
	v := newGateTalk(t, config.Uplink{MaxDiscovering: 2})
	a := v.line("a", 1)
	b := v.line("b", 1)
	v.line("c", 1)
	v.line("d", 2)
	v.to(time.Minute)
	v.want("two may search", "a", "b")
	v.ask(b, 1)
	v.to(0)
	v.want("a search that is under way goes on", "b")
	v.g.done(a)
	v.to(0)
	v.want("one is over, and the next begins", "c")
	v.g.leave(b)
	v.to(0)
	v.want("b has its offers, and is searching still")
	v.g.done(b)
	v.g.done(b)
	v.to(0)
	v.want("over once", "d")
	v.end()
}

// While many begin, one PADI in four may ask once more, in order; alone, they have
// all there is.
func TestGateRepetitions(t *testing.T) {
	v := newGateTalk(t, config.Uplink{PADIRate: 10})
	x, y := v.line("x", 1), v.line("y", 1)
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		v.line(name, 1)
	}
	v.to(100 * time.Millisecond)
	v.want("ten a second, and one at once", "x", "y")
	v.ask(x, 1)
	v.ask(y, 1)
	v.ask(y, 1) // again is the same
	v.to(500 * time.Millisecond)
	v.want("three of those who came before stand in front", "a", "b", "c", "x", "d")
	v.to(300 * time.Millisecond)
	v.want("and three between two repetitions", "e", "f", "y")
	v.line("i", 1)
	v.ask(x, 1)
	v.to(300 * time.Millisecond)
	v.want("nobody is pushed aside", "g", "h", "i")
	v.ask(y, 1)
	v.to(200 * time.Millisecond)
	v.want("alone, they have all", "x", "y")
	v.end()
}

// A storm of random lines, some of which hang up, and ask once more: rate, interval
// and searches are kept, first PADIs of one address go in order, and all come to their turn.
func TestGateStorm(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		cfg := config.Uplink{PADIRate: 100, PADIInterval: time.Duration(r.IntN(3)) * 100 * time.Millisecond, MaxDiscovering: r.IntN(2) * 20}
		v := newGateTalk(t, cfg)
		type known struct {
			mac   byte
			begun int
			sent  int
			gone  bool
		}
		lines := map[*session]*known{}
		var all []*session
		seen := 0
		last := map[byte]time.Time{}
		newest := map[byte]int{}
		var times []time.Time
		check := func() {
			for ; seen < len(v.sent); seen++ {
				s := v.sent[seen]
				k := lines[s]
				if k.gone {
					t.Fatalf("seed %d: a line that has gone sends", seed)
				}
				if k.sent++; k.sent == 1 {
					if k.begun < newest[k.mac] {
						t.Fatalf("seed %d: line %d goes before one that came earlier", seed, k.begun)
					}
					newest[k.mac] = k.begun
				}
			}
			if n := v.g.searching; cfg.MaxDiscovering > 0 && n > cfg.MaxDiscovering {
				t.Fatalf("seed %d: %d searches at once", seed, n)
			}
		}
		step := func(d time.Duration) {
			end := v.now.Add(d)
			for v.now.Before(end) {
				was := len(v.sent)
				v.to(time.Millisecond)
				for _, s := range v.sent[was:] {
					mac := lines[s].mac
					if at, ok := last[mac]; ok && v.now.Sub(at) < cfg.PADIInterval-time.Millisecond {
						t.Fatalf("seed %d: address %d sends again after %v", seed, mac, v.now.Sub(at))
					}
					last[mac] = v.now
					times = append(times, v.now)
				}
				check()
			}
		}
		for i := range 400 {
			switch {
			case i < 200:
				s := new(session)
				lines[s] = &known{mac: byte(r.IntN(8)), begun: i}
				v.name[s] = "line"
				all = append(all, s)
				if v.g.enter(v.now, s, pppoe.MAC{2, lines[s].mac}) {
					v.use(s)
					last[lines[s].mac] = v.now
					times = append(times, v.now)
				}
			default:
				s := all[r.IntN(len(all))]
				switch k := lines[s]; {
				case k.gone:
				case k.sent > 0 && r.IntN(2) == 0:
					if v.g.enter(v.now, s, pppoe.MAC{2, k.mac}) {
						v.use(s)
						last[k.mac] = v.now
						times = append(times, v.now)
					}
				case r.IntN(3) == 0:
					v.g.done(s)
					k.gone = true
				}
			}
			check()
			if r.IntN(4) == 0 {
				step(time.Duration(1+r.IntN(30)) * time.Millisecond)
			}
		}
		for range 200 { // everyone's search ends some time after its last PADI
			step(100 * time.Millisecond)
			for _, s := range all {
				if k := lines[s]; k.sent > 0 && !k.gone && r.IntN(4) == 0 {
					v.g.done(s)
					k.gone = true
				}
			}
		}
		for _, s := range all {
			if k := lines[s]; k.sent == 0 && !k.gone {
				t.Fatalf("seed %d: line %d never had its turn", seed, k.begun)
			}
		}
		for i := range times {
			if n := 110; i >= n && times[i].Sub(times[i-n]) < time.Second {
				t.Fatalf("seed %d: more than %d PADIs within a second", seed, n)
			}
		}
		v.end()
	}
}
