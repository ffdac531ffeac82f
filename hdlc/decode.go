package hdlc

import "bytes"

// Decoder finds the frames in the octets of one line. The zero value is ready,
// with the default ACCM of 0xffffffff. It holds no buffer of its own.
//
// A Decoder is not safe for use by several goroutines at once.
type Decoder struct {
	Counters Counters

	keep uint32 // the receive ACCM, inverted, so that zero is the default
	partial
}

// partial is what has come of the frame being received.
type partial struct {
	at       place
	escaped  bool // an Escape came last
	header   bool // Address and Control came first
	expanded bool // buf[0] is ours: the Protocol field came compressed
	waiting  bool // for a buffer
	n        int  // octets of it in the caller's buffer
}

// place is where in the stream a Decoder is.
type place uint8

const (
	hunting  place = iota // no flag has been seen yet
	skipping              // in a frame that was given up
	between               // behind a flag
	address               // behind an Address
	control               // behind Address and Control
	body                  // the buffer holds part of a frame
)

// SetACCM says which control characters the line may have inserted: those whose
// bit is set are discarded, unless they come escaped (RFC 1662 section 4.2). It
// takes effect with the next octet.
func (d *Decoder) SetACCM(accm uint32) { d.keep = ^accm }

// ACCM is the receive ACCM in force.
func (d *Decoder) ACCM() uint32 { return ^d.keep }

// Partial reports whether the buffer last given to Decode holds part of a frame
// and must be given again. Between frames, and before the first, it is false,
// and the caller may give the buffer back.
func (d *Decoder) Partial() bool { return d.at == body }

// Skip gives up the frame being received, or the one that Decode wants a buffer
// for: its octets are ignored up to the next flag, and the buffer is free. No
// counter of the Decoder tells of it.
func (d *Decoder) Skip() {
	if d.at >= address || d.escaped || d.waiting {
		d.skip()
	}
}

// Decode takes octets from src until a frame is complete or src is used up; n
// says how many. The caller goes on with src[n:].
//
// A frame is assembled in buf and returned as a slice of it, from buf[0] on. It
// starts at a two-octet Protocol field, whatever came on the line. Until a frame
// is returned or Partial is false, buf must be the same memory again. A frame
// that does not fit in buf, with two octets more for its FCS, is dropped and
// counted.
//
// With an empty buf, Decode takes only octets that need no room (flags, noise,
// the rest of a skipped frame) and stops before the first that does: n <
// len(src) and no frame say that a buffer is wanted.
//
// Frames are accepted with and without Address and Control, and with either form
// of the Protocol field, whether it was negotiated or not.
func (d *Decoder) Decode(buf, src []byte) (frame []byte, n int) {
	for n < len(src) {
		switch d.at {
		case hunting, skipping:
			n += d.seek(src[n:])
			continue
		case body:
			n += d.run(buf, src[n:])
			if n == len(src) {
				return nil, n
			}
		}

		c := src[n]
		switch {
		case c == Flag:
			n++
			if frame = d.end(buf); frame != nil {
				return frame, n
			}
			continue
		// RFC 1662 section 4.2: "On reception, prior to FCS computation, each
		// octet with value less than hexadecimal 0x20 is checked. If it is flagged
		// in the receiving ACCM, it is simply removed (it may have been inserted
		// by intervening data communications equipment)."
		case named(c, ^d.keep) && !d.bareControl(c):
			d.Counters.Discarded++
			n++
			continue
		// "Each Control Escape octet is also removed, and the following octet is
		// exclusive-or'd with hexadecimal 0x20, unless it is the Flag Sequence
		// (which aborts a frame)." So whatever comes escaped is accepted.
		case c == Escape && !d.escaped:
			d.escaped = true
			n++
			continue
		case d.escaped:
			c ^= flip
		}
		if !d.take(buf, c) {
			d.waiting = true
			return nil, n
		}
		d.escaped = false
		n++
	}
	return nil, n
}

// bareControl reports whether c is a Control field that was sent unescaped,
// though the ACCM names it. Senders that have FF 03 as a constant do that, and
// behind an Address field it cannot be anything else.
func (d *Decoder) bareControl(c byte) bool {
	return c == Control && d.at == address && !d.escaped
}

