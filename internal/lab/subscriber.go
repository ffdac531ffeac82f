package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"tributary/hdlc"
	"tributary/internal/frame"
	"tributary/internal/line"
	"tributary/ppp"
)

// SubscriberConfig is a user with a PPP client.
type SubscriberConfig struct {
	User, Secret string
	// MRU is what the client takes: 1500 on an async line, else 1492, or what
	// RFC 4638 agreed on.
	MRU int
	// ACCM, PFC and ACFC are what the client asks for on an async line. To
	// the ACCM comes what the line itself needs.
	ACCM      uint32
	PFC, ACFC bool
	Async     bool          // the line has RFC 1662 framing
	Echo      time.Duration // LCP Echo-Requests; 0 is never
	// Restart is PPP's restart timer, 0 is RFC 1661's 3 s: ten times as long, the
	// client waits for its first answer.
	Restart time.Duration
	// Packet takes each IP packet that arrives, in place of a TCP/IP stack.
	// The packet is valid until it returns.
	Packet func(packet []byte)
	// Phase is told how far the link is ("lcp", "auth", "network") and some
	// more about it, by one goroutine. May be nil.
	Phase func(phase, text string)
}

// Network is what the ISP gave a subscriber.
type Network struct {
	Address, Peer netip.Addr
	DNS           [2]netip.Addr
	MTU           int
}

// Subscriber is a user in user space: a PPP client on a line, with a TCP/IP
// stack of its own. One goroutine, loop, owns the link; readLine and writeLine
// carry data beside it.
type Subscriber struct {
	cfg    SubscriberConfig
	line   line.Line
	pool   *frame.Pool
	link   *ppp.Link
	inbox  chan *frame.Buf // control frames from readLine, which closes it
	outbox chan *frame.Buf // frames for writeLine; nil ends it
	gone   atomic.Bool     // nobody takes from outbox any more
	hang   chan struct{}   // closed: hang up politely
	up     chan struct{}   // closed: net is set
	over   chan struct{}   // closed: the link is over, err is set
	done   chan struct{}   // closed: everything is
	polite sync.Once
	wrote  sync.WaitGroup // writeLine
	read   sync.WaitGroup // readLine

	open atomic.Bool // IPv4 may flow; what follows is set before
	net  Network
	host *stack.Stack
	wire *wire
	ping pinger

	moved struct{ downloads, uploads, down, up atomic.Uint64 } // see Traffic

	err     error
	framing ppp.LineParams
	sendMRU int
	recvMRU int
	words   string // the peer's, to our authentication
}

// NewSubscriber begins to dial: PPP starts at once on ln, which is closed at the end.
func NewSubscriber(ln line.Line, pool *frame.Pool, cfg SubscriberConfig) *Subscriber {
	if cfg.Phase == nil {
		cfg.Phase = func(string, string) {}
	}
	s := &Subscriber{
		cfg: cfg, line: ln, pool: pool, framing: ppp.DefaultLineParams,
		inbox: make(chan *frame.Buf, 64), outbox: make(chan *frame.Buf, 256),
		hang: make(chan struct{}), up: make(chan struct{}), over: make(chan struct{}), done: make(chan struct{}),
	}
	lc := ppp.LinkConfig{
		Async: cfg.Async, ACCM: cfg.ACCM | ln.Info().ACCM, PFC: cfg.PFC, ACFC: cfg.ACFC, MRU: cfg.MRU,
		Name: cfg.User, Secret: cfg.Secret, IPv4: &ppp.IPv4Config{AskDNS: true}, EchoInterval: cfg.Echo,
		Restart: cfg.Restart,
	}
	if p, ok := ln.(interface{ MaxPayload() int }); ok { // a PPPoE session
		lc.MaxMRU = p.MaxPayload()
		if cfg.MRU == 0 {
			lc.MRU = lc.MaxMRU
		}
	}
	s.link = ppp.NewLink(lc)
	s.read.Go(s.readLine)
	s.wrote.Go(s.writeLine)
	go s.loop()
	return s
}

