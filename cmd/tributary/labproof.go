package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

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
	for _, u := range l.crowd.Users() {
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
	if users == nil && c.Networks < uint64(l.o.users) {
		fail("the access concentrator saw %d networks come up, not %d", c.Networks, l.o.users)
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
	t := l.traffic()
	var b strings.Builder
	fmt.Fprintf(&b, "proved: %d users over TCP logged in with CHAP, %d PPPoE sessions, %d addresses, ", good, c.Opened, len(given))
	fmt.Fprintf(&b, "%d pings (mean %v, max %v), ", t.Pings, shortTime(t.PingMean()), shortTime(t.PingMax))
	fmt.Fprintf(&b, "%sB downloaded and %sB uploaded and verified, %s, ", octets(t.Down), octets(t.Up), l.lossText(lost))
	fmt.Fprintf(&b, "%d PADT at the AC, nothing left over\n", c.ClosedByPADT+c.ClosedByUs)
	_, err := fmt.Fprint(l.e.stdout, b.String())
	return err
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
