// Package ether is the network side: Ethernet attachments that carry PPPoE.
package ether

import (
	"errors"

	"tributary/internal/frame"
	"tributary/pppoe"
)

// EtherTypes of PPPoE (RFC 2516 section 4) and of VLAN tags (802.1Q, 802.1ad).
const (
	TypeDiscovery uint16 = 0x8863
	TypeSession   uint16 = 0x8864
	TypeVLAN      uint16 = 0x8100
	TypeQinQ      uint16 = 0x88a8
)

// ErrClosed is what ReadBatch and WriteBatch return after Close.
var ErrClosed = errors.New("ether: port closed")

// Counters of one port since it was opened.
type Counters struct {
	RxFrames, RxOctets uint64
	TxFrames, TxOctets uint64
	RxDropped          uint64 // by the kernel or the medium, before ReadBatch saw them
	TxDropped          uint64 // the medium would not take them (ENOBUFS, link down)
	RxTruncated        uint64 // larger than a buffer
}

// Port is one Ethernet attachment. Frames are whole Ethernet frames without
// FCS, with every VLAN tag in its place, also where the kernel had moved it.
//
// One goroutine calls ReadBatch; WriteBatch may be called from many at once.
// This is the one door for faster ports: what is above it knows no socket.
type Port interface {
	// ReadBatch waits until at least one frame is there and fills bufs[:n].
	// The caller owns the buffers before and after, and may keep any of the
	// first n as long as it puts another in its place for the next call. Which
	// buffers these are may have changed: the port may reorder bufs, or trade
	// them for others of its pool, so only what bufs holds after counts.
	ReadBatch(bufs []*frame.Buf) (n int, err error)

	// WriteBatch sends whole frames and keeps no reference to them. What the
	// medium will not take is dropped and counted, not waited for longer than
	// a moment; n is how many were taken.
	WriteBatch(bufs []*frame.Buf) (n int, err error)

	// AddMAC makes the port receive frames for one more unicast address,
	// DelMAC undoes it. MAC is the port's own address.
	MAC() pppoe.MAC
	AddMAC(pppoe.MAC) error
	DelMAC(pppoe.MAC) error

	Name() string
	MTU() int // of the payload behind the Ethernet header and any tags
	Counters() Counters
	Close() error
}
