package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"tributary/internal/config"
	"tributary/internal/lab"
	"tributary/internal/line"
)

// labLosses is what did not come through, and why.
type labLosses struct {
	queue uint64 // dropped by full queues, as TCP needs it to find its rate
	other uint64 // by anything else: that is not meant to happen
	what  string // the first kind of the latter
}

func (n *labLosses) add(count uint64, what string) {
	if count > 0 && n.what == "" {
		n.what = what
	}
	n.other += count
}

// losses counts what the gateway has lost of the lines that are up.
func (l *labRun) losses() (n labLosses) {
	left := len(l.gw.Endings()) > 0
	for _, i := range l.gw.Lines() {
		s := &i.Session
		n.queue += s.QueueFull + s.QueueCoDel
		n.add(s.TooBig, "too big for PPPoE")
		n.add(s.Malformed, "malformed")
		n.add(s.InboxFull, "control packets beyond the bound")
		n.add(s.PortDropped, "refused by the port")
		n.add(s.NoBuffer, "no buffer")
		n.add(i.Line.NoBuffer, "no buffer for the line")
		n.add(lineErrors(&i.Line), "damaged on the line")
		for why, count := range i.Dropped {
			// What comes for a user who has hung up is nobody's loss.
			if why != "no_user" || !left {
				n.add(count, "dropped as "+why)
			}
		}
	}
	for _, u := range l.crowd.Users() {
		n.add(lineErrors(&u.Line), "damaged on the way to "+u.Name)
		n.add(u.Line.NoBuffer, "no buffer for "+u.Name)
	}
	n.add(l.ac.Counters().NoBuffer, "no buffer at the access concentrator")
	for _, u := range l.gw.Uplinks() {
		n.queue += u.Port.RxDropped // as a switch does whose queue is full
		n.add(u.Port.TxDropped+u.Port.RxTruncated, "dropped by the port")
	}
	n.queue += l.acPort.Counters().RxDropped
	return n
}

func (l *labRun) traffic() (t lab.Traffic) {
	for _, u := range l.crowd.Users() {
		t = t.Add(u.Traffic)
	}
	return t
}

// prove checks, when all is over, that everything happened that the lab
// promises, and says so. users is what failed first with a user.
func (l *labRun) prove(users error, lost labLosses) error {
	var failed []string
	fail := func(format string, args ...any) { failed = append(failed, fmt.Sprintf(format, args...)) }
	if users != nil {
		fail("%v", users)
	}
	given := make(map[netip.Addr]string)
	good := 0
	for i, u := range l.crowd.Users() {
		switch other, taken := given[u.Network.Address]; {
		case u.Err != nil: // said, or like the one that was
			continue
		case !u.Network.Address.IsValid():
			fail("%s got no address", u.Name)
		case taken:
			fail("%s and %s have the same address %v", other, u.Name, u.Network.Address)
		case u.Traffic.Pings == 0:
			fail("%s had no reply to a ping", u.Name)
		case u.Traffic.Downloads == 0 || u.Traffic.Uploads == 0:
			fail("%s finished no verified download and upload", u.Name)
		default:
			if err := l.proveShared(i, &u); err != nil {
				fail("%v", err)
				break
			}
			good++
		}
		given[u.Network.Address] = u.Name
	}
	if bad := l.o.users - good; bad > 0 && users != nil {
		fail("%d of %d users failed", bad, l.o.users)
	}
	idle, cancel := context.WithTimeout(context.Background(), labStop)
	_ = l.ac.Idle(idle) // what is left then is counted
	cancel()
	left := l.ac.Sessions()
	if len(left) > 0 {
		fail("%d sessions are left over at the access concentrator", len(left))
	}
	c := l.ac.Counters()
	if want := l.sessions(); users == nil && c.Networks < want {
		fail("the access concentrator saw %d networks come up, not %d", c.Networks, want)
	}
	if n := l.office.networks.Load(); users == nil && l.sharing() > 0 && (n == 0 || n > 1 && l.o.loss == 0) {
		fail("the session that users share came up %d times", n)
	}
	for _, p := range l.gw.Pools() {
		if p.Taken > 0 {
			fail("%d addresses of %s were not given back", p.Taken, p.Prefix)
		}
	}
	if closed := c.ClosedByPADT + c.ClosedByUs; len(left) == 0 && closed != c.Opened {
		fail("%d PPPoE sessions were opened, and %d ended by a PADT", c.Opened, closed)
	}
	if lost.other > 0 && l.o.loss == 0 {
		fail("%d frames were lost: %s", lost.other, lost.what)
	}
	if err := l.closed(); err != nil {
		fail("%v", err)
	}
	if len(failed) > 0 {
		return errors.New(strings.Join(failed, "; "))
	}
	_, err := fmt.Fprint(l.e.stdout, l.proved(good, len(given), c.Opened, c.ClosedByPADT+c.ClosedByUs, lost))
	return err
}

