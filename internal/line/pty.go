package line

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tributary/internal/config"
	"tributary/internal/frame"
)

// ptyPoll is how often an unused pty is looked at: the kernel tells no one when a
// pty's slave is opened. What a user sends before we look waits in the pty.
const ptyPoll = 100 * time.Millisecond

// PTYListener is one pseudo-terminal behind a link at a fixed path. It is a line
// while someone has the terminal open. When he closes it, the line is hung up, and
// the same terminal waits for the next one. When we hang up first, the terminal
// goes away under him, as a modem's carrier would, and the link leads to a new one.
type PTYListener struct {
	group, link string
	mode        fs.FileMode
	pool        *frame.Pool
	log         *slog.Logger
	scratch     *scratch
	stop        chan struct{}
	stopOnce    sync.Once
	stopErr     error
	failed      atomic.Uint64

	mu     sync.Mutex // Accept and Close
	master *os.File   // nil when closed, or when a new one could not be made yet
	slave  string     // its path, /dev/pts/N

	// Accept's own: the line it yielded last.
	last    *async
	carrier *ptyCarrier
}

// ListenPTY makes one pty and its link. mode is the terminal's permissions, 0 is 0600.
func ListenPTY(group, link string, mode uint32, pool *frame.Pool, log *slog.Logger) (*PTYListener, error) {
	if err := checkLink(link); err != nil {
		return nil, err
	}
	l := &PTYListener{
		group: group, link: link, mode: fs.FileMode(mode).Perm(), pool: pool, log: log,
		scratch: newScratch(), stop: make(chan struct{}),
	}
	if l.mode == 0 {
		l.mode = 0o600
	}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

// open makes a pty and points the link at it. mu is held, or not needed yet.
func (l *PTYListener) open() (err error) {
	master, slave, err := openPTY()
	if err != nil {
		return fmt.Errorf("line: %s: %w", l.link, err)
	}
	// Once opened and closed, the master says "hung up" until someone opens it.
	defer slave.Close()
	defer func() {
		if err != nil {
			master.Close()
			err = fmt.Errorf("line: %s: %w", l.link, err)
		}
	}()
	if err := control(slave, func(fd int) error { return setRaw(fd, 0, config.FlowNone, false) }); err != nil {
		return err
	}
	if err := os.Chmod(slave.Name(), l.mode); err != nil {
		return err
	}
	if err := replaceLink(slave.Name(), l.link); err != nil {
		return err
	}
	l.master, l.slave = master, slave.Name()
	return nil
}

// openPTY makes a pty. Both ends are in the runtime's poller, which is why
// creack/pty does not serve: it takes the master out of non-blocking mode, and a
// read that waits in the kernel is not ended by Close.
func openPTY() (master, slave *os.File, err error) {
	const flags = unix.O_RDWR | unix.O_NOCTTY | unix.O_NONBLOCK
	master, err = os.OpenFile("/dev/ptmx", flags, 0)
	if err != nil {
		return nil, nil, err
	}
	var n int
	err = control(master, func(fd int) (err error) {
		if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return os.NewSyscallError("TIOCSPTLCK", err)
		}
		n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		return os.NewSyscallError("TIOCGPTN", err)
	})
	if err == nil {
		slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), flags, 0)
	}
	if err != nil {
		master.Close()
		return nil, nil, err
	}
	return master, slave, nil
}

// checkLink refuses a path at which there is anything but a link to a pty, or to
// one that is gone: a mistake in the configuration must not cost a file.
func checkLink(link string) error {
	st, err := os.Lstat(link)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		dir, err := os.Stat(filepath.Dir(link))
		if err != nil {
			return fmt.Errorf("line: %s: %w; make the directory first", link, err)
		}
		if !dir.IsDir() {
			return fmt.Errorf("line: %s: %s is not a directory", link, filepath.Dir(link))
		}
		return nil
	case err != nil:
		return fmt.Errorf("line: %w", err)
	case st.Mode().Type() != fs.ModeSymlink:
		return fmt.Errorf("line: %s exists and is not a link to a pty; it is left alone", link)
	}
	var target unix.Stat_t
	switch err := unix.Stat(link, &target); {
	case err == unix.ENOENT:
		return nil
	case err != nil:
		return fmt.Errorf("line: %s: %w", link, err)
	}
	// Majors 136 to 143 are the slaves of Unix98 ptys.
	if major := unix.Major(uint64(target.Rdev)); target.Mode&unix.S_IFMT != unix.S_IFCHR || major < 136 || major > 143 {
		return fmt.Errorf("line: %s is a link to something that is not a pty; it is left alone", link)
	}
	return nil
}

// replaceLink makes link lead to target, with no moment at which it is missing.
func replaceLink(target, link string) error {
	if err := checkLink(link); err != nil {
		return err
	}
	tmp := link + ".new-" + strconv.Itoa(os.Getpid())
	os.Remove(tmp) // left by a process of the same number
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, link); err != nil {
		os.Remove(tmp)
		return err
	}
	return nil
}

