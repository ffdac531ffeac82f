// Package interop has Tributary talk to PPPoE programs that others wrote, and
// to itself with Wireshark's dissectors as the judge, over virtual cables. No
// kernel PPP is needed.
package interop

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"tributary/test/capture"
	"tributary/test/program"
	"tributary/test/sandbox"
	"tributary/test/tshark"
)

const (
	work     = "../.work/interop"
	patience = 60 * time.Second
	internet = "198.51.100.1"
)

func TestMain(m *testing.M) { sandbox.Main(m, prepare) }

func prepare() error {
	for _, prog := range []string{"pppoe", "pppoe-discovery", "pppoe-server", "pppoe-relay", "tshark"} {
		if _, err := exec.LookPath(prog); err != nil {
			return sandbox.Missing(prog + " is not here, or not for this user to run: test/deps.sh, as root, installs it")
		}
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return program.Build(ctx, work)
}

var tributary = program.Path(work, true)

// cable joins two new interfaces, and records what passes the first.
func cable(t *testing.T, a, b string, mtu int) *capture.Capture {
	t.Helper()
	sandbox.Need(t)
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: a, MTU: mtu}, PeerName: b}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { netlink.LinkDel(veth) })
	for _, name := range []string{a, b} {
		os.WriteFile("/proc/sys/net/ipv6/conf/"+name+"/disable_ipv6", []byte("1"), 0o644)
		link, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetMTU(link, mtu)
		}
		if err == nil {
			err = netlink.LinkSetUp(link)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.ArtifactDir(), a+".pcapng")
	c := capture.Start(t, a, file)
	t.Cleanup(func() {
		c.Flush()
		tshark.Check(t, file)
	})
	return c
}

// ac starts our own access concentrator, and waits until it is there.
func ac(t *testing.T, iface string, args ...string) *program.Process {
	t.Helper()
	p := program.Start(t, append([]string{tributary, "ac", "-i", iface, "--name", "interop-ac"}, args...)...)
	eventually(t, "the access concentrator is there", func() error { return has(p, "access concentrator") })
	return p
}

// has is nil when the program has printed a text.
func has(p *program.Process, text string) error {
	select {
	case <-p.Ended():
		return fmt.Errorf("it has ended: exit code %d", p.ExitCode())
	default:
	}
	if out := string(p.Output()); !strings.Contains(out, text) {
		return fmt.Errorf("no %q in what it printed: %q", text, out)
	}
	return nil
}

// must runs a program to its end and returns what it printed.
func must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func command(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%v: %w\n%s", args, err, out)
	}
	return string(out), err
}

// eventually waits until condition holds.
func eventually(t *testing.T, what string, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: after %v: %v", what, patience, err)
		}
		time.Sleep(20 * time.Millisecond) // between two looks; no result depends on it
	}
}

// freeAddr is a TCP address that nobody listens at now.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
