package lab

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/pppoe"
)

// PPPoEConfig is what a PPPoE client asks for. The zero value takes the first
// access concentrator that answers.
type PPPoEConfig struct {
	Service    string // Service-Name; empty: any
	ACName     string // only this one; empty: any
	VLANs      ether.VLANs
	MaxPayload int           // octets; over 1492 asks for RFC 4638
	OfferWait  time.Duration // how long to collect offers before one is chosen
}

// pppoeClient runs a pppoe.Client on a port. Whoever has something for the
// client, a packet or its deadline, takes a turn; turns are under mu.
type pppoeClient struct {
	port  ether.Port
	pool  *frame.Pool
	vlans ether.VLANs
	event func(pppoe.ClientOut) // told, in the turn, of all but what is sent

	mu     sync.Mutex
	client *pppoe.Client
	timer  *time.Timer // runs the turn of the client's deadline; nil: none is due
	over   bool        // no more turns by the clock
}

func newPPPoEClient(port ether.Port, pool *frame.Pool, vlans ether.VLANs, cfg pppoe.ClientConfig, event func(pppoe.ClientOut)) *pppoeClient {
	uniq := make([]byte, 12)
	_, _ = rand.Read(uniq) // never fails, by its contract
	cfg.HostUniq = uniq
	return &pppoeClient{port: port, pool: pool, vlans: vlans, event: event, client: pppoe.NewClient(cfg)}
}

// turn lets f give the client something, does what it then asks for, and sets
// the clock.
func (c *pppoeClient) turn(f func(now time.Time)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(time.Now())
	for out, ok := c.client.Next(); ok; out, ok = c.client.Next() {
		if send, ok := out.(pppoe.Send); ok {
			c.send(send)
			continue
		}
		c.event(out)
	}
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if at := c.client.Deadline(); !at.IsZero() && !c.over {
		c.timer = time.AfterFunc(time.Until(at), func() { c.turn(c.client.Tick) })
	}
}

// input gives the client a frame if it is one of discovery, and reports whether
// it is.
func (c *pppoeClient) input(b *frame.Buf) bool {
	hdr, payload, ok := ether.Parse(b.Bytes())
	if !ok || hdr.Type != ether.TypeDiscovery || hdr.VLANs != c.vlans || hdr.Dst != c.port.MAC() {
		return false
	}
	c.turn(func(now time.Time) { c.client.Input(now, hdr.Src, payload) })
	return true
}

func (c *pppoeClient) send(out pppoe.Send) {
	// What is not sent is as lost on the way: the client sends it again.
	sendDiscovery(c.port, c.pool, c.vlans, out)
}

// sendDiscovery sends a discovery packet from a port's own address.
func sendDiscovery(port ether.Port, pool *frame.Pool, vlans ether.VLANs, out pppoe.Send) {
	b := pool.Get()
	if b == nil {
		return
	}
	defer b.Put()
	if b.SetBytes(out.Packet) {
		ether.Prepend(b, &ether.Header{Dst: out.Dst, Src: port.MAC(), VLANs: vlans, Type: ether.TypeDiscovery})
		_, _ = port.WriteBatch([]*frame.Buf{b}) // counted by the port
	}
}

// close ends the search or the session, with a PADT, and the port.
func (c *pppoeClient) close() error {
	c.turn(func(now time.Time) {
		c.over = true
		c.client.Tick(now) // on a busy machine the clock may come late: what is due comes first
		c.client.Close(now, "")
	})
	return c.port.Close()
}

// start begins the search. It ends with the port, which is closed when ctx is
// done. stop lets the port live on; it reports false if that is too late.
func (c *pppoeClient) start(ctx context.Context) (stop func() bool) {
	stop = context.AfterFunc(ctx, func() { _ = c.close() })
	c.turn(c.client.Start)
	return stop
}
