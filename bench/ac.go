//go:build linux

package main

import (
	crand "crypto/rand"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"tributary/internal/ether"
	"tributary/pppoe"
)

// acMain is the echoing access concentrator, a process of its own: it grants a
// session to everyone and sends every session frame back to where it came from.
// It says "ready" on its standard output when it is.
func acMain([]string) error {
	runtime.LockOSThread()
	fd, err := openPacket(acEnd)
	if err != nil {
		return err
	}
	cfg := pppoe.ServerConfig{ACName: "bench", MAC: acMAC}
	_, _ = crand.Read(cfg.CookieKey[:]) // never fails, by its contract
	server := pppoe.NewServer(cfg)
	in, out := newInbox(), newBatch()
	fmt.Println("ready")
	for {
		n, err := in.receive(fd, unix.MSG_WAITFORONE)
		if err != nil {
			return err
		}
		for i := range n {
			f := in.frame(i)
			hdr, payload, ok := ether.Parse(f)
			switch {
			case !ok:
			case hdr.Type == ether.TypeSession && hdr.Dst == acMAC:
				back := hdr.Reply()
				back.Put(f)
				out.add(f)
			case hdr.Type == ether.TypeDiscovery:
				if err := discovery(fd, server, hdr.Src, payload); err != nil {
					return err
				}
			}
		}
		if err := out.send(fd); err != nil {
			return err
		}
	}
}

// discovery answers one packet.
func discovery(fd int, server *pppoe.Server, src pppoe.MAC, packet []byte) error {
	server.Input(time.Now(), src, packet)
	for out, ok := server.Next(); ok; out, ok = server.Next() {
		switch out := out.(type) {
		case pppoe.Send:
			h := ether.Header{Dst: out.Dst, Src: acMAC, Type: ether.TypeDiscovery}
			if _, err := unix.Write(fd, append(h.Append(nil), out.Packet...)); err != nil {
				fmt.Fprintln(os.Stderr, "bench ac:", err)
			}
		case pppoe.ServerOpened:
			// Else the same host's next request could be taken for a
			// repetition of this one.
			server.Received(out.Peer, out.SessionID)
		}
	}
	return nil
}