// Network waits until the ISP has given an address, or the link has failed.
func (s *Subscriber) Network(ctx context.Context) (Network, error) {
	select {
	case <-s.up:
		return s.net, nil
	case <-s.over:
		return Network{}, s.ended()
	case <-ctx.Done():
		return Network{}, fmt.Errorf("no network yet: %w", context.Cause(ctx))
	}
}

// ended is why the link is over; valid once over is closed.
func (s *Subscriber) ended() error {
	if s.err != nil {
		return s.err
	}
	return errors.New("hung up")
}

// Done is closed when the link is over.
func (s *Subscriber) Done() <-chan struct{} { return s.done }

// Close hangs up as PPP would have it, and waits until all is over. The error
// is what ended the link if it was not us.
func (s *Subscriber) Close() error {
	s.polite.Do(func() { close(s.hang) })
	<-s.done
	return s.err
}

// Cut drops the line without a word, as a lost carrier does.
func (s *Subscriber) Cut() {
	s.line.Close()
	<-s.done
}

// Line is the line's own view of itself.
func (s *Subscriber) Line() line.Line { return s.line }

// Framing is how LCP said the line is to be framed; valid after Network.
func (s *Subscriber) Framing() ppp.LineParams { return s.framing }

// Words is what the peer said to our authentication; valid after Network.
func (s *Subscriber) Words() string { return s.words }

// loop owns the link.
func (s *Subscriber) loop() {
	now := time.Now()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	s.link.Open(now)
	s.link.Up(now)
	inbox, hang := s.inbox, s.hang
	for !s.drain(now) {
		if at := s.link.Deadline(); !at.IsZero() {
			timer.Reset(time.Until(at))
		}
		select {
		case b, ok := <-inbox:
			now = time.Now()
			if !ok {
				inbox = nil
				s.link.Down(now)
				break
			}
			s.link.Input(now, b.Bytes())
			b.Put()
		case <-timer.C:
			now = time.Now()
			s.link.Tick(now)
		case <-hang:
			hang = nil
			now = time.Now()
			s.link.Close(now)
		}
	}
	s.finish()
}

// lastFrame is how long the line may take for the last frames.
const lastFrame = time.Second

// finish lets the last frames out, closes the line and waits for everything.
func (s *Subscriber) finish() {
	close(s.over)
	s.open.Store(false)
	cut := time.AfterFunc(lastFrame, func() { s.line.Close() })
	s.outbox <- nil
	s.wrote.Wait()
	cut.Stop()
	s.line.Close()
	for b := range s.inbox {
		b.Put()
	}
	s.read.Wait()
	if s.host != nil {
		s.host.Destroy()
	}
	s.gone.Store(true)
	s.emptyOutbox()
	close(s.done)
}

// emptyOutbox puts back what nobody writes any more.
func (s *Subscriber) emptyOutbox() {
	for {
		select {
		case b := <-s.outbox:
			b.Put()
		default:
			return
		}
	}
}

// drain does what the link asks for and reports whether it is over.
func (s *Subscriber) drain(now time.Time) (over bool) {
	for {
		out, ok := s.link.Next()
		if !ok {
			return over
		}
		switch out := out.(type) {
		case ppp.SendFrame:
			s.transmit(0, out.Frame)
		case ppp.Params:
			s.framing, s.sendMRU, s.recvMRU = out.Line, out.SendMRU, out.RecvMRU
			s.line.SetParams(hdlc.Params{ACCM: out.Line.SendACCM, PFC: out.Line.SendPFC, ACFC: out.Line.SendACFC}, out.Line.RecvACCM)
		case ppp.LCPUp:
			s.cfg.Phase("lcp", fmt.Sprintf("open, %v", s.framingText()))
		case ppp.Authenticated:
			if out.Local {
				s.words = out.Message
				s.cfg.Phase("auth", fmt.Sprintf("%v as %q: %s", out.Method, out.Name, out.Message))
			}
		case ppp.NetworkUp:
			if err := s.networkUp(out); err != nil {
				s.err = err
				s.link.Close(now)
			}
		case ppp.NetworkDown:
			s.open.Store(false)
		case ppp.Finished:
			over = true
			if s.err == nil && out.Reason != ppp.ReasonClosed {
				s.err = &LinkError{User: s.cfg.User, Reason: out.Reason, Message: out.Message}
			}
		}
	}
}

