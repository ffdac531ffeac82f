package line

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"tributary/internal/config"
	"tributary/internal/frame"
)

func TestTryWriteErrors(t *testing.T) {
	pool := frame.NewPool(8)
	b := []*frame.Buf{buf(t, pool, ipPacket)}
	defer b[0].Put()
	broken := errors.New("broken")
	half := func(most int) int { return most / 2 }

	c := &takes{next: half, fail: broken}
	line := over(c, pool)
	if n, whole, err := line.TryWrite(b); n != 0 || whole || !errors.Is(err, broken) || line.unsent != nil {
		t.Errorf("the carrier fails: TryWrite = %d, %v, %v, left over %v", n, whole, err, line.unsent)
	}
	c.fail = os.ErrClosed
	if _, _, err := line.TryWrite(b); !errors.Is(err, io.EOF) {
		t.Errorf("the carrier was closed below the line: TryWrite: %v, want io.EOF", err)
	}
	c.fail = nil
	if _, whole, err := line.TryWrite(b); whole || err != nil {
		t.Fatalf("half of it: %v, %v", whole, err)
	}
	c.fail = broken
	if err := line.Flush(); !errors.Is(err, broken) || line.unsent != nil {
		t.Errorf("the carrier fails in Flush: %v, left over %v", err, line.unsent)
	}
	c.fail = nil
	if _, whole, err := line.TryWrite(b); whole || err != nil {
		t.Fatalf("half of it: %v, %v", whole, err)
	}
	line.Close()
	c.fail = io.ErrClosedPipe
	if err := line.Flush(); err != ErrClosed || line.unsent != nil {
		t.Errorf("Flush after Close: %v, left over %v", err, line.unsent)
	}
	if n, whole, err := line.TryWrite(b); n != 0 || whole || err != ErrClosed {
		t.Errorf("TryWrite after Close = %d, %v, %v", n, whole, err)
	}
	if err := line.Write(b); err != ErrClosed {
		t.Errorf("Write after Close: %v", err)
	}

	near, far := pipe(t, pool)
	far.Close()
	if _, _, err := near.TryWrite(b); !errors.Is(err, io.EOF) {
		t.Errorf("the user hung up: TryWrite: %v, want io.EOF", err)
	}
}

// Close ends a Flush that waits, on whatever carrier, and what it held is given back.
func TestCloseEndsFlush(t *testing.T) {
	pool := frame.NewPool(64)
	bufs, _ := numbered(t, pool, 40)
	for _, tt := range []struct {
		name string
		line func(t *testing.T) Line
	}{
		{"tcp", func(t *testing.T) Line {
			l := listenTCP(t, config.TCP{KeepAlive: time.Minute}, pool)
			dialRaw(t, l)
			return accept(t, l)
		}},
		{"pipe", func(t *testing.T) Line {
			near, _ := Pipe(Info{}, pool, PipeOptions{Buffer: 10})
			return near
		}},
		{"pipe with a speed", func(t *testing.T) Line {
			near, _ := Pipe(Info{}, pool, PipeOptions{Speed: 50})
			return near
		}},
		{"any stream", func(t *testing.T) Line {
			a, b := net.Pipe()
			t.Cleanup(func() { b.Close() })
			return Over(a, Info{}, pool)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 10 { // Close comes before, while or after Flush begins to wait
				line := tt.line(t)
				for {
					_, whole, err := line.TryWrite(bufs)
					if err != nil {
						t.Fatal(err)
					}
					if !whole {
						break
					}
				}
				var run sync.WaitGroup
				run.Go(func() {
					if err := line.Flush(); err != ErrClosed {
						t.Errorf("Flush: %v, want ErrClosed", err)
					}
				})
				run.Go(func() { line.Close() })
				run.Wait()
				if line.(*async).unsent != nil {
					t.Error("the output buffer was not given back")
				}
			}
		})
	}
	putAll(bufs)
	wantHeld(t, "in the end", pool, 0)
}
