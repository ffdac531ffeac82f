package gateway

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/config"
	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/internal/line"
	"tributary/ppp"
	"tributary/pppoe"
)

// A rig is a whole gateway in memory, in a synctest bubble: users on in-memory
// lines at one side, and at the other an access concentrator that says only
// what the test makes it say.

var (
	gwMAC = pppoe.MAC{0x02, 0, 0, 0, 0, 1}
	acMAC = pppoe.MAC{0x02, 0, 0, 0, 0, 2}
)

type rig struct {
	t     *testing.T
	cfg   config.Config
	pool  *frame.Pool
	hub   *ether.Hub
	port  *ether.HubPort
	ac    *fakeAC
	lines *fakeListener
	gw    *Gateway
	sub   *Subscription
	ctx   context.Context
	stop  context.CancelFunc
	done  chan error
	ended bool

	jitter func(int64) int64
	also   []func() // what else is closed at the end
}

func newRig(t *testing.T, change func(*config.Config)) *rig {
	t.Helper()
	r := makeRig(t, change)
	r.start()
	return r
}

// makeRig is a rig whose gateway does not run yet.
func makeRig(t *testing.T, change func(*config.Config)) *rig {
	t.Helper()
	r := &rig{t: t, pool: frame.NewPool(4096), hub: ether.NewHub(), done: make(chan error, 1)}
	r.cfg = config.Config{
		Uplinks: []config.Uplink{{
			Name: "isp", Interface: "eth1", OfferWait: 0, MAC: config.MACInterface, PADIRate: 500, MaxPayload: 1492,
			CircuitID: "{hostname} {group} {line}", RemoteID: "{remote}",
			Discovery: config.Discovery{Timeout: time.Minute},
			Echo:      config.Echo{Interval: 30 * time.Second, Failures: 3},
		}},
		Lines: []config.Lines{{
			Name: "virtual", TCP: &config.TCP{}, Mode: config.ModeRelay, Uplink: "isp", Open: config.OpenFirstFrame,
			FirstFrameTimeout: time.Minute, Queue: config.Queue{Frames: 64, Delay: 50 * time.Millisecond},
		}},
	}
	if change != nil {
		change(&r.cfg)
	}
	r.port = r.hub.Port("eth1", gwMAC, r.pool)
	r.ac = &fakeAC{t: t, port: r.hub.Port("ac", acMAC, r.pool), pool: r.pool, mac: acMAC}
	go r.ac.read()
	t.Cleanup(func() {
		if !r.ended { // the test failed on the way
			r.stop()
			<-r.done
			r.closeOthers()
		}
	})
	return r
}

func (r *rig) start() {
	r.startWith(func(string, *frame.Pool) (ether.Port, error) { return r.port, nil })
}

