package line

import (
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// tcpCarrier is a connection's octets, and how it is let go.
type tcpCarrier struct {
	*fdCarrier
	conn    *net.TCPConn
	lingers *atomic.Int32 // how many closed connections are still open, nil if nobody counts
	onClose func()        // nil if nobody wants to know
	gone    atomic.Bool   // the peer has sent FIN or a reset
	ackNow  func(fd uintptr)
}

func newTCPCarrier(conn *net.TCPConn, s *scratch, keepAlive time.Duration) (*tcpCarrier, error) {
	if err := conn.SetNoDelay(true); err != nil { // LCP is small packets, each waited for
		return nil, err
	}
	if err := setKeepAlive(conn, keepAlive); err != nil {
		return nil, err
	}
	if err := setUnsent(conn); err != nil {
		return nil, err
	}
	fd, err := newFDCarrier(conn, s)
	if err != nil {
		return nil, err
	}
	return &tcpCarrier{fdCarrier: fd, conn: conn, ackNow: quickACK}, nil
}

// hurry acknowledges what has come. A user's program that leaves Nagle's
// algorithm on (nc, for one) sends the end of a large frame only then, and the
// kernel would wait 40 ms for something to send the acknowledgement with.
func (c *tcpCarrier) hurry() {
	_ = c.raw.Control(c.ackNow) // on a closed connection it has no one to hurry
}

func quickACK(fd uintptr) {
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
}

// maxUnsent is how much the kernel takes of what it cannot send yet, in octets.
// By default that is megabytes: minutes of a modem's line, behind the back of
// the queue that is there to keep the wait short.
const maxUnsent = 16 << 10

func setUnsent(conn *net.TCPConn) error {
	return control(conn, func(fd int) error {
		err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent)
		return os.NewSyscallError("setsockopt TCP_NOTSENT_LOWAT", err)
	})
}

// keepAliveProbes is how many probes go unanswered before a peer is dead.
const keepAliveProbes = 3

// setKeepAlive makes the kernel find a dead peer within about d: half of it in
// silence, the other half in probes. While octets are waiting for the peer no
// probes are sent, so TCP_USER_TIMEOUT bounds that time as well. The same bound
// ends a connection whose peer is alive but has read nothing for as long.
func setKeepAlive(conn *net.TCPConn, d time.Duration) error {
	if d <= 0 {
		return conn.SetKeepAlive(false)
	}
	err := conn.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable:   true,
		Idle:     max(d/2, time.Second),
		Interval: max(d/2/keepAliveProbes, time.Second),
		Count:    keepAliveProbes,
	})
	if err != nil {
		return err
	}
	return setUserTimeout(conn, d)
}

func setUserTimeout(conn *net.TCPConn, d time.Duration) error {
	return control(conn, func(fd int) error {
		err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		return os.NewSyscallError("setsockopt TCP_USER_TIMEOUT", err)
	})
}

func (c *tcpCarrier) read() (*input, error) {
	in, err := c.fdCarrier.read()
	if err != nil {
		c.gone.Store(true)
	}
	return in, err
}

// How a connection that we close is let go.
const (
	lingerTime = time.Second     // for the peer to close too
	lingerMax  = 256             // connections of one listener at once; more are cut off
	unsentTime = 5 * time.Second // for the kernel to deliver what was sent last
)

// close ends read and write at once, and still gives the octets written last (an
// LCP Terminate-Ack, say) a chance to arrive. Closing a socket while the peer is
// still sending makes the kernel answer with a reset, and a reset destroys what is
// on the way: so the connection is only half closed, and what still comes is
// thrown away until the peer closes too, for lingerTime at most. After that, or if
// the peer closed first, the kernel has unsentTime to deliver the rest.
func (c *tcpCarrier) close() error {
	if c.onClose != nil {
		defer c.onClose()
	}
	setUserTimeout(c.conn, unsentTime) // best effort: without it the kernel only tries for longer
	if c.gone.Load() {
		return c.fdCarrier.close()
	}
	var rest *os.File
	if c.lingers == nil || c.lingers.Add(1) <= lingerMax {
		rest, _ = dupFile(c.conn, "linger") // fails for want of descriptors: then it is cut off
	}
	if rest == nil {
		c.left()
		return c.fdCarrier.close()
	}
	c.conn.CloseWrite()
	go c.linger(rest)
	return c.fdCarrier.close()
}

// linger reads what the peer still sends until it closes, and then closes too.
func (c *tcpCarrier) linger(rest *os.File) {
	defer c.left()
	defer rest.Close()
	if rest.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	in := c.scratch.input()
	defer c.scratch.putInput(in)
	for {
		if _, err := rest.Read(in.data[:]); err != nil {
			return
		}
	}
}

func (c *tcpCarrier) left() {
	if c.lingers != nil {
		c.lingers.Add(-1)
	}
}
