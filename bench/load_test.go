//go:build linux

package main

import (
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// echoes are n lines whose far ends send back what they get, and take little at a time.
func echoes(t *testing.T, n int) (fds []int) {
	t.Helper()
	for range n {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.SetNonblock(pair[0], true); err != nil {
			t.Fatal(err)
		}
		if err := unix.SetsockoptInt(pair[0], unix.SOL_SOCKET, unix.SO_SNDBUF, 4096); err != nil {
			t.Fatal(err)
		}
		far := os.NewFile(uintptr(pair[1]), "far end")
		done := make(chan struct{})
		go func() {
			defer close(done)
			buf := make([]byte, 100)
			_, _ = io.CopyBuffer(struct{ io.Writer }{far}, struct{ io.Reader }{far}, buf)
		}()
		t.Cleanup(func() {
			_ = unix.Close(pair[0]) // the far end then reads its end
			<-done
			_ = far.Close()
		})
		fds = append(fds, pair[0])
	}
	return fds
}

func TestLoadGetsBackWhatItSent(t *testing.T) {
	const lines, window = 5, 32
	fds := echoes(t, lines)
	var trains []*train
	for i := range lines {
		trains = append(trains, testTrain(async{}, uint64(i)<<32))
	}
	l, err := newLoad(fds, trains, window/4, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.patience = time.Hour
	for round := range uint64(10) {
		for _, ln := range l.lines {
			if err := l.fill(ln); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.drain(); err != nil {
			t.Fatal(err)
		}
		n := (round + 1) * lines * window / 4
		if got, want := l.tally(), (tally{sent: n, returned: n}); got != want {
			t.Fatalf("round %d: %+v, want %+v", round, got, want)
		}
	}
}

func TestLoadGivesUpWhatDoesNotComeBack(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	defer unix.Close(pair[0])
	l, err := newLoad(pair[:1], []*train{testTrain(async{}, 0)}, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.patience = 0 // every look at the line finds it silent for too long
	if err := l.fill(l.lines[0]); err != nil {
		t.Fatal(err)
	}
	if err := l.drain(); err != nil {
		t.Fatal(err)
	}
	if got, want := l.tally(), (tally{sent: 4 + maxProbes, lost: 4 + maxProbes}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestLoadSaysThatALineHungUp(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	l, err := newLoad(pair[:1], []*train{testTrain(async{}, 0)}, 4, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if err := l.fill(l.lines[0]); err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(pair[1])
	if err := l.drain(); err == nil {
		t.Error("a line that hung up counted as one that is up")
	}
}
