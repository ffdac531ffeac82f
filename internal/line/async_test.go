package line

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"tributary/hdlc"
	"tributary/internal/frame"
)

// pipe makes a line and its far end for one test.
func pipe(t *testing.T, pool *frame.Pool) (Line, *Conn) {
	t.Helper()
	near, far := Pipe(Info{Name: "test/1", Group: "test"}, pool, PipeOptions{})
	t.Cleanup(func() { near.Close() })
	return near, far
}

func mustWrite(t testing.TB, w io.Writer, b []byte) {
	t.Helper()
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
}

func TestAsyncHoldsBuffersOnlyForPartialFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := frame.NewPool(8)
		near, far := pipe(t, pool)
		var batch [4]*frame.Buf
		type result struct {
			n   int
			err error
		}
		results := make(chan result)
		go func() {
			defer close(results)
			for {
				n, err := near.Read(batch[:])
				results <- result{n, err}
				if err != nil {
					return
				}
			}
		}()
		wire := encoded(hdlc.Default, configureRequest)

		synctest.Wait()
		wantHeld(t, "a line that is read and says nothing", pool, 0)

		mustWrite(t, far, wire[:5])
		if r := <-results; r.n != 0 || r.err != nil {
			t.Fatalf("part of a frame: Read = %d, %v, want 0, nil", r.n, r.err)
		}
		synctest.Wait()
		wantHeld(t, "part of a frame waits in one buffer", pool, 1)

		mustWrite(t, far, wire[5:])
		if r := <-results; r.n != 1 || !bytes.Equal(batch[0].Bytes(), configureRequest) {
			t.Fatalf("the rest of the frame: Read = %d, %v", r.n, r.err)
		}
		synctest.Wait()
		wantHeld(t, "the buffer is the caller's now", pool, 1)
		batch[0].Put()
		wantHeld(t, "and it was the only one", pool, 0)

		mustWrite(t, far, wire[:5])
		<-results
		near.Close()
		wantHeld(t, "Close takes a partial frame's buffer from a waiting reader", pool, 0)
		if r := <-results; !errors.Is(r.err, ErrClosed) {
			t.Fatalf("Read after Close: %v, want ErrClosed", r.err)
		}
	})
}

func TestAsyncNoBuffersHeldAfterCloseWithoutRead(t *testing.T) {
	pool := frame.NewPool(8)
	near, far := pipe(t, pool)
	mustWrite(t, far, append(encoded(hdlc.Default, configureRequest, configureRequest), "\x7e\xc0\x21half"...))
	var batch [1]*frame.Buf
	if n, err := near.Read(batch[:]); n != 1 || err != nil {
		t.Fatalf("Read = %d, %v", n, err)
	}
	batch[0].Put()
	near.Close() // with one frame left over, and half of another, that nobody will ever read
	wantHeld(t, "Close gives back what the reader kept for its next Read", pool, 0)
	wantEnd(t, "a line that we closed ourselves", near, ErrClosed)
}

func TestAsyncLeftoversComeWithoutMoreInput(t *testing.T) {
	pool := frame.NewPool(16)
	near, far := pipe(t, pool)
	var frames [][]byte
	for i := range 10 {
		frames = append(frames, []byte{0xc0, 0x21, 9, byte(i), 0, 4})
	}
	mustWrite(t, far, encoded(hdlc.Default, frames...))
	wantFrames(t, "ten frames in one piece, four in a batch", near, frames...)
	wantHeld(t, "all was used up", pool, 0)

	c := near.Counters()
	if c.RxFrames != 10 || c.RxOctets != 60 || c.Frames != 10 || c.RxWireOctets != uint64(len(encoded(hdlc.Default, frames...))) {
		t.Errorf("counters after ten frames: %+v", c)
	}
}

