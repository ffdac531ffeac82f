package line

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// carrier is the octets below an async line: a socket, a terminal, a pipe.
type carrier interface {
	// read waits until there is input, and only then takes a buffer and reads
	// into it once. The caller gives the buffer back with scratch.putInput.
	read() (*input, error)
	// write takes all of p, or says why it did not.
	write(p []byte) error
	// tryWrite takes what it can of p without waiting, and says how much that was.
	tryWrite(p []byte) (n int, err error)
	// close makes read and write return at once. It is called once.
	close() error
}

// hurrier is a carrier whose peer may hold back the rest of a frame until it
// knows that the first part has arrived.
type hurrier interface{ hurry() }

// Sizes of the buffers in scratch.
const (
	inputSize  = 16 << 10 // one read
	smallWrite = 4 << 10  // holds one frame of 1,500 octets with every octet escaped
	largeWrite = 64 << 10 // a whole batch; more than this goes out in several writes
)

// input is what one read gave, data[off:end] still to be decoded.
type input struct {
	data     [inputSize]byte
	off, end int
}

// output is the encoded form of the frames of one write.
type output struct{ data []byte }

// scratch lends the buffers that lines need only while octets are moving. All
// lines of a listener share one, so that idle lines cost none.
type scratch struct{ inputs, smalls, larges sync.Pool }

func newScratch() *scratch {
	return &scratch{
		inputs: sync.Pool{New: func() any { return new(input) }},
		smalls: sync.Pool{New: func() any { return &output{make([]byte, 0, smallWrite)} }},
		larges: sync.Pool{New: func() any { return &output{make([]byte, 0, largeWrite)} }},
	}
}

func (s *scratch) input() *input { return s.inputs.Get().(*input) }

func (s *scratch) putInput(in *input) {
	in.off, in.end = 0, 0
	s.inputs.Put(in)
}

// output lends a buffer for n octets, or for as many as go into one write.
func (s *scratch) output(n int) *output {
	if n <= smallWrite {
		return s.smalls.Get().(*output)
	}
	return s.larges.Get().(*output)
}

func (s *scratch) putOutput(out *output) {
	out.data = out.data[:0]
	if cap(out.data) == smallWrite {
		s.smalls.Put(out)
	} else {
		s.larges.Put(out)
	}
}

// fdCarrier is a carrier with a descriptor in the runtime's poller: a TCP
// connection, a pty's master, a serial device.
type fdCarrier struct {
	file interface {
		io.WriteCloser
		syscall.Conn
	}
	raw     syscall.RawConn
	scratch *scratch
	closed  atomic.Bool

	// attempt is tryRead, bound once: a method value made for each read would
	// allocate. The three behind it are its result, the reader's alone.
	attempt func(fd uintptr) bool
	in      *input
	err     error

	// The same of the one who writes.
	attemptSend func(fd uintptr) bool
	rest        []byte // not taken yet
	wait        bool   // until all of it is
	sendErr     error
}

func newFDCarrier(file interface {
	io.WriteCloser
	syscall.Conn
}, s *scratch) (*fdCarrier, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &fdCarrier{file: file, raw: raw, scratch: s}
	c.attempt, c.attemptSend = c.tryRead, c.trySend
	return c, nil
}

// tryRead is called by the poller's RawConn.Read, again each time the
// descriptor has become readable, until it returns true.
func (c *fdCarrier) tryRead(fd uintptr) bool {
	in := c.scratch.input()
	for {
		// Raw: the descriptor does not block, so the runtime need not prepare
		// to go on without this thread, which costs more than a short read.
		n, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&in.data[0])), inputSize)
		switch {
		case errno == unix.EINTR:
			continue
		case errno == unix.EAGAIN:
			c.scratch.putInput(in) // while waiting, hold nothing
			return false
		case errno != 0:
			c.err = errno
		case n == 0:
			c.err = io.EOF
		default:
			in.end, c.in = int(n), in
			return true
		}
		c.scratch.putInput(in)
		return true
	}
}

func (c *fdCarrier) read() (*input, error) {
	if err := c.raw.Read(c.attempt); err != nil {
		if c.closed.Load() {
			return nil, os.ErrClosed // the poller has an unexported error for it
		}
		return nil, err
	}
	in, err := c.in, c.err
	c.in, c.err = nil, nil
	return in, err
}

func (c *fdCarrier) write(p []byte) error {
	_, err := c.send(p, true)
	return err
}

func (c *fdCarrier) tryWrite(p []byte) (n int, err error) { return c.send(p, false) }

func (c *fdCarrier) send(p []byte, wait bool) (n int, err error) {
	c.rest, c.wait, c.sendErr = p, wait, nil
	if err = c.raw.Write(c.attemptSend); err == nil {
		err = c.sendErr
	} else if c.closed.Load() {
		err = os.ErrClosed
	}
	n = len(p) - len(c.rest)
	c.rest = nil
	return n, err
}

// trySend is called by the poller's RawConn.Write, again each time the descriptor
// has become writable, until it returns true.
func (c *fdCarrier) trySend(fd uintptr) bool {
	for len(c.rest) > 0 {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&c.rest[0])), uintptr(len(c.rest)))
		switch errno {
		case 0:
			if n == 0 { // no driver should; it would go on for ever
				c.sendErr = io.ErrUnexpectedEOF
				return true
			}
			c.rest = c.rest[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			return !c.wait
		default:
			c.sendErr = errno
			return true
		}
	}
	return true
}

func (c *fdCarrier) close() error {
	c.closed.Store(true)
	return c.file.Close()
}

// rwCarrier is a carrier that cannot be waited for without a buffer.
type rwCarrier struct {
	rw      io.ReadWriteCloser
	scratch *scratch
}

func (c *rwCarrier) read() (*input, error) {
	in := c.scratch.input()
	n, err := c.rw.Read(in.data[:])
	if n > 0 {
		in.end = n
		return in, nil // an error that came with the last octets comes again
	}
	c.scratch.putInput(in)
	return nil, err
}

func (c *rwCarrier) write(p []byte) error {
	_, err := c.rw.Write(p)
	return err
}

// tryWrite takes nothing: there is no knowing whether a write would wait.
func (c *rwCarrier) tryWrite([]byte) (int, error) { return 0, nil }

func (c *rwCarrier) close() error { return c.rw.Close() }

// dupFile makes a second descriptor for what f is, in the poller as well. The
// two close independently: a line can be hung up at once, its reader and its
// writer released, while whoever keeps the other still sends the rest.
func dupFile(f syscall.Conn, name string) (*os.File, error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var dupErr error
	if err := raw.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, os.NewSyscallError("fcntl", dupErr)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// control runs fn with f's descriptor. os.File's own Fd would take the file out of
// the poller.
func control(f syscall.Conn, fn func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var fnErr error
	if err := raw.Control(func(fd uintptr) { fnErr = fn(int(fd)) }); err != nil {
		return err
	}
	return fnErr
}

// down turns what a carrier's read or write failed with into what Line
// promises: io.EOF for a hang-up, else the error that says how.
func down(err error) error {
	switch {
	case errors.Is(err, unix.EIO), // a terminal whose other side has gone
		errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV), // an adapter pulled out
		errors.Is(err, os.ErrClosed), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe): // hung up below us
		return io.EOF
	}
	return err
}
