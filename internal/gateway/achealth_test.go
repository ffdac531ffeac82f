package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tributary/internal/config"
)

// A healthTalk is what searches do with one AC, each step with its time and reason.
type healthTalk struct {
	t      *testing.T
	h      health
	policy config.Health
	ids    map[string]uint64
}

var healthStart = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newHealthTalk(t *testing.T, failures int) *healthTalk {
	return &healthTalk{t: t, policy: config.Health{Failures: failures, Min: 5 * time.Second, Max: 5 * time.Minute}, ids: map[string]uint64{}}
}

// who is a search of a line, "a" or "a/2" for the second one of line a.
func (v *healthTalk) who(name string) searcher {
	if v.ids[name] == 0 {
		v.ids[name] = uint64(len(v.ids) + 1)
	}
	line, _, _ := strings.Cut(name, "/")
	return searcher{id: v.ids[name], line: line}
}

func at(seconds float64) time.Time {
	return healthStart.Add(time.Duration(seconds * float64(time.Second)))
}

func (v *healthTalk) fails(seconds float64, name string, f failure, why string, left bool) {
	v.t.Helper()
	if got := v.h.fail(at(seconds), v.policy, f, v.who(name), "full"); got != left {
		v.t.Fatalf("at %vs %s fails: left alone is %v, want %v: %s", seconds, name, got, left, why)
	}
}

func (v *healthTalk) may(seconds float64, name, why string, want bool) {
	v.t.Helper()
	if got := v.h.may(at(seconds), v.policy, v.who(name), false); got != want {
		v.t.Fatalf("at %vs %s may ask: %v, want %v: %s", seconds, name, got, want, why)
	}
}

func (v *healthTalk) leftAlone(f failure) {
	v.t.Helper()
	v.fails(0, "a", f, "one is none", false)
	v.fails(0, "b", f, "two are none", false)
	v.fails(0, "c", f, "three are a row", true)
}

func TestHealthLeavesAloneAndProbes(t *testing.T) {
	v := newHealthTalk(t, 3)
	v.may(0, "a", "nothing is known", true)
	v.leftAlone(failRefused)
	v.may(4.9, "d", "it is left alone for 5 s", false)
	v.may(5, "d", "then one may ask", true)
	v.may(5, "d", "that one, as often as it offers", true)
	v.may(5, "e", "and nobody else", false)
	v.fails(5.1, "d", failRefused, "it was too early", true)
	v.may(15, "e", "it is left alone for 10 s now", false)
	v.may(15.1, "e", "then one may ask again", true)
	if !v.h.succeed(stageDiscovery) {
		t.Fatal("a PADS does not bring it back")
	}
	for _, name := range []string{"f", "g", "a/2"} {
		v.may(15.2, name, "it serves again", true)
	}
	v.fails(16, "a/2", failRefused, "a new row", false)
	v.fails(16, "b/2", failRefused, "a new row", false)
	v.fails(16, "c/2", failRefused, "a new row", true)
	v.may(21, "h", "which begins with 5 s", true)
}

// The pause doubles with each probe that fails, and ends at max.
func TestHealthBackOff(t *testing.T) {
	v := newHealthTalk(t, 3)
	v.leftAlone(failUnanswered)
	now := 0.0
	for i, want := range []float64{5, 10, 20, 40, 80, 160, 300, 300} {
		name := fmt.Sprint("probe", i)
		v.may(now+want-0.1, name, "too early", false)
		now += want
		v.may(now, name, "the pause is over", true)
		v.fails(now, name, failUnanswered, "nothing is better", true)
	}
}

// What was asked before the AC was left alone fails for the same reason: a hundred
// refusals of one moment are one.
func TestHealthCountsOneBadMomentOnce(t *testing.T) {
	v := newHealthTalk(t, 3)
	v.leftAlone(failRefused)
	for i := range 100 {
		v.fails(0.1, fmt.Sprint("line", i), failRefused, "it was under way", false)
	}
	v.may(5, "d", "the pause is what it was", true)
	v.fails(5.5, "late", failRefused, "it was no probe", false)
	v.may(5.5, "e", "the probe is still out", false)
}

