//go:build linux

package main

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"
)

// The scale measurement: very many lines, each with a session of its own and LCP
// open, in one gateway. How fast they come up, what they cost while nothing but
// Echo-Requests goes over them, how fast they are all ended, and whether anything
// is left of them.

// scaleBound is how long one phase may take before the measurement gives up.
const scaleBound = 2 * time.Minute

// settle is how long the gateway is left alone before its idle memory is read: the
// Go runtime gives back what a burst needed in the minutes after it.
const settle = 10 * time.Second

// spareFiles is what a process needs besides its lines: connections that linger,
// the control socket, the journal.
const spareFiles = 1000

// scale is a gateway, its users and the access concentrator.
type scale struct {
	opts   *options
	dir    string
	gw, ac *process
	board  *board
	crowd  *crowd
	lines  int
	base   memory // before the first line
	report scaleReport
}

// memory is what a process has of the machine.
type memory struct {
	rss   int // octets
	files int
}

// scaleReport is what came out.
type scaleReport struct {
	lines, asked int // measured, and wanted
	limit        uint64
	setUp        setUpReport
	up, idle     memory // at once after set-up, and later
	base         memory
	steady       []steadyReport
	hangUp       endReport
	stop         endReport
	exit         time.Duration // from SIGTERM
	growth       []growthRound
	roundLines   int
	uplink       map[string]uint64
	machine      float64
}

type setUpReport struct {
	took        time.Duration
	p50, p99    time.Duration
	atOnce      int
	cpu, ac, me time.Duration
	again       int
}

func (r setUpReport) rate(lines int) float64 { return float64(lines) / r.took.Seconds() }

type steadyReport struct {
	name       string
	took       time.Duration
	cpu        time.Duration
	asked      uint64 // Echo-Requests of the gateway's that the AC answered
	sent, back uint64 // Echo-Requests of the AC's, and replies
	stillUp    int
}

type endReport struct {
	padts, terms int
	took         time.Duration // from the first hang-up to the last PADT
	cpu          time.Duration
	missing      int
	lost         uint64
}

type growthRound struct {
	up, down memory
	rate     float64
	end      time.Duration
	missing  int
}

func measureScale(o *options) (string, error) {
	s := &scale{opts: o, lines: o.scaleLines}
	s.report.asked = o.scaleLines
	if err := s.raiseFiles(); err != nil {
		return "", err
	}
	began := time.Now()
	machineBefore, err := machineTime()
	if err != nil {
		return "", err
	}
	mine := func() (time.Duration, error) { return cpuTime(os.Getpid()) }
	meBefore, _ := mine()

	if err := s.start(); err != nil {
		s.cleanUp()
		return "", err
	}
	defer s.cleanUp()
	for _, phase := range []func() error{s.setUp, s.idle, s.steady, s.hangUpAll, s.grow, s.stopAll} {
		if err := phase(); err != nil {
			if dead := s.gw.alive(); dead != nil {
				err = fmt.Errorf("%w; %w", err, dead)
			}
			return "", err
		}
	}
	machineAfter, err := machineTime()
	if err != nil {
		return "", err
	}
	meAfter, _ := mine()
	acTime, _ := cpuTime(s.ac.cmd.Process.Pid)
	usage, _ := s.gw.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	var gw time.Duration
	if usage != nil {
		gw = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	s.report.machine = max(0, (machineAfter-machineBefore-(meAfter-meBefore)-acTime-gw).Seconds()/time.Since(began).Seconds())
	return s.report.markdown(o), nil
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "scale: "+format+"\n", args...) }

