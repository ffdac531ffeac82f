//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tributary/internal/ether"
)

// The latency measurement: how long a frame is on its way to the access
// concentrator and back, at a fixed rate, for each subject. The rates are parts of
// what that subject carries at most.

// The parts of a subject's capacity that it is measured at.
var loadShares = []float64{0.1, 0.8}

// latencyWindow is how many frames may be under way on a line here. A subject that
// does not keep up with the pace is seen by that, and by its delays.
const latencyWindow = 512

// wireSubject is no subject: the load on the other end of the AC's Ethernet.
const wireSubject = "no gateway"

// latencyRow is one row of the table.
type latencyRow struct {
	cell    cell
	subject string
	share   float64 // of the capacity of
	of      string
}

type latencyResults struct {
	rows     []latencyRow
	samples  map[latencyRow][]paced
	capacity map[cell]map[string]float64 // what each subject carries at a fixed rate, frames a second
}

func measureLatency(o *options) (string, error) {
	if err := timers(); err != nil {
		return "", err
	}
	ac, _, err := startSelf("ac")
	if err != nil {
		return "", err
	}
	defer ac.stop()

	res := &latencyResults{samples: make(map[latencyRow][]paced), capacity: make(map[cell]map[string]float64)}
	for _, size := range o.sizes {
		for _, n := range o.latencyLines {
			res.rows = append(res.rows, latencyRows(o, cell{n, size, o.totals[0]})...)
		}
	}
	began := time.Now()
	for round := range o.rounds {
		for _, size := range o.sizes {
			for _, n := range o.latencyLines {
				if err := res.round(o, ac, cell{n, size, o.totals[0]}, round); err != nil {
					return "", err
				}
			}
		}
	}
	return res.markdown(o, began), nil
}

// latencyRows is every subject at its own rates, the first at those of the others
// as well, and the wire at the first one's.
func latencyRows(o *options, c cell) (rows []latencyRow) {
	for _, name := range o.subjects {
		for _, share := range loadShares {
			rows = append(rows, latencyRow{c, name, share, name})
		}
	}
	for _, other := range o.subjects[1:] {
		if other == floorSubject {
			continue
		}
		for _, share := range loadShares {
			rows = append(rows, latencyRow{c, o.subjects[0], share, other})
		}
	}
	for _, share := range loadShares {
		rows = append(rows, latencyRow{c, wireSubject, share, o.subjects[0]})
	}
	return rows
}

// round measures each row of a cell once.
func (res *latencyResults) round(o *options, ac *process, c cell, round int) error {
	capacity := res.capacity[c]
	if capacity == nil {
		capacity = make(map[string]float64)
		for _, name := range o.subjects {
			var err error
			if capacity[name], err = carries(o, ac, name, c); err != nil {
				return err
			}
		}
		res.capacity[c] = capacity
	}
	for _, name := range append(turn(o.subjects, round), wireSubject) {
		for _, row := range res.rows {
			if row.cell != c || row.subject != name {
				continue
			}
			rate := row.share * capacity[row.of]
			var s paced
			var err error
			if name == wireSubject {
				s, err = wireDelay(o, c.payload, rate)
			} else {
				s, err = delay(o, name, c, rate)
			}
			if err != nil {
				return fmt.Errorf("%s: %s at %.0f frames a second: %w", c, name, rate, err)
			}
			res.samples[row] = append(res.samples[row], s)
			fmt.Fprintf(os.Stderr, "latency, round %d, %s: %-10s %2.0f %% of %-10s %7.0f frames/s, p50 %v, p99 %v, worst %v, lost %d, held %d\n", round+1, c,
				name, 100*row.share, row.of, float64(s.returned)/s.took.Seconds(), s.p50, s.p99, s.worst, s.lost, s.held)
		}
	}
	return nil
}

// A rate is tried in steps down from that of a closed loop.
const (
	rateStep  = 0.85
	rateSteps = 12
)

// carries is the rate at which a subject keeps up with a fixed pace. A closed loop
// goes faster: whoever has fallen behind is asked in larger bursts, which are cheaper.
func carries(o *options, ac *process, name string, c cell) (float64, error) {
	s, err := measure(o, ac, name, c)
	if err != nil {
		return 0, err
	}
	rate := s.rate()
	for range rateSteps {
		p, err := delay(o, name, c, rate)
		if err != nil {
			return 0, err
		}
		if p.keepsUp() {
			break
		}
		rate *= rateStep
	}
	fmt.Fprintf(os.Stderr, "latency, %s: %s carries %.0f frames/s at a fixed rate, %.0f in a closed loop\n", c, name, rate, s.rate())
	return rate, nil
}

// keepsUp reports that what was due went out and came back, and that no queue stood.
func (s paced) keepsUp() bool {
	const standing = 5 * time.Millisecond
	returned := float64(s.returned) / s.took.Seconds()
	return s.held == 0 && s.lost*1000 <= s.sent && returned >= 0.98*s.rate && s.p50 < standing
}