func (r *rig) startWith(open func(string, *frame.Pool) (ether.Port, error)) {
	r.t.Helper()
	r.lines = &fakeListener{c: make(chan line.Line, 16), closed: make(chan struct{})}
	var count atomic.Uint32
	gw, err := New(Options{
		Config:   &r.cfg,
		Log:      slog.New(slog.DiscardHandler),
		Pool:     r.pool,
		OpenPort: open,
		Listen: func(config.Lines, *frame.Pool, *slog.Logger) ([]line.Listener, error) {
			return []line.Listener{r.lines}, nil
		},
		Random: func(b []byte) {
			n := byte(count.Add(1))
			for i := range b {
				b[i] = n
			}
		},
		Jitter:   r.jitter,
		Hostname: "gw",
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.gw, r.sub = gw, gw.Subscribe(1000)
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	r.ctx = ctx
	go func() { r.done <- gw.Run(ctx) }()
	synctest.Wait()
}

// restart stops the gateway and begins another one on a new port.
func (r *rig) restart(change func()) {
	r.t.Helper()
	r.stop()
	if err := <-r.done; err != nil {
		r.t.Error(err)
	}
	r.sub.Close()
	r.port = r.hub.Port("eth1", gwMAC, r.pool)
	change()
	r.start()
}

// closeOthers closes what is not the gateway.
func (r *rig) closeOthers() {
	r.ac.port.Close()
	for _, f := range r.also {
		f()
	}
}

// end stops the gateway and holds it to leaving nothing behind.
func (r *rig) end() {
	r.t.Helper()
	r.ended = true
	r.stop()
	if err := <-r.done; err != nil {
		r.t.Errorf("Run: %v", err)
	}
	r.sub.Close()
	r.closeOthers()
	synctest.Wait()
	if n := r.pool.InUse(); n != 0 {
		r.t.Errorf("%d buffers were not put back", n)
	}
}

// wantEvent takes events until one of this kind comes.
func (r *rig) wantEvent(kind string, why string) Event {
	r.t.Helper()
	synctest.Wait()
	for {
		select {
		case e := <-r.sub.C():
			if e.Kind == kind {
				return e
			}
		default:
			r.t.Fatalf("no event %s: %s", kind, why)
		}
	}
}

// dial brings up one line.
func (r *rig) dial(name string) *user {
	r.t.Helper()
	near, far := line.Pipe(line.Info{Name: name, Group: "virtual", Kind: "pipe", Remote: "test"}, r.pool, line.PipeOptions{})
	u := &user{t: r.t, line: line.Over(far, line.Info{Name: "user of " + name}, r.pool), pool: r.pool}
	go u.read()
	r.lines.c <- near
	synctest.Wait()
	return u
}

// open brings up one line and its session, with LCP open, and leaves nothing
// unread at either end.
func (r *rig) open(name string, sid uint16) *user {
	r.t.Helper()
	u := r.dial(name)
	u.send(confReq(1, 5, 0xaa, 0xbb, 0xcc, 0xdd))
	r.ac.grant(sid)
	r.ac.sendPPP(sid, ackOf(r.ac.wantPPP(sid, "the held Configure-Request")))
	u.want("its Ack")
	r.ac.sendPPP(sid, confReq(9, 5, 1, 2, 3, 4))
	u.send(ackOf(u.want("the AC's Configure-Request")))
	r.ac.wantPPP(sid, "the user's Ack")
	return u
}

// fakeListener yields the lines the test makes.
type fakeListener struct {
	c      chan line.Line
	closed chan struct{}
	once   sync.Once
}

func (l *fakeListener) Accept() (line.Line, error) {
	select {
	case ln := <-l.c:
		return ln, nil
	case <-l.closed:
		return nil, line.ErrClosed
	}
}
func (l *fakeListener) Close() error { l.once.Do(func() { close(l.closed) }); return nil }
func (l *fakeListener) Addr() string { return "test" }

// user is the far end of a line.
type user struct {
	t    *testing.T
	line line.Line
	pool *frame.Pool
	mu   sync.Mutex
	got  [][]byte
	gone bool
}

func (u *user) read() {
	var batch [8]*frame.Buf
	for {
		n, err := u.line.Read(batch[:])
		u.mu.Lock()
		for _, b := range batch[:n] {
			u.got = append(u.got, bytes.Clone(b.Bytes()))
			b.Put()
		}
		u.gone = err != nil
		u.mu.Unlock()
		if err != nil {
			u.line.Close()
			return
		}
	}
}

func (u *user) send(f []byte) {
	u.t.Helper()
	b := u.pool.Get()
	b.SetBytes(f)
	if err := u.line.Write([]*frame.Buf{b}); err != nil {
		u.t.Fatal(err)
	}
	b.Put()
	synctest.Wait()
}

func (u *user) want(why string) []byte {
	u.t.Helper()
	synctest.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.got) == 0 {
		u.t.Fatalf("the user got nothing: %s", why)
	}
	f := u.got[0]
	u.got = u.got[1:]
	return f
}

func (u *user) wantNothing(why string) {
	u.t.Helper()
	synctest.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.got) != 0 {
		u.t.Fatalf("the user got % x: %s", u.got[0], why)
	}
}

func (u *user) wantHangup(why string) {
	u.t.Helper()
	synctest.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.gone {
		u.t.Fatalf("the line is still up: %s", why)
	}
}

// fakeAC is an access concentrator with no will of its own.
type fakeAC struct {
	t    *testing.T
	port *ether.HubPort
	pool *frame.Pool
	mac  pppoe.MAC
	mu   sync.Mutex
	got  []received
}

type received struct {
	hdr     ether.Header
	code    pppoe.Code
	sid     uint16
	payload []byte // PPP frame or discovery packet
}

func (a *fakeAC) read() {
	bufs := make([]*frame.Buf, 32)
	for i := range bufs {
		bufs[i] = a.pool.Get()
	}
	for {
		n, err := a.port.ReadBatch(bufs)
		for _, b := range bufs[:n] {
			hdr, payload, _ := ether.Parse(b.Bytes())
			h, inner, perr := pppoe.ParseHeader(payload)
			if perr != nil {
				a.t.Errorf("the gateway sent an ill-formed packet: %v", perr)
				continue
			}
			if h.Code != pppoe.SessionStage {
				inner = payload[:pppoe.HeaderLen+len(inner)]
			}
			a.mu.Lock()
			a.got = append(a.got, received{hdr, h.Code, h.SessionID, bytes.Clone(inner)})
			a.mu.Unlock()
		}
		if err != nil {
			for _, b := range bufs {
				b.Put()
			}
			return
		}
	}
}

