package gateway_test

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/gateway"
	"tributary/internal/lab"
	"tributary/internal/line"
	"tributary/pppoe"
)

// Power is back, and all lines dial in the same moment, in virtual time. Each row is
// an access concentrator and how the gateway asks it.
var returns = []struct {
	name   string
	least  time.Duration // the AC's own limit: between two PADIs of one address
	uplink string
	// within is how long it may take until all are up, for this many lines.
	within func(lines int) time.Duration
	fewest func(lines int) int // PADIs that it takes at least; it may take a twentieth more
}{
	{"no limit, mac: interface", 0, "", atRate, one},
	{"no limit, max_discovering: 50", 0, "max_discovering: 50", atRate, one},
	{"a PADI a second, mac: per-line", time.Second, "mac: per-line, padi_interval: 1s", atRate, one},
	{"a PADI a second, mac: {pool: 64}", time.Second, "mac: {pool: 64}, padi_interval: 1s",
		func(n int) time.Duration { return time.Duration(n/64+1)*time.Second + atRate(n) }, one},
	{"a PADI a second, mac: interface", time.Second, "padi_interval: 1s",
		func(n int) time.Duration { return time.Duration(n+1) * time.Second }, one},
}

// atRate is what the default padi_rate of 500 a second takes.
func atRate(lines int) time.Duration { return time.Duration(lines)*time.Second/500 + time.Second }
func one(lines int) int              { return lines }

// TestLinesReturn holds for 1,000 lines that all come up in the time that the AC's
// limit leaves, with one PADI each, in the order in which they came. With RETURN_LINES=10000
// in the environment it does so for 10,000, and prints what came out.
func TestLinesReturn(t *testing.T) {
	lines := 1000
	if s := os.Getenv("RETURN_LINES"); s != "" {
		var err error
		if lines, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	var table strings.Builder
	fmt.Fprintf(&table, "| %d lines at once | first up | half are up | all are up | PADIs sent | dropped by the AC | most that came later and were up before |\n|---|---|---|---|---|---|---|\n", lines)
	for _, tt := range returns {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := returnOf(t, lines, tt.least, tt.uplink)
				last := r.up[lines-1]
				if most := tt.within(lines); last > most {
					t.Errorf("all are up after %v, want %v", last, most)
				}
				if n, want := r.padis, tt.fewest(lines); n < uint64(want) || n > uint64(want+want/20) {
					t.Errorf("%d PADIs, want %d and not many more", n, want)
				}
				if r.early > 0 {
					t.Errorf("the AC dropped %d PADIs: they came too early", r.early)
				}
				if r.overtaken > lines/20+50 {
					t.Errorf("one line saw %d overtake it", r.overtaken)
				}
				fmt.Fprintf(&table, "| %s | %v | %v | %v | %d | %d | %d |\n", tt.name, r.up[0].Round(time.Millisecond),
					r.up[lines/2].Round(time.Millisecond), last.Round(time.Millisecond), r.padis, r.early, r.overtaken)
			})
		})
	}
	t.Log("\n" + table.String())
}

// returned is what came of one return.
type returned struct {
	up           []time.Duration // when each had its network, sorted
	padis, early uint64
	overtaken    int // how many came later than one line and had a session before it, at most
}

