//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"tributary/internal/ether"
)

// cell is one row of the table: so many lines, so large frames, so many of them
// under way on all lines together.
type cell struct{ lines, payload, total int }

func (c cell) String() string {
	return fmt.Sprintf("%d x %d, %d under way", c.lines, c.payload, c.total)
}

// sample is one measurement. A frame counts once when it has gone up, been
// echoed, and come down again: the subject has carried it twice.
type sample struct {
	tally
	took                   time.Duration
	subject, ac, generator time.Duration // processor time
	machine                time.Duration // all of it, other programs' too
}

func (s sample) rate() float64 { return float64(s.returned) / s.took.Seconds() }

// others is how many cores programs that have no part in this were busy with.
func (s sample) others() float64 {
	return max(0, (s.machine-s.subject-s.ac-s.generator).Seconds()/s.took.Seconds())
}

// perFrame is d shared among the frames, in microseconds.
func (s sample) perFrame(d time.Duration) float64 {
	return float64(d.Nanoseconds()) / 1e3 / float64(max(s.returned, 1))
}

// results is everything measured: subject by subject, one sample for each round.
type results struct {
	opts     options
	cells    []cell
	samples  map[cell]map[string][]sample
	ceiling  map[int][]sample // by payload: the AC without any subject
	profiles []profile
	began    time.Time
	took     time.Duration
}

// measureThroughput is how many frames a second each subject carries, and what a
// frame costs.
func measureThroughput(opts *options) (string, error) {
	o := *opts
	ac, _, err := startSelf("ac")
	if err != nil {
		return "", err
	}
	defer ac.stop()

	res := &results{opts: o, samples: make(map[cell]map[string][]sample), ceiling: make(map[int][]sample), began: time.Now()}
	for _, size := range o.sizes {
		for _, total := range o.totals {
			for _, n := range o.lines {
				c := cell{n, size, total}
				res.cells = append(res.cells, c)
				res.samples[c] = make(map[string][]sample)
			}
		}
	}
	for round := range o.rounds {
		for _, size := range o.sizes {
			s, err := measureCeiling(&o, ac, size)
			if err != nil {
				return "", fmt.Errorf("ceiling: %w", err)
			}
			res.ceiling[size] = append(res.ceiling[size], s)
		}
		for _, c := range res.cells {
			for _, name := range turn(o.subjects, round) {
				s, err := measure(&o, ac, name, c)
				if err != nil {
					return "", err
				}
				res.samples[c][name] = append(res.samples[c][name], s)
				fmt.Fprintf(os.Stderr, "round %d, %s: %-10s %9.0f frames/s, %7.2f us each, lost %d of %d, strange %d, control %d\n",
					round+1, c, name, s.rate(), s.perFrame(s.subject), s.lost, s.sent, s.strange, s.control)
			}
		}
	}
	res.took = time.Since(res.began)
	if o.profile != "" {
		if res.profiles, err = profileAll(&o, ac, res.profiled()); err != nil {
			return "", err
		}
	}
	return res.markdown(), nil
}

// profiled is the rows that perf looks at: those with most frames under way, in which
// a subject is busy and not waiting.
func (r *results) profiled() []cell {
	most := slices.Max(r.opts.totals)
	return slices.DeleteFunc(slices.Clone(r.cells), func(c cell) bool { return c.total != most })
}

// turn is what is measured, in another order for every round, so that nothing
// always runs after the same other.
func turn[T any](all []T, round int) []T {
	k := round % len(all)
	return slices.Concat(all[k:], all[:k])
}

