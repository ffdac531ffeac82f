//go:build linux

package main

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		xs   []float64
		want spread
	}{
		{nil, spread{}},
		{[]float64{3}, spread{3, 3, 3}},
		{[]float64{9, 1, 2}, spread{2, 1, 9}},
		{[]float64{4, 1, 2, 9}, spread{3, 1, 9}},
	} {
		if got := spreadOf(c.xs); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.xs, got, c.want)
		}
	}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	fast := []sample{{tally: tally{returned: 20}, took: time.Second}, {tally: tally{returned: 2}, took: time.Second}}
	slow := []sample{{tally: tally{returned: 10}, took: time.Second}, {tally: tally{returned: 1}, took: time.Second}}
	if got, want := ratios(fast, slow, sample.rate), []float64{2, 2}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v: what slowed both down in the second round has to cancel out", got, want)
	}
}

func TestEverySubjectHasEveryPlace(t *testing.T) {
	first := make(map[string]bool)
	for round := range allSubjects {
		order := turn(allSubjects, round)
		first[order[0]] = true
		if len(order) != len(allSubjects) {
			t.Fatalf("round %d: %v", round, order)
		}
	}
	if len(first) != len(allSubjects) {
		t.Errorf("only %v ever came first", first)
	}
}

func TestWhatAStackWasDoing(t *testing.T) {
	const script = `
	ffffffff81 _copy_to_iter
	ffffffff82 ksys_read
	ffffffff83 entry_SYSCALL_64_after_hwframe
	    47f1ce internal/runtime/syscall/linux.Syscall6
	    5a0000 tributary/internal/line.(*async).Read

	    5a0001 tributary/hdlc.(*Decoder).run
	    5a0002 tributary/internal/line.(*async).decode

	    400001 runtime.memmove
	    5a0003 tributary/hdlc.AppendFrame

	    400002 runtime.findRunnable
	    400003 runtime.schedule
`
	got, err := readStacks(strings.NewReader(script))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Go: scheduler 25 %", "hdlc: decode 25 %", "hdlc: encode 25 %", "kernel: read 25 %"}
	if s := got.sorted(); !slices.Equal(s, want) {
		t.Errorf("%q, want %q", s, want)
	}
}

func TestProcessorTimeOfAProcess(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for {
		now, err := cpuTime(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if now > before {
			return // it is the clock of work done: this loop drives it
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := parseOptions([]string{"-lines", "1, 16", "-sizes", "64"})
	if err != nil || !slices.Equal(o.lines, []int{1, 16}) || !slices.Equal(o.sizes, []int{64}) {
		t.Errorf("%+v, %v", o, err)
	}
	if !slices.Equal(o.totals, []int{256, 1024}) {
		t.Errorf("totals are %v if nothing is said", o.totals)
	}
	for _, bad := range [][]string{{"-lines", "0"}, {"-lines", "x"}, {"-sizes", "7"}, {"-sizes", "1491"}, {"-rounds", "0"}, {"-total", "0"}, {"-total", "256,"}, {"-latency-lines", "x"}} {
		if _, err := parseOptions(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestWindowOf(t *testing.T) {
	o, err := parseOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ lines, total, window, burst int }{
		{1, 256, 256, 16},
		{1, 1024, 512, 16}, // -window
		{16, 1024, 64, 16},
		{64, 256, 4, 1},
		{500, 256, 1, 1},
	} {
		w := o.windowOf(cell{c.lines, 64, c.total})
		if w != c.window || o.burstOf(w) != c.burst {
			t.Errorf("%d lines, %d in all: window %d, burst %d; want %d, %d", c.lines, c.total, w, o.burstOf(w), c.window, c.burst)
		}
	}
}

func TestProfilesAreOfTheBusyRows(t *testing.T) {
	r := results{opts: options{totals: []int{256, 1024}}, cells: []cell{{1, 64, 256}, {16, 64, 256}, {1, 64, 1024}, {16, 64, 1024}}}
	if got, want := r.profiled(), []cell{{1, 64, 1024}, {16, 64, 1024}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestGoals(t *testing.T) {
	for _, c := range []struct {
		goal goal
		of   float64
		want string
	}{
		{rateGoals[goalKey{64, 16, rpPPPoESubject}], 15, "at least 15: yes"},
		{rateGoals[goalKey{64, 16, rpPPPoESubject}], 14.99, "at least 15: no"},
		{rateGoals[goalKey{1400, 16, rpPPPoESubject}], 10.5, "at least 10: yes"},
		{timeGoals[goalKey{1400, 64, rpPPPoESubject}], 0.033, "at most 1/30: yes"},
		{timeGoals[goalKey{1400, 64, rpPPPoESubject}], 0.034, "at most 1/30: no"},
		{timeGoals[goalKey{1400, 16, floorSubject}], 1.6, "at most 1.6: yes"},
		{timeGoals[goalKey{1400, 1, floorSubject}], 1, ""},
		{rateGoals[goalKey{512, 1, rpPPPoESubject}], 9, ""},
	} {
		if got := c.goal.met(c.of); got != c.want {
			t.Errorf("%q of %v, want %q", got, c.of, c.want)
		}
	}
}

func TestListOf(t *testing.T) {
	for want, ns := range map[string][]int{"7": {7}, "7 or 8": {7, 8}, "7, 8 or 9": {7, 8, 9}} {
		if got := listOf(ns); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestReport(t *testing.T) {
	o, err := parseOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := cell{1, 64, 256}
	s := sample{tally: tally{sent: 1000, returned: 990, lost: 10}, took: time.Second, subject: 99 * time.Millisecond}
	r := results{
		opts: o, cells: []cell{c}, began: time.Unix(0, 0), ceiling: map[int][]sample{64: {s}},
		samples:  map[cell]map[string][]sample{c: {tributarySubject: {s}, rpPPPoESubject: {s}, floorSubject: {s}}},
		profiles: []profile{{c, tributarySubject, shares{"line": 1}}},
	}
	text := r.markdown()
	for _, want := range []string{
		"| 64 | 1 | 256 | tributary | 990 (990..990) | 100.00 (100.00..100.00) | 0.10 | 10 (1 %) |",
		"| 64 | 1 | 256 | rp-pppoe | 1.00 (1.00..1.00) times | at least 2.5: no | 1.000 (1.000..1.000) times | at most 1/2: no |",
		"| 64 | 1 | 256 | floor | 1.00 (1.00..1.00) times |  | 1.000 (1.000..1.000) times |  |",
		"no more than 256 or 1024.",
		"with 256 frames under way; more",
		"| 64 | 1 | tributary | line 100 % |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestMachineTimeLeavesIdleOut(t *testing.T) {
	got, err := parseMachineTime("cpu  100 20 30 4000 500 6 7 8 9 9\ncpu0 1 2 3\n")
	if want := 1710 * time.Millisecond; err != nil || got != want {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	for _, bad := range []string{"", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8", "cpu a b c d e f g h"} {
		if _, err := parseMachineTime(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