// seek passes over what comes before the next flag, and over the flag.
func (d *Decoder) seek(src []byte) int {
	i := bytes.IndexByte(src, Flag)
	noise := i
	if i < 0 {
		noise = len(src)
	}
	if d.at == hunting {
		d.Counters.Noise += uint64(noise)
	}
	if i < 0 {
		return len(src)
	}
	d.start()
	return i + 1
}

// run takes octets that need no decision: ordinary ones, and escaped ones between
// them. It returns how many, and may leave some for take.
func (d *Decoder) run(buf, src []byte) int {
	if d.escaped || d.n >= len(buf) {
		return 0
	}
	// Only for speed, on a line full of control characters that it put in.
	if named(src[0], ^d.keep) {
		return 0
	}
	n, taken := unescape(buf[d.n:], src, ^d.keep)
	d.n += n
	return taken
}

// take adds c to the frame. It does nothing and is false when c needs room and
// there is no buffer.
func (d *Decoder) take(buf []byte, c byte) bool {
	switch d.at {
	case between:
		if c == Address {
			d.at = address
			return true
		}
		return d.begin(buf, c)
	case address:
		if c == Control {
			d.at, d.header = control, true
			return true
		}
		// No PPP frame, but the FCS decides whether it is a damaged one.
		return d.store(buf, Address, c)
	case control:
		return d.begin(buf, c)
	default:
		if d.n >= len(buf) {
			d.oversize()
			return true
		}
		buf[d.n] = c
		d.n++
		return true
	}
}

// begin puts the first octet of the Protocol field in buf. If it is odd, the field
// came compressed and this is all of it: RFC 1661 section 2: "all Protocols MUST
// be assigned such that the least significant bit of the most significant octet
// equals "0"".
func (d *Decoder) begin(buf []byte, c byte) bool {
	if c&1 == 0 {
		return d.store(buf, c)
	}
	d.expanded = true
	return d.store(buf, 0, c)
}

// store puts the first octets of a frame in buf.
func (d *Decoder) store(buf []byte, first ...byte) bool {
	switch {
	case len(buf) == 0:
		return false
	case len(buf) < len(first):
		d.oversize()
	default:
		d.n = copy(buf, first)
		d.at = body
	}
	return true
}

// end is the flag behind a frame. The frame is nil if there is none to hand out.
func (d *Decoder) end(buf []byte) (frame []byte) {
	was := d.partial
	d.start()

	octets := was.n // as they were sent
	if was.header {
		octets += 2
	}
	if was.expanded {
		octets--
	}
	c := &d.Counters
	switch {
	// RFC 1662 section 4.3: frames "which end with a Control Escape octet followed
	// immediately by a closing Flag Sequence" are "silently discarded, and not
	// counted as a FCS error".
	case was.escaped:
		c.Aborted++
	// Section 3.1: "Two consecutive Flag Sequences constitute an empty frame,
	// which is silently discarded, and not counted as a FCS error."
	case was.at == between:
	// Section 4.3: the same for "frames which are too short (less than 4 octets
	// when using the 16-bit FCS)".
	case octets < 4:
		c.Short++
	case was.n > len(buf): // not the buffer we began in
		c.Oversize++
	case !was.good(buf[:was.n]):
		c.BadFCS++
	default:
		frame = buf[:was.n-2]
		// RFC 1661 section 2: "All Protocols MUST be odd".
		if len(frame) < 2 || frame[0]&1 == 1 || frame[1]&1 == 0 {
			c.BadProtocol++
			return nil
		}
		c.Frames++
	}
	return frame
}

// fcsHeader is the FCS behind Address and Control.
var fcsHeader = FCS16(InitFCS16, []byte{Address, Control})

// good checks the FCS, which covers the octets as they were sent.
func (p *partial) good(frame []byte) bool {
	fcs := InitFCS16
	if p.header {
		fcs = fcsHeader
	}
	if p.expanded {
		frame = frame[1:]
	}
	return FCS16(fcs, frame) == GoodFCS16
}

func (d *Decoder) oversize() {
	d.Counters.Oversize++
	d.skip()
}

func (d *Decoder) start() { d.partial = partial{at: between} }
func (d *Decoder) skip()  { d.partial = partial{at: skipping} }
