package nat_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"tributary/internal/ip"
	"tributary/internal/nat"
)

const (
	user   = 1
	inside = "10.0.0.1"
	shared = "198.51.100.1"
	server = "203.0.113.9"
)

const stackMTU = 1492

// host is somebody else's TCP/IP, at the end of a link.
type host struct {
	stack *stack.Stack
	link  *channel.Endpoint
}

func newHost(t *testing.T, addr string) host {
	t.Helper()
	h := host{
		stack: stack.New(stack.Options{
			NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol},
			TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
		}),
		link: channel.New(1024, stackMTU, ""),
	}
	if err := h.stack.CreateNIC(1, h.link); err != nil {
		t.Fatal(err)
	}
	a := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddrFrom4(netip.MustParseAddr(addr).As4()).WithPrefix()}
	if err := h.stack.AddProtocolAddress(1, a, stack.AddressProperties{}); err != nil {
		t.Fatal(err)
	}
	h.stack.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: 1}})
	return h
}

func (h host) deliver(b []byte) {
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(b)})
	h.link.InjectInbound(ipv4.ProtocolNumber, p)
	p.DecRef()
}

// pump gives what h sends to each, until ctx ends.
func (h host) pump(ctx context.Context, each func(b []byte)) {
	for {
		p := h.link.ReadContext(ctx)
		if p == nil {
			return
		}
		v := p.ToView()
		each(bytes.Clone(v.AsSlice()))
		v.Release()
		p.DecRef()
	}
}

// Two TCP/IP stacks that are not ours talk through the NAT: TCP, fragmented UDP,
// and an ICMP error that has to reach the socket it is about.
func TestStacksConverse(t *testing.T) {
	n, err := nat.New(nat.Config{External: netip.MustParseAddr(shared)})
	if err != nil {
		t.Fatal(err)
	}
	n.Join(nat.User{ID: user, Addr: netip.MustParseAddr(inside)})
	client, far := newHost(t, inside), newHost(t, server)
	ctx, cancel := context.WithCancel(t.Context())
	var pumps sync.WaitGroup
	began := time.Now()
	told := make(chan struct{}, 1)
	pumps.Go(func() {
		client.pump(ctx, func(b []byte) {
			if h, ok := ip.Parse4(b); ok {
				if _, v := n.Out(time.Since(began), user, b, &h); v == nat.Forward {
					far.deliver(b)
				}
			}
		})
	})
	pumps.Go(func() {
		far.pump(ctx, func(b []byte) {
			if h, ok := ip.Parse4(b); ok {
				if _, v := n.In(time.Since(began), b, &h); v == nat.Forward {
					client.deliver(b)
					if h.Protocol == ip.ProtoICMP {
						told <- struct{}{}
					}
				}
			}
		})
	})
	defer func() {
		cancel()
		pumps.Wait()
		client.stack.Destroy()
		far.stack.Destroy()
	}()

	at := func(port uint16) tcpip.FullAddress {
		return tcpip.FullAddress{NIC: 1, Addr: tcpip.AddrFrom4(netip.MustParseAddr(server).As4()), Port: port}
	}
	seenFrom := func(a string) {
		t.Helper()
		if got := netip.MustParseAddrPort(a); got.Addr().String() != shared || got.Port() < 1024 {
			t.Errorf("the server sees %v", got)
		}
	}

	listener, err := gonet.ListenTCP(far.stack, at(80), ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	sum := make(chan [32]byte, 1)
	var serverSide sync.WaitGroup
	serverSide.Go(func() {
		c, err := listener.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		seenFrom(c.RemoteAddr().String())
		digest := sha256.New()
		if _, err := io.Copy(io.MultiWriter(digest, c), c); err != nil {
			t.Error(err)
		}
		sum <- [32]byte(digest.Sum(nil))
	})
	c, err := gonet.DialContextTCP(ctx, client.stack, at(80), ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	data := bytes.Repeat([]byte("tributary"), 1<<16)
	var echoed []byte
	serverSide.Go(func() { echoed, _ = io.ReadAll(c) })
	if _, err := c.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	serverSide.Wait()
	c.Close()
	if <-sum != sha256.Sum256(data) || !bytes.Equal(echoed, data) {
		t.Errorf("of %d octets %d have come back", len(data), len(echoed))
	}

	local := at(6000)
	answerer, err := gonet.DialUDP(far.stack, &local, nil, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	serverSide.Go(func() {
		b := make([]byte, 8000)
		got, from, err := answerer.ReadFrom(b)
		if err != nil {
			t.Error(err)
			return
		}
		seenFrom(from.String())
		if _, err := answerer.WriteTo(b[:got], from); err != nil {
			t.Error(err)
		}
	})
	asker, err := gonet.DialUDP(client.stack, nil, &local, ipv4.ProtocolNumber)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := asker.Write(data[:4000]); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8000)
	if got, err := asker.Read(b); err != nil || !bytes.Equal(b[:got], data[:4000]) {
		t.Errorf("a datagram in three fragments: %d octets back, %v", got, err)
	}
	serverSide.Wait()
	answerer.Close()

	// Nobody listens there any more: the error that says so quotes the packet, and
	// the stack inside finds its socket by the quotation.
	if _, err := asker.Write([]byte("anybody?")); err != nil {
		t.Fatal(err)
	}
	<-told // gonet does not wake a reader for an error
	if _, err := asker.Read(b); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("to a port that is closed: %v", err)
	}
	asker.Close()
	if s := n.Stats(); s.Dropped["fragment-order"] != 0 || s.Dropped["filtered"] != 0 || s.Dropped["malformed"] != 0 {
		t.Errorf("dropped: %v", s.Dropped)
	}
}
