package guests

import (
	"fmt"
	"strings"
	"testing"

	"tributary/test/capture"
)

// TestOptions dials with the options that pppd's users set, against ISPs that
// ask for what ISPs ask for. Each gets an address and can use it.
func TestOptions(t *testing.T) {
	r := newRig(t, rigOptions{})
	g := r.startTributary(gatewayOptions{})
	tests := []struct {
		name, serve, pppd string
		user, auth        string // as lines --json tells them
		size              int    // of a ping that fills the MTU
	}{
		{name: "CHAP", user: "u%d", auth: "chap-md5", size: 1464},
		{name: "PAP", serve: "auth=pap", user: "u%d", auth: "pap", size: 1464},
		{name: "no authentication", serve: "auth=none", auth: "none", size: 1464},
		// Old stacks insist on 1500. The AC must not see it, and what comes is 1492.
		{name: "mru 1500", pppd: "mru 1500 mtu 1500", user: "u%d", auth: "chap-md5", size: 1464},
		{name: "mru 576", pppd: "mru 576 mtu 576", user: "u%d", auth: "chap-md5", size: 548},
		{name: "mru 296", pppd: "mru 296 mtu 296", user: "u%d", auth: "chap-md5", size: 268},
		{name: "no magic number", pppd: "nomagic", user: "u%d", auth: "chap-md5", size: 1464},
		{name: "echo from the user", pppd: "lcp-echo-interval 1 lcp-echo-failure 2", user: "u%d", auth: "chap-md5", size: 1464},
		{name: "compression on offer", pppd: "deflate 15 bsdcomp 15", user: "u%d", auth: "chap-md5", size: 1464},
		{name: "user-mode server", serve: "mode=user", user: "u%d", auth: "chap-md5", size: 1400},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := r.in(t)
			g := g.in(r)
			id := i + 1
			r.serve(tt.serve)
			r.dial(id, tt.pppd)
			r.ping(id, 3, tt.size)
			l := g.up(1)[0]
			user := tt.user
			if user != "" {
				user = fmt.Sprintf(user, id)
			}
			if l.User != user || l.Auth != tt.auth {
				t.Errorf("lines --json: user %q, auth %q; want %q, %q", l.User, l.Auth, user, tt.auth)
			}
			r.must(r.user, fmt.Sprintf("kill $(head -n1 /run/ppp-l%d.pid)", id))
			r.hasEnded(id, "pppd was told to end")
			g.none("the user has hung up")
			r.ispSessions(0, "the session has ended at the ISP")
		})
	}
	t.Run("wrong password", func(t *testing.T) {
		r := r.in(t)
		r.serve("")
		out := r.must(r.user, "up tcp "+bank+" 60 password wrong && exit 1; cat /run/pppd.60.log")
		if want := "CHAP authentication failed"; !strings.Contains(out, want) {
			t.Errorf("pppd's log has no %q:\n%s", want, out)
		}
		g.in(r).none("the ISP has refused the user")
	})
}

// TestVLAN reaches the ISP behind one tag and behind two, with full-size
// packets. On the bridge the kernel keeps the outer tag in the packet's
// metadata; on the TAP it comes in line. For two tags the Ethernet has to take
// eight octets more: Linux lets a packet socket go beyond the MTU for one
// 802.1Q tag, and for no other.
func TestVLAN(t *testing.T) {
	tests := []struct {
		name, serve, vlans string
		want               []uint16
		mtu                int
		direct             bool
	}{
		{name: "one", serve: "vlan=100", vlans: "[100]", want: []uint16{100}, mtu: 1500},
		{name: "one, on the TAP", serve: "vlan=100", vlans: "[100]", want: []uint16{100}, mtu: 1500, direct: true},
		{name: "two", serve: "svlan=100 vlan=7", vlans: "[100, 7]", want: []uint16{100, 7}, mtu: 1508},
		{name: "two, on the TAP", serve: "svlan=100 vlan=7", vlans: "[100, 7]", want: []uint16{100, 7}, mtu: 1508, direct: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, rigOptions{serve: tt.serve, mtu: tt.mtu, direct: tt.direct})
			g := r.startTributary(gatewayOptions{uplink: "vlans: " + tt.vlans})
			r.dial(1, "")
			r.ping(1, 3, 1464)
			l := g.up(1)[0]
			for _, f := range r.wire.All(func(f capture.Frame) bool { return f.Out }) {
				if fmt.Sprint(f.VLANs) != fmt.Sprint(tt.want) {
					t.Errorf("frame to the ISP with VLANs %v, want %v", f.VLANs, tt.want)
					break
				}
			}
			r.must(r.user, "kill $(head -n1 /run/ppp-l1.pid)")
			r.want("the PADT has the tags too", 1, capture.IsDiscovery(true, capture.PADT, l.SessionID))
			r.ispSessions(0, "the session has ended at the ISP")
		})
	}
}
