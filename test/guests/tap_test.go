package guests

import (
	"io"
	"net"
	"sync"
)

// bankTap is where a tapped line is dialled: what goes through it to the bank
// is recorded.
const bankTap = "10.9.0.1:7000"

// lineTap is a wire-tap on TCP lines, one at a time: it records the octets of
// the newest one, both ways, and can cut it.
type lineTap struct {
	mu       sync.Mutex
	up, down []byte // from the user, to the user
	conns    []net.Conn
}

// tapLine listens at one address and connects each caller to the other.
func (r *rig) tapLine(listen, to string) *lineTap {
	r.t.Helper()
	l, err := net.Listen("tcp", listen)
	if err != nil {
		r.t.Fatal(err)
	}
	tap := new(lineTap)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			user, err := l.Accept()
			if err != nil {
				return
			}
			gw, err := net.Dial("tcp", to)
			if err != nil {
				user.Close()
				continue
			}
			tap.mu.Lock()
			tap.conns, tap.up, tap.down = []net.Conn{user, gw}, nil, nil
			tap.mu.Unlock()
			running.Go(func() { tap.pump(gw, user, &tap.up) })
			running.Go(func() { tap.pump(user, gw, &tap.down) })
		}
	})
	r.t.Cleanup(func() {
		l.Close()
		tap.cut()
		running.Wait()
	})
	return tap
}

func (t *lineTap) pump(dst io.WriteCloser, src io.ReadCloser, record *[]byte) {
	defer dst.Close()
	defer src.Close()
	buf := make([]byte, 4096)
	for {
		n, err := src.Read(buf)
		t.mu.Lock()
		*record = append(*record, buf[:n]...)
		t.mu.Unlock()
		if _, werr := dst.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// cut ends the line in the middle of whatever it carries.
func (t *lineTap) cut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.conns {
		c.Close()
	}
}

// recorded returns what went by so far, from the user and to the user.
func (t *lineTap) recorded() (up, down []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]byte(nil), t.up...), append([]byte(nil), t.down...)
}

// wireFrame is one HDLC frame as it was on the line. This is the tests' own
// reading of RFC 1662, so that it can contradict the gateway's.
type wireFrame struct {
	raw  []byte // between the flags, escapes in it
	data []byte // escapes taken out
	good bool   // its FCS is right
}

// unframe splits a recording at its flags.
func unframe(b []byte) (frames []wireFrame) {
	var f wireFrame
	escaped := false
	for _, c := range b {
		switch {
		case c == 0x7e:
			if len(f.raw) > 0 {
				f.good = fcsGood(f.data)
				frames = append(frames, f)
			}
			f, escaped = wireFrame{}, false
			continue
		case escaped:
			f.data, escaped = append(f.data, c^0x20), false
		case c == 0x7d:
			escaped = true
		default:
			f.data = append(f.data, c)
		}
		f.raw = append(f.raw, c)
	}
	return frames
}

// fcsGood is RFC 1662's FCS-16, a bit at a time.
func fcsGood(b []byte) bool {
	fcs := uint16(0xffff)
	for _, c := range b {
		fcs ^= uint16(c)
		for range 8 {
			if fcs&1 != 0 {
				fcs = fcs>>1 ^ 0x8408
			} else {
				fcs >>= 1
			}
		}
	}
	return fcs == 0xf0b8
}
