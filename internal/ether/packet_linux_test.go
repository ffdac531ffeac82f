package ether_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/pppoe"
	"tributary/test/netns"
)

var (
	macA = pppoe.MAC{2, 0, 0, 0, 0, 0x0a}
	macB = pppoe.MAC{2, 0, 0, 0, 0, 0x0b}
)

// bench is two machines on a cable, with a port on each end of it.
type bench struct {
	tb     testing.TB
	a, b   *netns.NS
	pa, pb ether.Port
	pool   *frame.Pool
}

func newBench(tb testing.TB, opts ether.Options) *bench {
	tb.Helper()
	a, b := netns.Pair(tb)
	w := &bench{tb: tb, a: a, b: b, pool: frame.NewPool(1024)}
	w.pa, w.pb = w.open(a, "eth0", opts), w.open(b, "eth0", opts)
	return w
}

func (w *bench) open(n *netns.NS, name string, opts ether.Options) ether.Port {
	w.tb.Helper()
	var p ether.Port
	n.Do(func() (err error) {
		p, err = ether.Open(name, w.pool, opts)
		return err
	})
	w.tb.Cleanup(func() { p.Close() })
	return p
}

// bufs are n empty buffers, which end with the test.
func (w *bench) bufs(n int) []*frame.Buf {
	w.tb.Helper()
	l := make([]*frame.Buf, n)
	for i := range l {
		if l[i] = w.pool.Get(); l[i] == nil {
			w.tb.Fatal("pool empty")
		}
	}
	w.tb.Cleanup(func() {
		for _, b := range l {
			b.Put()
		}
	})
	return l
}

// packet is a frame with h and payload in a buffer.
func (w *bench) packet(h ether.Header, payload []byte) *frame.Buf {
	w.tb.Helper()
	b := w.bufs(1)[0]
	if !b.SetBytes(payload) || !ether.Prepend(b, &h) {
		w.tb.Fatal("frame does not fit")
	}
	return b
}

func (w *bench) send(p ether.Port, frames ...*frame.Buf) {
	w.tb.Helper()
	if n, err := p.WriteBatch(frames); n != len(frames) || err != nil {
		w.tb.Fatalf("WriteBatch of %d frames = %d, %v", len(frames), n, err)
	}
}

// wantFrame reads one frame, and why says what it is for.
func (w *bench) wantFrame(why string, p ether.Port, want []byte) {
	w.tb.Helper()
	bufs := w.bufs(1)
	n, err := p.ReadBatch(bufs)
	if err != nil || n != 1 {
		w.tb.Fatalf("%s: ReadBatch = %d, %v", why, n, err)
	}
	if got := bufs[0].Bytes(); !bytes.Equal(got, want) {
		w.tb.Fatalf("%s:\n got %x\nwant %x", why, got, want)
	}
}

// eachReceiver runs a test for each of the ways to receive.
func eachReceiver(t *testing.T, test func(t *testing.T, opts ether.Options)) {
	t.Run("ring", func(t *testing.T) { test(t, ether.Options{}) })
	t.Run("messages", func(t *testing.T) { test(t, ether.Options{Messages: true}) })
}

func session(dst, src pppoe.MAC, vlans ...uint16) ether.Header {
	v, err := ether.MakeVLANs(vlans...)
	if err != nil {
		panic(err)
	}
	return ether.Header{Dst: dst, Src: src, VLANs: v, Type: ether.TypeSession}
}

func payload(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i)
	}
	return p
}

func TestPacketPortCarriesFramesBothWays(t *testing.T) {
	eachReceiver(t, testPacketPortCarriesFramesBothWays)
}

func testPacketPortCarriesFramesBothWays(t *testing.T, opts ether.Options) {
	w := newBench(t, opts)
	if w.pa.MAC() != macA || w.pb.MAC() != macB || w.pa.Name() != "eth0" || w.pa.MTU() != 1500 {
		t.Fatalf("port says MAC %v, %v, name %s, MTU %d", w.pa.MAC(), w.pb.MAC(), w.pa.Name(), w.pa.MTU())
	}
	there := w.packet(session(macB, macA), payload(1500))
	w.send(w.pa, there)
	w.wantFrame("a frame of full size arrives", w.pb, there.Bytes())

	padi := w.packet(ether.Header{Dst: pppoe.Broadcast, Src: macB, Type: ether.TypeDiscovery}, payload(30))
	w.send(w.pb, padi)
	w.wantFrame("a broadcast arrives, and not its sender's own frames", w.pa, padi.Bytes())

	if c := w.pa.Counters(); c.TxFrames != 1 || c.TxOctets != 1514 || c.RxFrames != 1 || c.RxOctets != 44 {
		t.Errorf("counters of a: %+v", c)
	}
}

