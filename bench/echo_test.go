//go:build linux

package main

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"tributary/test/netns"
)

// enough is for what comes at once if it comes at all, in milliseconds.
const enough = 10_000

// Every way sends back what it gets, whole, and each session's frames by one socket.
func TestEveryWayEchoes(t *testing.T) {
	for _, w := range ways {
		t.Run(w.String(), func(t *testing.T) {
			near, far := netns.New(t), netns.New(t)
			netns.Veth(near, userEnd, far, acEnd)
			var echoes []*echo
			far.Do(func() error {
				for range w.sockets {
					e, err := newEcho(w)
					if err != nil {
						return err
					}
					t.Cleanup(e.close)
					echoes = append(echoes, e)
				}
				return nil
			})
			const frames = 32 // as the smallest batch, and of four sessions
			var g *generator
			near.Do(func() (err error) {
				g, err = newGenerator(portCell{1400, portLoad{window: frames}})
				return err
			})
			t.Cleanup(func() { _ = unix.Close(g.fd) })

			for round := range 3 {
				if err := g.send(frames); err != nil {
					t.Fatal(err)
				}
				for i, e := range echoes {
					for got := 0; got < frames/len(echoes); {
						if err := readable(e.fd); err != nil {
							t.Fatalf("round %d, socket %d, %d frames: %v", round, i, got, err)
						}
						n, err := e.turn(0)
						if err != nil {
							t.Fatal(err)
						}
						got += n
					}
				}
				for g.underWay() > 0 {
					if err := readable(g.fd); err != nil {
						t.Fatalf("round %d: %+v: %v", round, g.tally, err)
					}
					n, err := g.in.receive(g.fd, unix.MSG_WAITFORONE)
					if err != nil {
						t.Fatal(err)
					}
					for i := range n {
						g.take(g.in.frame(i))
					}
				}
			}
			if want := (tally{sent: 3 * frames, returned: 3 * frames}); g.tally != want {
				t.Errorf("%+v, want %+v", g.tally, want)
			}
		})
	}
}

func readable(fd int) error {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, enough)
	if err == unix.EINTR {
		return readable(fd)
	}
	if err == nil && n == 0 {
		err = fmt.Errorf("nothing comes")
	}
	return err
}

func TestWayNames(t *testing.T) {
	for want, w := range map[string]way{
		"recvmmsg, sendmmsg, 128":                          {byMessages, byMessages, 128, 1, false},
		"V2 ring, sendmmsg, 64":                            gatewayWay,
		"V3 ring, V3 ring, 64":                             {byRing3, byRing3, 64, 1, false},
		"V2 ring, sendmmsg, 64, fanout to 2, qdisc bypass": {byRing2, byMessages, 64, 2, true},
	} {
		if got := w.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	seen := make(map[way]bool)
	for _, w := range ways {
		if seen[w] {
			t.Errorf("%s is measured twice", w)
		}
		seen[w] = true
	}
	if !seen[gatewayWay] {
		t.Error("the gateway's own way is not measured")
	}
}
