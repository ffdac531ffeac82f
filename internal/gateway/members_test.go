package gateway

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/pppoe"
)

// slowPort takes its time for each address, as a kernel may whose other users have
// its lock.
type slowPort struct {
	ether.Port
	takes time.Duration
	fail  error

	mu   sync.Mutex
	macs []pppoe.MAC
	asks int
}

func (p *slowPort) AddMAC(mac pppoe.MAC) error {
	time.Sleep(p.takes)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asks++
	if p.fail != nil {
		return p.fail
	}
	p.macs = append(p.macs, mac)
	return p.Port.AddMAC(mac)
}

func (p *slowPort) DelMAC(mac pppoe.MAC) error {
	time.Sleep(p.takes)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asks++
	p.macs = slices.DeleteFunc(p.macs, func(m pppoe.MAC) bool { return m == mac })
	return p.Port.DelMAC(mac)
}

func (p *slowPort) has() (macs []pppoe.MAC, asks int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.macs), p.asks
}

// slowRig is a rig whose port is slow with addresses.
func slowRig(t *testing.T, takes time.Duration, change func(*config.Config)) (*rig, *slowPort) {
	r := makeRig(t, change)
	sp := &slowPort{Port: r.port, takes: takes}
	r.startWith(func(string, *frame.Pool) (ether.Port, error) { return sp, nil })
	return r, sp
}

// While the kernel thinks about one line's address, the owners serve all others.
func TestSlowKernelHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := slowRig(t, time.Minute, func(c *config.Config) {
			c.Uplinks[0].MAC = config.MACPerLine
			c.Lines[0].FirstFrameTimeout = time.Second
		})
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 1, 1, 1, 1))
		r.ac.wantNothing("the port does not receive for the line's address yet: the offer would not be heard")
		var silent []*user
		for range len(r.gw.owners) { // one on each owner
			silent = append(silent, r.dial("virtual/silent"))
		}
		time.Sleep(2 * time.Second)
		for _, s := range silent {
			s.wantHangup("a line that says nothing is closed in time")
		}
		time.Sleep(58 * time.Second)
		padi := r.ac.want(pppoe.PADI, "the port receives now")
		r.ac.send(reply(padi.hdr, acMAC), answer(pppoe.PADO, 0, padi))
		r.ac.want(pppoe.PADR, "the offer to the line's own address is heard")
		r.end()
	})
}

func TestAddressThatCannotBeReceivedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, sp := slowRig(t, 0, perLine)
		sp.fail = errors.New("no room for addresses")
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 1, 1, 1, 1))
		e := r.wantEvent(EventLineDown, "a line that could hear no answer")
		if e.Reason != ReasonLocalLimits || e.Message != "no room for addresses" {
			t.Errorf("%+v", e)
		}
		r.ac.wantNothing("nobody was asked")
		r.end()
	})
}

// Lines of one address have it received for once, until the last has gone; and a
// line that hangs up while the kernel still thinks leaves nothing behind.
func TestAddressesAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, sp := slowRig(t, time.Second, func(c *config.Config) {
			c.Uplinks[0].MAC, c.Uplinks[0].MACPool = config.MACPooled, 2
		})
		for range 3 {
			var users []*user
			for _, name := range []string{"virtual/1", "virtual/2", "virtual/3", "virtual/4"} {
				u := r.dial(name)
				u.send(confReq(1, 5, 1, 1, 1, 1))
				users = append(users, u)
			}
			time.Sleep(10 * time.Second)
			if macs, _ := sp.has(); len(macs) != 2 {
				t.Fatalf("four lines have %d addresses of a pool of two", len(macs))
			}
			for range 4 {
				r.ac.want(pppoe.PADI, "each line searches")
			}
			users[0].line.Close()
			users[1].line.Close()
			time.Sleep(10 * time.Second)
			if macs, _ := sp.has(); len(macs) != 2 {
				t.Fatalf("%d addresses, and each still has a line", len(macs))
			}
			users[2].line.Close()
			users[3].line.Close()
			time.Sleep(10 * time.Second)
			if macs, _ := sp.has(); len(macs) != 0 {
				t.Fatalf("%d addresses for nobody", len(macs))
			}
			for _, ok := r.ac.next(); ok; _, ok = r.ac.next() {
				// repetitions
			}
		}
		u := r.dial("virtual/5")
		u.send(confReq(1, 5, 1, 1, 1, 1))
		u.line.Close()
		time.Sleep(10 * time.Second)
		if macs, _ := sp.has(); len(macs) != 0 {
			t.Errorf("%d addresses for a line that has gone", len(macs))
		}
		r.ac.wantNothing("the line had gone before its address was there")
		r.end()
	})
}
