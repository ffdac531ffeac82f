//go:build linux

// Package netns makes network namespaces for tests: each a machine of its own,
// joined to another by a virtual cable. It needs root.
package netns

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// NS is one network namespace. It lives as long as the test does.
type NS struct {
	tb     testing.TB
	handle netns.NsHandle
	links  *netlink.Handle
	cables int // made from here
}

// Require skips the test when namespaces cannot be made here, and fails it if
// the environment says CI=true, where nothing may be missing.
func Require(tb testing.TB) {
	tb.Helper()
	probe, err := create()
	if err == nil {
		_ = probe.Close()
		return
	}
	if os.Getenv("CI") == "true" {
		tb.Fatalf("network namespaces are needed here: %v", err)
	}
	tb.Skipf("needs root, for network namespaces: %v", err)
}

// New makes an empty namespace, its loopback up.
func New(tb testing.TB) *NS {
	tb.Helper()
	Require(tb)
	h, err := create()
	if err != nil {
		tb.Fatalf("new network namespace: %v", err)
	}
	links, err := netlink.NewHandleAt(h)
	if err != nil {
		_ = h.Close()
		tb.Fatalf("netlink in new namespace: %v", err)
	}
	n := &NS{tb: tb, handle: h, links: links}
	tb.Cleanup(func() {
		links.Close()
		_ = h.Close() // the last reference: the kernel removes what is in it
	})
	n.Up("lo")
	return n
}

// create makes a namespace from a thread that is thrown away after it, so that
// no other goroutine ever runs in the wrong namespace.
func create() (netns.NsHandle, error) {
	var h netns.NsHandle
	err := onOwnThread(func() error {
		var err error
		h, err = netns.New()
		return err
	})
	return h, err
}

// onOwnThread runs f on a thread of its own, which ends with it: a goroutine
// that exits while locked takes its thread along.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := fmt.Errorf("did not return")
		defer func() { done <- err }()
		err = f()
	}()
	return <-done
}

// Try runs f inside the namespace and returns its error. What f opens stays
// there; goroutines that f starts do not run inside.
func (n *NS) Try(f func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(n.handle); err != nil {
			return fmt.Errorf("enter namespace: %w", err)
		}
		return f()
	})
}

// Do is Try for what must not fail.
func (n *NS) Do(f func() error) {
	n.tb.Helper()
	if err := n.Try(f); err != nil {
		n.tb.Fatal(err)
	}
}

// Start starts cmd inside the namespace. It is killed when the test ends, if it
// still runs then.
func (n *NS) Start(cmd *exec.Cmd) {
	n.tb.Helper()
	n.Do(cmd.Start)
	n.tb.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
}

// Path names the namespace for nsenter --net=PATH, as long as this process lives.
func (n *NS) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(n.handle)) }

// Veth joins a and b by a cable: interface nameA in a, nameB in b, both up. The
// ends have fixed addresses, 02:00:00:00:00:0a and 02:00:00:00:00:0b.
func Veth(a *NS, nameA string, b *NS, nameB string) {
	a.tb.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = nameA
	attrs.HardwareAddr = net.HardwareAddr{2, 0, 0, 0, 0, 0x0a}
	// Different numbers at the two ends: the kernel takes ends of equal number
	// for a device of its own kind, and lets up to a second pass before it
	// tells them that the other is up.
	a.cables++
	attrs.Index = 1000 + a.cables
	veth := netlink.NewVeth(attrs)
	veth.PeerName = nameB
	veth.PeerHardwareAddr = net.HardwareAddr{2, 0, 0, 0, 0, 0x0b}
	veth.PeerNamespace = netlink.NsFd(b.handle)
	if err := a.links.LinkAdd(veth); err != nil {
		a.tb.Fatalf("add veth %s, %s: %v", nameA, nameB, err)
	}
	a.quiet(nameA)
	b.quiet(nameB)
	a.Up(nameA)
	b.Up(nameB)
	a.WaitUp(nameA)
	b.WaitUp(nameB)
}

// quiet keeps the kernel from sending IPv6 of its own on an interface.
func (n *NS) quiet(name string) {
	n.tb.Helper()
	n.Do(func() error {
		err := os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0)
		if os.IsNotExist(err) {
			return nil // a kernel without IPv6
		}
		return err
	})
}

