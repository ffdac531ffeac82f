package line

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tributary/internal/config"
	"tributary/internal/frame"
)

// TCPListener is a raw TCP port: each connection is one line, octets as they
// come. It does not understand telnet: a peer that sends telnet commands loses
// the frames they fall in.
type TCPListener struct {
	group   string
	cfg     config.TCP
	pool    *frame.Pool
	log     *slog.Logger
	scratch *scratch
	ln      *net.TCPListener
	slots   slots
	lingers atomic.Int32

	stop     chan struct{}
	stopOnce sync.Once
	stopErr  error

	notAllowed, tooMany, failed atomic.Uint64
}

// ListenTCP opens the port of one group. Lines are named group/1, group/2, and
// so on, the lowest free number each.
func ListenTCP(group string, cfg config.TCP, pool *frame.Pool, log *slog.Logger) (*TCPListener, error) {
	lc := net.ListenConfig{KeepAlive: -1} // set per connection, by setKeepAlive
	ln, err := lc.Listen(context.Background(), "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("line: %s: %w", group, err)
	}
	return &TCPListener{
		group: group, cfg: cfg, pool: pool, log: log, scratch: newScratch(),
		ln: ln.(*net.TCPListener), slots: slots{max: cfg.Max}, stop: make(chan struct{}),
	}, nil
}

// Bounds of the pause after an Accept that failed for want of descriptors or memory.
const (
	acceptPauseMin = 5 * time.Millisecond
	acceptPauseMax = time.Second
)

// Accept waits for the next connection that is allowed.
func (l *TCPListener) Accept() (Line, error) {
	pause := acceptPauseMin
	for {
		conn, err := l.ln.AcceptTCP()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil, ErrClosed
			}
			l.failed.Add(1)
			if errors.Is(err, unix.ECONNABORTED) {
				continue // that peer has given up; the next need not wait
			}
			if !temporary(err) {
				return nil, fmt.Errorf("line: %s: %w", l.group, err)
			}
			l.log.Warn("cannot accept a connection, trying again", "group", l.group, "error", err, "pause", pause)
			select {
			case <-l.stop:
				return nil, ErrClosed
			case <-time.After(pause):
			}
			pause = min(2*pause, acceptPauseMax)
			continue
		}
		pause = acceptPauseMin
		if line := l.admit(conn); line != nil {
			return line, nil
		}
	}
}

// temporary reports whether accept(2) failed for a reason that passes: the
// process or the machine is out of descriptors or memory, or the network had an
// error that Linux hands to accept in place of the connection.
func temporary(err error) bool {
	for _, e := range []unix.Errno{
		unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EPERM, unix.EPROTO,
		unix.ENETDOWN, unix.ENOPROTOOPT, unix.EHOSTDOWN, unix.ENONET, unix.EHOSTUNREACH, unix.EOPNOTSUPP, unix.ENETUNREACH,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// admit makes a line of conn, or refuses it and returns nil.
func (l *TCPListener) admit(conn *net.TCPConn) Line {
	remote := conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port())
	if !allowed(l.cfg.Allow, remote.Addr()) {
		l.refuse(conn, &l.notAllowed, remote, "not in an allowed prefix")
		return nil
	}
	slot, ok := l.slots.take()
	if !ok {
		l.refuse(conn, &l.tooMany, remote, "too many connections")
		return nil
	}
	c, err := newTCPCarrier(conn, l.scratch, l.cfg.KeepAlive)
	if err != nil {
		l.slots.free(slot)
		l.refuse(conn, &l.failed, remote, err.Error())
		return nil
	}
	c.lingers = &l.lingers
	c.onClose = func() { l.slots.free(slot) }
	return newAsync(Info{
		Name: l.group + "/" + strconv.Itoa(slot), Group: l.group, Kind: "tcp", Remote: remote.String(),
	}, c, l.scratch, l.pool)
}

// refuse resets the connection: whoever is not let in learns nothing, and
// leaves nothing behind.
func (l *TCPListener) refuse(conn *net.TCPConn, counter *atomic.Uint64, remote netip.AddrPort, why string) {
	counter.Add(1)
	l.log.Debug("connection refused", "group", l.group, "remote", remote, "reason", why)
	conn.SetLinger(0)
	conn.Close()
}

// allowed reports whether one of prefixes holds addr; none at all means
// everyone. An IPv4 address that came in over an IPv6 socket counts as IPv4, in
// addr as in prefixes. A zone (fe80::1%eth0) does not count.
func allowed(prefixes []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, p := range prefixes {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p.Contains(addr) {
			return true
		}
	}
	return len(prefixes) == 0
}

// Refused counts the connections turned away.
func (l *TCPListener) Refused() Refused {
	return Refused{NotAllowed: l.notAllowed.Load(), TooMany: l.tooMany.Load(), Failed: l.failed.Load()}
}

// Addr is the address listened on, its port chosen if none was asked for.
func (l *TCPListener) Addr() string { return l.ln.Addr().String() }

// Close stops listening.
func (l *TCPListener) Close() error {
	l.stopOnce.Do(func() {
		close(l.stop)
		l.stopErr = l.ln.Close()
	})
	return l.stopErr
}
