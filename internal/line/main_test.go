package line

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tributary/hdlc"
	"tributary/internal/frame"
)

// TestMain holds that no test leaves a goroutine behind, the lingering ones of
// closed connections included.
func TestMain(m *testing.M) {
	code := m.Run()
	// A line that was closed gives its last words a second or so to go; goleak
	// by itself waits for less than that.
	var err error
	for range 20 {
		if err = goleak.Find(); err == nil {
			break
		}
	}
	if err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "goroutines are left:", err)
		code = 1
	}
	os.Exit(code)
}

// Frames for the tests. The first two go out as by default whatever was negotiated
// (RFC 1662: LCP codes 1 to 7); the third has every octet that framing cares about.
var (
	configureRequest = []byte{0xc0, 0x21, 1, 1, 0, 4}
	terminateAck     = []byte{0xc0, 0x21, 6, 9, 0, 4}
	ipPacket         = append([]byte{0x00, 0x21, 0x45}, bytes.Repeat([]byte{0x11, 0x7e, 0x7d, 'x'}, 100)...)
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// buf makes a frame of ppp.
func buf(t testing.TB, pool *frame.Pool, ppp []byte) *frame.Buf {
	t.Helper()
	b := pool.Get()
	if b == nil {
		t.Fatal("the test's pool is empty")
	}
	b.SetBytes(ppp)
	return b
}

// send writes ppp frames to l and puts their buffers back.
func send(t testing.TB, l Line, pool *frame.Pool, frames ...[]byte) {
	t.Helper()
	var bufs []*frame.Buf
	for _, f := range frames {
		bufs = append(bufs, buf(t, pool, f))
	}
	if err := l.Write(bufs); err != nil {
		t.Fatalf("Write: %v", err)
	}
	for _, b := range bufs {
		b.Put()
	}
}

// wantFrames reads l until it has given as many frames as are wanted.
func wantFrames(t testing.TB, why string, l Line, want ...[]byte) {
	t.Helper()
	var batch [4]*frame.Buf
	got := 0
	for got < len(want) {
		n, err := l.Read(batch[:])
		if err != nil {
			t.Fatalf("%s: after %d frames: Read: %v", why, got, err)
		}
		for _, b := range batch[:n] {
			if got >= len(want) {
				t.Fatalf("%s: a frame too many: % x", why, b.Bytes())
			}
			if !bytes.Equal(b.Bytes(), want[got]) {
				t.Fatalf("%s: frame %d is\n% x, want\n% x", why, got, b.Bytes(), want[got])
			}
			if b.Headroom() < frame.Headroom {
				t.Fatalf("%s: %d octets of headroom, want %d", why, b.Headroom(), frame.Headroom)
			}
			b.Put()
			got++
		}
	}
}

// wantEnd reads l to its end and wants want there, with no frame before it.
func wantEnd(t testing.TB, why string, l Line, want error) {
	t.Helper()
	for {
		var batch [4]*frame.Buf
		n, err := l.Read(batch[:])
		if n > 0 {
			t.Fatalf("%s: an unexpected frame: % x", why, batch[0].Bytes())
		}
		if err != nil {
			if !errors.Is(err, want) {
				t.Fatalf("%s: Read: %v, want %v", why, err, want)
			}
			return
		}
	}
}

// wantHeld wants n of pool's buffers to be in use.
func wantHeld(t testing.TB, why string, pool *frame.Pool, n int) {
	t.Helper()
	if got := pool.InUse(); got != n {
		t.Fatalf("%s: %d buffers in use, want %d", why, got, n)
	}
}

// eventually waits until cond holds. It is for what another process or the kernel
// does, of which no one tells us.
func eventually(t testing.TB, why string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-t.Context().Done():
			t.Fatalf("%s: never", why)
		case <-tick.C:
		}
	}
}

// encoded is frames as they are on the line.
func encoded(p hdlc.Params, frames ...[]byte) (out []byte) {
	for _, f := range frames {
		out = hdlc.AppendFrame(out, f, p)
	}
	return out
}

// decoded is the frames in what was read from the far end of a line.
func decoded(t testing.TB, octets []byte, recvACCM uint32) (frames [][]byte) {
	t.Helper()
	var d hdlc.Decoder
	d.SetACCM(recvACCM)
	for len(octets) > 0 {
		f, n := d.Decode(make([]byte, 4096), octets)
		octets = octets[n:]
		if f != nil {
			frames = append(frames, f)
		}
	}
	return frames
}

// readAll reads r to its end.
func readAll(t testing.TB, r io.Reader) []byte {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read to the end: %v", err)
	}
	return b
}

// dialRaw connects to l as a user's modem would.
func dialRaw(t testing.TB, l Listener) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

func accept(t testing.TB, l Listener) Line {
	t.Helper()
	line, err := l.Accept()
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	t.Cleanup(func() { line.Close() })
	return line
}
