package ether

import (
	"cmp"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"tributary/internal/frame"
	"tributary/pppoe"
)

// maxBatch is how many frames one system call carries.
const maxBatch = 64

// Defaults of Options, in octets.
const (
	receiveBuffer = 8 << 20
	sendBuffer    = 512 << 10
)

// packetPort is a Port over an AF_PACKET socket.
//
// The socket is non-blocking and in the runtime's poller, so Close wakes
// ReadBatch. Reading belongs to the one goroutine that calls ReadBatch; writing
// takes no lock across the system call.
type packetPort struct {
	name string
	mac  pppoe.MAC
	file *os.File
	raw  syscall.RawConn

	in     receiver  // of ReadBatch alone
	out    sync.Pool // of *sender
	count  counters
	mtu    atomic.Int64 // as last seen
	closed atomic.Bool

	members members
}

var _ Port = (*packetPort)(nil)

// Open attaches to a network interface of the calling thread's network
// namespace by a packet socket, which needs CAP_NET_RAW. The interface may be
// down; frames come once it is up. Its errors are *InterfaceError.
//
// The kernel's receive offload can join frames to ones larger than a buffer;
// they are dropped and counted as RxTruncated. If that ever counts, turn
// generic-receive-offload and large-receive-offload off on the interface.
//
// pool is for ports that must hold frames themselves; this one reads straight
// into the caller's buffers and takes none.
func Open(name string, pool *frame.Pool, opts Options) (Port, error) {
	// Protocol 0 receives nothing until bind says otherwise, so no frame
	// slips in before the filter is there.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, openError(name, "open packet socket", err)
	}
	p, op, err := attach(fd, name, opts)
	if err != nil {
		_ = unix.Close(fd)
		return nil, openError(name, op, err)
	}
	p.file = os.NewFile(uintptr(fd), "packet:"+name)
	if p.raw, err = p.file.SyscallConn(); err != nil {
		_ = p.file.Close()
		return nil, openError(name, "watch socket", err)
	}
	p.out.New = func() any { return newSender() }
	return p, nil
}

// attach configures the socket and binds it. op says what failed.
func attach(fd int, name string, opts Options) (_ *packetPort, op string, err error) {
	index, err := interfaceIndex(fd, name)
	if err != nil {
		return nil, "find interface", err
	}
	ignoring := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1) == nil
	if err := attachFilter(fd, !ignoring); err != nil {
		return nil, "attach filter", err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
		return nil, "ask for VLAN metadata", err
	}
	if opts.QdiscBypass {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
			return nil, "bypass qdisc", err
		}
	}
	rx := openRing(fd, opts)
	if rx == nil {
		setBuffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, opts.ReceiveBuffer/2, receiveBuffer/2) // the kernel doubles it
	}
	defer func() {
		if err != nil && rx != nil {
			rx.close()
		}
	}()
	setBuffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, opts.SendBuffer, sendBuffer)
	// ETH_P_ALL, because tagged frames reach a socket that is bound to one
	// EtherType only through a VLAN device, and with that device's tag gone.
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: index}); err != nil {
		return nil, "bind", err
	}
	sa, err := linkAddress(fd)
	if err != nil {
		return nil, "read address", err
	}
	if sa.Hatype != unix.ARPHRD_ETHER || sa.Halen != 6 {
		return nil, "attach", errNotEthernet
	}
	if opts.Promiscuous {
		if err := setMembership(fd, index, unix.PACKET_ADD_MEMBERSHIP, unix.PACKET_MR_PROMISC, pppoe.MAC{}); err != nil {
			return nil, "make promiscuous", err
		}
	}
	mtu, err := interfaceMTU(fd, name)
	if err != nil {
		return nil, "read MTU", err
	}
	p := &packetPort{name: name, mac: pppoe.MAC(sa.Addr[:6])}
	p.in.init(rx)
	p.members = members{index: index, count: make(map[pppoe.MAC]int)}
	p.mtu.Store(int64(mtu))
	return p, "", nil
}

// openRing gives the socket its ring; nil where that cannot be had, for want of
// memory in one piece, say: then the socket has a buffer instead.
func openRing(fd int, opts Options) *ring {
	if opts.Messages {
		return nil
	}
	r, err := newRing(fd, cmp.Or(max(opts.ReceiveBuffer, 0), receiveBuffer))
	if err != nil {
		if opts.NoRing != nil {
			opts.NoRing(err)
		}
		return nil
	}
	return r
}