// next takes the oldest frame, if there is one.
func (a *fakeAC) next() (r received, ok bool) {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.got) == 0 {
		return r, false
	}
	r, a.got = a.got[0], a.got[1:]
	return r, true
}

func (a *fakeAC) want(code pppoe.Code, why string) received {
	a.t.Helper()
	r, ok := a.next()
	if !ok {
		a.t.Fatalf("the AC got nothing, wanted %v: %s", code, why)
	}
	if r.code != code {
		a.t.Fatalf("the AC got %v % x, wanted %v: %s", r.code, r.payload, code, why)
	}
	return r
}

func (a *fakeAC) wantPPP(sid uint16, why string) []byte {
	a.t.Helper()
	r := a.want(pppoe.SessionStage, why)
	if r.sid != sid {
		a.t.Fatalf("the AC got session %d, wanted %d: %s", r.sid, sid, why)
	}
	return r.payload
}

func (a *fakeAC) wantNothing(why string) {
	a.t.Helper()
	if r, ok := a.next(); ok {
		a.t.Fatalf("the AC got %v % x: %s", r.code, r.payload, why)
	}
}

// send sends one frame, from any address with any tags.
func (a *fakeAC) send(hdr ether.Header, packets ...[]byte) {
	a.t.Helper()
	var batch []*frame.Buf
	for _, p := range packets {
		h := hdr
		h.Type = ether.TypeDiscovery
		if p[1] == 0 {
			h.Type = ether.TypeSession
		}
		b := a.pool.Get()
		b.SetBytes(p)
		ether.Prepend(b, &h)
		batch = append(batch, b)
	}
	if _, err := a.port.WriteBatch(batch); err != nil {
		a.t.Fatal(err)
	}
	for _, b := range batch {
		b.Put()
	}
	synctest.Wait()
}

func (a *fakeAC) sendPPP(sid uint16, f []byte) {
	a.t.Helper()
	a.send(ether.Header{Dst: gwMAC, Src: a.mac}, sessionPacket(sid, f))
}

// answer builds the PADO or PADS to a packet: its Host-Uniq comes back.
func answer(code pppoe.Code, sid uint16, to received, tags ...pppoe.Tag) []byte {
	p, _ := pppoe.ParsePacket(to.payload)
	service, _ := p.Find(pppoe.TagServiceName)
	out := pppoe.Packet{Code: code, SessionID: sid, Tags: append([]pppoe.Tag{
		{Type: pppoe.TagServiceName, Data: service}, pppoe.StringTag(pppoe.TagACName, "bras1")}, tags...)}
	if u, ok := p.Find(pppoe.TagHostUniq); ok {
		out.Tags = append(out.Tags, pppoe.Tag{Type: pppoe.TagHostUniq, Data: u})
	}
	return out.Append(nil)
}

// grant plays the AC's part of a discovery.
func (a *fakeAC) grant(sid uint16) {
	a.t.Helper()
	padi := a.want(pppoe.PADI, "the first frame opens a session")
	a.send(reply(padi.hdr, a.mac), answer(pppoe.PADO, 0, padi))
	padr := a.want(pppoe.PADR, "the only offer is taken")
	a.send(padr.hdr.Reply(), answer(pppoe.PADS, sid, padr))
}

func sessionPacket(sid uint16, f []byte) []byte {
	p := make([]byte, pppoe.HeaderLen, pppoe.HeaderLen+len(f))
	pppoe.PutHeader(p, pppoe.SessionStage, sid, len(f))
	return append(p, f...)
}

func padt(sid uint16) []byte { return pppoe.Packet{Code: pppoe.PADT, SessionID: sid}.Append(nil) }

// PPP frames.

func option(t uint8, data ...byte) []byte { return ppp.Option{Type: t, Data: data}.Append(nil) }

func lcp(c ppp.Code, id uint8, options []byte, more ...byte) []byte {
	return ppp.Packet{Code: c, ID: id, Data: append(bytes.Clone(options), more...)}.AppendFrame(nil, ppp.ProtoLCP)
}

// confReq is a Configure-Request with one option.
func confReq(id uint8, t uint8, data ...byte) []byte {
	return lcp(ppp.ConfigureRequest, id, option(t, data...))
}

// ackOf is the Ack of a Configure-Request.
func ackOf(req []byte) []byte {
	a := bytes.Clone(req)
	a[2] = byte(ppp.ConfigureAck)
	return a
}

// ipv4 is a data frame that a test can tell from others.
func ipv4(n int, mark uint32) []byte {
	f := make([]byte, 2+n)
	f[1] = 0x21
	binary.BigEndian.PutUint32(f[2:], mark)
	return f
}

// reply is the header of an AC's answer to a broadcast.
func reply(h ether.Header, from pppoe.MAC) ether.Header {
	h = h.Reply()
	h.Src = from
	return h
}