// The kernel takes the outer tag out of every frame it receives (0x8100 and
// 0x88a8, not 0x9100) before a packet socket sees it, on interfaces without any
// VLAN device too.
func TestPacketPortKeepsTags(t *testing.T) { eachReceiver(t, testPacketPortKeepsTags) }

func testPacketPortKeepsTags(t *testing.T, opts ether.Options) {
	w := newBench(t, opts)
	tests := []struct {
		name  string
		vlans []uint16
		tpids [2]uint16
		prio  [2]uint8
	}{
		{"untagged", nil, [2]uint16{}, [2]uint8{}},
		{"one tag, moved by the kernel", []uint16{100}, [2]uint16{0x8100}, [2]uint8{}},
		{"one tag with priority and DEI", []uint16{4094}, [2]uint16{0x8100}, [2]uint8{0xf}},
		{"one service tag", []uint16{100}, [2]uint16{0x88a8}, [2]uint8{}},
		{"one old outer tag, left in line", []uint16{100}, [2]uint16{0x9100}, [2]uint8{}},
		{"two tags: outer moved, inner in line", []uint16{100, 7}, [2]uint16{0x88a8, 0x8100}, [2]uint8{6, 1}},
		{"two tags of the old kind", []uint16{100, 7}, [2]uint16{0x8100, 0x8100}, [2]uint8{}},
		{"two tags, both left in line", []uint16{100, 7}, [2]uint16{0x9100, 0x8100}, [2]uint8{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := session(macB, macA, tt.vlans...)
			h.TPIDs, h.Priority = tt.tpids, tt.prio
			sent := w.packet(h, payload(100))
			w.send(w.pa, sent)
			w.wantFrame("all tags are back in their places", w.pb, sent.Bytes())
			got, _, ok := ether.Parse(sent.Bytes())
			if !ok || got != h {
				t.Errorf("Parse = %+v, %v, want %+v", got, ok, h)
			}
		})
	}
}

func TestPacketPortRestoresTagOfPriorityOnly(t *testing.T) {
	eachReceiver(t, testPacketPortRestoresTagOfPriorityOnly)
}

func testPacketPortRestoresTagOfPriorityOnly(t *testing.T, opts ether.Options) {
	w := newBench(t, opts)
	f := append(append(macB[:], macA[:]...), 0x81, 0x00, 0xe0, 0x00, 0x88, 0x64, 0x11, 0x00)
	w.a.Inject("eth0", f)
	w.wantFrame("a tag without an identifier is a tag too", w.pb, f)
	if h, _, ok := ether.Parse(f); !ok || h.VLANs.Len() != 0 || h.Type != ether.TypeSession {
		t.Errorf("Parse = %+v, %v: 802.1Q says such a tag names no VLAN", h, ok)
	}
}

func TestPacketPortFiltersTheRest(t *testing.T) { eachReceiver(t, testPacketPortFiltersTheRest) }

func testPacketPortFiltersTheRest(t *testing.T, opts ether.Options) {
	w := newBench(t, opts)
	frame := func(types ...uint16) []byte {
		f := append(append([]byte{}, macB[:]...), macA[:]...)
		for i, ty := range types {
			f = binary.BigEndian.AppendUint16(f, ty)
			if i < len(types)-1 {
				f = binary.BigEndian.AppendUint16(f, 100)
			}
		}
		return append(f, payload(46)...)
	}
	w.a.Inject("eth0",
		frame(0x0806), frame(0x0800), frame(0x86dd), // ARP, IPv4, IPv6
		frame(0x8100, 0x0800), frame(0x88a8, 0x8100, 0x0806), frame(0x9100, 0x86dd),
		frame(0x8100, 0x8100, 0x8100, 0x8100, 0x8864), // too deep even for the filter
		frame(0x8100), // a tag, and then nothing we know
	)
	last := frame(0x8863)
	w.a.Inject("eth0", last)
	w.wantFrame("only PPPoE passes the filter", w.pb, last)
	if c := w.pb.Counters(); c.RxFrames != 1 || c.RxDropped != 0 {
		t.Errorf("counters: %+v", c)
	}
}

