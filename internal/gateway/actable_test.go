package gateway

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"tributary/internal/config"
	"tributary/pppoe"
)

// A tableTalk is searches that go by one table of ACs, each step with its time.
type tableTalk struct {
	t *testing.T
	*acTable
}

func newTableTalk(t *testing.T, acs ...config.AC) *tableTalk {
	return &tableTalk{t, newACTable(&config.Uplink{
		AccessConcentrators: acs, Health: config.Health{Failures: 3, Min: 5 * time.Second, Max: 5 * time.Minute},
	})}
}

func acAt(n int) pppoe.MAC { return pppoe.MAC{2, 0, 0, 1, byte(n >> 8), byte(n)} }

// offer is a PADO to a search: it is filed, and judged.
func (v *tableTalk) offer(seconds float64, who searcher, mac pppoe.MAC, place int) pppoe.Rank {
	o := pppoe.Offer{AC: mac, ACName: "ac-" + mac.String()[12:]}
	v.offered(at(seconds), o, 0)
	return v.rank(at(seconds), who, o, place, false)
}

// serves has an AC give a session, as an ordinary search sees it.
func (v *tableTalk) serves(seconds float64, mac pppoe.MAC) {
	who := v.begin("served")
	v.offer(seconds, who, mac, 0)
	v.asked(who, mac)
	v.granted(at(seconds), who, pppoe.Session{AC: mac}, time.Millisecond, time.Millisecond)
}

