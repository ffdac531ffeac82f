package line

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/frame"
)

func TestPipeSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := Pipe(Info{Name: "slow"}, frame.NewPool(1), PipeOptions{Speed: 9600})
		defer near.Close()
		if near.Info().Speed != 9600 || near.Info().Kind != "pipe" {
			t.Errorf("Info = %+v", near.Info())
		}
		start := time.Now()
		mustWrite(t, far, make([]byte, 960))
		if d := time.Since(start); d != time.Second {
			t.Errorf("960 octets at 9,600 bit/s took %v, want 1s: ten bits an octet", d)
		}
	})
}

func TestPipeCloseEndsASlowWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := Pipe(Info{}, frame.NewPool(1), PipeOptions{Speed: 300})
		got := make(chan error)
		go func() {
			_, err := far.Write(make([]byte, 1000))
			got <- err
		}()
		synctest.Wait()
		near.Close()
		if err := <-got; !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("Write on a line that hung up: %v", err)
		}
	})
}

func TestPipeWriterWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := Pipe(Info{}, frame.NewPool(1), PipeOptions{Buffer: 10})
		end := near.(*async).carrier.(*Conn)
		sent := bytes.Repeat([]byte("0123456789abc"), 10)
		done := make(chan struct{})
		go func() {
			defer close(done)
			mustWrite(t, far, sent)
		}()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("130 octets went into a wire that holds 10")
		default:
		}
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(end, got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("read %q, %v", got, err)
		}
		<-done
		near.Close()
	})
}

func TestPipeEndsAfterTheLastOctet(t *testing.T) {
	near, far := Pipe(Info{}, frame.NewPool(1), PipeOptions{})
	end := near.(*async).carrier.(*Conn)
	mustWrite(t, end, []byte("last words"))
	near.Close()
	if got := readAll(t, far); string(got) != "last words" {
		t.Errorf("after the hang-up the user read %q", got)
	}
	if _, err := far.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Write after the hang-up: %v", err)
	}
}

func TestPipeCloseWhileBlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pool := frame.NewPool(4)
		near, _ := Pipe(Info{}, pool, PipeOptions{Buffer: 16})
		errs := make(chan error, 2)
		go func() {
			var batch [1]*frame.Buf
			_, err := near.Read(batch[:])
			errs <- err
		}()
		go func() {
			b := buf(t, pool, ipPacket)
			defer b.Put()
			errs <- near.Write([]*frame.Buf{b})
		}()
		synctest.Wait() // both wait, for input and for room
		near.Close()
		for range 2 {
			if err := <-errs; !errors.Is(err, ErrClosed) {
				t.Errorf("blocked in the line when it was closed: %v, want ErrClosed", err)
			}
		}
		synctest.Wait()
		wantHeld(t, "after Close", pool, 0)
	})
}
