package hdlc

import "bytes"

// The reference: RFC 1662 one octet at a time and one step after the other, to
// compare and to race with.

func refEncode(dst, ppp []byte, p Params) []byte {
	proto, info := int(ppp[0])<<8|int(ppp[1]), ppp[2:]
	if proto == 0xc021 {
		p.ACFC = false
		if len(info) > 0 && 1 <= info[0] && info[0] <= 7 {
			p = Params{ACCM: 0xffffffff}
		}
	}
	var b []byte
	if !p.ACFC {
		b = append(b, 0xff, 0x03)
	}
	if !p.PFC || proto >= 0xff || proto%2 == 0 || len(b)+len(info) == 0 {
		b = append(b, ppp[0])
	}
	b = append(b, ppp[1])
	b = append(b, info...)
	fcs := ^tableFCS16(0xffff, b)
	b = append(b, byte(fcs), byte(fcs>>8))

	if len(dst) == 0 || dst[len(dst)-1] != 0x7e {
		dst = append(dst, 0x7e)
	}
	for _, c := range b {
		if c == 0x7d || c == 0x7e || c < 0x20 && p.ACCM&(1<<c) != 0 {
			dst = append(dst, 0x7d, c^0x20)
		} else {
			dst = append(dst, c)
		}
	}
	return append(dst, 0x7e)
}

// refDecode decodes a whole stream, for buffers of size octets.
func refDecode(stream []byte, accm uint32, size int) (frames [][]byte, c Counters) {
	pieces := bytes.Split(stream, []byte{0x7e})
	c.Noise = uint64(len(pieces[0]))
	for i, piece := range pieces[1:] {
		closed := i+1 < len(pieces)-1
		b, escaped, ok := refUnescape(piece, accm, size, &c)
		switch {
		case !ok: // counted as oversize
		case !closed:
		case escaped:
			c.Aborted++
		case len(b) == 0:
		case len(b) < 4:
			c.Short++
		case tableFCS16(0xffff, b) != 0xf0b8:
			c.BadFCS++
		default:
			ppp := refExpand(b[:len(b)-2])
			if len(ppp) < 2 || ppp[0]%2 != 0 || ppp[1]%2 == 0 {
				c.BadProtocol++
				continue
			}
			c.Frames++
			frames = append(frames, ppp)
		}
	}
	return frames, c
}

func refUnescape(piece []byte, accm uint32, size int, c *Counters) (b []byte, escaped, ok bool) {
	b = make([]byte, 0, len(piece))
	for _, x := range piece {
		bare := x == 0x03 && !escaped && len(b) == 1 && b[0] == 0xff
		switch {
		case x < 0x20 && accm&(1<<x) != 0 && !bare:
			c.Discarded++
			continue
		case escaped:
			b, escaped = append(b, x^0x20), false
		case x == 0x7d:
			escaped = true
		default:
			b = append(b, x)
		}
		if refLen(b) > size {
			c.Oversize++
			return nil, false, false
		}
	}
	return b, escaped, true
}

// refExpand takes Address and Control off and makes the Protocol field whole.
func refExpand(b []byte) []byte {
	switch {
	case len(b) == 1 && b[0] == 0xff:
		return nil
	case len(b) >= 2 && b[0] == 0xff && b[1] == 0x03:
		b = b[2:]
	case len(b) >= 2 && b[0] == 0xff: // no PPP frame
		return b
	}
	if len(b) > 0 && b[0]%2 == 1 {
		return append([]byte{0}, b...)
	}
	return b
}

// refLen is the length of what refExpand makes of b, without making it.
func refLen(b []byte) int {
	n := len(b)
	if n > 0 && b[0] == 0xff {
		if n == 1 {
			return 0 // an Address needs no room yet
		}
		if b[1] != 0x03 {
			return n
		}
		b, n = b[2:], n-2
	}
	if n > 0 && b[0]%2 == 1 {
		n++
	}
	return n
}

// tableFCS16 is the FCS octet by octet, as RFC 1662 appendix C does it.
func tableFCS16(fcs uint16, b []byte) uint16 {
	for _, c := range b {
		fcs = fcs>>8 ^ refTable[byte(fcs)^c]
	}
	return fcs
}

var refTable = func() (t [256]uint16) {
	for i := range t {
		t[i] = slowFCS16(0, []byte{byte(i)})
	}
	return t
}()

// The loop to race with: RFC 1662 octet by octet as in pppd's drivers and in
// rp-pppoe, with the FCS along the way and nothing allocated.

func loopEncode(dst, ppp []byte, p Params) []byte {
	fcs := uint16(0xffff)
	put := func(c byte) {
		if c == 0x7d || c == 0x7e || c < 0x20 && p.ACCM>>c&1 == 1 {
			dst = append(dst, 0x7d, c^0x20)
		} else {
			dst = append(dst, c)
		}
	}
	if len(dst) == 0 || dst[len(dst)-1] != 0x7e {
		dst = append(dst, 0x7e)
	}
	for _, c := range []byte{0xff, 0x03} {
		fcs = fcs>>8 ^ refTable[byte(fcs)^c]
		put(c)
	}
	for _, c := range ppp {
		fcs = fcs>>8 ^ refTable[byte(fcs)^c]
		put(c)
	}
	fcs = ^fcs
	put(byte(fcs))
	put(byte(fcs >> 8))
	return append(dst, 0x7e)
}

// loopDecoder knows frames with Address and Control and a Protocol field of two
// octets only.
type loopDecoder struct {
	accm    uint32
	fcs     uint16
	n       int
	escaped bool
}

func (l *loopDecoder) decode(buf, src []byte) (frame []byte, n int) {
	for i, c := range src {
		switch {
		case c == 0x7e:
			n, good := l.n, l.fcs == 0xf0b8 && !l.escaped
			l.n, l.fcs, l.escaped = 0, 0xffff, false
			if n >= 4 && good {
				return buf[2 : n-2], i + 1
			}
			continue
		case c < 0x20 && l.accm>>c&1 == 1:
			continue
		case c == 0x7d:
			l.escaped = true
			continue
		case l.escaped:
			c ^= 0x20
			l.escaped = false
		}
		if l.n < len(buf) {
			buf[l.n] = c
			l.n++
			l.fcs = l.fcs>>8 ^ refTable[byte(l.fcs)^c]
		}
	}
	return nil, len(src)
}