func (v *tableTalk) wantRank(what string, got, want pppoe.Rank) {
	v.t.Helper()
	if got != want {
		v.t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

func TestTablePriorities(t *testing.T) {
	v := newTableTalk(t,
		config.AC{Name: "d"},
		config.AC{Name: "b", Priority: 1, Weight: 3},
		config.AC{MAC: acAt(1), Priority: 7},
		config.AC{Name: "c", Priority: 7, Weight: 2})
	// The list's first has priority 1, by its place.
	want := []pppoe.Preference{{Name: "d"}, {Name: "b"}, {MAC: acAt(1)}, {Name: "c"}}
	if !slices.Equal(v.prefer, want) {
		t.Fatalf("preferences %v", v.prefer)
	}
	who := v.begin("x")
	v.wantRank("one of two of priority 1", v.offer(0, who, acAt(8), 0), pppoe.Rank{Weight: 1})
	v.wantRank("the other", v.rank(at(0), who, pppoe.Offer{AC: acAt(9)}, 1, false), pppoe.Rank{Order: int(standsStranger), Weight: 3})
	v.wantRank("listed by its address: no stranger", v.offer(0, who, acAt(1), 2), pppoe.Rank{Order: int(numStandings), Weight: 1})
	v = newTableTalk(t, config.AC{Name: "a"}, config.AC{Name: "b"})
	who = v.begin("x")
	v.wantRank("the only one of its priority needs no weight", v.offer(0, who, acAt(1), 1), pppoe.Rank{Order: int(numStandings)})
	v = newTableTalk(t)
	who = v.begin("x")
	v.wantRank("nobody is preferred: the first that answers", v.offer(0, who, acAt(1), 0), pppoe.Rank{})
}

// An AC that has never opened a session is as good as the others for one search at a
// time, and for fewer when that goes wrong.
func TestTableStrangers(t *testing.T) {
	stranger := pppoe.Rank{Order: int(standsStranger)}
	v := newTableTalk(t)
	v.serves(0, acAt(1))
	a, b, c := v.begin("a"), v.begin("b"), v.begin("c")
	v.wantRank("the first search tries it", v.offer(1, a, acAt(2), 0), pppoe.Rank{})
	v.wantRank("and no other stranger", v.offer(1, a, acAt(3), 0), stranger)
	v.wantRank("the second does not", v.offer(1, b, acAt(2), 0), stranger)
	v.wantRank("it has the one that serves", v.offer(1, b, acAt(1), 0), pppoe.Rank{})
	v.asked(a, acAt(1))
	v.wantRank("the first asked another: now the second may", v.offer(1, b, acAt(3), 0), pppoe.Rank{})
	v.asked(b, acAt(3))
	v.missed(at(8), b, acAt(3))
	v.wantRank("nobody was there: no trial for 5 s", v.offer(12.9, c, acAt(4), 0), stranger)
	v.wantRank("then one more", v.offer(13, c, acAt(4), 0), pppoe.Rank{})
	v.asked(c, acAt(4))
	v.missed(at(20), c, acAt(4))
	d := v.begin("d")
	v.wantRank("10 s now", v.offer(29.9, d, acAt(5), 0), stranger)
	v.wantRank("and one more", v.offer(30, d, acAt(5), 0), pppoe.Rank{})
	v.asked(d, acAt(5))
	v.granted(at(30), d, pppoe.Session{AC: acAt(5)}, time.Millisecond, time.Millisecond)
	e := v.begin("e")
	v.wantRank("that one serves", v.offer(30, e, acAt(5), 0), pppoe.Rank{})
	v.wantRank("and the next stranger has its trial at once", v.offer(30, e, acAt(6), 0), pppoe.Rank{})
	v.over(e)
	v.wantRank("the search is over", v.offer(30, v.begin("f"), acAt(7), 0), pppoe.Rank{})
}

func TestTableStandings(t *testing.T) {
	v := newTableTalk(t)
	for i := range 4 {
		v.serves(0, acAt(i))
	}
	who := v.begin("x")
	v.refused(at(10), v.begin("a"), pppoe.ClientRefused{AC: acAt(1), Code: pppoe.PADS, Message: "full"}, false)
	v.wantRank("has refused just now", v.offer(11, who, acAt(1), 0), pppoe.Rank{Order: int(standsSuspect)})
	v.wantRank("has served since nobody asked it", v.offer(15, who, acAt(1), 0), pppoe.Rank{})
	v.refused(at(20), v.begin("a"), pppoe.ClientRefused{AC: acAt(2), Code: pppoe.PADS, Message: "no such service"}, true)
	v.wantRank("has refused what nobody else asks for", v.offer(20, who, acAt(2), 0), pppoe.Rank{})
	for range 20 {
		v.granted(at(20), v.begin("a"), pppoe.Session{AC: acAt(3)}, 3*time.Second, 3*time.Second)
	}
	v.wantRank("is slow", v.offer(20, who, acAt(3), 0), pppoe.Rank{Order: int(standsSlow)})
	for i := range 3 {
		v.missed(at(20), v.begin(fmt.Sprint("b", i)), acAt(0))
	}
	v.wantRank("is left alone", v.offer(20, who, acAt(0), 0), pppoe.Rank{Leave: true})
	v.wantRank("is probed", v.offer(25, who, acAt(0), 0), pppoe.Rank{})
	v.asked(who, acAt(1))
	v.wantRank("by another one, since the first asked elsewhere", v.offer(25, v.begin("y"), acAt(0), 0), pppoe.Rank{})

	infos, _ := v.info(at(25))
	var got []string
	for _, ac := range infos {
		got = append(got, fmt.Sprintf("%s %d %s", ac.MAC[15:], ac.Score, ac.State))
	}
	want := []string{"01 1 good", "02 1 good", "03 2 slow", "00 0 left alone"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A flood of invented ACs is in its own way, and not in that of ACs that serve, that
// have served, or that the operator knows.
func TestTableForgetsInventedACs(t *testing.T) {
	v := newTableTalk(t, config.AC{MAC: acAt(1)}, config.AC{Name: "any"})
	who := v.begin("x")
	v.offer(0, who, acAt(1), 0)
	v.serves(0, acAt(2))
	v.serves(0, acAt(3))
	v.closed(at(1), v.begin("served"), acAt(3), false)
	for i := range 10 * maxACs {
		v.offer(2+float64(i)/1000, who, acAt(1000+i), 1)
	}
	if len(v.acs) != maxACs {
		t.Errorf("%d ACs are remembered", len(v.acs))
	}
	for i := 1; i <= 3; i++ {
		if v.acs[acAt(i)] == nil {
			t.Errorf("AC %d is forgotten", i)
		}
	}
	// Those that once served have to go in the end, if nothing else is left to go.
	v = newTableTalk(t)
	for i := range maxACs {
		v.serves(float64(i), acAt(i))
		if i > 0 {
			v.closed(at(float64(i)), v.begin("served"), acAt(i), false)
		}
	}
	if v.offer(300, who, acAt(5000), 0); v.acs[acAt(5000)] != nil || len(v.acs) != maxACs {
		t.Error("an AC that served within the hour is forgotten")
	}
	if v.offer(3700, who, acAt(5000), 0); v.acs[acAt(5000)] == nil || v.acs[acAt(1)] != nil || v.acs[acAt(0)] == nil {
		t.Error("the AC that nobody has seen for longest is to be forgotten, and has no session")
	}
}

// What nobody knows an AC by is nothing that counts.
func TestTableOfUnknownACs(t *testing.T) {
	v := newTableTalk(t)
	who := v.begin("x")
	if v.missed(at(0), who, acAt(1)) || v.closed(at(0), who, acAt(1), true) || v.proved(acAt(1)) {
		t.Error("an AC that was never heard of has failed")
	}
	if words, _ := v.why(at(0), acAt(1)); words != "" {
		t.Errorf("%q of nobody", words)
	}
	v.over(who)
}

func configOf(failures int) *config.Uplink {
	return &config.Uplink{Health: config.Health{Failures: failures, Min: 5 * time.Second, Max: 5 * time.Minute}}
}
