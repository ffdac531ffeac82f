//go:build linux

package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"runtime"

	"golang.org/x/sys/unix"

	"tributary/internal/ether"
	"tributary/pppoe"
)

// The floor: a forwarder that moves ready-made Ethernet frames between TCP
// connections and a packet socket and does nothing else: no framing, no escapes,
// no FCS, no headers, no queues, no counters. A connection carries records of
// one size, each an Ethernet frame and padding, as long as that frame is on an
// async line after escaping. So the system calls carry what the gateway's carry.

// ethOverhead is what an Ethernet frame has in front of the PPP frame.
const ethOverhead = ether.HeaderLen + pppoe.HeaderLen

// sidAt is where the session id is in an Ethernet frame without tags.
const sidAt = ether.HeaderLen + 2

// forwarder is the floor's state. Nothing changes after it was set up.
type forwarder struct {
	frame, record int // octets
	packet        int // descriptor
	conns         []int
}

// floorMain serves -lines connections, numbered from 1 in the order they come,
// which is their session id. It says its port on standard output.
func floorMain(args []string) error {
	var fw forwarder
	f := flag.NewFlagSet("floor", flag.ContinueOnError)
	lines := f.Int("lines", 1, "connections")
	f.IntVar(&fw.frame, "frame", 0, "octets of an Ethernet frame")
	f.IntVar(&fw.record, "record", 0, "octets of a record")
	if err := f.Parse(args); err != nil {
		return err
	}
	var err error
	if fw.packet, err = openPacket(userEnd); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	for range *lines {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		// A copy of its descriptor that blocks: the floor waits in the kernel.
		file, err := c.(*net.TCPConn).File()
		if err != nil {
			return err
		}
		defer runtime.KeepAlive(file)
		fd := int(file.Fd())
		if err := unix.SetNonblock(fd, false); err != nil {
			return err
		}
		fw.conns = append(fw.conns, fd)
	}
	failed := make(chan error, 2)
	go func() { failed <- fw.upstream() }()
	go func() { failed <- fw.downstream() }()
	return <-failed
}

// upstream: TCP read to sendmmsg.
func (fw *forwarder) upstream() error {
	runtime.LockOSThread()
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	type stream struct {
		buf  []byte
		have int
	}
	streams := make([]stream, len(fw.conns))
	for i, fd := range fw.conns {
		streams[i].buf = make([]byte, 64<<10)
		if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
			return err
		}
	}
	out := newBatch(maxBatch)
	events := make([]unix.EpollEvent, maxBatch)
	for {
		k, err := unix.EpollWait(ep, events, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
		for _, ev := range events[:k] {
			s := &streams[ev.Fd]
			n, err := unix.Read(fw.conns[ev.Fd], s.buf[s.have:])
			if n <= 0 {
				return err // the load has ended
			}
			s.have += n
			at := 0
			for ; s.have-at >= fw.record; at += fw.record {
				if out.n == maxBatch {
					if err := out.send(fw.packet); err != nil {
						return err
					}
				}
				out.add(s.buf[at : at+fw.frame])
			}
			if err := out.send(fw.packet); err != nil {
				return err
			}
			s.have = copy(s.buf, s.buf[at:s.have])
		}
	}
}

// downstream: recvmmsg to TCP write, one for each line that has frames in the batch.
func (fw *forwarder) downstream() error {
	runtime.LockOSThread()
	in := newInbox(maxBatch)
	waiting := make([][][]byte, len(fw.conns))
	for i := range waiting {
		waiting[i] = make([][]byte, 0, maxBatch)
	}
	for {
		n, err := in.receive(fw.packet, unix.MSG_WAITFORONE)
		if err != nil {
			return err
		}
		for i := range n {
			f := in.frame(i)
			if len(f) < ethOverhead {
				continue
			}
			if at := int(binary.BigEndian.Uint16(f[sidAt:])) - 1; at >= 0 && at < len(waiting) {
				waiting[at] = append(waiting[at], in.data[i][:fw.record])
			}
		}
		for i, frames := range waiting {
			for len(frames) > 0 {
				n, err := unix.Writev(fw.conns[i], frames)
				if err != nil {
					return fmt.Errorf("write: %w", err)
				}
				frames = rest(frames, n)
			}
			waiting[i] = waiting[i][:0]
		}
	}
}

// rest is what is left of bufs after n octets.
func rest(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}
