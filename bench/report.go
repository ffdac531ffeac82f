//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// markdown is the results as RESULTS.md has them.
func (r *results) markdown() string {
	var b strings.Builder
	o := &r.opts
	fmt.Fprintf(&b, `%s, %v, %s. Other programs kept
%s cores busy meanwhile.

    %s

Medians of %d rounds of %v for each subject, lowest to highest in brackets. A frame has gone up, been
echoed by the access concentrator and come back down, so that a subject has carried it twice: once in
each direction. *us a frame* is the subject's processor time, user and system, for both. Each line has
at most *window* frames under way, so that all lines together have no more than %s. README.md says more.

`, r.began.Format("2006-01-02"), r.took.Round(time.Second), machine(), figures(r.others(), 2),
		command(os.Args), o.rounds, o.duration, listOf(o.totals))

	b.WriteString("| payload | lines | window | subject | frames/s | us a frame | cores | lost | AC us a frame | load us a frame |\n")
	b.WriteString("|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|\n")
	for _, c := range r.cells {
		for _, name := range o.subjects {
			ss := r.samples[c][name]
			cpu := func(s sample) float64 { return s.perFrame(s.subject) }
			fmt.Fprintf(&b, "| %d | %d | %d | %s | %s | %s | %.2f | %s | %.2f | %.2f |\n",
				c.payload, c.lines, o.windowOf(c), name,
				figures(spreadOf(each(ss, sample.rate)), 0), figures(spreadOf(each(ss, cpu)), 2),
				spreadOf(each(ss, func(s sample) float64 { return s.subject.Seconds() / s.took.Seconds() })).median,
				loss(ss),
				spreadOf(each(ss, func(s sample) float64 { return s.perFrame(s.ac) })).median,
				spreadOf(each(ss, func(s sample) float64 { return s.perFrame(s.generator) })).median)
		}
	}

	if len(o.subjects) > 1 {
		r.writeRatios(&b)
	}
	r.writeCeiling(&b)
	r.writeProfiles(&b)
	return b.String()
}

// others is how busy the machine was otherwise: figures of a busy one are worth less.
func (r *results) others() spread {
	var xs []float64
	for _, subjects := range r.samples {
		for _, ss := range subjects {
			xs = append(xs, each(ss, sample.others)...)
		}
	}
	return spreadOf(xs)
}

// writeRatios compares the first subject with each other one.
func (r *results) writeRatios(b *strings.Builder) {
	first := r.opts.subjects[0]
	fmt.Fprintf(b, "\nHow often %s's frames a second, and what part of its processor time a frame, against the others:\nmedians of the ratios in each round, and whether they reach what was set as a goal.\n\n", first)
	b.WriteString("| payload | lines | window | against | frames/s | goal | us a frame | goal |\n|--:|--:|--:|---|--:|---|--:|---|\n")
	for _, c := range r.cells {
		for _, name := range r.opts.subjects[1:] {
			mine, theirs := r.samples[c][first], r.samples[c][name]
			rate := spreadOf(ratios(mine, theirs, sample.rate))
			cost := spreadOf(ratios(mine, theirs, func(s sample) float64 { return s.perFrame(s.subject) }))
			var ofRate, ofTime goal
			if first == tributarySubject {
				k := goalKey{c.payload, c.lines, name}
				ofRate, ofTime = rateGoals[k], timeGoals[k]
			}
			fmt.Fprintf(b, "| %d | %d | %d | %s | %s times | %s | %s times | %s |\n", c.payload, c.lines, r.opts.windowOf(c), name,
				figures(rate, 2), ofRate.met(rate.median), figures(cost, 3), ofTime.met(cost.median))
		}
	}
}

// listOf is numbers as a sentence has them.
func listOf(ns []int) string {
	var b strings.Builder
	for i, n := range ns {
		switch {
		case i > 0 && i == len(ns)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprint(&b, n)
	}
	return b.String()
}

// writeCeiling says how fast the AC echoes without a subject. Were that near to
// what a subject reaches, the table would be about the AC.
func (r *results) writeCeiling(b *strings.Builder) {
	b.WriteString("\nThe access concentrator without a subject, the load on the other end of its Ethernet: what the echo can carry.\n\n")
	b.WriteString("| payload | frames/s | AC us a frame | load us a frame | lost |\n|--:|--:|--:|--:|--:|\n")
	for _, size := range r.opts.sizes {
		ss := r.ceiling[size]
		fmt.Fprintf(b, "| %d | %s | %s | %.2f | %s |\n", size, figures(spreadOf(each(ss, sample.rate)), 0),
			figures(spreadOf(each(ss, func(s sample) float64 { return s.perFrame(s.ac) })), 2),
			spreadOf(each(ss, func(s sample) float64 { return s.perFrame(s.generator) })).median, loss(ss))
	}
}

// writeProfiles says where the time goes.
func (r *results) writeProfiles(b *strings.Builder) {
	if len(r.profiles) == 0 {
		return
	}
	fmt.Fprintf(b, "\nWhere processor time goes, by perf, in a run of its own with %d frames under way; more in the texts of profile-LINESxPAYLOAD.txt.\n\n", r.profiles[0].cell.total)
	b.WriteString("| payload | lines | subject | share |\n|--:|--:|---|---|\n")
	for _, p := range r.profiles {
		text := strings.Join(p.shares.sorted(), ", ")
		if text == "" {
			text = "perf has seen nothing; -for is too short"
		}
		fmt.Fprintf(b, "| %d | %d | %s | %s |\n", p.cell.payload, p.cell.lines, p.subject, text)
	}
}

// figures is a median with its spread.
func figures(s spread, decimals int) string {
	return fmt.Sprintf("%.*f (%.*f..%.*f)", decimals, s.median, decimals, s.min, decimals, s.max)
}

// loss is the share of frames that did not come back, of all rounds together, and
// how many came back as they should not.
func loss(ss []sample) string {
	var t tally
	for _, s := range ss {
		t.add(s.tally)
	}
	text := "0"
	if t.lost > 0 {
		text = fmt.Sprintf("%d (%.3g %%)", t.lost, 100*float64(t.lost)/float64(max(t.sent, 1)))
	}
	if t.strange > 0 {
		text += fmt.Sprintf(", %d strange", t.strange)
	}
	return text
}

// command is how the program was started, without the path that go run made up.
func command(args []string) string {
	return strings.TrimSpace("go run ./bench " + strings.Join(args[1:], " "))
}

// machine is the processor and the kernel that the figures belong to.
func machine() string {
	model := runtime.GOARCH
	cpuinfo, _ := os.ReadFile("/proc/cpuinfo")
	for line := range bytes.Lines(cpuinfo) {
		if k, v, ok := strings.Cut(string(line), ":"); ok && strings.TrimSpace(k) == "model name" {
			model = strings.TrimSpace(v)
			break
		}
	}
	kernel := "unknown kernel"
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		kernel = "Linux " + unix.ByteSliceToString(u.Release[:])
	}
	rp := "no rp-pppoe"
	if text, err := exec.Command("/usr/sbin/pppoe", "-V").CombinedOutput(); err == nil {
		rp = lastLine(string(text))
	}
	return fmt.Sprintf("%s, %d cores, %s, %s, %s", model, runtime.NumCPU(), kernel, runtime.Version(), rp)
}
