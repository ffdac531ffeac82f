package ether

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"tributary/internal/frame"
	"tributary/pppoe"
)

// Defaults of a hub's ports.
const (
	hubMTU   = 1500
	hubQueue = 4096 // frames that may wait for one port's reader
)

// Hub is an Ethernet in memory: a switch that knows the address of every port,
// because the ports tell it, and so never floods unicast. Frames go to the ports
// that have their destination, those to group addresses to all, never back to
// the sender. VLAN tags pass as they are.
type Hub struct {
	mu    sync.RWMutex
	ports []*HubPort
	byMAC map[pppoe.MAC][]*HubPort
}

// NewHub makes a hub without ports.
func NewHub() *Hub { return &Hub{byMAC: make(map[pppoe.MAC][]*HubPort)} }

// HubPort is one attachment to a Hub. Besides what a Port does, its medium can
// be changed as a cable's could.
type HubPort struct {
	hub   *Hub
	name  string
	mac   pppoe.MAC
	pool  *frame.Pool
	queue *queue
	mtu   atomic.Int64
	down  atomic.Bool
	gone  atomic.Bool
	all   bool              // promiscuous; under hub.mu
	macs  map[pppoe.MAC]int // how often each was added; under hub.mu
	count counters
}

var _ Port = (*HubPort)(nil)

// Port attaches one more port. What waits for its reader, at most 4,096 frames,
// is held in buffers of pool.
func (h *Hub) Port(name string, mac pppoe.MAC, pool *frame.Pool) *HubPort {
	p := &HubPort{hub: h, name: name, mac: mac, pool: pool, queue: newQueue(hubQueue), macs: make(map[pppoe.MAC]int)}
	p.mtu.Store(hubMTU)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ports = append(h.ports, p)
	h.add(p, mac)
	return p
}

// add and remove keep count, so that an address added twice must be removed twice.
func (h *Hub) add(p *HubPort, mac pppoe.MAC) {
	if p.macs[mac]++; p.macs[mac] == 1 {
		h.byMAC[mac] = append(h.byMAC[mac], p)
	}
}

func (h *Hub) remove(p *HubPort, mac pppoe.MAC) bool {
	n, ok := p.macs[mac]
	if !ok {
		return false
	}
	if n > 1 {
		p.macs[mac] = n - 1
		return true
	}
	delete(p.macs, mac)
	if l := without(h.byMAC[mac], p); len(l) > 0 {
		h.byMAC[mac] = l
	} else {
		delete(h.byMAC, mac)
	}
	return true
}

func without(l []*HubPort, p *HubPort) []*HubPort {
	for i := range l {
		if l[i] == p {
			return append(l[:i], l[i+1:]...)
		}
	}
	return l
}

// SetMTU changes what the port's medium carries; it starts as 1500.
func (p *HubPort) SetMTU(n int) { p.mtu.Store(int64(n)) }

// SetUp plugs the cable in or pulls it out. While it is out, what is sent or
// would arrive is dropped and counted.
func (p *HubPort) SetUp(up bool) { p.down.Store(!up) }

// SetPromiscuous makes the port receive every frame on the hub, or stops that.
func (p *HubPort) SetPromiscuous(on bool) {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	p.all = on
}

// ReadBatch is Port's.
func (p *HubPort) ReadBatch(bufs []*frame.Buf) (int, error) {
	n, err := p.queue.swap(bufs)
	octets := 0
	for _, b := range bufs[:n] {
		octets += len(b.Bytes())
	}
	p.count.received(n, octets)
	return n, err
}

// WriteBatch is Port's. It never waits: a port whose queue is full loses the frame.
func (p *HubPort) WriteBatch(bufs []*frame.Buf) (int, error) {
	if p.gone.Load() {
		return 0, ErrClosed
	}
	if p.down.Load() {
		p.count.txDropped.Add(uint64(len(bufs)))
		return 0, nil
	}
	n, octets, mtu := 0, 0, int(p.mtu.Load())
	p.hub.mu.RLock()
	for _, b := range bufs {
		f := b.Bytes()
		h, payload, ok := Parse(f)
		if !ok || len(payload) > mtu {
			continue
		}
		p.hub.deliver(p, h.Dst, f)
		n, octets = n+1, octets+len(f)
	}
	p.hub.mu.RUnlock()
	p.count.sent(n, octets)
	p.count.txDropped.Add(uint64(len(bufs) - n))
	return n, nil
}

// deliver gives f to every port that wants it; the hub's lock is held for reading.
func (h *Hub) deliver(from *HubPort, dst pppoe.MAC, f []byte) {
	if dst.IsMulticast() {
		for _, p := range h.ports {
			if p != from {
				p.receive(f)
			}
		}
		return
	}
	for _, p := range h.byMAC[dst] {
		if p != from {
			p.receive(f)
		}
	}
	for _, p := range h.ports {
		if p.all && p != from && p.macs[dst] == 0 {
			p.receive(f)
		}
	}
}

func (p *HubPort) receive(f []byte) {
	if p.down.Load() {
		p.count.rxDropped.Add(1)
		return
	}
	b := copyOf(p.pool, f)
	if b == nil {
		p.count.rxDropped.Add(1)
		return
	}
	if !p.queue.push(b) {
		b.Put()
		p.count.rxDropped.Add(1)
	}
}

// AddMAC is Port's.
func (p *HubPort) AddMAC(mac pppoe.MAC) error {
	if err := checkUnicast(p.name, "add address", mac); err != nil {
		return err
	}
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	if p.gone.Load() {
		return ErrClosed
	}
	p.hub.add(p, mac)
	return nil
}

// DelMAC is Port's.
func (p *HubPort) DelMAC(mac pppoe.MAC) error {
	p.hub.mu.Lock()
	defer p.hub.mu.Unlock()
	if p.gone.Load() {
		return ErrClosed
	}
	if !p.hub.remove(p, mac) {
		return errNotAdded(p.name, mac)
	}
	return nil
}

// MAC is Port's.
func (p *HubPort) MAC() pppoe.MAC { return p.mac }

// Name is Port's.
func (p *HubPort) Name() string { return p.name }

// MTU is Port's.
func (p *HubPort) MTU() int { return int(p.mtu.Load()) }

// Counters is Port's.
func (p *HubPort) Counters() Counters { return p.count.snapshot() }

// Close detaches the port. What waits for its reader goes back to the pool.
func (p *HubPort) Close() error {
	h := p.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.gone.Swap(true) {
		return nil
	}
	for mac := range p.macs {
		p.macs[mac] = 1
		h.remove(p, mac)
	}
	h.ports = without(h.ports, p)
	p.queue.close(ErrClosed, true)
	return nil
}

var (
	errGroup    = errors.New("not a unicast address")
	errNoMember = errors.New("address was not added")
)

func checkUnicast(name, op string, mac pppoe.MAC) error {
	if mac.IsMulticast() || mac == (pppoe.MAC{}) {
		return &InterfaceError{Interface: name, Op: fmt.Sprintf("%s %v", op, mac), Err: errGroup}
	}
	return nil
}

func errNotAdded(name string, mac pppoe.MAC) error {
	return &InterfaceError{Interface: name, Op: fmt.Sprintf("delete address %v", mac), Err: errNoMember}
}
