package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/line"
	"tributary/ppp"
	"tributary/pppoe"
)

// The interface comes back with another address while a search lingers.
func TestPortComesBackWithAnotherMAC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 1, 1, 1, 1))
		padi := r.ac.want(pppoe.PADI, "discovery")
		r.ac.send(reply(padi.hdr, acMAC), answer(pppoe.PADO, 0, padi))
		r.ac.want(pppoe.PADR, "discovery")
		// interface vanishes: reading fails with another error than ErrClosed
		p := r.gw.uplinks[0].port
		newPort := r.hub.Port("eth1", pppoe.MAC{2, 0, 0, 0, 0, 0x55}, r.pool)
		r.gw.openPort = func(string, *frame.Pool) (ether.Port, error) { return newPort, nil }
		// emulate what serve does after p.readPort fails
		p.down.Store(true)
		for _, s := range r.gw.snapshot() {
			s.owner.post(event{s: s, kind: evEnd, aux: ending{reason: ReasonUplinkDown, message: "gone"}})
		}
		synctest.Wait()
		time.Sleep(time.Second)
		p.set(newPort)
		p.down.Store(false)
		time.Sleep(31 * time.Second) // linger ends
		synctest.Wait()
		newPort.Close()
		r.port.Close()
		r.end()
	})
}

// breakable is a port whose interface can vanish.
type breakable struct {
	ether.Port
	broken chan struct{}
}

func (b *breakable) ReadBatch(bufs []*frame.Buf) (int, error) {
	n, err := b.Port.ReadBatch(bufs)
	if err != nil {
		select {
		case <-b.broken:
			return n, errors.New("interface gone")
		default:
		}
	}
	return n, err
}

// A reopened port receives for the addresses of lines that were there before.
func TestReopenedPortReceivesForEveryLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *config.Config) { c.Uplinks[0].MAC = config.MACPerLine })
		r.stop()
		<-r.done
		// again, with a port that can break
		r.port = r.hub.Port("eth1", gwMAC, r.pool)
		br := &breakable{Port: r.port, broken: make(chan struct{})}
		ports := []ether.Port{br}
		second := r.hub.Port("eth1", gwMAC, r.pool)
		ports = append(ports, second)
		r.startWith(func(string, *frame.Pool) (ether.Port, error) { p := ports[0]; ports = ports[1:]; return p, nil })
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 1, 1, 1, 1))
		padi := r.ac.want(pppoe.PADI, "discovery")
		r.ac.send(reply(padi.hdr, acMAC), answer(pppoe.PADO, 0, padi))
		r.ac.want(pppoe.PADR, "discovery")
		close(br.broken)
		r.port.Close()
		synctest.Wait()
		u.wantHangup("port lost")
		time.Sleep(3 * time.Second)
		synctest.Wait()
		v := r.dial("virtual/1")
		v.send(confReq(1, 5, 1, 1, 1, 1))
		padi = r.ac.want(pppoe.PADI, "discovery")
		r.ac.send(reply(padi.hdr, acMAC), answer(pppoe.PADO, 0, padi))
		r.ac.want(pppoe.PADR, "the offer to the line's own address is heard")
		r.end()
	})
}

// The AC grants a session and says no more; nor does the user.
func TestSessionWithoutLCPEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 1, 1, 1, 1))
		r.ac.grant(5)
		time.Sleep(24 * time.Hour)
		if _, up := r.gw.Line("virtual/1"); up {
			t.Error("a day later the session is still up")
		}
		r.end()
	})
}

// The AC is gone and the user negotiates anew, for ever.
func TestACGoneDuringRenegotiation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		u := r.open("virtual/1", 10)
		for i := range 120 {
			if _, up := r.gw.Line("virtual/1"); !up {
				break
			}
			u.send(confReq(byte(20+i), 5, 1, 1, 1, byte(i)))
			time.Sleep(30 * time.Second)
		}
		if _, up := r.gw.Line("virtual/1"); up {
			t.Error("the line is still up")
		}
		if e := r.wantEvent(EventLineDown, "the AC is gone"); e.Reason != ReasonACSilent {
			t.Errorf("reason %s", e.Reason)
		}
		r.end()
	})
}

