package guests

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tributary/test/capture"
	"tributary/test/program"
	"tributary/test/tshark"
)

// gateway is one life of tributary run, between the guests of a rig.
type gateway struct {
	r            *rig
	bin          string
	config, sock string
	cmd          *exec.Cmd
	ended        chan struct{}
	log          *os.File
}

// gatewayOptions changes the configuration that most tests have: one TCP group.
type gatewayOptions struct {
	lines  string // YAML of the entries of lines:; default is TCP at bank
	uplink string // more keys of the uplink
	more   string // more keys of the configuration itself
	fast   bool   // without the race detector
}

const tcpLines = `
  - name: virtual
    tcp: {listen: "` + bank + `"}
    mode: relay
    uplink: isp
`

// startTributary starts the gateway and waits until it answers on its control socket.
func (r *rig) startTributary(o gatewayOptions) *gateway {
	r.t.Helper()
	if o.lines == "" {
		o.lines = tcpLines
	}
	g := &gateway{r: r, bin: program.Path(work, !o.fast), config: filepath.Join(r.dir, "tributary.yaml"), log: r.logFile("tributary.log")}
	// A Unix socket's path is short, a test's folder may not be.
	run, err := os.MkdirTemp("", "trib")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { os.RemoveAll(run) })
	g.sock = filepath.Join(run, "sock")
	conf := fmt.Sprintf(`uplinks:
  - name: isp
    interface: %s
%s
lines:
%s
control:
  socket: %s
log: {level: debug, format: text}
state_dir: %s
%s`, r.uplink, indent(o.uplink, "    "), strings.Trim(o.lines, "\n"), g.sock, filepath.Join(run, "state"), o.more)
	if err := os.WriteFile(g.config, []byte(conf), 0o644); err != nil {
		r.t.Fatal(err)
	}
	g.start()
	return g
}

func indent(s, by string) string {
	if s = strings.TrimSpace(s); s == "" {
		return ""
	}
	return by + strings.ReplaceAll(s, "\n", "\n"+by)
}

// start starts another life with the same configuration and state.
func (g *gateway) start() {
	g.r.t.Helper()
	g.cmd = exec.Command(g.bin, "run", "-c", g.config)
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	if err := g.cmd.Start(); err != nil {
		g.r.t.Fatal(err)
	}
	ended := make(chan struct{})
	g.ended = ended
	go func() { g.cmd.Wait(); close(ended) }()
	g.r.t.Cleanup(func() { g.end(ended) })
	g.r.t.Cleanup(func() {
		if g.r.t.Failed() {
			out, err := g.ctl("uplinks", "--json")
			g.r.t.Logf("tributary uplinks: %v\n%s", err, out)
		}
	})
	g.r.eventually("tributary answers on its control socket", func() error {
		select {
		case <-ended:
			g.r.t.Fatalf("tributary ended at its start: %v", g.cmd.ProcessState)
		default:
		}
		_, err := g.ctl("lines", "--json")
		return err
	})
}

// end is the cleanup of every life: a clean stop, and no race found on the way.
func (g *gateway) end(ended chan struct{}) {
	select {
	case <-ended:
	default:
		g.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience):
			g.cmd.Process.Kill()
			<-ended
			g.r.t.Error("tributary does not end on SIGTERM")
		}
	}
	b, _ := os.ReadFile(g.log.Name())
	for _, bad := range []string{"WARNING: DATA RACE", "panic:", "fatal error:"} {
		if bytes.Contains(b, []byte(bad)) {
			g.r.t.Errorf("tributary's log has %q", bad)
		}
	}
}

// stop ends the gateway as an operator does, and wants a clean exit.
func (g *gateway) stop() {
	g.r.t.Helper()
	if err := g.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		g.r.t.Fatal(err)
	}
	select {
	case <-g.ended:
		if code := g.cmd.ProcessState.ExitCode(); code != 0 {
			g.r.t.Errorf("tributary stopped with exit code %d", code)
		}
	case <-time.After(patience):
		g.r.t.Fatal("tributary does not end on SIGTERM")
	}
}

// kill ends it as a crash does.
func (g *gateway) kill() {
	g.cmd.Process.Kill()
	<-g.ended
}

// ctl runs one of the commands that talk to the running gateway.
func (g *gateway) ctl(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(g.r.ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, g.bin, append(args, "--socket", g.sock)...)
	// The race detector has a program sleep for a second at its end, in case a thread
	// has something to report. The gateway may; a command of a few lines need not.
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("tributary %s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
	}
	return out, err
}

// lineInfo is what the tests need of tributary lines --json: a promise to
// every script, so it is written down here again and not taken from the code.
type lineInfo struct {
	Name      string `json:"name"`
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	State     string `json:"state"`
	Phase     string `json:"phase"`
	Uplink    string `json:"uplink"` // of a user in mode shared: the session
	SessionID uint16 `json:"session_id"`
	ACName    string `json:"ac_name"`
	User      string `json:"user"`
	Auth      string `json:"auth"`
	Address   string `json:"address"`
	Peer      string `json:"peer"`
	Prefix    string `json:"prefix"`
	SendACCM  uint32 `json:"send_accm"`
	PFC       bool   `json:"pfc"`
	ACFC      bool   `json:"acfc"`
	Session   struct {
		UpOctets   uint64 `json:"up_octets"`
		DownOctets uint64 `json:"down_octets"`
	} `json:"session"`
	Dropped map[string]uint64 `json:"dropped"`
}

