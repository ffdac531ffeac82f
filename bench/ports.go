//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"tributary/internal/ether"
)

// The ports measurement: which of the ways that the kernel has to hand over Ethernet
// frames costs least. An echo takes one of them on one end of the veth. What drives
// it from the other end is always the same, plain recvmmsg and sendmmsg.

// ways is those that are measured.
var ways = []way{
	{byMessages, byMessages, 32, 1, false},
	{byMessages, byMessages, 64, 1, false},
	{byMessages, byMessages, 128, 1, false},
	{byMessages, byMessages, 256, 1, false},
	gatewayWay,
	{byRing2, byMessages, 256, 1, false},
	{byRing3, byMessages, 64, 1, false},
	{byMessages, byRing2, 64, 1, false},
	{byRing2, byRing2, 64, 1, false},
	{byRing3, byRing3, 64, 1, false},
	{byMessages, byMessages, 64, 2, false},
	{byRing2, byMessages, 64, 2, false},
	{byMessages, byMessages, 64, 1, true},
	{byRing2, byMessages, 64, 1, true},
}

// portLoad is how the echo is driven: so many frames under way at most, and an echo
// that is busy with each for some time, as a gateway is. An idle one goes to sleep
// after every few frames, and a wake-up costs more than they do.
type portLoad struct {
	window int
	work   time.Duration
}

var portLoads = []portLoad{{512, 0}, {64, 0}, {512, 1500 * time.Nanosecond}, oneAtATime}

// oneAtATime is for the delay.
var oneAtATime = portLoad{window: 1}

// The sessions that the frames are of, and how many of one come one after the other.
const (
	portSessions = 16
	portBurst    = 8
)

// portShare is what part of the other measurements' time one of these takes: there
// are many, and in a tenth of a second some ten thousand frames go round.
const portShare = 4

// portCell is a row's frames and load.
type portCell struct {
	payload int
	portLoad
}

func (c portCell) String() string {
	return fmt.Sprintf("%d, window %d, work %v", c.payload, c.window, c.work)
}

// portSample is one measurement: the echo's processor time is in ac, without the
// work that it only made up.
type portSample struct {
	sample
	receives uint64
	frames   uint64        // that these brought
	p50, p99 time.Duration // from the send to the receive, with one frame at a time
}

func (s portSample) rate() float64 { return s.sample.rate() }
func (s portSample) echo() float64 { return s.perFrame(s.ac) }
func (s portSample) load() float64 { return s.perFrame(s.generator) }

// both is what a frame costs at either end: work that one way leaves to the sender
// is in it all the same.
func (s portSample) both() float64 { return s.perFrame(s.ac + s.generator) }

func (s portSample) perReceive() float64 { return float64(s.frames) / float64(max(s.receives, 1)) }
func (s portSample) us50() float64       { return float64(s.p50.Nanoseconds()) / 1e3 }
func (s portSample) us99() float64       { return float64(s.p99.Nanoseconds()) / 1e3 }

// portResults is everything measured, way by way, one sample for each round.
type portResults struct {
	opts    *options
	cells   []portCell
	samples map[portCell]map[way][]portSample
	began   time.Time
	took    time.Duration
}

func measurePorts(o *options) (string, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	res := &portResults{opts: o, samples: make(map[portCell]map[way][]portSample), began: time.Now()}
	for _, payload := range o.sizes {
		for _, load := range portLoads {
			c := portCell{payload, load}
			res.cells, res.samples[c] = append(res.cells, c), make(map[way][]portSample)
		}
	}
	for round := range o.rounds {
		for _, c := range res.cells {
			for _, w := range turn(ways, round) {
				s, err := measureWay(o, w, c, filepath.Join(dir, "count"))
				if err != nil {
					return "", fmt.Errorf("%s: %s: %w", c, w, err)
				}
				res.samples[c][w] = append(res.samples[c][w], s)
				fmt.Fprintf(os.Stderr, "ports, round %d, %-32s: %-40s %7.0f frames/s, us echo %5.2f + load %5.2f = %5.2f, %4.1f a receive, p50 %v, p99 %v, lost %d, strange %d\n",
					round+1, c, w, s.rate(), s.echo(), s.load(), s.both(), s.perReceive(), s.p50, s.p99, s.lost, s.strange)
			}
		}
	}
	res.took = time.Since(res.began)
	return res.markdown(), nil
}

