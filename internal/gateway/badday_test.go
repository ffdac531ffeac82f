package gateway

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/ip"
	"tributary/internal/lab"
	"tributary/internal/line"
	"tributary/pppoe"
)

// A scenario is a bad day of an ISP: the lab's access concentrator with quirks and
// trouble at one side, users with PPP of their own at the other, the gateway in
// between, and virtual time. Chance has a seed everywhere.
type scenario struct {
	name string
	// proves is what an operator may rely on if the script passes. The list is in
	// docs/uplink.md.
	proves string
	ac     lab.ACConfig
	shared bool                 // mode shared: all users are alice, on one session
	config func(*config.Config) // what the gateway's configuration has besides; may be nil
	script func(d *day)
}

// run plays a scenario. Afterwards nothing is left of it: no line, no session at
// the access concentrator, no entry in a table, no buffer.
func (sc *scenario) run(t *testing.T) {
	dir := t.TempDir() // outside of the bubble
	synctest.Test(t, func(t *testing.T) {
		d := &day{rig: makeRig(t, func(c *config.Config) {
			c.Uplinks[0].Echo = config.Echo{Interval: 10 * time.Second, Failures: 2}
			c.Uplinks[0].Health = config.Health{Failures: 3, Min: 5 * time.Second, Max: 5 * time.Minute}
			c.StateDir = dir
			if sc.shared {
				sharedConfig(t, c)
			}
			if sc.config != nil {
				sc.config(c)
			}
		}), ends: make(map[string]Event), shared: sc.shared}
		d.jitter = seeded(1)
		d.ac = d.concentrator(labMAC, sc.ac)
		d.start()
		sc.script(d)
		d.over()
	})
}

// seeded is chance for many goroutines.
func seeded(seed uint64) func(n int64) int64 {
	var mu sync.Mutex
	chance := rand.New(rand.NewPCG(seed, 0))
	return func(n int64) int64 {
		mu.Lock()
		defer mu.Unlock()
		return chance.Int64N(n)
	}
}

// found is how long an AC's silence stays unnoticed at the most: the uplink's echo
// interval, once for each failure, once before the first request and once behind the
// last; and ticks of the watch.
const found = (2+2)*10*time.Second + 2*watchGrid

// labMAC is the lab's access concentrator's address; movedMAC is another one.
var (
	labMAC   = pppoe.MAC{0x02, 0, 0, 0, 0, 0x20}
	movedMAC = pppoe.MAC{0x02, 0, 0, 0, 0, 0x21}
)

// day is a rig with an access concentrator of the lab. The rig's own, which hears
// what is broadcast too, says nothing.
type day struct {
	*rig
	ac      *lab.AC
	acs     []*lab.AC
	faults  *ether.Faulty
	broken  chan struct{} // closed: the port that is open now fails
	absent  atomic.Bool   // the interface is not there
	shared  bool
	callers []*dialler
	ends    map[string]Event // of lines, which nobody has asked for yet
}

// concentrator puts one more access concentrator on the cable.
func (d *day) concentrator(mac pppoe.MAC, cfg lab.ACConfig) *lab.AC {
	d.t.Helper()
	cfg.Reflect = true
	if cfg.Seed == 0 {
		cfg.Seed = 1
	}
	port := d.hub.Port(fmt.Sprintf("ac%d", len(d.acs)), mac, d.pool)
	ac, err := lab.NewAC(port, d.pool, cfg)
	if err != nil {
		d.t.Fatal(err)
	}
	d.acs = append(d.acs, ac)
	d.also = append(d.also, ac.Close)
	return ac
}

// start starts the gateway on a port whose faults can be set.
func (d *day) start() {
	d.startWith(func(name string, pool *frame.Pool) (ether.Port, error) {
		if d.absent.Load() {
			return nil, errors.New("no such interface")
		}
		if d.port == nil {
			d.port = d.hub.Port(name, gwMAC, pool)
		}
		d.broken = make(chan struct{})
		d.faults = ether.NewFaulty(&breakable{d.port, d.broken}, pool, 1, ether.Faults{}, ether.Faults{})
		return d.faults, nil
	})
}

// vanish takes the interface away, as happens when a USB adapter is pulled out or a
// virtual machine is moved, until it is said to be back.
func (d *day) vanish() (back func()) {
	d.t.Helper()
	d.absent.Store(true)
	close(d.broken)
	d.port.Close()
	d.port = nil
	synctest.Wait()
	return func() { d.absent.Store(false) }
}

// crash stops the gateway without its good-byes getting out, and starts another.
func (d *day) crash() {
	d.t.Helper()
	d.port.SetUp(false)
	d.stop()
	if err := <-d.done; err != nil {
		d.t.Error(err)
	}
	d.rig.sub.Close()
	d.port = nil
	d.start()
}

