package gateway

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/ppp"
	"tributary/pppoe"
)

// port is one Ethernet attachment, with the sessions whose frames arrive on it.
type port struct {
	name    string
	current atomic.Pointer[ether.Port] // another one after the interface was lost
	pool    *frame.Pool
	table   table
	pending pending
	drops   portDrops
	down    atomic.Bool

	members members

	mu      sync.Mutex
	orphans []journalEntry // sessions whose PADT could not be sent
	closed  bool
}

func (p *port) ether() ether.Port { return *p.current.Load() }
func (p *port) mac() pppoe.MAC    { return p.ether().MAC() }

// set puts ep in the port's place; the addresses that are received for follow. It
// closes ep and reports false if the gateway has closed the port meanwhile.
func (p *port) set(ep ether.Port) (ok bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false, ep.Close()
	}
	p.current.Store(&ep)
	p.members.renew()
	return true, nil
}

func (p *port) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

func (p *port) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.ether().Close()
}

// portBatch is how many frames one read of a port takes.
const portBatch = 128

const noBufferPause = 10 * time.Millisecond

// readPort carries what arrives: discovery and control packets to the owners,
// data to the lines' queues. It waits for the port and for nothing else, and
// returns when the port is closed or fails.
func (p *port) readPort() error {
	bufs := make([]*frame.Buf, portBatch)
	defer func() {
		for _, b := range bufs {
			b.Put()
		}
	}()
	for i := range bufs {
		for bufs[i] = p.pool.Get(); bufs[i] == nil; bufs[i] = p.pool.Get() {
			if p.isClosed() {
				return ether.ErrClosed
			}
			time.Sleep(noBufferPause) // a flood has them all, and will give them back
		}
	}
	ep := p.ether()
	toFlush := make([]*outbox, 0, portBatch)
	for {
		n, err := ep.ReadBatch(bufs)
		now := clock()
		for i, b := range bufs[:n] {
			r, ok := p.route(b)
			if !ok {
				continue
			}
			fresh := p.pool.Get()
			if fresh == nil {
				p.drops.noBuffer.Add(1)
				continue
			}
			bufs[i] = fresh
			if o := r.deliver(now, b); o != nil {
				toFlush = append(toFlush, o)
			}
		}
		for _, o := range toFlush {
			if n == portBatch {
				go o.write() // there is more to read: let others write meanwhile
			} else {
				o.flush()
			}
		}
		if n == portBatch {
			// On one processor they have their turn only now: a ring gives
			// frames without a system call in which the runtime would see to it.
			runtime.Gosched()
		}
		toFlush = toFlush[:0]
		if err != nil {
			return err
		}
	}
}

// routed is where a frame from a port belongs: to a session's line, or, with a
// source address, to its discovery.
type routed struct {
	s         *session
	discovery bool
	src       pppoe.MAC
	expected  bool // the session was made findable for what is in this packet
}

// deliver hands b over. It does not wait: what the owner cannot take now, PPP
// or PPPoE will send again. The outbox, if there is one, must be flushed.
func (r routed) deliver(now time.Duration, b *frame.Buf) *outbox {
	if !r.discovery {
		return r.s.downstream(now, b)
	}
	if !r.s.notify(event{s: r.s, kind: evDiscovery, buf: b, src: r.src, expected: r.expected}) && r.expected {
		r.s.unexpected()
	}
	return nil
}

// route finds the session that b is for and trims b to what the session wants:
// the PPP frame, or the PPPoE discovery packet. Whatever has no session is
// counted, and ok is false.
func (p *port) route(b *frame.Buf) (r routed, ok bool) {
	hdr, payload, ok := ether.Parse(b.Bytes())
	if !ok {
		p.drops.notEthernet.Add(1)
		return r, false
	}
	switch hdr.Type {
	case ether.TypeSession:
		return p.routeSession(&hdr, payload, b)
	case ether.TypeDiscovery:
		return p.routeDiscovery(&hdr, payload, b)
	}
	p.drops.notEthernet.Add(1)
	return r, false
}

