package gateway

import (
	"context"
	"sync"
	"time"

	"tributary/internal/ether"
	"tributary/pppoe"
)

// How a stop is paced: so many sessions in a burst, so long between bursts. An
// AC can then take 50,000 PADTs in a few seconds without losing any of them.
const (
	stopBurst = 64
	stopPause = 5 * time.Millisecond
	stopWait  = 5 * time.Second // for lines that do not take their last frames
	lateWait  = time.Second     // for PADSs under way

	orphanRetry = 30 * time.Second
)

// stop ends everything in the order that loses nothing: no new lines; every
// session with its last words and its PADT, and those that users share when their
// users are gone; then the owners and the ports.
func (g *Gateway) stop() {
	g.mu.Lock()
	g.stopping.Store(true)
	g.mu.Unlock()
	for _, l := range g.listeners {
		l.Close()
	}
	all := g.snapshot()
	if len(all) > 0 {
		g.log.Info("ending sessions", "lines", len(all))
	}
	var lines, shared []*session
	for _, s := range all {
		if s.trunk != nil {
			shared = append(shared, s)
		} else {
			lines = append(lines, s)
		}
	}
	g.endAll(lines)
	g.accepts.Wait()
	// A user whose session falls first would be told that the ISP is at fault, and
	// his last packets would have no way.
	g.waitForLines(&g.users, func(s *session) bool { return s.sub != nil })
	g.endAll(shared)
	g.waitForLines(&g.up, func(*session) bool { return true })
	g.waitForLate(lateWait)
	for _, o := range g.owners {
		close(o.quit)
	}
	for _, o := range g.owners {
		<-o.done
	}
	g.closeAll()
	g.readers.Wait()
	g.log.Info("stopped", "lines", len(all))
}

// endAll has sessions end, so many at a time.
func (g *Gateway) endAll(sessions []*session) {
	begin := time.Now()
	for i, s := range sessions {
		pace(begin, i)
		s.owner.post(event{s: s, kind: evEnd, aux: ending{reason: ReasonStop}})
	}
}

// pace waits until it is the turn of the i-th session since begin.
func pace(begin time.Time, i int) {
	if i%stopBurst == 0 {
		time.Sleep(time.Until(begin.Add(time.Duration(i/stopBurst) * stopPause)))
	}
}

// waitForLines waits until the lines that are counted in up are down. After
// stopWait it cuts those of them that will not take their last frames.
func (g *Gateway) waitForLines(up *sync.WaitGroup, of func(*session) bool) {
	cut := time.AfterFunc(stopWait, func() {
		for _, s := range g.snapshot() {
			if of(s) {
				g.log.Warn("a line would not close; it is cut", "line", s.info.Name)
				s.out.kill()
			}
		}
	})
	defer cut.Stop()
	up.Wait()
}

// waitForLate gives the answers to PADRs that are under way a moment to come,
// so that the sessions they open are ended too.
func (g *Gateway) waitForLate(limit time.Duration) {
	for end := time.Now().Add(limit); g.searches.Load() > 0 && time.Now().Before(end); {
		time.Sleep(stopPause)
	}
}

// closeAll closes what New opened.
func (g *Gateway) closeAll() {
	for _, l := range g.listeners {
		l.Close()
	}
	if err := g.shared.close(); err != nil {
		g.log.Error("leases are not kept", "err", err)
	}
	if err := g.journal.close(); err != nil {
		g.journalFailed(err)
	}
	for _, p := range g.ports {
		p.close()
	}
}

// endOrphans sends a PADT for every session that an earlier life of this
// gateway left open: whoever crashes cannot say good-bye.
func (g *Gateway) endOrphans(left []journalEntry) {
	begin := time.Now()
	for i, e := range left {
		pace(begin, i)
		for _, p := range g.ports {
			if p.name == e.Interface {
				g.endOrphan(p, e)
			}
		}
		// One whose interface is not in the configuration is kept: it may
		// come back.
	}
}

// retryOrphans tries again, now and then, to end what could not be ended.
func (g *Gateway) retryOrphans(ctx context.Context, p *port) {
	tick := time.NewTicker(orphanRetry)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if !p.down.Load() {
				g.endOrphans(p.takeOrphans())
			}
		case <-ctx.Done():
			return
		}
	}
}

func (g *Gateway) endOrphan(p *port, e journalEntry) {
	vlans, err := ether.MakeVLANs(e.VLANs...)
	if err != nil {
		g.journal.closed(e)
		return
	}
	if p.table.lookup(&key{vlans: vlans, ac: e.AC, our: e.Our, sid: e.SessionID}) != nil {
		return // the AC has given the id away meanwhile, to us
	}
	hdr := ether.Header{Dst: e.AC, Src: e.Our, VLANs: vlans, Type: ether.TypeDiscovery}
	if !p.send(&hdr, pppoe.Terminate(e.AC, e.SessionID, "left open by a restart or a lost port").Packet) {
		g.log.Warn("an orphaned session could not be ended yet", "line", e.Line, "sid", e.SessionID, "mac", e.AC)
		p.keepOrphan(e)
		return
	}
	g.journal.closed(e)
	g.emit(Event{Time: time.Now(), Kind: EventOrphan, Line: e.Line, SID: e.SessionID, MAC: e.AC.String()})
}
