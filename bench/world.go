//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"

	"tributary/pppoe"
)

// The cable between the program under test and the access concentrator.
const (
	userEnd = "bench0" // where the subject sends
	acEnd   = "bench1" // where the AC listens
)

var (
	userMAC = pppoe.MAC{2, 0, 0, 0, 0, 0x0a}
	acMAC   = pppoe.MAC{2, 0, 0, 0, 0, 0x0b}
)

// envInside is set in the program's second life, to the gateway's binary.
const envInside = "TRIBUTARY_BENCH"

// again runs this program once more, with the same arguments, in namespaces of
// its own, where the interfaces are its own and nothing outlives it.
func again(binary string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), envInside+"="+binary)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	// Pdeathsig is about the thread that started the process, not about the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = cmd.Run()
	if errors.Is(err, syscall.EPERM) {
		return fmt.Errorf("needs root, for network namespaces: %w", err)
	}
	return err
}

// niceness is that of everything that is measured or measures: what other
// programs do on the machine disturbs it less.
const niceness = -15

// makeWorld makes /proc that of the new namespace, brings loopback up and lays
// the cable.
func makeWorld() error {
	// Of this thread, which starts the other processes and is the load.
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, niceness); err != nil {
		return fmt.Errorf("priority: %w", err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts made private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	// The kernel's own IPv6 would be traffic that nobody counts.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0); err != nil && !os.IsNotExist(err) {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = userEnd, net.HardwareAddr(userMAC[:])
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerHardwareAddr = acEnd, net.HardwareAddr(acMAC[:])
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("add veth: %w", err)
	}
	for _, name := range []string{"lo", userEnd, acEnd} {
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			return fmt.Errorf("%s up: %w", name, err)
		}
	}
	return nil
}
