package guests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// TestShared has pppd users on one session, by every way to prove who they are,
// with what they may do and what they may not.
func TestShared(t *testing.T) {
	r := newRig(t, rigOptions{serve: "route=" + routedPrefix})
	g := r.startShared(sharedOptions{})
	office := g.office()
	ifname := g.routed()
	r.wantLog("the ISP's pppd", r.must(r.isp, "cat /run/isp.log"),
		"rcvd [CHAP Response", "local  IP address 10.64.0.1", "remote IP address "+office.Address)

	// pppd refuses what the gateway asks first, until it is asked for what the
	// test is about.
	logins := []struct {
		name, env, pppd, auth string
		log                   []string
	}{
		{name: "CHAP", auth: "chap-md5", log: []string{"CHAP authentication succeeded"}},
		{name: "MS-CHAPv2", pppd: "refuse-chap", auth: "ms-chapv2", log: []string{"sent [LCP ConfNak", "CHAP authentication succeeded"}},
		{name: "PAP", pppd: "refuse-eap refuse-chap refuse-mschap refuse-mschap-v2", auth: "pap", log: []string{"sent [LCP ConfNak", "PAP authentication succeeded"}},
		// EAP is what pppd would rather have, and what the gateway does not speak.
		{name: "PAP, EAP wanted", pppd: "refuse-chap refuse-mschap refuse-mschap-v2", auth: "pap", log: []string{"sent [LCP ConfNak id=0x1 <auth eap>]", "PAP authentication succeeded"}},
		// RFC 1144's headers and RFC 1962's compression are not for a router of many.
		{name: "compression on offer", env: "compress=1 ", auth: "chap-md5", log: []string{"rcvd [IPCP ConfRej", "<compress VJ", "rcvd [LCP ProtRej id=0x3 80 fd"}},
		{name: "mru 296", pppd: "mru 296 mtu 296", auth: "chap-md5"},
		{name: "default-asyncmap", pppd: "default-asyncmap noaccomp nopcomp lcp-echo-interval 1 lcp-echo-failure 2", auth: "chap-md5"},
	}
	had := map[int]string{} // addresses
	for i, tt := range logins {
		t.Run(tt.name, func(t *testing.T) {
			r, id := r.in(t), i+1
			g := g.in(r)
			addr := r.joined(id, r.must(r.user, fmt.Sprintf("%sup netns %s %d usepeerdns %s", tt.env, bank, id, tt.pppd)))
			had[id] = addr
			r.wantLog("the user's pppd", r.pppdLog(id), append(tt.log,
				"local  IP address "+addr, "remote IP address "+ourAddress, "primary   DNS address 198.51.100.1")...)
			l := g.up(1)[0]
			if l.User != fmt.Sprintf("u%d", id) || l.Auth != tt.auth || l.Address != addr || l.Peer != ourAddress || l.Group != "bank" {
				t.Errorf("lines --json: %+v, want u%d by %s with %s", l, id, tt.auth, addr)
			}
			r.pings(id, 56, ourAddress)
			r.pings(id, 1464, internet) // a whole MTU of the session's
			r.pingedByISP(56, addr)
			r.swap(id, internet, 100_000)
			r.leave(id)
			g.none("the user has hung up")
			r.ispSessions(1, "the session stays")
		})
	}

	t.Run("the same address again", func(t *testing.T) {
		r := r.in(t)
		for _, id := range []int{3, 1} { // in another order than before
			if addr := r.join(bank, id, ""); addr != had[id] {
				t.Errorf("user %d has %s, want %s as before", id, addr, had[id])
			}
			r.leave(id)
		}
		g.in(r).none("both have hung up")
	})
	t.Run("user to user", func(t *testing.T) { testUserToUser(r.in(t), g) })
	t.Run("spoofed", func(t *testing.T) { testSpoofed(r.in(t), g, ifname) })
	t.Run("too big", func(t *testing.T) { testTooBig(r.in(t), g) })
	t.Run("wrong password", func(t *testing.T) { testWrongPassword(r.in(t), g) })
	t.Run("pool empty", func(t *testing.T) { testPoolEmpty(r.in(t), g) })
	if got := g.office(); got.SessionID != office.SessionID {
		t.Errorf("the session with the ISP is another one now: %d, not %d", got.SessionID, office.SessionID)
	}
	t.Run("the ISP ends PPP", func(t *testing.T) { testSessionEnds(r.in(t), g) })
}

