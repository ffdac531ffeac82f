package gateway

import (
	"log/slog"
	"sync"

	"tributary/internal/nat"
)

// natLog is the log of who has which ports. NAT tells of them with its locks held, on
// the data path, and whoever reads the log may be slow: so what is told waits in a
// queue, in its order, for one goroutine that writes it. RFC 6888 REQ-12 has a CGN
// log no destinations, and it is by blocks that it logs little.
type natLog struct {
	log   *slog.Logger
	queue chan natLine
	quit  chan struct{}
	done  sync.WaitGroup
}

type natLine struct {
	trunk *trunk
	block nat.Block
}

// natLogQueue is how many lines may wait: those of a gateway all of whose users go at
// once. One that is full loses lines, which are counted, rather than packets.
const natLogQueue = 1 << 13

func newNATLog(log *slog.Logger) *natLog {
	l := &natLog{log: log, queue: make(chan natLine, natLogQueue), quit: make(chan struct{})}
	l.done.Go(l.run)
	return l
}

// put never waits.
func (l *natLog) put(t *trunk, b nat.Block) {
	select {
	case l.queue <- natLine{t, b}:
	default:
		t.natLost.Add(1)
	}
}

// close writes what waits. Nothing is put any more.
func (l *natLog) close() {
	if l == nil {
		return
	}
	close(l.quit)
	l.done.Wait()
}

func (l *natLog) run() {
	told := make(map[*trunk]uint64) // how many lost lines were
	for {
		select {
		case n := <-l.queue:
			l.write(n, told)
		case <-l.quit:
			for len(l.queue) > 0 {
				l.write(<-l.queue, told)
			}
			return
		}
	}
}

func (l *natLog) write(n natLine, told map[*trunk]uint64) {
	session, b := n.trunk.cfg.Name, &n.block
	what := "NAT ports assigned"
	if b.Released {
		what = "NAT ports released"
	}
	l.log.Info(what, "session", session, "user", b.User.Name, "address", b.User.Addr,
		"external", b.External, "first", b.First, "last", b.Last)
	if lost := n.trunk.natLost.Load(); lost != told[n.trunk] {
		l.log.Error("the log was too slow for NAT: lines about ports are lost", "session", session, "lost", lost-told[n.trunk])
		told[n.trunk] = lost
	}
}
