//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The isolation measurement: many lines, some of which are sent frames like the
// others and never read. What the others lose by it, and how much longer their
// frames take.

const (
	isolationLines   = 1000
	isolationDeaf    = 100
	isolationPayload = 64
	isolationRate    = 20 // frames a second on each of the lines that are measured
	isolationBurst   = 8  // of them at once
	isolationWindow  = 64
	// neighbourPayload is that of the neighbours' frames, and neighbourCars how
	// many different ones each has.
	neighbourPayload = 1400
	neighbourCars    = 32
	// deafBuffer is what a line that never reads takes into its kernel's memory
	// at least. The gateway's kernel takes 2.6 MB more for it.
	deafBuffer = 4 << 10
	// standStill is how long the neighbours are sent frames at the highest rate
	// before anything is measured: those who do not read stand still after it.
	standStill = 8 * time.Second
)

// neighbourRates are frames a second on each of the lines that are not measured:
// as many as on the others, and so many that the queues of those who do not read
// could fill the gateway's pool of buffers.
var neighbourRates = []float64{isolationRate, 300}

// neighbours are lines that are not measured.
type neighbours struct {
	epoll    int
	fds      []int
	trains   []*train
	sent     []uint64
	rate     float64       // of each
	began    time.Duration // at this rate
	due      int           // sent since
	reading  bool
	returned uint64 // octets
	events   []unix.EpollEvent
	buf      []byte
}

func newNeighbours(fds []int, reading bool) (*neighbours, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	n := &neighbours{
		epoll: ep, fds: fds, sent: make([]uint64, len(fds)), reading: reading,
		events: make([]unix.EpollEvent, 256), buf: make([]byte, 64<<10),
	}
	for i, fd := range fds {
		n.trains = append(n.trains, newTrain(async{}, neighbourCars, neighbourPayload, 0, rand.New(rand.NewPCG(uint64(i), 0))))
		if !reading {
			err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, deafBuffer)
		}
		if err == nil {
			err = unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)})
		}
		if err != nil {
			_ = unix.Close(ep)
			return nil, err
		}
	}
	return n, nil
}

// at goes on at another rate.
func (n *neighbours) at(rate float64) { n.rate, n.began, n.due = rate, monotonic(), 0 }

func (n *neighbours) close() { _ = unix.Close(n.epoll) }

// step sends what is due and, if they read, reads what is there.
func (n *neighbours) step(now time.Duration) error {
	for due := int(n.rate * float64(len(n.fds)) * (now - n.began).Seconds()); n.due < due; {
		i := (n.due / isolationBurst) % len(n.fds)
		k := min(isolationBurst, due-n.due)
		a, b := n.trains[i].frames(n.sent[i], k)
		n.sent[i] += uint64(k)
		n.due += k
		for _, part := range [][]byte{a, b} {
			if len(part) == 0 {
				continue
			}
			if w, err := unix.Write(n.fds[i], part); err != nil || w < len(part) {
				return fmt.Errorf("the gateway does not read: %d of %d octets: %w", max(w, 0), len(part), err)
			}
		}
	}
	if !n.reading {
		return nil
	}
	k, err := unix.EpollWait(n.epoll, n.events, 0)
	if err != nil && err != unix.EINTR {
		return err
	}
	for _, ev := range n.events[:max(k, 0)] {
		r, err := unix.Read(n.fds[ev.Fd], n.buf)
		if err != nil && err != unix.EAGAIN {
			return fmt.Errorf("read from a neighbour: %w", err)
		}
		n.returned += uint64(max(r, 0))
	}
	return nil
}

// isolated is one measurement of the others.
type isolated struct {
	paced
	full, codel   uint64 // frames that the gateway dropped for want of room in their own queues
	deafDropped   uint64 // the same for those that do not read
	neighbourSent uint64 // frames on the neighbours' lines
	neighbourBack uint64 // octets the neighbours have read, ever
}

func measureIsolation(o *options) (string, error) {
	if err := timers(); err != nil {
		return "", err
	}
	ac, _, err := startSelf("ac")
	if err != nil {
		return "", err
	}
	defer ac.stop()
	began := time.Now()
	samples := make(map[float64]map[bool][]isolated) // by rate, and whether the neighbours read
	for _, rate := range neighbourRates {
		samples[rate] = make(map[bool][]isolated)
	}
	for round := range o.rounds {
		for _, rate := range neighbourRates {
			for turn := range 2 {
				reading := (round+turn)%2 == 0
				s, err := isolate(o, rate, reading)
				if err != nil {
					return "", fmt.Errorf("neighbours at %.0f frames a second, reading %v: %w", rate, reading, err)
				}
				samples[rate][reading] = append(samples[rate][reading], s)
				fmt.Fprintf(os.Stderr, "isolation, round %d: neighbours at %3.0f/s, reading %-5v: lost %d of %d, held %d, p50 %v, p99 %v, worst %v; dropped %d and %d by CoDel of theirs, %d of the neighbours', who read %d octets\n",
					round+1, rate, reading, s.lost, s.sent, s.held, s.p50, s.p99, s.worst, s.full, s.codel, s.deafDropped, s.neighbourBack)
			}
		}
	}
	return isolationMarkdown(o, samples, began), nil
}

