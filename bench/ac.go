//go:build linux

package main

import (
	crand "crypto/rand"
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"tributary/internal/ether"
	"tributary/pppoe"
)

// concentrator is the access concentrator, a process of its own: it grants a
// session to everyone and sends every session frame back to where it came from.
// With lcp it is an LCP peer as well, and a board says what has become of its
// sessions.
type concentrator struct {
	fd     int
	server *pppoe.Server
	in     *inbox
	out    *batch
	lcp    *lcpPeer // nil: LCP comes back like everything else
	board  *board   // with lcp
}

// acMain says "ready" on its standard output when it is.
func acMain(args []string) error {
	runtime.LockOSThread()
	f := flag.NewFlagSet("ac", flag.ContinueOnError)
	path := f.String("lcp", "", "be an LCP peer, and keep the board in this file")
	if err := f.Parse(args); err != nil {
		return err
	}
	fd, err := openPacket(acEnd)
	if err != nil {
		return err
	}
	cfg := pppoe.ServerConfig{ACName: "bench", MAC: acMAC}
	_, _ = crand.Read(cfg.CookieKey[:]) // never fails, by its contract
	ac := &concentrator{fd: fd, server: pppoe.NewServer(cfg), in: newInbox(maxBatch), out: newBatch(maxBatch)}
	if *path != "" {
		if ac.board, err = openBoard(*path); err != nil {
			return err
		}
		ac.lcp = newLCPPeer(ac.board)
		wait := unix.NsecToTimeval(lcpTick.Nanoseconds())
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	for {
		if err := ac.turn(); err != nil {
			return err
		}
	}
}

// turn takes one batch in and sends what it brings about.
func (ac *concentrator) turn() error {
	n, err := ac.in.receive(ac.fd, unix.MSG_WAITFORONE)
	if err != nil {
		return err
	}
	for i := range n {
		f := ac.in.frame(i)
		hdr, payload, ok := ether.Parse(f)
		switch {
		case !ok:
		case hdr.Type == ether.TypeSession && hdr.Dst == acMAC:
			if ac.lcp != nil && !ac.lcp.input(f) {
				continue
			}
			back := hdr.Reply()
			back.Put(f)
			ac.out.add(f)
		case hdr.Type == ether.TypeDiscovery:
			if err := ac.discovery(hdr.Src, payload); err != nil {
				return err
			}
		}
	}
	if err := ac.out.send(ac.fd); err != nil {
		return err
	}
	if ac.lcp == nil {
		return nil
	}
	if n < maxBatch {
		ac.board.countLost(ac.fd)
	}
	return ac.lcp.speak(ac.fd, ac.out, time.Now())
}

// discovery answers one packet.
func (ac *concentrator) discovery(src pppoe.MAC, packet []byte) error {
	ac.server.Input(time.Now(), src, packet)
	for out, ok := ac.server.Next(); ok; out, ok = ac.server.Next() {
		switch out := out.(type) {
		case pppoe.Send:
			h := ether.Header{Dst: out.Dst, Src: acMAC, Type: ether.TypeDiscovery}
			if _, err := unix.Write(ac.fd, append(h.Append(nil), out.Packet...)); err != nil {
				fmt.Fprintln(os.Stderr, "bench ac:", err)
			}
		case pppoe.ServerOpened:
			// Else the same host's next request could be taken for a
			// repetition of this one.
			ac.server.Received(out.Peer, out.SessionID)
			if ac.lcp != nil {
				ac.lcp.opened(out.SessionID)
			}
		case pppoe.ServerClosed:
			if ac.lcp != nil {
				ac.lcp.closed(out.SessionID)
			}
		}
	}
	return nil
}
