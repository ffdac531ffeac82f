//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"tributary/hdlc"
	"tributary/ppp"
)

// crowd is many users: TCP lines, each with a small LCP at its end that opens
// and then answers. One goroutine does it all, and a user that is idle costs a
// descriptor and a hundred octets.
type crowd struct {
	epoll  int
	port   int // the gateway's, on loopback
	net    byte
	users  []user
	events []unix.EpollEvent
	buf    []byte

	count struct {
		dialling int // connecting, or LCP not open yet
		up       int
		hungUp   int // by the other side
		echoes   int // Echo-Requests answered
		again    int // Configure-Requests repeated
	}
	setUp []time.Duration // from the connect to LCP open, of every user that came so far
}

type user struct {
	fd      int32
	state   userState
	acked   uint8 // who has sent a Configure-Ack
	began   time.Duration
	askedAt time.Duration
	have    []byte // octets of a frame that is not complete
}

type userState uint8

const (
	userAway userState = iota
	userConnecting
	userAsking
	userUp
)

const (
	ackedByUs uint8 = 1 << iota
	ackedByAC
)

// perAddress is how many users share one source address. The kernel has some
// 28,000 ports for each, and those of the round before are not free yet.
const perAddress = 10000

// restart is RFC 1661's Restart timer.
const restart = 3 * time.Second

func newCrowd(port, n int) (*crowd, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	c := &crowd{epoll: ep, port: port, users: make([]user, n), events: make([]unix.EpollEvent, 256), buf: make([]byte, 64<<10)}
	for i := range c.users {
		c.users[i].fd = -1
	}
	return c, nil
}

// dial brings up all users, with at most so many of them between their connect
// and their LCP's being open.
func (c *crowd) dial(atOnce int, limit time.Duration) error {
	c.net++
	c.setUp, c.count.hungUp, c.count.again = c.setUp[:0], 0, 0
	give, look := monotonic()+limit, monotonic()+restart
	for next := 0; c.count.up < len(c.users); {
		for ; next < len(c.users) && c.count.dialling < atOnce; next++ {
			if err := c.connect(next); err != nil {
				return err
			}
		}
		if err := c.serve(10 * time.Millisecond); err != nil {
			return err
		}
		now := monotonic()
		if c.count.hungUp > 0 {
			return fmt.Errorf("the gateway hung up on %d of %d lines, %d are up", c.count.hungUp, len(c.users), c.count.up)
		}
		if now > give {
			return fmt.Errorf("%d of %d lines are up after %v", c.count.up, len(c.users), limit)
		}
		if now > look {
			look = now + restart/10
			if err := c.askAgain(now); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *crowd) connect(i int) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	u := &c.users[i]
	*u = user{fd: int32(fd), state: userConnecting, began: monotonic()}
	c.count.dialling++
	// The port is chosen when it is known where to, so that all of them can be used.
	from := &unix.SockaddrInet4{Addr: [4]byte{127, 1, c.net, byte(1 + i/perAddress)}}
	err = errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.Bind(fd, from),
		unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(i)}))
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: c.port, Addr: [4]byte{127, 0, 0, 1}}); err != nil && err != unix.EINPROGRESS {
		return fmt.Errorf("connect from %v: %w", from.Addr, err)
	}
	return nil
}

// serve waits for at most d and does what there is to do.
func (c *crowd) serve(d time.Duration) error {
	n, err := unix.EpollWait(c.epoll, c.events, int(d.Milliseconds()))
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("epoll: %w", err)
	}
	for _, ev := range c.events[:max(n, 0)] {
		if err := c.event(int(ev.Fd)); err != nil {
			return fmt.Errorf("line %d: %w", ev.Fd+1, err)
		}
	}
	return nil
}

// serveFor serves for d.
func (c *crowd) serveFor(d time.Duration) error {
	return c.serveUntil(d, func() bool { return false })
}

