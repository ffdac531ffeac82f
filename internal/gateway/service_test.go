package gateway

import (
	"testing"
	"testing/synctest"

	"tributary/internal/config"
	"tributary/internal/line"
	"tributary/ppp"
	"tributary/pppoe"
)

// services are the Service-Names that the ISP was asked for so far.
func (i *fakeISP) asked() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]string(nil), i.services...)
}

func wantServices(t *testing.T, isp *fakeISP, why string, want ...string) {
	t.Helper()
	got := isp.asked()
	if len(got) != len(want) {
		t.Fatalf("%s: the ISP was asked for %q, want %q", why, got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%s: the ISP was asked for %q, want %q", why, got, want)
		}
	}
}

// A user's realm is known when he gives his name. Its service is asked for in another
// session, and his PPP goes on in that.
func TestServiceByRealm(t *testing.T) {
	for _, tt := range []struct {
		name  string
		user  string
		want  []string
		after []string // what his next call asks for
	}{
		{"a realm with a service", "alice@gold.example", []string{"silver", "gold"}, []string{"gold"}},
		{"in capitals, behind the last @", "alice@home@GOLD.example", []string{"silver", "gold"}, []string{"gold"}},
		{"any service", "alice@any.example", []string{"silver", ""}, []string{""}},
		{"a realm with the service that he has", "alice@silver.example", []string{"silver"}, []string{"silver"}},
		{"another realm", "alice@elsewhere.example", []string{"silver"}, []string{"silver"}},
		{"no realm", "alice", []string{"silver"}, []string{"silver"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, method := range []ppp.AuthMethod{ppp.AuthCHAPMD5, ppp.AuthPAP} {
					r := &sharedRig{rig: makeRig(t, func(c *config.Config) {
						c.Uplinks[0].ServiceName = "bronze"
						c.Lines[0].ServiceName = "silver"
						c.Lines[0].ServicesByRealm = map[string]string{"gold.example": "gold", "any.example": "", "silver.example": "silver"}
					})}
					r.isp = newFakeISP(t, r.hub, r.pool)
					r.isp.cfg.Auth = []ppp.AuthMethod{method}
					r.also = append(r.also, r.isp.close)
					r.start()
					c := r.login("virtual/1", as(tt.user, "the office", method))
					wantServices(t, r.isp, tt.name, tt.want...)
					e := r.wantEvent(EventNetworkUp, "he is in")
					if e.User != tt.user {
						t.Errorf("%+v", e)
					}
					c.send(packet{src: c.address().String(), dst: server}.bytes())
					r.isp.want("what he sends")
					c.hangUp()
					r.wantEvent(EventLineDown, "he hangs up")
					r.login("virtual/1", as(tt.user, "the office", method)).hangUp()
					wantServices(t, r.isp, "the line knows", append(tt.want, tt.after...)...)
					r.end()
				}
			})
		})
	}
}

// Whoever gives another name in the session that was opened for the first stays there:
// a user can have a session opened for him once in a call, not as often as he likes.
func TestServiceByRealmOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *config.Config) {
			c.Lines[0].ServicesByRealm = map[string]string{"a": "gold", "b": "silver"}
		})
		u := r.dial("virtual/1")
		u.send(confReq(1, 5, 0xaa, 0xbb, 0xcc, 0xdd))
		open := func(sid uint16, id byte) { // the AC asks for PAP
			r.ac.grant(sid)
			r.ac.sendPPP(sid, ackOf(r.ac.wantPPP(sid, "his Configure-Request, held or handed over")))
			r.ac.sendPPP(sid, confReq(id, 3, 0xc0, 0x23))
		}
		name := func(user string) []byte {
			return ppp.Packet{Code: 1, ID: 1, Data: append(append([]byte{byte(len(user))}, user...), 0)}.AppendFrame(nil, ppp.ProtoPAP)
		}
		open(7, 9)
		u.want("the AC's Ack")
		u.send(ackOf(u.want("the AC's request")))
		r.ac.wantPPP(7, "his Ack")
		u.send(name("x@a"))
		r.ac.wantPPP(7, "a Terminate-Request in place of his name")
		r.ac.want(pppoe.PADT, "the session without his service")
		open(8, 1)
		request := u.want("the new AC's request")
		u.send(confReq(2, 5, 0xaa, 0xbb, 0xcc, 0xdd))
		r.ac.sendPPP(8, ackOf(r.ac.wantPPP(8, "his new Configure-Request")))
		u.want("its Ack")
		u.send(ackOf(request))
		r.ac.wantPPP(8, "his Ack")
		u.send(name("x@b"))
		if p, _, _ := ppp.Split(r.ac.wantPPP(8, "a second name goes to the AC as it is")); p != ppp.ProtoPAP {
			t.Errorf("the AC got protocol %v", p)
		}
		r.end()
	})
}

func TestAccessLineOf(t *testing.T) {
	for _, tt := range []struct {
		info line.Info
		want string
	}{
		{line.Info{Name: "bank/ttyUSB0", Group: "bank", Kind: "serial", Remote: "/dev/ttyUSB0"}, "gw|bank|ttyUSB0|ttyUSB0|/dev/ttyUSB0|/dev/ttyUSB0|serial"},
		{line.Info{Name: "virtual/17", Group: "virtual", Kind: "tcp", Remote: "192.0.2.7:40112"}, "gw|virtual|17||192.0.2.7:40112|192.0.2.7|tcp"},
		{line.Info{Name: "virtual/1", Group: "virtual", Kind: "tcp", Remote: "[2001:db8::1]:9"}, "gw|virtual|1||[2001:db8::1]:9|2001:db8::1|tcp"},
		{line.Info{}, "gw||||||"},
	} {
		if got := expandID("{hostname}|{group}|{line}|{device}|{remote}|{caller}|{kind}", "gw", tt.info); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.info, got, tt.want)
		}
	}
	for _, tt := range []struct {
		line, up, down int
		wantUp         uint32
		wantDown       uint32
	}{
		{0, 0, 0, 0, 0},
		{115200, 0, 0, 115, 115},
		{300, 0, 0, 1, 1},
		{115200, 33600, 0, 33600, 115},
		{0, 33600, 56000, 33600, 56000},
	} {
		s := &session{info: line.Info{Speed: tt.line}, group: &config.Lines{AccessSpeed: config.Speed{Up: tt.up, Down: tt.down}}}
		if up, down := s.accessRates(); up != tt.wantUp || down != tt.wantDown {
			t.Errorf("%+v: %d and %d", tt, up, down)
		}
	}
}