// The same bound holds where the session opens at once.
func TestSilentLineIsClosedWithOpenConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *config.Config) { c.Lines[0].Open = config.OpenConnect })
		r.dial("virtual/1")
		r.ac.grant(10)
		time.Sleep(time.Hour)
		if _, up := r.gw.Line("virtual/1"); up {
			t.Error("the line is still up")
		}
		r.end()
	})
}

// What could not be told the AC is told at the next start.
func TestUnsentPADTStaysInTheJournal(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *config.Config) { c.StateDir = dir })
		u := r.open("virtual/1", 10)
		r.port.SetUp(false)
		u.line.Close()
		synctest.Wait()
		r.port.SetUp(true)
		r.ac.wantNothing("no PADT got through")
		r.end()
	})
	if left := leftIn(t, dir); len(left) != 1 {
		t.Errorf("the journal has %v", left)
	}
}

// The old session's end does not take the new one out of the journal.
func TestReusedSessionStaysInTheJournal(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *config.Config) { c.StateDir = dir })
		r.open("virtual/1", 10)
		u := r.dial("virtual/2")
		u.send(confReq(1, 5, 0xaa, 0xbb, 0xcc, 0xdd))
		r.ac.grant(10)
		synctest.Wait()
		time.Sleep(5 * time.Second)
		b, _ := os.ReadFile(filepath.Join(dir, "sessions.db"))
		os.WriteFile(filepath.Join(dir, "copy"), b, 0o600)
		r.end()
	})
	d2 := t.TempDir()
	b, _ := os.ReadFile(filepath.Join(dir, "copy"))
	os.WriteFile(filepath.Join(d2, "sessions.db"), b, 0o600)
	if left := leftIn(t, d2); len(left) != 1 {
		t.Errorf("the journal has %v", left)
	}
}

// Lines that come one after another go round the owners.
func TestLinesAreSpreadOverOwners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		n := map[*owner]int{}
		for i := range 10 {
			r.open(fmt.Sprintf("virtual/%d", i), uint16(10+i))
		}
		for _, s := range r.gw.snapshot() {
			n[s.owner]++
		}
		r.end()
	})
}

// The operator hangs up before the owner has heard of the line.
func TestEndBeforeTheBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		near, _ := line.Pipe(line.Info{Name: "virtual/1", Group: "virtual", Kind: "pipe"}, r.pool, line.PipeOptions{})
		s := &session{g: r.gw, up: r.gw.uplinks[0], group: &r.cfg.Lines[0], line: near, info: near.Info(), timerIndex: -1, changed: true, owner: r.gw.owners[0]}
		s.out.init(near, queueConfig{frames: 10, delay: 50 * time.Millisecond}, r.gw.batches)
		r.gw.mu.Lock()
		r.gw.lines[s.info.Name] = s
		r.gw.up.Add(1)
		r.gw.mu.Unlock()
		s.publish()
		if err := r.gw.Hangup("virtual/1"); err != nil {
			t.Fatal(err)
		}
		s.owner.post(event{s: s, kind: evLineUp})
		go s.readLine()
		synctest.Wait()
		time.Sleep(5 * time.Minute)
		r.end()
		if s.timerIndex >= 0 {
			t.Error("a dead session ticks for ever")
		}
	})
}