// A probe of which nothing is heard, or that asks another AC, holds up nobody for ever.
func TestHealthProbeIsGivenBack(t *testing.T) {
	v := newHealthTalk(t, 3)
	v.leftAlone(failRefused)
	v.may(5, "d", "the probe", true)
	v.h.drop(v.who("d").id)
	v.may(5, "e", "d asked another AC", true)
	v.may(64.9, "f", "e is at it", false)
	v.may(65, "f", "e has had a minute", true)
	v.fails(65.1, "e", failRefused, "e comes too late: it was no probe any more", false)
	if !v.h.may(at(66), v.policy, v.who("f"), true) {
		t.Error("f has the turn, and is refused it")
	}
	if v.h.may(at(300), v.policy, v.who("g"), true) {
		t.Error("who is busy elsewhere took the turn")
	}
}

// One line that is refused for a reason of its own, again and again, does not take
// the AC away from the others.
func TestHealthOfOneLine(t *testing.T) {
	v := newHealthTalk(t, 3)
	for i := range 50 {
		v.fails(float64(i), fmt.Sprint("till/", i), failRefused, "it is always the same line", false)
	}
	v.may(50, "b", "others are served", true)
	v.fails(51, "b", failRefused, "a second line", false)
	v.fails(52, "c", failRefused, "a third line", true)
	v.may(57, "till/50", "it has failed: others go first", false)
	v.may(57, "d", "others", true)
	v.h.drop(v.who("d").id)
	v.may(61.9, "till/51", "a pause later it is its turn too", false)
	v.may(62, "till/52", "nobody else has come", true)
}

// Sessions that are given and carry nothing: a PADS is no sign that all is well.
func TestHealthOfDeadSessions(t *testing.T) {
	v := newHealthTalk(t, 3)
	for _, name := range []string{"a", "b"} {
		v.h.succeed(stageDiscovery)
		v.fails(0, name, failLost, "no frame came", false)
	}
	v.h.succeed(stageDiscovery)
	v.fails(0, "c", failLost, "the third", true)
	v.may(5, "d", "the probe", true)
	if v.h.succeed(stageDiscovery) {
		t.Fatal("a PADS brought it back")
	}
	v.may(6, "e", "the session has not spoken yet", false)
	v.fails(45, "d", failLost, "and never did", true)
	v.may(55, "e", "10 s later", true)
	if !v.h.succeed(stageSession) {
		t.Fatal("a session that speaks does not bring it back")
	}
	v.may(55, "f", "it serves", true)
}

func TestHealthNeverLeavesAlone(t *testing.T) {
	v := newHealthTalk(t, 0)
	for i := range 20 {
		v.fails(0, fmt.Sprint("line", i), failRefused, "failures: 0", false)
		v.may(0, "x", "failures: 0", true)
	}
	v = newHealthTalk(t, 1)
	v.fails(0, "a", failRefused, "failures: 1", true)
	v.may(5, "a/2", "the one line there is: after twice the pause", false)
	v.may(10, "a/2", "the one line there is", true)
}

func TestHealthSuspect(t *testing.T) {
	v := newHealthTalk(t, 3)
	if v.h.suspect(at(0), v.policy) {
		t.Error("suspect of nothing")
	}
	v.fails(0, "a", failRefused, "one", false)
	if !v.h.suspect(at(4.9), v.policy) || v.h.suspect(at(5), v.policy) {
		t.Error("a failure is fresh for 5 s")
	}
	v.h.succeed(stageDiscovery)
	if v.h.suspect(at(0.1), v.policy) {
		t.Error("a session has been opened since")
	}
}

