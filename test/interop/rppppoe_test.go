package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"tributary/test/capture"
	"tributary/test/program"
)

// rpClient listens at an address and puts an rp-pppoe client of its own behind
// each connection, as people do who have no gateway.
func rpClient(t *testing.T, iface string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			file, err := conn.(*net.TCPConn).File()
			conn.Close()
			if err != nil {
				t.Error(err)
				return
			}
			cmd := exec.CommandContext(ctx, "pppoe", "-I", iface, "-U")
			cmd.Stdin, cmd.Stdout = file, file
			err = cmd.Start()
			file.Close()
			if err != nil {
				t.Error(err)
				return
			}
			running.Go(func() { cmd.Wait() })
		}
	})
	t.Cleanup(func() { l.Close(); cancel(); running.Wait() })
	return l.Addr().String()
}

// dialed is what the tests need of tributary dial --json.
type dialed struct {
	LCP     string `json:"lcp"`
	Auth    string `json:"auth"`
	Address string `json:"address"`
	MTU     int    `json:"mtu"`
	Ping    struct{ Sent, Received int }
	Get     struct {
		Octets   int
		Verified bool
	}
}

// dial has our own PPP client log in at target, ping with large packets, and
// download, for which TCP fills the MTU. Everything must arrive, but for the
// first ping: it is sent right behind the last Configure-Ack, and may find the
// access concentrator a moment before it has opened its side.
func dial(t *testing.T, target string, mtu int, args ...string) dialed {
	t.Helper()
	cmd := append([]string{tributary, "dial", target, "--user", "u1", "--password", "p1", "--json",
		"--ping", internet, "--interval", "20ms", "--size", "1400",
		"--get", "http://" + internet + "/bytes/2000000"}, args...)
	out := must(t, cmd...)
	var d dialed
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatalf("dial --json: %v in %s", err, out)
	}
	if d.Ping.Sent < 4 || d.Ping.Received < d.Ping.Sent-1 || d.Get.Octets != 2000000 || !d.Get.Verified || d.MTU != mtu {
		t.Errorf("dial: %s\nwant MTU %d, the pings back and 2,000,000 octets verified", out, mtu)
	}
	return d
}

// TestDiscoveryClient has rp-pppoe look for our access concentrator.
func TestDiscoveryClient(t *testing.T) {
	cable(t, "user0", "ac0", 1500)
	ac(t, "ac0", "--service", "internet", "--service", "games")
	out := must(t, "pppoe-discovery", "-I", "user0")
	for _, want := range []string{"Access-Concentrator: interop-ac", "Service-Name: internet", "Service-Name: games", "Got a cookie"} {
		if !strings.Contains(out, want) {
			t.Errorf("pppoe-discovery does not tell %q:\n%s", want, out)
		}
	}
	// A service that we have not got: RFC 2516 5.2, we MUST NOT answer with a PADO.
	if out, err := command("pppoe-discovery", "-I", "user0", "-S", "television", "-t", "1", "-a", "1"); err == nil && strings.Contains(out, "interop-ac") {
		t.Errorf("an offer for a service we have not got:\n%s", out)
	}
}

// TestClient has rp-pppoe's client open a session at our access concentrator,
// with our PPP client on its asynchronous side.
func TestClient(t *testing.T) {
	wire := cable(t, "user0", "ac0", 1500)
	server := ac(t, "ac0")
	target := "tcp:" + rpClient(t, "user0")
	for range 3 {
		d := dial(t, target, 1492)
		// It passes LCP through as it is, so our access concentrator, which obeys
		// RFC 2516 section 7, has rejected what belongs to the line.
		if !strings.Contains(d.LCP, "PFC false, ACFC false") {
			t.Errorf("LCP: %s, want no compression of PPPoE's header fields", d.LCP)
		}
	}
	eventually(t, "the client has ended its sessions, and we have noticed", func() error {
		if n := strings.Count(string(server.Output()), " closed "); n != 3 {
			return fmt.Errorf("%d of 3 are closed", n)
		}
		return nil
	})
	if n := len(wire.All(capture.IsDiscovery(true, capture.PADT, 0))); n != 3 {
		t.Errorf("%d PADTs from the client, want 3", n)
	}
}

// TestDiscover has us look for rp-pppoe's server.
func TestDiscover(t *testing.T) {
	cable(t, "user0", "isp0", 1500)
	// Its pppd would need a kernel with PPP; discovery does not come to that.
	program.Start(t, "pppoe-server", "-I", "isp0", "-F", "-C", "rp-pppoe", "-S", "internet")
	var out string
	eventually(t, "tributary discover finds rp-pppoe's server", func() (err error) {
		out, err = command(tributary, "discover", "-i", "user0", "--wait", "500ms", "--json")
		return err
	})
	if !strings.Contains(out, `"rp-pppoe"`) || !strings.Contains(out, `"internet"`) {
		t.Errorf("discover --json: %s", out)
	}
}

// TestRelayAgent puts rp-pppoe's relay agent between our client and our access
// concentrator. It marks what passes with a Relay-Session-Id, and nothing
// comes through unless both of us give that back unmodified (RFC 2516 appendix A).
func TestRelayAgent(t *testing.T) {
	user := cable(t, "user0", "relay0", 1500)
	isp := cable(t, "isp0", "relay1", 1500)
	program.Start(t, "pppoe-relay", "-F", "-C", "relay0", "-S", "relay1")
	ac(t, "isp0")
	eventually(t, "the relay agent is there", func() error {
		_, err := command(tributary, "discover", "-i", "user0", "--wait", "500ms")
		return err
	})
	dial(t, "pppoe:user0", 1492)
	for name, wire := range map[string]*capture.Capture{"user": user, "ISP": isp} {
		if len(wire.All(capture.IsDiscovery(name == "user", capture.PADT, 0))) == 0 &&
			len(wire.All(capture.IsDiscovery(name != "user", capture.PADT, 0))) == 0 {
			t.Errorf("no PADT on the %s's side:\n%s", name, wire.Summary(20))
		}
	}
}