// A burst is sent before any of it is read; what is missing must be counted, by
// the port or, for what never came as far as the socket, by the interface.
func TestPacketPortCountsWhatABurstLoses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		opts  ether.Options
		loses bool // the socket does
	}{
		{"the buffer is large enough", ether.Options{ReceiveBuffer: 64 << 20}, false},
		{"the buffer is too small", ether.Options{ReceiveBuffer: 64 << 10}, true},
		{"past the qdisc", ether.Options{QdiscBypass: true, ReceiveBuffer: 64 << 20}, false},
		{"messages, the buffer is large enough", ether.Options{ReceiveBuffer: 64 << 20, Messages: true}, false},
		{"messages, the buffer is too small", ether.Options{ReceiveBuffer: 64 << 10, Messages: true}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const total = 10000
			w := newBench(t, tt.opts)
			batch := make([]*frame.Buf, 50)
			for i := range batch {
				batch[i] = w.packet(session(macB, macA), payload(1494))
			}
			for range total / len(batch) {
				w.send(w.pa, batch...)
			}
			var reading sync.WaitGroup
			bufs := w.bufs(64)
			reading.Go(func() {
				for {
					if _, err := w.pb.ReadBatch(bufs); err != nil {
						return
					}
				}
			})
			// Until every frame is accounted for; if one never is, the test's
			// own time limit ends this.
			var c ether.Counters
			var before uint64
			for c.RxFrames+c.RxDropped+before != total {
				c, before = w.pb.Counters(), w.a.Drops("eth0")+w.b.Drops("eth0")
				if c.RxFrames+c.RxDropped+before > total {
					t.Fatalf("more than was sent: %+v, %d", c, before)
				}
				runtime.Gosched()
			}
			w.pb.Close()
			reading.Wait()
			t.Logf("received %d, dropped by the socket %d, before it %d", c.RxFrames, c.RxDropped, before)
			if tt.loses != (c.RxDropped > 0) {
				t.Errorf("the socket dropped %d", c.RxDropped)
			}
		})
	}
}

func TestPacketPortMTU(t *testing.T) {
	w := newBench(t, ether.Options{})
	long := w.packet(session(macB, macA), payload(1501))
	short := w.packet(session(macB, macA), payload(20))
	n, err := w.pa.WriteBatch([]*frame.Buf{long, short})
	if n != 1 || err != nil {
		t.Fatalf("WriteBatch = %d, %v; want only the frame within the MTU", n, err)
	}
	w.wantFrame("the frame behind the one that is too long", w.pb, short.Bytes())
	if c := w.pa.Counters(); c.TxDropped != 1 {
		t.Errorf("counters: %+v", c)
	}
	// RFC 4638 needs 1508: an operator may raise the MTU while we run.
	w.a.SetMTU("eth0", 1508)
	w.b.SetMTU("eth0", 1508)
	if w.pa.MTU() != 1508 {
		t.Errorf("MTU %d after it was set to 1508", w.pa.MTU())
	}
	w.send(w.pa, long)
	w.wantFrame("within the new MTU", w.pb, long.Bytes())
	// A tag does not count: 1504 octets behind the addresses.
	tagged := w.packet(session(macB, macA, 100, 7), payload(1500))
	w.send(w.pa, tagged)
	w.wantFrame("two tags and a full payload", w.pb, tagged.Bytes())
}

func TestPacketPortDropsWhatNoBufferHolds(t *testing.T) {
	eachReceiver(t, testPacketPortDropsWhatNoBufferHolds)
}

func testPacketPortDropsWhatNoBufferHolds(t *testing.T, opts ether.Options) {
	w := newBench(t, opts)
	w.a.SetMTU("eth0", 9000)
	w.b.SetMTU("eth0", 9000)
	jumbo := append(append(append([]byte{}, macB[:]...), macA[:]...), 0x88, 0x64)
	jumbo = append(jumbo, payload(4000)...)
	first, last := w.packet(session(macB, macA), []byte{1}), w.packet(session(macB, macA), []byte{2})
	w.send(w.pa, first)
	w.a.Inject("eth0", jumbo, jumbo)
	w.send(w.pa, last)
	bufs, got := w.bufs(8), 0
	for got < 2 {
		n, err := w.pb.ReadBatch(bufs)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range bufs[:n] {
			got++
			if b.Len() != 15 || b.Bytes()[14] != byte(got) {
				t.Errorf("frame %d is %x", got, b.Bytes())
			}
		}
	}
	if c := w.pb.Counters(); c.RxTruncated != 2 || c.RxFrames != 2 {
		t.Errorf("counters: %+v", c)
	}
}

