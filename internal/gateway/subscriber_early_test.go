package gateway

import (
	"bytes"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"tributary/hdlc"
	"tributary/internal/frame"
	"tributary/internal/ipv6"
	"tributary/internal/line"
	"tributary/ppp"
)

// earlyUser is a user whose PPP says everything but its Configure-Ack to one of the
// gateway's network protocols.
type earlyUser struct {
	t     *testing.T
	r     *sharedRig
	line  line.Line
	heard chan []byte

	link     *ppp.Link
	withheld ppp.Protocol
	ack      []byte
	up       *ppp.NetworkUp
	up6      *ppp.IPv6Up
}

func newEarlyUser(t *testing.T, r *sharedRig, cfg ppp.LinkConfig, withheld ppp.Protocol) *earlyUser {
	near, far := line.Pipe(line.Info{Name: "virtual/1", Group: "virtual", Kind: "pipe", Remote: "test"}, r.pool, line.PipeOptions{})
	u := &earlyUser{
		t: t, r: r, line: line.Over(far, line.Info{Name: "user"}, r.pool), heard: make(chan []byte, 64),
		link: ppp.NewLink(cfg), withheld: withheld,
	}
	go u.read()
	r.lines.c <- near
	u.link.Open(time.Now())
	u.link.Up(time.Now())
	u.drain()
	for {
		synctest.Wait()
		select {
		case f := <-u.heard:
			u.link.Input(time.Now(), f)
			u.drain()
		default:
			if u.ack == nil {
				t.Fatal("the gateway does not ask for an Ack")
			}
			return u
		}
	}
}

func (u *earlyUser) read() {
	var batch [8]*frame.Buf
	for {
		n, err := u.line.Read(batch[:])
		for _, b := range batch[:n] {
			u.heard <- bytes.Clone(b.Bytes())
			b.Put()
		}
		if err != nil {
			u.line.Close()
			return
		}
	}
}

// write sends frames that the gateway gets in one read.
func (u *earlyUser) write(frames ...[]byte) {
	var batch []*frame.Buf
	for _, f := range frames {
		b := u.r.pool.Get()
		b.SetBytes(f)
		batch = append(batch, b)
	}
	if err := u.line.Write(batch); err != nil {
		u.t.Error(err)
	}
	for _, b := range batch {
		b.Put()
	}
}

func (u *earlyUser) drain() {
	for out, ok := u.link.Next(); ok; out, ok = u.link.Next() {
		switch out := out.(type) {
		case ppp.SendFrame:
			if p, info, _ := ppp.Split(out.Frame); p == u.withheld && info[0] == byte(ppp.ConfigureAck) {
				u.ack = bytes.Clone(out.Frame)
				continue
			}
			u.write(out.Frame)
		case ppp.Params:
			u.line.SetParams(hdlc.Params{ACCM: out.Line.SendACCM, PFC: out.Line.SendPFC, ACFC: out.Line.SendACFC}, out.Line.RecvACCM)
		case ppp.NetworkUp:
			u.up = &out
		case ppp.IPv6Up:
			u.up6 = &out
		}
	}
}

// A user whose Configure-Ack is what opens IPCP may send his first packet right
// behind it: both may be in one read of the line, while the Ack is still the owner's.
func TestPacketBehindTheLastAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		u := newEarlyUser(t, r, as("bob", "builder"), ppp.ProtoIPCP)
		if u.up == nil {
			t.Fatal("the user has no network")
		}
		out := packet{src: u.up.Local.String(), dst: host, payload: udp(7, 7, []byte("first"))}
		ip := append([]byte{0, 0x21}, out.bytes()...)

		u.write(ip)
		r.isp.wantNothing("IPCP is not open at the gateway")
		r.wantDropped("virtual/1", "not_open", 1)

		u.write(u.ack, ip, ip)
		for range 2 {
			if got := r.isp.want("a packet behind the Ack goes to the ISP"); !bytes.Equal(got[20:], out.payload) {
				t.Errorf("% x", got)
			}
		}
		r.wantDropped("virtual/1", "not_open", 1)
		u.line.Close()
		r.wantEmpty("after the only user")
		r.end()
	})
}

// The same of IPV6CP, and of a user whose IPv4 is open already: he may know his /64
// from before.
func TestPacketBehindTheLastAckOfIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig6(t, nil)
		u := newEarlyUser(t, r, as6("bob", "builder"), ppp.ProtoIPV6CP)
		if u.up == nil || u.up6 == nil {
			t.Fatalf("the user has networks %+v and %+v", u.up, u.up6)
		}
		mine := ipv6.Address(netip.MustParsePrefix("2001:db8:0:1::/64"), u.up6.Local).String()
		out := append([]byte{0, 0x57}, packet6{src: mine, dst: remote6}.bytes()...)

		u.write(out)
		r.isp.wantNothing6("IPV6CP is not open at the gateway")
		r.wantDropped("virtual/1", "not_open", 1)

		u.write(u.ack, out, out)
		for range 2 {
			header6(t, r.isp.want6("a packet behind the Ack goes to the ISP"))
		}
		r.wantDropped("virtual/1", "not_open", 1)
		u.line.Close()
		r.wantEmpty("after the only user")
		r.wantEmpty6("after the only user")
		r.end()
	})
}