// Pair is two namespaces joined by a cable with interface "eth0" in each.
func Pair(tb testing.TB) (a, b *NS) {
	tb.Helper()
	a, b = New(tb), New(tb)
	Veth(a, "eth0", b, "eth0")
	return a, b
}

func (n *NS) link(name string) netlink.Link {
	n.tb.Helper()
	l, err := n.links.LinkByName(name)
	if err != nil {
		n.tb.Fatalf("interface %s: %v", name, err)
	}
	return l
}

// Up sets an interface up.
func (n *NS) Up(name string) {
	n.tb.Helper()
	n.must("up", name, n.links.LinkSetUp(n.link(name)))
}

// WaitUp waits until an interface is up and so is the far end of its cable. The
// kernel tells the near end a while after; frames sent before are lost silently.
func (n *NS) WaitUp(name string) {
	n.tb.Helper()
	done := make(chan struct{})
	defer close(done)
	updates := make(chan netlink.LinkUpdate)
	err := netlink.LinkSubscribeWithOptions(updates, done, netlink.LinkSubscribeOptions{Namespace: &n.handle, ListExisting: true})
	n.must("watch", name, err)
	for u := range updates {
		if a := u.Attrs(); a.Name == name && a.OperState == netlink.OperUp {
			// Asking takes the lock under which the kernel makes the
			// change, and so waits until all of it is done.
			n.link(name)
			go func() { // until the subscription has seen done
				for range updates {
				}
			}()
			return
		}
	}
	n.tb.Fatalf("lost sight of %s before it was up", name)
}

// Down sets an interface down.
func (n *NS) Down(name string) {
	n.tb.Helper()
	n.must("down", name, n.links.LinkSetDown(n.link(name)))
}

// Delete removes an interface.
func (n *NS) Delete(name string) {
	n.tb.Helper()
	n.must("delete", name, n.links.LinkDel(n.link(name)))
}

// SetMTU sets an interface's MTU.
func (n *NS) SetMTU(name string, mtu int) {
	n.tb.Helper()
	n.must("set MTU of", name, n.links.LinkSetMTU(n.link(name), mtu))
}

// AddAddr gives an interface an address in CIDR notation.
func (n *NS) AddAddr(name, cidr string) {
	n.tb.Helper()
	addr, err := netlink.ParseAddr(cidr)
	if err == nil {
		err = n.links.AddrAdd(n.link(name), addr)
	}
	n.must("add address "+cidr+" to", name, err)
}

// Drops is how many frames the kernel has dropped at an interface, sent and
// received, before any socket could see them.
func (n *NS) Drops(name string) uint64 {
	n.tb.Helper()
	s := n.link(name).Attrs().Statistics
	return s.RxDropped + s.TxDropped
}

// Shape bounds what an interface sends to rate octets a second, with a queue of
// so many octets.
func (n *NS) Shape(name string, rate uint64, queue int) {
	n.tb.Helper()
	q := &netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: n.link(name).Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       rate, Limit: uint32(queue), Buffer: netlink.Xmittime(rate, 4096),
	}
	n.must("shape", name, n.links.QdiscAdd(q))
}

// Promiscuous tells whether an interface receives everything.
func (n *NS) Promiscuous(name string) bool {
	n.tb.Helper()
	return n.link(name).Attrs().Promisc > 0
}

func (n *NS) must(op, name string, err error) {
	n.tb.Helper()
	if err != nil {
		n.tb.Fatalf("%s %s: %v", op, name, err)
	}
}

// Inject sends whole Ethernet frames on an interface as they are, by a socket of
// its own that no code under test has a part in.
func (n *NS) Inject(name string, frames ...[]byte) {
	n.tb.Helper()
	to := &unix.SockaddrLinklayer{Ifindex: n.link(name).Attrs().Index}
	n.Do(func() error {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, f := range frames {
			if err := unix.Sendto(fd, f, 0, to); err != nil {
				return fmt.Errorf("inject on %s: %w", name, err)
			}
		}
		return nil
	})
}
