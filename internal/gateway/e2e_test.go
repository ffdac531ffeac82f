package gateway_test

import (
	"net/netip"
	"strconv"
	"sync"
	"testing"

	"tributary/internal/lab"
	"tributary/internal/line"
	"tributary/ppp"
)

// Users over real TCP on loopback, a gateway, an access concentrator, and real
// TCP/IP at both ends.
func TestUsersReachTheInternet(t *testing.T) {
	const users = 8
	s := newSite(t, siteConfig)
	var mu sync.Mutex
	given := map[netip.Addr]bool{}
	var wg sync.WaitGroup
	for i := range users {
		wg.Go(func() {
			name := strconv.Itoa(i)
			ln, err := line.Dial(s.ctx, "tcp:"+s.addr, s.pool, line.DialOptions{})
			if err != nil {
				t.Error(err)
				return
			}
			u := lab.NewSubscriber(ln, s.pool, lab.SubscriberConfig{User: "u" + name, Secret: "p" + name, Async: true, PFC: true, ACFC: true})
			defer func() {
				if err := u.Close(); err != nil {
					t.Errorf("u%s: %v", name, err)
				}
			}()
			n, err := u.Network(s.ctx)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			given[n.Address] = true
			mu.Unlock()
			f := u.Framing()
			if want := (ppp.LineParams{SendPFC: true, SendACFC: true}); f != want {
				t.Errorf("the line is framed %+v, not as short as both ends can", f)
			}
			if _, err := u.Ping(s.ctx, internet, 1400); err != nil {
				t.Error(err)
			}
			c := u.Client()
			defer c.CloseIdleConnections()
			if err := u.Download(s.ctx, c, internet, 1<<20); err != nil {
				t.Error(err)
			}
			if err := u.Upload(s.ctx, c, internet, 1<<20); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(given) != users {
		t.Errorf("%d addresses for %d users", len(given), users)
	}
	s.end()
	if c := s.ac.Counters(); c.Opened != users || c.Networks != users || c.ClosedByPADT != users {
		t.Errorf("the AC counts %+v", c)
	}
}
