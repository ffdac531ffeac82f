package line

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tributary/hdlc"
	"tributary/internal/config"
	"tributary/internal/frame"
)

// takes is a carrier that takes as many octets at once as next says.
type takes struct {
	next func(most int) int
	fail error // what tryWrite and write fail with, if set
	got  []byte
}

func (c *takes) read() (*input, error) { return nil, io.EOF }

func (c *takes) write(p []byte) error {
	if c.fail != nil {
		return c.fail
	}
	c.got = append(c.got, p...)
	return nil
}

func (c *takes) tryWrite(p []byte) (int, error) {
	n := c.next(len(p))
	c.got = append(c.got, p[:n]...)
	return n, c.fail
}

func (c *takes) close() error { return nil }

func everything(most int) int { return most }

// over is a line with c below it.
func over(c carrier, pool *frame.Pool) *async {
	return newAsync(Info{Name: "test/1"}, c, newScratch(), pool)
}

// writeAll is a batch written the way of a writer who must not wait, and then of one
// who may. stuck is called when the line has not taken everything at once.
func writeAll(t testing.TB, l Line, batch []*frame.Buf, stuck func()) {
	t.Helper()
	for len(batch) > 0 {
		n, whole, err := l.TryWrite(batch)
		if err != nil || n < 1 || n > len(batch) {
			t.Fatalf("TryWrite of %d frames = %d, %v, %v", len(batch), n, whole, err)
		}
		batch = batch[n:]
		if whole {
			continue
		}
		stuck()
		if err := l.Flush(); err != nil {
			t.Fatalf("Flush: %v", err)
		}
	}
}

// numbered are frames that differ, of a length that does too.
func numbered(t testing.TB, pool *frame.Pool, n int) (bufs []*frame.Buf, frames [][]byte) {
	for i := range n {
		f := append([]byte{0x00, 0x21, byte(i), byte(i >> 8)}, bytes.Repeat([]byte{0x7e, 'x'}, i*37%700)...)
		frames = append(frames, f)
		bufs = append(bufs, buf(t, pool, f))
	}
	return bufs, frames
}

func putAll(bufs []*frame.Buf) {
	for _, b := range bufs {
		b.Put()
	}
}

// fataler is a test, of rapid too.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// wantDecoded wants octets to be frames.
func wantDecoded(t fataler, octets []byte, want [][]byte) {
	t.Helper()
	var got [][]byte
	var d hdlc.Decoder
	d.SetACCM(0)
	for len(octets) > 0 {
		f, n := d.Decode(make([]byte, frame.Size), octets)
		if octets = octets[n:]; f != nil {
			got = append(got, f)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d frames arrived, want %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("frame %d is\n% x, want\n% x", i, got[i], want[i])
		}
	}
}

func TestTryWriteToAPeerThatDoesNotRead(t *testing.T) {
	pool := frame.NewPool(64)
	l := listenTCP(t, config.TCP{KeepAlive: time.Minute}, pool)
	user := dialRaw(t, l)
	line := accept(t, l)
	line.SetParams(hdlc.Params{}, 0)
	bufs, frames := numbered(t, pool, 40)
	defer putAll(bufs)

	var want [][]byte
	octets := 0
	whole := true
	for batch := bufs; whole; {
		n, all, err := line.TryWrite(batch)
		if err != nil {
			t.Fatal(err)
		}
		at := len(bufs) - len(batch)
		want = append(want, frames[at:at+n]...)
		for _, f := range frames[at : at+n] {
			octets += len(f)
		}
		if batch, whole = batch[n:], all; len(batch) == 0 {
			batch = bufs
		}
	}
	if a := line.(*async); a.sent >= len(a.unsent.data) {
		t.Fatalf("%d of %d octets were taken, and not whole", a.sent, len(a.unsent.data))
	}
	// Now the user reads: what was taken over, and what one more write brings.
	flushed := make(chan error, 1)
	go func() {
		err := line.Flush()
		if err == nil {
			err = line.Write(bufs)
		}
		line.Close()
		flushed <- err
	}()
	wire := readAll(t, user)
	if err := <-flushed; err != nil {
		t.Fatalf("Flush, then Write: %v", err)
	}
	want = append(want, frames...)
	for _, f := range frames {
		octets += len(f)
	}
	wantDecoded(t, wire, want)
	if c := line.Counters(); c.TxFrames != uint64(len(want)) || c.TxOctets != uint64(octets) || c.TxWireOctets != uint64(len(wire)) {
		t.Errorf("counters %+v after %d frames of %d octets, %d on the wire", c, len(want), octets, len(wire))
	}
}