func attachFilter(fd int, dropOutgoing bool) error {
	prog, err := filter(dropOutgoing)
	if err != nil {
		return err
	}
	list := make([]unix.SockFilter, len(prog))
	for i, ins := range prog {
		list[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(list)), Filter: &list[0]})
}

// setBuffer sets a buffer size beyond the system's limit if we may, else up to
// it. A smaller buffer works too, so this cannot fail.
func setBuffer(fd, force, plain, octets, otherwise int) {
	if octets <= 0 {
		octets = otherwise
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, octets) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, octets)
	}
}

var errNotEthernet = errors.New("not an Ethernet interface")

// openError adds what the operator can do.
func openError(name, op string, err error) error {
	e := &InterfaceError{Interface: name, Op: op, Err: err}
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		e.Hint = "run as root, or grant the program CAP_NET_RAW"
	case errors.Is(err, unix.ENODEV):
		e.Err = errNoInterface
		e.Hint = "ip link shows the interfaces there are"
	case errors.Is(err, unix.EAFNOSUPPORT):
		e.Hint = "the kernel lacks packet sockets, CONFIG_PACKET"
	}
	return e
}

var errNoInterface = errors.New("no such interface")

// control runs f with the socket, unless the port is closed.
func (p *packetPort) control(f func(fd int) error) error {
	var err error
	if cerr := p.raw.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return ErrClosed
	}
	return err
}

// gone reports whether the socket has lost its interface for good: the kernel
// then unbinds it, and it stays deaf even if an interface of that name returns.
func (p *packetPort) gone() bool {
	gone := false
	_ = p.control(func(fd int) error { gone = isGone(fd); return nil })
	return gone
}

func isGone(fd int) bool {
	sa, err := linkAddress(fd)
	return err == nil && sa.Ifindex <= 0
}

func (p *packetPort) errGone(op string) error {
	return &InterfaceError{Interface: p.name, Op: op, Err: ErrGone, Hint: "it was removed or moved to another namespace"}
}

// MAC is Port's: the address that the interface had when it was opened.
func (p *packetPort) MAC() pppoe.MAC { return p.mac }

// Name is Port's.
func (p *packetPort) Name() string { return p.name }

// MTU is Port's: what the interface has now, or had last.
func (p *packetPort) MTU() int {
	_ = p.control(func(fd int) error {
		// By name, and so only while the name is still this socket's interface.
		if index, err := interfaceIndex(fd, p.name); err != nil || index != p.members.index {
			return err
		}
		mtu, err := interfaceMTU(fd, p.name)
		if err == nil {
			p.mtu.Store(int64(mtu))
		}
		return err
	})
	return int(p.mtu.Load())
}

// Counters is Port's. Asking the kernel for its drops sets its count to zero, so
// each answer is added to ours.
func (p *packetPort) Counters() Counters {
	_ = p.control(func(fd int) error {
		s, err := unix.GetsockoptTpacketStats(fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
		if err == nil {
			p.count.rxDropped.Add(uint64(s.Drops))
		}
		return err
	})
	return p.count.snapshot()
}

// Close is Port's. ReadBatch and WriteBatch return ErrClosed from then on.
func (p *packetPort) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	p.Counters() // the last chance to ask
	err := p.file.Close()
	if p.in.ring != nil {
		p.in.busy.Lock() // ReadBatch has been woken and returns
		defer p.in.busy.Unlock()
		p.in.ring.close()
		p.in.ring = nil
	}
	return err
}

func interfaceIndex(fd int, name string) (int, error) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, unix.ENODEV // longer than a name can be
	}
	err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req)
	return int(req.Uint32()), err
}

func interfaceMTU(fd int, name string) (int, error) {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	err = unix.IoctlIfreq(fd, unix.SIOCGIFMTU, req)
	return int(req.Uint32()), err
}

// linkAddress is the socket's own view of its interface, whatever it is called now.
func linkAddress(fd int) (*unix.SockaddrLinklayer, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return nil, err
	}
	ll, ok := sa.(*unix.SockaddrLinklayer)
	if !ok {
		return nil, unix.EAFNOSUPPORT
	}
	return ll, nil
}

func htons(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}