func (s *Subscriber) framingText() string {
	if !s.cfg.Async {
		return fmt.Sprintf("MRU %d", s.sendMRU)
	}
	f := s.framing
	return fmt.Sprintf("MRU %d, send ACCM %08x, receive ACCM %08x, PFC %v, ACFC %v", s.sendMRU, f.SendACCM, f.RecvACCM, f.SendPFC, f.SendACFC)
}

// networkUp brings up the host behind the link.
func (s *Subscriber) networkUp(up ppp.NetworkUp) error {
	n := Network{Address: up.Local, Peer: up.Peer, DNS: up.DNS, MTU: min(s.sendMRU, s.recvMRU, ppp.DefaultMRU)}
	if s.net.Address.IsValid() {
		if s.net.Address != n.Address {
			return fmt.Errorf("the ISP changed our address from %v to %v", s.net.Address, n.Address)
		}
		s.open.Store(true)
		return nil
	}
	if !n.Address.Is4() {
		return errors.New("the ISP gave no address")
	}
	s.net = n
	if s.cfg.Packet == nil {
		var err error
		if s.host, s.wire, err = newHost(n.Address, n.MTU, s.sendPacket); err != nil {
			return err
		}
	}
	s.open.Store(true)
	s.cfg.Phase("network", fmt.Sprintf("address %v, peer %v, DNS %s, MTU %d", n.Address, n.Peer, addrList(n.DNS), n.MTU))
	close(s.up)
	return nil
}

func addrList(addrs [2]netip.Addr) string {
	switch {
	case !addrs[0].IsValid():
		return "none"
	case !addrs[1].IsValid():
		return addrs[0].String()
	}
	return addrs[0].String() + " " + addrs[1].String()
}

// Send sends one IP packet. It reports false, and the packet is lost, if the
// line has no room for it or the network is not up.
func (s *Subscriber) Send(packet []byte) bool {
	return s.open.Load() && s.transmit(ppp.ProtoIPv4, packet)
}

func (s *Subscriber) sendPacket(packet []byte) { s.Send(packet) }

// transmit puts one frame in the line's way: f behind the protocol p, or with
// its own if p is 0.
func (s *Subscriber) transmit(p ppp.Protocol, f []byte) bool {
	b := s.pool.Get()
	if b == nil {
		return false
	}
	if !b.SetBytes(f) {
		b.Put()
		return false
	}
	if p != 0 {
		ppp.AppendProtocol(b.Prepend(2)[:0], p)
	}
	select {
	case s.outbox <- b:
		if s.gone.Load() {
			s.emptyOutbox() // it came after the last look
		}
		return true
	default:
		b.Put()
		return false
	}
}

// writeLine writes what waits, as much at once as there is.
func (s *Subscriber) writeLine() {
	var batch [32]*frame.Buf
	for {
		b := <-s.outbox
		n, last := 0, false
		for {
			if last = b == nil; last {
				break
			}
			batch[n] = b
			if n++; n == len(batch) || len(s.outbox) == 0 {
				break
			}
			b = <-s.outbox
		}
		// What the line does not take is lost; readLine sees the line fail.
		_ = s.line.Write(batch[:n])
		for _, b := range batch[:n] {
			b.Put()
		}
		if last {
			return
		}
	}
}

// readLine takes what arrives: packets to the host, all else to the loop.
func (s *Subscriber) readLine() {
	defer close(s.inbox)
	var batch [32]*frame.Buf
	for {
		n, err := s.line.Read(batch[:])
		for _, b := range batch[:n] {
			if p, packet, ok := ppp.Split(b.Bytes()); ok && p == ppp.ProtoIPv4 {
				if s.open.Load() {
					s.packet(packet)
				}
				b.Put()
				continue
			}
			s.inbox <- b
		}
		if err != nil {
			return
		}
	}
}

func (s *Subscriber) packet(packet []byte) {
	switch {
	case s.ping.input(packet):
	case s.cfg.Packet != nil:
		s.cfg.Packet(packet)
	default:
		s.wire.in(packet)
	}
}
