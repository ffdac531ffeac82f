//go:build linux

package main

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// pace sends frames at a fixed rate, whatever comes back, and takes the time of
// each. What is due is sent in bursts, one line's after the other's.
type pace struct {
	*load
	rate   float64 // frames a second, all lines together
	burst  int     // frames of one line at once, if so many are due
	delays []time.Duration
	stamps [][]time.Duration // when frame i was sent, by line and place in its train
	next   int               // the line whose turn it is
	held   uint64            // frames that were due and not sent: their line's train was all under way
	timing bool
	beside func(now time.Duration) error // something else to do in each tick; may be nil
}

// tick is how often what is due is sent: the kernel wakes a sleeper to some ten
// microseconds if it is asked to.
const tick = 200 * time.Microsecond

func newPace(l *load, rate float64, burst int) *pace {
	p := &pace{load: l, rate: rate, burst: burst}
	for _, ln := range l.lines {
		stamps := make([]time.Duration, ln.train.cars())
		p.stamps = append(p.stamps, stamps)
		ln.back = func(i uint64) {
			if p.timing {
				p.delays = append(p.delays, monotonic()-stamps[i%uint64(len(stamps))])
			}
		}
	}
	return p
}

// timers has the kernel wake the calling thread when it asked to be woken.
func timers() error { return unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }

// run keeps the pace for d.
func (p *pace) run(d time.Duration) error {
	began := monotonic()
	sent := 0
	for {
		now := monotonic()
		if now-began >= d {
			return nil
		}
		for due := int(p.rate * (now - began).Seconds()); sent < due; {
			n := min(p.burst, due-sent)
			if err := p.sendNext(n); err != nil {
				return err
			}
			sent += n
		}
		if p.beside != nil {
			if err := p.beside(now); err != nil {
				return err
			}
		}
		if err := p.wait(tick); err != nil {
			return err
		}
	}
}

// sendNext sends n frames on the line whose turn it is.
func (p *pace) sendNext(n int) error {
	at := p.next
	p.next = (p.next + 1) % len(p.lines)
	ln := p.lines[at]
	if ln.pending[0] != nil || ln.underWay()+n >= ln.train.cars() {
		p.held += uint64(n)
		return nil
	}
	now, stamps := monotonic(), p.stamps[at]
	for i := range uint64(n) {
		stamps[(ln.tally.sent+i)%uint64(len(stamps))] = now
	}
	return p.send(ln, n)
}

// wait takes in what comes until d has passed.
func (p *pace) wait(d time.Duration) error {
	end := monotonic() + d
	for {
		left := end - monotonic()
		if left <= 0 {
			return nil
		}
		ts := unix.NsecToTimespec(left.Nanoseconds())
		n, err := unix.Ppoll([]unix.PollFd{{Fd: int32(p.epoll), Events: unix.POLLIN}}, &ts, nil)
		if err == unix.EINTR || n == 0 && err == nil {
			continue
		}
		if err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if err := p.takeIn(); err != nil {
			return err
		}
	}
}

func (p *pace) takeIn() error {
	n, err := unix.EpollWait(p.epoll, p.events, 0)
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("epoll: %w", err)
	}
	for _, ev := range p.events[:max(n, 0)] {
		ln := p.lines[ev.Fd]
		if ev.Events&unix.EPOLLOUT != 0 {
			if err := p.flush(ln); err != nil {
				return err
			}
		}
		if ev.Events&^unix.EPOLLOUT != 0 {
			ln.heard, ln.probes = time.Now(), 0
			if err := p.read(ln); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish takes the times of what is still to come, and then gives up the rest.
func (p *pace) finish() error {
	underWay := func() (n int) {
		for _, ln := range p.lines {
			n += ln.underWay()
		}
		return n
	}
	for end := monotonic() + time.Second; underWay() > 0 && monotonic() < end; {
		if err := p.wait(tick); err != nil {
			return err
		}
	}
	p.timing = false // drain sends frames of its own
	return p.drain()
}

// paced is one measurement at a fixed rate.
type paced struct {
	tally
	rate     float64 // asked for
	took     time.Duration
	held     uint64
	p50, p99 time.Duration
	worst    time.Duration
	subject  time.Duration
}

// measure keeps the pace for warmUp, and then for d with every frame timed.
func (p *pace) measure(r *running, warmUp, d time.Duration) (s paced, err error) {
	if err := p.run(warmUp); err != nil {
		return s, err
	}
	before, held := p.tally(), p.held
	cpu, err := cpuTimes(r.processes)
	if err != nil {
		return s, err
	}
	p.delays, p.timing = slices.Grow(p.delays[:0], int(p.rate*d.Seconds())), true
	began := monotonic()
	if err := p.run(d); err != nil {
		return s, err
	}
	s.rate, s.took = p.rate, monotonic()-began
	cpu2, err := cpuTimes(r.processes)
	if err != nil {
		return s, err
	}
	s.subject = cpu2 - cpu
	if err := p.finish(); err != nil {
		return s, err
	}
	s.tally, s.held = p.tally().minus(before), p.held-held
	s.summarize(p.delays)
	return s, nil
}

// summarize sorts delays.
func (s *paced) summarize(delays []time.Duration) {
	slices.Sort(delays)
	s.p50, s.p99, s.worst = quantile(delays, 0.5), quantile(delays, 0.99), quantile(delays, 1)
}

func (s paced) us50() float64 { return float64(s.p50.Nanoseconds()) / 1e3 }
func (s paced) us99() float64 { return float64(s.p99.Nanoseconds()) / 1e3 }