// serveUntil serves until done, or for limit.
func (c *crowd) serveUntil(limit time.Duration, done func() bool) error {
	for end := monotonic() + limit; !done() && monotonic() < end; {
		if err := c.serve(10 * time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

func (c *crowd) event(i int) error {
	u := &c.users[i]
	if u.state == userConnecting {
		if e, err := unix.GetsockoptInt(int(u.fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || e != 0 {
			return fmt.Errorf("connect: %w", errors.Join(err, unix.Errno(e)))
		}
		if err := unix.EpollCtl(c.epoll, unix.EPOLL_CTL_MOD, int(u.fd), &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
			return err
		}
		u.state = userAsking
		return c.ask(i)
	}
	at := copy(c.buf, u.have)
	n, err := unix.Read(int(u.fd), c.buf[at:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return nil
	case err != nil || n == 0:
		c.count.hungUp++
		c.leave(u)
		return nil
	}
	b := c.buf[:at+n]
	for {
		from, to, after, ok := (async{}).next(b)
		if !ok {
			u.have = slices.Clone(b[from:])
			return nil
		}
		if err := c.frame(i, (async{}).ppp(b[from:to])); err != nil {
			return err
		}
		if u.state == userAway {
			return nil
		}
		b = b[after:]
	}
}

func (c *crowd) magic(i int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(i)+1) }

// ask sends the user's Configure-Request.
func (c *crowd) ask(i int) error {
	c.users[i].askedAt = monotonic()
	return c.say(i, ppp.ConfigureRequest, 1, ppp.Option{Type: ppp.LCPOptMagic, Data: c.magic(i)}.Append(nil))
}

// askAgain does so for those who have waited for a Restart time.
func (c *crowd) askAgain(now time.Duration) error {
	for i := range c.users {
		if u := &c.users[i]; u.state == userAsking && now-u.askedAt >= restart {
			c.count.again++
			if err := c.ask(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// frame is one PPP frame from the AC, as the gateway brought it.
func (c *crowd) frame(i int, f []byte) error {
	proto, info, ok := ppp.Split(f)
	if !ok || proto != ppp.ProtoLCP {
		return nil
	}
	p, err := ppp.ParsePacket(info)
	if err != nil {
		return err
	}
	u := &c.users[i]
	switch p.Code {
	case ppp.ConfigureRequest:
		u.acked |= ackedByUs
		if err := c.say(i, ppp.ConfigureAck, p.ID, p.Data); err != nil {
			return err
		}
	case ppp.ConfigureAck:
		u.acked |= ackedByAC
	case ppp.EchoRequest:
		c.count.echoes++
		return c.say(i, ppp.EchoReply, p.ID, c.magic(i))
	}
	if u.state == userAsking && u.acked == ackedByUs|ackedByAC {
		u.state = userUp
		c.count.dialling--
		c.count.up++
		c.setUp = append(c.setUp, monotonic()-u.began)
	}
	return nil
}

// say sends one LCP packet. A line that does not take so little is broken, or
// its other side has just hung up, which the next read will say.
func (c *crowd) say(i int, code ppp.Code, id uint8, data []byte) error {
	f := ppp.Packet{Code: code, ID: id, Data: data}.AppendFrame(nil, ppp.ProtoLCP)
	_, err := unix.Write(int(c.users[i].fd), hdlc.AppendFrame(nil, f, hdlc.Default))
	if err == unix.EPIPE || err == unix.ECONNRESET {
		return nil
	}
	return err
}

func (c *crowd) leave(u *user) {
	switch u.state {
	case userAway:
		return
	case userUp:
		c.count.up--
	default:
		c.count.dialling--
	}
	_ = unix.Close(int(u.fd))
	*u = user{fd: -1}
}

// hangUp closes every line.
func (c *crowd) hangUp() {
	for i := range c.users {
		c.leave(&c.users[i])
	}
}

func (c *crowd) close() {
	c.hangUp()
	_ = unix.Close(c.epoll)
}