// testUserToUser has two users talk to each other, through the ISP, at the
// gateway, and not at all. Their packets' TTL counts the routers between.
func testUserToUser(r *rig, g *gateway) {
	g = g.in(r)
	for _, tt := range []struct {
		name, where string
		ttl         string
		id          int
		atISP       bool
	}{
		{"isp", bank, "ttl=61", 11, true}, // the gateway, the ISP, the gateway
		{"local", viaLocal, "ttl=63", 13, false},
		{"none", viaNone, "", 9, false},
	} {
		r.t.Run(tt.name, func(t *testing.T) {
			r := r.in(t)
			one, two := r.join(tt.where, tt.id, ""), r.join(tt.where, tt.id+1, "")
			if tt.ttl == "" {
				out := r.try(r.user, fmt.Sprintf("ip netns exec u%d ping -c 3 -i 0.1 -W 1 %s", tt.id, two))
				if !strings.Contains(out, "100% packet loss") {
					t.Errorf("users who are to have nothing to do with each other: %s", out)
				}
				if n := r.atISP(between(one, two)); n > 0 {
					t.Errorf("%d packets from user to user at the ISP", n)
				}
				r.pings(tt.id, 56, internet)
				r.leave(tt.id)
				r.leave(tt.id + 1)
				g.in(r).none("both have hung up")
				return
			}
			if out := r.pings(tt.id, 1400, two); strings.Count(out, tt.ttl) != 3 {
				t.Errorf("ping to another user: want 3 answers with %s in\n%s", tt.ttl, out)
			}
			r.as(tt.id+1, "echod")
			r.eventually("the other user's echo server answers", func() error {
				out := r.try(r.user, fmt.Sprintf("echo hello | ip netns exec u%d socat -t 10 - TCP:%s:7", tt.id, two))
				if out != "hello" {
					return fmt.Errorf("it said %q", out)
				}
				return nil
			})
			r.swap(tt.id, two, 200_000)
			if n := r.atISP(between(one, two)); (n > 0) != tt.atISP {
				t.Errorf("%d packets from user to user at the ISP", n)
			}
			r.leave(tt.id)
			r.leave(tt.id + 1)
			g.in(r).none("both have hung up")
		})
	}
}

// testSpoofed sends from an address that is not the user's, for which the ISP
// even has a route back.
func testSpoofed(r *rig, g *gateway, ifname string) {
	g = g.in(r)
	const stolen = "203.0.113.9"
	addr := r.join(bank, 15, "")
	r.pings(15, 56, internet)
	r.must(r.isp, "ip route replace "+stolen+" dev "+ifname)
	r.must(r.user, "ip -n u15 addr add "+stolen+"/32 dev ppp15")
	out := r.try(r.user, "ip netns exec u15 ping -c 3 -i 0.1 -W 1 -I "+stolen+" "+internet)
	if !strings.Contains(out, "100% packet loss") {
		r.t.Errorf("a ping from a stolen address: %s", out)
	}
	if n := g.of(15).Dropped["spoofed"]; n < 3 {
		r.t.Errorf("%d packets counted as spoofed, want 3", n)
	}
	r.pings(15, 56, internet) // with its own address it goes on
	if n := r.atISP(between(addr, internet)); n < 6 {
		r.t.Errorf("%d packets of the user at the ISP: the capture shows nothing", n)
	}
	if n := r.atISP(between(stolen, "")); n > 0 {
		r.t.Errorf("%d packets from a stolen address have come to the ISP", n)
	}
	r.leave(15)
	g.none("the user has hung up")
}

// testTooBig has both kernels find out what the path takes.
func testTooBig(r *rig, g *gateway) {
	g = g.in(r)
	addr := r.join(bank, 16, "")
	// The user's interface takes 1500, the session 1492. Linux sends pings with
	// Don't Fragment until it is told.
	r.try(r.user, "ip netns exec u16 ping -c 2 -i 0.1 -W 1 -s 1472 "+internet)
	if out := r.must(r.user, "ip -n u16 route get "+internet); !strings.Contains(out, "mtu 1492") {
		r.t.Errorf("the user's kernel has not learned the session's MTU: %s", out)
	}
	r.pings(16, 1472, internet) // from then on in fragments
	r.leave(16)
	g.none("the user has hung up")

	if addr != r.join(bank, 16, "mru 576") {
		r.t.Error("the user has another address than before")
	}
	r.try(r.isp, "ping -c 2 -i 0.1 -W 1 -s 1400 "+addr)
	if out := r.must(r.isp, "ip route get "+addr); !strings.Contains(out, "mtu 576") {
		r.t.Errorf("the ISP's kernel has not learned the user's MTU: %s", out)
	}
	r.pingedByISP(1400, addr)
	// TCP is spared all that. RFC 879: MSS is the MTU less 40.
	r.swap(16, internet, 100_000)
	if n := r.atISP(func(ip *layers.IPv4, p gopacket.Packet) bool {
		return ip.SrcIP.String() == addr && mssOf(p) == 576-40
	}); n == 0 {
		r.t.Error("no SYN of the user's with MSS 536 at the ISP")
	}
	r.leave(16)
	g.none("the user has hung up")
}

