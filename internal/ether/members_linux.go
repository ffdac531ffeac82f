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
	// refused are those that the interface would not take: for each of them
	// the socket asks for promiscuous reception instead, and the kernel counts.
	refused map[pppoe.MAC]bool
}

// AddMAC is Port's. The interface is asked for the one address; one that cannot
// filter by several is made promiscuous by the kernel, or else by us. The kernel
// undoes it all when the socket closes. Frames for other hosts may be seen in
// that case, as on any shared medium.
func (p *packetPort) AddMAC(mac pppoe.MAC) error {
	if err := checkUnicast(p.name, "add address", mac); err != nil {
		return err
	}
	m := &p.members
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.count[mac] > 0 || mac == p.mac {
		m.count[mac]++
		return nil
	}
	err := p.membership(unix.PACKET_ADD_MEMBERSHIP, unix.PACKET_MR_UNICAST, mac)
	if err != nil && err != ErrClosed {
		if err = p.membership(unix.PACKET_ADD_MEMBERSHIP, unix.PACKET_MR_PROMISC, mac); err == nil {
			m.refuse(mac)
		}
	}
	if err == ErrClosed {
		return err
	}
	if err != nil {
		return &InterfaceError{Interface: p.name, Op: fmt.Sprintf("add address %v", mac), Err: err}
	}
	m.count[mac]++
	return nil
}

// DelMAC is Port's.
func (p *packetPort) DelMAC(mac pppoe.MAC) error {
	m := &p.members
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.count[mac]
	if n == 0 {
		return errNotAdded(p.name, mac)
	}
	if n > 1 {
		m.count[mac]--
		return nil
	}
	delete(m.count, mac)
	if mac == p.mac {
		return nil
	}
	kind := uint16(unix.PACKET_MR_UNICAST)
	if m.refused[mac] {
		delete(m.refused, mac)
		kind = unix.PACKET_MR_PROMISC
	}
	err := p.membership(unix.PACKET_DROP_MEMBERSHIP, kind, mac)
	if err != nil && err != ErrClosed {
		return &InterfaceError{Interface: p.name, Op: fmt.Sprintf("delete address %v", mac), Err: err}
	}
	return err
}

func (m *members) refuse(mac pppoe.MAC) {
	if m.refused == nil {
		m.refused = make(map[pppoe.MAC]bool)
	}
	m.refused[mac] = true
}

func (p *packetPort) membership(opt int, kind uint16, mac pppoe.MAC) error {
	req := unix.PacketMreq{Ifindex: int32(p.members.index), Type: kind}
	if kind == unix.PACKET_MR_UNICAST {
		req.Alen = uint16(copy(req.Address[:], mac[:]))
	}
	return p.control(func(fd int) error {
		return unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, opt, &req)
	})
}
