package gateway

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tributary/internal/ether"
	"tributary/ppp"
)

// askAnew has the ISP begin LCP anew on the session that is up.
func (i *fakeISP) askAnew() {
	s := i.one("")
	i.send(s.peer, ether.TypeSession, sessionPacket(s.sid, ppp.Packet{Code: ppp.ConfigureRequest, ID: 77}.AppendFrame(nil, ppp.ProtoLCP)))
}

// An ISP that negotiates once more, and gives another address even, costs users
// nothing but the packets of that moment.
func TestTrunkRenegotiates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		var users []*caller
		for i := range 3 {
			users = append(users, r.login(fmt.Sprintf("virtual/%d", i), as("alice", "wonderland")))
		}
		r.isp.do(func(time.Time) { r.isp.askAnew() })
		r.wantEvent(EventTrunkDown, "the ISP begins anew")
		r.wantEvent(EventTrunkUp, "and that does not take long")
		time.Sleep(2 * trunkGrace)
		for _, c := range users {
			a := c.address().String()
			out := packet{src: a, dst: host, payload: udp(7, 7, []byte(c.name))}
			c.send(out.bytes())
			if got := r.isp.want("up, after it"); !bytes.Equal(got[20:], out.payload) {
				t.Errorf("% x", got)
			}
			in := packet{src: host, dst: a, payload: udp(7, 7, []byte(c.name))}
			r.isp.toUsers("", in.bytes())
			if got := c.want("down, after it"); !bytes.Equal(got[20:], in.payload) {
				t.Errorf("% x", got)
			}
		}
		if n := r.gw.Endings()[ReasonTrunkDown]; n != 0 {
			t.Errorf("%d users were hung up", n)
		}
		r.end()
	})
}

// One that then says nothing more is waited for only so long.
func TestTrunkDoesNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSharedRig(t, nil)
		r.login("virtual/1", as("bob", "builder"))
		r.isp.do(func(time.Time) {
			r.isp.askAnew()
			r.isp.silent = true
		})
		time.Sleep(trunkGrace - time.Second)
		if n := r.gw.Endings()[ReasonTrunkDown]; n != 0 {
			t.Error("the user was hung up at once")
		}
		time.Sleep(5 * time.Second)
		if n := r.gw.Endings()[ReasonTrunkDown]; n != 1 {
			t.Errorf("endings %v: the user is to be hung up by now", r.gw.Endings())
		}
		r.wantEmpty("nobody is left")
		r.end()
	})
}
