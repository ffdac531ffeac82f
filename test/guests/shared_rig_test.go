package guests

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"tributary/test/guests/guest"
)

// Mode shared: PPP ends at the gateway, which is one user of the ISP's, u60.
//
//	u1 netns ─┐
//	u2 netns ─┼─ 10.9.0.1 [gateway 10.99.0.1] one session ── ISP 10.64.0.1 ── 198.51.100.1
//	u3 netns ─┘                                              routes 10.99.0.0/16 to it
//
// Each user has a network namespace of its own in the user guest. In one they
// would all be the same host, which does not use its lines to talk to itself.
const (
	routedPrefix = "10.99.0.0/16" // what the ISP routes to the session
	ourAddress   = "10.99.0.1"    // where users have the gateway
	officeUser   = "u60"          // whom the ISP knows

	viaLocal = "10.9.0.1:7002" // as bank, but users reach each other at the gateway
	viaTiny  = "10.9.0.1:7003" // with a pool of one address
	viaMove  = "10.9.0.1:7004" // with two sessions, one to move to
	viaHang  = "10.9.0.1:7005" // with two sessions, and hung up if theirs falls
	viaNone  = "10.9.0.1:7006" // users have nothing to do with each other
)

// sharedUsers is how many users the gateway knows: u1 with password p1, ...
const sharedUsers = 20

// sharedOptions are more keys of the configuration that startShared writes.
type sharedOptions struct {
	session            string // of the session
	bank, local        string // of these groups of lines
	customers, nearest string // of the pools of bank and local
	more               string // groups of lines
	sessions           string // entries of sessions:
}

// startShared starts a gateway in mode shared and waits until its session with
// the ISP is up.
func (r *rig) startShared(o sharedOptions) *gateway {
	r.t.Helper()
	var list strings.Builder
	list.WriteString("users:\n")
	for i := 1; i <= sharedUsers; i++ {
		fmt.Fprintf(&list, "  - {name: u%d, password: \"p%d\"}\n", i, i)
	}
	r.writeSecret(r.users(), list.String())
	g := r.startTributary(gatewayOptions{
		lines: r.group("bank", bank, "session: office", "customers", "user_to_user: isp\n"+o.bank) +
			r.group("local", viaLocal, "session: office", "neighbours", "user_to_user: local\n"+o.local) +
			r.group("tiny", viaTiny, "session: office", "tiny", "") +
			r.group("alone", viaNone, "session: office", "alone", "user_to_user: none") + o.more,
		more: fmt.Sprintf(`
sessions:
%s%s
pools:
  - {name: customers, prefix: 10.99.0.0/24, exclude: [10.99.0.0, %s, 10.99.0.255], gateway: %s%s}
  - {name: neighbours, prefix: 10.99.2.0/24, exclude: [10.99.2.0, 10.99.2.255], gateway: %s%s}
  - {name: tiny, prefix: 10.99.1.0/30, exclude: [10.99.1.0-10.99.1.1, 10.99.1.3], gateway: %s}
  - {name: alone, prefix: 10.99.3.0/24, exclude: [10.99.3.0, 10.99.3.255], gateway: %s}
`, r.session("office", officeUser, o.session), o.sessions,
			ourAddress, ourAddress, o.customers, ourAddress, o.nearest, ourAddress, ourAddress),
	})
	g.office()
	return g
}

// session is one entry of sessions: of a user of the ISP's.
func (r *rig) session(name, user, keys string) string {
	r.t.Helper()
	secret := filepath.Join(r.dir, name+".secret")
	r.writeSecret(secret, "p"+strings.TrimPrefix(user, "u")+"\n")
	return fmt.Sprintf(`  - name: %s
    uplink: isp
    user: %s
    password_file: %s
    redial: {min: 500ms, max: 2s}
%s
`, name, user, secret, indent(keys, "    "))
}