func returnOf(t *testing.T, lines int, least time.Duration, uplink string) returned {
	pool := frame.NewPool(8*lines + 4096)
	hub := ether.NewHub()
	ac, err := lab.NewAC(hub.Port("ac", pppoe.MAC{2, 0, 0, 0, 0, 2}, pool), pool, lab.ACConfig{
		MinPADIInterval: least, Reflect: true, Echo: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("return.yaml", []byte("uplinks: [{name: isp, interface: eth1, offer_wait: 0, echo: {interval: 0}, "+uplink+"}]\n"+
		"lines: [{name: virtual, uplink: isp, tcp: {listen: \":1\", max: 100000}, first_frame_timeout: 0}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.StateDir = ""
	in := &returning{c: make(chan line.Line), closed: make(chan struct{})}
	gw, err := gateway.New(gateway.Options{
		Config: cfg, Log: slog.New(slog.DiscardHandler), Pool: pool,
		OpenPort: func(name string, pool *frame.Pool) (ether.Port, error) {
			return hub.Port(name, pppoe.MAC{2, 0, 0, 0, 0, 1}, pool), nil
		},
		Listen: func(config.Lines, *frame.Pool, *slog.Logger) ([]line.Listener, error) {
			return []line.Listener{in}, nil
		},
		Random: func(b []byte) { _, _ = crand.Read(b) }, Jitter: func(int64) int64 { return 0 }, Hostname: "gw",
	})
	if err != nil {
		t.Fatal(err)
	}
	events := gw.Subscribe(8 * lines)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- gw.Run(ctx) }()
	synctest.Wait()

	begin := time.Now()
	up := make([]time.Duration, lines)
	var users sync.WaitGroup
	subs := make([]*lab.Subscriber, lines)
	for i := range lines {
		near, far := line.Pipe(line.Info{Name: "virtual/" + strconv.Itoa(i), Group: "virtual", Kind: "pipe"}, pool, line.PipeOptions{})
		// Patient: someone who hangs up and dials again would stand at the end of the queue.
		subs[i] = lab.NewSubscriber(line.Over(far, line.Info{Name: "user"}, pool), pool, lab.SubscriberConfig{
			User: "u", Secret: "p", Restart: 24 * time.Hour, Packet: func([]byte) {},
		})
		users.Go(func() {
			if _, err := subs[i].Network(ctx); err != nil {
				t.Errorf("line %d: %v", i, err)
			}
			up[i] = time.Since(begin)
		})
		in.c <- near
		// They come in one moment, but one behind the other: else the owners, of whom
		// the scheduler lets one run and not the other, say who came first.
		synctest.Wait()
	}
	users.Wait()
	slices.Sort(up)
	r := returned{up: up, padis: gw.Uplinks()[0].Discovery["padi_sent"], early: ac.Counters().EarlyPADI, overtaken: overtaken(t, events, lines)}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, s := range subs {
		<-s.Done()
	}
	events.Close()
	ac.Close()
	synctest.Wait()
	if n := pool.InUse(); n != 0 {
		t.Errorf("%d buffers were not put back", n)
	}
	return r
}

// overtaken is how many came later than some line and had a session before it, for
// the line of which that is most.
func overtaken(t *testing.T, events *gateway.Subscription, lines int) (most int) {
	t.Helper()
	came, sessions := make(map[string]int, lines), 0
	var order []int // of their coming, in that of their sessions
	for sessions < lines {
		select {
		case e := <-events.C():
			switch e.Kind {
			case gateway.EventDiscovering:
				came[e.Line] = len(came)
			case gateway.EventSessionUp:
				order = append(order, came[e.Line])
				sessions++
			}
		default:
			t.Fatalf("%d of %d lines had a session", sessions, lines)
		}
	}
	// Who stands at place i and came as number n was overtaken by all in front of
	// him that came after n: count them over a tree of numbers (Fenwick).
	tree := make([]int, lines+1)
	for i, n := range order {
		before := 0 // of those in front, who came before him
		for k := n + 1; k > 0; k -= k & -k {
			before += tree[k]
		}
		most = max(most, i-before)
		for k := n + 1; k <= lines; k += k & -k {
			tree[k]++
		}
	}
	return most
}

// returning yields lines that are all there at once.
type returning struct {
	c      chan line.Line
	once   sync.Once
	closed chan struct{}
}

func (l *returning) Accept() (line.Line, error) {
	select {
	case ln := <-l.c:
		return ln, nil
	case <-l.closed:
		return nil, line.ErrClosed
	}
}
func (l *returning) Close() error { l.once.Do(func() { close(l.closed) }); return nil }
func (l *returning) Addr() string { return "return" }