// proved is the last line of a lab in which everything happened that was to.
func (l *labRun) proved(users, addresses int, sessions, padts uint64, lost labLosses) string {
	t := l.traffic()
	var b strings.Builder
	fmt.Fprintf(&b, "proved: %d users over TCP logged in with CHAP, ", users)
	if n := l.sharing(); n > 0 && n < users {
		fmt.Fprintf(&b, "%d of them on one session, ", n)
	}
	fmt.Fprintf(&b, "%d PPPoE session%s, %d addresses, ", sessions, plural(sessions), addresses)
	fmt.Fprintf(&b, "%d pings (mean %v, max %v), ", t.Pings, shortTime(t.PingMean()), shortTime(t.PingMax))
	b.WriteString(l.neighbourText())
	fmt.Fprintf(&b, "%sB downloaded and %sB uploaded and verified, %s, ", octets(t.Down), octets(t.Up), l.lossText(lost))
	if l.shares() {
		fmt.Fprintf(&b, "%d packets up and %d down on the shared session, all addresses given back, ", l.office.up.Load(), l.office.down.Load())
	}
	fmt.Fprintf(&b, "%d PADT at the AC, nothing left over\n", padts)
	return b.String()
}

// neighbourText is what users have proved of the ways between them.
func (l *labRun) neighbourText() string {
	var isp, local uint64
	for i, u := range l.crowd.Users() {
		if l.group(i).among == config.UserToUserLocal {
			local += u.Neighbour
		} else {
			isp += u.Neighbour
		}
	}
	if !l.shares() {
		return ""
	}
	return fmt.Sprintf("of these %d to another user through the ISP and %d straight across, ", isp, local)
}

func plural(n uint64) string {
	if n == 1 {
		return ""
	}
	return "s"
}

// sessions is how many PPPoE sessions there are at least.
func (l *labRun) sessions() (n uint64) {
	n = uint64(l.o.users - l.sharing())
	if l.sharing() > 0 {
		n++
	}
	return n
}

// proveShared checks what user i of mode shared was promised beside what all are.
func (l *labRun) proveShared(i int, u *lab.CrowdUser) error {
	g := l.group(i)
	if g.mode != config.ModeShared {
		return nil
	}
	if !labPrefix.Contains(u.Network.Address) {
		return fmt.Errorf("%s got %v, which is not of %v", u.Name, u.Network.Address, labPrefix)
	}
	j, ok := l.neighbour(i)
	switch other, _ := lab.Account(j); {
	case !ok:
	case u.Neighbour == 0:
		return fmt.Errorf("%s had no reply to a ping of %s", u.Name, other)
	case u.Hops != g.hops:
		// The way is told by the routers on it: the gateway, and if the packet
		// went to the ISP, the access concentrator and the gateway once more.
		return fmt.Errorf("the reply of %s to %s came through %d routers, not %d", other, u.Name, u.Hops, g.hops)
	}
	return nil
}

func (l *labRun) lossText(lost labLosses) string {
	text := fmt.Sprintf("%d frames lost", lost.other)
	if l.faults != nil {
		rx, tx := l.faults.FaultCounters()
		text = fmt.Sprintf("%d frames lost on purpose", rx.Lost+tx.Lost)
	}
	if lost.queue > 0 {
		text += fmt.Sprintf(" (%d dropped by full queues)", lost.queue)
	}
	return text
}

// closed ends the access concentrator, and reports what is left then.
func (l *labRun) closed() error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.ac.Close()
	}()
	select {
	case <-done:
	case <-time.After(labStop):
		return errors.New("the access concentrator does not stop")
	}
	if n := l.pool.InUse() + l.gwPool.InUse(); n > 0 {
		return fmt.Errorf("%d packet buffers were not put back", n)
	}
	return nil
}

// lineErrors counts frames that an async line received damaged.
func lineErrors(c *line.Counters) uint64 {
	return c.BadFCS + c.Short + c.Aborted + c.Oversize + c.BadProtocol
}

// shortTime is d with as many digits as anyone wants to read.
func shortTime(d time.Duration) time.Duration {
	if d < time.Millisecond {
		return d.Round(time.Microsecond)
	}
	return d.Round(100 * time.Microsecond)
}
