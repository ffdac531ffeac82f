package lab

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// pinger sends ICMP echoes (RFC 792) and knows their replies.
type pinger struct {
	mu    sync.Mutex
	seq   uint16
	wait  map[uint16]chan struct{}
	total Traffic // only what is about pings
}

// pingID tells our echoes from those of programs behind the same address.
const pingID = 0x5452

const (
	protoICMP   = 1
	icmpReply   = 0
	icmpRequest = 8
)

// Ping sends one echo of size octets of data and returns how long its reply
// took. ctx bounds the wait.
func (s *Subscriber) Ping(ctx context.Context, to netip.Addr, size int) (rtt time.Duration, err error) {
	p := &s.ping
	c := make(chan struct{}, 1)
	p.mu.Lock()
	p.seq++
	seq := p.seq
	if p.wait == nil {
		p.wait = make(map[uint16]chan struct{})
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
	if !s.Send(echoRequest(s.net.Address, to, seq, size)) {
		return 0, fmt.Errorf("ping %v: the line takes no packet", to)
	}
	select {
	case <-c:
		return time.Since(begin), nil
	case <-s.done:
		return 0, fmt.Errorf("ping %v: %w", to, s.ended())
	case <-ctx.Done():
		return 0, fmt.Errorf("ping %v: no reply: %w", to, context.Cause(ctx))
	}
}

// input takes a packet if it is the reply to one of ours.
func (p *pinger) input(packet []byte) bool {
	if len(packet) < 20 || packet[0]>>4 != 4 || packet[9] != protoICMP {
		return false
	}
	head := int(packet[0]&15) * 4
	if head < 20 || len(packet) < head+8 {
		return false
	}
	icmp := packet[head:]
	if icmp[0] != icmpReply || binary.BigEndian.Uint16(icmp[4:]) != pingID {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.wait[binary.BigEndian.Uint16(icmp[6:])]
	if c == nil {
		return false
	}
	select {
	case c <- struct{}{}:
	default: // a duplicate
	}
	return true
}

func echoRequest(from, to netip.Addr, seq uint16, size int) []byte {
	b := make([]byte, 28+size)
	b[0] = 0x45
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[8], b[9] = 64, protoICMP
	src, dst := from.As4(), to.As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	binary.BigEndian.PutUint16(b[10:], checksum(b[:20]))
	b[20] = icmpRequest
	binary.BigEndian.PutUint16(b[24:], pingID)
	binary.BigEndian.PutUint16(b[26:], seq)
	for i := range b[28:] {
		b[28+i] = byte(i)
	}
	binary.BigEndian.PutUint16(b[22:], checksum(b[20:]))
	return b
}

// checksum is RFC 1071's.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
