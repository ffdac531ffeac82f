// Package capture writes pcapng files of what crosses ports and lines, for
// tshark and Wireshark to read, without ever holding up the data path.
package capture

import (
	"errors"
	"io"
	"sync"
	"time"
)

// LinkType says what a captured frame starts with.
type LinkType int

// The link types there are, by their LINKTYPE_ values.
const (
	// Ethernet is whole Ethernet frames without FCS.
	Ethernet LinkType = 1
	// PPP is PPP frames that start at the Protocol field. They are written as
	// LINKTYPE_PPP_WITH_DIR, which tells readers who sent them.
	PPP LinkType = 204
)

// Defaults of Options.
const (
	defaultBuffer = 4 << 20
	minBuffer     = 1 << 16
)

// MaxSnap is the most of one frame that a capture keeps, in octets.
const MaxSnap = 1 << 16

// Options of a capture. The zero value keeps whole frames without a bound.
type Options struct {
	// Snap is how many octets of each frame to keep; 0 is all of them.
	Snap int
	// Buffer is how many octets may wait for the file, per half of a double
	// buffer; 0 is 4 MiB. What finds no room is lost and counted.
	Buffer int
	// MaxOctets bounds one file; 0 is no bound. At the bound Next is asked for
	// another, and if there is none, the capture is Full and keeps no more.
	MaxOctets int64
	// Next opens the file that follows a full one.
	Next func() (io.WriteCloser, error)
	// Application is written into the file; "" is "tributary".
	Application string
	// Now is the clock that frames are stamped by; nil is time.Now.
	Now func() time.Time
}

// ErrFull is why a capture ended: it reached Options.MaxOctets.
var ErrFull = errors.New("capture: size bound reached")

// Capture is one running capture of any number of interfaces.
//
// Record, on the data path, copies a frame into one half of a double buffer. One
// goroutine swaps the halves and writes; only it touches the file.
type Capture struct {
	opts Options
	file *file
	done chan struct{}

	mu     sync.Mutex // over the rest
	some   sync.Cond  // of the writer: filling is no longer empty, or closed
	fill   *buffer
	spare  *buffer
	ifaces []*Interface
	closed bool
	err    error // why the writer ended early
}

// Interface is one port or line in a capture. It is a Recorder of package ether.
type Interface struct {
	capture *Capture
	index   int
	name    string
	link    LinkType

	// Under capture.mu.
	frames uint64 // recorded
	lost   uint64 // found no room, or came after the end
	unsaid uint64 // of these, not told to the file yet
}

// Start begins a capture into w, which is closed with it.
func Start(w io.WriteCloser, opts Options) *Capture {
	if opts.Snap <= 0 || opts.Snap > MaxSnap {
		opts.Snap = MaxSnap
	}
	if opts.Buffer <= 0 {
		opts.Buffer = defaultBuffer
	}
	opts.Buffer = max(opts.Buffer, minBuffer)
	if opts.Application == "" {
		opts.Application = "tributary"
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	c := &Capture{opts: opts, file: newFile(w, opts), done: make(chan struct{})}
	c.fill, c.spare = newBuffer(opts.Buffer), newBuffer(opts.Buffer)
	c.some.L = &c.mu
	go c.write()
	return c
}

// Interface adds a port or a line to the capture under the name that readers
// will show.
func (c *Capture) Interface(name string, link LinkType) *Interface {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := &Interface{capture: c, index: len(c.ifaces), name: name, link: link}
	c.ifaces = append(c.ifaces, i)
	return i
}

// Record copies one frame, stamped with the time of the call. outbound frames
// are those that we send; comment, usually "", is shown beside the frame, for
// example why it was dropped. It never waits for the file.
func (i *Interface) Record(outbound bool, frame []byte, comment string) {
	c := i.capture
	now := c.opts.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		i.lost++
		return
	}
	r := record{
		iface: uint32(i.index), outbound: outbound, at: now.UnixNano(), lost: i.unsaid,
		length: len(frame), data: frame[:min(len(frame), c.opts.Snap)], comment: comment,
	}
	if !c.fill.add(&r) {
		i.lost++
		i.unsaid++
		return
	}
	i.frames++
	i.unsaid = 0
	c.some.Signal()
}

// Lost is how many frames of the interface found no room, or came too late.
func (i *Interface) Lost() uint64 {
	i.capture.mu.Lock()
	defer i.capture.mu.Unlock()
	return i.lost
}

// Frames is how many frames of the interface were recorded.
func (i *Interface) Frames() uint64 {
	i.capture.mu.Lock()
	defer i.capture.mu.Unlock()
	return i.frames
}

// Done is closed when the capture has ended, by Close, an error, or its bound.
func (c *Capture) Done() <-chan struct{} { return c.done }

// Close writes what waits, the counts of each interface, and closes the file. It
// returns what went wrong with the file, ErrFull if the bound was reached.
func (c *Capture) Close() error {
	c.mu.Lock()
	c.closed = true
	c.some.Broadcast()
	c.mu.Unlock()
	<-c.done
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// write is the goroutine that owns the file.
func (c *Capture) write() {
	defer close(c.done)
	for {
		ifaces, full, last := c.swap()
		err := c.file.writeAll(ifaces, full)
		if err == nil && !last {
			continue
		}
		c.finish(err)
		return
	}
}

// swap waits for frames and takes the half that has them. last says that there
// will be no more.
func (c *Capture) swap() (ifaces []*Interface, full *buffer, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.fill.empty() && !c.closed {
		c.some.Wait()
	}
	c.fill, c.spare = c.spare, c.fill
	c.fill.reset()
	return c.ifaces[:len(c.ifaces):len(c.ifaces)], c.spare, c.closed
}

// finish ends the file, and keeps why it ended.
func (c *Capture) finish(err error) {
	c.mu.Lock()
	c.closed = true
	ifaces := c.ifaces
	seen := make([]uint64, len(ifaces))
	for n, i := range ifaces {
		seen[n] = i.frames + i.lost
	}
	c.mu.Unlock()
	if cerr := c.file.close(ifaces, seen); err == nil {
		err = cerr
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}
