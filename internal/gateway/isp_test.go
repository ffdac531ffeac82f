package gateway

import (
	"bytes"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/ether"
	"tributary/internal/frame"
	"tributary/ppp"
	"tributary/pppoe"
)

var ispMAC = pppoe.MAC{0x02, 0, 0, 0, 0, 0x15}

// fakeISP is the other end of the sessions that users share: PPPoE and PPP as
// servers, behind which is nothing but what the test sends.
type fakeISP struct {
	t    *testing.T
	port *ether.HubPort
	pool *frame.Pool

	mu       sync.Mutex
	server   *pppoe.Server
	timer    *time.Timer
	closed   bool
	cfg      ppp.LinkConfig // of the sessions to come
	secret   string
	deny     bool // whatever the name and the secret
	silent   bool // hears nothing, says nothing
	address  netip.Addr
	sessions map[uint16]*ispSession
	dials    []time.Time // of every session
	services []string    // asked for, by every session
	got      [][]byte    // IP packets, from any session
	other    int         // frames of other data protocols
	rejects  [][]byte    // Protocol-Rejects
	six      *isp6       // nil: no IPv6
}

type ispSession struct {
	isp  *fakeISP
	peer pppoe.MAC
	sid  uint16
	link *ppp.Link
	user string
	up   bool
	six  *ispSession6
}

func newFakeISP(t *testing.T, hub *ether.Hub, pool *frame.Pool) *fakeISP {
	i := &fakeISP{
		t: t, port: hub.Port("isp", ispMAC, pool), pool: pool, secret: "the office", sessions: make(map[uint16]*ispSession),
		server:  pppoe.NewServer(pppoe.ServerConfig{ACName: "isp", MAC: ispMAC, CookieKey: [32]byte{1}}),
		address: netip.MustParseAddr("203.0.113.10"),
		cfg: ppp.LinkConfig{
			Auth: []ppp.AuthMethod{ppp.AuthCHAPMD5},
			IPv4: &ppp.IPv4Config{
				Local: netip.MustParseAddr("203.0.113.1"), AssignPeer: true,
				DNS: [2]netip.Addr{netip.MustParseAddr("203.0.113.53"), netip.MustParseAddr("203.0.113.54")},
			},
			EchoInterval: 10 * time.Second,
		},
	}
	i.timer = time.AfterFunc(time.Hour, i.tick)
	go i.read()
	return i
}

func (i *fakeISP) close() {
	i.mu.Lock()
	i.closed = true
	i.timer.Stop()
	i.mu.Unlock()
	i.port.Close()
}

func (i *fakeISP) read() {
	bufs := make([]*frame.Buf, 32)
	for k := range bufs {
		bufs[k] = i.pool.Get()
	}
	for {
		n, err := i.port.ReadBatch(bufs)
		i.mu.Lock()
		for _, b := range bufs[:n] {
			i.input(time.Now(), b.Bytes())
		}
		i.mu.Unlock()
		if err != nil {
			for _, b := range bufs {
				b.Put()
			}
			return
		}
	}
}

func (i *fakeISP) input(now time.Time, f []byte) {
	hdr, payload, ok := ether.Parse(f)
	if !ok || i.silent || i.closed {
		return
	}
	if hdr.Type == ether.TypeDiscovery {
		i.server.Input(now, hdr.Src, payload)
		i.drain(now)
		return
	}
	h, inner, err := pppoe.ParseHeader(payload)
	s := i.sessions[h.SessionID]
	if err != nil || s == nil || s.peer != hdr.Src {
		return
	}
	switch p, info, ok := ppp.Split(inner); {
	case !ok || len(inner) > 1494:
		i.t.Errorf("the ISP got an ill-formed PPP frame of %d octets", len(inner))
	case p == ppp.ProtoIPv4:
		i.got = append(i.got, bytes.Clone(info))
	case p == ppp.ProtoIPv6 && s.six != nil:
		s.six.input(now, info)
	case p.IsData():
		i.other++
	default:
		if p == ppp.ProtoLCP && info[0] == byte(ppp.ProtocolReject) {
			i.rejects = append(i.rejects, bytes.Clone(info))
		}
		s.link.Input(now, inner)
		s.drain(now)
	}
	i.schedule(now)
}

func (i *fakeISP) tick() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return
	}
	now := time.Now()
	i.server.Tick(now)
	i.drain(now)
	for _, s := range i.sessions {
		s.link.Tick(now)
		s.drain(now)
		s.six.tick(now)
	}
	i.schedule(now)
}