// isolate measures once.
func isolate(o *options, rate float64, reading bool) (s isolated, err error) {
	r, err := start(tributarySubject, o.binary, isolationLines, isolationPayload, isolationWindow)
	if err != nil {
		return s, err
	}
	defer r.stop()
	l, err := newLoad(r.fds[isolationDeaf:], r.trains[isolationDeaf:], isolationWindow, 1)
	if err != nil {
		return s, err
	}
	defer l.close()
	n, err := newNeighbours(r.fds[:isolationDeaf], reading)
	if err != nil {
		return s, err
	}
	defer n.close()
	p := newPace(l, isolationRate*(isolationLines-isolationDeaf), isolationBurst)
	p.beside = n.step
	n.at(slices.Max(neighbourRates))
	if err := p.run(standStill); err != nil {
		return s, err
	}
	var before isolated
	if err := before.askDrops(o, r.dir); err != nil {
		return s, err
	}
	n.at(rate)
	if s.paced, err = p.measure(r, o.warmUp, o.duration); err != nil {
		return s, err
	}
	s.neighbourSent, s.neighbourBack = uint64(n.due), n.returned
	if err := s.askDrops(o, r.dir); err != nil {
		return s, err
	}
	s.deafDropped -= before.deafDropped
	s.full -= before.full
	s.codel -= before.codel
	return s, r.alive()
}

// askDrops asks the gateway what it has dropped. Lines are numbered in the order
// in which they were connected.
func (s *isolated) askDrops(o *options, dir string) error {
	text, err := exec.Command(o.binary, "lines", "--json", "--socket", controlSocket(dir)).Output()
	if err != nil {
		return fmt.Errorf("lines --json: %w", err)
	}
	var lines []struct {
		Name    string
		Session struct {
			Full  uint64 `json:"queue_full"`
			CoDel uint64 `json:"queue_codel"`
		}
	}
	if err := json.Unmarshal(text, &lines); err != nil {
		return fmt.Errorf("lines --json: %w", err)
	}
	if len(lines) != isolationLines {
		return fmt.Errorf("%d lines are left of %d", len(lines), isolationLines)
	}
	for _, ln := range lines {
		var number int
		if _, err := fmt.Sscanf(filepath.Base(ln.Name), "%d", &number); err != nil {
			return fmt.Errorf("line %q: %w", ln.Name, err)
		}
		if number <= isolationDeaf {
			s.deafDropped += ln.Session.Full + ln.Session.CoDel
			continue
		}
		s.full += ln.Session.Full
		s.codel += ln.Session.CoDel
	}
	return nil
}

func isolationMarkdown(o *options, samples map[float64]map[bool][]isolated, began time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, `%s, %v, %s.

    %s

%d lines, of which %d are the neighbours of the others: they send frames of %d octets of payload and either read what comes
back or never do. The others send %d frames a second each, %d at once, of %d octets. Goal: the others lose nothing, and their p99 grows by less
than a tenth. Medians of %d rounds of %v, lowest to highest in brackets; *p99 times* is within a round.

`, began.Format("2006-01-02"), time.Since(began).Round(time.Second), machine(), command(os.Args), isolationLines, isolationDeaf, neighbourPayload,
		isolationRate, isolationBurst, isolationPayload, o.rounds, o.duration)
	b.WriteString("| frames/s of a neighbour | neighbours | the others lost | p50 us | p99 us | p99 times | the gateway dropped of a neighbour's |\n")
	b.WriteString("|--:|---|--:|--:|--:|--:|--:|\n")
	for _, rate := range neighbourRates {
		with, without := samples[rate][false], samples[rate][true]
		for _, reading := range []bool{true, false} {
			ss := samples[rate][reading]
			var others []paced
			var dropped, sent float64
			for _, s := range ss {
				others = append(others, s.paced)
				dropped += float64(s.deafDropped)
				sent += float64(s.neighbourSent)
			}
			what, times := "read", ""
			if !reading {
				what = "never read"
				var xs []float64
				for i := range min(len(with), len(without)) {
					xs = append(xs, with[i].us99()/without[i].us99())
				}
				times = figures(spreadOf(xs), 2)
			}
			fmt.Fprintf(&b, "| %.0f | %s | %s | %s | %s | %s | %.0f %% |\n", rate, what, pacedLoss(others),
				figures(spreadOf(each(others, paced.us50)), 0), figures(spreadOf(each(others, paced.us99)), 0), times, 100*dropped/sent)
		}
	}
	return b.String()
}