// Accept waits until the line it yielded before is closed, and then until
// someone opens the terminal.
func (l *PTYListener) Accept() (Line, error) {
	if l.last != nil {
		select {
		case <-l.last.done:
		case <-l.stop:
			return nil, ErrClosed
		}
		if !l.renew() {
			return nil, ErrClosed
		}
	}
	tick := time.NewTicker(ptyPoll)
	defer tick.Stop()
	for {
		line, err := l.take()
		if line != nil || err != nil {
			return line, err
		}
		select {
		case <-tick.C:
		case <-l.stop:
			return nil, ErrClosed
		}
	}
}

// ptyRetry is the pause after a new pty could not be made.
const ptyRetry = 2 * time.Second

// renew makes the terminal ready for its next user: the same one if he hung up, else
// a new one. It is false if the listener is closed before.
func (l *PTYListener) renew() bool {
	c := l.carrier
	l.last, l.carrier = nil, nil
	if c.gone.Load() {
		return true
	}
	select {
	case <-c.drained:
	case <-l.stop:
		return false
	}
	var said string
	for {
		err := l.replace()
		if err == nil {
			return true
		}
		l.failed.Add(1)
		if said != err.Error() { // once, not every two seconds
			said = err.Error()
			l.log.Warn("cannot make a terminal, trying again", "link", l.link, "error", err)
		}
		if !wait(ptyRetry, l.stop) {
			return false
		}
	}
}

// replace takes the terminal away and makes a new one.
func (l *PTYListener) replace() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.stop:
		return ErrClosed
	default:
	}
	if l.master != nil {
		l.master.Close()
		l.master = nil
	}
	return l.open()
}

// take makes a line of the terminal if it is open, or has been and something was
// written to it.
func (l *PTYListener) take() (Line, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.master == nil {
		return nil, ErrClosed
	}
	open := false
	err := control(l.master, func(fd int) error {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		_, err := unix.Poll(p, 0)
		open = p[0].Revents&unix.POLLHUP == 0 || p[0].Revents&unix.POLLIN != 0
		if err == unix.EINTR {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("line: %s: %w", l.link, err)
	}
	if !open {
		return nil, nil
	}
	f, err := dupFile(l.master, l.link)
	if err != nil {
		l.failed.Add(1)
		l.log.Warn("cannot use a terminal, trying again", "link", l.link, "error", err)
		return nil, nil
	}
	fd, err := newFDCarrier(f, l.scratch)
	if err != nil {
		f.Close()
		return nil, err
	}
	l.carrier = &ptyCarrier{fdCarrier: fd, slave: l.slave, drained: make(chan struct{})}
	l.last = newAsync(Info{
		Name: l.group + "/" + filepath.Base(l.link), Group: l.group, Kind: "pty", Remote: l.link,
	}, l.carrier, l.scratch, l.pool)
	return l.last, nil
}

// ptyCarrier is the octets of a terminal, and how it is let go.
type ptyCarrier struct {
	*fdCarrier
	slave   string
	gone    atomic.Bool   // the terminal's user has closed it
	drained chan struct{} // closed when it may be taken away
}

func (c *ptyCarrier) read() (*input, error) {
	in, err := c.fdCarrier.read()
	if errors.Is(err, unix.EIO) {
		c.gone.Store(true)
	}
	return in, err
}

// close ends read and write at once. What was written last, the user has drainTime to
// read: taking the terminal away would destroy it.
func (c *ptyCarrier) close() error {
	defer c.fdCarrier.close()
	if c.gone.Load() {
		close(c.drained)
		return nil
	}
	rest, err := dupFile(c.file, "drain")
	if err != nil { // no descriptors: no last words
		close(c.drained)
		return nil
	}
	go func() {
		defer close(c.drained)
		defer rest.Close()
		drain(c.unread)
	}()
	return nil
}

// unread is how many octets the terminal's user has not read yet.
func (c *ptyCarrier) unread() (n int, err error) {
	fd, err := unix.Open(c.slave, unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	// What was just written is still on its way to where TIOCINQ counts; poll waits
	// for it.
	unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return unix.IoctlGetInt(fd, unix.TIOCINQ)
}

// Refused counts the times that the terminal was open and could not be used.
func (l *PTYListener) Refused() Refused { return Refused{Failed: l.failed.Load()} }

// Addr is the link's path.
func (l *PTYListener) Addr() string { return l.link }

// Close removes the link, if it is still ours. A line stays up until it is closed.
func (l *PTYListener) Close() error {
	l.stopOnce.Do(func() {
		close(l.stop)
		l.mu.Lock()
		defer l.mu.Unlock()
		if to, err := os.Readlink(l.link); err == nil && to == l.slave {
			l.stopErr = os.Remove(l.link)
		}
		if l.master != nil {
			l.master.Close()
			l.master = nil
		}
	})
	return l.stopErr
}
