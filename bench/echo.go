//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tributary/internal/ether"
)

// The echo of the ports measurement: it sends every session frame back to where it
// came from, by one of the ways that the kernel has, and does nothing else.

// way is one of them.
type way struct {
	receive string // byMessages, byRing2 or byRing3
	send    string // the same; a ring is of the version of the receiving one, if there is one
	batch   int    // frames a system call
	sockets int    // more than one: a fanout group, with a thread each
	bypass  bool   // past the queueing discipline
}

const (
	byMessages = "messages" // recvmmsg, sendmmsg
	byRing2    = "v2"       // a ring that is shared with the kernel, TPACKET_V2
	byRing3    = "v3"       // TPACKET_V3
)

// gatewayWay is what internal/ether does.
var gatewayWay = way{byRing2, byMessages, maxBatch, 1, false}

func (w way) String() string {
	text := fmt.Sprintf("%s, %s, %d", callOr("recvmmsg", w.receive), callOr("sendmmsg", w.send), w.batch)
	if w.sockets > 1 {
		text += fmt.Sprintf(", fanout to %d", w.sockets)
	}
	if w.bypass {
		text += ", qdisc bypass"
	}
	return text
}

// callOr names a ring, or the system call that there is instead of one.
func callOr(call, by string) string {
	if by == byMessages {
		return call
	}
	return strings.ToUpper(by) + " ring"
}

// args is the way as echoMain has it.
func (w way) args() []string {
	return []string{"-receive", w.receive, "-send", w.send, "-batch", fmt.Sprint(w.batch),
		"-sockets", fmt.Sprint(w.sockets), fmt.Sprintf("-bypass=%v", w.bypass)}
}

// echoCount is what an echo tells, in memory that it shares.
type echoCount struct {
	receives atomic.Uint64 // that brought something
	frames   atomic.Uint64
}

// echoMain says "ready" on its standard output when it is.
func echoMain(args []string) error {
	var w way
	f := flag.NewFlagSet("echo", flag.ContinueOnError)
	f.StringVar(&w.receive, "receive", byMessages, "how to receive")
	f.StringVar(&w.send, "send", byMessages, "how to send")
	f.IntVar(&w.batch, "batch", maxBatch, "frames a system call")
	f.IntVar(&w.sockets, "sockets", 1, "sockets, and threads")
	f.BoolVar(&w.bypass, "bypass", false, "past the queueing discipline")
	work := f.Duration("work", 0, "what a frame takes besides, as if something were done with it")
	path := f.String("count", "", "file to count in")
	if err := f.Parse(args); err != nil {
		return err
	}
	count, err := shared[echoCount](*path)
	if err != nil {
		return err
	}
	failed := make(chan error, w.sockets)
	ready := make(chan struct{}, w.sockets)
	for range w.sockets {
		e, err := newEcho(w)
		if err != nil {
			return fmt.Errorf("%v: %w", w, err)
		}
		go func() { failed <- e.run(count, *work, ready) }()
	}
	for range w.sockets {
		select {
		case <-ready:
		case err := <-failed:
			return err
		}
	}
	fmt.Println("ready")
	return <-failed
}

// echo is one socket, for one thread.
type echo struct {
	fd    int
	rings []byte // the mapping of all of them, if there are any
	in    interface {
		receive() (int, error)
		frame(i int) []byte
	}
	out interface {
		add(f []byte)
		send() error
	}
}

// messagesIn and messagesOut are plain system calls on a socket.
type (
	messagesIn struct {
		*inbox
		fd int
	}
	messagesOut struct {
		*batch
		fd int
	}
)

func (m messagesIn) receive() (int, error) { return m.inbox.receive(m.fd, unix.MSG_WAITFORONE) }
func (m messagesOut) send() error          { return m.batch.send(m.fd) }