// The same many times over: the user reads, but not as fast.
func TestTryWriteAndFlushTakeTurns(t *testing.T) {
	pool := frame.NewPool(64)
	l := listenTCP(t, config.TCP{KeepAlive: time.Minute}, pool)
	user := dialRaw(t, l)
	line := accept(t, l)
	line.SetParams(hdlc.Params{}, 0)
	bufs, frames := numbered(t, pool, 40)
	defer putAll(bufs)

	wire := make(chan []byte, 1)
	// When the line is stuck the user reads more than the kernel holds for him, so
	// that the window opens again.
	user.SetReadBuffer(128 << 10)
	read := make(chan struct{}, 1)
	go func() {
		var all []byte
		some := make([]byte, 1<<20)
		for range read {
			n, _ := io.ReadFull(user, some)
			all = append(all, some[:n]...)
		}
		rest, _ := io.ReadAll(user)
		wire <- append(all, rest...)
	}()
	random := rand.New(rand.NewPCG(1, 2))
	var want [][]byte
	stuck := 0
	for range 500 {
		from := random.IntN(len(bufs))
		to := from + 1 + random.IntN(len(bufs)-from)
		writeAll(t, line, bufs[from:to], func() {
			stuck++
			select {
			case read <- struct{}{}:
			default: // he reads, and will again
			}
		})
		want = append(want, frames[from:to]...)
	}
	close(read)
	line.Close()
	wantDecoded(t, <-wire, want)
	if stuck == 0 {
		t.Error("the line took everything at once: nothing was tested")
	}
}

// However little the carrier takes at a time, it gets every frame, whole and in order.
func TestTryWriteProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pool := frame.NewPool(300)
		c := &takes{next: func(most int) int { return rapid.IntRange(0, most).Draw(t, "taken") }}
		line := over(c, pool)
		params := hdlc.Params{ACCM: rapid.Uint32().Draw(t, "ACCM"), PFC: rapid.Bool().Draw(t, "PFC"), ACFC: rapid.Bool().Draw(t, "ACFC")}
		line.SetParams(params, 0)
		var want [][]byte
		octets := 0
		for range rapid.IntRange(1, 4).Draw(t, "batches") {
			var batch []*frame.Buf
			for range rapid.IntRange(0, 40).Draw(t, "frames") {
				f := append([]byte{0, 0x21}, bytes.Repeat([]byte{rapid.Byte().Draw(t, "octet")}, rapid.IntRange(0, 1500).Draw(t, "length"))...)
				b := pool.Get()
				b.SetBytes(f)
				batch = append(batch, b)
				want = append(want, f)
				octets += len(f)
			}
			for rest := batch; len(rest) > 0; {
				n, whole, err := line.TryWrite(rest)
				if err != nil || n < 1 || n > len(rest) {
					t.Fatalf("TryWrite of %d frames = %d, %v, %v", len(rest), n, whole, err)
				}
				if whole != (line.unsent == nil) {
					t.Fatalf("whole is %v, and left over is %v", whole, line.unsent)
				}
				rest = rest[n:]
				if !whole || rapid.Bool().Draw(t, "flush anyway") {
					if err := line.Flush(); err != nil {
						t.Fatal(err)
					}
				}
				if rapid.Bool().Draw(t, "the rest by Write") {
					if err := line.Write(rest); err != nil {
						t.Fatal(err)
					}
					rest = nil
				}
			}
			for _, b := range batch {
				b.Put()
			}
		}
		wantDecoded(t, c.got, want)
		if n := line.Counters(); n.TxFrames != uint64(len(want)) || n.TxOctets != uint64(octets) || n.TxWireOctets != uint64(len(c.got)) {
			t.Fatalf("counters %+v after %d frames of %d octets, %d on the wire", n, len(want), octets, len(c.got))
		}
	})
}

// A batch that needs more than one output buffer is taken in parts, and each part is
// as much as fits.
func TestTryWriteOfMoreThanABuffer(t *testing.T) {
	pool := frame.NewPool(100)
	c := &takes{next: everything}
	line := over(c, pool)
	line.SetParams(hdlc.Params{}, 0)
	big := append([]byte{0, 0x21}, bytes.Repeat([]byte{0x7e}, 1500)...)
	var bufs []*frame.Buf
	for range 60 {
		bufs = append(bufs, buf(t, pool, big))
	}
	defer putAll(bufs)
	fit := largeWrite / hdlc.MaxEncoded(len(big))
	n, whole, err := line.TryWrite(bufs)
	if n < fit || n >= len(bufs) || !whole || err != nil {
		t.Fatalf("TryWrite of 60 frames = %d, %v, %v; want at least the %d that fit, and not all", n, whole, err, fit)
	}
	if got := decoded(t, c.got, 0); len(got) != n {
		t.Errorf("%d frames were sent, not %d", len(got), n)
	}
	if n, whole, err := line.TryWrite(nil); n != 0 || !whole || err != nil {
		t.Errorf("TryWrite of nothing = %d, %v, %v", n, whole, err)
	}
	if err := line.Flush(); err != nil {
		t.Errorf("Flush of nothing = %v", err)
	}
}