// measureWay measures one way once.
func measureWay(o *options, w way, c portCell, count string) (s portSample, err error) {
	counted, err := shared[echoCount](count)
	if err != nil {
		return s, err
	}
	defer unshare(counted)
	p, _, err := startSelf(append([]string{"echo", "-count", count, "-work", c.work.String()}, w.args()...)...)
	if err != nil {
		return s, err
	}
	defer p.stop()
	g, err := newGenerator(c)
	if err != nil {
		return s, err
	}
	defer unix.Close(g.fd)

	if err := g.run(o.warmUp / portShare); err != nil {
		return s, err
	}
	var before, after reading
	receives, frames := counted.receives.Load(), counted.frames.Load()
	g.delays = g.delays[:0]
	if err := before.take(g.tally, nil, p); err != nil {
		return s, err
	}
	if err := g.run(o.duration / portShare); err != nil {
		return s, err
	}
	if err := after.take(g.tally, nil, p); err != nil {
		return s, err
	}
	s.sample = after.since(before)
	s.ac -= time.Duration(s.returned) * c.work
	s.receives, s.frames = counted.receives.Load()-receives, counted.frames.Load()-frames
	if c.portLoad == oneAtATime {
		slices.Sort(g.delays)
		s.p50, s.p99 = quantile(g.delays, 0.5), quantile(g.delays, 0.99)
	}
	if s.returned == 0 {
		return s, fmt.Errorf("nothing came back of %d frames", s.sent)
	}
	return s, p.alive()
}

// generator keeps a window of Ethernet frames under way and looks at each that comes
// back: it has its number at both ends of the payload.
type generator struct {
	portCell
	tally
	fd     int
	in     *inbox
	out    *batch
	frames [maxBatch][]byte
	sentAt time.Time       // of the last frame
	delays []time.Duration // with a window of one
}

func newGenerator(c portCell) (*generator, error) {
	fd, err := openPacket(userEnd)
	if err != nil {
		return nil, err
	}
	// Whatever has not come back by then will not.
	wait := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	g := &generator{portCell: c, fd: fd, in: newInbox(maxBatch), out: newBatch(maxBatch)}
	rec := record{size: ethOverhead + 2 + c.payload, payload: c.payload, hdr: ether.Header{Dst: acMAC, Src: userMAC, Type: ether.TypeSession}}
	rnd := rand.New(rand.NewPCG(0, uint64(c.payload)))
	for i := range g.frames {
		g.frames[i] = rec.append(nil, pppFrame(0, c.payload, rnd))
	}
	return g, nil
}

func (g *generator) underWay() int {
	return int(int64(g.sent) - int64(g.tally.returned+g.lost+g.strange))
}

// run keeps the window full for d.
func (g *generator) run(d time.Duration) error {
	for began := time.Now(); time.Since(began) < d; {
		if room := g.window - g.underWay(); room >= max(1, g.window/4) {
			if err := g.send(room); err != nil {
				return err
			}
		}
		n, err := g.in.receive(g.fd, unix.MSG_WAITFORONE)
		if err != nil {
			return err
		}
		if n == 0 {
			g.lost += uint64(max(g.underWay(), 0))
		}
		for i := range n {
			g.take(g.in.frame(i))
		}
	}
	return nil
}

// send sends n frames.
func (g *generator) send(n int) error {
	g.sentAt = time.Now()
	for range n {
		stamp(g.frames[g.out.n], g.sent)
		g.out.add(g.frames[g.out.n])
		g.sent++
		if g.out.n == maxBatch {
			if err := g.out.send(g.fd); err != nil {
				return err
			}
		}
	}
	return g.out.send(g.fd)
}

func (g *generator) take(f []byte) {
	n, ok := stampOf(f)
	if !ok || n >= g.sent || len(f) != ethOverhead+2+g.payload {
		g.strange++
		return
	}
	g.tally.returned++
	if g.window == 1 && n == g.sent-1 {
		g.delays = append(g.delays, time.Since(g.sentAt))
	}
}

// stamp puts number n into a frame, at both ends of its payload where there is room,
// and the session that has its turn.
func stamp(f []byte, n uint64) {
	binary.BigEndian.PutUint16(f[sidAt:], uint16(1+n/portBurst%portSessions))
	putNumber(f, n)
	if tail := f[ethOverhead+2+numberLen:]; len(tail) >= numberLen {
		binary.BigEndian.PutUint64(tail[len(tail)-numberLen:], n)
	}
}

// stampOf reads the number, and says whether both ends are still of the same frame.
func stampOf(f []byte) (n uint64, ok bool) {
	if len(f) < ethOverhead+2+numberLen {
		return 0, false
	}
	n = number(f)
	tail := f[ethOverhead+2+numberLen:]
	return n, len(tail) < numberLen || binary.BigEndian.Uint64(tail[len(tail)-numberLen:]) == n
}