func TestPacketPortOutlivesItsInterfaceGoingDown(t *testing.T) {
	eachReceiver(t, testPacketPortOutlivesItsInterfaceGoingDown)
}

func testPacketPortOutlivesItsInterfaceGoingDown(t *testing.T, opts ether.Options) {
	w := newBench(t, opts)
	f := w.packet(session(macB, macA), payload(100))
	// Reading all the while, as the gateway does.
	type read struct {
		n   int
		err error
	}
	reads := make(chan read)
	bufs := w.bufs(4)
	go func() {
		for {
			n, err := w.pb.ReadBatch(bufs)
			reads <- read{n, err}
			if err != nil {
				return
			}
		}
	}()
	for range 3 {
		w.b.Down("eth0")
		n, err := w.pb.WriteBatch([]*frame.Buf{f})
		if n != 0 || err != nil {
			t.Fatalf("WriteBatch while down = %d, %v", n, err)
		}
		w.b.Up("eth0")
		w.a.WaitUp("eth0")
		w.send(w.pa, f)
		if r := <-reads; r.n != 1 || r.err != nil {
			t.Fatalf("ReadBatch after up = %d, %v", r.n, r.err)
		}
	}
	if c := w.pb.Counters(); c.TxDropped != 3 {
		t.Errorf("counters: %+v", c)
	}
	w.pb.Close()
	if r := <-reads; r.err != ether.ErrClosed {
		t.Errorf("ReadBatch after Close = %v", r.err)
	}
}

func TestPacketPortOpensWhileDown(t *testing.T) { eachReceiver(t, testPacketPortOpensWhileDown) }

func testPacketPortOpensWhileDown(t *testing.T, opts ether.Options) {
	w := newBench(t, opts)
	w.b.Down("eth0")
	p := w.open(w.b, "eth0", opts)
	got := make(chan error, 1)
	bufs := w.bufs(1)
	go func() { _, err := p.ReadBatch(bufs); got <- err }()
	w.b.Up("eth0")
	w.a.WaitUp("eth0")
	w.send(w.pa, w.packet(session(macB, macA), payload(10)))
	if err := <-got; err != nil {
		t.Errorf("ReadBatch = %v", err)
	}
}

func TestPacketPortSaysThatItsInterfaceIsGone(t *testing.T) {
	eachReceiver(t, testPacketPortSaysThatItsInterfaceIsGone)
}

func testPacketPortSaysThatItsInterfaceIsGone(t *testing.T, opts ether.Options) {
	for _, downFirst := range []bool{false, true} {
		t.Run(fmt.Sprintf("down first %v", downFirst), func(t *testing.T) {
			w := newBench(t, opts)
			f := w.packet(session(macA, macB), payload(10))
			if downFirst {
				w.b.Down("eth0")
			}
			got := make(chan error, 1)
			bufs := w.bufs(1)
			go func() { _, err := w.pb.ReadBatch(bufs); got <- err }()
			w.b.Delete("eth0")
			var ie *ether.InterfaceError
			if err := <-got; !errors.Is(err, ether.ErrGone) || !errors.As(err, &ie) || ie.Interface != "eth0" {
				t.Errorf("ReadBatch = %v", err)
			}
			if _, err := w.pb.WriteBatch([]*frame.Buf{f}); !errors.Is(err, ether.ErrGone) {
				t.Errorf("WriteBatch = %v", err)
			}
			if w.pb.MTU() != 1500 {
				t.Errorf("MTU = %d, want the last one known", w.pb.MTU())
			}
		})
	}
}

func TestPacketPortCloseUnblocks(t *testing.T) { eachReceiver(t, testPacketPortCloseUnblocks) }

