package lab

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/ppp"
	"tributary/pppoe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secrets knows users u0, u1, ... with secrets p0, p1, ...
func secrets(user string) (string, bool) {
	n, ok := strings.CutPrefix(user, "u")
	return "p" + n, ok && n != ""
}

func TestSubscriberOverPPPoE(t *testing.T) {
	pool := frame.NewPool(4096)
	hub := ether.NewHub()
	ac, err := NewAC(hub.Port("ac", pppoe.MAC{2, 0, 0, 0, 0, 2}, pool), pool, ACConfig{Auth: []ppp.AuthMethod{ppp.AuthCHAPMD5}, Secret: secrets})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	port := hub.Port("user", pppoe.MAC{2, 0, 0, 0, 0, 9}, pool)
	ln, err := DialPPPoE(ctx, port, pool, PPPoEConfig{})
	if err != nil {
		t.Fatal(err)
	}
	s := NewSubscriber(ln, pool, SubscriberConfig{User: "u1", Secret: "p1"})
	n, err := s.Network(ctx)
	if err != nil {
		t.Fatal(err)
	}
	internet := netip.MustParseAddr("198.51.100.1")
	if !n.Address.Is4() || n.DNS[0] != internet {
		t.Errorf("network %+v", n)
	}
	if _, err := s.Ping(ctx, internet, 56); err != nil {
		t.Error(err)
	}
	c := s.Client()
	if err := s.Download(ctx, c, internet, 1<<20); err != nil {
		t.Error(err)
	}
	if err := s.Upload(ctx, c, internet, 1<<20); err != nil {
		t.Error(err)
	}
	c.CloseIdleConnections()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	ac.Close()
	if c := ac.Counters(); c.Opened != 1 || c.Networks != 1 || c.Terminated != 1 {
		t.Errorf("counters %+v", c)
	}
	if n := pool.InUse(); n != 0 {
		t.Errorf("%d buffers were not put back", n)
	}
}
