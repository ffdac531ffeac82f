package gateway_test

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tributary/hdlc"
	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/gateway"
	"tributary/internal/lab"
	"tributary/internal/line"
	"tributary/ppp"
	"tributary/pppoe"
)

var internet = netip.MustParseAddr("198.51.100.1")

// site is a gateway on real TCP, and an ISP in memory.
type site struct {
	t    *testing.T
	pool *frame.Pool
	hub  *ether.Hub
	ac   *lab.AC
	gw   *gateway.Gateway
	addr string
	ctx  context.Context
	stop context.CancelFunc
	done chan error
}

const siteConfig = `
uplinks: [{name: isp, interface: eth1, offer_wait: 10ms}]
lines: [{name: virtual, tcp: {listen: "127.0.0.1:0", max: 20000}, mode: relay, uplink: isp}]
`

func newSite(t *testing.T, yaml string) *site {
	t.Helper()
	s := &site{t: t, pool: frame.NewPool(1 << 15), hub: ether.NewHub(), done: make(chan error, 1)}
	var err error
	s.ac, err = lab.NewAC(s.hub.Port("ac", pppoe.MAC{2, 0, 0, 0, 0, 2}, s.pool), s.pool, lab.ACConfig{
		Auth: []ppp.AuthMethod{ppp.AuthCHAPMD5},
		Secret: func(user string) (string, bool) {
			n, ok := strings.CutPrefix(user, "u")
			return "p" + n, ok
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Parse("test.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	cfg.StateDir = t.TempDir()
	s.gw, err = gateway.New(gateway.Options{
		Config: cfg, Log: slog.New(slog.DiscardHandler), Pool: s.pool,
		OpenPort: func(name string, pool *frame.Pool) (ether.Port, error) {
			return s.hub.Port(name, pppoe.MAC{2, 0, 0, 0, 0, 1}, pool), nil
		},
		Listen: line.Listen, Random: func(b []byte) { _, _ = crand.Read(b) }, Jitter: rand.Int64N, Hostname: "gw",
	})
	if err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() { s.done <- s.gw.Run(run) }()
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	s.addr = s.gw.Addrs()["virtual"][0]
	return s
}

// end stops everything and holds it to leaving nothing behind.
func (s *site) end() {
	s.t.Helper()
	s.stop()
	if err := <-s.done; err != nil {
		s.t.Error(err)
	}
	if n := len(s.ac.Sessions()); n != 0 {
		s.t.Errorf("%d sessions are left at the AC", n)
	}
	s.ac.Close()
	s.until("all buffers are back", func() bool { return s.pool.InUse() == 0 })
}

// until waits for a condition.
func (s *site) until(what string, cond func() bool) {
	s.t.Helper()
	for !cond() {
		if s.ctx.Err() != nil {
			s.t.Fatalf("not in time: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// user dials in and waits for the network.
func (s *site) user(name string, packet func([]byte)) *lab.Subscriber {
	s.t.Helper()
	ln, err := line.Dial(s.ctx, "tcp:"+s.addr, s.pool, line.DialOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	u := lab.NewSubscriber(ln, s.pool, lab.SubscriberConfig{User: "u" + name, Secret: "p" + name, Async: true, PFC: true, ACFC: true, Packet: packet})
	if _, err := u.Network(s.ctx); err != nil {
		s.t.Fatal(err)
	}
	return u
}

func (s *site) dial() net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// lineOf is what the gateway says of the line that ends at this address.
func (s *site) lineOf(local string) (gateway.LineInfo, bool) {
	for _, l := range s.gw.Lines() {
		if l.Remote == local {
			return l, true
		}
	}
	return gateway.LineInfo{}, false
}

// Everything that a bad peer can do on a line costs that line, and no other.
func TestBadLinesHarmNobodyElse(t *testing.T) {
	s := newSite(t, siteConfig)
	good := s.user("1", nil)

	// Connections that say nothing.
	var silent []net.Conn
	for range 2000 {
		silent = append(silent, s.dial())
	}
	s.until("the silent ones are lines", func() bool { return len(s.gw.Lines()) >= 2001 })

	// Noise without end, and a frame that never ends.
	noise, endless := s.dial(), s.dial()
	go func() {
		b := make([]byte, 4096)
		for r := rand.New(rand.NewPCG(1, 2)); ; {
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			if _, err := noise.Write(b); err != nil {
				return
			}
		}
	}()
	go func() {
		b := []byte(strings.Repeat("x", 4096))
		if _, err := endless.Write([]byte{0x7e}); err != nil {
			return
		}
		for {
			if _, err := endless.Write(b); err != nil {
				return
			}
		}
	}()

	// A flood of Configure-Requests.
	flood := s.dial()
	go func() {
		req := ppp.Packet{Code: ppp.ConfigureRequest, Data: []byte{5, 6, 1, 2, 3, 4}}
		var b []byte
		for i := range 64 {
			req.ID = byte(i)
			b = hdlc.AppendFrame(b, req.AppendFrame(nil, ppp.ProtoLCP), hdlc.Default)
		}
		for {
			if _, err := flood.Write(b); err != nil {
				return
			}
		}
	}()
	go func() { // and it reads, so that nothing holds it up
		b := make([]byte, 4096)
		for {
			if _, err := flood.Read(b); err != nil {
				return
			}
		}
	}()

	// A user who is logged in, asks for much and never reads it.
	stuck := make(chan struct{})
	deaf := s.user("2", func([]byte) { <-stuck })
	n, err := deaf.Network(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	packet := udp(n.Address, internet, 7, 1300)
	var deafLine gateway.LineInfo
	s.until("the deaf one's queue drops", func() bool {
		for range 100 {
			deaf.Send(packet)
		}
		for _, l := range s.gw.Lines() {
			if l.User == "u2" {
				deafLine = l
			}
		}
		return deafLine.Session.QueueFull+deafLine.Session.QueueCoDel > 100
	})

	c := good.Client()
	for range 3 {
		if err := good.Download(s.ctx, c, internet, 1<<20); err != nil {
			t.Error(err)
		}
		if _, err := good.Ping(s.ctx, internet, 100); err != nil {
			t.Error(err)
		}
	}
	c.CloseIdleConnections()
	for _, l := range s.gw.Lines() {
		if l.User == "u1" && l.Session.QueueFull != 0 {
			t.Errorf("the good line's queue overflowed: %+v", l.Session)
		}
	}
	if l, ok := s.lineOf(noise.LocalAddr().String()); !ok || l.Line.BadFCS+l.Line.Short+l.Line.Aborted+l.Line.Oversize == 0 {
		t.Errorf("noise is not counted: %+v, %v", l.Line, ok)
	}
	s.until("the endless frame is cut off and counted", func() bool {
		l, ok := s.lineOf(endless.LocalAddr().String())
		return ok && l.Line.Oversize == 1
	})

	for _, c := range append(silent, noise, endless, flood) {
		c.Close()
	}
	s.until("they are gone", func() bool { return len(s.gw.Lines()) == 2 })
	if _, err := good.Ping(s.ctx, internet, 100); err != nil {
		t.Error(err)
	}
	if err := good.Close(); err != nil {
		t.Error(err)
	}
	// The deaf line is still stuck: the gateway's stop must not be.
	s.stop()
	if err := <-s.done; err != nil {
		t.Error(err)
	}
	s.done <- nil
	close(stuck)
	var link *lab.LinkError
	if err := deaf.Close(); err != nil && !errors.As(err, &link) {
		t.Error(err)
	}
	s.end()
}

// udp is a UDP packet of n octets of data.
func udp(from, to netip.Addr, port uint16, n int) []byte {
	b := make([]byte, 28+n)
	b[0], b[8], b[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	src, dst := from.As4(), to.As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(b[20:], 4000)
	binary.BigEndian.PutUint16(b[22:], port)
	binary.BigEndian.PutUint16(b[24:], uint16(8+n))
	return b // without a checksum, as UDP allows
}