// A stop during the reopening of a port does not wait for it for ever.
func TestStopWhileAPortIsReopened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		slow := make(chan struct{})
		np := r.hub.Port("eth1", gwMAC, r.pool)
		r.gw.openPort = func(string, *frame.Pool) (ether.Port, error) { <-slow; return np, nil }
		// make the port fail: a port whose read gives another error
		p := r.gw.uplinks[0].port
		fp := &failingPort{Port: r.port, fail: make(chan struct{})}
		p.set(fp)
		r.stopReaders(p)
		synctest.Wait()
		go func() { time.Sleep(3 * time.Second); r.stop(); time.Sleep(10 * time.Second); close(slow) }()
		select {
		case <-r.done:
		case <-time.After(time.Hour):
			t.Error("stop hangs")
			np.Close()
			<-r.done
		}
		r.ended = true
		r.sub.Close()
		r.ac.port.Close()
	})
}

// failingPort is lost.
type failingPort struct {
	ether.Port
	fail chan struct{}
}

func (f *failingPort) ReadBatch([]*frame.Buf) (int, error) { return 0, errors.New("gone") }

// stopReaders makes the running reader return with an error, by serving once more on a failing port
func (r *rig) stopReaders(p *port) {
	r.gw.readers.Go(func() { r.gw.serve(r.ctx, p) })
}

// A damaged journal keeps no gateway down.
func TestDamagedJournalIsSetAside(t *testing.T) {
	for page := range 10 {
		dir := t.TempDir()
		j, _, err := openJournal(dir, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		for i := range 500 {
			j.opened(journalEntry{Interface: "eth1", AC: acMAC, Our: gwMAC, SessionID: uint16(i + 1), Line: "virtual/1"})
		}
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "sessions.db")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		size := os.Getpagesize()
		for i := page * size; i < min((page+1)*size, len(b)); i++ {
			b[i] = 0xa5
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if page == 9 { // a file cut short, instead
			if err := os.Truncate(path, int64(len(b))*2/5); err != nil {
				t.Fatal(err)
			}
		}
		told := 0
		j, left, err := openJournal(dir, func(error) { told++ })
		if err != nil {
			t.Errorf("page %d: %v", page, err)
			continue
		}
		// Pages 0 and 1 are the two latest states: without one, the other holds.
		if _, err := os.Stat(path + ".damaged"); (err == nil) != (told > 0) || page > 1 && told == 0 && len(left) == 0 {
			t.Errorf("page %d: %d entries read, told %d times, set aside: %v", page, len(left), told, err == nil)
		}
		j.opened(journalEntry{Interface: "eth1", SessionID: 9})
		if err := j.close(); err != nil {
			t.Errorf("page %d: %v", page, err)
		}
	}
}

// A journal that cannot be opened is not a damaged one.
func TestUnreadableJournalIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sessions.db"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openJournal(dir, func(err error) { t.Error(err) }); err == nil {
		t.Error("a folder was opened as a journal")
	}
	if _, err := os.Stat(filepath.Join(dir, "sessions.db.damaged")); err == nil {
		t.Error("it was set aside")
	}
}

// leftIn reads a journal.
func leftIn(t *testing.T, dir string) []journalEntry {
	t.Helper()
	j, left, err := openJournal(dir, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	return left
}

// Lines that stand still leave buffers to those that move.
func TestStalledLinesLeaveThePool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *config.Config) { c.Lines[0].Queue.Frames = 128 })
		const stalled = 60 // sixty queues of 128 would be almost twice the pool
		for i := range stalled {
			near, far := line.Pipe(line.Info{Name: fmt.Sprintf("virtual/%d", i), Group: "virtual", Kind: "pipe"}, r.pool, line.PipeOptions{Buffer: 1000})
			u := &user{t: t, line: line.Over(far, line.Info{}, r.pool), pool: r.pool}
			r.lines.c <- near
			u.send(confReq(1, 5, 1, 1, 1, 1))
			sid := uint16(i + 1)
			time.Sleep(10 * time.Millisecond) // the allowance of PADIs
			r.ac.grant(sid)
			r.ac.wantPPP(sid, "the held Configure-Request")
			for range 8 {
				var frames [][]byte
				for k := range 30 {
					frames = append(frames, sessionPacket(sid, ipv4(1000, uint32(k))))
				}
				r.ac.send(ether.Header{Dst: gwMAC, Src: acMAC}, frames...)
			}
		}
		if n := r.pool.InUse(); n > r.pool.Cap()*15/16 {
			t.Errorf("%d of %d buffers are held by lines that do not read", n, r.pool.Cap())
		}
		good := r.open("virtual/good", 1000)
		r.ac.sendPPP(1000, ipv4(500, 7))
		good.want("a line that moves has its frame")
		r.end()
	})
}

