package guests

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"tributary/test/capture"
	"tributary/test/guests/guest"
	"tributary/test/sandbox"
)

// A rig is the world around one gateway:
//
//	user guest ── usr0 ── 10.9.0.1:7001 [gateway] uplink ── br0 ── isp0 ── isp guest
//	pppd over TCP or a serial line                                          pppoe-server, pppd,
//	                                                                        198.51.100.1 behind them
//
// uplink is a veth whose other end shares a bridge with the ISP's TAP. The
// capture is on that TAP, where it sees what the ISP sees.
type rig struct {
	t         *testing.T
	ctx       context.Context
	dir       string // logs and captures: kept by go test -artifacts
	isp, user *guest.Guest
	uplink    string
	wire      *capture.Capture
}

// patience bounds every wait for a condition. A loaded machine is slow, not broken.
const patience = 60 * time.Second

const (
	bank     = "10.9.0.1:7001" // where the gateway answers
	internet = "198.51.100.1"  // behind the ISP
)

type rigOptions struct {
	serve  string   // arguments of the guest's /rig/serve
	serial []string // the user guest's serial lines: host terminals
	direct bool     // the gateway is on the ISP's TAP itself, no bridge between
	mtu    int      // of the Ethernet, 1500 if 0
}

// newRig boots both guests and starts the ISP's server. It all ends with the test.
func newRig(t *testing.T, o rigOptions) *rig {
	t.Helper()
	sandbox.Need(t)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	r := &rig{t: t, ctx: ctx, dir: t.ArtifactDir(), uplink: "uplink0"}
	if o.mtu == 0 {
		o.mtu = 1500
	}
	r.network(o)
	r.wire = capture.Start(t, "isp0", filepath.Join(r.dir, "isp.pcapng"))

	abs, err := filepath.Abs(work)
	if err != nil {
		t.Fatal(err)
	}
	img := guest.ImageIn(abs, guest.KindFromEnv())
	var boots sync.WaitGroup
	start := func(g **guest.Guest, opts guest.Options) {
		boots.Go(func() {
			var err error
			if *g, err = guest.Start(ctx, img, r.dir, opts); err != nil {
				t.Error(err)
			}
		})
	}
	start(&r.isp, guest.Options{Name: "isp", Role: "isp", Taps: []string{"isp0"}, MTU: o.mtu})
	start(&r.user, guest.Options{Name: "user", Role: "user", Taps: []string{"usr0"}, Serial: o.serial})
	boots.Wait()
	t.Cleanup(func() {
		for _, g := range []*guest.Guest{r.isp, r.user} {
			if g != nil {
				r.keepLogs(g)
				g.Stop()
			}
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	r.serve(o.serve)
	t.Cleanup(r.tellOnFailure)
	return r
}

// network makes the interfaces of the drawing.
func (r *rig) network(o rigOptions) {
	r.t.Helper()
	must := func(err error) {
		r.t.Helper()
		if err != nil {
			r.t.Fatal(err)
		}
	}
	tap := func(name string) netlink.Link {
		link, err := guest.AddTap(name)
		must(err)
		r.t.Cleanup(func() { netlink.LinkDel(link) })
		return link
	}
	isp, usr := tap("isp0"), tap("usr0")
	must(netlink.LinkSetMTU(isp, o.mtu))
	addr, err := netlink.ParseAddr("10.9.0.1/24")
	must(err)
	must(netlink.AddrAdd(usr, addr))
	if o.direct {
		r.uplink = "isp0"
		return
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0", MTU: o.mtu}}
	must(netlink.LinkAdd(bridge))
	r.t.Cleanup(func() { netlink.LinkDel(bridge) })
	must(guest.Quiet(bridge))
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: r.uplink, MTU: o.mtu}, PeerName: "br0-uplink"}
	must(netlink.LinkAdd(veth))
	r.t.Cleanup(func() { netlink.LinkDel(veth) })
	must(guest.Quiet(veth))
	peer, err := netlink.LinkByName(veth.PeerName)
	must(err)
	must(guest.Quiet(peer))
	must(netlink.LinkSetMaster(peer, bridge))
	must(netlink.LinkSetMaster(isp, bridge))
}

// serve (re)starts the ISP's server: see rootfs/rig/serve.
func (r *rig) serve(args string) {
	r.t.Helper()
	r.must(r.isp, "serve "+args)
}

// must runs a script in a guest, and ends the test if it fails.
func (r *rig) must(g *guest.Guest, script string) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	out, err := g.Exec(ctx, script)
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// dial brings user ID up, by default over TCP, and returns its address.
// pppd's options go last, so that they win over /rig/dial's.
func (r *rig) dial(id int, pppdOptions string) string {
	r.t.Helper()
	return r.dialAt("tcp "+bank, id, pppdOptions)
}

func (r *rig) dialAt(where string, id int, pppdOptions string) string {
	r.t.Helper()
	local, peer, _ := strings.Cut(r.must(r.user, fmt.Sprintf("up %s %d %s", where, id, pppdOptions)), " ")
	if !strings.HasPrefix(local, "10.64.0.") || peer != "10.64.0.1" {
		r.t.Fatalf("user %d got address %q and peer %q, want 10.64.0.* and 10.64.0.1", id, local, peer)
	}
	r.must(r.user, fmt.Sprintf("ip route replace %s dev ppp%d", internet, id))
	return local
}

// ping sends n echo requests of size octets of data from user id to the
// internet. Each must come back.
func (r *rig) ping(id, n, size int) {
	r.t.Helper()
	r.must(r.user, fmt.Sprintf("ip route replace %s dev ppp%d", internet, id))
	out := r.must(r.user, fmt.Sprintf("ping -q -c %d -i 0.1 -W 10 -s %d %s", n, size, internet))
	if !strings.Contains(out, " 0% packet loss") {
		r.t.Errorf("ping from user %d with %d octets: %s", id, size, out)
	}
	r.t.Logf("ping user %d, %d octets: %s", id, size, lastLine(out))
}

// hasEnded waits until user id's pppd is gone.
func (r *rig) hasEnded(id int, why string) {
	r.t.Helper()
	r.eventually(why, func() error {
		if r.must(r.user, fmt.Sprintf("pidof pppd >/dev/null && cat /run/ppp-l%d.pid 2>/dev/null; true", id)) != "" {
			return fmt.Errorf("pppd of user %d still runs", id)
		}
		return nil
	})
}

// ispSessions waits until the ISP has exactly n sessions.
func (r *rig) ispSessions(n int, why string) {
	r.t.Helper()
	r.eventually(why, func() error {
		if got := len(strings.Fields(r.must(r.isp, "pidof pppd; true"))); got != n {
			return fmt.Errorf("the ISP has %d sessions, want %d", got, n)
		}
		return nil
	})
}

// eventually waits until condition holds.
func (r *rig) eventually(what string, condition func() error) {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: after %v: %v", what, patience, err)
		}
		time.Sleep(20 * time.Millisecond) // between two looks; no result depends on it
	}
}