func (r *rig) writeSecret(file, text string) {
	r.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// users is the file of those whom the gateway knows.
func (r *rig) users() string { return filepath.Join(r.dir, "users.yaml") }

// group is one entry of lines: in mode shared. session is its key for that.
func (r *rig) group(name, listen, session, pool, keys string) string {
	return fmt.Sprintf(`
  - name: %s
    tcp: {listen: %q}
    mode: shared
    %s
    users: %s
    pool: %s
%s`, name, listen, session, r.users(), pool, indent(keys, "    "))
}

// office is the session that users share.
func (g *gateway) office() lineInfo {
	g.r.t.Helper()
	return g.session("office")
}

// session waits until the session of a name is up, and is it.
func (g *gateway) session(name string) (l lineInfo) {
	g.r.t.Helper()
	g.r.eventually("the session with the ISP is up", func() error {
		all := g.allLines()
		i := slices.IndexFunc(all, func(l lineInfo) bool { return l.Kind == "session" && l.Name == "session/"+name })
		if i < 0 || all[i].Phase != "network" || all[i].Address == "" {
			return fmt.Errorf("lines --json: %+v", all)
		}
		l = all[i]
		return nil
	})
	return l
}

// routed waits until the ISP has the session, and its route to the pools, and
// returns its interface there.
func (g *gateway) routed() (ifname string) {
	g.r.t.Helper()
	g.office()
	g.r.eventually("the ISP routes the pools to the session", func() error {
		route := strings.Fields(g.r.must(g.r.isp, "ip route show "+routedPrefix))
		i := slices.Index(route, "dev")
		if i < 0 || i+1 >= len(route) {
			return fmt.Errorf("its route is %q", route)
		}
		ifname = route[i+1]
		return nil
	})
	return ifname
}

// of is the line of user id.
func (g *gateway) of(id int) lineInfo {
	g.r.t.Helper()
	for _, l := range g.lines() {
		if l.User == fmt.Sprintf("u%d", id) {
			return l
		}
	}
	g.r.t.Fatalf("user %d has no line", id)
	return lineInfo{}
}

// join brings user id up in a namespace of its own, and returns its address.
func (r *rig) join(where string, id int, pppdOptions string) string {
	r.t.Helper()
	return r.joined(id, r.must(r.user, fmt.Sprintf("up netns %s %d usepeerdns %s", where, id, pppdOptions)))
}

// joined checks what /rig/up said.
func (r *rig) joined(id int, upSaid string) string {
	r.t.Helper()
	local, peer, _ := strings.Cut(upSaid, " ")
	if !strings.HasPrefix(local, "10.99.") || peer != ourAddress {
		r.t.Fatalf("user %d got address %q and peer %q, want one of 10.99 and %s", id, local, peer, ourAddress)
	}
	return local
}

// leave hangs user id up.
func (r *rig) leave(id int) {
	r.t.Helper()
	r.must(r.user, fmt.Sprintf("kill $(head -n1 /run/ppp-l%d.pid)", id))
	r.hasEnded(id, "pppd was told to end")
}

// as runs a program in the namespace of user id. Of two by that name it is
// busybox's.
func (r *rig) as(id int, command string) string {
	r.t.Helper()
	return r.must(r.user, fmt.Sprintf("nsenter --net=/run/netns/u%d %s", id, command))
}

// pings sends three echo requests from user id. Each must come back; what ping
// said is returned.
func (r *rig) pings(id, size int, to string) string {
	r.t.Helper()
	return r.allBack(r.as(id, pingCommand(size, to)), fmt.Sprintf("ping from user %d to %s with %d octets", id, to, size))
}

// pingedByISP is the same from the ISP.
func (r *rig) pingedByISP(size int, to string) {
	r.t.Helper()
	r.allBack(r.must(r.isp, pingCommand(size, to)), fmt.Sprintf("ping from the ISP to %s with %d octets", to, size))
}

func pingCommand(size int, to string) string {
	return fmt.Sprintf("ping -c 3 -i 0.1 -W 10 -s %d %s", size, to)
}

func (r *rig) allBack(out, what string) string {
	r.t.Helper()
	if !strings.Contains(out, " 0% packet loss") {
		r.t.Errorf("%s: %s", what, out)
	}
	return out
}

// swap has user id send random octets to an echo server and take them back.
func (r *rig) swap(id int, to string, octets int) {
	r.t.Helper()
	r.must(r.user, fmt.Sprintf("swap %d %s %d", id, to, octets))
}

// pppdLog is what the pppd of user id has logged.
func (r *rig) pppdLog(id int) string {
	r.t.Helper()
	return r.must(r.user, fmt.Sprintf("cat /run/pppd.%d.log", id))
}

// wantLog wants lines in a log, and shows them as they are there.
func (r *rig) wantLog(what, log string, want ...string) {
	r.t.Helper()
	for _, w := range want {
		i := strings.Index(log, w)
		if i < 0 {
			r.t.Errorf("%s has no %q:\n%s", what, w, log)
			continue
		}
		line, _, _ := strings.Cut(log[strings.LastIndexByte(log[:i], '\n')+1:], "\n")
		r.t.Logf("%s: %s", what, line)
	}
}

// atISP are the IPv4 packets in the capture so far that match, in number.
func (r *rig) atISP(match func(ip *layers.IPv4, p gopacket.Packet) bool) int {
	r.t.Helper()
	return r.captured(func(p gopacket.Packet) bool {
		ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		return ok && match(ip, p)
	})
}

// captured are the frames in the capture so far that match, in number. The
// session's headers are taken off by gopacket, which knows nothing of ours.
func (r *rig) captured(match func(p gopacket.Packet) bool) (n int) {
	r.t.Helper()
	r.wire.Flush()
	f, err := os.Open(filepath.Join(r.dir, "isp.pcapng"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	in, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		r.t.Fatal(err)
	}
	for {
		b, _, err := in.ReadPacketData()
		if err == io.EOF || err == io.ErrUnexpectedEOF { // what is not flushed yet
			return n
		}
		if err != nil {
			r.t.Fatal(err)
		}
		if match(gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Lazy)) {
			n++
		}
	}
}

// between is a condition: packets from one address to another; "" is any.
func between(src, dst string) func(*layers.IPv4, gopacket.Packet) bool {
	return func(ip *layers.IPv4, _ gopacket.Packet) bool {
		return (src == "" || ip.SrcIP.String() == src) && (dst == "" || ip.DstIP.String() == dst)
	}
}

// try runs a script in a guest that may fail.
func (r *rig) try(g *guest.Guest, script string) string {
	r.t.Helper()
	return r.must(g, "{ "+script+"; } || true")
}
