package lab

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/line"
	"tributary/ppp"
	"tributary/pppoe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	internetAddr = netip.MustParseAddr("198.51.100.1")
	acMAC        = pppoe.MAC{2, 0, 0, 0, 0, 2}
)

// place is an access concentrator on a hub, and everyone who dials in at it.
type place struct {
	t    *testing.T
	pool *frame.Pool
	hub  *ether.Hub
	ac   *AC
	at   *ether.HubPort // the access concentrator's
	next byte           // of the users' addresses

	ended []func() // what takes the stations off the cable

	mu     sync.Mutex
	events []ACEvent
}

// newPlace makes an access concentrator that is gone, with every buffer put
// back, when the test is.
func newPlace(t *testing.T, cfg ACConfig) *place {
	t.Helper()
	p := &place{t: t, pool: frame.NewPool(8192), hub: ether.NewHub()}
	cfg.Event = func(e ACEvent) {
		p.mu.Lock()
		p.events = append(p.events, e)
		p.mu.Unlock()
	}
	var err error
	p.at = p.hub.Port("ac", acMAC, p.pool)
	if p.ac, err = NewAC(p.at, p.pool, cfg); err != nil {
		t.Fatal(err)
	}
	return p
}

// close ends the access concentrator; users have hung up before.
func (p *place) close() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := p.ac.Idle(ctx); err != nil { // the users' PADTs may be on their way
		p.t.Errorf("sessions %+v are left over", p.ac.Sessions())
	}
	p.ac.Close()
	if n := p.pool.InUse(); n != 0 {
		p.t.Errorf("%d buffers were not put back", n)
	}
}

func (p *place) kinds() (kinds []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func (p *place) port() *ether.HubPort {
	p.next++
	return p.hub.Port("user", pppoe.MAC{2, 0, 0, 0, 1, p.next}, p.pool)
}

// dial opens a PPPoE session and starts a subscriber on it.
func (p *place) dial(ctx context.Context, cfg SubscriberConfig) *Subscriber {
	p.t.Helper()
	ln, err := DialPPPoE(ctx, p.port(), p.pool, PPPoEConfig{})
	if err != nil {
		p.t.Fatal(err)
	}
	return NewSubscriber(ln, p.pool, cfg)
}

// up is dial for a user who must get a network.
func (p *place) up(ctx context.Context, cfg SubscriberConfig) (*Subscriber, Network) {
	p.t.Helper()
	s := p.dial(ctx, cfg)
	n, err := s.Network(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	return s, n
}

func hangUp(t *testing.T, s *Subscriber) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("hanging up: %v", err)
	}
}

// patience is far more than anything here takes on a slow machine.
func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// u1 is one of the lab's users.
var u1 = SubscriberConfig{User: "u1", Secret: "p1"}

func TestSubscriberOverPPPoE(t *testing.T) {
	ctx := patience(t)
	p := newPlace(t, ACConfig{Auth: []ppp.AuthMethod{ppp.AuthCHAPMD5}})
	s, n := p.up(ctx, u1)
	if !n.Address.Is4() || n.DNS[0] != internetAddr || n.Peer != p.ac.cfg.Local || n.MTU != ppp.PPPoEMRU {
		t.Errorf("network %+v", n)
	}
	if _, err := s.Ping(ctx, internetAddr, 1400); err != nil {
		t.Error(err)
	}
	if _, err := s.Ping(ctx, n.Peer, 56); err != nil {
		t.Errorf("the other end of the link: %v", err)
	}
	c := s.Client()
	defer c.CloseIdleConnections()
	if err := s.Download(ctx, c, internetAddr, 1<<20); err != nil {
		t.Error(err)
	}
	if err := s.Upload(ctx, c, internetAddr, 1<<20); err != nil {
		t.Error(err)
	}
	who, err := s.Fetch(ctx, c, "http://198.51.100.1/")
	if err != nil || !who.OK || who.Stream {
		t.Errorf("the front page: %+v, %v", who, err)
	}
	if tr := s.Traffic(); tr.Pings != 2 || tr.Downloads != 1 || tr.Uploads != 1 || tr.Up != 1<<20 || tr.Down != 1<<20+uint64(who.Octets) {
		t.Errorf("traffic %+v", tr)
	}
	all := p.ac.Sessions()
	if len(all) != 1 || all[0].User != "u1" || all[0].Address != n.Address || all[0].Up == 0 || all[0].Down == 0 {
		t.Errorf("sessions %+v", all)
	}
	hangUp(t, s)
	if words := s.Words(); words == "" {
		t.Error("the AC said nothing to our authentication")
	}
	p.close()
	if c := p.ac.Counters(); c.Opened != 1 || c.Networks != 1 || c.Terminated != 1 || c.ClosedByPADT != 1 || c.ClosedByUs != 0 {
		t.Errorf("counters %+v", c)
	}
}

func TestCrowd(t *testing.T) {
	p := newPlace(t, ACConfig{Auth: []ppp.AuthMethod{ppp.AuthPAP}})
	ctx, cancel := context.WithCancel(context.Background())
	c := NewCrowd(CrowdConfig{
		Users: 4, Pool: p.pool, Internet: internetAddr,
		Dial: func(ctx context.Context, i int) (line.Line, error) {
			port := p.hub.Port("user", pppoe.MAC{2, 0, 0, 0, 2, byte(i)}, p.pool)
			return DialPPPoE(ctx, port, p.pool, PPPoEConfig{})
		},
		Account: func(i int) (string, string) {
			name, secret := Account(i)
			if i == 3 {
				secret = "wrong"
			}
			return name, secret
		},
	})
	cancel() // everyone finishes one round all the same
	err := c.Run(ctx)
	if want := `u3: the peer refused user "u3": Access denied`; err == nil || err.Error() != want {
		t.Errorf("the crowd ends with %v, want %s", err, want)
	}
	for i, u := range c.Users() {
		switch good := u.Err == nil && u.Phase == "done" && u.Traffic.Downloads > 0 && u.Traffic.Uploads > 0 && u.Traffic.Pings > 1; {
		case i == 3:
			if u.Phase != "failed" || u.Err == nil {
				t.Errorf("%s was to fail: %+v", u.Name, u)
			}
		case !good:
			t.Errorf("%s: %+v", u.Name, u)
		}
	}
	p.close()
}
