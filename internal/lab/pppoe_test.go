package lab

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tributary/hdlc"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/line"
	"tributary/ppp"
	"tributary/pppoe"
)

// A port that fails ends a discovery at once, with the port's own words.
func TestDiscoveryOnALostPort(t *testing.T) {
	ctx := patience(t)
	p := newPlace(t, ACConfig{Reflect: true})
	p.ac.SetTrouble(Trouble{Deaf: true})
	port := p.port()
	port.Close()
	if _, err := Discover(ctx, port, p.pool, DiscoverConfig{Wait: time.Minute}); !errors.Is(err, ether.ErrClosed) {
		t.Errorf("Discover: %v", err)
	}
	if _, err := DialPPPoE(ctx, port, p.pool, PPPoEConfig{}); !errors.Is(err, ether.ErrClosed) {
		t.Errorf("DialPPPoE: %v", err)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := DialPPPoE(gone, p.port(), p.pool, PPPoEConfig{}); !errors.Is(err, context.Canceled) {
		t.Errorf("DialPPPoE with nobody waiting: %v", err)
	}
	p.close()
}

func TestDialPPPoE(t *testing.T) {
	ctx := patience(t)
	vlans, err := ether.MakeVLANs(100, 7)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t, ACConfig{Name: "bras1", Services: []string{"internet"}, VLANs: vlans, MaxPayload: 1500, Reflect: true})
	cfg := PPPoEConfig{Service: "internet", ACName: "bras1", VLANs: vlans, MaxPayload: 1500}
	port := p.port()
	port.SetMTU(1508)
	p.at.SetMTU(1508)
	ln, err := DialPPPoE(ctx, port, p.pool, cfg)
	if err != nil {
		t.Fatal(err)
	}
	info := ln.Info()
	if info.Kind != "pppoe" || !strings.HasPrefix(info.Remote, "bras1 "+acMAC.String()) {
		t.Errorf("info %+v", info)
	}
	ln.SetParams(hdlc.Default, 1)
	if send, recv := ln.Params(); send != (hdlc.Params{}) || recv != 0 {
		t.Error("PPPoE has no framing to choose")
	}
	got := make(chan int, 1)
	s := NewSubscriber(ln, p.pool, SubscriberConfig{Packet: func(b []byte) { got <- len(b) }})
	n, err := s.Network(ctx)
	if err != nil || n.MTU != 1500 {
		t.Fatalf("RFC 4638: %+v, %v", n, err)
	}
	s.Send(echoRequest(n.Address, there, 7, 1, 1472))
	select {
	case size := <-got:
		if size != 1500 {
			t.Errorf("a packet of 1500 octets came back with %d", size)
		}
	case <-ctx.Done():
		t.Error("a packet of 1500 octets did not come back")
	}
	if c := s.Line().Counters(); c.RxFrames == 0 || c.TxOctets < 1500 {
		t.Errorf("counters %+v", c)
	}
	hangUp(t, s)
	if err := ln.Write(nil); !errors.Is(err, line.ErrClosed) {
		t.Errorf("writing to a closed line: %v", err)
	}

	quick, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	cfg.ACName = "bras2"
	var de *DiscoveryError
	if _, err := DialPPPoE(quick, p.port(), p.pool, cfg); !errors.As(err, &de) || de.Reason != pppoe.FailNotAcceptable {
		t.Errorf("another AC than wanted: %v", err)
	}
	p.close()
}

// A line that says nothing, and one that only says what we say.
func TestLinesThatAreNone(t *testing.T) {
	for _, tt := range []struct {
		name   string
		reason ppp.Reason
		text   string
		other  func(far *line.Conn)
	}{
		{"silence", ppp.ReasonNoAnswer, "nothing on the line answers PPP", func(far *line.Conn) {
			var b [512]byte
			for {
				if _, err := far.Read(b[:]); err != nil {
					return
				}
			}
		}},
		{"an echo", ppp.ReasonLoopback, "the line is looped back", func(far *line.Conn) {
			var b [512]byte
			for {
				n, err := far.Read(b[:])
				if err != nil {
					return
				}
				if _, err := far.Write(b[:n]); err != nil {
					return
				}
			}
		}},
		{"hung up", ppp.ReasonLowerDown, "the line was hung up", func(far *line.Conn) { far.Close() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pool := frame.NewPool(64)
				near, far := line.Pipe(line.Info{Name: "pipe"}, pool, line.PipeOptions{})
				go tt.other(far)
				s := NewSubscriber(near, pool, SubscriberConfig{User: "u1", Secret: "p1", Async: true})
				_, err := s.Network(context.Background())
				var le *LinkError
				if !errors.As(err, &le) || le.Reason != tt.reason || !strings.HasPrefix(err.Error(), tt.text) {
					t.Errorf("got %v, want %s", err, tt.reason)
				}
				_ = s.Close() // the same error
				if n := pool.InUse(); n != 0 {
					t.Errorf("%d buffers were not put back", n)
				}
			})
		})
	}
}

// Whoever waits for a network, a ping or a transfer is told when the link ends.
func TestLinkEndsUnderneath(t *testing.T) {
	ctx := patience(t)
	p := newPlace(t, ACConfig{Auth: chap})
	s, _ := p.up(ctx, u1)
	client := s.Client()
	defer client.CloseIdleConnections()
	began := make(chan struct{})
	p.ac.SetTrouble(Trouble{Packet: func(d Direction, f []byte) bool {
		// Large packets are the download; they come, but nothing goes up.
		if len(f) > 1000 {
			select {
			case began <- struct{}{}:
			default:
			}
		}
		return true
	}})
	result := make(chan error, 1)
	go func() { result <- s.Download(ctx, client, internetAddr, 1<<40) }()
	<-began
	p.ac.SetTrouble(Trouble{Mute: true})
	ping := make(chan error, 1)
	go func() {
		_, err := s.Ping(ctx, internetAddr, 8)
		ping <- err
	}()
	s.Cut()
	if err := <-result; err == nil || !strings.Contains(err.Error(), "the line was hung up") {
		t.Errorf("a download under a cut line: %v", err)
	}
	if err := <-ping; err == nil || !strings.Contains(err.Error(), "hung up") && !strings.Contains(err.Error(), "is down") {
		t.Errorf("a ping under a cut line: %v", err)
	}
	if _, err := s.DialContext(ctx, "tcp", "198.51.100.1:80"); err == nil {
		t.Error("a connection over a link that is down")
	}
	p.close()
}

func TestDialContext(t *testing.T) {
	ctx := patience(t)
	p := newPlace(t, ACConfig{})
	s, _ := p.up(ctx, u1)
	for _, to := range []string{"udp 198.51.100.1:7", "tcp example.org:80", "tcp [2001:db8::1]:80", "tcp 198.51.100.1:9"} {
		network, address, _ := strings.Cut(to, " ")
		if _, err := s.DialContext(ctx, network, address); err == nil {
			t.Errorf("%s: connected", to)
		}
	}
	c, err := s.DialContext(ctx, "tcp", "198.51.100.1:7")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("echo")); err != nil {
		t.Error(err)
	}
	var b [4]byte
	if n, err := c.Read(b[:]); err != nil || string(b[:n]) != "echo" {
		t.Errorf("port 7 says %q, %v", b[:n], err)
	}
	c.Close()
	hangUp(t, s)
	p.close()
}
