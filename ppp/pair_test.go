package ppp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"
)

// start is when every conversation begins.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// seeded is a Random for LinkConfig that is the same in every run.
func seeded(seed uint64) func([]byte) {
	r := rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15))
	return func(b []byte) {
		for i := range b {
			b[i] = byte(r.Uint32())
		}
	}
}

// end is one Link with its owner: it keeps what the Link says, and answers
// what it asks, unless told not to.
type end struct {
	name string
	link *Link
	out  []Out // all but frames

	secret  string                                        // what a peer must know
	answer  func(e *end, now time.Time, r AuthRequest)    // instead of checking secret
	address func(e *end, now time.Time, r AddressRequest) // instead of giving addr
	addr    netip.Addr

	params Params
	net    *NetworkUp
	net6   *IPv6Up
	up     bool
	done   *Finished
	leases int // addresses in force
}

// flight is a frame on its way.
type flight struct {
	to    *end
	frame []byte
	at    time.Time
	seq   int
}

// faults says what the wire does to frames, per thousand.
type faults struct {
	loss, dup int
	jitter    time.Duration // frames may overtake each other by this much
	until     time.Time     // after which the wire is good
}

// tb is what a pair needs of a *testing.T or a *rapid.T.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// pair is two Links on a wire with a clock, driven until nothing happens.
type pair struct {
	t       tb
	now     time.Time
	a, b    *end
	faults  faults
	rand    *rand.Rand
	wire    []flight
	seq     int
	frames  int
	onFrame func(from *end, frame []byte) // sees all that is sent
}

const delay = 5 * time.Millisecond

func newPair(t tb, a, b LinkConfig) *pair {
	if a.Random == nil {
		a.Random = seeded(1)
	}
	if b.Random == nil {
		b.Random = seeded(2)
	}
	return &pair{
		t: t, now: start, rand: rand.New(rand.NewPCG(3, 4)),
		a: newEnd("a", a), b: newEnd("b", b),
	}
}

func newEnd(name string, c LinkConfig) *end {
	return &end{name: name, link: NewLink(c), params: Params{Line: DefaultLineParams}}
}

func (p *pair) ends() []*end { return []*end{p.a, p.b} }

func (p *pair) other(e *end) *end {
	if e == p.a {
		return p.b
	}
	return p.a
}

// begin opens both ends and brings the carrier up.
func (p *pair) begin() {
	for _, e := range p.ends() {
		e.link.Open(p.now)
		p.drain(e)
		e.link.Up(p.now)
		p.drain(e)
	}
}

// drain does what the Link of e says, and checks the order of what it says.
func (p *pair) drain(e *end) {
	p.t.Helper()
	for {
		o, ok := e.link.Next()
		if !ok {
			return
		}
		switch o := o.(type) {
		case SendFrame:
			p.send(e, o.Frame)
			continue
		case Params:
			e.params = o
		case LCPUp:
			if e.up {
				p.t.Fatalf("%s: LCPUp twice", e.name)
			}
			e.up, e.done = true, nil
			// From here on it sends as its peer wants it.
			if o := p.other(e).params.Line; p.faults.until.IsZero() && o.RecvACCM != e.params.Line.SendACCM {
				p.t.Fatalf("%s is up and sends by the map %08x, its peer receives by %08x", e.name, e.params.Line.SendACCM, o.RecvACCM)
			}
		case LCPDown:
			if !e.up || e.net != nil || e.net6 != nil {
				p.t.Fatalf("%s: LCPDown %q: was up: %v, network still up: %v, %v", e.name, o.Reason, e.up, e.net, e.net6)
			}
			if o.Reason == "" {
				p.t.Fatalf("%s: LCPDown without a reason", e.name)
			}
			e.up, e.leases = false, 0
		case NetworkUp:
			if e.net != nil || !e.up || !e.link.IPv4Open() {
				p.t.Fatalf("%s: NetworkUp out of place", e.name)
			}
			e.net = &o
		case NetworkDown:
			if e.net == nil || e.link.IPv4Open() {
				p.t.Fatalf("%s: NetworkDown out of place", e.name)
			}
			e.net = nil
		case IPv6Up:
			if e.net6 != nil || !e.up || !e.link.IPv6Open() || o.Local == 0 || o.Local == o.Peer {
				p.t.Fatalf("%s: %+v out of place", e.name, o)
			}
			e.net6 = &o
		case IPv6Down:
			if e.net6 == nil || e.link.IPv6Open() {
				p.t.Fatalf("%s: IPv6Down out of place", e.name)
			}
			e.net6 = nil
		case Finished:
			if e.up || o.Reason == "" {
				p.t.Fatalf("%s: Finished %q while up: %v", e.name, o.Reason, e.up)
			}
			e.done = &o
		case AuthRequest:
			e.out = append(e.out, o)
			if e.answer != nil {
				e.answer(e, p.now, o)
			} else {
				e.link.AuthResult(p.now, o.ID, o.Verify(e.secret), o.SuccessMessage(e.secret, "hello "+Printable([]byte(o.Name))))
			}
			continue
		case AddressRequest:
			e.out = append(e.out, o)
			if e.address != nil {
				e.address(e, p.now, o)
			} else if e.link.Address(p.now, o.ID, Assignment{Peer: e.addr}) {
				e.leases++
			}
			continue
		}
		e.out = append(e.out, o)
	}
}