func (i *fakeISP) schedule(now time.Time) {
	if i.closed {
		return
	}
	at := i.server.Deadline()
	for _, s := range i.sessions {
		at = earliest(at, earliest(s.link.Deadline(), s.six.deadline()))
	}
	if at.IsZero() {
		i.timer.Stop()
		return
	}
	i.timer.Reset(max(at.Sub(now), time.Millisecond))
}

func (i *fakeISP) drain(now time.Time) {
	for out, ok := i.server.Next(); ok; out, ok = i.server.Next() {
		switch out := out.(type) {
		case pppoe.Send:
			i.send(out.Dst, ether.TypeDiscovery, out.Packet)
		case pppoe.ServerOpened:
			s := &ispSession{isp: i, peer: out.Peer, sid: out.SessionID, link: ppp.NewLink(i.cfg)}
			i.sessions[s.sid] = s
			i.dials = append(i.dials, now)
			i.services = append(i.services, out.ServiceName)
			s.link.Open(now)
			s.link.Up(now)
			s.drain(now)
		case pppoe.ServerClosed:
			if s := i.sessions[out.SessionID]; s != nil {
				s.six.down()
			}
			delete(i.sessions, out.SessionID)
		}
	}
	i.schedule(now)
}

func (i *fakeISP) send(dst pppoe.MAC, kind uint16, packet []byte) {
	b := i.pool.Get()
	defer b.Put()
	b.SetBytes(packet)
	ether.Prepend(b, &ether.Header{Dst: dst, Src: ispMAC, Type: kind})
	if i.silent || i.closed {
		return
	}
	if _, err := i.port.WriteBatch([]*frame.Buf{b}); err != nil {
		i.t.Error(err)
	}
}

func (s *ispSession) drain(now time.Time) {
	for out, ok := s.link.Next(); ok; out, ok = s.link.Next() {
		switch out := out.(type) {
		case ppp.SendFrame:
			s.isp.send(s.peer, ether.TypeSession, sessionPacket(s.sid, out.Frame))
		case ppp.AuthRequest:
			ok := out.Verify(s.isp.secret) && !s.isp.deny
			words := "account unpaid"
			if ok {
				words = out.SuccessMessage(s.isp.secret, "hello")
			}
			s.link.AuthResult(now, out.ID, ok, words)
		case ppp.Authenticated:
			s.user = out.Name
		case ppp.AddressRequest:
			s.link.Address(now, out.ID, ppp.Assignment{Peer: s.isp.address})
			s.isp.address = s.isp.address.Next()
		case ppp.NetworkUp:
			s.up = true
		case ppp.NetworkDown:
			s.up = false
		case ppp.IPv6Up:
			s.six = newISPSession6(s, now, out)
		case ppp.IPv6Down:
			s.six.down()
			s.six = nil
		case ppp.Finished:
			s.isp.server.CloseSession(now, s.peer, s.sid, "")
			delete(s.isp.sessions, s.sid)
			s.isp.drain(now)
		}
	}
}

// do runs f with the ISP's state, and lets the rest of the world go on after it.
func (i *fakeISP) do(f func(now time.Time)) {
	i.mu.Lock()
	f(time.Now())
	i.schedule(time.Now())
	i.mu.Unlock()
	synctest.Wait()
}

// one is the session that is up, or of the user; nil if there is none.
func (i *fakeISP) one(user string) *ispSession {
	for _, s := range i.sessions {
		if (s.up || s.six != nil) && (user == "" || s.user == user) {
			return s
		}
	}
	return nil
}

// toUsers sends IP packets down the session of user.
func (i *fakeISP) toUsers(user string, packets ...[]byte) {
	i.t.Helper()
	i.do(func(time.Time) {
		s := i.one(user)
		if s == nil {
			i.t.Fatal("the ISP has no session to send on")
		}
		for _, p := range packets {
			i.send(s.peer, ether.TypeSession, sessionPacket(s.sid, append([]byte{0, 0x21}, p...)))
		}
	})
}

// want takes the oldest packet that came to the ISP.
func (i *fakeISP) want(why string) []byte {
	i.t.Helper()
	synctest.Wait()
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.got) == 0 {
		i.t.Fatalf("the ISP got no packet: %s", why)
	}
	p := i.got[0]
	i.got = i.got[1:]
	return p
}

func (i *fakeISP) wantNothing(why string) {
	i.t.Helper()
	synctest.Wait()
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.got) != 0 {
		i.t.Fatalf("the ISP got % x: %s", i.got[0], why)
	}
}

// dialled is when sessions were opened.
func (i *fakeISP) dialled() []time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]time.Time(nil), i.dials...)
}