func TestHealthInWords(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(v *healthTalk)
		at   float64
		want string
	}{
		{"nothing", func(*healthTalk) {}, 0, ""},
		{"one", func(v *healthTalk) { v.fails(0, "a", failRefused, "", false) }, 1, `1 refusal, the last "full"`},
		{"left alone", func(v *healthTalk) { v.leftAlone(failRefused) }, 0.2, `left alone for 5s: 3 refusals in a row, the last "full"`},
		{"nearly over", func(v *healthTalk) { v.leftAlone(failRefused) }, 4.9999, `left alone for 1s: 3 refusals in a row, the last "full"`},
		{"over", func(v *healthTalk) { v.leftAlone(failRefused) }, 5, `the next search finds out whether it serves again: 3 refusals in a row, the last "full"`},
		{"a probe", func(v *healthTalk) { v.leftAlone(failRefused); v.may(5, "d", "", true) }, 6,
			`one search finds out whether it serves again: 3 refusals in a row, the last "full"`},
		{"both kinds", func(v *healthTalk) {
			v.fails(0, "a", failRefused, "", false)
			v.fails(0, "b", failUnanswered, "", false)
			v.h.message = ""
		}, 1, `1 refusal and 1 offer without a PADS in a row`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := newHealthTalk(t, 3)
			tt.do(v)
			if got := v.h.why(at(tt.at), v.policy); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// An AC is slow or not; it does not become so and back with every session.
func TestPace(t *testing.T) {
	var p acPace
	for i := range 100 {
		p.observe(at(float64(i)), 10*time.Millisecond)
	}
	if p.isSlow(at(100)) {
		t.Fatal("10 ms are slow")
	}
	n := 0
	for ; !p.slow; n++ {
		p.observe(at(100), 3*time.Second)
	}
	if n < 3 {
		t.Errorf("%d bad moments made it slow", n)
	}
	p.observe(at(101), 700*time.Millisecond)
	if !p.isSlow(at(101)) {
		t.Error("one good moment made it fast")
	}
	for range 40 {
		p.observe(at(102), 100*time.Millisecond)
	}
	if p.isSlow(at(102)) {
		t.Error("still slow at 100 ms")
	}
	for range 40 {
		p.observe(at(103), 3*time.Second)
	}
	if !p.isSlow(at(103)) || p.isSlow(at(103).Add(paceHolds+1)) {
		t.Error("what nobody has seen for long is forgotten")
	}
}

func TestSetUpTimes(t *testing.T) {
	var h setUpTimes
	if got := h.info(); got.Count != 0 || got.P99 != 0 || len(got.Buckets) != len(setUpBounds) {
		t.Errorf("of nothing: %+v", got)
	}
	h.observe(-time.Second)
	if got := h.info(); got.Count != 1 || got.P50 != 0 || got.Sum != 0 {
		t.Errorf("of a clock that went back: %+v", got)
	}
	h = setUpTimes{}
	for i := range 100 {
		h.observe(time.Duration(i+1) * time.Millisecond)
	}
	h.observe(time.Hour)
	got := h.info()
	for i, b := range got.Buckets {
		want := min(uint64(setUpBounds[i]/time.Millisecond), 100)
		if b.LE != setUpBounds[i] || b.Count != want {
			t.Errorf("bucket %d: %+v, want %d", i, b, want)
		}
	}
	near := func(d, want time.Duration) bool { return d >= want-time.Millisecond && d <= want+time.Millisecond }
	if got.Count != 101 || got.Max != time.Hour || !near(got.P50, 51*time.Millisecond) || !near(got.P90, 91*time.Millisecond) {
		t.Errorf("%+v", got)
	}
	if h.quantile(100) != time.Hour {
		t.Errorf("the longest is %v", h.quantile(100))
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 7: "7ns", 1_936_800: "1.9ms", 19_368_000: "19ms", 999 * time.Millisecond: "1s", 2149 * time.Millisecond: "2.1s", 61 * time.Second: "1m1s",
	} {
		if got := short(d); got != want {
			t.Errorf("%d: %q, want %q", d, got, want)
		}
	}
}