func testPacketPortCloseUnblocks(t *testing.T, opts ether.Options) {
	w := newBench(t, opts)
	got := make(chan error, 1)
	bufs := w.bufs(1)
	go func() { _, err := w.pb.ReadBatch(bufs); got <- err }()
	f := []*frame.Buf{w.packet(session(macA, macB), payload(10))}
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for {
				if _, err := w.pb.WriteBatch(f); err != nil {
					if err != ether.ErrClosed {
						t.Errorf("WriteBatch = %v", err)
					}
					return
				}
			}
		})
	}
	if err := w.pb.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if err := <-got; err != ether.ErrClosed {
		t.Errorf("ReadBatch = %v, want ErrClosed", err)
	}
	writers.Wait()
	if err := w.pb.Close(); err != nil {
		t.Errorf("second Close = %v", err)
	}
	if err := w.pb.AddMAC(pppoe.MAC{2, 9}); err != ether.ErrClosed {
		t.Errorf("AddMAC = %v, want ErrClosed", err)
	}
	w.pb.Counters()
	w.pb.MTU()
}

func TestPacketPortAddresses(t *testing.T) { eachReceiver(t, testPacketPortAddresses) }

func testPacketPortAddresses(t *testing.T, opts ether.Options) {
	w := newBench(t, opts)
	mac := pppoe.MAC{2, 0, 0x5e, 0, 0, 1}
	for range 2 { // counted: two lines may share an address
		if err := w.pb.AddMAC(mac); err != nil {
			t.Fatal(err)
		}
	}
	f := w.packet(session(mac, macA), payload(10))
	w.send(w.pa, f)
	w.wantFrame("a frame for the added address", w.pb, f.Bytes())
	for range 2 {
		if err := w.pb.DelMAC(mac); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.pb.DelMAC(mac); err == nil {
		t.Error("DelMAC of an address that is no longer there succeeded")
	}
	if err := w.pb.AddMAC(pppoe.Broadcast); err == nil {
		t.Error("AddMAC of a group address succeeded")
	}
	for _, op := range []func(pppoe.MAC) error{w.pb.AddMAC, w.pb.AddMAC, w.pb.DelMAC, w.pb.DelMAC} {
		if err := op(macB); err != nil {
			t.Errorf("the port's own address: %v", err)
		}
	}
	w.send(w.pa, w.packet(session(macB, macA), payload(20)))
	w.wantFrame("the port's own address stays", w.pb, w.packet(session(macB, macA), payload(20)).Bytes())
	w.b.Delete("eth0")
	if err := w.pb.AddMAC(mac); !errors.Is(err, ether.ErrGone) {
		t.Errorf("AddMAC on an interface that is gone = %v", err)
	}
}

func TestOpenErrorsSayWhatToDo(t *testing.T) {
	n := netns.New(t)
	pool := frame.NewPool(1)
	open := func(name string) error {
		return n.Try(func() error {
			p, err := ether.Open(name, pool, ether.Options{})
			if err == nil {
				p.Close()
			}
			return err
		})
	}
	for _, tt := range []struct{ name, want string }{
		{"eth7", "eth7: find interface: no such interface (ip link"},
		{"much-too-long-a-name", "no such interface"},
		{"lo", "lo: attach: not an Ethernet interface"},
	} {
		if err := open(tt.name); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Open(%q) = %v, want %q", tt.name, err, tt.want)
		}
	}
	// Without CAP_NET_RAW, in a thread that gives it up.
	err := n.Try(func() error {
		h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&h, &none[0]); err != nil {
			return err
		}
		_, err := ether.Open("lo", pool, ether.Options{})
		return err
	})
	if !errors.Is(err, syscall.EPERM) || !strings.Contains(err.Error(), "CAP_NET_RAW") {
		t.Errorf("Open without privileges = %v", err)
	}
}

func TestPacketPortPromiscuous(t *testing.T) { eachReceiver(t, testPacketPortPromiscuous) }

func testPacketPortPromiscuous(t *testing.T, opts ether.Options) {
	opts.Promiscuous = true
	w := newBench(t, opts)
	f := w.packet(session(pppoe.MAC{2, 7}, macA), payload(10))
	w.send(w.pa, f)
	w.wantFrame("a frame for another host", w.pb, f.Bytes())
	if !w.b.Promiscuous("eth0") {
		t.Error("the interface is not promiscuous")
	}
	w.pb.Close()
	if w.b.Promiscuous("eth0") {
		t.Error("the interface is still promiscuous after Close")
	}
}
