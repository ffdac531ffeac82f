//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tributary/internal/ip"
	"tributary/internal/lab"
	"tributary/internal/line"
	"tributary/ppp"
)

// kernelWindow is how many packets are under way, of all users together.
const kernelWindow = 64

// serialOctets are under way on one serial line, at most: a terminal of user-mode
// Linux that is read by a program, and not by PPP in the kernel, has room for 4,095
// and stands still for ever when they have once been full.
const serialOctets = 3000

// kernelCrowd is the users of one row, each with PPP and a window of packets
// under way: a packet that is back is sent again.
type kernelCrowd struct {
	users []*kernelUser
	size  atomic.Int64 // octets of a packet; 0 sends none
}

type kernelUser struct {
	crowd  *kernelCrowd
	sub    *lab.Subscriber
	packet []byte // of the largest size; the header is made for each size
	share  int    // of the window
	octets int    // under way at most; 0 is no bound
	window int

	sent, back, wrong atomic.Uint64
	heard             uint64 // back, when the last look was
}

// dial has all users of a row come in.
func (w *kernelWorld) dial(ctx context.Context, subject string, row kernelRow) (*kernelCrowd, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	c := &kernelCrowd{}
	for i := range row.users {
		rw, err := w.connect(ctx, row, i)
		if err != nil {
			c.close()
			return nil, err
		}
		u := &kernelUser{crowd: c, share: max(1, kernelWindow/row.users)}
		if row.lines == "serial" {
			u.octets = serialOctets
		}
		ln := line.Over(rw, line.Info{Name: fmt.Sprint("user/", i), Kind: row.lines}, w.pool)
		u.sub = lab.NewSubscriber(ln, w.pool, lab.SubscriberConfig{Async: true, PFC: true, ACFC: true, Packet: u.arrived})
		c.users = append(c.users, u)
	}
	for i, u := range c.users {
		net, err := u.sub.Network(ctx)
		if err != nil {
			c.close()
			return nil, fmt.Errorf("user %d: %w", i, err)
		}
		if f := u.sub.Framing(); f.SendACCM != 0 || f.RecvACCM != 0 {
			c.close()
			return nil, fmt.Errorf("user %d: %s escapes control characters: %+v", i, subject, f)
		}
		u.packet = datagram(net.Address.As4(), [4]byte{198, 51, 100, 1})
	}
	return c, nil
}

// connect is the way of one user to the guest.
func (w *kernelWorld) connect(ctx context.Context, row kernelRow, i int) (io.ReadWriteCloser, error) {
	if row.lines == "serial" {
		// A copy, for the line to close.
		fd, err := unix.FcntlInt(w.serial[i].Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), "ptmx"), nil
	}
	// The guest knows users by their port, and one is not free again at once.
	d := net.Dialer{LocalAddr: &net.TCPAddr{Port: 20032 + 64*(w.life%256) + i}}
	return d.DialContext(ctx, "tcp", guestAddress)
}

func (c *kernelCrowd) close() {
	c.size.Store(0)
	for _, u := range c.users {
		u.sub.Cut()
	}
}

const (
	ipHeader  = 20
	udpHeader = 8
)

// datagram is a packet of UDP as large as any, with text that is as good as random.
func datagram(from, to [4]byte) []byte {
	p := make([]byte, ppp.DefaultMRU)
	p[0], p[8], p[9] = 0x45, 64, 17
	copy(p[12:], from[:])
	copy(p[16:], to[:])
	binary.BigEndian.PutUint32(p[ipHeader:], 9<<16|9)
	for i := ipHeader + udpHeader; i < len(p); i++ {
		p[i] = byte(i*i*31>>3 ^ i)
	}
	return p
}

// sized makes the packet n octets long.
func (u *kernelUser) sized(n int) []byte {
	const framing = 16 // of PPP, and what is escaped of a packet
	u.window = u.share
	if u.octets > 0 {
		u.window = max(1, min(u.share, u.octets/(n+n/64+framing)))
	}
	p := u.packet[:n]
	binary.BigEndian.PutUint16(p[2:], uint16(n))
	binary.BigEndian.PutUint16(p[ipHeader+4:], uint16(n-ipHeader))
	p[10], p[11] = 0, 0
	binary.BigEndian.PutUint16(p[10:], ip.Checksum(0, p[:ipHeader]))
	return p
}

// arrived is the user's reader.
func (u *kernelUser) arrived(p []byte) {
	size := int(u.crowd.size.Load())
	if size == 0 || len(p) != size {
		return // of the size before
	}
	// The ISP exchanges the addresses, both routers take one from the TTL, and the
	// rest is as it was.
	if string(p[ipHeader+udpHeader:]) != string(u.packet[ipHeader+udpHeader:size]) || p[8] != 62 {
		u.wrong.Add(1)
		return
	}
	u.back.Add(1)
	if u.sub.Send(u.packet[:size]) {
		u.sent.Add(1)
	}
}

// refill has every user who has heard nothing since the last look start again.
func (c *kernelCrowd) refill() {
	size := int(c.size.Load())
	for _, u := range c.users {
		if n := u.back.Load(); n != u.heard {
			u.heard = n
			continue
		}
		for range u.window {
			if u.sub.Send(u.packet[:size]) {
				u.sent.Add(1)
			}
		}
	}
}

func (c *kernelCrowd) counts() (sent, back, wrong uint64) {
	for _, u := range c.users {
		sent, back, wrong = sent+u.sent.Load(), back+u.back.Load(), wrong+u.wrong.Load()
	}
	return sent, back, wrong
}

// run measures one size.
func (w *kernelWorld) run(ctx context.Context, c *kernelCrowd, size int, o *options) (s kernelSample, err error) {
	for _, u := range c.users {
		u.sized(size)
	}
	c.size.Store(int64(size))
	c.refill()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	pass := func(d time.Duration) {
		for over := time.After(d); ; {
			select {
			case <-look.C:
				c.refill()
			case <-over:
				return
			}
		}
	}
	pass(max(o.warmUp, 500*time.Millisecond))
	user, system, err := w.guestTime(ctx)
	if err != nil {
		return s, err
	}
	host, err := w.guest.CPUTime()
	if err != nil {
		return s, err
	}
	began := time.Now()
	sent, back, wrong := c.counts()
	pass(o.duration)
	sent2, back2, wrong2 := c.counts()
	s.took = time.Since(began)
	host2, err := w.guest.CPUTime()
	if err != nil {
		return s, err
	}
	user2, system2, err := w.guestTime(ctx)
	if err != nil {
		return s, err
	}
	c.size.Store(0)
	s.back, s.host, s.user, s.system = back2-back, host2-host, user2-user, system2-system
	// What is under way at both ends is not lost.
	if missing := int64(sent2-sent) - int64(back2-back); missing > kernelWindow {
		s.lost = uint64(missing - kernelWindow)
	}
	if wrong2 > wrong {
		return s, fmt.Errorf("%d packets of %d octets came back changed", wrong2-wrong, size)
	}
	if s.back == 0 {
		return s, fmt.Errorf("%d packets of %d octets sent, and none came back; the ISP has counted %+v", sent2, size, w.isp.Counters())
	}
	return s, nil
}
