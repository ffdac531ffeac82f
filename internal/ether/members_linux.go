package ether

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"tributary/pppoe"
)

// members are the unicast addresses beyond the interface's own.
type members struct {
	index int // of the interface

	mu    sync.Mutex // over the rest, and over the socket's memberships
	count map[pppoe.MAC]int
}

// AddMAC is Port's. The kernel gives the address to the interface's filter, and
// makes an interface promiscuous that has none or whose is full; then frames for
// other hosts may be seen, as on any shared medium. It undoes all this when the
// socket closes. An address added twice must be deleted twice.
func (p *packetPort) AddMAC(mac pppoe.MAC) error {
	if err := checkUnicast(p.name, "add address", mac); err != nil {
		return err
	}
	m := &p.members
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.count[mac] == 0 && mac != p.mac {
		if err := p.membership(unix.PACKET_ADD_MEMBERSHIP, unix.PACKET_MR_UNICAST, mac); err != nil {
			return p.memberError("add", mac, err)
		}
	}
	m.count[mac]++
	return nil
}

// DelMAC is Port's.
func (p *packetPort) DelMAC(mac pppoe.MAC) error {
	m := &p.members
	m.mu.Lock()
	defer m.mu.Unlock()
	switch n := m.count[mac]; {
	case n == 0:
		return errNotAdded(p.name, mac)
	case n > 1:
		m.count[mac] = n - 1
		return nil
	}
	delete(m.count, mac)
	if mac == p.mac {
		return nil
	}
	if err := p.membership(unix.PACKET_DROP_MEMBERSHIP, unix.PACKET_MR_UNICAST, mac); err != nil {
		return p.memberError("delete", mac, err)
	}
	return nil
}

func (p *packetPort) memberError(op string, mac pppoe.MAC, err error) error {
	if err == ErrClosed {
		return err
	}
	if err == unix.ENODEV && p.gone() {
		return p.errGone(op + " address")
	}
	return &InterfaceError{Interface: p.name, Op: fmt.Sprintf("%s address %v", op, mac), Err: err}
}

func (p *packetPort) membership(opt int, kind uint16, mac pppoe.MAC) error {
	return p.control(func(fd int) error { return setMembership(fd, p.members.index, opt, kind, mac) })
}

func setMembership(fd, index, opt int, kind uint16, mac pppoe.MAC) error {
	req := unix.PacketMreq{Ifindex: int32(index), Type: kind}
	if kind == unix.PACKET_MR_UNICAST {
		req.Alen = uint16(copy(req.Address[:], mac[:]))
	}
	return unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, opt, &req)
}
