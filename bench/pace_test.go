//go:build linux

package main

import (
	"testing"
	"time"
)

func TestPaceTimesEveryFrameThatComesBack(t *testing.T) {
	const lines = 3
	fds := echoes(t, lines)
	var trains []*train
	for i := range lines {
		trains = append(trains, testTrain(async{}, uint64(i)<<32))
	}
	l, err := newLoad(fds, trains, trains[0].cars(), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.patience = time.Hour
	p := newPace(l, 1, 4)
	p.timing = true
	for range 10 * lines {
		if err := p.sendNext(2); err != nil {
			t.Fatal(err)
		}
		for busy := true; busy; {
			busy = false
			for _, ln := range l.lines {
				busy = busy || ln.underWay() > 0
			}
			if err := p.wait(time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, want := p.tally(), (tally{sent: 20 * lines, returned: 20 * lines}); got != want {
		t.Fatalf("%+v, want %+v", got, want)
	}
	if len(p.delays) != 20*lines {
		t.Errorf("%d delays, want one for each of %d frames", len(p.delays), 20*lines)
	}
	for _, d := range p.delays {
		if d <= 0 {
			t.Errorf("a frame took %v", d)
		}
	}
	for _, ln := range l.lines {
		if ln.tally.sent != 20 {
			t.Errorf("a line sent %d frames, want 20: they take turns", ln.tally.sent)
		}
	}
}

func TestPaceHoldsBackWhatATrainHasNoRoomFor(t *testing.T) {
	fds := echoes(t, 1)
	l, err := newLoad(fds, []*train{testTrain(async{}, 0)}, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	p := newPace(l, 1, 1)
	n := l.lines[0].train.cars()
	if err := p.sendNext(n); err != nil {
		t.Fatal(err)
	}
	if p.held != uint64(n) || p.tally().sent != 0 {
		t.Errorf("held %d and sent %d, want %d and 0: a frame in two places at once could not be told apart", p.held, p.tally().sent, n)
	}
}