func TestAsyncBadInput(t *testing.T) {
	good := encoded(hdlc.Default, configureRequest)
	noise := bytes.Repeat([]byte{0x7d, 0x20, 0x41, 0x00, 0xff}, 5000)
	for _, tt := range []struct {
		name string
		in   []byte
		want func(Counters) uint64 // is at least 1
	}{
		{"a modem's chatter before the first flag", []byte("\r\nCONNECT 115200\r\n"), func(c Counters) uint64 { return c.Noise }},
		{"a frame that never ends", append([]byte{0x7e}, noise...), func(c Counters) uint64 { return c.Oversize }},
		{"a bad FCS", []byte("\x7eabcdefgh\x7e"), func(c Counters) uint64 { return c.BadFCS }},
		{"an abort", []byte("\x7eabcdefgh\x7d\x7e"), func(c Counters) uint64 { return c.Aborted }},
		{"a frame too short", []byte("\x7eab\x7e"), func(c Counters) uint64 { return c.Short }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pool := frame.NewPool(8)
			near, far := pipe(t, pool)
			done := make(chan error, 1)
			go func() {
				_, err := far.Write(append(tt.in, good...))
				done <- err
			}()
			wantFrames(t, "the good frame behind it is not lost", near, configureRequest)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if tt.want(near.Counters()) == 0 {
				t.Errorf("not counted: %+v", near.Counters())
			}
			wantHeld(t, "nothing is kept", pool, 0)
		})
	}
}

func TestAsyncDropsFramesWhenThePoolIsEmpty(t *testing.T) {
	// The decoder can be at three places when it first wants room: at a frame's
	// first octet, behind FF 03, and behind an escape.
	for _, tt := range []struct {
		name string
		p    hdlc.Params
	}{
		{"FF 03 escaped", hdlc.Default},
		{"FF 03 as it is", hdlc.Params{ACCM: 0}},
		{"no Address and Control", hdlc.Params{ACCM: 0, ACFC: true}},
		{"and a Protocol field of one octet", hdlc.Params{ACCM: 0, ACFC: true, PFC: true}},
		{"and that escaped", hdlc.Params{ACCM: 0xffffffff, ACFC: true, PFC: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pool := frame.NewPool(1)
			near, far := pipe(t, pool)
			near.SetParams(tt.p, tt.p.ACCM)
			last := buf(t, pool, nil)
			lost := encoded(tt.p, ipPacket, ipPacket, []byte{0, 0x11, 0x7e, 1, 2}, ipPacket)
			cut := len(lost) - 150 // in the middle of the last frame

			var batch [4]*frame.Buf
			mustWrite(t, far, lost[:cut])
			if n, err := near.Read(batch[:]); n != 0 || err != nil {
				t.Fatalf("without a buffer: Read = %d, %v, want 0, nil", n, err)
			}
			last.Put()
			mustWrite(t, far, append(lost[cut:], encoded(tt.p, ipPacket)...))
			wantFrames(t, "once there are buffers again, the next whole frame comes", near, ipPacket)

			if c := near.Counters(); c.NoBuffer != 4 || c.Oversize != 0 || c.BadFCS != 0 || c.Frames != 1 {
				t.Errorf("counters: NoBuffer %d, want 4; all: %+v", c.NoBuffer, c)
			}
			wantHeld(t, "in the end", pool, 0)
		})
	}
}

func TestAsyncParams(t *testing.T) {
	pool := frame.NewPool(8)
	near, far := Pipe(Info{Name: "test/1", ACCM: accmXONXOFF}, pool, PipeOptions{})

	if p, accm := near.Params(); p != hdlc.Default || accm != 0xffffffff {
		t.Errorf("before LCP: %+v, %08x, want the defaults", p, accm)
	}
	short := hdlc.Params{ACCM: 0x000a0001, PFC: true, ACFC: true}
	near.SetParams(short, 0x80000000)
	if p, accm := near.Params(); p != short || accm != 0x80000000 {
		t.Errorf("Params = %+v, %08x, not what was set", p, accm)
	}

	near.SetParams(hdlc.Params{PFC: true, ACFC: true}, 0)
	send(t, near, pool, ipPacket)
	near.Close()
	got := readAll(t, far)
	if !bytes.HasPrefix(got, []byte{0x7e, 0x21, 0x45}) {
		t.Errorf("with PFC and ACFC the frame begins % x", got[:3])
	}
	if bytes.IndexByte(got, 0x11) >= 0 {
		t.Error("XON was sent unescaped on a line whose carrier takes it for itself")
	}
	if f := decoded(t, got, 0); len(f) != 1 || !bytes.Equal(f[0], ipPacket) {
		t.Errorf("what was sent is not what was meant: %x", f)
	}
}