// mssOf is the MSS of a SYN, and 0 of anything else.
func mssOf(p gopacket.Packet) (mss int) {
	if tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP); ok && tcp.SYN {
		for _, o := range tcp.Options {
			if o.OptionType == layers.TCPOptionKindMSS && len(o.OptionData) == 2 {
				mss = int(o.OptionData[0])<<8 | int(o.OptionData[1])
			}
		}
	}
	return mss
}

// testWrongPassword: what pppd makes of a refusal, by each way.
func testWrongPassword(r *rig, g *gateway) {
	g = g.in(r)
	for _, tt := range []struct{ name, pppd, log string }{
		{"CHAP", "", "CHAP authentication failed"},
		{"MS-CHAPv2", "refuse-chap", "MS-CHAP authentication failed"},
		{"PAP", "refuse-eap refuse-chap refuse-mschap refuse-mschap-v2", "PAP authentication failed"},
	} {
		r.t.Run(tt.name, func(t *testing.T) {
			r := r.in(t)
			out := r.must(r.user, "up netns "+bank+" 17 password wrong "+tt.pppd+" && exit 1; cat /run/pppd.17.log")
			r.wantLog("the user's pppd", out, tt.log)
			t.Logf("all of it:\n%s", out)
			g.in(r).none("the user is refused")
		})
	}
	r.t.Run("a stranger", func(t *testing.T) {
		r := r.in(t)
		out := r.must(r.user, "up netns "+bank+" 17 user mallory && exit 1; cat /run/pppd.17.log")
		r.wantLog("the user's pppd", out, "CHAP authentication failed")
		g.in(r).none("the user is refused")
	})
	r.t.Run("twice at once", func(t *testing.T) {
		r := r.in(t)
		g := g.in(r)
		r.join(bank, 17, "")
		out := r.must(r.user, "up netns "+bank+" 18 user u17 password p17 && exit 1; cat /run/pppd.18.log")
		r.wantLog("the user's pppd", out, "CHAP authentication failed: too many sessions")
		r.pings(17, 56, internet) // who was first stays
		g.up(1)
		r.leave(17)
		g.none("the user has hung up")
	})
}

// testPoolEmpty has two users and one address. The second one gets it when the
// first has gone.
func testPoolEmpty(r *rig, g *gateway) {
	g = g.in(r)
	first := r.join(viaTiny, 18, "")
	out := r.must(r.user, "up netns "+viaTiny+" 19 && exit 1; cat /run/pppd.19.log")
	r.wantLog("the user's pppd", out, "CHAP authentication succeeded", "LCP terminated by peer")
	r.t.Logf("all of it:\n%s", out)
	r.pings(18, 56, internet) // who was first stays
	r.leave(18)
	g.none("both have hung up")
	if second := r.join(viaTiny, 19, ""); second != first {
		r.t.Errorf("the pool's one address is %s, the second user has %s", first, second)
	}
	r.pings(19, 56, internet)
	r.leave(19)
	g.none("the user has hung up")
}

// testSessionEnds has the ISP hang up, politely. The user is hung up, and the
// next call finds a new session.
func testSessionEnds(r *rig, g *gateway) {
	g = g.in(r)
	before := g.office()
	addr := r.join(bank, 20, "")
	r.must(r.isp, "killall pppd")
	r.hasEnded(20, "the user is told that the session is gone")
	r.wantLog("the user's pppd", r.pppdLog(20), "LCP terminated by peer (the session with the ISP is down)")
	g.none("the user is gone")
	r.want("the session is ended with a PADT", 1, padtOf(before.SessionID))
	g.routed()
	if again := r.join(bank, 20, ""); again != addr {
		r.t.Errorf("the user has %s, not %s as before", again, addr)
	}
	r.pings(20, 56, internet)
	r.leave(20)
	g.none("the user has hung up")
}