// over ends the day and holds everyone to having forgotten it.
func (d *day) over() {
	d.t.Helper()
	d.faults.SetFaults(ether.Faults{}, ether.Faults{})
	for _, ac := range d.acs {
		ac.SetTrouble(lab.Trouble{})
	}
	for _, c := range d.callers {
		_ = c.sub.Close() // its error, if it had one, is the script's business
	}
	if d.shared { // its session goes down with the gateway
		d.end()
		return
	}
	time.Sleep(time.Minute) // lingering searches, and the AC's own echoes
	synctest.Wait()
	if all := d.gw.Lines(); len(all) != 0 {
		d.t.Errorf("lines are left: %+v", all)
	}
	p := d.gw.uplinks[0].port
	if n := p.table.count.Load(); n != 0 {
		d.t.Errorf("%d sessions are left in the table", n)
	}
	if n := len(p.pending.byUniq); n != 0 {
		d.t.Errorf("%d searches are left", n)
	}
	for _, ac := range d.acs {
		if all := ac.Sessions(); len(all) != 0 {
			d.t.Errorf("sessions are left at the AC: %+v", all)
		}
	}
	d.end()
}

// dialler is a user who has dialled in.
type dialler struct {
	d    *day
	line string
	sub  *lab.Subscriber
	got  atomic.Int64 // octets of the last packet that came
}

// dial has a user dial in. He sends no Echo-Requests of his own.
func (d *day) dial(name string) *dialler {
	d.t.Helper()
	c := &dialler{d: d, line: "virtual/" + name}
	near, far := line.Pipe(line.Info{Name: c.line, Group: "virtual", Kind: "pipe", Remote: "test"}, d.pool, line.PipeOptions{})
	user, secret := lab.Account(len(d.callers) + 1)
	if d.shared {
		user, secret = "alice", "wonderland"
	}
	c.sub = lab.NewSubscriber(line.Over(far, line.Info{Name: "user of " + c.line}, d.pool), d.pool, lab.SubscriberConfig{
		User: user, Secret: secret, Async: true, PFC: true, ACFC: true,
		Packet: func(b []byte) { c.got.Store(int64(len(b))) },
	})
	d.callers = append(d.callers, c)
	d.lines.c <- near
	synctest.Wait()
	return c
}

// up is dial for a user who must have a network within a time.
func (d *day) up(name string, within time.Duration, why string) *dialler {
	d.t.Helper()
	c := d.dial(name)
	c.wantUp(within, why)
	return c
}

// wantUp waits for the network, and sees whether it carries packets.
func (c *dialler) wantUp(within time.Duration, why string) {
	c.d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if _, err := c.sub.Network(ctx); err != nil {
		c.d.t.Fatalf("%s has no network: %v: %s\n%s", c.line, err, why, c.d.told())
	}
	c.wantPing(why)
}

// wantPings sends packets until one comes back. PPP that gets through a bad cable may yet
// be negotiating when one end believes that it is done.
func (c *dialler) wantPings(tries int, why string) {
	c.d.t.Helper()
	for range tries {
		if c.ping() {
			return
		}
	}
	c.d.t.Fatalf("%s: no packet came back: %s\n%s", c.line, why, c.d.told())
}

// wantPing sends a packet there and back.
func (c *dialler) wantPing(why string) {
	c.d.t.Helper()
	c.wantPings(1, why)
}

// ping reports whether a packet comes back within a second, exactly as long as it went.
func (c *dialler) ping() bool {
	c.d.t.Helper()
	n, err := c.sub.Network(context.Background())
	if err != nil {
		return false
	}
	p := make([]byte, 33)
	p[0], p[8], p[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	from := n.Address.As4()
	copy(p[12:], from[:])
	copy(p[16:], []byte{203, 0, 113, 9})
	binary.BigEndian.PutUint16(p[10:], ip.Checksum(0, p[:20])) // RFC 791 section 3.1
	time.Sleep(100 * time.Millisecond)                         // the AC's Ack may still be on its way to the other end
	c.got.Store(0)
	sent := c.sub.Send(p)
	time.Sleep(time.Second)
	return sent && c.got.Load() == int64(len(p))
}

// hangUp is the user's polite end.
func (c *dialler) hangUp() {
	c.d.t.Helper()
	if err := c.sub.Close(); err != nil {
		c.d.t.Errorf("%s: %v", c.line, err)
	}
	synctest.Wait()
}

// wantEnd waits for the line's end, for this reason, and gives its words.
func (c *dialler) wantEnd(within time.Duration, reason Reason, why string) (message string) {
	c.d.t.Helper()
	timeout := time.After(within)
	for {
		if e, ended := c.d.ends[c.line]; ended {
			delete(c.d.ends, c.line)
			if e.Reason != reason {
				c.d.t.Fatalf("%s ended for %s (%s), not for %s: %s", c.line, e.Reason, e.Message, reason, why)
			}
			return e.Message
		}
		select {
		case e := <-c.d.rig.sub.C():
			if e.Kind == EventLineDown {
				c.d.ends[e.Line] = e
			}
		case <-timeout:
			c.d.t.Fatalf("%s is still there after %v: %s", c.line, within, why)
		}
	}
}

// wantSessions holds an AC to how many sessions it believes in.
func (d *day) wantSessions(n int, why string) {
	d.t.Helper()
	synctest.Wait()
	if all := d.ac.Sessions(); len(all) != n {
		d.t.Fatalf("the AC has %d sessions, not %d: %s", len(all), n, why)
	}
}

// told is the events that nobody has read.
func (d *day) told() (text string) {
	for {
		select {
		case e := <-d.rig.sub.C():
			text += fmt.Sprintf("  %s %s %s %s\n", e.Kind, e.Line, e.Reason, e.Message)
		default:
			return text
		}
	}
}