func TestAsyncWriteBatch(t *testing.T) {
	pool := frame.NewPool(256)
	near, far := pipe(t, pool)
	user := Over(far, Info{Name: "user"}, pool)

	// More than one write's worth: 100 frames of 1,500 octets, all escaped.
	big := append([]byte{0, 0x21}, bytes.Repeat([]byte{0x7e}, 1500)...)
	var frames [][]byte
	for range 100 {
		frames = append(frames, big)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		send(t, near, pool, frames...)
	}()
	wantFrames(t, "a batch larger than the write buffer", user, frames...)
	<-done

	c, u := near.Counters(), user.Counters()
	if c.TxFrames != 100 || c.TxOctets != 100*1502 || c.TxWireOctets != u.RxWireOctets || c.TxWireOctets < 2*100*1500 {
		t.Errorf("sender counted %+v, receiver %+v", c, u)
	}
	wantHeld(t, "in the end", pool, 0)

	if err := near.Write(nil); err != nil {
		t.Errorf("Write of nothing: %v", err)
	}
	user.Close()
	wantEnd(t, "the user hung up", near, io.EOF)
	b := buf(t, pool, configureRequest)
	defer b.Put()
	if err := near.Write([]*frame.Buf{b}); !errors.Is(err, io.EOF) {
		t.Errorf("Write after the user hung up: %v, want io.EOF", err)
	}
	near.Close()
	if err := near.Write([]*frame.Buf{b}); !errors.Is(err, ErrClosed) {
		t.Errorf("Write after Close: %v, want ErrClosed", err)
	}
	if err := near.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}

func TestOverAnyStream(t *testing.T) {
	pool := frame.NewPool(8)
	a, b := net.Pipe()
	near, far := Over(a, Info{Name: "near"}, pool), Over(b, Info{Name: "far"}, pool)
	done := make(chan struct{})
	go func() {
		defer close(done)
		send(t, near, pool, configureRequest, ipPacket)
	}()
	wantFrames(t, "over net.Pipe", far, configureRequest, ipPacket)
	<-done
	near.Close()
	wantEnd(t, "the other end closed", far, io.EOF)
	wantEnd(t, "this end was closed", near, ErrClosed)
	far.Close()
	wantHeld(t, "in the end", pool, 0)
}

func TestAsyncDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool throws buffers away, by design")
	}
	pool := frame.NewPool(64)
	near, far := pipe(t, pool)
	user := Over(far, Info{Name: "user"}, pool)
	bufs := []*frame.Buf{buf(t, pool, ipPacket), buf(t, pool, configureRequest), buf(t, pool, ipPacket)}
	var batch [4]*frame.Buf
	n := testing.AllocsPerRun(200, func() {
		if err := near.Write(bufs); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < len(bufs); {
			n, err := user.Read(batch[:])
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range batch[:n] {
				b.Put()
			}
			got += n
		}
	})
	if n != 0 {
		t.Errorf("three frames through a line allocate %v times, want 0", n)
	}
}

// FuzzAsyncCuts holds that what a line yields does not depend on how the octets
// were cut, nor on how large the batches are, and that it keeps no buffer.
func FuzzAsyncCuts(f *testing.F) {
	f.Add(encoded(hdlc.Default, configureRequest, ipPacket), uint8(3), uint8(1))
	f.Add([]byte("\r\nCONNECT\r\n\x7e\xff\x7d#\xc0!x\x7d\x7e\x7e"), uint8(1), uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, cut, room uint8) {
		pool := frame.NewPool(300)
		whole := framesOf(t, in, len(in)+1, 255, pool)
		cuts := framesOf(t, in, int(cut)+1, int(room)%8+1, pool)
		if len(whole) != len(cuts) {
			t.Fatalf("%d frames in one piece, %d in pieces of %d", len(whole), len(cuts), cut+1)
		}
		for i := range whole {
			if !bytes.Equal(whole[i], cuts[i]) {
				t.Fatalf("frame %d differs", i)
			}
		}
		wantHeld(t, "in the end", pool, 0)
	})
}

func framesOf(t *testing.T, in []byte, cut, room int, pool *frame.Pool) (frames [][]byte) {
	near, far := Pipe(Info{}, pool, PipeOptions{Buffer: len(in) + 1})
	for len(in) > 0 {
		n := min(cut, len(in))
		mustWrite(t, far, in[:n])
		in = in[n:]
		// One Read for these octets, more while batches come back full.
		for batch := make([]*frame.Buf, room); ; {
			n, err := near.Read(batch)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range batch[:n] {
				frames = append(frames, bytes.Clone(b.Bytes()))
				b.Put()
			}
			if near.(*async).in == nil && len(far.tx.queued()) == 0 {
				break
			}
		}
	}
	near.Close()
	return frames
}