func newEcho(w way) (*echo, error) {
	fd, err := newPacket(w.bypass)
	if err != nil {
		return nil, err
	}
	e := &echo{fd: fd}
	if err := e.openRings(fd, w); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	if err := bindPacket(fd, acEnd); err != nil {
		return nil, err
	}
	if w.sockets > 1 {
		err = joinFanout(fd)
	}
	return e, err
}

// close is for an echo that does not run.
func (e *echo) close() {
	if e.rings != nil {
		_ = unix.Munmap(e.rings)
	}
	_ = unix.Close(e.fd)
}

// openRings gives the socket what it receives and sends by.
func (e *echo) openRings(fd int, w way) (err error) {
	version := unix.TPACKET_V2
	if w.receive == byRing3 || w.send == byRing3 {
		version = unix.TPACKET_V3
	}
	if w.receive != byMessages || w.send != byMessages {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, version); err != nil {
			return fmt.Errorf("ring's version: %w", err)
		}
	}
	var in, out *[]byte // the rings' memory, once it is mapped
	size := 0
	switch w.receive {
	case byRing2:
		r, err := newReceiveRing2(fd, w.batch)
		if err != nil {
			return err
		}
		e.in, in, size = r, &r.mem, receiveRing
	case byRing3:
		r, err := newReceiveRing3(fd, w.batch)
		if err != nil {
			return err
		}
		e.in, in, size = r, &r.mem, receiveRing
	default:
		e.in = messagesIn{newInbox(w.batch), fd}
	}
	if w.send == byMessages {
		e.out = messagesOut{newBatch(w.batch), fd}
	} else {
		r, err := newSendRing(fd, version)
		if err != nil {
			return err
		}
		e.out, out = r, &r.mem
		size += sendRingLen
	}
	if size == 0 {
		return nil
	}
	// One mapping has both, the receiving one first.
	mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return fmt.Errorf("map the rings: %w", err)
	}
	e.rings = mem
	if in != nil {
		*in, mem = mem[:receiveRing], mem[receiveRing:]
	}
	if out != nil {
		*out = mem
	}
	return nil
}

// fanoutGroup is the number of the group, of those in this network namespace.
const fanoutGroup = 1

// joinFanout makes a bound socket one of a group that share what comes, by PPPoE's
// session id: so each session keeps its order.
func joinFanout(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_FANOUT, unix.PACKET_FANOUT_CBPF<<16|fanoutGroup); err != nil {
		return fmt.Errorf("fanout: %w", err)
	}
	// What the program returns is taken modulo the number of sockets.
	const networkHeader = 0xfff00000 // SKF_NET_OFF
	prog := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: networkHeader + sidAt - ether.HeaderLen},
		{Code: unix.BPF_RET | unix.BPF_A},
	}
	err := unix.SetsockoptSockFprog(fd, unix.SOL_PACKET, unix.PACKET_FANOUT_DATA, &unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]})
	if err != nil {
		return fmt.Errorf("fanout by session: %w", err)
	}
	return nil
}

func (e *echo) run(count *echoCount, work time.Duration, ready chan<- struct{}) error {
	runtime.LockOSThread()
	ready <- struct{}{}
	for {
		n, err := e.turn(work)
		if err != nil {
			return err
		}
		if n > 0 {
			count.receives.Add(1)
			count.frames.Add(uint64(n))
		}
	}
}

// turn receives once and sends back what came.
func (e *echo) turn(work time.Duration) (int, error) {
	n, err := e.in.receive()
	if err != nil {
		return 0, err
	}
	began := time.Now()
	for i := range n {
		f := e.in.frame(i)
		if hdr, _, ok := ether.Parse(f); ok && hdr.Type == ether.TypeSession && hdr.Dst == acMAC {
			back := hdr.Reply()
			back.Put(f)
			e.out.add(f)
		}
	}
	for work > 0 && time.Since(began) < time.Duration(n)*work {
		// Busy, as a codec is.
	}
	return n, e.out.send()
}
