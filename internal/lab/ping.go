package lab

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// pinger sends ICMP echoes (RFC 792) and knows their replies.
type pinger struct {
	mu    sync.Mutex
	seq   uint16
	wait  map[uint16]chan byte // told the TTL of the reply
	total Traffic              // only what is about pings
}

// pingID tells our echoes from those of programs behind the same address.
const pingID = 0x5452

// Ping sends one echo of size octets of data and returns how long its reply
// took. ctx bounds the wait.
func (s *Subscriber) Ping(ctx context.Context, to netip.Addr, size int) (rtt time.Duration, err error) {
	rtt, _, err = s.pingHops(ctx, to, size)
	return rtt, err
}

// replyTTL is what every stack here sends with (RFC 1700: "The current
// recommended default time to live (TTL) for the Internet Protocol (IP) [...] is
// 64").
const replyTTL = 64

// pingHops is Ping that tells through how many routers the reply came.
func (s *Subscriber) pingHops(ctx context.Context, to netip.Addr, size int) (rtt time.Duration, hops int, err error) {
	p := &s.ping
	c := make(chan byte, 1)
	p.mu.Lock()
	p.seq++
	seq := p.seq
	if p.wait == nil {
		p.wait = make(map[uint16]chan byte)
	}
	p.wait[seq] = c
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.wait, seq)
		if err != nil {
			p.total.PingsLost++
			return
		}
		p.total = p.total.Add(Traffic{Pings: 1, PingMin: rtt, PingMax: rtt, PingSum: rtt})
	}()
	begin := time.Now()
	if !s.Send(echoRequest(s.net.Address, to, pingID, seq, size)) {
		if !s.open.Load() {
			return 0, 0, fmt.Errorf("ping %v: the network is down", to)
		}
		return 0, 0, fmt.Errorf("ping %v: the line has no room for it", to)
	}
	select {
	case ttl := <-c:
		return time.Since(begin), replyTTL - int(ttl), nil
	case <-s.over:
		return 0, 0, fmt.Errorf("ping %v: %w", to, s.ended())
	case <-ctx.Done():
		return 0, 0, fmt.Errorf("ping %v: no reply: %w", to, context.Cause(ctx))
	}
}

// input takes a packet if it is the reply to one of ours.
func (p *pinger) input(packet []byte) bool {
	id, seq, ok := echoReply(packet)
	if !ok || id != pingID {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.wait[seq]
	if c == nil {
		return false
	}
	select {
	case c <- packet[8]:
	default: // a duplicate
	}
	return true
}