// lines is the lines of users.
func (g *gateway) lines() (lines []lineInfo) {
	g.r.t.Helper()
	for _, l := range g.allLines() {
		if l.Kind != "session" {
			lines = append(lines, l)
		}
	}
	return lines
}

// allLines has those, too, of sessions that users share.
func (g *gateway) allLines() []lineInfo {
	g.r.t.Helper()
	out, err := g.ctl("lines", "--json")
	if err != nil {
		g.r.t.Fatal(err)
	}
	var lines []lineInfo
	if err := json.Unmarshal(out, &lines); err != nil {
		g.r.t.Fatalf("lines --json: %v in %s", err, out)
	}
	return lines
}

// up waits until exactly n lines have an address, and returns them.
func (g *gateway) up(n int) (lines []lineInfo) {
	g.r.t.Helper()
	g.r.eventually(fmt.Sprintf("%d lines are in their network phase", n), func() error {
		lines = g.lines()
		got := 0
		for _, l := range lines {
			if l.Phase == "network" && l.Address != "" {
				got++
			}
		}
		if got != n || len(lines) != n {
			return fmt.Errorf("lines --json: %+v", lines)
		}
		return nil
	})
	return lines
}

// none waits until the gateway has no line.
func (g *gateway) none(why string) {
	g.r.t.Helper()
	g.r.eventually(why, func() error {
		if lines := g.lines(); len(lines) != 0 {
			return fmt.Errorf("lines --json: %+v", lines)
		}
		return nil
	})
}

// TestRelay is the whole of it, once: a user dials in over TCP, gets a session
// of its own, and uses it.
func TestRelay(t *testing.T) {
	r := newRig(t, rigOptions{})
	g := r.startTributary(gatewayOptions{fast: true})
	addr := r.dial(1, "")
	r.ping(1, 5, 56)
	r.ping(1, 2, 1464) // a whole MTU of 1492

	l := g.up(1)[0]
	if l.Kind != "tcp" || l.User != "u1" || l.Auth != "chap-md5" || l.Address != addr || l.Peer != "10.64.0.1" || l.ACName != "rig-isp" || l.SessionID == 0 {
		t.Errorf("lines --json: %+v, want user u1 by CHAP on rig-isp with %s", l, addr)
	}
	r.transfer(1)
	// The host kernel's own PPPoE would be the judge of a wrong length or pad;
	// here it is tshark, on everything that was captured.
	r.wire.Flush()
	tshark.Check(t, filepath.Join(r.dir, "isp.pcapng"))
}

// TestRelayDirect is on the TAP itself: what the ISP sends has its tags, if
// any, in line, and no bridge has looked at a frame before.
func TestRelayDirect(t *testing.T) {
	r := newRig(t, rigOptions{direct: true})
	g := r.startTributary(gatewayOptions{})
	r.dial(1, "")
	r.ping(1, 3, 1464)
	g.up(1)
}

// TestTwenty has twenty users at once, each with a session of its own.
func TestTwenty(t *testing.T) {
	const n = 20
	r := newRig(t, rigOptions{})
	g := r.startTributary(gatewayOptions{})
	began := time.Now()
	r.must(r.user, fmt.Sprintf("for i in $(seq 1 %d); do up tcp %s $i >/run/up.$i 2>&1 & p=\"$p $!\"; done; for q in $p; do wait $q || exit 1; done", n, bank))
	lines := g.up(n)
	t.Logf("%d users up in %v", n, time.Since(began).Round(10*time.Millisecond))

	sids, addrs, users := map[uint16]bool{}, map[string]bool{}, map[string]bool{}
	for _, l := range lines {
		sids[l.SessionID], addrs[l.Address], users[l.User] = true, true, true
	}
	if len(sids) != n || len(addrs) != n || len(users) != n {
		t.Errorf("%d session ids, %d addresses, %d users for %d lines", len(sids), len(addrs), len(users), n)
	}
	r.must(r.user, fmt.Sprintf(`for i in $(seq 1 %d); do ping -q -c 2 -i 0.2 -W 10 -I ppp$i 10.64.0.1 >/run/ping.$i & p="$p $!"; done
for q in $p; do wait $q || { cat /run/ping.*; exit 1; }; done`, n))

	r.must(r.user, "killall pppd")
	g.none("every user has hung up")
	r.ispSessions(0, "every session has ended at the ISP")
	for sid := range sids {
		r.want(fmt.Sprintf("session %d is ended with a PADT", sid), 1, capture.IsDiscovery(true, capture.PADT, sid))
	}
}

// in is the same gateway for a subtest.
func (g *gateway) in(r *rig) *gateway {
	sub := *g
	sub.r = r
	return &sub
}