func measure(o *options, ac *process, name string, c cell) (s sample, err error) {
	w := o.windowOf(c)
	r, err := start(name, o.binary, c.lines, c.payload, w)
	if err != nil {
		return s, fmt.Errorf("%s: %w", c, err)
	}
	defer r.stop()
	l, err := newLoad(r.fds, r.trains, w, o.burstOf(w))
	if err != nil {
		return s, err
	}
	defer l.close()
	s, err = underLoad(l, r, ac, o.warmUp, o.duration)
	if err != nil {
		return s, fmt.Errorf("%s: %s: %w", c, name, err)
	}
	if s.returned == 0 {
		return s, fmt.Errorf("%s: %s: nothing came back of %d frames", c, name, s.sent)
	}
	return s, r.alive()
}

// underLoad measures between two readings of all clocks and counts, after a
// warm-up and before the drain.
func underLoad(l *load, r *running, ac *process, warmUp, d time.Duration) (s sample, err error) {
	if err := l.run(warmUp); err != nil {
		return s, err
	}
	var before, after reading
	if err := before.take(l.tally(), r.processes, ac); err != nil {
		return s, err
	}
	if err := l.run(d); err != nil {
		return s, err
	}
	if err := after.take(l.tally(), r.processes, ac); err != nil {
		return s, err
	}
	if err := l.drain(); err != nil {
		return s, err
	}
	s = after.since(before)
	// What was under way at the end counts as well if it was lost.
	s.lost = l.tally().lost - before.tally.lost
	return s, nil
}

// reading is all clocks and counts at one time.
type reading struct {
	at                     time.Time
	tally                  tally
	subject, ac, generator time.Duration
	machine                time.Duration
}

func (r *reading) take(t tally, subject []*process, ac *process) (err error) {
	r.at, r.tally = time.Now(), t
	if r.subject, err = cpuTimes(subject); err != nil {
		return err
	}
	if r.ac, err = cpuTimes([]*process{ac}); err != nil {
		return err
	}
	if r.generator, err = cpuTime(os.Getpid()); err != nil {
		return err
	}
	r.machine, err = machineTime()
	return err
}

func (r reading) since(o reading) sample {
	return sample{
		tally: r.tally.minus(o.tally), took: r.at.Sub(o.at),
		subject: r.subject - o.subject, ac: r.ac - o.ac, generator: r.generator - o.generator, machine: r.machine - o.machine,
	}
}

// ceilingWindow is how many frames are under way when the AC is measured alone:
// enough that neither side waits for the other for long.
const ceilingWindow = 16 * maxBatch

// measureCeiling measures the AC alone: the load talks Ethernet to it.
func measureCeiling(o *options, ac *process, payload int) (s sample, err error) {
	fd, err := openPacket(userEnd)
	if err != nil {
		return s, err
	}
	defer unix.Close(fd)
	wait := unix.NsecToTimeval((maxProbes * patience).Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return s, err
	}
	rec := record{size: ethOverhead + 2 + payload, payload: payload, hdr: ether.Header{Dst: acMAC, Src: userMAC, Type: ether.TypeSession}, sid: 1}
	frame := rec.append(nil, pppFrame(0, payload, rand.New(rand.NewPCG(0, 0))))
	in, out := newInbox(maxBatch), newBatch(maxBatch)
	var t tally
	var before, after reading
	began := time.Now()
	measuring := false
	for {
		now := time.Now()
		if !measuring && now.Sub(began) >= o.warmUp {
			measuring = true
			if err := before.take(t, nil, ac); err != nil {
				return s, err
			}
		}
		if now.Sub(began) >= o.warmUp+o.duration {
			break
		}
		for int(t.sent-t.returned-t.lost)+maxBatch <= ceilingWindow {
			for range maxBatch {
				out.add(frame)
			}
			t.sent += maxBatch
			if err := out.send(fd); err != nil {
				return s, err
			}
		}
		n, err := in.receive(fd, unix.MSG_WAITFORONE)
		if err != nil {
			return s, err
		}
		t.returned += uint64(n)
		if n == 0 {
			t.lost = t.sent - t.returned
		}
	}
	if err := after.take(t, nil, ac); err != nil {
		return s, err
	}
	return after.since(before), nil
}