// delay measures one subject at one rate.
func delay(o *options, name string, c cell, rate float64) (s paced, err error) {
	r, err := start(name, o.binary, c.lines, c.payload, latencyWindow)
	if err != nil {
		return s, err
	}
	defer r.stop()
	l, err := newLoad(r.fds, r.trains, latencyWindow, 1)
	if err != nil {
		return s, err
	}
	defer l.close()
	s, err = newPace(l, rate, o.burst).measure(r, o.warmUp, o.duration)
	if err == nil {
		err = r.alive()
	}
	return s, err
}

// wireDelay measures the AC alone: what of the delays is not the subject's.
func wireDelay(o *options, payload int, rate float64) (s paced, err error) {
	fd, err := openPacket(userEnd)
	if err != nil {
		return s, err
	}
	defer unix.Close(fd)
	rec := record{size: ethOverhead + 2 + payload, payload: payload, hdr: ether.Header{Dst: acMAC, Src: userMAC, Type: ether.TypeSession}, sid: 1}
	rnd := rand.New(rand.NewPCG(0, 0))
	const ring = 1 << 14
	var stamps [ring]time.Duration
	var delays []time.Duration
	in, out := newInbox(maxBatch), newBatch(maxBatch)
	began := monotonic()
	measured := began + o.warmUp
	end := measured + o.duration
	frames := make([][]byte, maxBatch)
	for i := range frames {
		frames[i] = rec.append(nil, pppFrame(0, payload, rnd))
	}
	for monotonic() < end {
		for due := uint64(rate * (monotonic() - began).Seconds()); s.sent < due; {
			n := int(min(due-s.sent, uint64(o.burst)))
			now := monotonic()
			for range n {
				f := frames[out.n]
				putNumber(f, s.sent)
				stamps[s.sent%ring] = now
				s.sent++
				out.add(f)
			}
			if err := out.send(fd); err != nil {
				return s, err
			}
		}
		ts := unix.NsecToTimespec(tick.Nanoseconds())
		if n, err := unix.Ppoll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, &ts, nil); err != nil && err != unix.EINTR {
			return s, err
		} else if n <= 0 {
			continue
		}
		n, err := in.receive(fd, unix.MSG_DONTWAIT)
		if err != nil {
			return s, err
		}
		now := monotonic()
		s.returned += uint64(n)
		for i := range n {
			if f := in.frame(i); len(f) >= ethOverhead+2+numberLen && now >= measured {
				delays = append(delays, now-stamps[number(f)%ring])
			}
		}
	}
	s.rate, s.took = rate, monotonic()-began
	s.summarize(delays)
	return s, nil
}

func (res *latencyResults) markdown(o *options, began time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, `%s, %v, %s.

    %s

From a frame's write to its way back out of the line's read, at a fixed rate. The rate is a part of what the
subject named carries at most while it keeps up with such a rate, found just before. Medians of %d rounds of %v, lowest to highest in brackets.
*added* is what the subject takes longer than the access concentrator without a gateway, for both directions together,
at the same part of the first subject's rate. What is due is sent every %v.

`, began.Format("2006-01-02"), time.Since(began).Round(time.Second), machine(), command(os.Args), o.rounds, o.duration, tick)
	b.WriteString("| payload | lines | subject | load | frames/s | p50 us | p99 us | added p50 us | added p99 us | cores | lost |\n")
	b.WriteString("|--:|--:|---|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, row := range res.rows {
		ss := res.samples[row]
		wire := res.samples[latencyRow{row.cell, wireSubject, row.share, o.subjects[0]}]
		p50, p99 := spreadOf(each(ss, paced.us50)), spreadOf(each(ss, paced.us99))
		added := func(f func(paced) float64, m float64) string {
			if row.subject == wireSubject {
				return ""
			}
			return fmt.Sprintf("%.0f", m-spreadOf(each(wire, f)).median)
		}
		load := fmt.Sprintf("%.0f %% of %s's", 100*row.share, row.of)
		if row.of == row.subject {
			load = fmt.Sprintf("%.0f %%", 100*row.share)
		}
		fmt.Fprintf(&b, "| %d | %d | %s | %s | %.0f | %s | %s | %s | %s | %.2f | %s |\n", row.cell.payload, row.cell.lines, row.subject, load,
			spreadOf(each(ss, func(s paced) float64 { return float64(s.returned) / s.took.Seconds() })).median,
			figures(p50, 0), figures(p99, 0), added(paced.us50, p50.median), added(paced.us99, p99.median),
			spreadOf(each(ss, func(s paced) float64 { return s.subject.Seconds() / s.took.Seconds() })).median, pacedLoss(ss))
	}
	return b.String()
}

// pacedLoss is the loss of all rounds together, and how many frames could not be
// sent in time since too many were under way.
func pacedLoss(ss []paced) string {
	var samples []sample
	var held uint64
	for _, s := range ss {
		samples = append(samples, sample{tally: s.tally})
		held += s.held
	}
	text := loss(samples)
	if held > 0 {
		text += fmt.Sprintf(", %d held back", held)
	}
	return text
}
