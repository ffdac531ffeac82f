package gateway_test

import (
	"context"
	crand "crypto/rand"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/gateway"
	"tributary/internal/lab"
	"tributary/internal/line"
	"tributary/ppp"
	"tributary/pppoe"
)

// Users over real TCP on loopback, a gateway, an access concentrator, and real
// TCP/IP at both ends.
func TestUsersReachTheInternet(t *testing.T) {
	const users = 8
	pool := frame.NewPool(1 << 14)
	hub := ether.NewHub()
	ac, err := lab.NewAC(hub.Port("ac", pppoe.MAC{2, 0, 0, 0, 0, 2}, pool), pool, lab.ACConfig{
		Auth: []ppp.AuthMethod{ppp.AuthCHAPMD5},
		Secret: func(user string) (string, bool) {
			n, ok := strings.CutPrefix(user, "u")
			return "p" + n, ok
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("test.yaml", []byte(`
uplinks: [{name: isp, interface: eth1, offer_wait: 10ms}]
lines: [{name: virtual, tcp: {listen: "127.0.0.1:0"}, mode: relay, uplink: isp}]
`))
	if err != nil {
		t.Fatal(err)
	}
	cfg.StateDir = t.TempDir()
	gw, err := gateway.New(gateway.Options{
		Config: cfg, Log: slog.New(slog.DiscardHandler), Pool: pool,
		OpenPort: func(name string, pool *frame.Pool) (ether.Port, error) {
			return hub.Port(name, pppoe.MAC{2, 0, 0, 0, 0, 1}, pool), nil
		},
		Listen: line.Listen, Random: func(b []byte) { _, _ = crand.Read(b) }, Jitter: rand.Int64N, Hostname: "gw",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- gw.Run(ctx) }()

	wait, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	addr := gw.Addrs()["virtual"][0]
	var mu sync.Mutex
	given := map[netip.Addr]bool{}
	var wg sync.WaitGroup
	for i := range users {
		name := string(rune('0' + i))
		wg.Go(func() {
			ln, err := line.Dial(wait, "tcp:"+addr, pool, line.DialOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			s := lab.NewSubscriber(ln, pool, lab.SubscriberConfig{User: "u" + name, Secret: "p" + name, Async: true, PFC: true, ACFC: true})
			defer func() {
				if err := s.Close(); err != nil {
					t.Errorf("u%s: %v", name, err)
				}
			}()
			n, err := s.Network(wait)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			given[n.Address] = true
			mu.Unlock()
			f := s.Framing()
			if want := (ppp.LineParams{SendPFC: true, SendACFC: true}); f != want {
				t.Errorf("the line is framed %+v, not as short as both ends can", f)
			}
			internet := netip.MustParseAddr("198.51.100.1")
			if _, err := s.Ping(wait, internet, 1400); err != nil {
				t.Error(err)
			}
			c := s.Client()
			defer c.CloseIdleConnections()
			if err := s.Download(wait, c, internet, 1<<20); err != nil {
				t.Error(err)
			}
			if err := s.Upload(wait, c, internet, 1<<20); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(given) != users {
		t.Errorf("%d addresses for %d users", len(given), users)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := len(ac.Sessions()); n != 0 {
		t.Errorf("%d sessions are left at the AC", n)
	}
	ac.Close()
	if c := ac.Counters(); c.Opened != users || c.Networks != users || c.ClosedByPADT != users {
		t.Errorf("the AC counts %+v", c)
	}
	if n := pool.InUse(); n != 0 {
		t.Errorf("%d buffers were not put back", n)
	}
}