// setUp brings all lines up.
func (s *scale) setUp() (err error) {
	r := &s.report.setUp
	r.atOnce = s.opts.atOnce
	cpu, ac, me := s.clocks()
	began := monotonic()
	if err := s.crowd.dial(r.atOnce, scaleBound); err != nil {
		s.tell()
		return fmt.Errorf("set-up: %w", err)
	}
	r.took = monotonic() - began
	cpu2, ac2, me2 := s.clocks()
	r.cpu, r.ac, r.me, r.again = cpu2-cpu, ac2-ac, me2-me, s.crowd.count.again
	slices.Sort(s.crowd.setUp)
	r.p50, r.p99 = quantile(s.crowd.setUp, 0.5), quantile(s.crowd.setUp, 0.99)
	s.report.up, err = memoryOf(s.gw.cmd.Process.Pid)
	say("%d lines up in %v: %.0f a second, %v and %v of a line at p50 and p99, %d asked again, %d KiB resident a line", s.lines,
		r.took.Round(time.Millisecond), r.rate(s.lines), r.p50.Round(time.Microsecond), r.p99.Round(time.Microsecond), r.again, s.perLine(s.report.up)>>10)
	return err
}

func (s *scale) perLine(m memory) int { return (m.rss - s.base.rss) / s.lines }

func (s *scale) clocks() (gw, ac, me time.Duration) {
	gw, _ = cpuTime(s.gw.cmd.Process.Pid)
	ac, _ = cpuTime(s.ac.cmd.Process.Pid)
	me, _ = cpuTime(os.Getpid())
	return gw, ac, me
}

// idle reads the memory when the burst is over.
func (s *scale) idle() (err error) {
	if err = s.crowd.serveFor(settle); err != nil {
		return err
	}
	s.report.idle, err = memoryOf(s.gw.cmd.Process.Pid)
	say("%d octets resident a line after %v, %d files", s.perLine(s.report.idle), settle, s.report.idle.files)
	return err
}

// steadyPhase is one way of asking.
type steadyPhase struct {
	name  string
	every time.Duration // the AC asks each session so often; 0: never
}

// steadyPhases is the gateway's own Echo-Requests, since the AC is silent; then the
// AC's, which the users answer; and where there are fewer lines than asked for, the
// AC's as often as all of them together would be asked.
func steadyPhases(echo time.Duration, lines, asked int) []steadyPhase {
	phases := []steadyPhase{{"the gateway asks a silent AC", 0}, {"the AC asks, the users answer", echo}}
	if lines < asked {
		phases = append(phases, steadyPhase{
			fmt.Sprintf("the AC asks %d lines as often as it would %d", lines, asked),
			time.Duration(float64(echo) * float64(lines) / float64(asked)),
		})
	}
	return phases
}

// steady is one period of Echo-Requests of each kind.
func (s *scale) steady() error {
	for _, phase := range steadyPhases(s.opts.echo, s.lines, s.report.asked) {
		r := steadyReport{name: phase.name}
		s.board.echoEvery.Store(int64(phase.every))
		asked, sent, back := s.board.asked.Load(), s.board.echoSent.Load(), s.board.answered.Load()
		cpu, _, _ := s.clocks()
		began := monotonic()
		if err := s.crowd.serveFor(s.opts.echo); err != nil {
			return err
		}
		r.took = monotonic() - began
		cpu2, _, _ := s.clocks()
		s.board.echoEvery.Store(0)
		// What was asked last is answered soon.
		if err := s.crowd.serveFor(200 * time.Millisecond); err != nil {
			return err
		}
		r.cpu, r.asked = cpu2-cpu, s.board.asked.Load()-asked
		r.sent, r.back, r.stillUp = s.board.echoSent.Load()-sent, s.board.answered.Load()-back, s.crowd.count.up
		s.report.steady = append(s.report.steady, r)
		say("%s for %v: %.2f %% of a core, %d asked by it, %d by the AC, %d answered, %d lines up", r.name, r.took.Round(time.Second),
			100*r.cpu.Seconds()/r.took.Seconds(), r.asked, r.sent, r.back, r.stillUp)
		if r.stillUp != s.lines {
			s.tell()
		}
	}
	m, err := memoryOf(s.gw.cmd.Process.Pid)
	if err != nil {
		return err
	}
	if m.rss < s.report.idle.rss {
		s.report.idle = m
	}
	say("%d octets resident a line then", s.perLine(m))
	return nil
}