func (p *pair) send(from *end, frame []byte) {
	p.frames++
	if p.onFrame != nil {
		p.onFrame(from, frame)
	}
	n := 1
	if p.now.Before(p.faults.until) {
		if p.rand.IntN(1000) < p.faults.loss {
			n = 0
		} else if p.rand.IntN(1000) < p.faults.dup {
			n = 2
		}
	}
	for range n {
		at := p.now.Add(delay)
		if p.now.Before(p.faults.until) && p.faults.jitter > 0 {
			at = at.Add(time.Duration(p.rand.Int64N(int64(p.faults.jitter))))
		}
		p.seq++
		p.wire = append(p.wire, flight{p.other(from), append([]byte(nil), frame...), at, p.seq})
	}
}

// step moves the clock to what happens next, if that is before until.
func (p *pair) step(until time.Time) bool {
	best, at := -1, until
	for i, f := range p.wire {
		if f.at.Before(at) || best >= 0 && f.at.Equal(at) && f.seq < p.wire[best].seq {
			best, at = i, f.at
		}
	}
	var ticking *end
	for _, e := range p.ends() {
		if d := e.link.Deadline(); !d.IsZero() && d.Before(at) {
			ticking, at = e, d
		}
	}
	switch {
	case ticking != nil:
		p.now = later(p.now, at)
		ticking.link.Tick(p.now)
		if d := ticking.link.Deadline(); !d.IsZero() && !d.After(p.now) {
			p.t.Fatalf("%s: Tick at %v leaves the deadline %v", ticking.name, p.now, d)
		}
		p.drain(ticking)
	case best >= 0:
		f := p.wire[best]
		p.wire = append(p.wire[:best], p.wire[best+1:]...)
		p.now = later(p.now, at)
		f.to.link.Input(p.now, f.frame)
		p.drain(f.to)
	default:
		return false
	}
	return true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// run lets d pass.
func (p *pair) run(d time.Duration) {
	p.t.Helper()
	until := p.now.Add(d)
	for n := 0; p.step(until); n++ {
		if n > 100_000 {
			p.t.Fatalf("no end of events before %v", until.Sub(start))
		}
	}
	p.now = until
}

// runUntil lets time pass until ok, or fails after d.
func (p *pair) runUntil(why string, d time.Duration, ok func() bool) {
	p.t.Helper()
	until := p.now.Add(d)
	for !ok() {
		if !p.step(until) {
			p.t.Fatalf("%s: not within %v; a: %v, b: %v", why, d, p.a, p.b)
		}
	}
}

func (p *pair) bothUp() bool { return p.a.net != nil && p.b.net != nil }

func (e *end) String() string {
	return fmt.Sprintf("{lcp %d ipcp %d ipv6cp %d phase %v net %v, %v done %v outs %+v counters %+v}",
		e.link.lcp.state, e.link.ipcp.state, e.link.ipv6cp.state, e.link.Phase(), e.net, e.net6, e.done, e.out, e.link.Counters())
}

// last is the last Out of type T that e has seen.
func last[T Out](e *end) (o T, ok bool) {
	for i := len(e.out) - 1; i >= 0; i-- {
		if o, ok := e.out[i].(T); ok {
			return o, true
		}
	}
	return o, false
}

func count[T Out](e *end) (n int) {
	for _, o := range e.out {
		if _, ok := o.(T); ok {
			n++
		}
	}
	return n
}

// server and client are an ISP's end and a user's, as most tests have them.
func server(auth ...AuthMethod) LinkConfig {
	return LinkConfig{
		Auth: auth, SystemName: "bras1",
		IPv4: &IPv4Config{
			Local: netip.MustParseAddr("192.0.2.1"), AssignPeer: true,
			DNS: [2]netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("192.0.2.54")},
		},
	}
}

func client(name, secret string) LinkConfig {
	return LinkConfig{Name: name, Secret: secret, IPv4: &IPv4Config{AskDNS: true}}
}

func newISP(t tb, s, c LinkConfig) *pair {
	p := newPair(t, s, c)
	p.a.secret, p.a.addr = "secret", netip.MustParseAddr("198.51.100.7")
	return p
}
