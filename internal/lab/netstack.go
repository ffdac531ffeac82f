package lab

import (
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// nic is the only interface of every stack here.
const nic tcpip.NICID = 1

// TCP buffers of one connection, in octets: what a thousand hosts in one
// process can afford, and enough for a path without delay.
const (
	tcpMin     = 4 << 10
	tcpDefault = 128 << 10
	tcpMax     = 256 << 10
)

// wire is the link under a stack: what the stack sends goes to out, one whole IP
// packet at a time, and what arrives is given to in. It holds no queue.
type wire struct {
	out func(packet []byte)

	mu         sync.RWMutex
	dispatcher stack.NetworkDispatcher
	mtu        uint32
}

// newHost makes a TCP/IP host (or, with forwarding, a router) at addr whose only
// route is the wire.
func newHost(addr netip.Addr, mtu int, out func([]byte)) (*stack.Stack, *wire, error) {
	s := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
	})
	w := &wire{out: out, mtu: uint32(mtu)}
	if err := s.CreateNIC(nic, w); err != nil {
		s.Destroy()
		return nil, nil, stackError("interface", err)
	}
	rcv := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcpMin, Default: tcpDefault, Max: tcpMax}
	snd := tcpip.TCPSendBufferSizeRangeOption{Min: tcpMin, Default: tcpDefault, Max: tcpMax}
	sack := tcpip.TCPSACKEnabled(true)
	for _, o := range []tcpip.SettableTransportProtocolOption{&rcv, &snd, &sack} {
		if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, o); err != nil {
			s.Destroy()
			return nil, nil, stackError("TCP option", err)
		}
	}
	if err := addAddress(s, addr); err != nil {
		s.Destroy()
		return nil, nil, err
	}
	s.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})
	return s, w, nil
}

func addAddress(s *stack.Stack, addr netip.Addr) error {
	a := tcpip.ProtocolAddress{
		Protocol:          ipv4.ProtocolNumber,
		AddressWithPrefix: tcpip.AddrFrom4(addr.As4()).WithPrefix(),
	}
	if err := s.AddProtocolAddress(nic, a, stack.AddressProperties{}); err != nil {
		return stackError("address "+addr.String(), err)
	}
	return nil
}

// in gives one IP packet from the wire to the stack; the packet is copied.
func (w *wire) in(packet []byte) {
	w.mu.RLock()
	d := w.dispatcher
	w.mu.RUnlock()
	if d == nil {
		return
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(packet)})
	d.DeliverNetworkPacket(ipv4.ProtocolNumber, pkt)
	pkt.DecRef()
}

// WritePackets takes what the stack sends.
func (w *wire) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	for _, pkt := range list.AsSlice() {
		v := pkt.ToView()
		w.out(v.AsSlice())
		v.Release()
	}
	return list.Len(), nil
}

func (w *wire) Attach(d stack.NetworkDispatcher) {
	w.mu.Lock()
	w.dispatcher = d
	w.mu.Unlock()
}

func (w *wire) IsAttached() bool {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.dispatcher != nil
}

func (w *wire) MTU() uint32 {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.mtu
}

func (w *wire) SetMTU(mtu uint32) {
	w.mu.Lock()
	w.mtu = mtu
	w.mu.Unlock()
}

// The rest of stack.LinkEndpoint: PPP has no addresses and no header of its own here.

func (w *wire) MaxHeaderLength() uint16                      { return 0 }
func (w *wire) LinkAddress() tcpip.LinkAddress               { return "" }
func (w *wire) SetLinkAddress(tcpip.LinkAddress)             {}
func (w *wire) Capabilities() stack.LinkEndpointCapabilities { return stack.CapabilityNone }
func (w *wire) Wait()                                        {}
func (w *wire) ARPHardwareType() header.ARPHardwareType      { return header.ARPHardwareNone }
func (w *wire) AddHeader(*stack.PacketBuffer)                {}
func (w *wire) ParseHeader(*stack.PacketBuffer) bool         { return true }
func (w *wire) Close()                                       {}
func (w *wire) SetOnCloseAction(func())                      {}

// netError is a tcpip.Error as a Go error.
type netError struct {
	what string
	err  tcpip.Error
}

func stackError(what string, err tcpip.Error) error { return netError{what, err} }
func (e netError) Error() string                    { return "netstack: " + e.what + ": " + e.err.String() }