func TestTryWriteToAPipe(t *testing.T) {
	pool := frame.NewPool(8)
	near, far := Pipe(Info{}, pool, PipeOptions{Buffer: 100})
	defer near.Close()
	bufs := []*frame.Buf{buf(t, pool, configureRequest), buf(t, pool, ipPacket)}
	defer putAll(bufs)
	want := encoded(hdlc.Default, configureRequest, ipPacket)

	if n, whole, err := near.TryWrite(bufs); n != 2 || whole || err != nil {
		t.Fatalf("to a wire that holds 100 octets: TryWrite = %d, %v, %v", n, whole, err)
	}
	got := make([]byte, 100)
	if n, _ := far.Read(got); n != 100 {
		t.Fatalf("the wire took %d octets, want what it holds", n)
	}
	flushed := make(chan error, 1)
	go func() { flushed <- near.Flush() }()
	got = append(got, make([]byte, len(want)-100)...)
	if _, err := io.ReadFull(far, got[100:]); err != nil {
		t.Fatal(err)
	}
	if err := <-flushed; err != nil || !bytes.Equal(got, want) {
		t.Errorf("Flush: %v, and\n% x arrived, want\n% x", err, got, want)
	}
	if n, whole, err := near.TryWrite(bufs[:1]); n != 1 || !whole || err != nil {
		t.Errorf("once there is room: TryWrite = %d, %v, %v", n, whole, err)
	}
}

// A wire with a speed takes nothing at once, and all of it in its own time.
func TestTryWriteToASlowPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := frame.NewPool(8)
		near, far := Pipe(Info{}, pool, PipeOptions{Speed: 9600})
		b := buf(t, pool, ipPacket)
		want := encoded(hdlc.Default, ipPacket)
		start := time.Now()
		if n, whole, err := near.TryWrite([]*frame.Buf{b}); n != 1 || whole || err != nil {
			t.Fatalf("TryWrite = %d, %v, %v", n, whole, err)
		}
		b.Put()
		if d := time.Since(start); d != 0 || len(far.rx.queued()) != 0 {
			t.Errorf("TryWrite waited for %v, and %d octets have crossed", d, len(far.rx.queued()))
		}
		if err := near.Flush(); err != nil {
			t.Fatal(err)
		}
		if d, takes := time.Since(start), time.Duration(len(want))*10*time.Second/9600; d.Round(time.Millisecond) != takes.Round(time.Millisecond) {
			t.Errorf("Flush of %d octets took %v, want %v", len(want), d, takes)
		}
		near.Close()
		if got := readAll(t, far); !bytes.Equal(got, want) {
			t.Errorf("% x arrived, want\n% x", got, want)
		}
	})
}

// A stream that cannot say whether it would wait is not asked.
func TestTryWriteToAnyStream(t *testing.T) {
	pool := frame.NewPool(8)
	a, b := net.Pipe() // nobody reads b yet: a write to it would wait for ever
	near, far := Over(struct{ io.ReadWriteCloser }{a}, Info{}, pool), Over(b, Info{}, pool)
	defer far.Close()
	defer near.Close()
	f := buf(t, pool, ipPacket)
	n, whole, err := near.TryWrite([]*frame.Buf{f})
	if n != 1 || whole || err != nil {
		t.Fatalf("TryWrite = %d, %v, %v", n, whole, err)
	}
	f.SetBytes(configureRequest) // the frame is its owner's again
	f.Put()
	flushed := make(chan error, 1)
	go func() { flushed <- near.Flush() }()
	wantFrames(t, "what Flush brings", far, ipPacket)
	if err := <-flushed; err != nil {
		t.Errorf("Flush: %v", err)
	}
	wantHeld(t, "in the end", pool, 0)
}

func TestTryWriteDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool throws buffers away, by design")
	}
	pool := frame.NewPool(64)
	l := listenTCP(t, config.TCP{KeepAlive: time.Minute}, pool)
	tcpUser, err := Dial(t.Context(), "tcp:"+l.Addr(), pool, DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tcpUser.Close()
	tcpLine := accept(t, l)
	near, far := pipe(t, pool)
	pipeUser := Over(far, Info{Name: "user"}, pool)
	bufs := []*frame.Buf{buf(t, pool, ipPacket), buf(t, pool, configureRequest), buf(t, pool, ipPacket)}
	defer putAll(bufs)
	c := &takes{next: func(most int) int { return most / 2 }, got: make([]byte, 0, 1<<20)}
	for _, tt := range []struct {
		name       string
		line, user Line // user nil: nobody needs to read
	}{
		{"tcp", tcpLine, tcpUser}, {"pipe", near, pipeUser}, {"half at once, half by Flush", over(c, pool), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var batch [4]*frame.Buf
			n := testing.AllocsPerRun(100, func() {
				c.got = c.got[:0]
				writeAll(t, tt.line, bufs, func() {
					if tt.user != nil {
						t.Fatal("a few frames are not taken at once")
					}
				})
				for got := 0; tt.user != nil && got < len(bufs); {
					n, err := tt.user.Read(batch[:])
					if err != nil {
						t.Fatal(err)
					}
					putAll(batch[:n])
					got += n
				}
			})
			if n != 0 {
				t.Errorf("TryWrite of three frames allocates %v times, want 0", n)
			}
		})
	}
}