// tellOnFailure puts what pppd said, on both sides, in a failed test's output.
func (r *rig) tellOnFailure() {
	if !r.t.Failed() {
		return
	}
	for _, g := range []*guest.Guest{r.isp, r.user} {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		out, _ := g.Exec(ctx, "ps | grep -v '\\[' | grep -E 'ppp|iperf'; tail -n 40 /run/isp.log /run/pppd.*.log /run/dhcp6s.log /run/radvd.log 2>/dev/null")
		cancel()
		r.t.Logf("guest %s:\n%s", g.Name, out)
	}
	r.t.Logf("last PPPoE control frames at the ISP:\n%s", r.wire.Summary(30))
}

// keepLogs puts what pppd and the ISP's servers have logged in the test's folder.
func (r *rig) keepLogs(g *guest.Guest) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	// A guest that is gone has nothing to say.
	_, _ = g.Exec(ctx, "mkdir /host/log && cp /run/isp.log /run/pppd.*.log /run/dhcp6s.log /host/log 2>/dev/null; true")
}

// logFile makes a file for a program's output and shows its end if the test fails.
func (r *rig) logFile(name string) *os.File {
	r.t.Helper()
	f, err := os.Create(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		f.Close()
		if b, _ := os.ReadFile(f.Name()); r.t.Failed() {
			r.t.Logf("%s:\n%s", name, b[max(0, len(b)-8000):])
		}
	})
	return f
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// in is the same rig for a subtest: what fails there fails there.
func (r *rig) in(t *testing.T) *rig {
	sub := *r
	sub.t = t
	t.Cleanup(sub.tellOnFailure)
	return &sub
}

// want waits for n control frames in the capture that match.
func (r *rig) want(why string, n int, match func(capture.Frame) bool) {
	r.t.Helper()
	r.eventually(why, func() error {
		if got := r.wire.All(match); len(got) < n {
			return fmt.Errorf("%d of %d such frames in the capture", len(got), n)
		}
		return nil
	})
}