// What cannot be opened is said, and what was opened before is closed again.
func TestNewFailsCleanly(t *testing.T) {
	broken := errors.New("broken")
	good := func(o *Options) *ether.HubPort {
		p := ether.NewHub().Port("eth1", gwMAC, o.Pool)
		o.OpenPort = func(string, *frame.Pool) (ether.Port, error) { return p, nil }
		return p
	}
	for _, tc := range []struct {
		name   string
		change func(*Options) *ether.HubPort // the port that is to be closed; nil if none was opened
	}{
		{"no interface", func(o *Options) *ether.HubPort {
			o.OpenPort = func(string, *frame.Pool) (ether.Port, error) { return nil, broken }
			return nil
		}},
		{"no listener", func(o *Options) *ether.HubPort {
			o.Listen = func(config.Lines, *frame.Pool, *slog.Logger) ([]line.Listener, error) { return nil, broken }
			return good(o)
		}},
		{"no state_dir", func(o *Options) *ether.HubPort {
			o.Config.StateDir = "/dev/null/nowhere"
			return good(o)
		}},
		{"no such uplink", func(o *Options) *ether.HubPort {
			o.Config.Lines[0].Uplink = "none"
			return good(o)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := Options{
				Config: &config.Config{
					Uplinks: []config.Uplink{{Name: "isp", Interface: "eth1", PADIRate: 1, MaxPayload: 1492}},
					Lines:   []config.Lines{{Name: "virtual", Uplink: "isp"}},
				},
				Log:  slog.New(slog.DiscardHandler),
				Pool: frame.NewPool(64),
				Listen: func(config.Lines, *frame.Pool, *slog.Logger) ([]line.Listener, error) {
					return []line.Listener{&fakeListener{closed: make(chan struct{})}}, nil
				},
			}
			port := tc.change(&o)
			g, err := New(o)
			if g != nil || err == nil {
				t.Fatalf("New gives %v, %v", g, err)
			}
			if port != nil {
				if _, err := port.WriteBatch(nil); !errors.Is(err, ether.ErrClosed) {
					t.Errorf("the port was left open: %v", err)
				}
			}
		})
	}
}

// A line that takes nothing is given little more to hold.
func TestStuckLineHoldsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := frame.NewPool(4096)
		near, far := line.Pipe(line.Info{}, pool, line.PipeOptions{Buffer: 100})
		var o outbox
		o.init(near, queueConfig{frames: 500, delay: 50 * time.Millisecond}, newBatches())
		push := func() bool {
			b := pool.Get()
			b.SetBytes(ipv4(1000, 1))
			return o.put(clock(), b)
		}
		waiting := func() int {
			synctest.Wait() // the writer takes the first batch, and stands
			o.mu.Lock()
			defer o.mu.Unlock()
			return o.q.len()
		}
		for push() && waiting() < 100 {
		}
		if n := waiting(); n != 100 {
			t.Fatalf("%d frames wait for a line that may only be busy, not 100", n)
		}
		time.Sleep(stuckAfter + time.Millisecond)
		if push() {
			t.Error("a line that has taken nothing for so long is given more")
		}
		echo := pool.Get()
		echo.SetBytes(lcp(ppp.EchoRequest, 1, make([]byte, 4)))
		if !o.put(clock(), echo) {
			t.Error("PPP itself is refused on account of data")
		}
		far.Close()
		synctest.Wait()
		if n := pool.InUse(); n != 0 {
			t.Errorf("%d buffers were not put back", n)
		}
	})
}