func (p *port) routeSession(hdr *ether.Header, payload []byte, b *frame.Buf) (r routed, ok bool) {
	h, pppFrame, err := pppoe.ParseHeader(payload)
	if err != nil || h.Code != pppoe.SessionStage {
		p.drops.malformed.Add(1)
		return r, false
	}
	k := key{vlans: hdr.VLANs, ac: hdr.Src, our: hdr.Dst, sid: h.SessionID}
	if r.s = p.table.lookup(&k); r.s == nil {
		p.drops.unknownSession.Add(1)
		return r, false
	}
	// RFC 2516 section 4: the LENGTH field "MUST NOT include the length of the
	// Ethernet or PPPoE headers", and what Ethernet padded is not part of it.
	b.TrimFront(b.Len() - len(payload) + pppoe.HeaderLen)
	b.SetLen(len(pppFrame))
	return r, true
}

func (p *port) routeDiscovery(hdr *ether.Header, payload []byte, b *frame.Buf) (r routed, ok bool) {
	h, _, err := pppoe.ParseHeader(payload)
	if err != nil {
		p.drops.malformed.Add(1)
		return r, false
	}
	r.discovery, r.src = true, hdr.Src
	switch h.Code {
	case pppoe.PADT:
		// RFC 2516 section 5.5: "It may be sent anytime after a session is
		// established". Only the AC at the other end of that session may.
		k := key{vlans: hdr.VLANs, ac: hdr.Src, our: hdr.Dst, sid: h.SessionID}
		if r.s = p.table.lookup(&k); r.s == nil {
			p.drops.foreignPADT.Add(1)
			return r, false
		}
	case pppoe.PADO, pppoe.PADS:
		var asked bool
		if r.s, asked = p.pending.match(hdr, h, payload); r.s == nil {
			p.drops.unasked.Add(1)
			return r, false
		}
		if h.Code == pppoe.PADO && r.s.fromPort.Load() >= maxStrange && r.s.up.acs.strange(hdr.Src, payload) {
			p.drops.strangeOffers.Add(1)
			return r, false
		}
		if h.Code == pppoe.PADS && h.SessionID != 0 && asked {
			// The AC may speak at once: its first frame can be in this very
			// batch. So the session can be found before its owner has heard
			// of it; the owner takes the entry out again if it declines.
			r.expected = r.s.expect(p, key{vlans: hdr.VLANs, ac: hdr.Src, our: hdr.Dst, sid: h.SessionID})
		}
	default:
		p.drops.otherHosts.Add(1)
		return r, false
	}
	b.TrimFront(b.Len() - len(payload))
	return r, true
}

const maxOrphans = 1 << 16

// keepOrphan remembers a session that the AC believes open, for want of a PADT.
func (p *port) keepOrphan(e journalEntry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.orphans) < maxOrphans { // what is beyond is in the journal
		p.orphans = append(p.orphans, e)
	}
}

func (p *port) takeOrphans() []journalEntry {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.orphans
	p.orphans = nil
	return all
}

// send sends one packet of the owner's: PPPoE from its header on, in front of
// which the Ethernet header goes.
func (p *port) send(hdr *ether.Header, packet []byte) bool {
	b := p.pool.Get()
	if b == nil {
		p.drops.noBuffer.Add(1)
		return false
	}
	defer b.Put()
	if !b.SetBytes(packet) {
		return false
	}
	ether.Prepend(b, hdr)
	n, err := p.ether().WriteBatch([]*frame.Buf{b})
	return n == 1 && err == nil
}

// isLCP reports whether frame is an LCP packet with the given code.
func isLCP(pppFrame []byte, code ppp.Code) bool {
	p, info, ok := ppp.Split(pppFrame)
	return ok && p == ppp.ProtoLCP && len(info) > 0 && ppp.Code(info[0]) == code
}