// hangUpAll has all users hang up at once.
func (s *scale) hangUpAll() (err error) {
	s.report.uplink, err = s.uplink()
	if err != nil {
		return err
	}
	say("gateway: %v", s.report.uplink)
	s.report.hangUp, err = s.end(func() error { s.crowd.hangUp(); return nil })
	return err
}

// end does what ends all sessions and waits for their PADTs.
func (s *scale) end(do func() error) (r endReport, err error) {
	want, terms, lost := s.board.opened.Load(), s.board.terminated.Load(), s.board.lost.Load()
	closed := s.board.closed.Load()
	cpu, _, _ := s.clocks()
	began := monotonic()
	if err := do(); err != nil {
		return r, err
	}
	// The gateway may go on with one thing or another behind its last PADT; a
	// silence of some seconds is what says that nothing more comes.
	const silence = 6 * time.Second
	heard, seen := monotonic(), s.board.closed.Load()
	for s.board.closed.Load() < want && monotonic()-heard < silence {
		if err := s.crowd.serve(5 * time.Millisecond); err != nil {
			return r, err
		}
		if n := s.board.closed.Load(); n != seen {
			heard, seen = monotonic(), n
		}
	}
	r.padts, r.missing = int(s.board.closed.Load()-closed), int(want-s.board.closed.Load())
	r.took = time.Duration(s.board.lastPADT.Load()) - began
	r.terms, r.lost = int(s.board.terminated.Load()-terms), s.board.lost.Load()-lost
	if cpu2, _, _ := s.clocks(); cpu2 > 0 {
		r.cpu = cpu2 - cpu
	}
	say("%d PADTs in %v, %d missing, %d Terminate-Requests, %d frames the AC's socket had no room for", r.padts, r.took.Round(time.Millisecond), r.missing, r.terms, r.lost)
	if r.missing > 0 {
		s.tell()
	}
	return r, nil
}

// grow brings up and hangs up again and again, and looks at what is left.
func (s *scale) grow() error {
	n := min(s.opts.roundLines, s.lines)
	s.report.roundLines = n
	all := s.crowd.users
	defer func() { s.crowd.users = all }()
	s.crowd.users = all[:n]
	for i := range s.opts.growth {
		var g growthRound
		began := monotonic()
		if err := s.crowd.dial(s.opts.atOnce, scaleBound); err != nil {
			s.tell()
			return fmt.Errorf("round %d: %w", i+1, err)
		}
		g.rate = float64(n) / (monotonic() - began).Seconds()
		var err error
		if g.up, err = memoryOf(s.gw.cmd.Process.Pid); err != nil {
			return err
		}
		e, err := s.end(func() error { s.crowd.hangUp(); return nil })
		if err != nil {
			return err
		}
		g.end, g.missing = e.took, e.missing
		if err := s.crowd.serveFor(2 * time.Second); err != nil { // connections linger for one
			return err
		}
		if g.down, err = memoryOf(s.gw.cmd.Process.Pid); err != nil {
			return err
		}
		s.report.growth = append(s.report.growth, g)
		say("round %d: %d lines, %.0f a second, %d KiB with, %d KiB and %d files without", i+1, n, g.rate, g.up.rss>>10, g.down.rss>>10, g.down.files)
	}
	return nil
}

// stopAll brings all up once more and stops the gateway.
func (s *scale) stopAll() error {
	if err := s.crowd.dial(s.opts.atOnce, scaleBound); err != nil {
		s.tell()
		return fmt.Errorf("before the stop: %w", err)
	}
	var began time.Duration
	var err error
	s.report.stop, err = s.end(func() error {
		began = monotonic()
		return s.gw.cmd.Process.Signal(syscall.SIGTERM)
	})
	if err != nil {
		return err
	}
	if err := s.crowd.serveUntil(scaleBound, func() bool { return s.gw.alive() != nil }); err != nil {
		return err
	}
	s.report.exit = monotonic() - began
	say("the gateway has ended %v after SIGTERM; %d of %d users were hung up", s.report.exit.Round(time.Millisecond), s.crowd.count.hungUp, s.lines)
	if text := s.gw.stderr.String(); text != "" {
		say("it said: %.2000s", text)
	}
	return nil
}
